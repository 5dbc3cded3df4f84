//! The text of a response for messages: one line, shortened, without secrets, and the place of an id in it.

use crate::request_options::RequestOptions;
use pushbench_core::scenario::payload::ID_DIGITS;
use serde_json::Value;
use std::borrow::Cow;

/// Longest piece of an answer that is shown.
const SHOWN_BYTES: usize = 120;
/// Longest piece of an answer in which secrets are looked for, to show its beginning.
const EXAMINED_BYTES: usize = 8 * SHOWN_BYTES;
/// Longest piece of an answer that is looked at.
pub(crate) const READ_BYTES: usize = 16 * 1024;

/// The beginning, as text.
pub(crate) fn beginning(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(READ_BYTES)])
}

/// The beginning of a text from outside, on one line, without the values of our headers.
pub fn shown(bytes: &[u8], request_options: &RequestOptions) -> String {
    if let Some(words) = in_words(bytes) {
        return words;
    }
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(EXAMINED_BYTES)]);
    let text = request_options.hide(&text);
    let text = text.trim();
    match text.len() <= SHOWN_BYTES {
        true => plain(text),
        false => format!("{}…", plain(&text[..text.floor_char_boundary(SHOWN_BYTES)])),
    }
}

/// On one line, without control characters, which could end up on a terminal.
pub(crate) fn plain(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The id of event `index`.
pub(crate) fn id_of(index: u64) -> String {
    format!("{index:0ID_DIGITS$x}")
}

/// The beginning of a text from outside, without the ids of these events.
pub fn without_ids(bytes: &[u8], indices: impl IntoIterator<Item = u64>) -> String {
    let text = beginning(bytes).into_owned();
    indices.into_iter().fold(text, |text, index| text.replace(&id_of(index), "<id>"))
}

/// The compression that these bytes begin as.
pub(crate) fn compression(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x1f, 0x8b, 8, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Some("zlib"),
        _ => None,
    }
}

/// Bytes that are no text, in words.
pub fn in_words(bytes: &[u8]) -> Option<String> {
    compression(bytes).map(|name| format!("{} bytes of {name}", bytes.len()))
}

/// JSON pointer to the id of event `index` in an answer, if it fits in a line.
pub fn pointer_in(answer: &[u8], index: u64) -> Option<String> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let short = |pointer: &String| pointer.len() <= SHOWN_BYTES && plain(pointer) == *pointer;
    pointer_to(&value, &id_of(index)).filter(short)
}

/// JSON pointer to a text in a value.
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

    #[test]
    fn a_pointer_with_control_characters_is_not_shown() {
        let at =
            |key: &str| pointer_in(format!("{{\"{key}\":\"{}\"}}", id_of(255)).as_bytes(), 255);
        assert_eq!(at("i d").as_deref(), Some("/i d"));
        for key in ["i\u{7f}", "i\\u001b[31m", "i\\n", &"i".repeat(SHOWN_BYTES)] {
            assert_eq!(at(key), None, "{key:?}");
        }
    }

    #[test]
    fn long_answers_are_cut() {
        let request_options = RequestOptions::default();
        assert_eq!(shown("ä".repeat(100).as_bytes(), &request_options).chars().count(), 61);
        assert!(shown(&vec![b'x'; 10_000_000], &request_options).len() < 130);
    }
}
