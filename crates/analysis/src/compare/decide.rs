//! The verdict on each metric: which of them are judged, and what besides their numbers speaks against
//! a claim.

use crate::compare::judge;
use crate::compare::judge::{Answer, CONFIDENCE, Question, Values, direction};
use crate::compare::trust::{driver_at_limit, is_driver_bound, voids_know_the_arm};
use crate::compare::{ArmFigures, Comparison, CrossChecks, FEWEST_BLOCKS, Trials, Verdict};
use crate::stats::Interval;
use pushbench_core::record::metrics::{Family, METRICS, Metric, Subject};
use pushbench_core::record::run::PointHeader;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::{Flow, Matters, Scenario};
use pushbench_core::units;

/// Region of equivalence for medians, throughput and CPU: closer than any choice should hang on.
const EQUIVALENT: f64 = 0.05;
/// The same for tails, which no machine repeats better.
const EQUIVALENT_TAIL: f64 = 0.10;

/// What lag and late reading may add to a difference, as a part of the difference that is claimed (law 2).
const DRIVER_SHARE: f64 = 0.25;

/// How far from 1 ratios of this metric are still called equivalent.
pub fn region(metric: &Metric) -> f64 {
    match metric.family {
        Family::Latency { tail: true } => EQUIVALENT_TAIL,
        _ => EQUIVALENT,
    }
}

/// Whether a metric is of what a flow is about.
pub(crate) fn is_about(metric: &Metric, flow: Flow) -> bool {
    let about = match flow {
        Flow::Ingest => [Subject::Event, Subject::Guarantee].as_slice(),
        Flow::Duplex => &[Subject::Event],
        Flow::Fanout => &[Subject::Delivery, Subject::Subscriber, Subject::Guarantee],
        Flow::Idle => &[Subject::Quiet, Subject::Subscriber],
    };
    about.contains(&metric.subject)
}

/// Whether a metric is judged in such a scenario: it must be of what its flow is about. An open loop
/// completes what its schedule says. A closed one has no response, and its service time and throughput are
/// one quantity (Little's law: throughput = events in flight / mean service time), judged once.
pub fn is_judged(metric: &Metric, scenario: &Scenario) -> bool {
    let closed = scenario.load.rate.is_none();
    // A recovery is one from a fault that was planned at an instant.
    let breaks = match metric.name.starts_with("recovery.") {
        true => scenario.faults.planned().is_some(),
        false => scenario.faults.any() || !scenario.guarantee.is_default(),
    };
    is_about(metric, scenario.flow)
        && (metric.subject != Subject::Guarantee || breaks)
        && match metric.family {
            Family::Latency { .. } if metric.subject == Subject::Guarantee => true,
            Family::Counted => true,
            Family::Latency { .. } => !closed,
            Family::Throughput => closed,
            Family::Cpu | Family::Memory => true,
            Family::Reported => false,
        }
}

/// Every judged metric of every other arm against the first.
pub fn all(header: &PointHeader, arms: &[ArmFigures], trials: &Trials<'_>) -> Vec<Comparison> {
    (1..arms.len()).flat_map(|arm| against(header, arms, trials, (0, arm))).collect()
}

/// Every judged metric of one arm, the second, against another.
pub(super) fn against(
    header: &PointHeader,
    arms: &[ArmFigures],
    trials: &Trials<'_>,
    (baseline, candidate): (usize, usize),
) -> Vec<Comparison> {
    let judged = METRICS.iter().filter(|m| is_judged(m, &header.scenario));
    let pair = |metric| Pair { metric, header, arms, trials, baseline, candidate };
    against_baseline(judged.map(pair).filter(|pair| !pair.counts_nothing()).collect())
}

/// All metrics of one pair: those that may be judged are judged together.
fn against_baseline(pairs: Vec<Pair<'_>>) -> Vec<Comparison> {
    let mut cases: Vec<Case<'_>> = pairs.into_iter().map(Case::of).collect();
    let open: Vec<usize> = (0..cases.len()).filter(|i| cases[*i].barred.is_none()).collect();
    let questions: Vec<Question<'_>> = open.iter().filter_map(|i| cases[*i].question()).collect();
    // Without values a case is barred, so there is a question for each that is open.
    for (i, answer) in open.into_iter().zip(judge::family(&questions)) {
        cases[i].answer = answer;
    }
    cases.into_iter().map(Case::comparison).collect()
}

/// A metric of a pair on its way to a verdict.
struct Case<'a> {
    pair: Pair<'a>,
    values: Option<Values>,
    /// Without what the driver itself adds, where it adds something.
    without_driver: Option<Values>,
    /// Why it is not judged at all.
    barred: Option<(Verdict, Option<String>)>,
    answer: Option<Answer>,
}

impl<'a> Case<'a> {
    fn of(pair: Pair<'a>) -> Case<'a> {
        let values = pair.values(&pair.trials.valid, |t| pair.metric.compared(t));
        let values = values.filter(|_| !pair.falls_behind());
        let barred = pair.barred(values.as_ref());
        let without_driver =
            pair.metric.without_lag.and_then(|of| pair.values(&pair.trials.valid, of));
        Case { pair, values, without_driver, barred, answer: None }
    }

    fn question(&self) -> Option<Question<'_>> {
        let metric = self.pair.metric;
        let (values, more_is_better) = (self.values.as_ref()?, metric.more_is_better);
        let without_driver = self.without_driver.as_ref();
        Some(Question { values, more_is_better, region: region(metric), without_driver })
    }

    fn comparison(self) -> Comparison {
        let (verdict, why) = self.verdict();
        let Case { pair, values, answer, .. } = self;
        let values = values.as_ref();
        let ratio = values.and_then(|v| v.ratio(CONFIDENCE));
        let difference = values.and_then(Values::difference);
        let bounds = |i: &Interval| [i.low, i.high];
        Comparison {
            metric: pair.metric.name,
            baseline: pair.arms[pair.baseline].arm.clone(),
            candidate: pair.arms[pair.candidate].arm.clone(),
            ratio: ratio.as_ref().map(|r| r.estimate),
            ci95: ratio.as_ref().map(bounds),
            difference: difference.as_ref().map(|d| d.estimate),
            difference_ci95: difference.as_ref().map(bounds),
            adjusted_ci95: answer.as_ref().map(|a| bounds(&a.adjusted)),
            p_adjusted: answer.as_ref().map(|a| a.p_adjusted),
            cross_checks: CrossChecks {
                bootstrap_ci95: values.and_then(Values::bootstrap).as_ref().map(bounds),
                sign_flip_p: values.and_then(Values::sign_flip),
                merged_ratio: values.and_then(|_| pair.merged_ratio()),
            },
            unit: pair.metric.unit.name(),
            design: match (pair.metric.family, pair.trials.valid.first()) {
                (Family::Cpu, Some(block)) => Some(block[0].design.name()),
                _ => None,
            },
            verdict,
            matters: pair.matters(ratio.as_ref(), difference.as_ref()),
            why,
        }
    }

    /// Law 2: what lag and late reading may add to the difference must be small against it, and what is left
    /// must still bear the claim.
    fn driver_share(&self, claimed: Verdict) -> Option<String> {
        self.pair.metric.without_lag?;
        let (values, without) = match (&self.values, &self.without_driver) {
            (Some(values), Some(without)) => (values, without),
            _ => return Some("its values without the driver's own lag are unknown".to_owned()),
        };
        let again = without.ratio(CONFIDENCE);
        let again = again.and_then(|r| direction(&r, self.pair.metric.more_is_better));
        if again != Some(claimed) {
            return Some("does not hold without the driver's own lag".to_owned());
        }
        let own =
            |all: &[f64], without: &[f64]| all.iter().zip(without).map(|(a, b)| a - b).collect();
        let own = Values {
            baseline: own(&values.baseline, &without.baseline),
            candidate: own(&values.candidate, &without.candidate),
        };
        let (own, claimed) = (own.difference()?, values.difference()?.estimate.abs());
        let most = own.low.abs().max(own.high.abs());
        (most > claimed * DRIVER_SHARE).then(|| {
            format!(
                "the driver's own lag and late reading may make up {} of the difference of {}",
                units::nanos_text(most),
                units::nanos_text(claimed)
            )
        })
    }

    fn verdict(&self) -> (Verdict, Option<String>) {
        if let Some(barred) = &self.barred {
            return barred.clone();
        }
        let Some(answer) = &self.answer else {
            return (Verdict::Inconclusive, Some("a value of 0 has no ratio".to_owned()));
        };
        let claimed = matches!(answer.verdict, Verdict::Better | Verdict::Worse);
        let doubt = || {
            let own = self.driver_share(answer.verdict);
            own.or_else(|| self.pair.doubt(answer.adjusted.estimate))
        };
        match claimed.then(doubt).flatten() {
            Some(why) => (Verdict::Inconclusive, Some(why)),
            None => (answer.verdict, answer.why.clone()),
        }
    }
}

/// One metric of one arm against another.
struct Pair<'a> {
    metric: &'static Metric,
    header: &'a PointHeader,
    arms: &'a [ArmFigures],
    trials: &'a Trials<'a>,
    baseline: usize,
    candidate: usize,
}

impl Pair<'_> {
    /// The values of some blocks; `None` when one is missing.
    fn values(
        &self,
        blocks: &[Vec<&Trial>],
        value: impl Fn(&Trial) -> Option<f64>,
    ) -> Option<Values> {
        let side = |arm: usize| blocks.iter().map(|b| value(b[arm])).collect::<Option<Vec<f64>>>();
        Some(Values { baseline: side(self.baseline)?, candidate: side(self.candidate)? })
    }

    /// Neither arm has any of what is counted: then there is nothing to compare.
    fn counts_nothing(&self) -> bool {
        let none = |t: &&Trial| (self.metric.value)(t).is_none_or(|count| count == 0.0);
        let of = |b: &Vec<&'_ Trial>| none(&b[self.baseline]) && none(&b[self.candidate]);
        self.metric.family == Family::Counted && self.trials.valid.iter().all(of)
    }

    /// Why the metric is not judged, whatever its values are.
    fn barred(&self, values: Option<&Values>) -> Option<(Verdict, Option<String>)> {
        let cannot = |why: String| Some((Verdict::Inconclusive, Some(why)));
        let pair = [&self.arms[self.baseline], &self.arms[self.candidate]];
        if self.trials.valid.is_empty() {
            return Some((Verdict::Invalid, Some("no valid block".to_owned())));
        }
        if self.falls_behind()
            && let Some(arm) = pair.iter().find(|a| a.overloaded)
        {
            return Some((Verdict::Overloaded, Some(format!("{} fell behind", arm.arm))));
        }
        if let Some(why) = self.driver_bound() {
            return cannot(why);
        }
        if self.trials.valid.len() < FEWEST_BLOCKS {
            let (have, need) = (self.trials.valid.len(), FEWEST_BLOCKS);
            return cannot(format!("{have} valid blocks, {need} are needed"));
        }
        let latency = matches!(self.metric.family, Family::Latency { .. });
        match values {
            None if latency && self.metric.subject != Subject::Guarantee => {
                cannot("too few samples beyond the percentile in a block".to_owned())
            }
            None => cannot("not measured in every block".to_owned()),
            Some(_) => self.too_few_events().and_then(cannot),
        }
    }

    fn too_few_events(&self) -> Option<String> {
        let needed = self.metric.events_to_judge();
        let trials = self.trials.valid.iter().flat_map(|b| [b[self.baseline], b[self.candidate]]);
        let fewest = trials.map(|t| t.account.measured.acknowledged).min()?;
        let shown = |n: u64| units::count(n as f64);
        (fewest < needed).then(|| {
            format!("{} events in a trial, {} are needed to judge it", shown(fewest), shown(needed))
        })
    }

    /// The ratio of the figures of the merged windows.
    fn merged_ratio(&self) -> Option<f64> {
        if self.metric.subject == Subject::Guarantee {
            return None;
        }
        let figure = |arm: usize| self.arms[arm].figure(self.metric.name).filter(|v| *v > 0.0);
        Some(figure(self.candidate)? / figure(self.baseline)?)
    }

    /// Law 7: the latency of an arm that falls behind is the length of the trial, and no property of
    /// the arm: it is not put beside another.
    fn falls_behind(&self) -> bool {
        let latency = matches!(self.metric.family, Family::Latency { .. });
        latency && (self.arms[self.baseline].overloaded || self.arms[self.candidate].overloaded)
    }

    /// Law 10: with the driver at its limit a throughput is only a lower bound, and so is a mean with such
    /// a trial in it.
    fn driver_bound(&self) -> Option<String> {
        if self.metric.family != Family::Throughput {
            return None;
        }
        let bound = [self.baseline, self.candidate]
            .into_iter()
            .find(|a| is_driver_bound(&self.arms[*a]))?;
        let arm = &self.arms[bound];
        Some(format!("{}: at least this much, {}", arm.arm, driver_at_limit(arm)))
    }

    /// Reasons not to claim a difference that the interval alone would support.
    fn doubt(&self, ratio: f64) -> Option<String> {
        // Voided blocks: kept out of the average, but they must not have decided the sign.
        let with_voided = self
            .values(&self.trials.blocks, |t| self.metric.compared(t))
            .and_then(|v| v.ratio(CONFIDENCE));
        if let Some(all) = with_voided
            && (all.estimate > 1.0) != (ratio > 1.0)
        {
            return Some("its sign depends on the voided blocks".to_owned());
        }
        let (a, b) = (self.trials.invalid(self.baseline), self.trials.invalid(self.candidate));
        if voids_know_the_arm(a, b) {
            return Some(format!(
                "one arm has more invalid trials or failed blocks ({a} against {b})"
            ));
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
            Family::Cpu | Family::Memory | Family::Reported => relative(*cpu),
            Family::Throughput => relative(*throughput),
            Family::Counted => true,
        }
    }
}
