//! Describes a response that is not the expected one, and suggests a correction.

use crate::request_options::RequestOptions;
use crate::response_body::{beginning, compression, id_of, plain, pointer_in, shown, without_ids};
use crate::signing;
use hyper::StatusCode;
use hyper::header::{
    ALLOW, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE,
};
use pushbench_host::secrets;

/// What to do about a server that wants TLS.
pub const TLS: &str = "it uses TLS there: write https:// (wss://, tls://) in its URL";
/// Responses of TLS servers to plain requests: nginx, Go, Apache, Tomcat.
const TLS_WANTED: [&str; 4] = [
    "plain HTTP request was sent to HTTPS port",
    "HTTP request to an HTTPS server",
    "plain HTTP to an SSL-enabled server port",
    "requires TLS",
];

/// What to do about a proxy that says that its server does not answer.
pub const BAD_GATEWAY: &str = "a proxy answers there, but the server behind it does not: start that server, or write its \
                               address in url";
/// Greetings of servers that have their own message format.
const GREETINGS: [(&str, &str); 4] = [
    ("0{\"sid\"", "Engine.IO (Socket.IO)"),
    ("{\"type\":\"welcome\"", "Action Cable"),
    ("{\"event\":\"pusher:", "Pusher"),
    ("INFO {", "NATS"),
];
const TOO_LARGE: &str = "the head of the request is too large for it: shorten headers, or the path in url, or lower \
                         payload.headers_bytes of the scenario";
const WANTS_CONTENT_TYPE: &str =
    "it requires another content type: headers = { Content-Type = \"…\" }";

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
pub fn to_event(response: &Response<'_>, request_options: &RequestOptions, index: u64) -> String {
    // The same for every event, so that the record counts them together.
    let body = without_ids(response.body, [index]);
    let what_to_do = event_remedy(response, request_options, index);
    let what_to_do = without_ids(what_to_do.as_bytes(), [index]);
    Response { body: body.as_bytes(), ..*response }.describe(request_options, &what_to_do)
}

/// What to do about a response that does not acknowledge event `index`; empty when it is not known.
pub fn event_remedy(
    response: &Response<'_>,
    request_options: &RequestOptions,
    index: u64,
) -> String {
    let named = response.named_remedy();
    match response.status.as_u16() {
        _ if wants_tls(response.body) => TLS.to_owned(),
        200..=299 => about_id(response, request_options, index),
        400 | 405 | 426 if wants_websocket(response) => {
            "it serves WebSocket at that path: correct the path in url".to_owned()
        }
        // 401 and 407 ask for credentials, whatever else their text mentions.
        400 | 402..=406 | 408..=499 if named.is_some() => named.unwrap_or_default(),
        500 if response.is_duplicate() => named.unwrap_or_default(),
        401 | 403 if request_options.signing.is_some() => {
            "it does not accept the signature: write the key that it knows in secret".to_owned()
        }
        401 | 403 if response.mentions(&[signing::ID, signing::SIGNATURE]) => {
            "it verifies signatures: write secret = \"${NAME}\" in its description, and +signed in the arm"
                .to_owned()
        }
        405 => format!(
            "it does not accept {}{}: set method, or correct the path in url",
            request_options.method,
            response.header_in_brackets(ALLOW)
        ),
        400 | 422 => {
            "it may require another event: --set payload.file=event.json sends your own".to_owned()
        }
        413 => "the event is too large for it: send a smaller one (payload.bytes of the scenario)"
            .to_owned(),
        415 => WANTS_CONTENT_TYPE.to_owned(),
        429 => {
            "it limits the rate: remove that limit for the measurement, or lower --rate".to_owned()
        }
        _ => response.usual_remedy(),
    }
}

/// Says that a response turned a WebSocket handshake down, and why that may be.
pub fn to_handshake(response: &Response<'_>, request_options: &RequestOptions) -> String {
    let elsewhere = "it does not serve WebSocket there: correct the path in url, or the program";
    response.describe(request_options, &handshake_remedy(response, request_options, elsewhere))
}

/// What to do about a response that turned a WebSocket handshake down, `elsewhere` when none is served
/// there; empty when it is not known.
pub fn handshake_remedy(
    response: &Response<'_>,
    request_options: &RequestOptions,
    elsewhere: &str,
) -> String {
    let named = response.named_remedy();
    match response.status.as_u16() {
        _ if wants_tls(response.body) => TLS.to_owned(),
        400..=499
            if response.mentions(&["subprotocol", "sub-protocol", "sec-websocket-protocol"]) =>
        {
            match &request_options.subprotocol {
                None => "it requires a subprotocol: add subprotocol = \"NAME\" to its description"
                    .to_owned(),
                Some(_) => {
                    "it does not accept the subprotocol: correct subprotocol in its description"
                        .to_owned()
                }
            }
        }
        // 401 and 407 ask for credentials, whatever else their text mentions.
        400 | 402..=406 | 408..=499 if named.is_some() => named.unwrap_or_default(),
        400 => format!("{elsewhere}, or add the headers that it requires"),
        200..=299 | 404 | 405 | 426 | 501 => elsewhere.to_owned(),
        _ => response.usual_remedy(),
    }
}

/// The protocol above WebSocket that a server greets in, as far as it is known.
pub fn greeting_protocol(message: &[u8]) -> Option<&'static str> {
    let text = beginning(message);
    let begins = |(start, _): &&(&str, &str)| text.starts_with(start);
    GREETINGS.iter().find(begins).map(|(_, protocol)| *protocol)
}

/// What bytes look like that are no answer of the protocol; nothing when there are none.
pub fn instead(bytes: &[u8], request_options: &RequestOptions) -> String {
    let description = match bytes {
        [] => return String::new(),
        [0x15, 3, ..] => format!("a TLS alert: {TLS}"),
        [0x16, 3, ..] => format!("a TLS handshake: {TLS}"),
        [0, 0, _, 4, 0, ..] => {
            "HTTP/2 settings: it uses HTTP/2 there, but pushbench uses HTTP/1.1".to_owned()
        }
        _ if wants_tls(bytes) => format!("\"{}\": {TLS}", shown(bytes, request_options)),
        _ => format!("\"{}\"", shown(bytes, request_options)),
    };
    format!("; it sent {description} instead")
}

impl Response<'_> {
    fn describe(&self, request_options: &RequestOptions, what_to_do: &str) -> String {
        let body = shown(self.body, request_options);
        let between = if what_to_do.is_empty() { "" } else { "; " };
        match body.is_empty() {
            true => format!("answered {}{between}{what_to_do}", self.status),
            false => format!("answered {}: {body}{between}{what_to_do}", self.status),
        }
    }

    fn usual_remedy(&self) -> String {
        match self.status.as_u16() {
            401 | 403 | 407 => format!(
                "it requires credentials{}: write them in headers, such as headers = \
                 {{ Authorization = \"Bearer …\" }}",
                self.header_in_brackets(WWW_AUTHENTICATE)
            ),
            404 | 410 => "correct the path in url".to_owned(),
            300..=399 if self.headers.contains_key(LOCATION) => self.redirect(),
            414 | 431 => TOO_LARGE.to_owned(),
            502 | 504 => BAD_GATEWAY.to_owned(),
            _ => String::new(),
        }
    }

    fn redirect(&self) -> String {
        let location = self.headers.get(LOCATION).map_or(&b""[..], HeaderValue::as_bytes);
        let header = self.header_in_brackets(LOCATION);
        match location.to_ascii_lowercase() {
            l if l.starts_with(b"https:") || l.starts_with(b"wss:") => {
                format!(
                    "it redirects to an address with TLS{header}: write that address in url (a WebSocket's with wss://)"
                )
            }
            // A WebSocket's address is redirected to by its http form.
            l if l.starts_with(b"http:") => {
                format!(
                    "it redirects to another address{header}: write that address in url, with the current scheme of url"
                )
            }
            _ => format!("it redirects to another address{header}: write that address in url"),
        }
    }

    /// What to do where the text of a refusal names its reason.
    fn named_remedy(&self) -> Option<String> {
        let remedy = match () {
            _ if self.is_duplicate() => {
                "ids of events begin anew in every trial, so a target that stores events must begin empty: let \
                 pushbench start it (command), with an empty store"
            }
            _ if self.mentions(&["csrf"]) => {
                "it requires a CSRF token, which programs that send events do not have: exempt that path \
                 from the check"
            }
            _ if self.mentions(&[
                "http_host",
                "allowed_hosts",
                "blocked host",
                "host is not allowed",
            ]) =>
            {
                "it does not accept the host of url: allow it in the server, or write a host in url that it \
                 accepts"
            }
            _ if self.text().split(|c: char| !c.is_alphanumeric()).any(|word| word == "origin") => {
                "it requires another origin: headers = { Origin = \"http://…\" }"
            }
            // nginx and Python's servers say so with 400.
            _ if self.mentions(&[
                "header or cookie too large",
                "header fields too large",
                "headers too large",
            ]) =>
            {
                TOO_LARGE
            }
            _ if self.mentions(&["content-type", "content type", "media type"]) => {
                WANTS_CONTENT_TYPE
            }
            _ => return None,
        };
        Some(remedy.to_owned())
    }

    /// It has the id already.
    fn is_duplicate(&self) -> bool {
        self.mentions(&["duplicate", "already exists"])
    }

    fn text(&self) -> String {
        beginning(self.body).to_lowercase()
    }

    fn mentions(&self, words: &[&str]) -> bool {
        let text = self.text();
        words.iter().any(|word| text.contains(word))
    }

    /// A header of the response, in brackets.
    fn header_in_brackets(&self, name: HeaderName) -> String {
        let Some(value) = self.headers.get(&name) else { return String::new() };
        let value = String::from_utf8_lossy(value.as_bytes());
        format!(" ({name}: {})", plain(&secrets::hide_echo(&value, &[])))
    }
}

/// Whether a response shows that the server requires TLS.
pub fn wants_tls(body: &[u8]) -> bool {
    let text = beginning(body);
    TLS_WANTED.iter().any(|phrase| text.contains(phrase))
}

fn wants_websocket(response: &Response<'_>) -> bool {
    let text = beginning(response.body).to_lowercase();
    response.status == StatusCode::UPGRADE_REQUIRED || text.contains("websocket")
}

/// An answer of 2xx lacks the id: perhaps it is elsewhere or cannot be read, perhaps there is none.
pub fn about_id(response: &Response<'_>, request_options: &RequestOptions, index: u64) -> String {
    let body = response.body;
    if let Some(answer) = &request_options.answer {
        let difference = answer.difference(body).unwrap_or_else(|| "it has another id".to_owned());
        return format!(
            "it does not fit answer ({}): correct answer, or what the target answers",
            request_options.hide(&difference)
        );
    }
    if let Some(pointer) = pointer_in(body, index) {
        return format!("the event's id is at {pointer}: write match = \"id:{pointer}\"");
    }
    let encoded = response.headers.get(CONTENT_ENCODING).filter(|value| *value != "identity");
    if encoded.is_some() || compression(body).is_some() {
        let header = response.header_in_brackets(CONTENT_ENCODING);
        return format!(
            "its answers are compressed{header}, but pushbench does not decompress them: disable compression \
             of answers"
        );
    }
    match body {
        [0xef, 0xbb, 0xbf, ..] => {
            return "its answers begin with a byte order mark (EF BB BF), which JSON does not allow: \
                    write them without it"
                .to_owned();
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, ..] | [0, b'{', ..] => {
            return "its answers are in UTF-16: write them in UTF-8".to_owned();
        }
        _ => {}
    }
    if beginning(body).contains(&id_of(index)) {
        return "the answer contains the event's id, but not as a separate JSON string: answer with \
                {\"id\": \"…\"}, or write match = \"order\""
            .to_owned();
    }
    format!(
        "the event's id is not at {} of the answer: write match = \"order\" if answers do not contain it",
        request_options.id_at.as_deref().unwrap_or("/id")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(
        status: u16,
        header: Option<(HeaderName, &'static str)>,
        body: &str,
    ) -> (String, String) {
        let headers = header.into_iter().map(|(n, v)| (n, HeaderValue::from_static(v))).collect();
        let status = StatusCode::from_u16(status).unwrap();
        let response = Response { status, headers: &headers, body: body.as_bytes() };
        let request_options = RequestOptions::default();
        (to_event(&response, &request_options, 255), to_handshake(&response, &request_options))
    }

    #[test]
    fn a_status_has_its_remedy() {
        for (status, header, body, wanted) in [
            (401, Some((WWW_AUTHENTICATE, "Bearer")), "", "www-authenticate: Bearer"),
            (403, None, "no", "Forbidden: no; it requires"),
            (404, None, "nothing here", "nothing here; correct the path"),
            (405, Some((ALLOW, "PUT")), "", "POST (allow: PUT): set method"),
            (308, Some((LOCATION, "/v2")), "", "(location: /v2)"),
            (400, None, "The plain HTTP request was sent to HTTPS port", "uses TLS"),
            (422, None, "no such field", "payload.file"),
            (
                400,
                None,
                "Failed to open a WebSocket connection",
                "it serves WebSocket at that path",
            ),
            (426, None, "", "it serves WebSocket at that path"),
            (200, None, "{\"data\":[{\"a/b\":\"00000000000000ff\"}]}", "\"id:/data/0/a~1b\""),
            (200, None, "ok", "match = \"order\""),
            (200, Some((CONTENT_ENCODING, "gzip")), "x", "compressed (content-encoding: gzip)"),
            (200, None, "\u{feff}{\"id\":\"00000000000000ff\"}", "byte order mark"),
            (200, None, "got 00000000000000ff", "not as a separate JSON string"),
            (301, Some((LOCATION, "https://x/")), "", "an address with TLS (location: https://x/)"),
            (401, None, "the websocket needs a token", "requires credentials"),
            (401, None, "no Webhook-Signature", "secret = \"${NAME}\""),
            (403, None, "CSRF verification failed", "CSRF token"),
            (409, None, "id already exists", "begin anew in every trial"),
            (500, None, "Insert failed, duplicate id", "begin anew in every trial"),
            (403, None, "Blocked hosts: 127.0.0.1", "does not accept the host"),
            (403, None, "the original is missing", "requires credentials"),
            (411, None, "", "Length Required"),
            (431, None, "", "shorten headers"),
            (400, None, "Request Header Or Cookie Too Large", "lower payload.headers_bytes"),
            (502, None, "", "a proxy answers there"),
        ] {
            let message = messages(status, header, body).0;
            assert!(message.starts_with(&format!("answered {status} ")), "{message}");
            assert!(message.contains(wanted), "{message}");
        }
        for (status, header, body, wanted) in [
            (200, None, "<html>", "does not serve WebSocket"),
            (302, Some((LOCATION, "/cable")), "", "(location: /cable): write that address in url"),
            (400, None, "Subprotocol required", "add subprotocol = \"NAME\""),
            (403, None, "origin not allowed", "headers = { Origin"),
            (400, None, "", "does not serve WebSocket there"),
        ] {
            let message = messages(status, header, body).1;
            assert!(message.contains(wanted), "{message}");
        }
        assert_eq!(messages(500, None, "a\r\n\u{7}b").0, "answered 500 Internal Server Error: a b");
    }

    #[test]
    fn other_protocols_are_recognised() {
        let request_options = RequestOptions::default();
        for (bytes, wanted) in [
            (&[0x15, 3, 3, 0, 2, 2, 10][..], "TLS alert"),
            (&[0x16, 3, 3, 0, 90], "TLS handshake"),
            (&[0, 0, 18, 4, 0, 0, 0, 0, 0], "HTTP/2"),
            (b"SSH-2.0-x\r\n", "\"SSH-2.0-x\""),
        ] {
            assert!(instead(bytes, &request_options).contains(wanted), "{bytes:?}");
        }
        assert_eq!(instead(b"", &request_options), "");
    }
}
