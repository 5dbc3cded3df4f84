//! The studentised bootstrap: an interval of the mean that follows the skew of the values.

use crate::stats::{Interval, mean, std_dev};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// So many resamples leave 25 of them beyond each end of a 95 % interval.
const RESAMPLES: usize = 1000;

/// Studentised bootstrap interval of the mean (Efron and Tibshirani 1993, chapter 12.5), seeded.
///
/// It stands beside Student's t as a cross-check because it is wrong elsewhere: its ends need not lie
/// at equal distances, so it follows skew, to which Student's interval is blind. BCa follows skew as
/// well, but as a percentile method it ignores how little few values tell of their own deviation.
/// `None` below two values or when one is not finite.
pub fn bootstrap(values: &[f64], confidence: f64, seed: u64) -> Option<Interval> {
    if values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let (estimate, deviation) = (mean(values)?, std_dev(values)?);
    if deviation == 0.0 {
        return Some(Interval { estimate, low: estimate, high: estimate });
    }
    let n = values.len() as f64;
    let mut t = studentised(values, estimate, seed);
    t.sort_unstable_by(f64::total_cmp);
    let beyond = (1.0 - confidence) / 2.0;
    let rank = |share: f64| ((t.len() - 1) as f64 * share).round() as usize;
    let error = deviation / n.sqrt();
    Some(Interval {
        estimate,
        low: estimate - t[rank(1.0 - beyond)] * error,
        high: estimate - t[rank(beyond)] * error,
    })
}

/// Student's t of every resample against the mean of the values. One without spread counts as
/// infinitely far off, on its side.
fn studentised(values: &[f64], centre: f64, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let n = values.len();
    let count = n as f64;
    let away: Vec<f64> = values.iter().map(|v| v - centre).collect();
    let one = |_| {
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            // A word's share of its range, in places: as good as even for any number of blocks.
            let drawn = away[((u64::from(rng.next_u32()) * n as u64) >> 32) as usize];
            sum += drawn;
            squares += drawn * drawn;
        }
        let away = sum / count;
        // Values are centred, so nothing is lost in this difference but rounding.
        let variance = ((squares - away * sum) / (count - 1.0)).max(0.0);
        if away == 0.0 { 0.0 } else { away / (variance / count).sqrt() }
    };
    (0..RESAMPLES).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::t_interval;
    use proptest::prelude::*;

    fn symmetric(n: usize) -> Vec<f64> {
        (0..n).map(|i| (i as f64 - (n - 1) as f64 / 2.0) / n as f64).collect()
    }

    #[test]
    fn of_symmetric_values_it_is_near_students() {
        let values = symmetric(24);
        let (b, t) = (bootstrap(&values, 0.95, 1).unwrap(), t_interval(&values, 0.95).unwrap());
        assert!((b.high / t.high - 1.0).abs() < 0.1 && (b.low / t.low - 1.0).abs() < 0.1);
    }

    #[test]
    fn of_skewed_values_it_reaches_further_towards_the_tail() {
        let values: Vec<f64> = symmetric(24).iter().map(|v| (3.0 * v).exp()).collect();
        let b = bootstrap(&values, 0.95, 1).unwrap();
        assert!(b.high - b.estimate > 1.3 * (b.estimate - b.low), "{b:?}");
    }

    #[test]
    fn the_seed_alone_decides() {
        let values = symmetric(12);
        assert_eq!(bootstrap(&values, 0.95, 7), bootstrap(&values, 0.95, 7));
        assert_ne!(bootstrap(&values, 0.95, 7), bootstrap(&values, 0.95, 8));
    }

    #[test]
    fn too_little_or_senseless_data_has_no_interval() {
        assert_eq!(bootstrap(&[], 0.95, 1), None);
        assert_eq!(bootstrap(&[1.0], 0.95, 1), None);
        assert_eq!(bootstrap(&[1.0, f64::NAN], 0.95, 1), None);
        let same = bootstrap(&[2.0; 8], 0.95, 1).unwrap();
        assert_eq!((same.low, same.high), (2.0, 2.0));
    }

    proptest! {
        #[test]
        fn it_moves_and_stretches_with_the_values(values in prop::collection::vec(-1.0..1.0f64, 8..16), shift in -5.0..5.0f64, scale in 0.1..10.0f64) {
            let moved: Vec<f64> = values.iter().map(|v| v * scale + shift).collect();
            let (a, b) = (bootstrap(&values, 0.95, 3).unwrap(), bootstrap(&moved, 0.95, 3).unwrap());
            prop_assert!((a.low * scale + shift - b.low).abs() < 1e-6);
            prop_assert!((a.high * scale + shift - b.high).abs() < 1e-6);
            prop_assert!(a.low <= a.high);
        }
    }
}
