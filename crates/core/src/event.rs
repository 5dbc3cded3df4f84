//! The event on the wire and its acknowledgement, the same bytes for every transport.

use crate::message_pattern::{Fit, MessagePattern};
use crate::scenario::payload;
use crate::scenario::payload::{
    ANSWER, ANSWER_END, ID_DIGITS, KIND, OPEN, PEER, PEER_DIGITS, TYPE,
};
use crate::scenario::{Content, Payload, Scenario, Subscribers};
use crate::wording::{EVENT, EVENT_TEXT, ID, Piece, Wording, json_content};
use bytes::{BufMut, Bytes};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

/// Makes the bytes of event `index` by writing its id into a prepared text.
#[derive(Debug, Clone)]
pub struct Template {
    /// Texts of equal length, one after the other, which events have by turns.
    texts: Vec<u8>,
    count: u64,
    length: usize,
    /// The position of the id.
    ids: Vec<usize>,
    numbered: Option<Numbered>,
}

/// A number in the type of each event: its index modulo something.
#[derive(Debug, Clone)]
struct Numbered {
    /// Its position in the text.
    places: Vec<usize>,
    digits: usize,
    modulo: usize,
}

impl Numbered {
    /// Behind these words of the type.
    fn behind(words: &str, digits: usize, modulo: usize) -> Numbered {
        let begin = OPEN.len() + ID_DIGITS + TYPE.len() + words.len();
        Numbered { places: vec![begin], digits, modulo }
    }
}

impl Template {
    /// Prepares the text of a scenario's events.
    pub fn new(payload: &Payload) -> Template {
        let (texts, count) = match payload {
            Payload::Bytes(n) => Content::Padding.texts(*n, KIND),
            Payload::File { json, .. } => {
                let head = format!("{OPEN}{:0ID_DIGITS$x}", 0);
                let text = match json.strip_prefix('{') {
                    Some("}") | None => format!("{head}\"}}"),
                    Some(rest) => format!("{head}\",{rest}"),
                };
                (text, 1)
            }
        };
        Template::taking_turns(texts, count, None)
    }

    /// Prepares the texts of a scenario's events, which may be for one subscriber each, or of types that
    /// take turns.
    pub fn of(scenario: &Scenario) -> Template {
        let audience = scenario.subscribers.as_ref().map(Subscribers::audience);
        let numbered = audience.and_then(|audience| match audience.mix {
            _ if audience.one_each => Some((
                payload::peer(0),
                Numbered::behind(PEER, PEER_DIGITS, audience.subscribers.max(1)),
            )),
            Some(mix) => Some((
                payload::kind(0),
                Numbered::behind(payload::KINDS, payload::KIND_DIGITS, mix.types),
            )),
            None => None,
        });
        let (kind, numbered) = numbered.unzip();
        match &scenario.payload {
            Payload::Bytes(n) => {
                let (texts, count) = scenario.content.texts(*n, kind.as_deref().unwrap_or(KIND));
                Template::taking_turns(texts, count, numbered)
            }
            payload => Template::new(payload),
        }
    }

    /// So many texts of equal length, one after the other.
    fn taking_turns(texts: String, count: u64, numbered: Option<Numbered>) -> Template {
        let length = texts.len() / count as usize;
        Template { texts: texts.into_bytes(), count, length, ids: vec![OPEN.len()], numbered }
    }

    /// The same events with the user's own data. Places whose values are not known stay as they are written.
    pub fn within(&self, wording: &Wording) -> Template {
        let (mut texts, mut ids, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let escaped = wording.has(EVENT_TEXT).then(|| self.escaped());
        for number in 0..self.count {
            for piece in wording.pieces() {
                let at = texts.len();
                let event = match piece {
                    Piece::Place(place) if place == EVENT => self,
                    Piece::Place(place) if place == EVENT_TEXT => escaped.as_ref().unwrap_or(self),
                    Piece::Place(place) if place == ID => {
                        ids.extend((number == 0).then_some(at));
                        texts.extend([b'0'; ID_DIGITS]);
                        continue;
                    }
                    Piece::Place(other) => {
                        texts.extend_from_slice(format!("{{{other}}}").as_bytes());
                        continue;
                    }
                    Piece::Text(text) => {
                        texts.extend_from_slice(text.as_bytes());
                        continue;
                    }
                };
                texts.extend_from_slice(event.text(number));
                // They are in the same place of every text.
                if number == 0 {
                    ids.extend(event.ids.iter().map(|id| at + id));
                    let places = event.numbered.iter().flat_map(|numbered| &numbered.places);
                    numbers.extend(places.map(|place| at + place));
                }
            }
        }
        let numbered = self.numbered.clone();
        let numbered = numbered.map(|numbered| Numbered { places: numbers, ..numbered });
        Template { length: texts.len() / self.count as usize, texts, ids, numbered, ..*self }
    }

    /// The same events as the content of a JSON string.
    fn escaped(&self) -> Template {
        let first = String::from_utf8_lossy(self.text(0));
        let moved = |at: &usize| json_content(&first[..*at]).len();
        let texts = String::from_utf8_lossy(&self.texts);
        let texts = json_content(&texts).into_bytes();
        Template {
            length: texts.len() / self.count as usize,
            texts,
            ids: self.ids.iter().map(moved).collect(),
            numbered: self.numbered.clone().map(|numbered| Numbered {
                places: numbered.places.iter().map(moved).collect(),
                ..numbered
            }),
            ..*self
        }
    }

    /// The text of event `index`, in which its id is missing.
    #[inline(always)]
    fn text(&self, index: u64) -> &[u8] {
        match self.count {
            1 => &self.texts,
            _ => self.one_of_many(index),
        }
    }

    #[inline(never)]
    fn one_of_many(&self, index: u64) -> &[u8] {
        let at = (index % self.count) as usize * self.length;
        &self.texts[at..at + self.length]
    }

    /// Length of every event in bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Never true; an event has at least its id.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Event `index` as a message of its own.
    #[inline]
    pub fn render(&self, index: u64) -> Vec<u8> {
        let mut event = self.text(index).to_vec();
        self.address(index, &mut event);
        event
    }

    /// Appends event `index` to a buffer.
    pub fn append(&self, index: u64, out: &mut (impl BufMut + AsMut<[u8]>)) {
        let text = self.text(index);
        out.put_slice(text);
        let event = out.as_mut();
        let start = event.len() - text.len();
        self.address(index, &mut event[start..]);
    }

    /// Writes an event's id, and the number in its type.
    #[inline]
    fn address(&self, index: u64, event: &mut [u8]) {
        let id = id_digits(index);
        for at in &self.ids {
            event[*at..*at + ID_DIGITS].copy_from_slice(&id);
        }
        let Some(Numbered { places, digits, modulo }) = &self.numbered else { return };
        for at in places {
            let digits = event[*at..*at + digits].iter_mut().rev();
            digits.fold(index % *modulo as u64, |rest, digit| {
                *digit = b'0' + (rest % 10) as u8;
                rest / 10
            });
        }
    }
}

/// The id of an event.
#[inline]
pub fn id_digits(index: u64) -> [u8; ID_DIGITS] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; ID_DIGITS];
    for (i, digit) in digits.iter_mut().rev().enumerate() {
        *digit = HEX[(index >> (4 * i)) as usize & 15];
    }
    digits
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

impl Event<'_> {
    /// The event in these bytes.
    pub fn read(bytes: &[u8]) -> serde_json::Result<Event<'_>> {
        object(bytes)
    }
}

/// An object's members. A list in their order, which serde takes as well, is none.
pub fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    match json.trim_ascii_start().first() {
        Some(b'[') => Err(serde::de::Error::custom("a list, where an object was expected")),
        _ => serde_json::from_slice(json),
    }
}

/// The elements of a JSON array, each as it was written: the events of a batch, or what answers each of them.
pub fn elements(json: &[u8]) -> serde_json::Result<Vec<&RawValue>> {
    serde_json::from_slice(json)
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

/// The answer to a question: `{"id":"…","answer":"…"}` of that many bytes, or as many as the id takes.
pub fn answer(id: &str, bytes: usize) -> String {
    let frame = OPEN.len() + id.len() + ANSWER.len() + ANSWER_END.len();
    let mut text = String::with_capacity(bytes.max(frame));
    text.push_str(OPEN);
    text.push_str(id);
    text.push_str(ANSWER);
    text.push_str(&"x".repeat(bytes.saturating_sub(frame)));
    text.push_str(ANSWER_END);
    text
}

/// The index of the event that an answer acknowledges; `None` when it names none of ours.
#[inline]
pub fn acknowledged_index(answer: &[u8]) -> Option<u64> {
    if let Some(index) = plain_index(answer) {
        return Some(index);
    }
    let ack: Acknowledgement<'_> = object(answer).ok()?;
    index_of(ack.id.as_bytes())
}

/// The same of an acknowledgement as [`acknowledgement`] makes it, byte for byte: most need no parser.
#[inline]
fn plain_index(answer: &[u8]) -> Option<u64> {
    let id = answer.strip_prefix(OPEN.as_bytes())?.strip_suffix(b"\"}")?;
    index_of(id)
}

/// The id in an acknowledgement, or in an event, whatever else it holds.
pub fn acknowledged_id(answer: &[u8]) -> Option<Cow<'_, str>> {
    let ack: Acknowledgement<'_> = object(answer).ok()?;
    Some(ack.id)
}

/// The index of an event by its id, in upper or lower case.
#[inline]
pub fn index_of(id: &[u8]) -> Option<u64> {
    let (first, second) = id.split_first_chunk()?;
    Some(u64::from(eight_digits(*first)?) << 32 | u64::from(eight_digits(second.try_into().ok()?)?))
}

/// Eight hexadecimal digits at once, each in its byte of a word.
#[inline]
fn eight_digits(digits: [u8; 8]) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let text = u64::from_be_bytes(digits);
    // Letters have this bit, and their low half counts from 1.
    let letters = text >> 6 & ONES;
    let values = (text & (0x0f * ONES)) + letters * 9;
    // Written again in lower case, what is a digit is what was read.
    let above_nine = (values + 6 * ONES) >> 4 & ONES;
    let written = values + 0x30 * ONES + above_nine * 39;
    if values & (0xf0 * ONES) != 0 || written != text | letters << 5 {
        return None;
    }
    let pairs = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((fours | fours >> 16) as u32)
}

/// How answers find their events, as a description says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// The n-th answer of a connection belongs to its n-th event.
    Order,
    /// The answer carries the event's id.
    Id,
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
    /// The answer fits a pattern, which has the id or not; what does not fit is no answer.
    ByPattern(Arc<MessagePattern>),
}

/// What a message answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// The event with this index.
    Event(u64),
    /// The oldest open event of its connection.
    Oldest,
    /// None of ours.
    Nothing,
}

impl Matched {
    /// Answers carry the event's id.
    pub fn tells_ids(&self) -> bool {
        match self {
            Matched::ByOrder => false,
            Matched::ById | Matched::ByIdAt(_) => true,
            Matched::ByPattern(pattern) => pattern.has_id(),
        }
    }

    /// What a message answers.
    #[inline]
    pub fn answered(&self, message: &[u8]) -> Answered {
        match self {
            Matched::ByOrder => Answered::Oldest,
            Matched::ByPattern(pattern) => match pattern.fit(message) {
                Some(Fit { index: Some(index) }) => Answered::Event(index),
                Some(Fit { index: None }) => Answered::Oldest,
                None => Answered::Nothing,
            },
            by_id => by_id.index(message).map_or(Answered::Nothing, Answered::Event),
        }
    }

    /// The index of the event that an answer names; none where answers carry no id.
    #[inline]
    pub fn index(&self, answer: &[u8]) -> Option<u64> {
        match self {
            Matched::ByOrder => None,
            Matched::ById => acknowledged_index(answer),
            Matched::ByIdAt(pointer) => {
                let answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
                index_of(answer.pointer(pointer)?.as_str()?.as_bytes())
            }
            Matched::ByPattern(pattern) => pattern.fit(answer)?.index,
        }
    }
}

/// Bytes that can be cloned for free: an event as an HTTP body.
pub fn body(template: &Template, index: u64) -> Bytes {
    Bytes::from(template.render(index))
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
