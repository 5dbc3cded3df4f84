//! One judged line: its estimates first, its outcome once all lines are known.

use super::pairs::{Pairs, Values};
use super::waiver::Waiver;
use super::{ALPHA, BETA, FEWEST, Line, Margin, Outcome, Settings, exact};
use crate::compare::Ratio;
use crate::record::metrics::{self, Family, Metric};
use crate::scenario::Scenario;
use crate::stats::effect::Effect;
use crate::stats::{self, Interval};

/// Confidence of the published intervals, and of the null's.
const CONFIDENCE: f64 = 0.95;

/// A line before the adjustment.
pub struct Draft {
    pub line: Line,
    effect: Option<Effect>,
    null: Option<Effect>,
    difference: Option<Effect>,
    /// The slow-down without the driver's own lag, where lag enters.
    pub unlagged: Option<Option<Effect>>,
    /// Probability of this estimate, were the slow-down just the margin.
    pub p: Option<f64>,
    /// The level at which the lower bound is taken, by Holm's procedure.
    pub level: f64,
    /// What would be allowed without a waiver.
    own_margin: f64,
    /// Whether its difference is in ns.
    pub in_ns: bool,
}

impl Draft {
    /// `None` where the metric does not apply to the load.
    pub fn of(pair: &Pairs<'_>, margin: &Margin, settings: &Settings) -> Option<Draft> {
        let metric = metrics::named(&margin.metric)?;
        if !applies(metric, pair.scenario) {
            return None;
        }
        let values = |of| Values::of(&pair.base, &pair.candidate, pair.paired, of);
        let found = values(metric.value);
        let null = pair.null.as_ref().and_then(|(first, second)| {
            Values::of(first, second, true, metric.value)?.slow_down(metric)
        });
        let mean = |side: &[f64]| {
            let logs: Vec<f64> = side.iter().map(|v| v.ln()).collect();
            stats::mean(&logs).map(f64::exp)
        };
        let waiver = waiver(settings, &pair.scenario.name, metric.name);
        let mut draft = Draft::new(pair, metric, margin, waiver);
        draft.line.base = found.as_ref().and_then(|v| mean(&v.base));
        draft.line.candidate = found.as_ref().and_then(|v| mean(&v.candidate));
        draft.difference = found.as_ref().and_then(|v| v.difference(metric));
        draft.unlagged = metric.without_lag.map(|of| values(of)?.slow_down(metric));
        draft.measured(found.and_then(|v| v.slow_down(metric)), null);
        let behind = exact::overloaded(&pair.base) || exact::overloaded(&pair.candidate);
        if behind && matches!(metric.family, Family::Latency { .. }) {
            draft.cannot("an arm fell behind: its latency is the length of the trial");
        }
        Some(draft)
    }

    pub fn new(
        pair: &Pairs<'_>,
        metric: &'static Metric,
        margin: &Margin,
        waiver: Option<&Waiver>,
    ) -> Draft {
        let share = waiver.map_or(margin.share, |w| w.ceiling.max(margin.share));
        let outcome = if margin.qualified { Outcome::Passed } else { Outcome::NotQualified };
        Draft {
            line: Line {
                setting: pair.setting.clone(),
                transport: pair.transport.clone(),
                metric: metric.name,
                unit: metric.unit.name(),
                base: None,
                candidate: None,
                slow_down: None,
                adjusted_low: None,
                upper: None,
                difference_low: None,
                null: None,
                margin: Margin { share, ..margin.clone() },
                blocks: pair.candidate.len().min(pair.base.len()),
                outcome,
                why: waiver.map(|w| format!("waived up to {:.0} %", w.ceiling * 100.0)),
            },
            effect: None,
            null: None,
            difference: None,
            unlagged: None,
            p: None,
            level: ALPHA,
            own_margin: margin.share,
            in_ns: metric.unit == metrics::Unit::Nanoseconds,
        }
    }

    /// Takes the estimates in; too few blocks or samples cannot be judged.
    pub fn measured(&mut self, effect: Option<Effect>, null: Option<Effect>) {
        let ratio = |e: &Effect| e.interval(CONFIDENCE).map(|i| published(&i));
        self.line.slow_down = effect.as_ref().and_then(ratio);
        self.line.null = null.as_ref().and_then(ratio);
        (self.effect, self.null) = (effect, null);
        if self.line.blocks < FEWEST {
            let have = self.line.blocks;
            self.cannot(&format!("{have} valid blocks, {FEWEST} are needed"));
        } else if effect.is_none() {
            self.cannot("too few samples beyond the percentile in a block");
        } else {
            self.p = effect.and_then(|e| e.p_above(self.line.margin.share.ln_1p()));
        }
    }

    fn cannot(&mut self, why: &str) {
        if self.line.outcome != Outcome::NotQualified {
            self.line.outcome = Outcome::CannotTell;
            self.line.why = Some(why.to_owned());
        }
    }

    pub fn is_judged(&self) -> bool {
        self.line.outcome == Outcome::Passed && self.p.is_some()
    }

    pub fn line(mut self, settings: &Settings) -> Line {
        let margin = self.line.margin.share.ln_1p();
        let low = self.effect.and_then(|e| e.low(self.level));
        let high = self.effect.and_then(|e| e.high(BETA));
        self.line.adjusted_low = low.map(f64::exp);
        self.line.upper = high.map(f64::exp);
        self.line.difference_low = self.difference.and_then(|d| d.low(ALPHA));
        if self.is_judged() {
            let (outcome, why) = self.outcome(margin, low, high, settings);
            self.line.outcome = outcome;
            self.line.why = why.or(self.line.why);
        }
        self.line
    }

    fn outcome(
        &self,
        margin: f64,
        low: Option<f64>,
        high: Option<f64>,
        settings: &Settings,
    ) -> (Outcome, Option<String>) {
        let cannot = |why: String| (Outcome::CannotTell, Some(why));
        if let Some(why) = self.null_is_not_clean(margin) {
            return cannot(why);
        }
        if let Some(high) = high.filter(|high| *high < margin) {
            let waived = high >= self.own_margin.ln_1p();
            return (if waived { Outcome::Waived } else { Outcome::Passed }, None);
        }
        if low.is_none_or(|low| low <= margin) {
            return cannot("the margin lies within the interval".to_owned());
        }
        let small = self.line.difference_low.is_none_or(|d| d <= settings.min_difference_ns);
        if self.in_ns && small {
            return cannot(format!(
                "beyond the margin, but not beyond doubt more than {}",
                crate::units::nanos_text(settings.min_difference_ns)
            ));
        }
        let without_lag = |e: Option<Effect>| e.and_then(|e| e.low(self.level));
        if self.unlagged.is_some_and(|e| without_lag(e).is_none_or(|low| low <= margin)) {
            return cannot("does not stand without the driver's own lag".to_owned());
        }
        (Outcome::Regression, None)
    }

    /// The base against itself must lie inside the margin, or this machine cannot tell today.
    fn null_is_not_clean(&self, margin: f64) -> Option<String> {
        let Some(null) = self.null.and_then(|n| n.interval(CONFIDENCE)) else {
            return Some("there is no null in this job".to_owned());
        };
        (null.low < -margin || null.high > margin).then(|| {
            "the null is not clean: the base against itself reaches beyond the margin".to_owned()
        })
    }
}

/// Whether a metric can be judged under this load: a closed one has no due instants to respond to, an
/// open one fixes the throughput.
pub fn applies(metric: &Metric, scenario: &Scenario) -> bool {
    let closed = scenario.load.rate.is_none();
    match metric.family {
        Family::Latency { .. } => !(closed && metric.name.starts_with("response")),
        Family::Throughput => closed,
        Family::Cpu => true,
        Family::Told => false,
    }
}

fn published(log: &Interval) -> Ratio {
    Ratio { ratio: log.estimate.exp(), ci95: [log.low.exp(), log.high.exp()] }
}

/// The waiver in force for a metric.
pub fn waiver<'a>(settings: &'a Settings, scenario: &str, metric: &str) -> Option<&'a Waiver> {
    let concerns = |w: &&Waiver| w.scenario == scenario && w.metric == metric;
    settings.waivers.iter().filter(concerns).find(|w| !w.expired(&settings.today))
}
