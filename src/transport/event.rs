//! The event on the wire and its acknowledgement, the same bytes for every transport.

use crate::record::fanout::Audience;
use crate::scenario::payload::{self, CLOSE, ID_DIGITS, KIND, OPEN, PAD, PEER_DIGITS, TYPE};
use crate::scenario::{Payload, Scenario, Subscribers};
use bytes::{BufMut, Bytes};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

/// Makes the bytes of event `index` by writing its id into a prepared text.
#[derive(Debug, Clone)]
pub struct Template {
    text: Vec<u8>,
    /// Each event is for one of so many subscribers, whose number is a part of its type.
    peers: Option<usize>,
}

/// Where the number of a subscriber begins in an event for it.
const PEER_AT: usize = OPEN.len() + ID_DIGITS + TYPE.len() + payload::PEER.len();

impl Template {
    /// Prepares the text of a scenario's events.
    pub fn new(payload: &Payload) -> Template {
        let head = format!("{OPEN}{:0ID_DIGITS$x}", 0);
        let text = match payload {
            Payload::Bytes(n) => generated(*n, KIND),
            Payload::File { json, .. } => match json.strip_prefix('{') {
                Some("}") | None => format!("{head}\"}}"),
                Some(rest) => format!("{head}\",{rest}"),
            },
        };
        Template { text: text.into_bytes(), peers: None }
    }

    /// Prepares the text of a scenario's events, which may be for one subscriber each.
    pub fn of(scenario: &Scenario) -> Template {
        let audience = scenario.subscribers.as_ref().map(Subscribers::audience);
        match (audience.filter(|a| a.one_each), &scenario.payload) {
            (Some(audience), Payload::Bytes(n)) => {
                let text = generated(*n, &payload::peer(0)).into_bytes();
                Template { text, peers: Some(audience.subscribers) }
            }
            (_, payload) => Template::new(payload),
        }
    }

    /// Length of every event in bytes.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Never true; an event has at least its id.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Event `index` as a message of its own.
    pub fn render(&self, index: u64) -> Vec<u8> {
        let mut event = self.text.clone();
        self.address(index, &mut event);
        event
    }

    /// Appends event `index` to a buffer.
    pub fn append(&self, index: u64, out: &mut (impl BufMut + AsMut<[u8]>)) {
        out.put_slice(&self.text);
        let event = out.as_mut();
        let start = event.len() - self.text.len();
        self.address(index, &mut event[start..]);
    }

    /// Writes an event's id, and whom it is for.
    fn address(&self, index: u64, event: &mut [u8]) {
        write_id(index, &mut event[OPEN.len()..OPEN.len() + ID_DIGITS]);
        if let Some(subscribers) = self.peers {
            let recipient = Audience::all(subscribers).recipient(index);
            let digits = event[PEER_AT..PEER_AT + PEER_DIGITS].iter_mut().rev();
            digits.fold(recipient, |rest, digit| {
                *digit = b'0' + (rest % 10) as u8;
                rest / 10
            });
        }
    }
}

/// A generated event of that length and type; its id is zero.
fn generated(bytes: usize, kind: &str) -> String {
    let head = format!("{OPEN}{:0ID_DIGITS$x}{TYPE}{kind}{PAD}", 0);
    let pad = "x".repeat(bytes.saturating_sub(head.len() + CLOSE.len()));
    format!("{head}{pad}{CLOSE}")
}

fn write_id(index: u64, digits: &mut [u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (i, digit) in digits.iter_mut().rev().enumerate() {
        *digit = HEX[(index >> (4 * i)) as usize & 15];
    }
}

/// What the built-in handler reads of an event; the data is checked to be JSON but not kept.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    /// Identifies the event in its acknowledgement.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// What happened.
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    /// Whatever belongs to it.
    pub data: serde::de::IgnoredAny,
}

/// What an acknowledgement must carry where it is matched by id.
#[derive(Debug, Deserialize)]
struct Acknowledgement<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// The acknowledgement of an event: `{"id":"…"}`.
pub fn acknowledgement(id: &str) -> String {
    let mut text = String::with_capacity(id.len() + 9);
    text.push_str(OPEN);
    text.push_str(id);
    text.push_str("\"}");
    text
}

/// The index of the event that an answer acknowledges; `None` when it names none of ours.
pub fn acknowledged_index(answer: &[u8]) -> Option<u64> {
    let ack: Acknowledgement<'_> = serde_json::from_slice(answer).ok()?;
    index_of(&ack.id)
}

/// The id in an acknowledgement, or in an event, whatever else it holds.
pub fn acknowledged_id(answer: &[u8]) -> Option<Cow<'_, str>> {
    let ack: Acknowledgement<'_> = serde_json::from_slice(answer).ok()?;
    Some(ack.id)
}

fn index_of(id: &str) -> Option<u64> {
    if id.len() != ID_DIGITS {
        return None;
    }
    u64::from_str_radix(id, 16).ok()
}

/// How the answers of a target find their events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matched {
    /// The first answer on a connection belongs to its oldest open event.
    ByOrder,
    /// The answer is JSON with the event's `id`.
    ById,
    /// The answer is JSON with the event's id where this pointer (RFC 6901) leads.
    ByIdAt(Arc<str>),
}

impl Matched {
    /// Answers carry the event's id.
    pub fn tells_ids(&self) -> bool {
        *self != Matched::ByOrder
    }

    /// The index of the event that an answer names; none where answers carry no id.
    pub fn index(&self, answer: &[u8]) -> Option<u64> {
        match self {
            Matched::ByOrder => None,
            Matched::ById => acknowledged_index(answer),
            Matched::ByIdAt(pointer) => {
                let answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
                index_of(answer.pointer(pointer)?.as_str()?)
            }
        }
    }
}

/// Bytes that can be cloned for free: an event as an HTTP body.
pub fn body(template: &Template, index: u64) -> Bytes {
    Bytes::from(template.render(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::payload::MIN_BYTES;

    #[test]
    fn events_have_the_asked_length_and_their_own_id() {
        for bytes in [MIN_BYTES, 64, 512, 65_536] {
            let t = Template::new(&Payload::Bytes(bytes));
            for index in [0, 1, 41, u64::MAX] {
                let event = t.render(index);
                assert_eq!(event.len(), bytes);
                let read: Event<'_> = serde_json::from_slice(&event).unwrap();
                assert_eq!(read.id, format!("{index:016x}"));
                let mut appended = b"head".to_vec();
                t.append(index, &mut appended);
                assert_eq!(appended[4..], event[..]);
            }
        }
    }

    #[test]
    fn a_users_event_keeps_its_fields() {
        let json = r#"{"type":"order","data":{"n":1}}"#.to_owned();
        let t = Template::new(&Payload::File { path: "e.json".into(), json });
        let event = t.render(7);
        let value: serde_json::Value = serde_json::from_slice(&event).unwrap();
        assert_eq!(value["id"], "0000000000000007");
        assert_eq!(value["data"]["n"], 1);
    }

    #[test]
    fn only_our_own_acknowledgements_are_read() {
        let ack = acknowledgement("00000000000000ff");
        assert_eq!(acknowledged_index(ack.as_bytes()), Some(255));
        assert_eq!(acknowledged_index(b"{\"id\": \"00000000000000ff\", \"ok\": true}"), Some(255));
        for garbage in
            ["", "ok", "{\"id\":255}", "{\"id\":\"ff\"}", "{\"id\":\"zzzzzzzzzzzzzzzz\"}"]
        {
            assert_eq!(acknowledged_index(garbage.as_bytes()), None, "{garbage}");
        }
    }

    #[test]
    fn an_id_is_found_where_the_pointer_leads() {
        let at = |pointer: &str| Matched::ByIdAt(pointer.into());
        let answer = br#"{"id":"no","data":[{"event/id":"00000000000000ff"}],"ok":255}"#;
        assert_eq!(at("/data/0/event~1id").index(answer), Some(255));
        for pointer in ["/id", "/data/1/event~1id", "/data", "/ok", "/nowhere"] {
            assert_eq!(at(pointer).index(answer), None, "{pointer}");
        }
        assert_eq!(at("/data").index(b"ok"), None);
        assert_eq!(Matched::ByOrder.index(acknowledgement("00000000000000ff").as_bytes()), None);
    }
}
