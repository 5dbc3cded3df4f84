//! The report as a structure: what every format renders.

use crate::compare::{
    ArmFigures, FEWEST_BLOCKS, LayerCost, Note, OpeningCost, expect, parity, trust,
};
use pushbench_core::guarantee::Guarantee;
use pushbench_core::record::sizing::Sizing;
use pushbench_core::scenario::{
    Content, Faults, Flow, PathSettings, Prices, Questions, Setting, Subscribers,
};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// A run, compared. Serialised it is the JSON report, schema 1.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this structure.
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// Its question.
    pub question: String,
    /// Seed of the run.
    pub seed: u64,
    /// False when the run was cut short, or not all of its records are there.
    pub complete: bool,
    /// In what the records differ from those that the run wrote.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records_differ: Vec<String>,
    /// Why it was cut short, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// One for each setting of the sweep; one without a sweep.
    pub points: Vec<Point>,
}

/// One setting, compared.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// The swept keys; empty without a sweep.
    pub setting: Setting,
    /// What resources and services cost; left out without prices.
    #[serde(skip_serializing_if = "Prices::is_empty")]
    pub prices: Prices,
    /// Scenario and design, for the heading.
    pub design: Design,
    /// The arms; the first is the baseline.
    pub arms: Vec<ArmFigures>,
    /// Every judged metric of every other arm against the baseline.
    pub comparisons: Vec<Comparison>,
    /// What encryption and authentication cost each transport; left out where no arm has them beside the same
    /// arm without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerCost>,
    /// What it costs each arm with TLS to open a connection; left out where no sweep of `connections.lifetime`
    /// tells it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub openings: Vec<OpeningCost>,
    /// Whether the point can be trusted.
    pub validity: Validity,
    /// What the two sides have in common and what not.
    pub parity: parity::Parity,
    /// What the intervals support, in words.
    pub sentences: Vec<String>,
    /// The lines of `[expect]`.
    pub expectations: Vec<expect::Expected>,
    /// Indices of the arms, the best first, for tables of many arms; the JSON keeps the order given.
    #[serde(skip)]
    pub order: Vec<usize>,
    /// The metric that `order` goes by.
    #[serde(skip)]
    pub sorted_by: &'static str,
}

/// How a point was run.
#[derive(Debug, Clone, Serialize)]
pub struct Design {
    /// Which way events went.
    pub flow: Flow,
    /// `sliced`, `sequential`, or `null` when no block was run.
    pub kind: Option<&'static str>,
    /// Length of a slice, ns.
    pub slice_ns: Option<u64>,
    /// Events per second, `null` in a closed loop.
    pub rate: Option<f64>,
    /// Arrival process.
    pub arrivals: pushbench_core::scenario::Arrivals,
    /// Bytes of an event.
    pub payload_bytes: usize,
    /// What the data of a generated event is made of; left out where it is padding.
    #[serde(skip_serializing_if = "Content::is_default")]
    pub content: Content,
    /// Who gets the events of a fan-out; left out in other flows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribers: Option<Subscribers>,
    /// How questions were answered; left out in other flows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub questions: Option<Questions>,
    /// What lay between driver and target; left out where that was the loopback device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathSettings>,
    /// What a delivery promises; left out where that is one attempt.
    #[serde(skip_serializing_if = "Guarantee::is_default")]
    pub guarantee: Guarantee,
    /// What breaks; left out where nothing does.
    #[serde(skip_serializing_if = "Faults::is_default")]
    pub faults: Faults,
    /// The versions of the proxies on it, by name; left out where there are none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub proxies: BTreeMap<String, String>,
    /// The hosts that events went to, `loopback` for the driver's own machine.
    pub hosts: Vec<String>,
    /// The schemes of the arms' URLs; empty in runs of older versions, which had no TLS.
    pub schemes: Vec<String>,
    /// How the kernel scheduled driver and targets; `null` in runs of older versions.
    pub scheduling: Option<String>,
    /// The driver's CPUs.
    pub driver_cpus: Vec<usize>,
    /// The targets' CPUs.
    pub target_cpus: Vec<usize>,
    /// What each machine did, by rank; left out where that was one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<MachineFigures>,
    /// Requested blocks.
    pub blocks_planned: usize,
    /// How that number was found, where the scenario leaves it to the run.
    pub sizing: Option<Sizing>,
    /// Blocks in which every arm has a record.
    pub blocks_run: usize,
    /// Blocks that are averaged.
    pub blocks_valid: usize,
}

/// What one of several machines did at a point, over the valid blocks of all arms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MachineFigures {
    /// From 0.
    pub rank: usize,
    /// `driver` or `target`.
    pub role: String,
    /// Its name.
    pub host: String,
    /// The CPUs of what it did.
    pub cpus: Vec<usize>,
    /// Events that it sent; `null` of the targets' machine.
    pub due: Option<u64>,
    /// Those that were acknowledged.
    pub acknowledged: Option<u64>,
    /// In a fan-out: deliveries that its subscribers received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// Its longest stall, ns.
    pub pause_ns: u64,
    /// The common origin is wrong by no more there, ns, the largest: half of the round trip in which the offset of its clock
    /// was found, and the drift during a trial.
    pub clock_uncertainty_ns: u64,
    /// Trials in which its part was not valid.
    pub invalid: usize,
}

impl MachineFigures {
    /// It is a driver that no connection and no subscriber was left for.
    pub fn had_nothing_to_do(&self) -> bool {
        self.due == Some(0) && self.received.unwrap_or(0) == 0
    }
}

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The candidate is better.
    Better,
    /// The candidate is worse.
    Worse,
    /// The difference lies inside the region of equivalence.
    Equivalent,
    /// The data do not decide.
    Inconclusive,
    /// An arm fell behind; latencies are not compared.
    Overloaded,
    /// Without valid trials there is nothing to compare.
    Invalid,
}

/// One metric of one arm against the baseline.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Name in the registry.
    pub metric: &'static str,
    /// First arm.
    pub baseline: String,
    /// Other arm.
    pub candidate: String,
    /// Mean ratio over blocks (geometric).
    pub ratio: Option<f64>,
    /// Its 95 % interval.
    pub ci95: Option<[f64; 2]>,
    /// Mean difference over blocks, in `unit`.
    pub difference: Option<f64>,
    /// Its 95 % interval.
    pub difference_ci95: Option<[f64; 2]>,
    /// The interval of the ratio at the confidence that Holm's adjustment over the judged metrics of
    /// this pair leaves it: it excludes 1 exactly where `p_adjusted` is at most 5 %. `null` for a
    /// metric that is not judged.
    pub(crate) adjusted_ci95: Option<[f64; 2]>,
    /// Holm-adjusted p of Student's t test that the ratio is 1.
    pub(crate) p_adjusted: Option<f64>,
    /// The same ratio by other ways.
    pub(crate) cross_checks: CrossChecks,
    /// Unit of the difference.
    pub unit: &'static str,
    /// Of CPU, which depends on it: the design of the blocks, `sliced` or `sequential`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub design: Option<&'static str>,
    /// What it comes to.
    pub verdict: Verdict,
    /// False when the whole interval lies inside the scenario's region of differences that do not matter.
    pub matters: bool,
    /// Why the verdict is what it is, where that needs saying.
    pub why: Option<String>,
}

impl Design {
    /// Whether every arm used TLS, or none did; `None` where only some did.
    pub fn tls(&self) -> Option<bool> {
        let secure = |s: &String| matches!(s.as_str(), "https" | "wss" | "tls");
        let count = self.schemes.iter().filter(|s| secure(s)).count();
        match count {
            0 => Some(false),
            n if n == self.schemes.len() => Some(true),
            _ => None,
        }
    }

    /// Whether events left this machine.
    pub fn is_remote(&self) -> bool {
        self.hosts.iter().any(|host| host != "loopback")
    }
}

/// How CPU was measured, in words. It depends on the design: between its slices a target's caches get cold.
pub fn cpu_measured(design: &str) -> &'static str {
    match design {
        "sliced" => "measured in slices",
        _ => "measured one arm at a time",
    }
}

impl Comparison {
    /// The ratio that was measured: of the merged windows where blocks are too few for a mean with an
    /// interval. It claims nothing.
    pub fn measured(&self) -> Option<f64> {
        self.ratio.or(self.cross_checks.merged_ratio)
    }

    /// Why a difference is not claimed although the metric's own interval excludes that there is none.
    pub fn withheld(&self) -> Option<&str> {
        let excludes = self.ci95.is_some_and(|[low, high]| low > 1.0 || high < 1.0);
        self.why.as_deref().filter(|_| self.verdict == Verdict::Inconclusive && excludes)
    }
}

/// A ratio by methods with other assumptions than Student's t.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct CrossChecks {
    /// Studentised bootstrap over blocks, 95 %.
    pub(crate) bootstrap_ci95: Option<[f64; 2]>,
    /// Two-sided p of the exact sign-flip test over blocks.
    pub(crate) sign_flip_p: Option<f64>,
    /// The ratio of the figures of the merged windows.
    pub(crate) merged_ratio: Option<f64>,
}

/// Whether a point can be trusted. In the JSON `notes` are the texts, `note_details` the whole notes.
#[derive(Debug, Clone)]
pub struct Validity {
    /// Every trial valid, every block measured, every arm complete.
    pub ok: bool,
    /// What to know before believing it.
    pub notes: Vec<Note>,
    /// The figures of the trust line.
    pub trust: trust::Trust,
}

/// How far a point can be trusted, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Every trial is valid, and no note can move a figure.
    Sound,
    /// Every trial is valid, but too few blocks are for a claim.
    TooFew,
    /// Every trial is valid, but a note can move a figure.
    Movable,
    /// A trial is not valid, or the run is not whole.
    Unsound,
}

impl Standing {
    /// The worst of these points.
    pub fn of(points: &[Point]) -> Standing {
        points.iter().map(|p| p.validity.standing()).max().unwrap_or(Standing::Unsound)
    }
}

impl Validity {
    /// How far the point can be trusted.
    pub fn standing(&self) -> Standing {
        match self.ok {
            false => Standing::Unsound,
            true if self.notes.iter().any(|n| n.moves_figures) => Standing::Movable,
            true if self.trust.blocks_valid < FEWEST_BLOCKS => Standing::TooFew,
            true => Standing::Sound,
        }
    }

    /// The notes with a number each where they can move a figure.
    pub fn numbered(&self) -> impl Iterator<Item = (Option<usize>, &Note)> {
        self.notes.iter().scan(0, |last, note| {
            *last += usize::from(note.moves_figures);
            Some((note.moves_figures.then_some(*last), note))
        })
    }

    /// The numbers of the notes that can move the figure of a metric in one of these arms.
    pub fn moving(&self, arms: &[&str], metric: &str) -> Vec<usize> {
        let mine =
            |(number, note): (Option<usize>, &Note)| number.filter(|_| note.can_move(arms, metric));
        self.numbered().filter_map(mine).collect()
    }
}

impl Serialize for Validity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let texts: Vec<&str> = self.notes.iter().map(|n| n.text.as_str()).collect();
        let mut out = serializer.serialize_struct("Validity", 4)?;
        out.serialize_field("ok", &self.ok)?;
        out.serialize_field("notes", &texts)?;
        out.serialize_field("note_details", &self.notes)?;
        out.serialize_field("trust", &self.trust)?;
        out.end()
    }
}
