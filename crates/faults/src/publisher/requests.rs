//! A faulty publisher's requests, as `targets/PROTOCOL.md` has them.

use crate::http::{Message, response};
use crate::publisher::outlet::{Held, Hook, prepare};
use crate::publisher::site::{Event, Site, Tally};
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
    site: &'scope Site,
    scope: &'scope Scope<'scope, '_>,
) -> io::Result<()> {
    prepare(&stream)?;
    let mut first = [1];
    // The highest byte of a length: whoever speaks HTTP begins with a letter.
    if site.conduct.transport == Transport::Tcp && stream.peek(&mut first)? == 1 && first[0] == 0 {
        return bare_socket(stream, site);
    }
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = Message::read(&mut reader)? {
        let answer = match (request.word(0), path(&request)) {
            _ if !admitted(&request, site) => response(401, "", "whose?"),
            ("POST", PUBLISH) => publish(&request, site),
            ("POST", SUBSCRIBE) => hook(&request, site, scope),
            ("GET", SUBSCRIBE) => {
                let key = request.header("sec-websocket-key").unwrap_or_default();
                return websocket(stream, key, reader.buffer().to_vec(), site);
            }
            ("GET", STATUS) => {
                let tally = site.settled();
                site.tell(&tally)?;
                response(200, "", &json!(status(&tally, site)).to_string())
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
    request.word(1).split('?').next().unwrap_or_default()
}

fn admitted(request: &Message, site: &Site) -> bool {
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    bearer == Some(&site.conduct.token)
}

fn publish(request: &Message, site: &Site) -> Vec<u8> {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let Some(index) = acknowledged_index(&request.body) else {
        return response(400, "", "an event without an id of ours");
    };
    match site.publish(Event { index, text }) {
        Some(queued) => {
            response(202, "", &json!({ "id": id_of(index), "queued": queued }).to_string())
        }
        None => response(503, "", "not now"),
    }
}

/// The honest part of what was counted, in the words of the built-in publisher.
fn status(t: &Tally, site: &Site) -> PublisherStatus {
    let written = if site.conduct.acknowledged { 0 } else { t.delivered - t.acknowledged };
    PublisherStatus {
        published: t.published,
        queued: t.due - t.dropped,
        overflowed: t.dropped,
        acknowledged: t.acknowledged,
        written,
        lost: t.gone,
        open: t.held(),
        stray: t.stray,
        ..PublisherStatus::default()
    }
}

fn hook<'scope>(
    request: &Message,
    site: &'scope Site,
    scope: &'scope Scope<'scope, '_>,
) -> Vec<u8> {
    let wanted: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(url) = wanted["url"].as_str().map(str::to_owned) else {
        return response(400, "", "no url");
    };
    let (number, events) = site.enter();
    scope.spawn(move || {
        let _ended = subscription::serve(Hook::connect(&url), number, &events, site);
    });
    response(201, "", &json!({ "subscriber": number }).to_string())
}

fn websocket(mut stream: TcpStream, key: &str, read: Vec<u8>, site: &Site) -> io::Result<()> {
    let (number, events) = site.enter();
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Faulty\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes())?;
    subscription::serve(Held::websocket(stream, read), number, &events, site)
}

fn bare_socket(stream: TcpStream, site: &Site) -> io::Result<()> {
    let mut wire = Tcp::new(stream);
    let hello = wire.event()?.unwrap_or_default();
    let hello: Value = serde_json::from_slice(&hello).unwrap_or_default();
    if hello["token"] != site.conduct.token {
        return wire.socket().write_all(&Tcp::message("{\"error\":\"whose?\"}"));
    }
    let (number, events) = site.enter();
    wire.socket().write_all(&Tcp::message("{}"))?;
    subscription::serve(Ok(Held::tcp(wire)), number, &events, site)
}
