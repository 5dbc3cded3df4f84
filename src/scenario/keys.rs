//! The registry of scenario keys: the one place that knows what a key takes. Files, `--set`, the named
//! options and sweeps all go through it.

use super::draft::{Draft, duration, whole};
use super::{Arrivals, DesignChoice, Expectation, Flow, Lifetime, payload};
use crate::record::metrics;
use crate::units;

/// A value as written, whether in TOML or on the command line.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// A bare number.
    Number(f64),
    /// Text, quoted or not.
    Text(String),
    /// Anything else, by what it is called.
    Other(&'static str),
}

impl Raw {
    /// From the command line: a number if it reads as one.
    pub fn from_option(text: &str) -> Raw {
        let bare = text.trim();
        let unquoted = bare.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        match (unquoted, bare.parse::<f64>()) {
            (Some(text), _) => Raw::Text(text.to_owned()),
            (None, Ok(n)) => Raw::Number(n),
            (None, Err(_)) => Raw::Text(bare.to_owned()),
        }
    }

    /// As a finite number that is not negative.
    pub fn number(&self) -> Result<f64, String> {
        match self {
            Raw::Number(n) if n.is_finite() && *n >= 0.0 => Ok(*n),
            Raw::Number(_) => Err("write a number that is neither negative nor infinite".into()),
            _ => Err("write a bare number".into()),
        }
    }

    /// As text; numbers become their text.
    pub fn text(&self) -> Result<String, String> {
        match self {
            Raw::Text(t) => Ok(t.clone()),
            Raw::Number(n) => Ok(n.to_string()),
            Raw::Other(what) => Err(format!("this is {what}: write text or a number")),
        }
    }

    /// As it is shown in messages.
    pub fn shown(&self) -> String {
        match self {
            Raw::Text(t) => format!("\"{t}\""),
            Raw::Number(n) => n.to_string(),
            Raw::Other(what) => (*what).to_owned(),
        }
    }
}

/// One key.
pub struct Key {
    /// `load.rate`
    pub path: &'static str,
    /// What it takes, for messages and the schema.
    pub takes: &'static str,
    /// What it is.
    pub about: &'static str,
    /// May stand in `[sweep]`.
    pub sweepable: bool,
    /// Applies a value.
    pub apply: fn(&mut Draft, &Raw) -> Result<(), String>,
}

macro_rules! key {
    ($path:literal, $takes:literal, $about:literal, $sweep:literal, $apply:expr) => {
        Key { path: $path, takes: $takes, about: $about, sweepable: $sweep, apply: $apply }
    };
}

/// Every key, `expect.*` apart.
pub static KEYS: &[Key] = &[
    key!("name", "text", "short name; it stands in the results directory", false, |d, v| {
        let name = v.text()?;
        let safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(safe) {
            return Err("write up to 64 letters, digits, - and _".into());
        }
        d.name = name;
        Ok(())
    }),
    key!("question", "text", "the question the scenario answers", false, |d, v| {
        d.question = v.text()?;
        Ok(())
    }),
    key!("flow", "ingest", "which way events go", false, |d, v| {
        d.flow = one_of(v, &[("ingest", Flow::Ingest)])?;
        Ok(())
    }),
    key!(
        "load.arrivals",
        "constant, poisson or closed",
        "how due instants are distributed",
        false,
        |d, v| {
            let kinds = [
                ("constant", Arrivals::Constant),
                ("poisson", Arrivals::Poisson),
                ("closed", Arrivals::Closed),
            ];
            d.arrivals = one_of(v, &kinds)?;
            Ok(())
        }
    ),
    key!("load.rate", "events per second", "rate of an open load", true, |d, v| {
        let rate = v.number()?;
        if rate <= 0.0 || rate > 5e6 {
            return Err("write events per second, more than 0 and at most 5000000".into());
        }
        d.rate = Some(rate);
        Ok(())
    }),
    key!(
        "load.warmup",
        "a duration such as 500ms",
        "events due before it are sent but not measured",
        true,
        |d, v| {
            d.warmup = duration(v, true)?;
            Ok(())
        }
    ),
    key!("load.duration", "a duration such as 1500ms", "measured part of a trial", true, |d, v| {
        d.duration = duration(v, false)?;
        Ok(())
    }),
    key!(
        "load.timeout",
        "a duration such as 5s",
        "an event unanswered this long after it was due is timed out",
        true,
        |d, v| {
            d.timeout = duration(v, false)?;
            Ok(())
        }
    ),
    key!(
        "load.backlog",
        "a number of events",
        "events that may wait for a connection; further ones fail",
        true,
        |d, v| {
            d.backlog = whole(v, 100_000_000)?;
            Ok(())
        }
    ),
    key!(
        "connections.count",
        "a number",
        "connections opened before the first event",
        true,
        |d, v| {
            d.count = whole(v, 1_000_000)?;
            Ok(())
        }
    ),
    key!(
        "connections.in_flight",
        "a number",
        "unanswered events a connection may carry",
        true,
        |d, v| {
            d.in_flight = whole(v, 65_536)?;
            Ok(())
        }
    ),
    key!(
        "connections.lifetime",
        "\"unlimited\" or a number of events",
        "events a connection carries before it is closed",
        true,
        |d, v| {
            d.lifetime = match v {
                Raw::Text(t) if t == "unlimited" => Lifetime::Unlimited,
                other => Lifetime::Events(
                    whole(other, usize::MAX >> 12).map_err(|e| format!("{e}, or \"unlimited\""))?
                        as u64,
                ),
            };
            Ok(())
        }
    ),
    key!(
        "payload.bytes",
        "a size such as 512 or 64KiB",
        "size of a generated event",
        true,
        |d, v| {
            let bytes = units::parse_size(&v.text()?)?;
            let (least, most) = (payload::MIN_BYTES as u64, payload::MAX_BYTES as u64);
            if !(least..=most).contains(&bytes) {
                return Err(format!(
                    "write {least} to {most} bytes: an event without data has {least}"
                ));
            }
            d.bytes = Some(bytes as usize);
            Ok(())
        }
    ),
    key!(
        "payload.file",
        "a path",
        "a JSON object sent as the event; its id is replaced",
        false,
        |d, v| {
            let path = v.text()?;
            d.file = Some((path.clone(), payload::read(&d.folder.join(&path))?));
            Ok(())
        }
    ),
    key!("compare.blocks", "a number", "blocks to run", false, |d, v| {
        d.blocks = whole(v, 10_000)?;
        Ok(())
    }),
    key!(
        "compare.design",
        "auto, sliced or sequential",
        "how the arms of a block alternate",
        false,
        |d, v| {
            let kinds = [
                ("auto", DesignChoice::Auto),
                ("sliced", DesignChoice::Sliced),
                ("sequential", DesignChoice::Sequential),
            ];
            d.design = one_of(v, &kinds)?;
            Ok(())
        }
    ),
    key!("compare.slice", "\"auto\" or a duration", "length of a slice", false, |d, v| {
        d.slice = match v {
            Raw::Text(t) if t == "auto" => None,
            other => Some(duration(other, false)?),
        };
        if d.slice.is_some_and(|s| s.as_micros() < 1000) {
            return Err("write at least 1ms".into());
        }
        Ok(())
    }),
    key!(
        "compare.matters.latency",
        "a duration such as 1ms",
        "smaller latency differences do not matter",
        false,
        |d, v| {
            d.matters.latency = duration(v, true)?;
            Ok(())
        }
    ),
    key!(
        "compare.matters.cpu",
        "a percentage such as 5%",
        "smaller CPU differences do not matter",
        false,
        |d, v| {
            d.matters.cpu = units::parse_percent(&v.text()?)?;
            Ok(())
        }
    ),
    key!(
        "compare.matters.throughput",
        "a percentage such as 5%",
        "smaller throughput differences do not matter",
        false,
        |d, v| {
            d.matters.throughput = units::parse_percent(&v.text()?)?;
            Ok(())
        }
    ),
];

/// Figures that `[expect]` may limit beside the metrics: fates that are counted.
const EXPECTED_FATES: [&str; 5] = ["lost", "failed", "timed_out", "duplicated", "reordered"];

/// Every name that may stand in `[expect]`.
pub fn expect_names() -> Vec<&'static str> {
    let expected = |m: &&metrics::Metric| {
        let name = m.name;
        name.starts_with("response.")
            || name.starts_with("service.")
            || name == "throughput"
            || name == "target_usage.cpu_ns_per_event"
    };
    EXPECTED_FATES
        .into_iter()
        .chain(metrics::METRICS.iter().filter(expected).map(|m| m.name))
        .collect()
}

/// Adds a line of `[expect]`.
pub fn expect(draft: &mut Draft, what: &str, raw: &Raw) -> Result<(), String> {
    let is_time = what.contains('.');
    let limit = match is_time {
        true => duration(raw, true)?.as_nanos() as f64,
        false => raw.number()?,
    };
    draft.expect.retain(|e| e.what != what);
    draft.expect.push(Expectation { what: what.to_owned(), limit });
    Ok(())
}

/// The key of that path.
pub fn named(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.path == path)
}

/// All paths, for suggestions.
pub fn paths() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|k| k.path)
}

fn one_of<T: Copy>(raw: &Raw, kinds: &[(&str, T)]) -> Result<T, String> {
    let text = raw.text()?;
    let names = || kinds.iter().map(|(n, _)| *n);
    kinds.iter().find(|(n, _)| *n == text).map(|(_, v)| *v).ok_or_else(|| {
        let all: Vec<&str> = names().collect();
        format!("write {}{}", all.join(" or "), crate::suggest::did_you_mean(&text, names()))
    })
}
