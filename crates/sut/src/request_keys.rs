//! The keys of a description for requests, handshakes and answers: `method`, `headers`, `subprotocol`,
//! `match`.

use crate::secret_text;
use crate::values::text;
use hyper::Method;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use pushbench_core::error::Result;
use pushbench_core::event::Matching;
use pushbench_core::origin::{Origin, kind};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::transport::{Carrier, Transport};
use toml::de::DeValue;

/// Methods whose request carries an event in its body.
const METHODS: [Method; 3] = [Method::POST, Method::PUT, Method::PATCH];

const FRAMING: &str = "pushbench sends each event complete, with its length";
const CONNECTION: &str =
    "pushbench controls the connections: see connections.lifetime of a scenario";
/// Headers that are not the user's to set, and why.
const RESERVED_HEADERS: [(&str, &str); 13] = [
    ("host", "it is taken from url: write the host there"),
    ("content-length", FRAMING),
    ("content-encoding", "events are sent as they are: write +compressed in the arm for gzip"),
    ("transfer-encoding", FRAMING),
    ("trailer", FRAMING),
    ("te", FRAMING),
    ("expect", FRAMING),
    ("connection", CONNECTION),
    ("keep-alive", CONNECTION),
    ("proxy-connection", CONNECTION),
    ("upgrade", CONNECTION),
    ("sec-websocket-protocol", "write subprotocol = \"…\" instead"),
    (
        "sec-websocket-extensions",
        "permessage-deflate is offered by an arm with +compressed: websocket+compressed@NAME",
    ),
];

/// Why a key does not apply to this transport.
pub(super) fn unusable_key(key: &str, transport: Transport) -> Option<&'static str> {
    match (key, transport, transport.carrier_to(false)) {
        ("http_version", Transport::Webhook | Transport::Sse, _) => None,
        ("http_version", ..) => {
            Some("HTTP/2 is for webhooks and server-sent events: remove this key")
        }
        ("batch", Transport::Webhook, _) => None,
        ("batch", ..) => Some("only a webhook carries batches: remove this key"),
        ("method", _, Carrier::Websocket | Carrier::Tcp) => {
            Some("only a webhook has a method: remove this key")
        }
        ("headers", _, Carrier::Tcp) => Some("tcp has no headers: remove this key"),
        ("subprotocol", _, Carrier::Webhook | Carrier::Tcp) => {
            Some("only a WebSocket has a subprotocol: remove this key")
        }
        _ => None,
    }
}

/// Whether `http_version` says that the target speaks HTTP/2, and nothing else.
pub(super) fn http2(value: &DeValue<'_>, at: &Origin) -> Result<(bool, bool)> {
    match text(value, "http_version", at)?.as_str() {
        "2" => Ok((true, false)),
        "2 only" => Ok((true, true)),
        "1.1" => Ok((false, false)),
        other => Err(at.error(format!(
            "http_version: \"{}\": write \"2\" for a server that also speaks HTTP/2, \"2 only\" for one that speaks \
             nothing else, or \"1.1\"",
            other.escape_debug()
        ))),
    }
}

/// Whether it takes a request with a JSON array of events.
pub(super) fn batches(value: &DeValue<'_>, at: &Origin) -> Result<bool> {
    match value {
        DeValue::Boolean(takes) => Ok(*takes),
        other => Err(at.error(format!(
            "batch: this is {}: write true if the server takes a JSON array of events and answers with an array of \
             their acknowledgements, or false",
            kind(other)
        ))),
    }
}

pub(super) fn method(value: &DeValue<'_>, at: &Origin) -> Result<Method> {
    let text = text(value, "method", at)?;
    METHODS.into_iter().find(|method| method.as_str() == text).ok_or_else(|| {
        let near = did_you_mean(&text, METHODS.iter().map(Method::as_str));
        at.error(format!(
            "method: \"{text}\"{near}: write POST, PUT or PATCH, which have a body for the event"
        ))
    })
}

pub(super) fn headers(
    value: &DeValue<'_>,
    at: &Origin,
    place: &dyn Fn(usize) -> Origin,
) -> Result<HeaderMap> {
    let DeValue::Table(table) = value else {
        let hint = "write { Name = \"value\" }";
        return Err(at.error(format!("headers: this is {}: {hint}", kind(value))));
    };
    let mut found = HeaderMap::new();
    for (name, value) in table {
        let at = place(name.span().start);
        let header = header_name(name.get_ref(), &at)?;
        let key = format!("headers.{}", name.get_ref());
        let text = secret_text::text(value.get_ref(), &key, &place(value.span().start))?;
        if found.insert(header, header_value(name.get_ref(), &text, &at)?).is_some() {
            return Err(at.error(format!(
                "headers: {} occurs twice (upper and lower case are the same): keep one",
                name.get_ref()
            )));
        }
    }
    Ok(found)
}

fn header_name(name: &str, at: &Origin) -> Result<HeaderName> {
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        at.error(format!(
            "headers: \"{name}\" is not a valid header name: use letters, digits and hyphens"
        ))
    })?;
    let known =
        RESERVED_HEADERS.iter().find(|(taken, _)| *taken == header.as_str()).map(|(_, why)| *why);
    let handshake = "it belongs to the handshake, which pushbench performs";
    let handshakes = header.as_str().starts_with("sec-websocket-").then_some(handshake);
    match known.or(handshakes) {
        Some(why) => Err(at.error(format!("headers: {name} cannot be set: {why}"))),
        None => Ok(header),
    }
}

/// The value may be a secret, so messages do not repeat it.
fn header_value(name: &str, text: &str, at: &Origin) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok().filter(|v| v.to_str().is_ok());
    if let Some(value) = &mut value {
        value.set_sensitive(true);
    }
    value.ok_or_else(|| {
        at.error(format!(
            "headers: the value of {name} contains a line break or a character that is not allowed in headers: \
             write printable ASCII"
        ))
    })
}

pub(super) fn subprotocol(value: &DeValue<'_>, at: &Origin) -> Result<HeaderValue> {
    let text = text(value, "subprotocol", at)?;
    // A subprotocol is a token, as the name of a header is.
    let valid = HeaderName::from_bytes(text.as_bytes()).is_ok();
    HeaderValue::from_str(&text).ok().filter(|_| valid).ok_or_else(|| {
        at.error(format!(
            "subprotocol: \"{text}\" is not a valid name: write a single name such as \"v1.events\""
        ))
    })
}

/// `"command_spec"`, `"id"`, or `"id:/pointer"`.
pub(super) fn matching(value: &DeValue<'_>, at: &Origin) -> Result<(Matching, Option<String>)> {
    let text = text(value, "match", at)?;
    match text.split_once(':') {
        None if text == "id" => Ok((Matching::Id, None)),
        None if text == "order" => Ok((Matching::Order, None)),
        Some(("id", pointer)) if is_pointer(pointer) => {
            let listens_elsewhere = pointer != "/id";
            Ok((Matching::Id, listens_elsewhere.then(|| pointer.to_owned())))
        }
        Some(("id", _)) => Err(at.error(format!(
            "match: \"{text}\": id: is followed by a JSON pointer, for example /data/event_id, in which \
             ~ is written ~0 and / in a name ~1"
        ))),
        _ => Err(at.error(format!(
            "match: \"{text}\"{}: write \"id\", \"id:/data/event_id\" (where the answer contains the \
             event's id) or \"order\"",
            did_you_mean(&text, ["id", "order"])
        ))),
    }
}

/// RFC 6901, the whole document excluded.
pub(super) fn is_pointer(text: &str) -> bool {
    text.starts_with('/') && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_told_from_other_text() {
        for good in ["/id", "/", "/data/0/a~1b~0", "//"] {
            assert!(is_pointer(good), "{good}");
        }
        for bad in ["", "id", "/a~", "/a~2", "#/id"] {
            assert!(!is_pointer(bad), "{bad}");
        }
    }
}
