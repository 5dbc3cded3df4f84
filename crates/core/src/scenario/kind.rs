//! Kinds of values: what a key takes. Each kind is the one place that knows its words for messages, the
//! limits it checks, and its JSON Schema.

use crate::arm::ArmSpec;
use crate::scenario::pattern;
use crate::scenario::raw::{Raw, plain};
use crate::suggest::did_you_mean;
use crate::units;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// What a key takes.
pub trait Kind: Sync {
    /// What a value becomes once it is read.
    type Value;
    /// In words, to follow "write" or "takes".
    fn takes(&self) -> String;
    /// Reads a value, or says what is wrong with it.
    fn read(&self, raw: &Raw) -> Result<Self::Value, String>;
    /// A value as written in a file; `None` when it cannot be written.
    fn written(&self, value: &Self::Value) -> Option<Json>;
    /// Its JSON Schema. It refuses nothing that is read, except odd spellings.
    fn schema(&self) -> Json;

    /// The error of a value that does not fit.
    fn refused(&self) -> String {
        format!("write {}", self.takes())
    }
}

/// Any text.
pub struct Text;

impl Kind for Text {
    type Value = String;
    fn takes(&self) -> String {
        "text".into()
    }
    fn read(&self, raw: &Raw) -> Result<String, String> {
        raw.text()
    }
    fn written(&self, value: &String) -> Option<Json> {
        (!value.is_empty()).then(|| json!(value))
    }
    fn schema(&self) -> Json {
        json!({ "type": "string" })
    }
}

/// Arms, separated by spaces.
pub struct Arms;

impl Kind for Arms {
    type Value = Vec<String>;
    fn takes(&self) -> String {
        "arms separated by spaces, for example \"webhook@builtin websocket@builtin\"".into()
    }
    fn read(&self, raw: &Raw) -> Result<Vec<String>, String> {
        let text = raw.text()?;
        let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty());
        let arms = words.map(|arm| match ArmSpec::parse(arm) {
            Ok(_) => Ok(arm.to_owned()),
            Err(e) => Err(e.to_string().trim_start_matches("--arm ").to_owned()),
        });
        arms.collect()
    }
    fn written(&self, value: &Vec<String>) -> Option<Json> {
        (!value.is_empty()).then(|| json!(value.join(" ")))
    }
    fn schema(&self) -> Json {
        json!({ "type": "string" })
    }
}

/// A name that is allowed in a path, of at most this many characters.
pub struct Name(pub usize);

impl Kind for Name {
    type Value = String;
    fn takes(&self) -> String {
        format!("up to {} letters, digits, - and _", self.0)
    }
    fn read(&self, raw: &Raw) -> Result<String, String> {
        let name = raw.text()?;
        let safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let fits = !name.is_empty() && name.len() <= self.0 && name.chars().all(safe);
        if fits { Ok(name) } else { Err(self.refused()) }
    }
    fn written(&self, value: &String) -> Option<Json> {
        (!value.is_empty()).then(|| json!(value))
    }
    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": format!("^[A-Za-z0-9_-]{{1,{}}}$", self.0) })
    }
}

/// One of these words, each with its meaning.
pub struct OneOf<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq + Sync> OneOf<T> {
    fn words(&self) -> impl DoubleEndedIterator<Item = &'static str> {
        self.0.iter().map(|(word, _)| *word)
    }
}

impl<T: Copy + PartialEq + Sync> Kind for OneOf<T> {
    type Value = T;
    fn takes(&self) -> String {
        let mut words: Vec<&str> = self.words().collect();
        let last = words.pop().unwrap_or_default();
        if words.is_empty() { last.into() } else { format!("{} or {last}", words.join(", ")) }
    }
    fn read(&self, raw: &Raw) -> Result<T, String> {
        let text = raw.text()?;
        let found = self.0.iter().find(|(word, _)| *word == text);
        found
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| format!("{}{}", self.refused(), did_you_mean(&text, self.words())))
    }
    fn written(&self, value: &T) -> Option<Json> {
        self.0.iter().find(|(_, meaning)| meaning == value).map(|(word, _)| json!(word))
    }
    fn schema(&self) -> Json {
        json!({ "enum": self.words().collect::<Vec<_>>() })
    }
}

/// Yes or no.
pub struct Switch;

impl Kind for Switch {
    type Value = bool;
    fn takes(&self) -> String {
        "true or false".into()
    }
    fn read(&self, raw: &Raw) -> Result<bool, String> {
        match raw {
            Raw::Switch(on) => Ok(*on),
            // From the command line, where nothing is quoted.
            Raw::Text(word) => word.parse().map_err(|_| self.refused()),
            _ => Err(self.refused()),
        }
    }
    fn written(&self, value: &bool) -> Option<Json> {
        Some(json!(value))
    }
    fn schema(&self) -> Json {
        json!({ "enum": [true, false, "true", "false"] })
    }
}

/// A number, not negative.
pub struct Number {
    /// What is counted.
    pub unit: &'static str,
    /// Zero is one of them.
    pub zero: bool,
    /// The largest; infinite where there is none.
    pub most: f64,
}

impl Kind for Number {
    type Value = f64;
    fn takes(&self) -> String {
        let least = if self.zero { "0 or more" } else { "more than 0" };
        match self.most.is_finite() {
            true => format!("{}, {least} and at most {}", self.unit, plain(self.most)),
            false => format!("{}, {least}", self.unit),
        }
    }
    fn read(&self, raw: &Raw) -> Result<f64, String> {
        let number = raw.number()?;
        let fits = number <= self.most && (self.zero || number > 0.0);
        if fits { Ok(number) } else { Err(self.refused()) }
    }
    fn written(&self, value: &f64) -> Option<Json> {
        Some(Raw::Number(*value).json())
    }
    fn schema(&self) -> Json {
        let mut schema = json!({ "type": "number" });
        schema[if self.zero { "minimum" } else { "exclusiveMinimum" }] = json!(0);
        if self.most.is_finite() {
            schema["maximum"] = Raw::Number(self.most).json();
        }
        schema
    }
}

/// A whole number from the first to the second.
pub struct Whole(pub usize, pub usize);

impl Kind for Whole {
    type Value = usize;
    fn takes(&self) -> String {
        format!("a whole number from {} to {}", self.0, self.1)
    }
    fn read(&self, raw: &Raw) -> Result<usize, String> {
        let number = raw.number()?;
        let fits = number.fract() == 0.0 && (self.0 as f64..=self.1 as f64).contains(&number);
        if fits { Ok(number as usize) } else { Err(self.refused()) }
    }
    fn written(&self, value: &usize) -> Option<Json> {
        Some(json!(value))
    }
    fn schema(&self) -> Json {
        json!({ "type": "integer", "minimum": self.0, "maximum": self.1 })
    }
}

/// A duration of at least this.
pub struct Length(pub Duration);

impl Kind for Length {
    type Value = Duration;
    fn takes(&self) -> String {
        match self.0.as_nanos() {
            0 => "a duration such as 500ms".into(),
            1 => "a duration of more than zero, for example 500ms".into(),
            _ => format!("a duration of at least {}", written(self.0)),
        }
    }
    fn read(&self, raw: &Raw) -> Result<Duration, String> {
        let length = units::parse_duration(&raw.text()?)?;
        if length < self.0 { Err(self.refused()) } else { Ok(length) }
    }
    fn written(&self, value: &Duration) -> Option<Json> {
        Some(json!(written(*value)))
    }
    fn schema(&self) -> Json {
        let pattern = format!("^({})$", pattern::duration());
        match self.0.is_zero() {
            // A bare 0 needs no unit.
            true => {
                json!({ "type": ["string", "integer"], "pattern": pattern, "minimum": 0, "maximum": 0 })
            }
            false => {
                json!({ "type": "string", "pattern": pattern, "not": { "pattern": "^[^1-9]*$" } })
            }
        }
    }
}

/// In the largest unit that holds it without a fraction.
fn written(length: Duration) -> String {
    let ns = length.as_nanos();
    let whole = |(name, unit): &&(&str, f64)| name.is_ascii() && ns.is_multiple_of(*unit as u128);
    match units::TIME_UNITS.iter().rev().filter(|_| ns > 0).find(whole) {
        Some((name, unit)) => format!("{}{name}", ns / *unit as u128),
        None => "0s".into(),
    }
}

/// A number of bytes.
pub struct Size {
    /// The smallest.
    pub least: usize,
    /// The largest.
    pub most: usize,
}

impl Kind for Size {
    type Value = usize;
    fn takes(&self) -> String {
        format!("a size such as 512 or 64KiB, from {} to {} bytes", self.least, self.most)
    }
    fn read(&self, raw: &Raw) -> Result<usize, String> {
        let bytes = units::parse_size(&raw.text()?)?;
        let fits = (self.least as u64..=self.most as u64).contains(&bytes);
        if fits { Ok(bytes as usize) } else { Err(self.refused()) }
    }
    fn written(&self, value: &usize) -> Option<Json> {
        Some(json!(value))
    }
    fn schema(&self) -> Json {
        let pattern = format!("^({})$", pattern::size(self.most as u64));
        let kinds = ["integer", "string"];
        json!({ "type": kinds, "minimum": self.least, "maximum": self.most, "pattern": pattern })
    }
}

/// Bits per second.
pub struct BitRate;

impl Kind for BitRate {
    type Value = u64;
    fn takes(&self) -> String {
        "bits per second such as \"10 Mbit/s\", at least 1 kbit/s".into()
    }
    fn read(&self, raw: &Raw) -> Result<u64, String> {
        match units::parse_bit_rate(&raw.text()?)? {
            rate if rate < 1000 => Err(self.refused()),
            rate => Ok(rate),
        }
    }
    fn written(&self, value: &u64) -> Option<Json> {
        Some(json!(units::bit_rate(*value)))
    }
    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^0*[1-9][0-9]{0,5} *[kMG]bit/s$" })
    }
}

/// Names, separated by spaces or in a list.
pub struct Names(pub &'static str);

impl Kind for Names {
    type Value = Vec<String>;
    fn takes(&self) -> String {
        format!("names of {}, for example {}", self.0, r#"["nginx"]"#)
    }
    fn read(&self, raw: &Raw) -> Result<Vec<String>, String> {
        let text = raw.text()?;
        let names = text.split_whitespace().map(|name| Name(64).read(&Raw::Text(name.to_owned())));
        names.collect::<Result<Vec<_>, _>>().map_err(|_| self.refused())
    }
    fn written(&self, value: &Vec<String>) -> Option<Json> {
        Some(json!(value.join(" ")))
    }
    fn schema(&self) -> Json {
        json!({ "type": ["string", "array"], "items": { "type": "string" }, "pattern": "^ *([A-Za-z0-9_-]{1,64} *)+$" })
    }
}

/// A share, at most this many percent.
pub struct Percent(pub u64);

impl Kind for Percent {
    type Value = f64;
    fn takes(&self) -> String {
        format!("a percentage such as 5%, at most {}%", self.0)
    }
    fn read(&self, raw: &Raw) -> Result<f64, String> {
        let share = units::parse_percent(&raw.text()?)?;
        if share > self.0 as f64 / 100.0 { Err(self.refused()) } else { Ok(share) }
    }
    fn written(&self, value: &f64) -> Option<Json> {
        Some(json!(format!("{}%", value * 100.0)))
    }
    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": format!("^({})$", pattern::percent(self.0)) })
    }
}

/// This word, which means none, or another kind.
pub struct Or<K>(pub &'static str, pub K);

impl<K: Kind> Kind for Or<K> {
    type Value = Option<K::Value>;
    fn takes(&self) -> String {
        format!("\"{}\" or {}", self.0, self.1.takes())
    }
    fn read(&self, raw: &Raw) -> Result<Self::Value, String> {
        match raw {
            Raw::Text(word) if word == self.0 => Ok(None),
            other => self.1.read(other).map(Some).map_err(|why| match why == self.1.refused() {
                true => self.refused(),
                false => format!("{why}, or \"{}\"", self.0),
            }),
        }
    }
    fn written(&self, value: &Self::Value) -> Option<Json> {
        value.as_ref().map_or_else(|| Some(json!(self.0)), |v| self.1.written(v))
    }
    fn schema(&self) -> Json {
        json!({ "anyOf": [{ "const": self.0 }, self.1.schema()] })
    }
}

/// A key that may be left out.
pub struct Optional<K>(pub K);

impl<K: Kind> Kind for Optional<K> {
    type Value = Option<K::Value>;
    fn takes(&self) -> String {
        self.0.takes()
    }
    fn read(&self, raw: &Raw) -> Result<Self::Value, String> {
        self.0.read(raw).map(Some)
    }
    fn written(&self, value: &Self::Value) -> Option<Json> {
        value.as_ref().and_then(|v| self.0.written(v))
    }
    fn schema(&self) -> Json {
        self.0.schema()
    }
}
