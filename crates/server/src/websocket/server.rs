//! The receiver's half on tokio-tungstenite: acknowledges each message with one. What is ready together
//! is acknowledged together.

use crate::handler::{Handler, Pause};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use pushbench_wire::stream::Stream;
use pushbench_wire::websocket::config;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

/// Serves one connection until it ends.
pub async fn serve(handler: Handler, stream: Stream<TcpStream>) {
    let config = Some(config());
    let Ok(mut socket) = tokio_tungstenite::accept_async_with_config(stream, config).await else {
        return;
    };
    let mut pause = Pause::default();
    loop {
        let message = match socket.next().now_or_never() {
            Some(message) => message,
            None if socket.flush().await.is_err() => return,
            None => socket.next().await,
        };
        let Some(Ok(message)) = message else {
            // Whoever has said all may still listen.
            let _ended = socket.flush().await;
            return;
        };
        if !(message.is_text() || message.is_binary()) {
            continue;
        }
        let answer = handler.handle(&mut pause, &message.into_data()).await;
        let text = answer.unwrap_or_else(|why| serde_json::json!({ "error": why }).to_string());
        let queued = socket.feed(Message::text(text)).await;
        if queued.is_err() || handler.takes_time() && socket.flush().await.is_err() {
            return;
        }
    }
}
