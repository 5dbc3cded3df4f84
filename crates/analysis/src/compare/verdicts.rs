//! Whether two runs come to the same verdicts.

use crate::compare::{Comparison, Verdict};
use serde::Serialize;

/// What two runs say of one metric of a pair of arms.
#[derive(Debug, Clone, Serialize)]
pub struct VerdictPair {
    /// First arm.
    pub baseline: String,
    /// Other arm.
    pub candidate: String,
    /// Name in the registry.
    pub metric: &'static str,
    /// The first run's verdict.
    pub first: Verdict,
    /// The second one's.
    pub second: Verdict,
    /// Whether they are the same.
    pub agree: bool,
}

impl VerdictPair {
    /// One verdict is better, the other worse.
    pub fn contradicts(&self) -> bool {
        let both = (self.first, self.second);
        matches!(both, (Verdict::Better, Verdict::Worse) | (Verdict::Worse, Verdict::Better))
    }
}

/// The verdicts of two runs, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Verdicts that are the same in both.
    pub agree: usize,
    /// Better in one and worse in the other.
    pub contradict: usize,
    /// Verdicts that both runs have.
    pub of: usize,
    /// Of those that agree, how many are a claim: better, worse or equivalent.
    pub claims: usize,
}

impl Agreement {
    /// Counts them.
    pub fn of<'a>(pairs: impl Iterator<Item = &'a VerdictPair> + Clone) -> Agreement {
        let claim = |v| matches!(v, Verdict::Better | Verdict::Worse | Verdict::Equivalent);
        Agreement {
            agree: pairs.clone().filter(|p| p.agree).count(),
            contradict: pairs.clone().filter(|p| p.contradicts()).count(),
            claims: pairs.clone().filter(|p| p.agree && claim(p.first)).count(),
            of: pairs.count(),
        }
    }
}

/// The verdicts that both have.
pub(super) fn pairs(first: &[Comparison], second: &[Comparison]) -> Vec<VerdictPair> {
    let each = |c: &Comparison| {
        let same = |d: &&Comparison| {
            (&d.baseline, &d.candidate, d.metric) == (&c.baseline, &c.candidate, c.metric)
        };
        let other = second.iter().find(same)?;
        Some(VerdictPair {
            baseline: c.baseline.clone(),
            candidate: c.candidate.clone(),
            metric: c.metric,
            first: c.verdict,
            second: other.verdict,
            agree: c.verdict == other.verdict,
        })
    };
    first.iter().filter_map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::runs::side_by_side;
    use crate::compare::sample;

    #[test]
    fn the_same_others_and_opposite_ones_are_counted() {
        let (faster, slower) = (sample::ratios(0.8, 0.5), sample::ratios(1.3, 0.5));
        let runs = side_by_side(("a", &faster), ("b", &slower));
        let of = |metric: &str| {
            let found = runs.points[0].verdicts.iter().find(|p| p.metric == metric);
            found.map(|p| (p.first, p.second, p.agree)).unwrap()
        };
        assert_eq!(of("service.p50"), (Verdict::Better, Verdict::Worse, false));
        let cpu = of("target_usage.cpu_ns_per_event");
        assert_eq!(cpu, (Verdict::Better, Verdict::Better, true));
        let verdicts = runs.verdicts;
        assert!(
            verdicts.agree >= 1 && verdicts.agree < verdicts.of && verdicts.contradict >= 1,
            "{verdicts:?}"
        );
        assert!(verdicts.claims >= 1, "{verdicts:?}");
    }

    #[test]
    fn to_agree_that_it_cannot_be_told_is_no_claim() {
        let mut few = sample::ratios(0.8, 0.5);
        few.trials.truncate(8);
        let verdicts = side_by_side(("a", &few), ("b", &few)).verdicts;
        assert!(
            verdicts.of > 0 && verdicts.agree == verdicts.of && verdicts.claims == 0,
            "{verdicts:?}"
        );
    }
}
