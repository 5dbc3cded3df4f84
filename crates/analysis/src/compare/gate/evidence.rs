//! What one line is judged by.

use crate::compare::gate::pairs::{Pairs, Side};
use crate::compare::gate::values::{Source, Values, middle};
use crate::compare::gate::{FEWEST, exact};
use crate::compare::trust::voids_know_the_arm;
use crate::stats::effect::Effect;
use pushbench_core::record::metrics::{Family, Metric};

/// Effects are logs of slow-downs unless stated otherwise.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Blocks that went into it.
    pub blocks: usize,
    /// Geometric mean of the base's blocks.
    pub base: Option<f64>,
    /// Of the candidate's.
    pub candidate: Option<f64>,
    /// Candidate over base.
    pub slow_down: Option<Effect>,
    /// The same without the driver's own lag; the outer `None` where lag does not enter the metric.
    pub unlagged: Option<Option<Effect>>,
    /// By how much the candidate is worse, in the metric's unit; `None` for a ratio of transports.
    pub difference: Option<Effect>,
    /// The base once more over the base.
    pub null: Option<Effect>,
    /// Why no judgement can be made of it, whatever the effects are.
    pub(crate) doubt: Option<String>,
}

impl Evidence {
    /// A metric of one transport at one point.
    pub fn of(pair: &Pairs<'_>, metric: &Metric) -> Evidence {
        let values = |of: Source| {
            let values = Values::of(&pair.base, &pair.candidate, pair.paired, of)?;
            Some(Values { runs: pair.runs.clone(), ..values })
        };
        let found = values(metric.value);
        let null = pair.null.as_ref().and_then(|(a, b)| Values::of(a, b, true, metric.value));
        let unlagged = metric.without_lag.map(values);
        let mut evidence = Evidence::from_values(metric, found, unlagged, null);
        evidence.blocks = pair.blocks();
        evidence.doubt = mixed(pair, metric)
            .or_else(|| fallen_behind(pair, metric))
            .or_else(|| evidence.too_little(metric))
            .or_else(|| too_few_events(pair, metric))
            .or_else(|| driver_bound(pair, metric))
            .or_else(|| voids(pair, metric, evidence.slow_down.as_ref()));
        evidence
    }

    /// From values alone.
    pub(crate) fn from_values(
        metric: &Metric,
        found: Option<Values>,
        unlagged: Option<Option<Values>>,
        null: Option<Values>,
    ) -> Evidence {
        let slow_down = |v: &Values| v.slow_down(metric);
        let mut evidence = Evidence {
            blocks: found.as_ref().map_or(0, |v| v.base.len().min(v.candidate.len())),
            base: found.as_ref().and_then(|v| middle(&v.base)),
            candidate: found.as_ref().and_then(|v| middle(&v.candidate)),
            slow_down: found.as_ref().and_then(slow_down),
            unlagged: unlagged.map(|v| v.as_ref().and_then(slow_down)),
            difference: found.as_ref().and_then(|v| v.difference(metric)),
            null: null.as_ref().and_then(slow_down),
            doubt: None,
        };
        evidence.doubt = evidence.too_little(metric);
        evidence
    }

    /// Too few blocks, or blocks without a value.
    pub(crate) fn too_little(&self, metric: &Metric) -> Option<String> {
        if self.blocks < FEWEST {
            return Some(format!("{} valid blocks, {FEWEST} are needed", self.blocks));
        }
        let why = match metric.family {
            Family::Latency { .. } => "too few samples beyond the percentile in a block",
            Family::Cpu => "CPU is known only of targets that pushbench starts",
            _ => "a block has no value",
        };
        self.slow_down.is_none().then(|| why.to_owned())
    }
}

/// Why no time is judged that was measured on a CPU that the driver used, too.
pub(crate) const MIXED: &str = "driver and target shared a CPU, so their times are mixed";

/// Law 10: on one CPU each waits for the other. What CPU the target used is known all the same.
pub fn mixed(pair: &Pairs<'_>, metric: &Metric) -> Option<String> {
    let time = matches!(metric.family, Family::Latency { .. } | Family::Throughput);
    (pair.shared_cpu && time).then(|| MIXED.to_owned())
}

/// Law 7: the latency of an arm that falls behind is the length of the trial, and no property of it.
pub(crate) fn fallen_behind(pair: &Pairs<'_>, metric: &Metric) -> Option<String> {
    let latency = matches!(metric.family, Family::Latency { .. });
    let behind = exact::overloaded(&pair.base) || exact::overloaded(&pair.candidate);
    (latency && behind)
        .then(|| "an arm was overloaded: its latency depends on the length of the trial".to_owned())
}

/// A far tail of few events depends more on the stalls they met than on the program.
fn too_few_events(pair: &Pairs<'_>, metric: &Metric) -> Option<String> {
    let needed = metric.events_to_judge();
    let both = pair.base.iter().chain(&pair.candidate);
    let fewest = both.map(|t| t.account.measured.acknowledged).min().filter(|n| *n < needed)?;
    Some(format!("{fewest} events in a trial, {needed} are needed to judge it"))
}

/// Law 10: with the driver at its limit a throughput is only a lower bound, and so is a mean with such a
/// trial in it.
fn driver_bound(pair: &Pairs<'_>, metric: &Metric) -> Option<String> {
    if metric.family != Family::Throughput {
        return None;
    }
    let at_limit = |side: &Side<'_>| side.iter().filter(|t| t.is_at_drivers_limit()).count();
    let (sides, trials) = ([&pair.base, &pair.candidate], pair.base.len() + pair.candidate.len());
    let at_limit: usize = sides.into_iter().map(at_limit).sum();
    (at_limit > 0).then(|| {
        format!("the driver was at its limit in {at_limit} of {trials} trials: at least this much")
    })
}

/// Voided blocks are kept out of the average, but they must not have decided anything.
fn voids(pair: &Pairs<'_>, metric: &Metric, found: Option<&Effect>) -> Option<String> {
    let [base, candidate] = pair.invalid;
    if voids_know_the_arm(base, candidate) {
        return Some(format!(
            "one side has more invalid trials or failed blocks ({base} of the base, {candidate} of the candidate)"
        ));
    }
    let (first, second): &(Side<'_>, Side<'_>) = &pair.with_voided;
    let all = Values::of(first, second, pair.paired, metric.value)?.slow_down(metric)?;
    ((all.estimate > 0.0) != (found?.estimate > 0.0) && all.p_above(0.0)? < 0.025)
        .then(|| "its sign depends on the voided blocks".to_owned())
}
