//! A text in a user's own words with places to fill in: `{"callback": "{subscriber_url}"}`.

use crate::message_pattern;
use crate::message_pattern::Captured;
use crate::suggest::did_you_mean;

/// Stands for the whole event.
pub const EVENT: &str = "event";
/// Stands for the whole event as the content of a JSON string, without the quotes.
pub const EVENT_TEXT: &str = "event_text";
/// Stands for the event's id.
pub const ID: &str = "id";
/// Stands for the address of one subscriber.
pub const SUBSCRIBER_URL: &str = "subscriber_url";
/// Stands for the addresses of all subscribers.
pub const SUBSCRIBER_URLS: &str = "subscriber_urls";
/// The environment variable that tells a target the address of the driver, where that is in another network namespace.
pub const DRIVER_ADDRESS: &str = "PUSHBENCH_DRIVER_ADDRESS";
/// The environment variable that tells a built-in publisher the hosts beside this machine to which it may deliver, separated
/// by commas.
pub const RECEIVER_HOSTS: &str = "PUSHBENCH_RECEIVER_HOSTS";
/// The environment variable that tells a built-in server the forward proxy that its deliveries and callbacks go through.
pub const FORWARD_PROXY: &str = "PUSHBENCH_FORWARD_PROXY";

/// A text taken apart at its places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wording {
    pieces: Vec<Piece>,
}

/// A part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// To be written as it is.
    Text(String),
    /// To be filled in.
    Place(String),
}

impl Wording {
    /// Of these parts.
    pub fn of(pieces: impl Into<Vec<Piece>>) -> Wording {
        Wording { pieces: pieces.into() }
    }

    /// Takes a text apart that may hold these places; the error says what is wrong. A place is a name in braces,
    /// which no JSON outside of its texts is.
    pub fn parse(text: &str, places: &[&str]) -> Result<Wording, String> {
        let listed = || listed(places);
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
            if !places.contains(&name) {
                let near = did_you_mean(name, places.iter().copied());
                let instead = match places {
                    [] => "there are none".to_owned(),
                    _ => format!("write {}", listed()),
                };
                return Err(format!("{{{name}}} is not a placeholder here{near}: {instead}"));
            }
            plain_piece(&mut pieces, &mut plain);
            pieces.push(Piece::Place(name.to_owned()));
            rest = &rest[name.len() + 2..];
        }
        plain.push_str(rest);
        plain_piece(&mut pieces, &mut plain);
        Ok(Wording { pieces })
    }

    /// The same where one of the places must occur.
    pub fn parse_with_place(text: &str, places: &[&str]) -> Result<Wording, String> {
        let wording = Wording::parse(text, places)?;
        if places.iter().any(|place| wording.has(place)) {
            return Ok(wording);
        }
        Err(format!("it has no placeholder: write {} where it belongs", listed(places)))
    }

    /// Refuses a text that is meant to be JSON, also behind digits, and is none when its places are filled in.
    pub fn check_json(&self) -> Result<(), String> {
        // A place keeps its length, so that an error is found where it was written.
        let filled = self.filled(|place| match place {
            // As long as the placeholder, and no content of a string.
            EVENT => r#"{"a":1}"#.to_owned(),
            other => "x".repeat(other.len() + 2),
        });
        let Some(begin) = message_pattern::json_begin(&filled) else { return Ok(()) };
        let json = &filled[begin..];
        match serde_json::from_str::<serde::de::IgnoredAny>(json) {
            Ok(_) => Ok(()),
            Err(e) => Err(message_pattern::no_json(&self.written(), json, &e)),
        }
    }

    /// The same with the places filled in whose values are known; in JSON as the content of a string.
    #[must_use]
    pub fn with(&self, values: &Captured) -> Wording {
        let is_json = message_pattern::json_begin(&self.written()).is_some();
        let known = |piece: &Piece| match piece {
            Piece::Place(place) => match values.iter().find(|(name, _)| name == place) {
                Some((_, value)) if is_json => Piece::Text(json_content(value)),
                Some((_, value)) => Piece::Text(value.clone()),
                None => piece.clone(),
            },
            text => text.clone(),
        };
        Wording { pieces: self.pieces.iter().map(known).collect() }
    }

    /// The text as it was written.
    pub fn written(&self) -> String {
        self.filled(|place| format!("{{{place}}}"))
    }

    /// Its parts in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether it has this place.
    pub fn has(&self, place: &str) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Place(p) if p == place))
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

/// A text as the content of a JSON string, without the quotes.
pub fn json_content(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn listed(places: &[&str]) -> String {
    places.iter().map(|p| format!("{{{p}}}")).collect::<Vec<_>>().join(" or ")
}

fn plain_piece(pieces: &mut Vec<Piece>, plain: &mut String) {
    if !plain.is_empty() {
        pieces.push(Piece::Text(std::mem::take(plain)));
    }
}

/// The names in braces in a text.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{').filter_map(|(at, _)| name(&text[at..]))
}

/// The name in `{name}…`.
pub(crate) fn name(text: &str) -> Option<&str> {
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
        let known = vec![("id".to_owned(), "8".to_owned())];
        let wording = Wording::parse("{event}-{id}", &[EVENT, ID]).unwrap().with(&known);
        assert!(wording.has(EVENT) && !wording.has(ID));
        assert_eq!(wording.filled(|_| "e".into()), "e-8");
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        let refused =
            |text| Wording::parse_with_place(text, &[SUBSCRIBER_URL, SUBSCRIBER_URLS]).unwrap_err();
        let message = refused(r#"{"url": "{subscriber_ur}"}"#);
        assert!(
            message.contains("{subscriber_ur}") && message.contains("did you mean"),
            "{message}"
        );
        for empty in ["", "{}", "{{}", r#"{"url": "x"}"#, "{subscriber_url"] {
            assert!(refused(empty).contains("no place"), "{empty}");
        }
    }

    #[test]
    fn what_is_meant_to_be_json_is_json() {
        let check = |text| Wording::parse(text, &[EVENT, EVENT_TEXT, ID]).unwrap().check_json();
        for good in [
            r#"42["event",{event}]"#,
            r#"{"id":"{id}","data":"{event_text}"}"#,
            "SEND\nid:{id}\n\n{event}\0",
            "{event}",
            "2",
            "PUB {a",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, at) in [
            (r#"42["event",{event}"#, "its end is missing"),
            (r#"{"id":"{id}","data":{event},}"#, "at character 29, before `}`"),
            (r#"{"id":{id}}"#, "at character 7, before `{id}}`"),
            (r#"{"data":"{event}"}"#, "at character 12"),
            ("[\n1\n2]", "at character 5, before `2]`"),
        ] {
            let message = check(bad).unwrap_err();
            assert!(message.contains(at), "{bad}: {message}");
        }
    }
}
