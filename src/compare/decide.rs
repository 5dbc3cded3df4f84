//! The verdict on each metric: Student-t intervals over blocks, and when not to claim anything.

use super::trust::is_driver_bound;
use super::{ArmFigures, Comparison, FEWEST_BLOCKS, Trials, Verdict};
use crate::record::metrics::{Family, METRICS, Metric};
use crate::record::trial::Trial;
use crate::scenario::Matters;
use crate::stats::{self, Interval};
use crate::store::PointHeader;

/// Confidence of the published intervals.
const CONFIDENCE: f64 = 0.95;
/// Two one-sided tests at 5 % are a 90 % interval inside the region.
const EQUIVALENCE_CONFIDENCE: f64 = 0.90;
/// Region of equivalence for medians, throughput and CPU: closer than any choice should hang on.
const EQUIVALENT: f64 = 0.05;
/// The same for tails, which no machine repeats better.
const EQUIVALENT_TAIL: f64 = 0.10;

/// Closer to 1 than this a ratio of such a metric is called equivalent.
pub fn region(family: Family) -> f64 {
    match family {
        Family::Latency { tail: true } => EQUIVALENT_TAIL,
        _ => EQUIVALENT,
    }
}

/// Every judged metric of every other arm against the first.
pub fn all(header: &PointHeader, arms: &[ArmFigures], trials: &Trials<'_>) -> Vec<Comparison> {
    let closed = header.scenario.load.rate.is_none();
    let mut comparisons = Vec::new();
    for candidate in 1..arms.len() {
        for metric in METRICS {
            let pair = Pair { metric, header, arms, trials, candidate };
            if pair.applies(closed) {
                comparisons.push(pair.compare());
            }
        }
    }
    comparisons
}

struct Pair<'a> {
    metric: &'static Metric,
    header: &'a PointHeader,
    arms: &'a [ArmFigures],
    trials: &'a Trials<'a>,
    candidate: usize,
}

/// The values of both arms, block by block.
struct Values {
    baseline: Vec<f64>,
    candidate: Vec<f64>,
}

impl Values {
    fn of(
        blocks: &[Vec<&Trial>],
        candidate: usize,
        value: fn(&Trial) -> Option<f64>,
    ) -> Option<Values> {
        let side = |arm: usize| blocks.iter().map(|b| value(b[arm])).collect::<Option<Vec<f64>>>();
        Some(Values { baseline: side(0)?, candidate: side(candidate)? })
    }

    fn ratio(&self, confidence: f64) -> Option<Interval> {
        stats::paired_ratio(&self.baseline, &self.candidate, confidence)
    }
}

/// Which way an interval of ratios points.
fn direction(ratio: &Interval, more_is_better: bool) -> Option<Verdict> {
    match (ratio.low > 1.0, ratio.high < 1.0) {
        (false, false) => None,
        (more, _) => Some(if more == more_is_better { Verdict::Better } else { Verdict::Worse }),
    }
}

impl Pair<'_> {
    fn applies(&self, closed: bool) -> bool {
        match self.metric.family {
            Family::Latency { .. } => !(closed && self.metric.name.starts_with("response")),
            Family::Throughput => closed,
            Family::Cpu => true,
            Family::Told => false,
        }
    }

    fn compare(&self) -> Comparison {
        let values = Values::of(&self.trials.valid, self.candidate, self.metric.value);
        let values = values.filter(|_| !self.falls_behind());
        let ratio = values.as_ref().and_then(|v| v.ratio(CONFIDENCE));
        let difference = values
            .as_ref()
            .and_then(|v| stats::paired_difference(&v.baseline, &v.candidate, CONFIDENCE));
        let (verdict, why) = self.verdict(values.as_ref(), ratio.as_ref(), difference.as_ref());
        let bounds = |i: &Interval| [i.low, i.high];
        Comparison {
            metric: self.metric.name,
            baseline: self.arms[0].arm.clone(),
            candidate: self.arms[self.candidate].arm.clone(),
            ratio: ratio.as_ref().map(|r| r.estimate),
            ci95: ratio.as_ref().map(bounds),
            difference: difference.as_ref().map(|d| d.estimate),
            difference_ci95: difference.as_ref().map(bounds),
            unit: self.metric.unit.name(),
            verdict,
            matters: self.matters(ratio.as_ref(), difference.as_ref()),
            why,
        }
    }

    fn verdict(
        &self,
        values: Option<&Values>,
        ratio: Option<&Interval>,
        difference: Option<&Interval>,
    ) -> (Verdict, Option<String>) {
        let cannot = |why: String| (Verdict::Inconclusive, Some(why));
        let pair = [&self.arms[0], &self.arms[self.candidate]];
        if self.trials.valid.is_empty() {
            return (Verdict::Invalid, Some("no valid block".to_owned()));
        }
        if self.falls_behind()
            && let Some(arm) = pair.iter().find(|a| a.overloaded)
        {
            return (Verdict::Overloaded, Some(format!("{} fell behind", arm.arm)));
        }
        if let Some(why) = self.driver_bound() {
            return cannot(why);
        }
        if self.trials.valid.len() < FEWEST_BLOCKS {
            let (have, need) = (self.trials.valid.len(), FEWEST_BLOCKS);
            return cannot(format!("{have} valid blocks, {need} are needed"));
        }
        let (Some(values), Some(ratio)) = (values, ratio) else {
            return cannot("too few samples beyond the percentile in a block".to_owned());
        };
        if self.is_equivalent(values) {
            return (Verdict::Equivalent, None);
        }
        let Some(direction) = direction(ratio, self.metric.more_is_better) else {
            return (Verdict::Inconclusive, None);
        };
        // A reader sees both intervals: what only one of them supports is not claimed.
        if difference.is_none_or(|d| d.low <= 0.0 && d.high >= 0.0) {
            return cannot(
                "the ratio supports a difference, the difference itself does not".into(),
            );
        }
        match self.doubt(ratio, direction) {
            Some(why) => cannot(why),
            None => (direction, None),
        }
    }

    fn is_equivalent(&self, values: &Values) -> bool {
        let region = region(self.metric.family);
        values
            .ratio(EQUIVALENCE_CONFIDENCE)
            .is_some_and(|r| r.low > 1.0 / (1.0 + region) && r.high < 1.0 + region)
    }

    /// Law 7: the latency of an arm that falls behind is the length of the trial, and no property of
    /// the arm: it is not put beside another.
    fn falls_behind(&self) -> bool {
        let latency = matches!(self.metric.family, Family::Latency { .. });
        latency && (self.arms[0].overloaded || self.arms[self.candidate].overloaded)
    }

    /// Law 10: with the driver at its limit a throughput is only a lower bound.
    fn driver_bound(&self) -> Option<String> {
        if self.metric.family != Family::Throughput {
            return None;
        }
        let bound = [0, self.candidate].into_iter().find(|a| is_driver_bound(&self.arms[*a]))?;
        Some(format!("{}: at least this much, the driver was the limit", self.arms[bound].arm))
    }

    /// Reasons not to claim a difference that the interval alone would support.
    fn doubt(&self, ratio: &Interval, claimed: Verdict) -> Option<String> {
        if let Some(without_lag) = self.metric.without_lag {
            let again = Values::of(&self.trials.valid, self.candidate, without_lag)
                .and_then(|v| v.ratio(CONFIDENCE))
                .and_then(|r| direction(&r, self.metric.more_is_better));
            if again != Some(claimed) {
                return Some("does not stand without the driver's own lag".to_owned());
            }
        }
        // Voided blocks: kept out of the average, but they must not have decided the sign.
        let with_voided = Values::of(&self.trials.blocks, self.candidate, self.metric.value)
            .and_then(|v| v.ratio(CONFIDENCE));
        if let Some(all) = with_voided
            && (all.estimate > 1.0) != (ratio.estimate > 1.0)
        {
            return Some("its sign depends on the voided blocks".to_owned());
        }
        let voided = |arm: usize| {
            self.trials.all.iter().filter(|t| t.arm == arm && !t.is_valid()).count() as i64
        };
        // Each void is a coin toss between the arms unless it knows the arm.
        let (a, b) = (voided(0), voided(self.candidate));
        if (a - b).abs() > 2 && (a == 0 || b == 0 || a.max(b) > 3 * a.min(b)) {
            return Some(format!("invalid trials strike one arm more ({a} against {b})"));
        }
        None
    }

    fn matters(&self, ratio: Option<&Interval>, difference: Option<&Interval>) -> bool {
        let Matters { latency, cpu, throughput } = &self.header.scenario.compare.matters;
        let relative =
            |limit: f64| ratio.is_none_or(|r| r.low < 1.0 / (1.0 + limit) || r.high > 1.0 + limit);
        match self.metric.family {
            Family::Latency { .. } => {
                let limit = latency.as_nanos() as f64;
                difference.is_none_or(|d| d.low < -limit || d.high > limit)
            }
            Family::Cpu | Family::Told => relative(*cpu),
            Family::Throughput => relative(*throughput),
        }
    }
}
