//! An arm's figure over blocks with its own interval: what a tracker of benchmarks keeps from run to
//! run, and what another run is held against. The block is the replicate (law 4).

use crate::compare::{ArmFigures, Trials};
use crate::stats;
use pushbench_core::record::metrics::{Family, METRICS, Metric, Subject};
use serde::Serialize;

/// Confidence of the interval.
const CONFIDENCE: f64 = 0.95;

/// One metric of one arm over the valid blocks.
#[derive(Debug, Clone, Serialize)]
pub struct OverBlocks {
    /// Name in the registry.
    pub metric: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Which way is better.
    pub more_is_better: bool,
    /// Valid blocks.
    pub blocks: usize,
    /// Geometric mean over blocks, so that a doubling and a halving weigh the same; of what became of events
    /// under a guarantee or under faults, which may be 0, the mean.
    pub estimate: f64,
    /// Its 95 % interval; `null` of fewer than two blocks.
    pub ci95: Option<[f64; 2]>,
}

/// Every metric that each valid block of the arm supports. The latency of an arm that fell behind is
/// the length of the trial and no property of the arm: it is left out.
pub fn over_blocks(figures: &ArmFigures, arm: usize, trials: &Trials<'_>) -> Vec<OverBlocks> {
    METRICS.iter().filter_map(|m| of_arm(m, figures, arm, trials)).collect()
}

/// One of them.
pub(super) fn of_arm(
    metric: &'static Metric,
    figures: &ArmFigures,
    arm: usize,
    trials: &Trials<'_>,
) -> Option<OverBlocks> {
    let fell_behind = figures.overloaded && matches!(metric.family, Family::Latency { .. });
    if fell_behind { None } else { of_metric(metric, arm, trials) }
}

pub(super) fn of_metric(
    metric: &'static Metric,
    arm: usize,
    trials: &Trials<'_>,
) -> Option<OverBlocks> {
    let values: Option<Vec<f64>> = trials.of_arm(arm).into_iter().map(metric.value).collect();
    let values = values.filter(|v| !v.is_empty())?;
    // Counts and times after a fault may be 0 and the CPU of a recovery below it: they have no logarithms.
    let linear = metric.subject == Subject::Guarantee;
    let to = |v: f64| if linear { v } else { v.ln() };
    let back = |v: f64| if linear { v } else { v.exp() };
    let scaled: Vec<f64> = values.iter().map(|v| to(*v)).collect();
    let estimate = back(stats::mean(&scaled)?);
    let interval = stats::t_interval(&scaled, CONFIDENCE);
    // Of nothing but zeros the interval would say that there can be none.
    let interval = interval.filter(|i| !(linear && i.low == i.high));
    let never_negative = linear && values.iter().all(|v| *v >= 0.0);
    let least = if never_negative { 0.0 } else { f64::NEG_INFINITY };
    estimate.is_finite().then(|| OverBlocks {
        metric: metric.name,
        unit: metric.unit.name(),
        more_is_better: metric.more_is_better,
        blocks: values.len(),
        estimate,
        ci95: interval.map(|i| [back(i.low).max(least), back(i.high)]),
    })
}
