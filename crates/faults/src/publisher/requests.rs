//! A faulty publisher's requests, as `targets/PROTOCOL.md` has them.

use crate::http::{Message, response};
use crate::publisher::connection::{StreamConnection, WebhookConnection, prepare};
use crate::publisher::state::{Event, PublisherState, Tally};
use crate::publisher::subscription;
use crate::tcp::Tcp;
use crate::wire::{Wire as _, id_of};
use pushbench_core::event::acknowledged_index;
use pushbench_core::publishing::{PUBLISH, STATUS, SUBSCRIBE};
use pushbench_core::record::fanout::PublisherStatus;
use pushbench_core::transport::Transport;
use serde_json::{Value, json};
use std::io::{self, BufReader, Write as _};
use std::net::TcpStream;
use std::thread::Scope;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Serves one connection until it ends: a subscriber's, or one of requests.
pub(super) fn serve<'scope>(
    mut stream: TcpStream,
    state: &'scope PublisherState,
    scope: &'scope Scope<'scope, '_>,
) -> io::Result<()> {
    prepare(&stream)?;
    let mut first = [1];
    // The highest byte of a length: HTTP begins with a letter.
    if state.options.transport == Transport::Tcp && stream.peek(&mut first)? == 1 && first[0] == 0 {
        return serve_tcp(stream, state);
    }
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = Message::read(&mut reader)? {
        let answer = match (request.start_word(0), path(&request)) {
            _ if !is_authorized(&request, state) => response(401, "", "whose?"),
            ("POST", PUBLISH) => publish(&request, state),
            ("POST", SUBSCRIBE) => subscribe_webhook(&request, state, scope),
            ("GET", SUBSCRIBE) => {
                let key = request.header("sec-websocket-key").unwrap_or_default();
                return websocket(stream, key, reader.buffer().to_vec(), state);
            }
            ("GET", STATUS) => {
                let tally = state.settled();
                state.report(&tally)?;
                response(200, "", &json!(status(&tally, state)).to_string())
            }
            _ => response(404, "", "what?"),
        };
        stream.write_all(&answer)?;
        if request.header("connection") == Some("close") {
            break;
        }
    }
    Ok(())
}

fn path(request: &Message) -> &str {
    request.start_word(1).split('?').next().unwrap_or_default()
}

fn is_authorized(request: &Message, state: &PublisherState) -> bool {
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    bearer == Some(&state.options.token)
}

fn publish(request: &Message, state: &PublisherState) -> Vec<u8> {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let Some(index) = acknowledged_index(&request.body) else {
        return response(400, "", "an event without an id of ours");
    };
    match state.publish(Event { index, text }) {
        Some(queued) => {
            response(202, "", &json!({ "id": id_of(index), "queued": queued }).to_string())
        }
        None => response(503, "", "not now"),
    }
}

/// The honest part of what was counted, in the words of the built-in publisher.
fn status(t: &Tally, state: &PublisherState) -> PublisherStatus {
    let written = if state.options.acknowledged { 0 } else { t.delivered - t.acknowledged };
    PublisherStatus {
        published: t.published,
        queued: t.due - t.dropped,
        overflowed: t.dropped,
        acknowledged: t.acknowledged,
        written,
        lost: t.gone,
        open: t.delayed(),
        stray: t.stray,
        ..PublisherStatus::default()
    }
}

fn subscribe_webhook<'scope>(
    request: &Message,
    state: &'scope PublisherState,
    scope: &'scope Scope<'scope, '_>,
) -> Vec<u8> {
    let wanted: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(url) = wanted["url"].as_str().map(str::to_owned) else {
        return response(400, "", "no url");
    };
    let (number, events) = state.add_subscriber();
    scope.spawn(move || {
        let _ended = subscription::serve(WebhookConnection::connect(&url), number, &events, state);
    });
    response(201, "", &json!({ "subscriber": number }).to_string())
}

fn websocket(
    mut stream: TcpStream,
    key: &str,
    read: Vec<u8>,
    state: &PublisherState,
) -> io::Result<()> {
    let (number, events) = state.add_subscriber();
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Faulty\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes())?;
    subscription::serve(StreamConnection::websocket(stream, read), number, &events, state)
}

fn serve_tcp(stream: TcpStream, state: &PublisherState) -> io::Result<()> {
    let mut wire = Tcp::new(stream);
    let hello = wire.event()?.unwrap_or_default();
    let hello: Value = serde_json::from_slice(&hello).unwrap_or_default();
    if hello["token"] != state.options.token {
        return wire.socket().write_all(&Tcp::message("{\"error\":\"whose?\"}"));
    }
    let (number, events) = state.add_subscriber();
    wire.socket().write_all(&Tcp::message("{}"))?;
    subscription::serve(Ok(StreamConnection::tcp(wire)), number, &events, state)
}
