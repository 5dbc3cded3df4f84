//! The receiver's half on tokio-tungstenite: acknowledges each message with one.

use super::config;
use crate::transport::handler::{Handler, Pause};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

/// Serves one connection until it ends.
pub async fn serve(handler: Handler, stream: TcpStream) {
    let config = Some(config());
    let Ok(mut socket) = tokio_tungstenite::accept_async_with_config(stream, config).await else {
        return;
    };
    let mut pause = Pause::default();
    while let Some(Ok(message)) = socket.next().await {
        if !(message.is_text() || message.is_binary()) {
            continue;
        }
        let answer = handler.handle(&mut pause, &message.into_data()).await;
        let text = answer.unwrap_or_else(|why| serde_json::json!({ "error": why }).to_string());
        if socket.send(Message::text(text)).await.is_err() {
            return;
        }
    }
}
