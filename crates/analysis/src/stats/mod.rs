//! Statistics over blocks: pure functions of slices of numbers.

mod binomial;
mod bootstrap;
pub mod counts;
pub mod effect;
mod holm;
mod hypothesis;
mod power;
pub mod queue;

pub use binomial::exact_binomial;
pub use bootstrap::bootstrap;
pub use holm::{holm, holm_confidences};
pub use hypothesis::{MOST_FLIPPED, fewest_flipped, sign_flip, t_test, t_test_at_most};
pub use power::{MOST_BLOCKS, blocks_needed, deviation_at_most, effect_found, power};

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// An estimate with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Best guess.
    pub estimate: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl Interval {
    /// The same interval on another scale; `f` must rise.
    pub fn map(self, f: impl Fn(f64) -> f64) -> Interval {
        Interval { estimate: f(self.estimate), low: f(self.low), high: f(self.high) }
    }

    /// True when the value lies inside, its ends included.
    pub fn holds(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// True when both intervals share a value.
    pub fn overlaps(&self, other: &Interval) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// The slope of a line through points by least squares, with its interval; `None` of fewer than three points, or of
/// points at one place.
pub fn slope(points: &[(f64, f64)], confidence: f64) -> Option<Interval> {
    let n = points.len() as f64;
    let x_mean = mean(&points.iter().map(|(x, _)| *x).collect::<Vec<_>>())?;
    let y_mean = mean(&points.iter().map(|(_, y)| *y).collect::<Vec<_>>())?;
    let squares: f64 = points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    if points.len() < 3 || squares <= 0.0 {
        return None;
    }
    let products: f64 = points.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let estimate = products / squares;
    let residuals: f64 =
        points.iter().map(|(x, y)| (y - y_mean - estimate * (x - x_mean)).powi(2)).sum();
    let error = (residuals / (n - 2.0) / squares).sqrt();
    let t = StudentsT::new(0.0, 1.0, n - 2.0).ok()?.inverse_cdf(0.5 + confidence / 2.0);
    Some(Interval { estimate, low: estimate - t * error, high: estimate + t * error })
}

/// Arithmetic mean; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Sample standard deviation (n − 1); `None` below two values.
pub fn std_dev(values: &[f64]) -> Option<f64> {
    let m = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|v| (v - m).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// Median; the mean of the middle two of an even number.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// Student-t interval of the mean. `None` below two values or when one is not finite.
pub(crate) fn t_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    if values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let (estimate, deviation) = (mean(values)?, std_dev(values)?);
    let n = values.len() as f64;
    let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.5 + confidence / 2.0);
    let half = t * deviation / n.sqrt();
    Some(Interval { estimate, low: estimate - half, high: estimate + half })
}

/// The log ratio candidate / baseline of each block. `None` when a value is not positive.
pub fn log_ratios(baseline: &[f64], candidate: &[f64]) -> Option<Vec<f64>> {
    if baseline.len() != candidate.len() || baseline.iter().chain(candidate).any(|v| *v <= 0.0) {
        return None;
    }
    Some(baseline.iter().zip(candidate).map(|(b, c)| (c / b).ln()).collect())
}

/// Interval of the ratio candidate / baseline: Student-t on the per-block log ratios, so that a
/// doubling and a halving weigh the same. `None` when a value is not positive.
pub fn paired_ratio(baseline: &[f64], candidate: &[f64], confidence: f64) -> Option<Interval> {
    t_interval(&log_ratios(baseline, candidate)?, confidence).map(|i| i.map(f64::exp))
}

/// Interval of the difference candidate − baseline over blocks.
pub(crate) fn paired_difference(
    baseline: &[f64],
    candidate: &[f64],
    confidence: f64,
) -> Option<Interval> {
    if baseline.len() != candidate.len() {
        return None;
    }
    let differences: Vec<f64> = baseline.iter().zip(candidate).map(|(b, c)| c - b).collect();
    t_interval(&differences, confidence)
}

#[cfg(test)]
mod tests;
