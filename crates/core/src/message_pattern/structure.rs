//! A pattern of JSON, matched while it is parsed: nothing of the message is built.

use super::text::TextPattern;
use super::{ANY, Search};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// Most members of one object of a pattern.
const MOST_MEMBERS: usize = 64;

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// Anything, which may be captured.
    Any(Option<String>),
    /// A text.
    Text(TextPattern),
    /// A number, true, false or null.
    Scalar(Value),
    /// An object with these members, among others.
    Object(Vec<(String, Node)>),
    /// A list that begins with these elements.
    Array(Vec<Node>),
}

impl Node {
    /// The pattern of a value, whose texts may have placeholders; adds their names to `names`.
    pub fn of(value: &Value, names: &mut Vec<String>) -> Result<Node, String> {
        Ok(match value {
            Value::String(text) => {
                let pattern = TextPattern::parse(text, names)?;
                match pattern.only() {
                    Some(name) => Node::Any(name.map(str::to_owned)),
                    None => Node::Text(pattern),
                }
            }
            Value::Object(members) if members.len() > MOST_MEMBERS => {
                return Err(format!(
                    "an object of it has more than {MOST_MEMBERS} members: leave out what does not matter"
                ));
            }
            Value::Object(members) => {
                let node =
                    |(name, value): (&String, &Value)| Ok((name.clone(), Node::of(value, names)?));
                Node::Object(members.iter().map(node).collect::<Result<_, String>>()?)
            }
            Value::Array(elements) => {
                let nodes = elements.iter().map(|element| Node::of(element, names));
                Node::Array(nodes.collect::<Result<_, String>>()?)
            }
            scalar => Node::Scalar(scalar.clone()),
        })
    }

    /// Matches a whole JSON text.
    pub fn search(&self, json: &[u8], search: &mut Search<'_>) {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let parsed = Seed { node: self, search }.deserialize(&mut deserializer);
        if parsed.and_then(|()| deserializer.end()).is_err() {
            search.fits = false;
        }
    }

    /// The first difference of a value, with its place as a JSON pointer.
    pub fn difference(&self, value: &Value, at: &str) -> Option<String> {
        let place = if at.is_empty() { "it" } else { at };
        match (self, value) {
            (Node::Any(Some(name)), Value::Object(_) | Value::Array(_)) => {
                Some(format!("{place} is no text or number that {{{name}}} could be"))
            }
            (Node::Any(_), _) => None,
            (Node::Object(members), Value::Object(found)) => {
                members.iter().find_map(|(name, node)| {
                    let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    match found.get(name) {
                        Some(value) => node.difference(value, &at),
                        None => Some(format!("it has no {at}")),
                    }
                })
            }
            (Node::Array(nodes), Value::Array(found)) => {
                nodes.iter().enumerate().find_map(|(i, node)| match found.get(i) {
                    Some(value) => node.difference(value, &format!("{at}/{i}")),
                    None => Some(format!("it has no {at}/{i}")),
                })
            }
            (Node::Scalar(wanted), found) if wanted == found => None,
            (Node::Text(pattern), Value::String(text)) => {
                let mut search = Search { index: None, fits: true, captured: None };
                pattern.search(text.as_bytes(), &mut search);
                (!search.fits).then(|| format!("{place} is {}", short(value)))
            }
            (_, found) => Some(match found {
                Value::Object(_) => format!("{place} is an object"),
                Value::Array(_) => format!("{place} is a list"),
                scalar => format!("{place} is {}", short(scalar)),
            }),
        }
    }
}

/// The beginning of a value.
fn short(value: &Value) -> String {
    const SHOWN_CHARS: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A node that looks at a value. What does not fit is no error of the parser: that would allocate.
struct Seed<'a, 'c> {
    node: &'a Node,
    search: &'a mut Search<'c>,
}

impl Seed<'_, '_> {
    fn scalar(self, is: impl FnOnce(&Value) -> bool, shown: impl FnOnce() -> String) {
        match self.node {
            Node::Any(Some(name)) if self.search.captured.is_some() => {
                self.search.capture(name, &shown());
            }
            Node::Any(_) => {}
            Node::Scalar(wanted) if is(wanted) => {}
            _ => self.search.fits = false,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.node {
            Node::Any(None) => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ANY)
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        match self.node {
            Node::Text(pattern) => pattern.search(text.as_bytes(), self.search),
            Node::Any(Some(name)) => self.search.capture(name, text),
            Node::Any(None) => {}
            _ => self.search.fits = false,
        }
        Ok(())
    }

    fn visit_bool<E>(self, found: bool) -> Result<(), E> {
        self.scalar(|wanted| *wanted == found, || found.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, found: u64) -> Result<(), E> {
        self.scalar(|wanted| *wanted == found, || found.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, found: i64) -> Result<(), E> {
        self.scalar(|wanted| *wanted == found, || found.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, found: f64) -> Result<(), E> {
        self.scalar(|wanted| *wanted == found, || found.to_string());
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.scalar(Value::is_null, || "null".to_owned());
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let members: &[(String, Node)] = match self.node {
            Node::Object(members) => members,
            node => {
                self.search.fits &= matches!(node, Node::Any(None));
                &[]
            }
        };
        let mut found = 0u64;
        while let Some(member) = map.next_key_seed(Key(members))? {
            match member {
                Some(i) => {
                    found |= 1 << i;
                    map.next_value_seed(Seed { node: &members[i].1, search: self.search })?;
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        self.search.fits &= found.count_ones() as usize == members.len();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let nodes: &[Node] = match self.node {
            Node::Array(nodes) => nodes,
            node => {
                self.search.fits &= matches!(node, Node::Any(None));
                &[]
            }
        };
        for node in nodes {
            if list.next_element_seed(Seed { node, search: self.search })?.is_none() {
                self.search.fits = false;
                return Ok(());
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Which member of a pattern a key is.
struct Key<'a>(&'a [(String, Node)]);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|(name, _)| name == key))
    }
}
