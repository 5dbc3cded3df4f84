//! What the page shows beside the report's figures: distributions, blocks in their order, time lines,
//! sweeps, and the facts of the run. Derived here, so that the page renders and computes nothing.

pub mod blocks;
pub mod facts;
pub mod heat;
pub mod pairs;
pub mod spectrum;
pub mod sweep;
pub mod time;
pub mod words;

use super::{ArmFigures, Report, Trials};
use crate::store::{Seconds, StoredRun};
use facts::Facts;

/// One run as the page shows it.
#[derive(Debug, Clone)]
pub struct Page {
    /// The report.
    pub report: Report,
    /// What was asked, where and with what.
    pub facts: Facts,
    /// Beside each of the report's points.
    pub evidence: Vec<Evidence>,
    /// How the figures change along a swept key.
    pub sweep: Option<sweep::Sweep>,
}

/// What stands behind the figures of one point.
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
    /// The steps of a ramp, where the load is one.
    pub ramp: Option<sweep::Ramp>,
    /// What each second brought.
    pub time: time::TimeLine,
    /// Time against latency, one an arm; empty where the interval logs are gone.
    pub heat: Vec<heat::Heat>,
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
    let closed = point.design.rate.is_none();
    let time = time::time_line(header, &trials);
    Evidence {
        blocks: blocks::blocks(&trials),
        judged: pairs::judged(header, point),
        spectra: (0..trials.arms).map(|a| spectrum::spectrum(&trials, a, closed)).collect(),
        pairs: pairs::pairs(point, &trials),
        heat: heat::heat(run, index, &time, seconds),
        memory_per_connection: point.arms.iter().map(memory_per_connection).collect(),
        ramp: sweep::ramp(&header.scenario, &point.arms),
        time,
    }
}

fn memory_per_connection(arm: &ArmFigures) -> Option<u64> {
    arm.target_usage.rss_steady_bytes?.checked_div(arm.load.connections)
}

#[cfg(test)]
mod tests;
