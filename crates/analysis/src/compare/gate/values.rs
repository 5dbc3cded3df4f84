//! A metric's values on both sides, and the effects they come to.

use crate::compare::gate::FEWEST_RUNS;
use crate::stats;
use crate::stats::effect::Effect;
use pushbench_core::record::metrics::Metric;
use pushbench_core::record::trial::Trial;

/// Where a value comes from; `None` where it could not be measured.
pub type Source = fn(&Trial) -> Option<f64>;

/// A metric's values, one for each block.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    pub base: Vec<f64>,
    pub candidate: Vec<f64>,
    /// Whether both sides were measured in the same blocks.
    pub paired: bool,
    /// Of stored runs, how many values of `base` are of each; else empty.
    pub runs: Vec<usize>,
}

impl Values {
    /// `None` when a trial has no value.
    pub fn of(
        base: &[&Trial],
        candidate: &[&Trial],
        paired: bool,
        value: Source,
    ) -> Option<Values> {
        let side = |trials: &[&Trial]| trials.iter().map(|t| value(t)).collect::<Option<Vec<_>>>();
        Some(Values { base: side(base)?, candidate: side(candidate)?, paired, runs: Vec::new() })
    }

    /// The log of the slow-down, in the metric's own direction.
    pub fn slow_down(&self, metric: &Metric) -> Option<Effect> {
        self.effect(|v| worse(metric, v.ln()))
    }

    /// By how much the candidate is worse, in the metric's unit.
    pub fn difference(&self, metric: &Metric) -> Option<Effect> {
        self.effect(|v| worse(metric, v))
    }

    fn effect(&self, scale: impl Fn(f64) -> f64) -> Option<Effect> {
        let on = |side: &[f64]| side.iter().map(|v| scale(*v)).collect::<Vec<f64>>();
        let (base, candidate) = (on(&self.base), on(&self.candidate));
        match self.paired {
            true => Effect::paired(&minus(&candidate, &base)?),
            false if self.runs.len() >= FEWEST_RUNS => {
                let mut rest = &base[..];
                let run = |n: &usize| rest.split_off(..*n).unwrap_or_default();
                Effect::beside_runs(&self.runs.iter().map(run).collect::<Vec<_>>(), &candidate)
            }
            false => Effect::unpaired(&base, &candidate),
        }
    }
}

/// A value turned so that more is worse.
pub fn worse(metric: &Metric, value: f64) -> f64 {
    if metric.more_is_better { -value } else { value }
}

/// Element by element.
pub fn minus(these: &[f64], those: &[f64]) -> Option<Vec<f64>> {
    (these.len() == those.len()).then(|| these.iter().zip(those).map(|(a, b)| a - b).collect())
}

/// The geometric mean, which belongs to ratios.
pub fn middle(values: &[f64]) -> Option<f64> {
    let logs: Vec<f64> = values.iter().map(|v| v.ln()).collect();
    stats::mean(&logs).map(f64::exp)
}
