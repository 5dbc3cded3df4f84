//! Receives events as messages.

use crate::event::acknowledge;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, rt};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, Session};
use serde_json::json;

pub async fn upgrade(request: HttpRequest, body: Payload) -> actix_web::Result<HttpResponse> {
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    let messages = messages.max_frame_size(crate::LARGEST).aggregate_continuations();
    rt::spawn(events(session, messages.max_continuation_size(crate::LARGEST)));
    Ok(response)
}

async fn events(mut session: Session, mut messages: AggregatedMessageStream) {
    while let Some(Ok(message)) = messages.recv().await {
        let sent = match message {
            AggregatedMessage::Text(text) => session.text(answer(&text)).await,
            AggregatedMessage::Ping(data) => session.pong(&data).await,
            AggregatedMessage::Close(reason) => return drop(session.close(reason).await),
            _ => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}

fn answer(text: &str) -> String {
    match acknowledge(text.as_bytes()) {
        Ok(acknowledgement) => json!(acknowledgement).to_string(),
        Err(error) => json!({ "error": error.to_string() }).to_string(),
    }
}
