//! From a name or a path and the overrides to valid scenarios, one for each point of the sweep.

use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::scenario::draft::{Draft, Wrong};
use crate::scenario::expect;
use crate::scenario::keys;
use crate::scenario::objective;
use crate::scenario::parse;
use crate::scenario::parse::Entry;
use crate::scenario::raw::Raw;
use crate::scenario::shape::Process;
use crate::scenario::{Content, Scenario, Setting};
use crate::suggest::did_you_mean;
use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../scenarios");

/// Larger sweeps take days; they are better split.
pub(crate) const MOST_POINTS: usize = 100;

/// A key set on the command line.
#[derive(Debug, Clone)]
pub struct Override {
    /// `load.rate`
    pub key: String,
    /// As typed.
    pub value: String,
    /// The option it came from, for messages: `--rate 5`.
    pub origin: String,
}

/// One point of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The swept keys and their values.
    pub setting: Setting,
    /// The scenario in force.
    pub scenario: Scenario,
}

/// A scenario with its sweep unrolled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Its name.
    pub name: String,
    /// The question.
    pub question: String,
    /// At least one.
    pub points: Vec<Point>,
}

/// The scenarios in the binary: name and text.
pub fn shipped() -> impl Iterator<Item = (&'static str, &'static str)> {
    SHIPPED.files().filter_map(|f| {
        let name = f.path().file_name()?.to_str()?.strip_suffix(".toml")?;
        Some((name, f.contents_utf8()?))
    })
}

/// A scenario's text and where it comes from.
pub struct Source {
    /// The scenario's name.
    pub name: String,
    /// The file, for messages.
    pub file: String,
    /// What it holds.
    pub text: String,
    /// Where paths in it begin.
    pub folder: PathBuf,
}

impl Source {
    /// A scenario in the binary.
    pub fn shipped(name: &str) -> Result<Source> {
        let Some((_, text)) = shipped().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = shipped().map(|(n, _)| n).collect();
            return Err(Error::usage(format!(
                "no scenario is called \"{name}\"{}; there are {}, or give a path to a .toml file",
                did_you_mean(name, names.iter().copied()),
                names.join(", ")
            )));
        };
        Ok(Source {
            name: name.to_owned(),
            file: format!("scenarios/{name}.toml"),
            text: text.to_owned(),
            folder: PathBuf::from("."),
        })
    }
}

/// Reads the text of a file that a scenario names; the error says which and why it cannot be read.
pub type ReadText<'a> = &'a dyn Fn(&Path) -> std::result::Result<String, String>;

/// Loads a shipped scenario whose events are generated, with overrides applied.
pub fn load(name: &str, overrides: &[Override]) -> Result<Question> {
    let no_file = |path: &Path| Err(format!("{} is not read here", path.display()));
    read(Source::shipped(name)?, overrides, &no_file)
}

/// Reads a scenario, with overrides applied.
pub fn read(source: Source, overrides: &[Override], read_text: ReadText<'_>) -> Result<Question> {
    let mut entries = parse::entries(&source.file, &source.text)?;
    let mut draft = Draft::new(source.folder);
    draft.name = source.name;
    let mut axes = Vec::new();
    apply_file(&mut draft, &mut entries, &mut axes)?;
    for o in overrides {
        apply_override(&mut draft, o, &mut axes)?;
    }
    let places: Vec<(String, Origin)> = entries
        .iter()
        .map(|e| (e.path.clone(), e.origin.clone()))
        .chain(overrides.iter().map(|o| (o.key.clone(), Origin::named(&o.origin))))
        .collect();
    draft.promise_is_swept = axes.iter().any(|axis| axis.key.path == "guarantee.delivery");
    let places = Places { all: places, file: Origin::named(&source.file) };
    draft.read_file(read_text).map_err(|wrong| places.error(&wrong))?;
    let points = unroll(&draft, &axes, &places)?;
    Ok(Question { name: draft.name, question: draft.question, points })
}

/// Where each key was set, in the order in which they were applied.
#[derive(Clone)]
struct Places {
    all: Vec<(String, Origin)>,
    file: Origin,
}

impl Places {
    fn find(&self, key: &str) -> Option<&Origin> {
        self.all.iter().rev().find(|(path, _)| path == key).map(|(_, origin)| origin)
    }

    fn error(&self, wrong: &Wrong) -> Error {
        let Wrong { key, why, against } = wrong;
        let other = against.and_then(|key| Some(format!(" ({key}: {})", self.find(key)?)));
        let origin = self.find(key).unwrap_or(&self.file);
        origin.error(format!("key \"{key}\": {why}{}", other.unwrap_or_default()))
    }
}

struct Axis {
    key: &'static keys::Key,
    values: Vec<(Raw, Origin)>,
    origin: Origin,
}

fn apply_file(draft: &mut Draft, entries: &mut [Entry], axes: &mut Vec<Axis>) -> Result<()> {
    for entry in entries.iter_mut() {
        if let Some(key) = entry.path.strip_prefix("sweep.") {
            entry.path = key.to_owned();
            axes.push(axis(entry)?);
        } else if entry.is_list && keys::named(&entry.path).is_some_and(|key| key.takes_list()) {
            let words: std::result::Result<Vec<String>, String> =
                entry.values.iter().map(|(value, _)| value.text()).collect();
            let words = words
                .map_err(|why| entry.origin.error(format!("key \"{}\": {why}", entry.path)))?;
            apply(draft, &entry.path, &Raw::Text(words.join(" ")), &entry.origin)?;
        } else if entry.is_list {
            return Err(entry.origin.error(format!(
                "key \"{0}\": a list: write one value, or move it to [sweep] as \"{0}\" = […]",
                entry.path
            )));
        } else {
            for (value, origin) in &entry.values {
                apply(draft, &entry.path, value, origin)?;
            }
        }
    }
    Ok(())
}

fn axis(entry: &Entry) -> Result<Axis> {
    let sweepable = || keys::all().filter(|k| k.sweepable).map(|k| k.path);
    let error = |what: String| entry.origin.error(format!("sweep of \"{}\": {what}", entry.path));
    let known = keys::named(&entry.path);
    let key = known.filter(|k| k.sweepable).ok_or_else(|| {
        let names: Vec<&str> = sweepable().collect();
        let what = match known {
            Some(key) => format!(", it takes {}", key.takes()),
            None => did_you_mean(&entry.path, sweepable()),
        };
        error(format!("not a key that can be swept{what}; there are {}", names.join(", ")))
    })?;
    if !entry.is_list || entry.values.is_empty() {
        return Err(error("write a list of at least one value, for example [500, 1000]".into()));
    }
    Ok(Axis { key, values: entry.values.clone(), origin: entry.origin.clone() })
}

pub(super) fn apply(draft: &mut Draft, path: &str, value: &Raw, origin: &Origin) -> Result<()> {
    let wrong =
        |why: String| origin.error(format!("key \"{path}\": value {}: {why}", value.shown()));
    let unknown = |table: &str, what: &str, names: Vec<&str>| {
        let hint = did_you_mean(what, names.iter().copied());
        origin.error(format!("[{table}] has no \"{what}\"{hint}; there are {}", names.join(", ")))
    };
    if let Some(what) = path.strip_prefix("expect.") {
        let figures = expect::figures();
        let figure = figures
            .iter()
            .find(|f| f.name == what)
            .ok_or_else(|| unknown("expect", what, figures.iter().map(|f| f.name).collect()))?;
        return figure.limit(&mut draft.expect, value).map_err(wrong);
    }
    if let Some(what) = path.strip_prefix("objective.") {
        let figures = objective::figures();
        let figure = figures
            .iter()
            .find(|f| f.name == what)
            .ok_or_else(|| unknown("objective", what, figures.iter().map(|f| f.name).collect()))?;
        return figure.limit(&mut draft.objective, value).map_err(wrong);
    }
    let key = keys::named(path).ok_or_else(|| {
        let hint = did_you_mean(path, keys::paths());
        origin.error(format!("unknown key \"{path}\"{hint}; see `pushbench list keys`"))
    })?;
    key.apply(draft, value).map_err(|why| match key.takes() {
        takes if why.contains(&takes) => wrong(why),
        takes => wrong(format!("{why} ({path} takes {takes})")),
    })
}

fn apply_override(draft: &mut Draft, o: &Override, axes: &mut Vec<Axis>) -> Result<()> {
    let origin = Origin::named(&o.origin);
    let value = Raw::from_option(&o.value);
    axes.retain(|a| a.key.path != o.key);
    if o.key == "load.rate" && draft.arrivals == Process::Closed {
        return Err(origin.error("this scenario is a closed loop and has no rate: add --set load.arrivals=poisson before it"));
    }
    // One of the two kinds of payload replaces the other.
    match o.key.as_str() {
        "payload.bytes" => draft.file = None,
        "payload.file" => {
            draft.bytes = None;
            draft.content = Content::default();
            draft.folder = PathBuf::from("."); // typed here, so it begins here
        }
        _ => {}
    }
    if o.key == "compare.blocks" && o.value != "auto" {
        draft.precision = None; // it said how many auto should take
    }
    if o.key == "load.arrivals" {
        draft.shape.forget();
        axes.retain(|a| {
            !a.key.path.starts_with("load.ramp_") && !a.key.path.starts_with("load.burst_")
        });
    }
    apply(draft, &o.key, &value, &origin)?;
    if o.key == "load.arrivals" && draft.arrivals == Process::Closed {
        draft.rate = None;
        axes.retain(|a| a.key.path != "load.rate");
    }
    Ok(())
}

fn unroll(draft: &Draft, axes: &[Axis], places: &Places) -> Result<Vec<Point>> {
    let total =
        axes.iter().try_fold(1usize, |n, a| n.checked_mul(a.values.len())).unwrap_or(usize::MAX);
    if total > MOST_POINTS
        && let Some(last) = axes.last()
    {
        return Err(last
            .origin
            .error(format!("the sweep has {total} points: at most {MOST_POINTS}; split it")));
    }
    (0..total).map(|number| point(draft, axes, places, number)).collect()
}

/// Point `number` of the sweep; the last axis changes fastest.
fn point(draft: &Draft, axes: &[Axis], places: &Places, number: usize) -> Result<Point> {
    let mut draft = draft.clone();
    let mut places = places.clone();
    let mut setting = Setting::new();
    let mut rest = number;
    for axis in axes.iter().rev() {
        let (value, origin) = &axis.values[rest % axis.values.len()];
        rest /= axis.values.len();
        apply(&mut draft, axis.key.path, value, origin)?;
        places.all.push((axis.key.path.to_owned(), origin.clone()));
        setting.insert(axis.key.path.to_owned(), value.json());
    }
    let scenario = draft.finish().map_err(|wrong| places.error(&wrong))?;
    Ok(Point { setting, scenario })
}
