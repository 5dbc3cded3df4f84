//! Whether a candidate is slower than its base: the gate. Pure; the same records give the same verdict.
//!
//! What is exact (fates, connections, bytes, keeping up) always decides. A time decides only where the
//! base, measured once more in the same blocks (the null), shows that this machine can tell: the lower
//! bound of the slow-down, Holm-adjusted over all lines that are judged, must lie above the margin. It
//! passes when the upper bound lies below; between the two it cannot be told.

mod draft;
mod exact;
mod judge;
pub mod margin;
mod pairs;
pub mod qualification;
mod ratio;
mod sentence;
#[cfg(test)]
mod tests;
pub mod waiver;

pub use draft::applies;
pub use judge::{judge, judge_against, place};
pub use margin::{Margin, MarginSource};
pub use waiver::Waiver;

use super::{FEWEST_BLOCKS, Ratio};
use crate::scenario::Setting;
use serde::{Deserialize, Serialize};

/// Version of the gate's JSON.
pub const SCHEMA: u32 = 1;
/// What is judged unless something else is asked for.
pub const JUDGED: [&str; 3] = ["service.p50", "response.p50", "target_usage.cpu_ns_per_event"];
/// Probability of a false alarm over all judged lines of a gate: the lower half of a 95 % interval.
pub const ALPHA: f64 = 0.025;
/// Probability of calling a slow-down of exactly the margin smaller than it.
pub const BETA: f64 = 0.05;
/// The fewest blocks that any verdict needs.
pub const FEWEST: usize = FEWEST_BLOCKS;

/// The name of the arm that stands for what is known.
pub const BASE: &str = "base";
/// The arm that may be slower.
pub const CANDIDATE: &str = "candidate";
/// The base once more.
pub const NULL: &str = "null";

/// What is judged, and how strictly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Metrics by name, each with its margin.
    pub margins: Vec<Margin>,
    /// A slow-down of fewer nanoseconds than this is let pass (metrics in ns only).
    pub min_difference_ns: f64,
    /// Whether the ratio between two transports is judged, too.
    pub ratio: bool,
    /// Slow-downs that are meant.
    pub waivers: Vec<Waiver>,
    /// The day of the gate, UTC, `2026-01-31`: waivers expire by it.
    pub today: String,
}

/// What a line or a whole gate comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// No slow-down beyond the margin.
    Passed,
    /// A slow-down that a waiver allows.
    Waived,
    /// Slower than the margin allows.
    Regression,
    /// It cannot be told.
    CannotTell,
    /// This kind of machine cannot hold the metric within 5 %: shown, not judged.
    NotQualified,
}

impl Outcome {
    /// As in tables.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Passed => "passes",
            Outcome::Waived => "waived",
            Outcome::Regression => "REGRESSION",
            Outcome::CannotTell => "cannot tell",
            Outcome::NotQualified => "not qualified",
        }
    }
}

/// A time or a cost that is judged by its interval. Slow-downs are ratios: 1.1 is ten per cent worse,
/// in whichever direction the metric's own worse lies.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The point of the sweep.
    pub setting: Setting,
    /// `webhook`, or `websocket:webhook` for the ratio between two.
    pub transport: String,
    /// Name in the registry.
    pub metric: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Geometric mean over blocks; `null` for a ratio of transports.
    pub base: Option<f64>,
    /// The same of the candidate.
    pub candidate: Option<f64>,
    /// Candidate over base, 95 % interval.
    pub slow_down: Option<Ratio>,
    /// Holm-adjusted lower bound, which must not lie above the margin.
    pub adjusted_low: Option<f64>,
    /// One-sided upper bound, which lies below the margin when the line passes.
    pub upper: Option<f64>,
    /// Lower bound of the difference, in `unit`.
    pub difference_low: Option<f64>,
    /// The base once more over the base, 95 % interval; `null` where there is none.
    pub null: Option<Ratio>,
    /// What is allowed.
    pub margin: Margin,
    /// Blocks that went into it.
    pub blocks: usize,
    /// What it comes to.
    pub outcome: Outcome,
    /// Why, where that needs saying.
    pub why: Option<String>,
}

/// Something counted, which decides without statistics.
#[derive(Debug, Clone, Serialize)]
pub struct Exact {
    /// The point of the sweep.
    pub setting: Setting,
    /// How events travelled.
    pub transport: String,
    /// What was counted.
    pub what: &'static str,
    /// Of the base; `null` where it cannot be counted.
    pub base: Option<f64>,
    /// Of the candidate.
    pub candidate: Option<f64>,
    /// Of the base once more.
    pub null: Option<f64>,
    /// What it comes to: passed, a regression, or cannot tell.
    pub outcome: Outcome,
    /// Why, where that needs saying.
    pub why: Option<String>,
}

/// A waiver that concerns this gate.
#[derive(Debug, Clone, Serialize)]
pub struct WaiverUse {
    /// As written.
    #[serde(flatten)]
    pub waiver: Waiver,
    /// Its day is over: the gate fails until it is removed or renewed.
    pub expired: bool,
    /// A line that would have failed passes because of it.
    pub used: bool,
}

/// The verdict of one stage.
#[derive(Debug, Clone, Serialize)]
pub struct Gate {
    /// Version of this structure.
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The stage that this is the verdict of, from 1.
    pub stage: usize,
    /// Valid blocks of the point that has fewest.
    pub blocks_valid: usize,
    /// Blocks run at that point.
    pub blocks_run: usize,
    /// What it comes to: passed, a regression, or cannot tell.
    pub verdict: Outcome,
    /// In words.
    pub sentence: String,
    /// Times and costs.
    pub lines: Vec<Line>,
    /// Counts.
    pub exact: Vec<Exact>,
    /// Waivers of this scenario.
    pub waivers: Vec<WaiverUse>,
    /// Arms, points or blocks that are missing, and what else to know before believing it.
    pub notes: Vec<String>,
    /// What differs from the machine of the stored run, when there is one: then nothing fails.
    pub advisory: Option<Vec<String>>,
}

impl Gate {
    /// The exit code of the contract.
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            Outcome::Regression => 1,
            Outcome::CannotTell | Outcome::NotQualified => 2,
            Outcome::Passed | Outcome::Waived => 0,
        }
    }

    /// Whether a longer stage on fresh data may change the verdict. What is counted does not change,
    /// and neither does an expired waiver.
    pub fn wants_more(&self) -> bool {
        let open = |l: &Line| matches!(l.outcome, Outcome::Regression | Outcome::CannotTell);
        let decided = self.exact.iter().any(|e| e.outcome == Outcome::Regression)
            || self.waivers.iter().any(|w| w.expired);
        !decided && (self.lines.iter().any(open) || self.verdict == Outcome::CannotTell)
    }
}
