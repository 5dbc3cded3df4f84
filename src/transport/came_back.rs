//! What came back where an acknowledgement was wanted: in words, with what to do about it.

use super::terms::Terms;
use crate::scenario::payload::ID_DIGITS;
use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderMap, HeaderName, LOCATION, WWW_AUTHENTICATE};
use serde_json::Value;
use std::borrow::Cow;

/// Longest piece of an answer that is shown.
const SHOWN_BYTES: usize = 120;
/// Longest piece of an answer that is looked at.
const READ_BYTES: usize = 16 * 1024;
/// What to do about a server that wants TLS.
pub const TLS: &str = "it speaks TLS there, which pushbench does not yet: let it serve plain http or ws, too, \
                       and write its plain port in url";
/// What servers of TLS say when they are spoken to without: nginx, Go, Apache, Tomcat.
const TLS_WANTED: [&str; 4] = [
    "plain HTTP request was sent to HTTPS port",
    "HTTP request to an HTTPS server",
    "plain HTTP to an SSL-enabled server port",
    "requires TLS",
];

/// An HTTP response that does not acknowledge or does not shake hands.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, or the part that came.
    pub body: &'a [u8],
}

/// Says that a webhook's response does not acknowledge event `index`, and why that may be:
/// `answered 404 Not Found: no such page; correct the path in url`.
pub fn to_event(response: &Response<'_>, terms: &Terms, index: u64) -> String {
    // The same for every event, so that the record counts them together.
    let body = beginning(response.body).replace(&id_of(index), "<id>");
    let what_to_do = event_remedy(response, terms, index);
    Response { body: body.as_bytes(), ..*response }.told(terms, &what_to_do)
}

/// What to do about a response that does not acknowledge event `index`; empty when it is not known.
pub fn event_remedy(response: &Response<'_>, terms: &Terms, index: u64) -> String {
    match response.status.as_u16() {
        _ if wants_tls(response.body) => TLS.to_owned(),
        200..=299 => about_id(response.body, terms, index),
        400..=426 if wants_websocket(response) => {
            "it serves WebSocket there: correct the path in url".to_owned()
        }
        405 => format!(
            "it does not take {}{}: set method, or correct the path in url",
            terms.method,
            response.said(ALLOW)
        ),
        400 | 422 => {
            "is it the event it wants? --set payload.file=event.json sends another".to_owned()
        }
        411 | 413 => "the event is too large for it: lower --payload".to_owned(),
        415 => "it wants another type of content: headers = { Content-Type = \"…\" }".to_owned(),
        429 => {
            "it limits the rate: lift that limit for the measurement, or lower --rate".to_owned()
        }
        _ => response.usual_remedy(),
    }
}

/// Says that a response turned a WebSocket handshake down, and why that may be.
pub fn to_handshake(response: &Response<'_>, terms: &Terms) -> String {
    response.told(terms, &handshake_remedy(response))
}

/// What to do about a response that turned a WebSocket handshake down; empty when it is not known.
pub fn handshake_remedy(response: &Response<'_>) -> String {
    match response.status.as_u16() {
        _ if wants_tls(response.body) => TLS.to_owned(),
        200..=299 | 400 | 404 | 405 | 426 | 501 => {
            "it serves no WebSocket there: correct the path in url and the program".to_owned()
        }
        _ => response.usual_remedy(),
    }
}

/// What bytes look like that are no answer of the protocol; nothing when there are none.
pub fn instead(bytes: &[u8], terms: &Terms) -> String {
    let seen = match bytes {
        [] => return String::new(),
        [0x15, 3, ..] => format!("a TLS alert: {TLS}"),
        [0x16, 3, ..] => format!("a TLS handshake: {TLS}"),
        [0, 0, _, 4, 0, ..] => {
            "HTTP/2 settings: it speaks HTTP/2 there, pushbench HTTP/1.1".to_owned()
        }
        _ if wants_tls(bytes) => format!("\"{}\": {TLS}", shown(bytes, terms)),
        _ => format!("\"{}\"", shown(bytes, terms)),
    };
    format!("; instead came {seen}")
}

impl Response<'_> {
    fn told(&self, terms: &Terms, what_to_do: &str) -> String {
        let body = shown(self.body, terms);
        let between = if what_to_do.is_empty() { "" } else { "; " };
        match body.is_empty() {
            true => format!("answered {}{between}{what_to_do}", self.status),
            false => format!("answered {}: {body}{between}{what_to_do}", self.status),
        }
    }

    fn usual_remedy(&self) -> String {
        match self.status.as_u16() {
            401 | 403 | 407 => format!(
                "it wants to know who asks{}: write what it needs in headers, such as headers = \
                 {{ Authorization = \"Bearer …\" }}",
                self.said(WWW_AUTHENTICATE)
            ),
            404 | 410 => "correct the path in url".to_owned(),
            300..=399 => format!("it points elsewhere{}: write that in url", self.said(LOCATION)),
            _ => String::new(),
        }
    }

    /// A header of the response, in brackets.
    fn said(&self, name: HeaderName) -> String {
        let Some(value) = self.headers.get(&name) else { return String::new() };
        format!(" ({name}: {})", plain(&String::from_utf8_lossy(value.as_bytes())))
    }
}

/// As text; megabytes need not be looked at.
fn beginning(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(READ_BYTES)])
}

fn wants_tls(body: &[u8]) -> bool {
    let text = beginning(body);
    TLS_WANTED.iter().any(|said| text.contains(said))
}

fn wants_websocket(response: &Response<'_>) -> bool {
    let text = beginning(response.body).to_lowercase();
    response.status == StatusCode::UPGRADE_REQUIRED || text.contains("websocket")
}

/// The beginning of a text from outside, on one line, without the values of our headers.
pub fn shown(bytes: &[u8], terms: &Terms) -> String {
    let text = terms.hide(&beginning(bytes));
    let text = text.trim();
    match text.len() <= SHOWN_BYTES {
        true => plain(text),
        false => format!("{}…", plain(&text[..text.floor_char_boundary(SHOWN_BYTES)])),
    }
}

/// On one line, without control characters, which could end up on a terminal.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn id_of(index: u64) -> String {
    format!("{index:0ID_DIGITS$x}")
}

/// An answer of 2xx lacks the id: perhaps it is elsewhere, perhaps there is none.
pub fn about_id(answer: &[u8], terms: &Terms, index: u64) -> String {
    match pointer_in(answer, index) {
        Some(pointer) => format!("the event's id is at {pointer}: write match = \"id:{pointer}\""),
        None => format!(
            "the event's id is not at {} of the answer: write match = \"order\" if it is nowhere",
            terms.id_at.as_deref().unwrap_or("/id")
        ),
    }
}

/// Where in an answer the id of event `index` stands, if that can be written down in a line.
pub fn pointer_in(answer: &[u8], index: u64) -> Option<String> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let short = |pointer: &String| pointer.len() <= SHOWN_BYTES && plain(pointer) == *pointer;
    pointer_to(&value, &id_of(index)).filter(short)
}

/// Where in a value a text stands.
fn pointer_to(value: &Value, wanted: &str) -> Option<String> {
    let below =
        |step: String, inner: &Value| Some(format!("/{step}{}", pointer_to(inner, wanted)?));
    match value {
        Value::String(text) => (text == wanted).then(String::new),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(i, inner)| below(i.to_string(), inner))
        }
        Value::Object(members) => members
            .iter()
            .find_map(|(name, inner)| below(name.replace('~', "~0").replace('/', "~1"), inner)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn told(
        status: u16,
        header: Option<(HeaderName, &'static str)>,
        body: &str,
    ) -> (String, String) {
        let headers = header.into_iter().map(|(n, v)| (n, HeaderValue::from_static(v))).collect();
        let status = StatusCode::from_u16(status).unwrap();
        let response = Response { status, headers: &headers, body: body.as_bytes() };
        let terms = Terms::default();
        (to_event(&response, &terms, 255), to_handshake(&response, &terms))
    }

    #[test]
    fn a_status_has_its_remedy() {
        for (status, header, body, wanted) in [
            (401, Some((WWW_AUTHENTICATE, "Bearer")), "", "www-authenticate: Bearer"),
            (403, None, "no", "Forbidden: no; it wants"),
            (404, None, "nothing here", "nothing here; correct the path"),
            (405, Some((ALLOW, "PUT")), "", "POST (allow: PUT): set method"),
            (308, Some((LOCATION, "/v2")), "", "(location: /v2)"),
            (400, None, "The plain HTTP request was sent to HTTPS port", "speaks TLS"),
            (422, None, "no such field", "payload.file"),
            (400, None, "Failed to open a WebSocket connection", "it serves WebSocket there"),
            (426, None, "", "it serves WebSocket there"),
            (200, None, "{\"data\":[{\"a/b\":\"00000000000000ff\"}]}", "\"id:/data/0/a~1b\""),
            (200, None, "ok", "match = \"order\""),
        ] {
            let said = told(status, header, body).0;
            assert!(said.starts_with(&format!("answered {status} ")), "{said}");
            assert!(said.contains(wanted), "{said}");
        }
        assert!(told(200, None, "<html>").1.contains("no WebSocket"));
        assert_eq!(told(500, None, "a\r\n\u{7}b").0, "answered 500 Internal Server Error: a b");
    }

    #[test]
    fn a_place_that_would_steer_a_terminal_is_not_told() {
        let at =
            |key: &str| pointer_in(format!("{{\"{key}\":\"{}\"}}", id_of(255)).as_bytes(), 255);
        assert_eq!(at("i d").as_deref(), Some("/i d"));
        for key in ["i\u{7f}", "i\\u001b[31m", "i\\n", &"i".repeat(SHOWN_BYTES)] {
            assert_eq!(at(key), None, "{key:?}");
        }
    }

    #[test]
    fn other_protocols_are_recognised() {
        let terms = Terms::default();
        for (bytes, wanted) in [
            (&[0x15, 3, 3, 0, 2, 2, 10][..], "TLS alert"),
            (&[0x16, 3, 3, 0, 90], "TLS handshake"),
            (&[0, 0, 18, 4, 0, 0, 0, 0, 0], "HTTP/2"),
            (b"SSH-2.0-x\r\n", "\"SSH-2.0-x\""),
        ] {
            assert!(instead(bytes, &terms).contains(wanted), "{bytes:?}");
        }
        assert_eq!(instead(b"", &terms), "");
    }

    #[test]
    fn long_answers_are_cut() {
        let terms = Terms::default();
        assert_eq!(shown("ä".repeat(100).as_bytes(), &terms).chars().count(), 61);
        assert!(shown(&vec![b'x'; 10_000_000], &terms).len() < 130);
    }
}
