//! Whether the warm-up was long enough: the first half of the measured window against the second.

use crate::compare::FEWEST_BLOCKS;
use crate::compare::figures::merged;
use crate::compare::judge::CONFIDENCE;
use crate::compare::{Ratio, Steady};
use crate::stats::paired_ratio;
use pushbench_core::record::metrics::supported_quantile;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::Scenario;
use std::time::Duration;

/// Halves closer than this are alike: the region in which medians are called equivalent.
const ALIKE: f64 = 1.05;
/// A warm-up to try is rounded up to this.
const STEP: Duration = Duration::from_millis(100);

/// Compares the halves of an arm's valid trials; `None` for a load that changes by itself.
pub fn steady(scenario: &Scenario, trials: &[&Trial]) -> Option<Steady> {
    let changes = !scenario.load.arrivals.is_steady() || scenario.faults.planned().is_some();
    if changes || trials.is_empty() {
        return None;
    }
    let p50 = |half: usize| {
        supported_quantile(&merged(trials, |t| &t.account.halves[half]), 0.5).map(|ns| ns as u64)
    };
    let of_trials = |half: usize| -> Option<Vec<f64>> {
        trials.iter().map(|t| supported_quantile(&t.account.halves[half], 0.5)).collect()
    };
    let ratio = of_trials(0)
        .zip(of_trials(1))
        .filter(|(first, _)| first.len() >= FEWEST_BLOCKS)
        .and_then(|(first, second)| paired_ratio(&first, &second, CONFIDENCE));
    let too_short = ratio.is_some_and(|r| r.high < 1.0 / ALIKE);
    Some(Steady {
        first_half_p50_ns: p50(0),
        second_half_p50_ns: p50(1),
        second_over_first: ratio.map(|r| Ratio { ratio: r.estimate, ci95: [r.low, r.high] }),
        warmup_to_try_ns: too_short.then(|| to_try(scenario)),
    })
}

/// The warm-up with the first half added to it: the second was steadier.
fn to_try(scenario: &Scenario) -> u64 {
    let load = &scenario.load;
    let wanted = (load.warmup + load.duration / 2).as_nanos() as u64;
    let step = STEP.as_nanos() as u64;
    wanted.div_ceil(step) * step
}

/// True when the second half was slower beyond doubt.
pub(crate) fn slows_down(steady: &Steady) -> bool {
    steady.second_over_first.as_ref().is_some_and(|r| r.ci95[0] > ALIKE)
}
