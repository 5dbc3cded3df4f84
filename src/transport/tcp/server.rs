//! The receiver's half: acknowledges each message with one.

use super::codec::Framed;
use crate::transport::handler::{Handler, Pause};
use std::future::poll_fn;
use tokio::net::TcpStream;

/// Serves one connection until it ends.
pub async fn serve(handler: Handler, stream: TcpStream) {
    let mut framed = Framed::new(stream);
    let mut pause = Pause::default();
    let mut event = Vec::new();
    loop {
        let got = poll_fn(|cx| {
            framed.poll_message(cx).map_ok(|message| {
                let message = message?;
                event.clear();
                event.extend_from_slice(message);
                Some(())
            })
        })
        .await;
        if !matches!(got, Ok(Some(()))) {
            return;
        }
        let answer = handler.handle(&mut pause, &event).await;
        let text = answer.unwrap_or_else(|why| serde_json::json!({ "error": why }).to_string());
        framed.queue_with(|out| out.extend_from_slice(text.as_bytes()));
        if framed.flush().await.is_err() {
            return;
        }
    }
}
