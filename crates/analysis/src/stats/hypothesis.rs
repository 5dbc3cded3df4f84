//! Tests of the mean of per-block values: Student's t, and the sign-flip test, which needs no normal
//! distribution.

use crate::stats::{mean, std_dev};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// More values than this have more sign patterns (two halves of 2^20) than are worth counting.
pub const MOST_FLIPPED: usize = 40;

/// Student's t and its degrees of freedom; infinite where the values do not differ from each other.
fn t_statistic(values: &[f64], of: f64) -> Option<(f64, StudentsT)> {
    if values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let n = values.len() as f64;
    let error = std_dev(values)? / n.sqrt();
    let away = mean(values)? - of;
    let t = if away == 0.0 { 0.0 } else { away / error };
    Some((t, StudentsT::new(0.0, 1.0, n - 1.0).ok()?))
}

/// Two-sided p of Student's t test that the mean is 0. `None` below two values or when one is not
/// finite.
pub fn t_test(values: &[f64]) -> Option<f64> {
    let (t, distribution) = t_statistic(values, 0.0)?;
    Some(2.0 * tail(&distribution, t.abs()))
}

/// One-sided p of Student's t test that the mean is at most `bound`: small when it is certainly more.
pub fn t_test_at_most(values: &[f64], bound: f64) -> Option<f64> {
    let (t, distribution) = t_statistic(values, bound)?;
    Some(tail(&distribution, t))
}

/// P(T > t), without the loss of digits of 1 − P(T ≤ t).
fn tail(distribution: &StudentsT, t: f64) -> f64 {
    if t.is_infinite() { if t > 0.0 { 0.0 } else { 1.0 } } else { distribution.cdf(-t) }
}

/// Two-sided p of the exact sign-flip test that the values are symmetric about 0: how many of all 2^n
/// ways to choose their signs give a sum as far from 0 as this one. If two arms are the same, the log
/// ratio of a block is as likely as its negative, whatever its distribution: then this p is exact.
///
/// The sums of each half of the values are listed in order, and pairs counted with two pointers:
/// 2^(n/2) steps. `None` of nothing, above [`MOST_FLIPPED`] values, or when one is not finite.
pub fn sign_flip(values: &[f64]) -> Option<f64> {
    let n = values.len();
    if n == 0 || n > MOST_FLIPPED || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let whole: f64 = values.iter().map(|v| v.abs()).sum();
    // Sums that are equal on paper are added up in different orders here.
    let reached = values.iter().sum::<f64>().abs() - 1e-12 * whole;
    if reached <= 0.0 {
        return Some(1.0);
    }
    let (left, right) = values.split_at(n / 2);
    let (left, right) = (signed_sums(left), signed_sums(right));
    let mut beyond = 0u64;
    let mut partner = right.len();
    for sum in &left {
        // The larger this sum is, the smaller the other may be.
        while partner > 0 && sum + right[partner - 1] >= reached {
            partner -= 1;
        }
        beyond += (right.len() - partner) as u64;
    }
    // With all signs turned every sum is its own negative: as many lie at the other end.
    Some(2.0 * beyond as f64 / 2f64.powi(n as i32))
}

/// The sums of the values with every choice of signs, in ascending order.
fn signed_sums(values: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0];
    for value in values.iter().map(|v| v.abs()) {
        let (mut low, mut high) = (0, 0);
        let mut merged = Vec::with_capacity(2 * sums.len());
        while low < sums.len() {
            // What lies lower by `value` never waits for what lies higher by it.
            if sums[low] - value <= sums[high] + value {
                merged.push(sums[low] - value);
                low += 1;
            } else {
                merged.push(sums[high] + value);
                high += 1;
            }
        }
        merged.extend(sums[high..].iter().map(|s| s + value));
        sums = merged;
    }
    sums
}

/// The fewest blocks at which the sign-flip test can reach `p`: all values on one side of 0 are two
/// of 2^n patterns.
pub fn fewest_flipped(p: f64) -> usize {
    (1..=MOST_FLIPPED).find(|n| 2f64.powi(1 - *n as i32) <= p).unwrap_or(MOST_FLIPPED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VALUES: [f64; 10] = [0.12, -0.03, 0.25, 0.07, 0.31, -0.11, 0.18, 0.05, 0.22, 0.09];

    /// scipy 1: `ttest_1samp`, and `permutation_test` with every permutation of samples.
    #[test]
    fn published_values() {
        let near = |p: Option<f64>, wanted: f64| assert!((p.unwrap() / wanted - 1.0).abs() < 1e-9);
        near(t_test(&VALUES), 0.020163749521115725);
        near(t_test_at_most(&VALUES, 0.05), 0.07293515253033812);
        near(sign_flip(&VALUES), 0.025390625);
    }

    /// NIST/SEMATECH e-Handbook, table 1.3.6.7.2: upper 2.5 % and 0.1 % points of Student's t.
    #[test]
    fn p_matches_the_published_t_table() {
        for (n, t, p) in [(2usize, 12.706, 0.05), (8, 2.365, 0.05), (12, 4.025, 0.002)] {
            // n values with mean t/√n and a standard deviation of 1.
            let spread: Vec<f64> = (0..n).map(|i| i as f64).collect();
            let (m, s) = (mean(&spread).unwrap(), std_dev(&spread).unwrap());
            let values: Vec<f64> =
                spread.iter().map(|v| (v - m) / s + t / (n as f64).sqrt()).collect();
            assert!((t_test(&values).unwrap() / p - 1.0).abs() < 1e-3, "n = {n}");
        }
    }

    #[test]
    fn too_little_or_senseless_data_has_no_p() {
        assert_eq!(t_test(&[]), None);
        assert_eq!(t_test(&[1.0]), None);
        assert_eq!(t_test(&[1.0, f64::INFINITY]), None);
        assert_eq!(sign_flip(&[]), None);
        assert_eq!(sign_flip(&[f64::NAN]), None);
        assert_eq!(sign_flip(&[1.0; MOST_FLIPPED + 1]), None);
        // Values without spread are certain, or nothing.
        assert_eq!(t_test(&[0.0; 8]), Some(1.0));
        assert_eq!((t_test(&[0.5; 8]), t_test(&[-0.5; 8])), (Some(0.0), Some(0.0)));
        assert_eq!(
            (t_test_at_most(&[0.5; 8], 0.1), t_test_at_most(&[0.5; 8], 0.9)),
            (Some(0.0), Some(1.0))
        );
    }

    #[test]
    fn all_on_one_side_are_two_patterns_of_all() {
        for n in [1, 5, 8, 12, 40] {
            let p = sign_flip(&vec![0.1; n]).unwrap();
            assert_eq!(p, 2f64.powi(1 - n as i32), "n = {n}");
        }
        assert_eq!((fewest_flipped(0.05), fewest_flipped(0.01), fewest_flipped(0.0)), (6, 8, 40));
    }

    fn by_enumeration(values: &[f64]) -> f64 {
        let reached = values.iter().sum::<f64>().abs() - 1e-9;
        let sum = |signs: u32| -> f64 {
            let signed = |(i, v): (usize, &f64)| if signs >> i & 1 == 1 { -v } else { *v };
            values.iter().enumerate().map(signed).sum()
        };
        let all = 1u32 << values.len();
        (0..all).filter(|s| sum(*s).abs() >= reached).count() as f64 / f64::from(all)
    }

    proptest! {
        #[test]
        fn flips_are_counted_as_by_hand(values in prop::collection::vec(-8i32..8, 1..11)) {
            // Small whole numbers, so that many sums are equal.
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            prop_assert_eq!(sign_flip(&values), Some(by_enumeration(&values)));
        }

        #[test]
        fn neither_test_knows_the_sign_or_the_scale(values in prop::collection::vec(-1.0..1.0f64, 2..14), scale in 0.01..100.0f64) {
            let turned: Vec<f64> = values.iter().map(|v| -v * scale).collect();
            prop_assert!((t_test(&values).unwrap() - t_test(&turned).unwrap()).abs() < 1e-9);
            prop_assert_eq!(sign_flip(&values), sign_flip(&turned));
        }

        #[test]
        fn a_higher_bound_is_harder_to_exceed(values in prop::collection::vec(-1.0..1.0f64, 2..14), bound in -1.0..1.0f64) {
            let p = |bound| t_test_at_most(&values, bound).unwrap();
            prop_assert!(p(bound) <= p(bound + 0.1) + 1e-12);
            let both = 2.0 * p(0.0).min(1.0 - p(0.0));
            prop_assert!((both - t_test(&values).unwrap()).abs() < 1e-9);
        }
    }
}
