//! What the page shows in addition to the report's figures: distributions, blocks in their order, time lines,
//! sweeps, and the facts of the run. Derived here, so that the page renders and computes nothing.

pub mod blocks;
pub mod facts;
pub mod heat;
pub mod pairs;
pub mod spectrum;
pub mod sweep;
pub mod time;
pub mod timed;
pub mod words;

use crate::compare::{ArmFigures, Point, Report, Trials};
use facts::Facts;
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::record::metrics;
use pushbench_core::record::run::{Seconds, StoredRun};

/// What a page shows first of each comparison and along a swept key, in this order: of every flow what a
/// reader asks for.
pub(crate) const HEADLINES: [&str; 18] = [
    "lost_share",
    "recovery.first_event",
    "recovery.caught_up",
    "recovery.all_back",
    "throughput",
    "response.p50",
    "response.p99",
    "service.p50",
    "service.p99",
    "target_usage.cpu_ns_per_event",
    "delivery.p50",
    "delivery.p99",
    "last.p50",
    "target_usage.cpu_ns_per_delivery",
    "target_usage.bytes_per_subscriber",
    "target_usage.kernel_bytes_per_subscriber",
    "target_usage.cpu_ns_per_subscriber_minute",
    "wire.bytes_per_subscriber_minute",
];

/// The headlines of these points. An open loop measures how long events take from their due instants, its
/// service times say no more; a closed one has no such instants.
pub fn headlines<'a>(points: impl IntoIterator<Item = &'a Point>) -> Vec<&'static str> {
    let points: Vec<&Point> = points.into_iter().collect();
    let closed = points.iter().all(|p| p.design.rate.is_none());
    let breaks = points.iter().flat_map(|p| &p.arms).any(|a| a.guarantee.is_some());
    let fits = |metric: &&str| match metric.split_once('.') {
        Some(("recovery", _)) => breaks,
        None if *metric == "lost_share" => breaks,
        Some(("response", _)) => !closed,
        Some(("service", _)) => closed,
        _ => true,
    };
    HEADLINES.into_iter().filter(fits).collect()
}

/// One run as the page shows it.
#[derive(Debug, Clone)]
pub struct Page {
    /// The report.
    pub report: Report,
    /// Scenario, machine and programs.
    pub facts: Facts,
    /// Beside each of the report's points.
    pub evidence: Vec<Evidence>,
    /// How the figures change along a swept key.
    pub sweep: Option<sweep::Sweep>,
}

/// The data behind the figures of one point.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Every block that was run.
    pub blocks: Vec<blocks::Block>,
    /// Every comparison with what it is judged by.
    pub judged: Vec<pairs::Judged>,
    /// Percentiles of each arm.
    pub spectra: Vec<spectrum::Spectrum>,
    /// Differences block by block.
    pub pairs: Vec<pairs::Pairs>,
    /// Resident memory of each arm's target at the end of the window over its connections: the program
    /// itself is in it, so it says most where there are many.
    pub memory_per_connection: Vec<Option<u64>>,
    /// What each arm's events take in bytes and CPU, where some arms are compressed and others are not.
    pub traded: Vec<Option<Traded>>,
    /// The steps of a ramp, where the load is one.
    pub ramp: Option<sweep::Ramp>,
    /// Figures of each second, or of each trial where the records hold no per-second figures.
    pub time: time::TimeLine,
    /// Time against latency, one an arm; empty where the interval logs are missing or do not hold
    /// these times.
    pub heat: Vec<heat::Heat>,
}

/// What an event of an arm takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Traded {
    /// Bytes in both directions.
    pub bytes: f64,
    /// CPU of target and driver, ns.
    pub cpu_ns: f64,
    /// Its 95 % interval over blocks.
    pub interval: Option<[f64; 2]>,
}

/// Derives the page of a run from its report. `seconds`: whatever is there.
pub fn page(run: &StoredRun, report: Report, seconds: &Seconds) -> Page {
    let evidence: Vec<Evidence> =
        (0..report.points.len()).map(|i| evidence(run, &report, i, seconds)).collect();
    let sweep = sweep::sweep(run, &report);
    Page { facts: facts::facts(run), evidence, sweep, report }
}

fn evidence(run: &StoredRun, report: &Report, index: usize, seconds: &Seconds) -> Evidence {
    let (header, point) = (&run.header.points[index], &report.points[index]);
    let trials = Trials::of(run, index);
    let timed = timed::Timed::of(point);
    let time = time::time_line(header, &trials, timed);
    Evidence {
        blocks: blocks::blocks(&trials),
        judged: pairs::judged(header, point),
        spectra: (0..trials.arms).map(|a| spectrum::spectrum(&trials, a, timed)).collect(),
        pairs: pairs::pairs(point, &trials),
        heat: if timed.has_seconds() { heat::heat(run, index, &time, seconds) } else { Vec::new() },
        memory_per_connection: point.arms.iter().map(memory_per_connection).collect(),
        traded: traded(&point.arms, &trials),
        ramp: sweep::ramp(&header.scenario, &point.arms),
        time,
    }
}

fn traded(arms: &[ArmFigures], trials: &Trials<'_>) -> Vec<Option<Traded>> {
    let is_compressed =
        |a: &ArmFigures| ArmSpec::parse(&a.arm).is_ok_and(|spec| spec.has(ArmOption::Compressed));
    let compressed = arms.iter().filter(|a| is_compressed(a)).count();
    let metric = metrics::named("total_usage.cpu_ns_per_event");
    let Some(metric) = metric.filter(|_| (1..arms.len()).contains(&compressed)) else {
        return Vec::new();
    };
    let of = |(arm, a): (usize, &ArmFigures)| {
        Some(Traded {
            bytes: a.wire.bytes_out_per_event? + a.wire.bytes_in_per_event?,
            cpu_ns: a.figure(metric.name)?,
            interval: sweep::interval(metric, arm, trials),
        })
    };
    arms.iter().enumerate().map(of).collect()
}

fn memory_per_connection(arm: &ArmFigures) -> Option<u64> {
    arm.target_usage.rss_steady_bytes?.checked_div(arm.load.connections)
}

#[cfg(test)]
mod tests;
