//! A secret in a text, as it stands or as programs escape it: percent-encoded, in a JSON string, in HTML, or as
//! the literal of a programming language, also one after the other.

use crate::secrets::SHORTEST;
use std::borrow::Cow;
use std::ops::Range;

/// How often a text may have been escaped.
const DEPTH: usize = 3;
/// An escape takes fewer bytes.
const LONGEST_ESCAPE: usize = 16;

/// A value, and what is shown in its place.
#[derive(Debug, Clone)]
pub(super) struct Secret {
    pub value: String,
    pub shown: String,
}

/// A place in the text, and what is shown there.
type Found<'s> = (Range<usize>, &'s str);

/// The text with every secret replaced; `cut`: also one of which the text ends with the beginning.
pub(super) fn hide<'a>(text: &'a str, secrets: &[Secret], cut: bool) -> Cow<'a, str> {
    let mut found = Vec::new();
    Decoded::of(text).search(secrets, cut, DEPTH, &mut found);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    // The longest of those that begin at one place goes first; of equal ones, the first secret.
    found.sort_by_key(|(place, _)| (place.start, std::cmp::Reverse(place.end)));
    let (mut hidden, mut kept) = (String::new(), 0);
    for (place, shown) in found {
        if place.start >= kept {
            hidden.push_str(&text[kept..place.start]);
            hidden.push_str(shown);
        }
        kept = kept.max(place.end);
    }
    hidden.push_str(&text[kept..]);
    Cow::Owned(hidden)
}

/// A text whose escapes were decoded, and where each byte of it begins in the text itself; its end included.
struct Decoded {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Decoded {
    fn of(text: &str) -> Decoded {
        Decoded { bytes: text.as_bytes().to_vec(), starts: (0..=text.len()).collect() }
    }

    /// Adds the secrets that it contains, as it stands and decoded up to `depth` times more.
    fn search<'s>(
        &self,
        secrets: &'s [Secret],
        cut: bool,
        depth: usize,
        found: &mut Vec<Found<'s>>,
    ) {
        for Secret { value, shown } in secrets {
            let value = value.as_bytes();
            let mut at = 0;
            while let Some(next) = position(&self.bytes[at..], value) {
                let place = at + next..at + next + value.len();
                found.push((self.starts[place.start]..self.starts[place.end], shown));
                at = place.end;
            }
            if let Some(start) = self.begun(value).filter(|_| cut) {
                found.push((self.starts[start]..self.starts[self.bytes.len()], shown));
            }
        }
        if depth > 0 {
            let decoded =
                ESCAPES.iter().filter_map(|(begins, escape)| self.decode(begins, *escape));
            decoded.for_each(|decoded| decoded.search(secrets, cut, depth - 1, found));
        }
    }

    /// Where its end begins, an incomplete escape or character (U+FFFD, in UTF-8 from 0xEF) apart, if that is the
    /// beginning of a value.
    fn begun(&self, value: &[u8]) -> Option<usize> {
        let length = self.bytes.len();
        let is_end =
            |end: &usize| *end == length || matches!(self.bytes[*end], b'%' | b'\\' | b'&' | 0xef);
        let ends = (length.saturating_sub(LONGEST_ESCAPE)..=length).filter(is_end);
        let begins = |end: usize| {
            if end < SHORTEST {
                return None;
            }
            let longest = end.min(value.len() - 1);
            let mut starts = end - longest..=end - SHORTEST;
            starts.find(|start| value.starts_with(&self.bytes[*start..end]))
        };
        ends.filter_map(begins).min()
    }

    /// Decoded once more; `None` where there is nothing to decode.
    fn decode(&self, begins: &[u8], escape: Escape) -> Option<Decoded> {
        let mut decoded = Decoded { bytes: Vec::new(), starts: Vec::new() };
        let (mut at, mut changed) = (0, false);
        while at < self.bytes.len() {
            let rest = &self.bytes[at..];
            let found = if begins.contains(&rest[0]) { escape(rest) } else { None };
            let (length, utf8) = match &found {
                Some((length, utf8)) => (*length, utf8.as_slice()),
                None => (1, &rest[..1]),
            };
            decoded.bytes.extend_from_slice(utf8);
            decoded.starts.extend(std::iter::repeat_n(self.starts[at], utf8.len()));
            changed |= found.is_some();
            at += length;
        }
        decoded.starts.push(self.starts[at]);
        changed.then_some(decoded)
    }
}

/// The first place of a value.
fn position(bytes: &[u8], value: &[u8]) -> Option<usize> {
    let first = *value.first()?;
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| *byte == first) {
        at += next;
        if bytes[at..].starts_with(value) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// The length of the escape with which some bytes begin, and what it stands for.
type Escape = fn(&[u8]) -> Option<(usize, Vec<u8>)>;

/// With which bytes escapes begin, and how they are read. In a form a plus is a space.
const ESCAPES: [(&[u8], Escape); 4] =
    [(b"%", percent), (b"+%", form), (b"\\", backslash), (b"&", entity)];

/// `%2F`
fn percent(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    let byte = number(bytes.get(1..3)?)?;
    Some((3, vec![byte as u8]))
}

fn form(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    if bytes[0] == b'+' { Some((1, vec![b' '])) } else { percent(bytes) }
}

/// `\"`, `\u002f`, a pair of them beyond the first plane, `\u{2f}` or the byte `\x2f`.
fn backslash(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    let character = |length: usize, code: u32| {
        let c = char::from_u32(code)?;
        Some((length, c.to_string().into_bytes()))
    };
    match bytes.get(1)? {
        b'x' => Some((4, vec![number(bytes.get(2..4)?)? as u8])),
        b'u' if bytes.get(2) == Some(&b'{') => {
            let digits = bytes[3..].iter().take(7).position(|byte| *byte == b'}')?;
            character(digits + 4, number(&bytes[3..digits + 3])?)
        }
        b'u' => match number(bytes.get(2..6)?)? {
            high @ 0xd800..0xdc00 => {
                let low =
                    bytes[6..].strip_prefix(b"\\u").and_then(|rest| number(rest.get(..4)?))?;
                let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                character(12, 0x10000 + ((high - 0xd800) << 10) + low)
            }
            code => character(6, code),
        },
        byte if byte.is_ascii_punctuation() => Some((2, vec![*byte])),
        _ => None,
    }
}

/// `&quot;`, `&#34;` or `&#x22;`
fn entity(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    let end = bytes.iter().take(LONGEST_ESCAPE).position(|byte| *byte == b';')?;
    let c = match &bytes[1..end] {
        [b'#', b'x' | b'X', hex @ ..] => char::from_u32(number(hex)?)?,
        [b'#', digits @ ..] => char::from_u32(std::str::from_utf8(digits).ok()?.parse().ok()?)?,
        b"quot" => '"',
        b"apos" => '\'',
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        _ => return None,
    };
    Some((end + 1, c.to_string().into_bytes()))
}

/// Hexadecimal digits, at least one.
fn number(digits: &[u8]) -> Option<u32> {
    let hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
    hexadecimal.then(|| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())?
}
