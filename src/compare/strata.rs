//! Events told apart: figures of each stratum, the knee of a ramp, first events against last ones.

use super::figures::latency;
use super::types::{Ratio, Stratum};
use crate::record::metrics::supported_quantile;
use crate::record::strata::Split;
use crate::record::trial::Trial;
use crate::scenario::{Scenario, split};
use crate::stats::paired_ratio;

/// Past the knee a queue grows without end and the response with it; up to nine tenths of what one
/// connection can carry its median stays below this many times that of an idle one.
const KNEE: u64 = 10;
/// Confidence of the ratio.
const CONFIDENCE: f64 = 0.95;

/// The figures of each stratum over an arm's valid trials; none where events are not told apart.
pub fn strata(scenario: &Scenario, trials: &[&Trial]) -> Vec<Stratum> {
    let names = split::names(scenario);
    if trials.is_empty() || trials.iter().any(|t| t.strata.len() != names.len()) {
        return Vec::new();
    }
    let stratum = |(i, name): (usize, String)| Stratum {
        name,
        response_ns: latency(trials, |t| &t.strata[i].response, false),
        service_ns: latency(trials, |t| &t.strata[i].service, false),
    };
    names.into_iter().enumerate().map(stratum).collect()
}

/// The end of the last step before the first one whose median response is out of all proportion to
/// the first step's.
pub fn knee(scenario: &Scenario, strata: &[Stratum]) -> Option<f64> {
    let steps = split::ramp_steps(scenario);
    let idle = strata.first()?.response_ns.p50?;
    let kept_up = |s: &&Stratum| s.response_ns.p50.is_some_and(|p50| p50 <= KNEE * idle);
    let good = strata.iter().take_while(kept_up).count();
    good.checked_sub(1).and_then(|last| steps.get(last)).map(|(_, rate)| *rate)
}

/// The median response of a connection's first event over that of its last one, over blocks.
pub fn first_over_last(trials: &[&Trial]) -> Option<Ratio> {
    let by_use = |t: &&Trial| matches!(t.split, Some(Split::Use { .. }));
    if trials.is_empty() || !trials.iter().all(by_use) {
        return None;
    }
    let side = |last: bool| -> Option<Vec<f64>> {
        let of = |t: &&Trial| {
            let stratum = if last { t.strata.last() } else { t.strata.first() }?;
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
