//! One judged line: its evidence first, its outcome once all lines are known.

use crate::compare::Ratio;
use crate::compare::gate::evidence::Evidence;
use crate::compare::gate::waiver::Waiver;
use crate::compare::gate::{ALPHA, Line, Look, Margin, Outcome, Settings};
use crate::stats::Interval;
use pushbench_core::record::metrics::{Family, Metric, Unit};
use pushbench_core::scenario::Setting;
use pushbench_core::units;

/// Confidence of the published intervals, and of the null's.
const CONFIDENCE: f64 = 0.95;

/// Why nothing passes when the null is wide or shifted, and fails only what exceeds the margin by as much.
pub(crate) const NOT_CLEAN: &str = "the null is not clean";
/// Why a line is neither.
pub(crate) const WITHIN: &str = "the allowed slow-down lies within the interval";

/// What a line is about.
pub struct Subject<'a> {
    pub setting: Setting,
    pub transport: String,
    pub metric: &'static Metric,
    pub margin: &'a Margin,
    /// The design of the blocks.
    pub design: Option<&'static str>,
    /// The slow-down that is meant, if there is one in force.
    pub waiver: Option<&'a Waiver>,
}

/// A line before the adjustment.
pub struct Draft {
    line: Line,
    evidence: Evidence,
    /// What would be allowed without a waiver, as a log; the null must lie inside.
    own_margin: f64,
    /// What is allowed, as a log.
    allowed: f64,
    /// Probability of this estimate, were the slow-down just what is allowed; `None` when the line is
    /// not judged.
    p: Option<f64>,
    /// The level at which the lower bound is taken, by Holm's procedure.
    level: f64,
}

impl Draft {
    pub fn new(subject: Subject<'_>, evidence: Evidence) -> Draft {
        let Subject { setting, transport, metric, margin, design, waiver } = subject;
        let share = waiver.map_or(margin.share, |w| w.ceiling.max(margin.share));
        let allowed = share.ln_1p();
        let (outcome, why) = match (margin.qualified, &evidence.doubt) {
            (false, _) => (Outcome::NotQualified, margin.bias.map(biased)),
            (true, doubt) => (Outcome::CannotTell, doubt.clone()),
        };
        let judged = margin.qualified && evidence.doubt.is_none();
        let p = evidence.slow_down.filter(|_| judged).and_then(|e| e.p_above(allowed));
        let line = Line {
            setting,
            transport,
            metric: metric.name,
            unit: metric.unit.name(),
            design: design.filter(|_| metric.family == Family::Cpu),
            base: evidence.base,
            candidate: evidence.candidate,
            slow_down: evidence.slow_down.and_then(|e| e.interval(CONFIDENCE)).map(published),
            adjusted_low: None,
            upper: None,
            difference: None,
            null: evidence.null.and_then(|e| e.interval(CONFIDENCE)).map(published),
            margin: Margin { share, ..margin.clone() },
            waived: share > margin.share,
            blocks: evidence.blocks,
            outcome,
            why,
            blocks_needed: None,
        };
        Draft { line, evidence, own_margin: margin.share.ln_1p(), allowed, p, level: ALPHA }
    }

    /// The p of a line that is judged, for the adjustment.
    pub fn p(&self) -> Option<f64> {
        self.p
    }

    /// The level that the adjustment leaves for this line.
    pub(crate) fn judge_at(&mut self, level: f64) {
        self.level = level;
    }

    /// The line with its outcome.
    pub fn line(mut self, settings: &Settings, look: &Look) -> Line {
        let low = self.evidence.slow_down.and_then(|e| e.low(self.level));
        let high = self.evidence.slow_down.and_then(|e| e.high(look.beta()));
        self.line.adjusted_low = low.map(f64::exp);
        self.line.upper = high.map(f64::exp);
        self.line.difference = self
            .evidence
            .difference
            .and_then(|d| Some([d.low(look.alpha())?, d.high(look.beta())?]));
        if let (Some(_), Some(low), Some(high)) = (self.p, low, high) {
            (self.line.outcome, self.line.why) = self.outcome(low, high, settings, look);
            if self.line.outcome == Outcome::CannotTell {
                self.line.blocks_needed = self.blocks_needed(low, high);
            }
        }
        self.line
    }

    /// The blocks that would decide, should the estimates stay: bounds approach them with the square root of the number
    /// of blocks. `None` where they stay on both sides of what is allowed.
    fn blocks_needed(&self, low: f64, high: f64) -> Option<usize> {
        let found = self.evidence.slow_down?.estimate;
        let null = self.evidence.null?.interval(CONFIDENCE)?;
        let (off, half) = (null.estimate.abs(), null.high - null.estimate);
        // How wide the bounds may be at most, as a part of what they are now.
        let passes = (self.allowed - found) / (high - found);
        let fails = (found - self.allowed) / (found - low);
        let clean = (self.own_margin - off) / half;
        let fails_beyond_null = (found - self.allowed - off) / (found - low + half);
        let part = passes.max(fails).min(clean).max(fails_beyond_null);
        let blocks = self.evidence.blocks;
        let needed = (part > 0.0).then(|| (blocks as f64 / part.powi(2)).ceil() as usize);
        needed.filter(|needed| *needed > blocks)
    }

    fn outcome(
        &self,
        low: f64,
        high: f64,
        settings: &Settings,
        look: &Look,
    ) -> (Outcome, Option<String>) {
        let cannot = |why: &str| (Outcome::CannotTell, Some(why.to_owned()));
        let Some(null) = self.evidence.null.and_then(|n| n.interval(CONFIDENCE)) else {
            return cannot("this gate has no null");
        };
        // By how much the base may differ from itself here.
        let extent = null.high.max(-null.low);
        let clean = extent <= self.own_margin;
        let least = settings.min_difference_ns;
        let least_text = units::nanos_text(least);
        let in_time = self.line.difference.filter(|_| self.line.unit == Unit::Nanoseconds.name());
        let too_short = in_time.is_some_and(|[_, high]| high < least);
        if clean {
            // Lag on both sides makes a slower candidate look alike.
            let hidden = self.evidence.unlagged.map(|e| e.and_then(|e| e.high(look.beta())));
            let hidden = hidden.is_some_and(|high| high.is_none_or(|high| high >= self.allowed));
            if high < self.allowed && hidden && !too_short {
                return cannot("without the driver's own lag it may exceed what is allowed");
            }
            if high < self.own_margin {
                return (Outcome::Passed, None);
            }
            if high < self.allowed {
                return (Outcome::Waived, None);
            }
            if too_short {
                return (Outcome::Passed, Some(format!("less than {least_text}")));
            }
        }
        let needed = self.allowed + if clean { 0.0 } else { extent };
        if low <= needed {
            return cannot(if clean { WITHIN } else { NOT_CLEAN });
        }
        if in_time.is_some_and(|[low, _]| low <= least) {
            let why = format!("beyond the margin, but not certainly by more than {least_text}");
            return (Outcome::CannotTell, Some(why));
        }
        let stands = self.evidence.unlagged.map(|e| e.and_then(|e| e.low(self.level)));
        if stands.is_some_and(|low| low.is_none_or(|low| low <= needed)) {
            return cannot("does not hold without the driver's own lag");
        }
        (Outcome::Regression, (!clean).then(|| beyond_the_null(extent)))
    }
}

/// Why a line fails though the null is not clean.
fn beyond_the_null(extent: f64) -> String {
    format!(
        "the null reaches {:.1} %, and the slow-down exceeds the margin by more",
        extent.exp_m1() * 100.0
    )
}

/// Why a metric is not judged whose equal builds differ on average.
fn biased(mean: f64) -> String {
    let percent = mean.exp_m1() * 100.0;
    format!("equal builds differ by {percent:+.1} % on average on this kind of machine")
}

fn published(log: Interval) -> Ratio {
    Ratio { ratio: log.estimate.exp(), ci95: [log.low.exp(), log.high.exp()] }
}
