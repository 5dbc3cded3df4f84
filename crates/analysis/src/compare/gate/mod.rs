//! Whether a candidate is slower than its base: the gate. Pure; the same records give the same verdict.
//!
//! What is exact (outcomes, connections, bytes, keeping up) always decides. A time fails where the lower bound of the
//! slow-down, Holm-adjusted over all lines that are judged, lies above the margin, and passes where the upper bound lies
//! below; between the two the gate cannot tell, and looks again after more blocks. The base, measured once more in the
//! same blocks (the null), must lie within the margin, or the slow-down must exceed the margin by as much as the null may.

mod draft;
mod evidence;
mod exact;
pub mod instructions;
mod judge;
pub mod looks;
pub mod margin;
mod pairs;
pub mod qualification;
mod ratio;
#[cfg(any(test, feature = "sample"))]
pub mod sample;
mod sentence;
#[cfg(test)]
mod sentence_tests;
#[cfg(test)]
mod simulation_tests;
#[cfg(test)]
mod tests;
mod values;
pub mod waiver;

pub use judge::{FEWEST_RUNS, judge, judge_against, place};
pub use looks::Look;
pub use margin::{Margin, MarginSource};
pub use sentence::{change, percent, value};
pub use waiver::{State, Waiver};

use crate::compare::{FEWEST_BLOCKS, Ratio, cpu_measured};
use pushbench_core::scenario::Setting;
use serde::{Deserialize, Serialize};

/// Version of the gate's JSON.
pub const SCHEMA: u32 = 1;
/// The metrics that are judged by default.
pub const JUDGED: [&str; 4] =
    ["service.p50", "response.p50", "throughput", "target_usage.cpu_ns_per_event"];
/// Probability of a false alarm over all judged lines and all looks of a gate: the lower half of a 95 % interval.
pub(crate) const ALPHA: f64 = 0.025;
/// Probability of calling a slow-down of exactly the margin smaller than it, over all looks.
pub(crate) const BETA: f64 = 0.05;
/// The exit code of the contract of what was interrupted.
const INTERRUPTED: u8 = 130;
/// The fewest blocks that any verdict needs.
pub const FEWEST: usize = FEWEST_BLOCKS;

/// The name of the base's arm.
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

impl Settings {
    /// The waiver in force for a metric.
    pub fn waiver(&self, scenario: &str, metric: &str) -> Option<&Waiver> {
        let concerns = |w: &&Waiver| w.scenario == scenario && w.metric == metric;
        self.waivers.iter().filter(concerns).find(|w| !w.expired(&self.today))
    }
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
    /// The data do not decide.
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
    /// Of CPU, which depends on it: the design of the blocks, `sliced` or `sequential`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub design: Option<&'static str>,
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
    /// One-sided bounds of the difference, in `unit`; `null` for a ratio of transports.
    pub difference: Option<[f64; 2]>,
    /// The base once more over the base, 95 % interval; `null` where there is none.
    pub null: Option<Ratio>,
    /// What is allowed.
    pub margin: Margin,
    /// A waiver allows it.
    pub(crate) waived: bool,
    /// Blocks that went into it.
    pub blocks: usize,
    /// What it comes to.
    pub outcome: Outcome,
    /// Why, where that needs saying.
    pub why: Option<String>,
    /// Of a line that cannot be told: blocks that would decide it, should its estimates stay; `null` where more blocks
    /// would not.
    pub blocks_needed: Option<usize>,
}

impl Line {
    /// How CPU was measured, after a comma; empty for other metrics.
    pub fn cpu_measured(&self) -> String {
        self.design.map_or(String::new(), |design| format!(", {}", cpu_measured(design)))
    }

    /// What is allowed, as a ratio.
    pub fn limit(&self) -> f64 {
        1.0 + self.margin.share
    }

    /// What is allowed and why, in words.
    pub fn allowed(&self) -> String {
        match self.waived {
            true => format!("{:.0} % (waiver)", self.margin.share * 100.0),
            false => self.margin.text(),
        }
    }
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
    /// A regression that more blocks do not change.
    pub(crate) decisive: bool,
}

/// A waiver that concerns this gate.
#[derive(Debug, Clone, Serialize)]
pub struct WaiverUse {
    /// As written.
    #[serde(flatten)]
    pub waiver: Waiver,
    /// What it came to.
    pub state: State,
}

/// Why a gate ended without a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The message that it ended with.
    pub error: String,
    /// The exit code.
    pub exit_code: u8,
}

impl Failure {
    /// Somebody stopped it: nothing failed.
    pub fn is_interrupt(&self) -> bool {
        self.exit_code == INTERRUPTED
    }
}

/// The time was used up before a look decided.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeUsedUp {
    /// The time that the gate could take, s.
    pub at_most_s: f64,
    /// Blocks that would decide it, should all estimates stay; `null` where more blocks would not.
    pub blocks_needed: Option<usize>,
}

/// The verdict of one look at the blocks so far; of gates of earlier versions, that of a stage with blocks of its own.
#[derive(Debug, Clone, Serialize)]
pub struct Gate {
    /// Version of this structure.
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The look or stage that this is the verdict of, from 1.
    pub stage: usize,
    /// Looks that were planned, 0 before the first; `null` for stages of earlier versions.
    pub looks_planned: Option<usize>,
    /// Part of the error that this look spent, 0 to 1.
    pub error_share: f64,
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
    /// Arms and points that one side lacks: the gate fails.
    pub missing: Vec<String>,
    /// Waivers of this scenario.
    pub waivers: Vec<WaiverUse>,
    /// What prevents a pass, apart from the lines.
    pub open: Vec<String>,
    /// What else to know before believing it.
    pub notes: Vec<String>,
    /// Of a gate that judges instructions: how they were counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub method: Vec<String>,
    /// Why a comparison with stored runs is advice and no verdict.
    pub advisory: Option<Vec<String>>,
    /// That the time was used up, where it ended a gate without a verdict.
    pub time_used_up: Option<TimeUsedUp>,
    /// What ended the gate then: there is no verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Gate {
    /// A gate without stored records.
    pub fn without_records(scenario: &str) -> Gate {
        let mut gate = Gate {
            schema: SCHEMA,
            scenario: scenario.to_owned(),
            stage: 1,
            looks_planned: Some(0),
            error_share: 1.0,
            blocks_valid: 0,
            blocks_run: 0,
            verdict: Outcome::CannotTell,
            sentence: String::new(),
            lines: Vec::new(),
            exact: Vec::new(),
            missing: Vec::new(),
            waivers: Vec::new(),
            open: Vec::new(),
            notes: Vec::new(),
            method: Vec::new(),
            advisory: None,
            time_used_up: None,
            failure: None,
        };
        gate.sentence = sentence::closing(&gate);
        gate
    }

    /// Ended by a failure: what was judged until then is no verdict.
    pub fn failed(mut self, failure: Failure) -> Gate {
        (self.verdict, self.failure) = (Outcome::CannotTell, Some(failure));
        self.sentence = sentence::closing(&self);
        self
    }

    /// The looks ended because the time was used up. Where the verdict stands, that changes nothing.
    pub fn out_of_time(mut self, at_most_s: f64) -> Gate {
        if self.verdict == Outcome::CannotTell && self.wants_more() {
            let blocks_needed = self.blocks_needed();
            self.time_used_up = Some(TimeUsedUp { at_most_s, blocks_needed });
            self.sentence = sentence::closing(&self);
        }
        self
    }

    /// Blocks that decide everything that is open; `None` where something stays open.
    fn blocks_needed(&self) -> Option<usize> {
        let open = |o: Outcome| o == Outcome::CannotTell;
        let lines = self.lines.iter().filter(|l| open(l.outcome)).map(|l| l.blocks_needed);
        let counts = self.exact.iter().filter(|e| open(e.outcome));
        // A count that does not repeat passes after so many blocks.
        let counts = counts.map(|_| Some(self.blocks_valid + exact::NOT_AGAIN));
        lines.chain(counts).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Looks that were finished; of a gate that ended by a failure the last one was not.
    pub fn looks_finished(&self) -> usize {
        if self.failure.is_some() { self.stage - 1 } else { self.stage }
    }

    /// Probability of a false alarm that this look may spend, over all its lines.
    pub fn alpha(&self) -> f64 {
        ALPHA * self.error_share
    }

    /// Records are missing, so the rest gives no verdict.
    pub fn left_open(mut self, why: String) -> Gate {
        (self.verdict, self.open) = (Outcome::CannotTell, [vec![why], self.open].concat());
        self.sentence = sentence::closing(&self);
        self
    }

    /// The exit code of the contract.
    pub fn exit_code(&self) -> u8 {
        if let Some(failure) = &self.failure {
            return failure.exit_code;
        }
        match self.verdict {
            Outcome::Regression => 1,
            Outcome::CannotTell | Outcome::NotQualified => 2,
            Outcome::Passed | Outcome::Waived => 0,
        }
    }

    /// Whether more blocks may change the verdict. They do not change a slow-down that was found, a count beyond
    /// doubt, or an expired waiver.
    pub fn wants_more(&self) -> bool {
        let decided = self.exact.iter().any(|e| e.decisive)
            || self.lines.iter().any(|l| l.outcome == Outcome::Regression)
            || !self.missing.is_empty()
            || self.waivers.iter().any(|w| w.state == State::Expired);
        let open = |o: Outcome| matches!(o, Outcome::Regression | Outcome::CannotTell);
        // Further blocks on the same CPU are as mixed.
        let lines = self.lines.iter().filter(|l| l.why.as_deref() != Some(evidence::MIXED));
        let exact = self.exact.iter().map(|e| e.outcome);
        !decided && lines.map(|l| l.outcome).chain(exact).any(open)
    }

    /// Of every line and every count.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = Outcome> + '_ {
        let exact = self.exact.iter().map(|e| e.outcome);
        self.lines.iter().map(|l| l.outcome).chain(exact)
    }
}
