//! What an event is made of: the text of a generated one, and the user's own from a file.

use crate::scenario::draft::{DEFAULT_BYTES, Wrong};
use crate::scenario::{Content, Payload, ReadText};
use std::path::Path;

/// Every event begins with its id.
pub const OPEN: &str = r#"{"id":""#;
/// Digits of an id: fixed, so that every event of a scenario has the same length.
pub const ID_DIGITS: usize = 16;
/// The type of a generated event.
pub const KIND: &str = "event";
/// From the id to the type.
pub const TYPE: &str = r#"","type":""#;
/// From the type to the padding.
pub(crate) const PAD: &str = r#"","data":{"pad":""#;
/// The type of an event for one subscriber is this and the subscriber's number.
pub(crate) const PEER: &str = "peer-";
/// Digits of that number: fixed, so that every event of a scenario has the same length.
pub(crate) const PEER_DIGITS: usize = 7;
/// What follows the padding.
pub const CLOSE: &str = r#""}}"#;
/// An event with an empty `data.pad`, the smallest one generated.
pub(crate) const MIN_BYTES: usize =
    OPEN.len() + ID_DIGITS + TYPE.len() + KIND.len() + PAD.len() + CLOSE.len();
/// Where there are several types, each is this and its number.
pub const KINDS: &str = "event-";
/// Digits of that number.
pub(crate) const KIND_DIGITS: usize = 2;
/// From the id to the padding of an answer.
pub const ANSWER: &str = r#"","answer":""#;
/// What follows that padding.
pub(crate) const ANSWER_END: &str = r#""}"#;
/// An answer to one of our own events with an empty `answer`, the smallest one.
pub const LEAST_ANSWER: usize = OPEN.len() + ID_DIGITS + ANSWER.len() + ANSWER_END.len();
/// Largest event: the frame limit of common WebSocket libraries.
pub const MAX_BYTES: usize = 16 << 20;

/// What further headers may take: twice what the strictest servers accept in all.
pub(crate) const MOST_HEADERS_BYTES: usize = 32 * 1024;
/// The shortest of them, a name with one character.
pub const LEAST_HEADERS_BYTES: usize = 16;

/// The type of that number, where there are several.
pub fn kind(number: usize) -> String {
    format!("{KINDS}{number:0KIND_DIGITS$}")
}

/// The type of the events for one subscriber.
pub fn peer(number: usize) -> String {
    format!("{PEER}{number:0PEER_DIGITS$}")
}

/// Whether headers can take so many bytes.
pub(super) fn check_headers(bytes: usize) -> Result<(), Wrong> {
    match (1..LEAST_HEADERS_BYTES).contains(&bytes) {
        false => Ok(()),
        true => {
            let why = format!(
                "{bytes}: a header has a name and a value: write 0, or {LEAST_HEADERS_BYTES} or more"
            );
            Err(Wrong::new("payload.headers_bytes", why))
        }
    }
}

impl Payload {
    /// Generated events, or those of a file that has been read.
    pub(super) fn of(
        bytes: Option<usize>,
        file: Option<String>,
        json: String,
        content: Content,
    ) -> Result<Payload, Wrong> {
        match (bytes, file) {
            (Some(_), Some(_)) => {
                let why = "payload.bytes is given, too: keep one of them";
                Err(Wrong::new("payload.file", why).against("payload.bytes"))
            }
            (_, Some(_)) if !content.is_default() => {
                let why =
                    "events from payload.file have data of their own: keep one of the two keys";
                Err(Wrong::new("payload.content", why).against("payload.file"))
            }
            (_, Some(path)) => Ok(Payload::File { path, json }),
            (bytes, None) => Ok(Payload::Bytes(bytes.unwrap_or(DEFAULT_BYTES))),
        }
    }
}

/// Reads the file: a JSON object with `type` and `data`, returned compact and without its `id`.
pub fn read(path: &Path, read_text: ReadText<'_>) -> Result<String, String> {
    if path.as_os_str().is_empty() {
        return Err("it is empty: write the path of a JSON file".to_owned());
    }
    let text = read_text(path)?;
    if text.trim().is_empty() {
        return Err(format!(
            "{} is empty: write {{\"type\": \"order.created\", \"data\": …}}",
            path.display()
        ));
    }
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| {
        format!("{} is not JSON: {e}; write {{\"type\": …, \"data\": …}}", path.display())
    })?;
    let serde_json::Value::Object(mut event) = value else {
        return Err(format!(
            "{} is not a JSON object: write {{\"type\": …, \"data\": …}}",
            path.display()
        ));
    };
    event.remove("id");
    if event.get("type").is_none_or(|t| t.as_str().is_none_or(|t| t.is_empty())) {
        return Err(format!(
            "{} has no \"type\": write {{\"type\": \"order.created\", \"data\": …}}",
            path.display()
        ));
    }
    if !event.contains_key("data") {
        return Err(format!(
            "{} has no \"data\": write {{\"type\": …, \"data\": {{…}}}}",
            path.display()
        ));
    }
    Ok(serde_json::Value::Object(event).to_string())
}
