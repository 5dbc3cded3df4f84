//! The decisions of `pushbench capacity`: the highest load at which an objective holds, and what gave way.

pub mod limit;
pub mod search;
pub mod threshold;
pub mod window;

#[cfg(test)]
mod tests;

use crate::stats::Interval;
use pushbench_core::capacity::{CapacityRecord, Dimension, Overload, Window};
use pushbench_core::scenario::Expectation;
use pushbench_core::units::nanos_text;
use search::{CONFIDENCE, Next, Range, Search};
use serde::Serialize;
use std::collections::BTreeMap;
use threshold::{HOLDS, Threshold};
use window::observation;

/// Loads of a curve.
const CURVE: usize = 41;

/// The result of a search; its JSON is schema 1 and holds the record that it is derived from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capacity {
    /// The lines of the objective, each with its limit.
    pub objective: BTreeMap<String, String>,
    /// The share of windows that hold at the capacity.
    pub holds: f64,
    /// The arms in the order of the record.
    pub arms: Vec<ArmCapacity>,
    /// Each arm against the first.
    pub comparisons: Vec<Comparison>,
    /// The record.
    #[serde(skip)]
    pub record: CapacityRecord,
}

/// How the search of an arm ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The interval is as narrow as was wanted.
    Found,
    /// The interval is wider than was wanted: the time was used up.
    Wide,
    /// Every load that can be offered holds.
    AtLeast,
    /// The lowest load fails.
    Below,
    /// There is a bracket at most.
    Open,
}

/// What an arm carries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmCapacity {
    /// The arm.
    pub arm: String,
    /// The highest load at which [`HOLDS`] of the windows hold, or the highest that could be offered; `None` when no
    /// window held or nothing is known.
    pub highest: Option<f64>,
    /// Its 95 % interval; the upper end is `None` where only a lower bound is known.
    pub ci95: Option<(f64, Option<f64>)>,
    /// The capacity may be higher: something else gave way.
    pub at_least: bool,
    /// What gave way first.
    pub limited_by: Option<String>,
    /// The evidence for it, in a sentence.
    pub why: Option<String>,
    /// How the search ended.
    pub ending: Ending,
    /// The highest load that held and the lowest that did not.
    pub bracket: (Option<f64>, Option<f64>),
    /// Windows that count, those that held, and those that count neither way.
    pub windows: u64,
    /// Of these, the ones that held.
    pub held: u64,
    /// Windows that count neither way.
    pub void: u64,
    /// The probability that a window holds, by load; empty without a bracket.
    pub curve: Vec<CurvePoint>,
    /// Memory that each further unit of the load takes, bytes; of subscribers and connections.
    pub bytes_each: Option<Interval>,
    /// How it came back after an overload.
    pub overload: Option<Overload>,
}

/// A point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The load.
    pub load: f64,
    /// The probability that a window holds, with its 95 % interval.
    pub holds: Interval,
}

/// An arm's capacity over the baseline's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The first arm.
    pub baseline: String,
    /// The other one.
    pub candidate: String,
    /// Candidate over baseline; `None` where one of them is not known.
    pub ratio: Option<f64>,
    /// Its 95 % interval.
    pub ci95: Option<(f64, f64)>,
}

/// Judges a search, also one that was cut short.
pub fn judge(record: &CapacityRecord) -> Capacity {
    let searches: Vec<Search> = (0..record.arms.len()).map(|arm| search_of(record, arm)).collect();
    let arms =
        record.arms.iter().enumerate().map(|(index, _)| judge_arm(record, index, &searches[index]));
    let arms: Vec<ArmCapacity> = arms.collect();
    let comparisons = arms.iter().zip(&searches).skip(1).map(|(arm, search)| {
        let exact = [&arms[0], arm].iter().all(|arm| arm.highest.is_some() && !arm.at_least);
        let thresholds = searches[0].threshold().zip(search.threshold()).filter(|_| exact);
        let ratio = thresholds.map(|(base, other)| base.ratio(other, CONFIDENCE));
        Comparison {
            baseline: record.arms[0].clone(),
            candidate: arm.arm.clone(),
            ratio: ratio.map(|r| r.estimate),
            ci95: ratio.map(|r| (r.low, r.high)),
        }
    });
    let comparisons = comparisons.collect();
    let lines = &record.scenario.objective;
    let objective = lines.iter().map(|line| (line.what.clone(), limit_text(line))).collect();
    Capacity { objective, holds: HOLDS, arms, comparisons, record: record.clone() }
}

/// The search of an arm as far as the record goes.
pub fn search_of(record: &CapacityRecord, arm: usize) -> Search {
    let dimension = Dimension::named(&record.of);
    let mut search = Search::new(Range {
        start: record.start,
        lowest: dimension.map_or(1.0, |d| d.lowest),
        highest: record.fits.as_ref().map(|(fits, _)| *fits),
        whole: dimension.is_some_and(|d| d.whole),
    });
    for window in record.windows.iter().filter(|w| w.arm == arm) {
        add(&mut search, window, record);
    }
    search
}

/// Adds a window to the search of its arm: what it showed, or that the driver cannot offer its load.
pub fn add(search: &mut Search, window: &Window, record: &CapacityRecord) {
    match observation(window, &record.scenario.objective) {
        Some(observed) => search.add(observed),
        None => search.not_offered(window.load, window.driver_saturated),
    }
}

fn judge_arm(record: &CapacityRecord, index: usize, search: &Search) -> ArmCapacity {
    let mine = || record.windows.iter().filter(move |w| w.arm == index);
    let next = search.next(record.precision);
    let capacity = search.threshold().map(|t| t.capacity(CONFIDENCE));
    let ceiling = search.highest();
    let (best, _) = search.bracket();
    let ending = match next {
        Next::Found => Ending::Found,
        Next::AtLeast => Ending::AtLeast,
        Next::Below => Ending::Below,
        Next::Window(_) if capacity.is_some() => Ending::Wide,
        Next::Window(_) => Ending::Open,
    };
    // An interval that reaches beyond what could be offered has no upper end.
    let open = |interval: &Interval| ceiling.is_some_and(|highest| interval.high >= highest);
    let (highest, ci95) = match (&capacity, ending) {
        (_, Ending::AtLeast) => (best, best.map(|best| (best, None))),
        (Some(c), _) if open(c) => (Some(c.low), Some((c.low, None))),
        (Some(c), _) => (Some(c.estimate), Some((c.low, Some(c.high)))),
        (None, _) => (None, None),
    };
    let at_least = ci95.is_some_and(|(_, high)| high.is_none());
    let limit = limit::of(record, index, highest, at_least, search);
    ArmCapacity {
        arm: record.arms[index].clone(),
        highest,
        ci95,
        at_least,
        limited_by: limit.as_ref().map(|limit| limit.word.clone()),
        why: limit.map(|limit| limit.why),
        ending,
        bracket: search.bracket(),
        windows: search.observed().len() as u64,
        held: search.observed().iter().filter(|o| o.held()).count() as u64,
        void: mine().filter(|w| observation(w, &record.scenario.objective).is_none()).count()
            as u64,
        curve: search.threshold().map_or(Vec::new(), |t| curve(t, search)),
        bytes_each: bytes_each(record, index),
        overload: record.overloads.iter().find(|o| o.arm == index).cloned(),
    }
}

fn curve(threshold: &Threshold, search: &Search) -> Vec<CurvePoint> {
    let loads = || search.observed().iter().map(|o| o.load);
    let capacity = threshold.capacity(CONFIDENCE);
    // Around the knee: the first steps of the bracket may be far away.
    let low = loads().fold(f64::INFINITY, f64::min).max(capacity.low / 2.0).ln();
    let high = loads().fold(0.0, f64::max).min(capacity.high * 1.6).ln();
    let step = (high - low) / (CURVE - 1) as f64;
    let point = |n: usize| {
        let load = (low + step * n as f64).exp();
        CurvePoint { load, holds: threshold.holds(load, CONFIDENCE) }
    };
    (0..CURVE).map(point).collect()
}

/// The slope of the target's memory over subscribers or connections, by least squares, with its 95 % interval.
fn bytes_each(record: &CapacityRecord, arm: usize) -> Option<Interval> {
    if !["subscribers.count", "connections.count"].contains(&record.of.as_str()) {
        return None;
    }
    let valid =
        record.windows.iter().filter(|w| w.arm == arm && w.void.is_none() && w.died.is_none());
    let points = valid.filter_map(|w| Some((w.load, w.grown_bytes.or(w.target_bytes)? as f64)));
    crate::stats::slope(&points.collect::<Vec<_>>(), CONFIDENCE)
}

/// A limit as it is written.
pub fn limit_text(line: &Expectation) -> String {
    value_text(&line.what, line.limit)
}

/// A value of a figure as it is written.
pub fn value_text(what: &str, value: f64) -> String {
    use pushbench_core::record::metrics::{Unit, named};
    match named(what).map(|metric| metric.unit) {
        Some(Unit::Nanoseconds) => nanos_text(value),
        Some(Unit::Bytes) => pushbench_core::units::bytes(value),
        None | Some(Unit::Share) => format!("{} %", (value * 1e5).round() / 1e3),
        Some(Unit::Count | Unit::PerSecond) => format!("{value}"),
    }
}
