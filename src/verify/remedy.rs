//! From what came back to what a person does next.

use super::known::Instead;
use super::talk::{Answer, Peer, Talk as _};
use super::trouble::Trouble;
use super::websocket::Websocket;
use crate::target::manifest::Matching;
use crate::transport::Carrier;
use crate::transport::came_back::{self, Response};
use hyper::StatusCode;
use hyper::header::HeaderMap;

/// What to do about an arm that acknowledges nothing.
pub(super) fn remedy(peer: &Peer<'_>, instead: &Instead) -> String {
    match instead {
        Instead::Answer(answer) => of_answer(peer, answer),
        Instead::Trouble(Trouble::Http(status, body)) => of_http(peer, status, body),
        Instead::Trouble(trouble) => of_trouble(peer, trouble),
    }
}

fn of_answer(peer: &Peer<'_>, answer: &Answer) -> String {
    if let Some((code, _)) = &answer.status
        && answer.refuses()
    {
        return of_status(peer, *code, answer);
    }
    if peer.matching == Matching::Id {
        return match peer.named(&answer.body) {
            None => about_id(peer, &answer.body),
            Some(_) => "its answers carry other ids than its events: echo the event's `id`".into(),
        };
    }
    by_hand(peer)
}

/// Perhaps the id of one of the events is elsewhere in the answer.
fn about_id(peer: &Peer<'_>, answer: &[u8]) -> String {
    let told = peer.indices().find(|index| came_back::pointer_in(answer, *index).is_some());
    came_back::about_id(answer, peer.terms, told.unwrap_or_default())
}

fn of_status(peer: &Peer<'_>, code: u16, answer: &Answer) -> String {
    let Ok(status) = StatusCode::from_u16(code) else { return by_hand(peer) };
    let response = Response { status, headers: &answer.headers, body: &answer.body };
    match code {
        426 => is_websocket(peer),
        404 => format!("nothing takes events at {}: correct the path in url", peer.url),
        _ => match came_back::event_remedy(&response, peer.terms, 0) {
            remedy if remedy.is_empty() => by_hand(peer),
            remedy => remedy,
        },
    }
}

/// An HTTP answer where a WebSocket or a bare socket was expected.
fn of_http(peer: &Peer<'_>, status: &str, body: &str) -> String {
    if status.starts_with("400") && body.to_lowercase().contains("https") {
        return tls();
    }
    if let Some(code @ (401 | 403 | 407)) = status.get(..3).and_then(|code| code.parse().ok()) {
        let status = StatusCode::from_u16(code).unwrap_or_default();
        let headers = HeaderMap::new();
        let response = Response { status, headers: &headers, body: body.as_bytes() };
        return came_back::handshake_remedy(&response);
    }
    let http = "describe it as [target.NAME.webhook] with an http:// url";
    match peer.carrier {
        Carrier::Websocket if status.starts_with("404") => {
            format!("no WebSocket is at {}: correct the path in url, or {http}", peer.url)
        }
        Carrier::Websocket => {
            format!(
                "{} does not shake hands for a WebSocket: correct its path, or {http}",
                peer.url
            )
        }
        _ => format!("{} speaks HTTP: {http}", peer.url),
    }
}

fn of_trouble(peer: &Peer<'_>, trouble: &Trouble) -> String {
    match trouble {
        Trouble::Tls => tls(),
        Trouble::Unreadable(_, remedy) => remedy.clone(),
        Trouble::Refused(_) => {
            "check that it listens on the host and port of url, {port} in its command".to_owned()
        }
        Trouble::Alien(_) => {
            format!("check that {} is served by {}", peer.url, peer.carrier.name())
        }
        Trouble::Closed(_) | Trouble::Reset if peer.carrier == Carrier::Webhook => {
            match Websocket::open(peer) {
                Ok(_) => is_websocket(peer),
                Err(_) => format!("is it no HTTP server? {}", by_hand(peer)),
            }
        }
        _ => by_hand(peer),
    }
}

fn is_websocket(peer: &Peer<'_>) -> String {
    let url = peer.url.replacen("http", "ws", 1);
    format!("it is a WebSocket: describe it as [target.NAME.websocket] with url = \"{url}\"")
}

fn tls() -> String {
    came_back::TLS.to_owned()
}

/// The same event, sent without pushbench.
fn by_hand(peer: &Peer<'_>) -> String {
    let event = r#"{"id":"0000000000000000","type":"event","data":{}}"#;
    let url = peer.url.replace('\'', "%27");
    match peer.carrier {
        Carrier::Webhook => format!(
            "try it by hand: curl -i -H 'Content-Type: application/json' -d '{event}' '{url}'"
        ),
        Carrier::Websocket => {
            format!("try it by hand: python3 -m websockets '{url}', then type {event}")
        }
        Carrier::Tcp => "an event goes out, and its answer comes back, behind four bytes of \
                           length (big endian)"
            .to_owned(),
    }
}
