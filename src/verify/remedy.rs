//! From what came back to what a person does next.

use super::known::Instead;
use super::talk::{Answer, Peer, Talk as _};
use super::trouble::Trouble;
use super::websocket::Websocket;
use crate::target::manifest::Matching;
use crate::transport::Transport;

/// What to do about an arm that acknowledges nothing.
pub(super) fn remedy(peer: &Peer<'_>, instead: &Instead) -> String {
    match instead {
        Instead::Answer(answer) => of_answer(peer, answer),
        Instead::Trouble(Trouble::Http(status, body)) => of_http(peer, status, body),
        Instead::Trouble(trouble) => of_trouble(peer, trouble),
    }
}

fn of_answer(peer: &Peer<'_>, answer: &Answer) -> String {
    if let Some((_, line)) = &answer.status
        && answer.refuses()
    {
        return of_status(peer, line, &String::from_utf8_lossy(&answer.body));
    }
    if peer.matching == Matching::Id {
        return match peer.named(answer) {
            None => "its answers carry no `id`: write match = \"order\", or answer {\"id\": …}",
            Some(_) => "its answers carry other ids than its events: echo the event's `id`",
        }
        .to_owned();
    }
    by_hand(peer)
}

fn of_status(peer: &Peer<'_>, line: &str, body: &str) -> String {
    let code = line.get(..3).unwrap_or_default();
    let url = peer.url;
    if code == "400" && body.to_lowercase().contains("https") {
        return tls();
    }
    match code {
        "404" => format!("nothing takes events at {url}: correct the path in url"),
        "405" | "501" => format!("{url} takes no POST: correct the path in url"),
        "301" | "302" | "307" | "308" => {
            format!("{url} points elsewhere: write the address it points to as url")
        }
        "401" | "403" => format!("it wants to know who asks; {}", by_hand(peer)),
        "426" => is_websocket(peer),
        "413" => "the event is too large for it: try --payload 64, or raise its limit".to_owned(),
        _ => by_hand(peer),
    }
}

/// An HTTP answer where a WebSocket or a bare socket was expected.
fn of_http(peer: &Peer<'_>, status: &str, body: &str) -> String {
    if status.starts_with("400") && body.to_lowercase().contains("https") {
        return tls();
    }
    let http = "describe it as [target.NAME.webhook] with an http:// url";
    match peer.transport {
        Transport::Websocket if status.starts_with("404") => {
            format!("no WebSocket is at {}: correct the path in url, or {http}", peer.url)
        }
        Transport::Websocket => {
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
        Trouble::Refused(_) => {
            "check that it listens on the host and port of url, {port} in its command".to_owned()
        }
        Trouble::Alien(_) => {
            format!("check that {} is served by {}", peer.url, peer.transport.name())
        }
        Trouble::Closed(_) | Trouble::Reset if peer.transport == Transport::Webhook => {
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
    "TLS is not supported yet: write the address of its plain port as url".to_owned()
}

/// The same event, sent without pushbench.
fn by_hand(peer: &Peer<'_>) -> String {
    let event = r#"{"id":"0000000000000000","type":"event","data":{}}"#;
    let url = peer.url.replace('\'', "%27");
    match peer.transport {
        Transport::Webhook => format!(
            "try it by hand: curl -i -H 'Content-Type: application/json' -d '{event}' '{url}'"
        ),
        Transport::Websocket => {
            format!("try it by hand: python3 -m websockets '{url}', then type {event}")
        }
        Transport::Tcp => "an event goes out, and its answer comes back, behind four bytes of \
                           length (big endian)"
            .to_owned(),
    }
}
