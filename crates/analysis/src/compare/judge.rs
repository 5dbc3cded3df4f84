//! From the values of two arms, block by block, to verdicts. What is judged together is adjusted
//! together, so all metrics of a pair are judged at once. Numbers only: what else speaks against a
//! claim is `decide`'s.

use crate::compare::Verdict;
use crate::stats;
use crate::stats::Interval;

/// Confidence of the published intervals.
pub const CONFIDENCE: f64 = 0.95;
/// The chance of any false claim about a pair of arms that are the same.
pub(crate) const ALPHA: f64 = 0.05;
/// A fixed seed: the same blocks give the same bootstrap interval.
const BOOTSTRAP_SEED: u64 = 0x626f_6f74;

/// The values of both arms, block by block.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Of the first arm.
    pub baseline: Vec<f64>,
    /// Of the other arm, in the same blocks.
    pub candidate: Vec<f64>,
}

impl Values {
    /// The log ratio of each block; `None` where a value is not positive, so that there is none.
    pub fn log_ratios(&self) -> Option<Vec<f64>> {
        stats::log_ratios(&self.baseline, &self.candidate)
    }

    /// The interval of the ratio.
    pub fn ratio(&self, confidence: f64) -> Option<Interval> {
        stats::paired_ratio(&self.baseline, &self.candidate, confidence)
    }

    /// The interval of the difference.
    pub fn difference(&self) -> Option<Interval> {
        stats::paired_difference(&self.baseline, &self.candidate, CONFIDENCE)
    }

    /// The ratio by the studentised bootstrap.
    pub fn bootstrap(&self) -> Option<Interval> {
        stats::bootstrap(&self.log_ratios()?, CONFIDENCE, BOOTSTRAP_SEED).map(|i| i.map(f64::exp))
    }

    /// The exact sign-flip test that the arms are the same.
    pub fn sign_flip(&self) -> Option<f64> {
        stats::sign_flip(&self.log_ratios()?)
    }
}

/// One metric of a pair of arms.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What was measured.
    pub values: &'a Values,
    /// The metric's direction.
    pub more_is_better: bool,
    /// Ratios closer to 1 than this are equivalent (0.05 is 5 %).
    pub region: f64,
    /// The same without what the driver itself adds, where it adds something: equal lag on both sides makes
    /// different arms look alike.
    pub without_driver: Option<&'a Values>,
}

/// What the blocks say of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The interval of the ratio that agrees with the decision.
    pub adjusted: Interval,
    /// Holm-adjusted p.
    pub(crate) p_adjusted: f64,
    /// What it comes to.
    pub verdict: Verdict,
    /// Why nothing is claimed where the metric's own interval would allow it.
    pub why: Option<String>,
}

/// Judges metrics that belong together. `None` for one without an interval (a value that is not
/// positive, fewer than two blocks); it does not count among those judged.
pub fn family(questions: &[Question<'_>]) -> Vec<Option<Answer>> {
    let tested = |q: &Question<'_>| stats::t_test(&q.values.log_ratios()?);
    let p: Vec<Option<f64>> = questions.iter().map(tested).collect();
    let judged: Vec<f64> = p.iter().flatten().copied().collect();
    let mut adjusted =
        stats::holm(&judged).into_iter().zip(stats::holm_confidences(&judged, ALPHA));
    let tested = questions.iter().zip(&p).filter(|(_, p)| p.is_some());
    let equal: Vec<f64> = tested.map(|(q, _)| q.not_equivalent().unwrap_or(1.0)).collect();
    let mut equal = stats::holm(&equal).into_iter().map(|p| p <= ALPHA);
    let answer = |(question, p): (&Question<'_>, Option<f64>)| {
        p?;
        let ((p_adjusted, confidence), equivalent) = adjusted.next().zip(equal.next())?;
        question.answer(p_adjusted, confidence, judged.len(), equivalent)
    };
    questions.iter().zip(p).map(answer).collect()
}

/// Which way an interval of ratios points.
pub fn direction(ratio: &Interval, more_is_better: bool) -> Option<Verdict> {
    match (ratio.low > 1.0, ratio.high < 1.0) {
        (false, false) => None,
        (more, _) => Some(if more == more_is_better { Verdict::Better } else { Verdict::Worse }),
    }
}

impl Question<'_> {
    fn answer(
        &self,
        p_adjusted: f64,
        confidence: f64,
        judged: usize,
        equivalent: bool,
    ) -> Option<Answer> {
        let adjusted = self.values.ratio(confidence)?;
        let (verdict, why) = match equivalent {
            true => (Verdict::Equivalent, None),
            false => self.verdict(&adjusted, p_adjusted, judged),
        };
        Some(Answer { adjusted, p_adjusted, verdict, why })
    }

    fn verdict(&self, adjusted: &Interval, p: f64, judged: usize) -> (Verdict, Option<String>) {
        let Some(claimed) = direction(adjusted, self.more_is_better) else {
            let own = self.values.ratio(CONFIDENCE).filter(|r| !r.holds(1.0));
            let why = own.map(|_| {
                format!("its own interval excludes 1, but {judged} metrics are judged together (adjusted p {p:.2})")
            });
            return (Verdict::Inconclusive, why);
        };
        match self.unsupported() {
            None => (claimed, None),
            why => (Verdict::Inconclusive, why),
        }
    }

    /// The larger p of both ways to look at the values.
    fn not_equivalent(&self) -> Option<f64> {
        let without_driver = self.without_driver.map_or(Some(0.0), |v| self.outside_region(v));
        Some(self.outside_region(self.values)?.max(without_driver?))
    }

    /// p of two one-sided tests (Schuirmann 1987): small if the ratio is certainly within the region.
    fn outside_region(&self, values: &Values) -> Option<f64> {
        let logs = values.log_ratios()?;
        let negated: Vec<f64> = logs.iter().map(|l| -l).collect();
        let edge = -self.region.ln_1p();
        let above = stats::t_test_at_most(&logs, edge)?;
        Some(above.max(stats::t_test_at_most(&negated, edge)?))
    }

    /// Which of the other ways to look at the same blocks does not bear a claim out. A claim must not
    /// hang on the assumptions of one of them; each is asked at its own 5 %.
    fn unsupported(&self) -> Option<String> {
        // A reader sees both intervals: what only one of them supports is not claimed.
        if self.values.difference().is_none_or(|d| d.holds(0.0)) {
            return Some("the ratio supports a difference, the difference itself does not".into());
        }
        // Above the number that it can count, Student's t has blocks enough to be right.
        if let Some(p) = self.values.sign_flip().filter(|p| *p > ALPHA) {
            return Some(format!("the sign-flip test does not confirm it (p {p:.2})"));
        }
        match self.values.bootstrap() {
            Some(b) if !b.holds(1.0) => None,
            _ => Some("the bootstrap interval does not confirm it".into()),
        }
    }
}
