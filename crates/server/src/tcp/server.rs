//! The receiver's half: acknowledges each message with one. What is ready together is acknowledged
//! together.

use crate::handler::{Handler, Pause};
use crate::receiver::Receiver;
use hyper::HeaderMap;
use pushbench_wire::stream::Stream;
use pushbench_wire::tcp::codec::Framed;
use std::future::poll_fn;
use tokio::net::TcpStream;

/// Answers that wait for a peer who does not read are no more than this before it is waited for.
const MOST_WAITING: usize = 64 * 1024;

/// Serves one connection until it ends.
pub async fn serve(handler: Handler, stream: Stream<TcpStream>) {
    let mut framed = Framed::new(stream);
    let (mut pause, headers) = (Pause::default(), HeaderMap::new());
    let mut event = Vec::new();
    loop {
        let got = poll_fn(|cx| {
            let message_read = framed.poll_message(cx).map_ok(|message| {
                let message = message?;
                event.clear();
                event.extend_from_slice(message);
                Some(())
            });
            if message_read.is_pending() {
                let _rest_is_written_later = framed.poll_written(cx)?;
            }
            message_read
        })
        .await;
        if !matches!(got, Ok(Some(()))) {
            // A client that has finished sending may still read.
            let _ended = framed.flush().await;
            return;
        }
        let answer = handler.handle(&mut pause, &headers, &event).await;
        if answer.as_ref().is_err_and(|(status, _)| Receiver::closes_for(*status)) {
            let _ended = framed.flush().await;
            return;
        }
        let text =
            answer.unwrap_or_else(|(_, why)| serde_json::json!({ "error": why }).to_string());
        framed.queue_with(|out| out.extend_from_slice(text.as_bytes()));
        let waits = handler.takes_time() || framed.left_to_write() >= MOST_WAITING;
        if waits && framed.flush().await.is_err() {
            return;
        }
    }
}
