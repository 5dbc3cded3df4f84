//! A pattern of text: fixed parts with anything between them.

use super::{ANY, Search};
use crate::scenario::payload::ID_DIGITS;
use crate::wording::name;

/// Fixed parts; between two of them stands anything, which may be captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextPattern {
    fixed: Vec<Fixed>,
    /// What stands between them: a name, or nothing where it is not kept.
    between: Vec<Option<String>>,
}

/// Bytes of a known number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Fixed {
    parts: Vec<Part>,
    length: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<[u8]>),
    Id,
}

impl Fixed {
    fn literal(&mut self, text: &str) {
        if !text.is_empty() {
            self.parts.push(Part::Literal(text.as_bytes().into()));
            self.length += text.len();
        }
    }

    /// Whether these bytes, of its length, are it.
    fn is(&self, mut bytes: &[u8]) -> bool {
        self.parts.iter().all(|part| {
            let length = match part {
                Part::Literal(text) => text.len(),
                Part::Id => ID_DIGITS,
            };
            let (part_bytes, rest) = bytes.split_at(length);
            bytes = rest;
            match part {
                Part::Literal(text) => **text == *part_bytes,
                Part::Id => crate::event::index_of(part_bytes).is_some(),
            }
        })
    }

    fn take(&self, mut bytes: &[u8], search: &mut Search<'_>) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => bytes = &bytes[text.len()..],
                Part::Id => {
                    let (id, rest) = bytes.split_at(ID_DIGITS);
                    search.id(id);
                    bytes = rest;
                }
            }
        }
    }
}

impl TextPattern {
    /// Reads a pattern, and adds its names to `names`.
    pub fn parse(text: &str, names: &mut Vec<String>) -> Result<TextPattern, String> {
        let mut pattern = TextPattern { fixed: vec![Fixed::default()], between: Vec::new() };
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let last = pattern.fixed.len() - 1;
            let Some(found) = name(&rest[at..]) else {
                pattern.fixed[last].literal(&rest[..=at]);
                rest = &rest[at + 1..];
                continue;
            };
            pattern.fixed[last].literal(&rest[..at]);
            names.push(found.to_owned());
            if found == "id" {
                pattern.fixed[last].parts.push(Part::Id);
                pattern.fixed[last].length += ID_DIGITS;
            } else {
                if pattern.fixed[last].parts.is_empty() && !pattern.between.is_empty() {
                    return Err(format!(
                        "{{{found}}} stands directly behind another placeholder, so where one ends and the other \
                         begins is unknown: write what stands between them"
                    ));
                }
                pattern.between.push((found != ANY).then(|| found.to_owned()));
                pattern.fixed.push(Fixed::default());
            }
            rest = &rest[at + found.len() + 2..];
        }
        let last = pattern.fixed.len() - 1;
        pattern.fixed[last].literal(rest);
        Ok(pattern)
    }

    /// The name of a pattern that is a placeholder and nothing else.
    pub fn only(&self) -> Option<Option<&str>> {
        let empty = self.fixed.iter().all(|fixed| fixed.parts.is_empty());
        let one = self.between.len() == 1 && empty;
        one.then(|| self.between[0].as_deref())
    }

    /// Matches the whole text. What stands between two fixed parts is as short as possible.
    pub fn search(&self, text: &[u8], search: &mut Search<'_>) {
        let (first, last) = (&self.fixed[0], &self.fixed[self.fixed.len() - 1]);
        let least: usize = self.fixed.iter().map(|fixed| fixed.length).sum();
        let varies = !self.between.is_empty();
        if text.len() < least || !varies && text.len() != least || !first.is(&text[..first.length])
        {
            search.fits = false;
            return;
        }
        first.take(text, search);
        if !varies {
            return;
        }
        let end = text.len() - last.length;
        let mut from = first.length;
        for (fixed, name) in self.fixed[1..].iter().zip(&self.between) {
            let at = match std::ptr::eq(fixed, last) {
                true => (end >= from && last.is(&text[end..])).then_some(end),
                false => (from..=(end.saturating_sub(fixed.length)))
                    .find(|at| fixed.is(&text[*at..*at + fixed.length])),
            };
            let Some(at) = at else {
                search.fits = false;
                return;
            };
            if let Some(name) = name {
                search.capture(name, &String::from_utf8_lossy(&text[from..at]));
            }
            fixed.take(&text[at..], search);
            from = at + fixed.length;
        }
    }
}
