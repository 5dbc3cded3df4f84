//! Signatures as Standard Webhooks describes them (<https://www.standardwebhooks.com>): HMAC-SHA256 over
//! `id.timestamp.event`, in three headers of a webhook request, or in three members of an envelope where
//! messages have no headers.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::header::HeaderMap;
use pushbench_core::event::{id_digits, object};
use pushbench_core::scenario::payload::ID_DIGITS;
use pushbench_core::wording::{EVENT, Piece, Wording};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::Sha256;
use std::fmt;
use std::hint::black_box;
use std::time::{SystemTime, UNIX_EPOCH};

/// Name of the header and member with the id.
pub const ID: &str = "webhook-id";
/// Name of the one with the seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// Name of the one with the signatures, separated by spaces.
pub const SIGNATURE: &str = "webhook-signature";

/// A signature lies at most this far in the past or in the future, seconds.
pub const TOLERANCE: u64 = 300;
/// Begins a secret that is written in Base64.
const PREFIX: &str = "whsec_";
/// Begins a signature.
const VERSION: &str = "v1,";
/// Length of a signature in Base64.
const SIGNATURE_CHARS: usize = 44;
/// Digits of a timestamp until the year 2286.
const TIMESTAMP_DIGITS: usize = 10;

/// A secret of this name that whoever has the key derives alike: 32 hexadecimal digits of HMAC-SHA256.
pub fn derived(key: &str, name: &str) -> String {
    // A key of any length is one.
    let mut keyed = <Hmac<Sha256>>::new_from_slice(key.as_bytes()).expect("HMAC takes any key");
    keyed.update(name.as_bytes());
    let bytes = keyed.finalize().into_bytes();
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A key: it signs and verifies.
#[derive(Clone)]
pub struct SigningKey {
    /// Keyed once; each event takes a copy of its state.
    keyed: Hmac<Sha256>,
    /// How old its signatures say that they are, seconds.
    age: u64,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Reads a secret: `whsec_` and 24 to 64 bytes in Base64, or any other text, whose bytes are the key. The
    /// error says what to write.
    pub fn parse(secret: &str) -> Result<SigningKey, String> {
        let key = match secret.strip_prefix(PREFIX) {
            None if secret.is_empty() => return Err("it is empty".to_owned()),
            None => secret.as_bytes().to_vec(),
            Some(text) => {
                // Some issuers leave the padding out.
                let key = STANDARD_NO_PAD.decode(text.trim_end_matches('='));
                let fits = key.ok().filter(|key| (24..=64).contains(&key.len()));
                fits.ok_or_else(|| {
                    format!(
                        "behind {PREFIX} it has 24 to 64 bytes in Base64: write for example \
                         {PREFIX}$(openssl rand -base64 24)"
                    )
                })?
            }
        };
        let keyed = Hmac::new_from_slice(&key).map_err(|e| e.to_string())?;
        Ok(SigningKey { keyed, age: 0 })
    }

    /// The same key, whose signatures are too old.
    #[must_use]
    pub fn stale(&self) -> SigningKey {
        SigningKey { age: 2 * TOLERANCE, ..self.clone() }
    }

    fn signature(&self, id: &[u8], timestamp: &[u8], event: &[u8]) -> [u8; SIGNATURE_CHARS] {
        let mut mac = self.keyed.clone();
        for part in [id, b".", timestamp, b".", event] {
            mac.update(part);
        }
        let mut text = [0; SIGNATURE_CHARS];
        let encoded = STANDARD.encode_slice(mac.finalize().into_bytes(), &mut text);
        debug_assert_eq!(encoded, Ok(SIGNATURE_CHARS));
        text
    }

    fn now(&self) -> [u8; TIMESTAMP_DIGITS] {
        let (mut digits, mut rest) = ([0; TIMESTAMP_DIGITS], seconds() - self.age);
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        digits
    }

    /// Writes the fields of event `index` into their places; the first bytes of `message` are the preamble, and
    /// the event follows.
    #[inline]
    pub fn sign(&self, preamble: &Preamble, index: u64, message: &mut [u8]) {
        let (fields, rest) = message.split_at_mut(preamble.length());
        let event = &rest[..rest.len() - preamble.behind.len()];
        let [id, timestamp, signature] = preamble.places();
        let (id_text, timestamp_text) = (id_digits(index), self.now());
        let signed = self.signature(&id_text, &timestamp_text, event);
        fields[id..id + ID_DIGITS].copy_from_slice(&id_text);
        fields[timestamp..timestamp + TIMESTAMP_DIGITS].copy_from_slice(&timestamp_text);
        fields[signature..signature + SIGNATURE_CHARS].copy_from_slice(&signed);
    }

    /// The values of the fields of an event with any id.
    pub fn fields(&self, id: &str, event: &[u8]) -> [(&'static str, String); 3] {
        let timestamp = self.now();
        let signature = self.signature(id.as_bytes(), &timestamp, event);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let signature = VERSION.to_owned() + &text(&signature);
        [(ID, id.to_owned()), (TIMESTAMP, text(&timestamp)), (SIGNATURE, signature)]
    }

    /// An event with any id in an envelope.
    pub fn envelope(&self, id: &str, event: &[u8]) -> Vec<u8> {
        // What surrounds a value in JSON is not part of it.
        let event = event.trim_ascii();
        let [(_, _), (_, timestamp), (_, signature)] = self.fields(id, event);
        let [before_id, ..] = ENVELOPE.before;
        let id = serde_json::Value::from(id);
        let members = format!(r#","{TIMESTAMP}":{timestamp},"{SIGNATURE}":"{signature}","event":"#);
        let begin = before_id.trim_end_matches('"');
        [begin.as_bytes(), id.to_string().as_bytes(), members.as_bytes(), event, b"}"].concat()
    }

    /// The event in a message, if it was signed with this key, now.
    pub fn open<'a>(&self, message: &'a [u8]) -> Result<&'a [u8], Unverified> {
        let (fields, event) = opened(message).map_err(|_| Unverified::Missing(ID))?;
        self.verify(&fields, event).map(|()| event)
    }

    /// Whether an event was signed with this key, now.
    pub fn verify(&self, fields: &Fields<'_>, event: &[u8]) -> Result<(), Unverified> {
        self.verify_at(seconds(), fields, event)
    }

    /// The same at an instant in seconds since 1970.
    pub fn verify_at(&self, now: u64, fields: &Fields<'_>, event: &[u8]) -> Result<(), Unverified> {
        let id = fields.id.ok_or(Unverified::Missing(ID))?;
        let timestamp = fields.timestamp.ok_or(Unverified::Missing(TIMESTAMP))?;
        let signatures = fields.signature.ok_or(Unverified::Missing(SIGNATURE))?;
        let at = digits(timestamp).ok_or(Unverified::Wrong)?;
        if at < now.saturating_sub(TOLERANCE) {
            return Err(Unverified::TooOld(now - at));
        }
        if at > now + TOLERANCE {
            return Err(Unverified::InFuture(at - now));
        }
        let expected = self.signature(id.as_bytes(), timestamp.as_bytes(), event);
        // There are several while a key is replaced.
        let mut signatures = signatures.split(' ').filter_map(|s| s.strip_prefix(VERSION));
        match signatures.any(|signature| constant_time_eq(signature.as_bytes(), &expected)) {
            true => Ok(()),
            false => Err(Unverified::Wrong),
        }
    }
}

/// Whether two texts are the same; the time it takes depends on their lengths alone.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    let differ = a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b));
    a.len() == b.len() && black_box(differ) == 0
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A number of digits and nothing else, which `parse` would let pass with a sign.
fn digits(text: &str) -> Option<u64> {
    let all = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| all)
}

/// What stands before an event: the three fields, as long for each event.
pub struct Preamble {
    /// What stands before the id, the timestamp, the signature and the event.
    before: [&'static str; 4],
    /// What stands behind the event.
    behind: &'static str,
}

/// The last headers of a request and the end of its head.
pub const HEADERS: Preamble = Preamble {
    before: ["webhook-id: ", "\r\nwebhook-timestamp: ", "\r\nwebhook-signature: v1,", "\r\n\r\n"],
    behind: "",
};

/// A message with the event in it.
pub const ENVELOPE: Preamble = Preamble {
    before: [
        r#"{"webhook-id":""#,
        r#"","webhook-timestamp":"#,
        r#","webhook-signature":"v1,"#,
        r#"","event":"#,
    ],
    behind: "}",
};

impl Preamble {
    /// With any values in its places.
    pub fn text(&self) -> String {
        let [id, timestamp, signature, event] = self.before;
        let (hex, digits, base64) =
            ("0".repeat(ID_DIGITS), "1".repeat(TIMESTAMP_DIGITS), "A".repeat(SIGNATURE_CHARS));
        format!("{id}{hex}{timestamp}{digits}{signature}{base64}{event}")
    }

    /// The same around an event.
    pub fn around(&self, event: &str) -> String {
        self.text() + event + self.behind
    }

    /// How events are wrapped in it.
    pub(crate) fn around_event(&self) -> Wording {
        let event = Piece::Place(EVENT.to_owned());
        Wording::of([Piece::Text(self.text()), event, Piece::Text(self.behind.to_owned())])
    }

    const fn places(&self) -> [usize; 3] {
        let [id, timestamp, signature, _] = self.before;
        let timestamp = id.len() + ID_DIGITS + timestamp.len();
        [id.len(), timestamp, timestamp + TIMESTAMP_DIGITS + signature.len()]
    }

    /// Length of the text.
    pub const fn length(&self) -> usize {
        let [_, _, signature] = self.places();
        signature + SIGNATURE_CHARS + self.before[3].len()
    }
}

/// The fields as they came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    /// Identifies the message.
    pub id: Option<&'a str>,
    /// When it was signed.
    pub timestamp: Option<&'a str>,
    /// Its signatures.
    pub signature: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Those in the headers of a request.
    pub fn of_headers(headers: &'a HeaderMap) -> Fields<'a> {
        let value = |name| headers.get(name)?.to_str().ok();
        Fields { id: value(ID), timestamp: value(TIMESTAMP), signature: value(SIGNATURE) }
    }

    /// Those in the head of a request as it was read.
    pub fn of_head(head: &'a [u8]) -> Fields<'a> {
        let value = |name| field(head, name);
        Fields { id: value(ID), timestamp: value(TIMESTAMP), signature: value(SIGNATURE) }
    }
}

/// The value of the first header of that name in the head of a request as it was read.
pub fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let value = |line: &'a [u8]| {
        let (start, value) = line.split_at_checked(name.len())?;
        let is_it = start.eq_ignore_ascii_case(name.as_bytes());
        value.strip_prefix(b":").filter(|_| is_it)
    };
    let value = head.split(|b| *b == b'\n').find_map(value)?;
    std::str::from_utf8(value.trim_ascii()).ok()
}

/// A message with its fields.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "webhook-id")]
    id: Option<&'a str>,
    #[serde(borrow, rename = "webhook-timestamp")]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, rename = "webhook-signature")]
    signature: Option<&'a str>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

/// The fields of a message and its event as it was written; an error where the message is no JSON object.
/// A message without an envelope is an event without fields.
pub fn opened(message: &[u8]) -> serde_json::Result<(Fields<'_>, &[u8])> {
    let envelope: Envelope<'_> = object(message)?;
    let fields = Fields {
        id: envelope.id,
        timestamp: envelope.timestamp.map(RawValue::get),
        signature: envelope.signature,
    };
    Ok((fields, envelope.event.map_or(message, |event| event.get().as_bytes())))
}

/// Why an event is not taken for genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverified {
    /// There is no such field.
    Missing(&'static str),
    /// No signature is of this key, event, id and timestamp.
    Wrong,
    /// It was signed so many seconds ago.
    TooOld(u64),
    /// It was signed so many seconds from now.
    InFuture(u64),
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unverified::Missing(field) => write!(f, "the signature is missing: there is no {field}"),
            Unverified::Wrong => f.write_str(
                "the signature is wrong: no v1 signature fits the key, the id, the timestamp and the event",
            ),
            Unverified::TooOld(by) => write!(
                f,
                "the signature is stale: it is {by} s old, and at most {TOLERANCE} s are allowed"
            ),
            Unverified::InFuture(by) => write!(
                f,
                "the signature is stale: its timestamp is {by} s in the future, and at most {TOLERANCE} s are \
                 allowed"
            ),
        }
    }
}

#[cfg(test)]
#[path = "signing_tests.rs"]
mod tests;
