//! Strata: figures of each stratum, the knee of a ramp, first events against last ones.

use crate::compare::FEWEST_BLOCKS;
use crate::compare::figures::latency;
use crate::compare::judge::CONFIDENCE;
use crate::compare::{Ratio, Stratum};
use crate::stats::{median, paired_ratio};
use pushbench_core::record::metrics::supported_quantile;
use pushbench_core::record::strata::{Split, Stratum as TrialStratum};
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::{Scenario, split};

/// Past the knee a queue grows without end and the response with it; up to nine tenths of what one
/// connection can carry its median stays below this many times that of an idle one.
const KNEE: f64 = 10.0;

/// The figures of each stratum over an arm's valid trials; none where events have no strata.
pub fn strata(scenario: &Scenario, trials: &[&Trial]) -> Vec<Stratum> {
    let names = split::names(scenario);
    if trials.is_empty() || trials.iter().any(|t| t.account.strata.len() != names.len()) {
        return Vec::new();
    }
    let stratum = |(i, name): (usize, String)| Stratum {
        name,
        response_ns: latency(trials, |t| &t.account.strata[i].response, false),
        service_ns: latency(trials, |t| &t.account.strata[i].service, false),
    };
    names.into_iter().enumerate().map(stratum).collect()
}

/// Up to which rate an arm kept up on a ramp, the median over its valid trials. In each it is the end
/// of the last step whose median response is in proportion to the fastest step's: a stall of the
/// machine on the way is not the knee.
pub fn knee(scenario: &Scenario, trials: &[&Trial]) -> Option<f64> {
    let steps = split::ramp_steps(scenario);
    let of_trial = |t: &&Trial| -> Option<f64> {
        let p50 = |s: &TrialStratum| supported_quantile(&s.response, 0.5);
        let medians: Vec<Option<f64>> = t.account.strata.iter().map(p50).collect();
        let idle = medians.iter().flatten().copied().reduce(f64::min)?;
        let last = medians.iter().rposition(|m| m.is_some_and(|m| m <= KNEE * idle))?;
        steps.get(last).map(|(_, rate)| *rate)
    };
    let knees: Vec<f64> = trials.iter().filter_map(of_trial).collect();
    median(&knees)
}

/// The median response of a connection's first event over that of its last one, over blocks; `None`
/// of too few.
pub(crate) fn first_over_last(trials: &[&Trial]) -> Option<Ratio> {
    let by_use = |t: &&Trial| matches!(t.split, Some(Split::Use { .. }));
    if trials.len() < FEWEST_BLOCKS || !trials.iter().all(by_use) {
        return None;
    }
    let side = |last: bool| -> Option<Vec<f64>> {
        let of = |t: &&Trial| {
            let stratum = if last { t.account.strata.last() } else { t.account.strata.first() }?;
            // A closed loop knows no response.
            let hist = match stratum.response.is_empty() {
                true => &stratum.service,
                false => &stratum.response,
            };
            supported_quantile(hist, 0.5)
        };
        trials.iter().map(of).collect()
    };
    let ratio = paired_ratio(&side(true)?, &side(false)?, CONFIDENCE)?;
    Some(Ratio { ratio: ratio.estimate, ci95: [ratio.low, ratio.high] })
}
