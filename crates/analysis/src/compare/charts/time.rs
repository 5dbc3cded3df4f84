//! What each second of a point brought. Time runs through the measured trials; set-up between them is
//! left out.

use crate::compare::Trials;
use crate::compare::charts::timed::Timed;
use pushbench_core::record::interval::Interval;
use pushbench_core::record::metrics::supported_quantile;
use pushbench_core::record::run::PointHeader;
use pushbench_core::record::trial::{Trial, TrialDesign};
use std::collections::BTreeMap;

/// A second of which less was measured has no rate.
const LEAST_SHARE: f64 = 0.5;

/// A second of an arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// When it began, seconds of the point's time.
    pub at: f64,
    /// Acknowledged events per second of the arm's own time; `None` in the warm-up and where too
    /// little of the second was measured.
    pub per_second: Option<f64>,
    /// Median response (service time in a closed loop), ns.
    pub p50: Option<u64>,
    /// 99th percentile, where the second has enough samples.
    pub p99: Option<u64>,
}

/// A trial as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// Its arm.
    pub arm: usize,
    /// What was acknowledged or delivered per second of the arm's own time.
    pub per_second: Option<f64>,
    /// Median of the times the page speaks of, ns.
    pub p50: Option<u64>,
    /// 99th percentile, where it has enough samples.
    pub p99: Option<u64>,
}

/// An interval of the point's time: a sliced block, or one trial of a sequential one.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The block.
    pub block: usize,
    /// Its beginning, in seconds of the point's time.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// The trials of the arms that ran.
    pub arms: Vec<Whole>,
    /// Whether the block is averaged.
    pub valid: bool,
    /// 99th percentile of the machine's stalls, ns.
    pub hiccup_p99_ns: Option<u64>,
    /// Largest stall, ns.
    pub hiccup_max_ns: Option<u64>,
    /// Share of the CPUs in use that the hypervisor took.
    pub steal: f64,
}

impl Span {
    /// The trial of an arm, if it ran.
    pub fn of_arm(&self, arm: usize) -> Option<&Whole> {
        self.arms.iter().find(|whole| whole.arm == arm)
    }
}

/// The seconds of a point.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TimeLine {
    /// One an arm, in order of time; empty where no seconds were kept.
    pub arms: Vec<Vec<Tick>>,
    /// In order of time.
    pub spans: Vec<Span>,
    /// Length, seconds.
    pub seconds: f64,
    /// Seconds that the first trial's warm-up took on the wall.
    pub warmup: f64,
    /// Where each trial's time line begins, by block and arm.
    pub(super) origins: BTreeMap<(usize, usize), f64>,
}

/// Lines up the trials of a point in the order in which they were run.
pub fn time_line(header: &PointHeader, trials: &Trials<'_>, timed: Timed) -> TimeLine {
    let mut line = TimeLine { arms: vec![Vec::new(); trials.arms], ..TimeLine::default() };
    for group in groups(trials) {
        let warmup = warmup(header, group[0]);
        if line.spans.is_empty() {
            line.warmup = warmup;
        }
        let from = line.seconds;
        let seconds = |t: &&Trial| t.time_line.iter().map(|i| i.second + 1).max().unwrap_or(0);
        line.seconds += group.iter().map(seconds).max().unwrap_or(0) as f64;
        for trial in &group {
            line.origins.insert((trial.block, trial.arm), from);
            let tick = |i: &Interval| tick(trial, i, from, warmup);
            let ticks = trial.time_line.iter().map(tick).filter(|_| timed.has_seconds());
            line.arms[trial.arm].extend(ticks);
        }
        line.spans.push(span(&group, from, line.seconds, timed));
    }
    line
}

/// Trials that ran at the same time: those of a sliced block, else one at a time.
fn groups<'a>(trials: &Trials<'a>) -> Vec<Vec<&'a Trial>> {
    let mut all: Vec<&Trial> = trials.all.clone();
    all.sort_by(|a, b| (&a.started, a.block, a.position).cmp(&(&b.started, b.block, b.position)));
    let mut groups: Vec<Vec<&Trial>> = Vec::new();
    for trial in all {
        let sliced = |t: &Trial| matches!(t.design, TrialDesign::Sliced { .. });
        match groups.iter_mut().find(|g| sliced(trial) && g[0].block == trial.block && sliced(g[0]))
        {
            Some(group) => group.push(trial),
            None => groups.push(vec![trial]),
        }
    }
    groups
}

/// Seconds of the wall before the measured window: in slices the arms share them.
fn warmup(header: &PointHeader, trial: &Trial) -> f64 {
    let scale = trial.wall_ns as f64 / trial.window_ns.max(1) as f64;
    header.scenario.load.warmup.as_secs_f64() * scale
}

fn tick(trial: &Trial, interval: &Interval, from: f64, warmup: f64) -> Tick {
    let second = interval.second as f64;
    let (begin, end) = (warmup, warmup + trial.wall_ns as f64 / 1e9);
    let measured = (end.min(second + 1.0) - begin.max(second)).max(0.0);
    let own = measured * trial.window_ns as f64 / trial.wall_ns.max(1) as f64;
    Tick {
        at: from + second,
        per_second: (measured >= LEAST_SHARE && own > 0.0)
            .then(|| interval.acknowledged as f64 / own),
        p50: interval.p50,
        p99: interval.p99,
    }
}

fn span(group: &[&Trial], from: f64, to: f64, timed: Timed) -> Span {
    let mut hiccup = group[0].hiccup.clone();
    group[1..].iter().for_each(|t| hiccup.merge(&t.hiccup));
    let at = |t: &Trial, q| supported_quantile(timed.times(t)?, q).map(|ns| ns as u64);
    let whole = |t: &&Trial| Whole {
        arm: t.arm,
        per_second: timed.per_second(t),
        p50: at(t, 0.5),
        p99: at(t, 0.99),
    };
    Span {
        block: group[0].block,
        from,
        to,
        arms: group.iter().map(whole).collect(),
        valid: group.iter().all(|t| t.is_valid()),
        hiccup_p99_ns: hiccup.quantile(0.99),
        hiccup_max_ns: hiccup.max(),
        steal: group[0].steal_ns as f64 / group[0].wall_ns.max(1) as f64,
    }
}
