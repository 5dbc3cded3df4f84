//! Several tests at once: Holm's step-down adjustment, which keeps the chance of any false claim at
//! the level asked for, however the tests depend on each other.

/// Places of the p-values in ascending order.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    order
}

/// Holm-adjusted p-values (Holm 1979), in the order given: one at most `alpha` is a claim.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![1.0; p.len()];
    let mut largest = 0.0f64;
    for (rank, place) in ascending(p).into_iter().enumerate() {
        largest = largest.max(p[place] * (p.len() - rank) as f64);
        adjusted[place] = largest.min(1.0);
    }
    adjusted
}

/// The confidence at which each interval must be drawn so that it and Holm's decision agree: it
/// excludes "no difference" exactly where the adjusted p is at most `alpha`.
///
/// That of rank r (from 0) is 1 − alpha/(m − r); from the first test on that fails, all are drawn at
/// its level. These intervals show the decision; joint coverage of all true values is promised by
/// 1 − alpha/m alone (Strassburger and Bretz 2008).
pub fn holm_confidences(p: &[f64], alpha: f64) -> Vec<f64> {
    let mut confidences = vec![0.0; p.len()];
    let mut left = p.len();
    let mut failed = false;
    for place in ascending(p) {
        let level = alpha / left as f64;
        confidences[place] = 1.0 - level;
        failed |= p[place] > level;
        left -= usize::from(!failed);
    }
    confidences
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// R: `p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")`, and an example with ties.
    #[test]
    fn published_values() {
        let near = |p: &[f64], wanted: &[f64]| {
            let close = holm(p).iter().zip(wanted).all(|(a, w)| (a - w).abs() < 1e-12);
            assert!(close, "{:?} instead of {wanted:?}", holm(p));
        };
        near(&[0.01, 0.02, 0.03, 0.04, 0.05], &[0.05, 0.08, 0.09, 0.09, 0.09]);
        near(&[0.04, 0.001, 0.04], &[0.08, 0.003, 0.08]);
        near(&[0.5, 0.9], &[1.0, 1.0]);
        near(&[], &[]);
    }

    #[test]
    fn confidences_step_down_until_one_fails() {
        let near = |p: &[f64], left: &[f64]| {
            for (c, left) in holm_confidences(p, 0.05).iter().zip(left) {
                assert!((1.0 - c - 0.05 / left).abs() < 1e-12, "{p:?}");
            }
        };
        near(&[0.03, 0.001, 0.04], &[2.0, 3.0, 2.0]);
        near(&[0.9, 0.8], &[2.0, 2.0]);
        near(&[0.01, 0.02], &[2.0, 1.0]);
    }

    /// Holm as the closure of Bonferroni tests: the largest Bonferroni p over all subsets.
    fn by_closure(p: &[f64]) -> Vec<f64> {
        let mut adjusted = vec![0.0f64; p.len()];
        for subset in 1u32..1 << p.len() {
            let members: Vec<usize> = (0..p.len()).filter(|i| subset >> i & 1 == 1).collect();
            let least = members.iter().map(|i| p[*i]).fold(1.0, f64::min);
            let bonferroni = (least * members.len() as f64).min(1.0);
            members.iter().for_each(|i| adjusted[*i] = adjusted[*i].max(bonferroni));
        }
        adjusted
    }

    proptest! {
        #[test]
        fn it_is_the_closed_test_of_bonferroni(p in prop::collection::vec(0.0..0.2f64, 0..8)) {
            for (a, w) in holm(&p).iter().zip(by_closure(&p)) {
                prop_assert!((a - w).abs() < 1e-12);
            }
        }

        #[test]
        fn the_interval_agrees_with_the_decision(p in prop::collection::vec(0.0..0.1f64, 1..9)) {
            let alpha = 0.05;
            for ((p, adjusted), c) in p.iter().zip(holm(&p)).zip(holm_confidences(&p, alpha)) {
                // An interval at this confidence excludes 0 exactly when its own p is at most 1 − c.
                let excludes = *p <= 1.0 - c;
                prop_assert!(excludes == (adjusted <= alpha) || (adjusted - alpha).abs() < 1e-12);
            }
        }
    }
}
