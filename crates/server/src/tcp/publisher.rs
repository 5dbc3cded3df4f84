//! The publisher's half: a subscriber connects to the publisher's port, sends a first message,
//! and gets a message per event.

use crate::publisher::hub::Hub;
use crate::publisher::requests::{Answer, text};
use crate::publisher::stream::deliver;
use crate::publisher::subscription::Subscription;
use hyper::StatusCode;
use pushbench_wire::stream::Stream;
use pushbench_wire::tcp::Hello;
use pushbench_wire::tcp::codec::Framed;
use std::future::poll_fn;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Subscribers of this transport do not speak HTTP.
pub fn subscribe() -> Answer {
    let how = "subscribers connect to this port and send {\"token\": …}, preceded by its length";
    text(StatusCode::UPGRADE_REQUIRED, how)
}

/// Distinguishes a subscriber from an HTTP client by the first byte, the highest of a length.
pub async fn accept_without_http(
    hub: &Arc<Hub>,
    mut stream: Stream<TcpStream>,
) -> Option<Stream<TcpStream>> {
    if !matches!(stream.peek().await, Ok(Some(0))) {
        return Some(stream);
    }
    let mut framed = Framed::new(stream);
    let (subscription, answer) = match authenticate(hub, &mut framed).await {
        Ok(subscription) => (Some(subscription), serde_json::json!({})),
        Err(why) => (None, serde_json::json!({ "error": why })),
    };
    framed.queue_with(|out| out.extend_from_slice(answer.to_string().as_bytes()));
    if framed.flush().await.is_ok()
        && let Some(subscription) = subscription
    {
        deliver(framed, subscription).await;
    }
    None
}

async fn authenticate(
    hub: &Arc<Hub>,
    framed: &mut Framed<Stream<TcpStream>>,
) -> Result<Subscription, String> {
    let hello = poll_fn(|cx| {
        framed.poll_message(cx).map(|message| match message {
            Ok(Some(bytes)) => serde_json::from_slice::<Hello>(bytes)
                .map_err(|e| format!("not a valid first message: {e}")),
            _ => Err("no first message".to_owned()),
        })
    });
    let hello = hello.await?;
    if !hub.is_token(&hello.token) {
        return Err("wrong token".to_owned());
    }
    match hub.unknown(hello.types.iter().map(String::as_str)) {
        Some(unknown) => Err(format!("there is no type {unknown:?}")),
        None => Ok(hub.add_subscription(hello.types)),
    }
}
