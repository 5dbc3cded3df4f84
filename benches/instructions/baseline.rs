//! The committed counts, and how much more is too much.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Above this share over the baseline a function fails. Between two runs of one build counts differ by
/// less than a thousandth.
pub const ALLOWED: f64 = 0.05;
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.json");

/// What was counted, and with what.
#[derive(Debug, Serialize, Deserialize)]
pub struct Baseline {
    /// The compiler: another one may make other code of the same source.
    pub rustc: String,
    pub valgrind: String,
    /// Instructions a call, by function.
    pub per_call: BTreeMap<String, f64>,
}

impl Baseline {
    pub fn read() -> Result<Baseline, String> {
        let text = std::fs::read_to_string(PATH).map_err(|e| format!("{PATH}: {e}"))?;
        serde_json::from_str(&text).map_err(|e| format!("{PATH}: {e}"))
    }

    pub fn write(&self) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).expect("counts are JSON") + "\n";
        std::fs::write(PATH, text).map_err(|e| format!("{PATH}: {e}"))
    }
}

/// A function beside its baseline.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Nothing to compare with: it fails, or whoever adds a function forgets to count it.
    New,
    /// By this share of the baseline more, or less.
    Changed(f64),
}

impl Verdict {
    pub fn of(before: Option<f64>, now: f64) -> Verdict {
        before.map_or(Verdict::New, |before| Verdict::Changed(now / before - 1.0))
    }

    pub fn is_more(&self) -> bool {
        match self {
            Verdict::New => true,
            Verdict::Changed(by) => *by > ALLOWED,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Verdict::New => "new".to_owned(),
            Verdict::Changed(by) => format!("{:+.1} %", by * 100.0),
        };
        f.pad(&text)
    }
}
