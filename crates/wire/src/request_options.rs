//! Request options: a target's requirements for requests and handshakes, and where its
//! answers carry the event's id.

use crate::hello::{Heartbeat, HelloStep};
use crate::response_body::READ_BYTES;
use crate::signing::{ENVELOPE, SigningKey};
use crate::usual_headers;
use hyper::Method;
use hyper::header::{HeaderMap, HeaderValue};
use pushbench_core::event::Template;
use pushbench_core::message_pattern::{Captured, MessagePattern};
use pushbench_core::scenario::Compression;
use pushbench_core::transport::Carrier;
use pushbench_core::wording::{EVENT, Piece, Wording};
use pushbench_host::secrets;
use std::sync::Arc;

/// The same for every event of an arm.
#[derive(Debug, Clone)]
pub struct RequestOptions {
    /// Of webhook requests.
    pub method: Method,
    /// Added to webhook requests and WebSocket handshakes. Values that are marked as sensitive are shown nowhere.
    pub headers: HeaderMap,
    /// What the WebSocket handshake must agree on.
    pub subprotocol: Option<HeaderValue>,
    /// JSON pointer (RFC 6901) to the event's id in an answer; `/id` where none is given.
    pub id_at: Option<String>,
    /// What is said on a new WebSocket before the first event.
    pub hello: Vec<HelloStep>,
    /// The heartbeat of the protocol above WebSocket.
    pub heartbeat: Option<Arc<Heartbeat>>,
    /// How an event is wrapped; as it is where there is nothing.
    pub wrap: Option<Wording>,
    /// Which messages are answers, where not all of them are.
    pub answer: Option<Arc<MessagePattern>>,
    /// What a WebSocket handshake offers for the compression of messages, and that bodies of webhook requests are
    /// compressed.
    pub compression: Option<Compression>,
    /// Signs each event; on a connection that frames messages `wrap` is then the envelope.
    pub signing: Option<SigningKey>,
}

impl Default for RequestOptions {
    fn default() -> Self {
        RequestOptions {
            method: Method::POST,
            headers: HeaderMap::new(),
            subprotocol: None,
            id_at: None,
            hello: Vec::new(),
            heartbeat: None,
            wrap: None,
            answer: None,
            compression: None,
            signing: None,
        }
    }
}

impl RequestOptions {
    /// The events as they are sent, with what a hello has captured.
    pub fn wrapped(&self, events: &Template, captured: &Captured) -> Template {
        match &self.wrap {
            Some(wrap) => events.within(&wrap.with(captured)),
            None => events.clone(),
        }
    }

    /// The same for a request that carries one event as a batch, whose answer is an array with one entry.
    #[must_use]
    pub fn batch_of_one(mut self) -> RequestOptions {
        let event = || Wording::of([Piece::Place(EVENT.to_owned())]);
        let event = self.wrap.take().unwrap_or_else(event);
        let bracket = |text: &str| Piece::Text(text.to_owned());
        self.wrap = Some(Wording::of([&[bracket("[")], event.pieces(), &[bracket("]")]].concat()));
        self.id_at = Some(format!("/0{}", self.id_at.as_deref().unwrap_or("/id")));
        self
    }

    /// The same for signed events: a webhook has the signature in headers, a message in its envelope.
    #[must_use]
    pub fn signed(mut self, key: SigningKey, carrier: Carrier) -> RequestOptions {
        if carrier != Carrier::Webhook {
            self.wrap = Some(ENVELOPE.around_event());
        }
        self.signing = Some(key);
        self
    }

    /// The same with headers of a browser and of gateways that take so many bytes.
    #[must_use]
    pub fn with_usual_headers(mut self, bytes: usize) -> RequestOptions {
        usual_headers::add(&mut self.headers, bytes);
        self
    }

    /// Appends the message of event `index`, signed where events are.
    #[inline]
    pub fn append_message(&self, template: &Template, index: u64, out: &mut Vec<u8>) {
        let begin = out.len();
        template.append(index, out);
        if let Some(key) = &self.signing {
            key.sign(&ENVELOPE, index, &mut out[begin..]);
        }
    }

    /// Whether a message is a heartbeat of the target.
    pub fn is_heartbeat(&self, message: &[u8]) -> bool {
        self.heartbeat.as_ref().is_some_and(|h| h.awaited.fit(message).is_some())
    }

    /// What is sent for a heartbeat of the target; nothing where it answers one.
    pub fn heartbeat_reply(&self) -> Option<&str> {
        let heartbeat = self.heartbeat.as_ref().filter(|h| h.every.is_none())?;
        Some(&heartbeat.sent)
    }

    /// The names of its headers, for the record: values may be secrets.
    pub fn header_names(&self) -> Vec<String> {
        self.headers.keys().map(ToString::to_string).collect()
    }

    /// The text without secrets and the values of its headers, which a server may send back.
    pub fn hide(&self, text: &str) -> String {
        let values = self.headers.values().filter(|value| value.is_sensitive());
        let values = values.filter_map(|value| value.to_str().ok());
        let words = values.flat_map(|v| std::iter::once(v).chain(v.split_ascii_whitespace()));
        let others: Vec<&str> = words.filter(|word| word.len() >= secrets::SHORTEST).collect();
        secrets::hide_echo(text, &others).into_owned()
    }

    /// The same in the beginning of an answer, which is all that is shown of it.
    pub fn hide_in(&self, mut answer: Vec<u8>) -> Vec<u8> {
        let is_inside = |at: &usize| answer.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
        let end = (0..=answer.len().min(READ_BYTES)).rev().find(|at| !is_inside(at)).unwrap_or(0);
        let hidden = self.hide(&String::from_utf8_lossy(&answer[..end]));
        answer.splice(..end, hidden.into_bytes());
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::AUTHORIZATION;

    #[test]
    fn values_of_headers_are_hidden() {
        let mut request_options = RequestOptions::default();
        let mut token = HeaderValue::from_static("Bearer abc123def");
        token.set_sensitive(true);
        request_options.headers.insert(AUTHORIZATION, token);
        let shown = request_options
            .hide("{\"authorization\": \"Bearer abc123def\", \"token\": \"abc123def\"}");
        assert_eq!(shown, "{\"authorization\": \"[hidden]\", \"token\": \"[hidden]\"}");
        assert_eq!(request_options.header_names(), ["authorization"]);
        let long = format!("abc123def {}", "ä".repeat(READ_BYTES)).into_bytes();
        let hidden = String::from_utf8(request_options.hide_in(long)).unwrap();
        assert_eq!(hidden, format!("[hidden] {}", "ä".repeat(READ_BYTES)));
    }
}
