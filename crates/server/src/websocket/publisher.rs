//! The publisher's half: a subscriber connects to `/subscribe` and gets a text message per event.

use crate::publisher::hub::Hub;
use crate::publisher::requests::{Answer, after, text, types, unknown_type};
use crate::publisher::stream::deliver;
use crate::publisher::subscription::Subscription;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use pushbench_wire::stream::Stream;
use pushbench_wire::websocket::deflate::Agreed;
use pushbench_wire::websocket::deflate_stream::DeflateStream;
use pushbench_wire::websocket::handshake;
use pushbench_wire::websocket::messages::small;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// `GET /subscribe?types=a,b&after=ID` with the headers of a handshake.
pub async fn subscribe(hub: &Arc<Hub>, mut request: Request<Incoming>) -> Answer {
    let Some(key) = key(request.headers()) else {
        let mut answer = text(StatusCode::UPGRADE_REQUIRED, "subscribers connect over WebSocket");
        answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        return answer;
    };
    let types = types(&request);
    if let Some(unknown) = hub.unknown(types.iter().map(String::as_str)) {
        return unknown_type(hub, unknown);
    }
    let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) else {
        return text(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is not valid");
    };
    let mut answer = text(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = answer.headers_mut();
    let agreed = match hub.options.compressed {
        true => handshake::accept_compression(request.headers(), headers),
        false => None,
    };
    // Subscribed when the answer is written: an event published after that is delivered.
    let subscription = hub.resume(types, after(&request).as_deref());
    let upgrade = hyper::upgrade::on(&mut request);
    match agreed {
        None => tokio::spawn(upgraded(upgrade, subscription)),
        Some(agreed) => tokio::spawn(upgraded_compressed(upgrade, subscription, agreed)),
    };
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    answer
}

fn key(headers: &HeaderMap) -> Option<String> {
    let says = |name, wanted: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.split(',').any(|word| word.trim().eq_ignore_ascii_case(wanted)))
    };
    let handshake = says(UPGRADE, "websocket")
        && says(CONNECTION, "upgrade")
        && says(SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    handshake.then(|| key.to_owned())
}

/// The stream, and what has come behind the handshake.
async fn taken_over(upgrade: OnUpgrade) -> Option<(Stream<TcpStream>, Vec<u8>)> {
    // Unwraps the socket: hyper's wrapper would cost memory and an indirection per read.
    let parts = upgrade.await.ok()?.downcast::<TokioIo<Stream<TcpStream>>>().ok()?;
    Some((parts.io.into_inner(), parts.read_buf.to_vec()))
}

async fn upgraded(upgrade: OnUpgrade, subscription: Subscription) {
    let Some((stream, read)) = taken_over(upgrade).await else { return };
    let socket =
        WebSocketStream::from_partially_read(stream, read, Role::Server, Some(small())).await;
    deliver(socket, subscription).await;
}

async fn upgraded_compressed(upgrade: OnUpgrade, subscription: Subscription, agreed: Agreed) {
    let Some((stream, read)) = taken_over(upgrade).await else { return };
    let stream = DeflateStream::new(stream, &read, Role::Server, agreed);
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(small())).await;
    deliver(socket, subscription).await;
}
