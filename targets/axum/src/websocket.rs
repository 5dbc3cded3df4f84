//! Takes events as messages.

use crate::event::acknowledge;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde_json::json;

pub async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_frame_size(crate::LARGEST).on_upgrade(events)
}

async fn events(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        let answer = match acknowledge(text.as_bytes()) {
            Ok(acknowledgement) => json!(acknowledgement),
            Err(error) => json!({ "error": error.to_string() }),
        };
        if socket.send(Message::text(answer.to_string())).await.is_err() {
            return;
        }
    }
}
