//! What a message must look like: `{"type":"next","id":"{id}"}`, `43{any}`, `RECEIPT\nreceipt-id:{id}\n{any}`.
//!
//! A pattern that is JSON, also behind digits as Engine.IO has them, is matched by structure: an object by the
//! members that the pattern names, a list by its first elements. Any other pattern is matched as text. In both
//! `{id}` is the id of an event, `{any}` anything, and another name captures what stands there.

mod structure;
mod text;

use structure::Node;
use text::TextPattern;

/// Stands for anything.
pub const ANY: &str = "any";

/// Values by the names under which patterns have captured them.
pub type Captured = Vec<(String, String)>;

/// A pattern of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePattern {
    written: String,
    /// The pattern as bytes before and after its id, where nothing else in it varies: most answers are these bytes,
    /// and need no parser.
    exact: Option<[Box<[u8]>; 2]>,
    shape: Shape,
    names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Text(TextPattern),
    /// Digits, and the JSON behind them.
    Json(Box<[u8]>, Node),
}

/// What a message that fits a pattern brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// The event whose id it has, where the pattern has an id.
    pub index: Option<u64>,
}

/// What a message has shown so far.
struct Search<'a> {
    index: Option<u64>,
    fits: bool,
    captured: Option<&'a mut Captured>,
}

impl Search<'_> {
    fn id(&mut self, id: &[u8]) {
        let index = super::event::index_of(id);
        // The same id wherever the pattern has one.
        self.fits &= index.is_some() && (self.index.is_none() || self.index == index);
        self.index = index;
    }

    fn capture(&mut self, name: &str, value: &str) {
        let Some(captured) = &mut self.captured else { return };
        match captured.iter().find(|(known, _)| known == name) {
            Some((_, known)) => self.fits &= known == value,
            None => captured.push((name.to_owned(), value.to_owned())),
        }
    }
}

impl MessagePattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub fn parse(written: &str) -> Result<MessagePattern, String> {
        if written.is_empty() {
            return Err("it is empty: write what the message looks like".to_owned());
        }
        let mut names = Vec::new();
        let shape = match json_begin(written) {
            Some(begin) => {
                let (digits, json) = written.split_at(begin);
                let value = serde_json::from_str(json).map_err(|e| no_json(written, json, &e))?;
                Shape::Json(digits.as_bytes().into(), Node::of(&value, &mut names)?)
            }
            None => Shape::Text(TextPattern::parse(written, &mut names)?),
        };
        let exact = written.split_once("{id}").filter(|_| names == ["id"]);
        let exact = exact.map(|(before, after)| [before, after].map(|text| text.as_bytes().into()));
        Ok(MessagePattern { written: written.to_owned(), exact, shape, names })
    }

    /// As it was written, in one line.
    pub fn shown(&self) -> String {
        one_line(&self.written)
    }

    /// It says where the event's id is.
    pub fn has_id(&self) -> bool {
        self.names.iter().any(|name| name == "id")
    }

    /// The names under which it captures values.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str).filter(|name| !["id", ANY].contains(name))
    }

    /// Whether a message fits, and the event that it names. Allocates nothing unless the message has escaped
    /// characters or is deeply nested.
    #[inline]
    pub fn fit(&self, message: &[u8]) -> Option<Fit> {
        if let Some([before, after]) = &self.exact
            && let Some(id) = message.strip_prefix(&**before).and_then(|m| m.strip_suffix(&**after))
            && let Some(index) = super::event::index_of(id)
        {
            return Some(Fit { index: Some(index) });
        }
        self.search(message, None)
    }

    /// The same with the values that it captures. A name that is among `captured` already must have the same value.
    pub fn capture(&self, message: &[u8], captured: &mut Captured) -> Option<Fit> {
        let mut found = captured.clone();
        let fit = self.search(message, Some(&mut found))?;
        *captured = found;
        Some(fit)
    }

    #[inline(never)]
    fn search(&self, message: &[u8], captured: Option<&mut Captured>) -> Option<Fit> {
        let mut search = Search { index: None, fits: true, captured };
        match &self.shape {
            Shape::Text(text) => text.search(message, &mut search),
            Shape::Json(digits, node) => match message.strip_prefix(&**digits) {
                Some(json) => node.search(json, &mut search),
                None => search.fits = false,
            },
        }
        search.fits.then_some(Fit { index: search.index })
    }

    /// Why a message does not fit; `None` if it does.
    pub fn difference(&self, message: &[u8]) -> Option<String> {
        if self.fit(message).is_some() {
            return None;
        }
        let Shape::Json(digits, node) = &self.shape else {
            return Some(format!("it does not look like `{}`", self.shown()));
        };
        let Some(json) = message.strip_prefix(&**digits) else {
            return Some(format!("it does not begin with {}", String::from_utf8_lossy(digits)));
        };
        match serde_json::from_slice(json) {
            Ok(value) => node
                .difference(&value, "")
                .or_else(|| Some("it has a member twice, with different values".to_owned())),
            Err(_) => Some("it is not JSON".to_owned()),
        }
    }
}

/// Where JSON begins in a text that is JSON, or JSON behind digits.
pub(crate) fn json_begin(text: &str) -> Option<usize> {
    let begin = text.find(|c: char| !c.is_ascii_digit())?;
    let rest = &text[begin..];
    (rest.starts_with('[') || rest.starts_with('{') && super::wording::name(rest).is_none())
        .then_some(begin)
}

/// Says where a text, of which `json` is the end, stops being JSON.
pub(crate) fn no_json(written: &str, json: &str, e: &serde_json::Error) -> String {
    let remedy = "correct it; a placeholder for a text stands in quotes, such as \"{id}\" or \"{event_text}\", and \
                  {event} without them";
    if e.is_eof() {
        return format!("it is not JSON, its end is missing: {remedy}");
    }
    let lines: usize = json.split('\n').take(e.line().saturating_sub(1)).map(|l| l.len() + 1).sum();
    let at = written.len() - json.len() + lines + e.column().saturating_sub(1);
    let at = written.floor_char_boundary(at);
    let shown: String = written[at..].chars().take(20).collect();
    let number = written[..at].chars().count() + 1;
    format!("it is not JSON at character {number}, before `{}`: {remedy}", one_line(&shown))
}

/// The text with control characters as TOML and JSON write them.
fn one_line(text: &str) -> String {
    let written = |c: char| match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(written).collect()
}

#[cfg(test)]
mod tests;
