//! The registry of scenario keys: the one place that knows what a key takes. Files, `--set`, the named
//! options, sweeps and the schema all go through it. A newcomer adds one entry.

mod compared;
mod delivered;
mod guarantee;
mod path;
mod price;
mod sent;

use crate::scenario::draft::Draft;
use crate::scenario::kind::{Kind, Length};
use crate::scenario::raw::Raw;
use serde_json::Value as Json;
use std::path::PathBuf;
use std::time::Duration;

/// One key.
pub struct Key {
    /// `load.rate`
    pub path: &'static str,
    /// What it is.
    pub about: &'static str,
    /// May be in `[sweep]`.
    pub(crate) sweepable: bool,
    setting: &'static dyn Setting,
}

impl Key {
    /// What it takes, in words.
    pub fn takes(&self) -> String {
        self.setting.takes()
    }

    /// A list of its words is also read outside `[sweep]`.
    pub fn takes_list(&self) -> bool {
        self.schema()["type"] == serde_json::json!(["string", "array"])
    }

    /// Reads a value into its place, or says what is wrong with it.
    pub fn apply(&self, draft: &mut Draft, raw: &Raw) -> Result<(), String> {
        self.setting.apply(draft, raw)
    }

    /// The JSON Schema of its values.
    pub fn schema(&self) -> Json {
        self.setting.schema()
    }

    /// What holds when it is left out, as it would stand in a file.
    pub fn default(&self) -> Option<Json> {
        self.setting.written(&mut Draft::new(PathBuf::new()))
    }
}

/// A kind of value and its place in a draft.
struct Field<K: Kind> {
    kind: K,
    place: fn(&mut Draft) -> &mut K::Value,
}

/// A [`Field`] of any kind.
trait Setting: Sync {
    fn takes(&self) -> String;
    fn apply(&self, draft: &mut Draft, raw: &Raw) -> Result<(), String>;
    fn schema(&self) -> Json;
    fn written(&self, draft: &mut Draft) -> Option<Json>;
}

impl<K: Kind> Setting for Field<K> {
    fn takes(&self) -> String {
        self.kind.takes()
    }

    fn apply(&self, draft: &mut Draft, raw: &Raw) -> Result<(), String> {
        *(self.place)(draft) = self.kind.read(raw)?;
        Ok(())
    }

    fn schema(&self) -> Json {
        self.kind.schema()
    }

    fn written(&self, draft: &mut Draft) -> Option<Json> {
        self.kind.written((self.place)(draft))
    }
}

/// `fixed` keys have one value, `swept` ones may also be in `[sweep]`.
macro_rules! key {
    (fixed $($entry:tt)*) => { key!(false, $($entry)*) };
    (swept $($entry:tt)*) => { key!(true, $($entry)*) };
    ($sweepable:literal, $path:literal, $about:literal, $kind:expr, $place:expr) => {
        Key {
            path: $path,
            about: $about,
            sweepable: $sweepable,
            setting: &Field { kind: $kind, place: $place },
        }
    };
}
use key;

/// A duration that may be zero.
const ANY_LENGTH: Length = Length(Duration::ZERO);
/// A duration that may not.
const SOME_LENGTH: Length = Length(Duration::from_nanos(1));

/// Every key, `expect.*` apart.
pub fn all() -> impl Iterator<Item = &'static Key> {
    [sent::KEYS, delivered::KEYS, path::KEYS, guarantee::KEYS, compared::KEYS, price::KEYS]
        .into_iter()
        .flatten()
}

/// The key of that path.
pub fn named(path: &str) -> Option<&'static Key> {
    all().find(|k| k.path == path)
}

/// All paths, for suggestions.
pub fn paths() -> impl Iterator<Item = &'static str> {
    all().map(|k| k.path)
}
