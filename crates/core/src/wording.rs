//! A text in a user's own words with places to fill in: `{"callback": "{subscriber_url}"}`.

use crate::suggest::did_you_mean;

/// Stands for the whole event.
pub const EVENT: &str = "event";
/// Stands for the event's id.
pub const ID: &str = "id";
/// Stands for the address of one subscriber.
pub const SUBSCRIBER_URL: &str = "subscriber_url";
/// Stands for the addresses of all subscribers.
pub const SUBSCRIBER_URLS: &str = "subscriber_urls";

/// A text taken apart at its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    pieces: Vec<Piece>,
}

/// A part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// To be written as it is.
    Text(String),
    /// To be filled in.
    Place(&'static str),
}

impl Wording {
    /// Takes a text apart. It must hold one of these places at least; the error says what is wrong.
    /// A place is a name in braces, which no JSON outside of its texts is.
    pub fn parse(text: &str, places: &[&'static str]) -> Result<Wording, String> {
        let listed = || places.iter().map(|p| format!("{{{p}}}")).collect::<Vec<_>>().join(" or ");
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            let Some(name) = name(rest) else {
                plain.push('{');
                rest = &rest[1..];
                continue;
            };
            let place = places.iter().find(|place| **place == name).ok_or_else(|| {
                let near = did_you_mean(name, places.iter().copied());
                format!("{{{name}}} is not a placeholder here{near}: write {}", listed())
            })?;
            pieces.extend([Piece::Text(std::mem::take(&mut plain)), Piece::Place(place)]);
            rest = &rest[name.len() + 2..];
        }
        if pieces.is_empty() {
            return Err(format!("it has no placeholder: write {} where it belongs", listed()));
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Ok(Wording { pieces })
    }

    /// Its parts in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether it has this place.
    pub fn has(&self, place: &str) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Place(p) if *p == place))
    }

    /// The text with every place filled in.
    pub fn filled(&self, with: impl Fn(&str) -> String) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Place(place) => with(place),
        };
        self.pieces.iter().map(text).collect()
    }
}

/// The name in `{name}…`.
fn name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_from_json() {
        let wording =
            Wording::parse(r#"{"a": {}, "b": [{event}], "c": {"{id}": 1}}"#, &[EVENT, ID]);
        let wording = wording.unwrap();
        assert!(wording.has(EVENT) && wording.has(ID) && !wording.has(SUBSCRIBER_URL));
        let filled = wording.filled(str::to_uppercase);
        assert_eq!(filled, r#"{"a": {}, "b": [EVENT], "c": {"ID": 1}}"#);
        assert_eq!(Wording::parse("{id}", &[ID]).unwrap().filled(|_| "7".into()), "7");
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        let refused = |text| Wording::parse(text, &[SUBSCRIBER_URL, SUBSCRIBER_URLS]).unwrap_err();
        let message = refused(r#"{"url": "{subscriber_ur}"}"#);
        assert!(
            message.contains("{subscriber_ur}") && message.contains("did you mean"),
            "{message}"
        );
        for empty in ["", "{}", "{{}", r#"{"url": "x"}"#, "{subscriber_url"] {
            assert!(refused(empty).contains("no place"), "{empty}");
        }
    }
}
