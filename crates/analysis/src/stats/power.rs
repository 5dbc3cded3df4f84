//! How many blocks a difference of a given size needs to be found.

use statrs::distribution::{ChiSquared, ContinuousCDF as _, Normal, StudentsT};
use statrs::function::gamma::ln_gamma;

/// No number of blocks up to this one is enough: then this is returned, and more is never needed.
pub const MOST_BLOCKS: usize = 100_000;

/// The chance that Student's t test at level `alpha`, two-sided, finds a mean of `effect` deviations
/// among `n` values (from 2 on): the tails of the noncentral t distribution.
///
/// P(|T| > c) is the mean of Φ(δ − c·s) + Φ(−δ − c·s) over the estimated deviation s, whose density is
/// that of χ/√f; it is integrated by Simpson's rule.
pub fn power(n: usize, effect: f64, alpha: f64) -> f64 {
    /// Steps of the integration; the error is below 1e-6.
    const STEPS: usize = 128;
    let freedom = n as f64 - 1.0;
    let (Ok(t), Ok(normal)) = (StudentsT::new(0.0, 1.0, freedom), Normal::new(0.0, 1.0)) else {
        return 0.0;
    };
    let critical = t.inverse_cdf(1.0 - alpha / 2.0);
    let shift = effect.abs() * (n as f64).sqrt();
    let log_scale =
        std::f64::consts::LN_2 + freedom / 2.0 * (freedom / 2.0).ln() - ln_gamma(freedom / 2.0);
    let at = |s: f64| {
        let log_density = if freedom == 1.0 { 0.0 } else { (freedom - 1.0) * s.ln() };
        let density = (log_scale + log_density - freedom * s * s / 2.0).exp();
        density * (normal.cdf(shift - critical * s) + normal.cdf(-shift - critical * s))
    };
    let reach = 8.0 / freedom.sqrt();
    let (from, to) = ((1.0 - reach).max(0.0), 1.0 + reach);
    let step = (to - from) / STEPS as f64;
    let weight = |i: usize| match i {
        0 | STEPS => 1.0,
        i if i % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let sum: f64 = (0..=STEPS).map(|i| weight(i) * at(from + i as f64 * step)).sum();
    (sum * step / 3.0).clamp(0.0, 1.0)
}

/// The fewest blocks with which Student's t test at level `alpha` finds a mean log ratio of
/// `log_effect` with this power, if the log ratios of the blocks deviate by `deviation`; at least two,
/// at most [`MOST_BLOCKS`].
pub fn blocks_needed(deviation: f64, log_effect: f64, wanted: f64, alpha: f64) -> usize {
    if deviation <= 0.0 {
        return 2;
    }
    let effect = log_effect / deviation;
    let enough = |n: usize| power(n, effect, alpha) >= wanted;
    // Power grows with the number: double until it is enough, then halve the gap.
    let mut most = 2;
    while !enough(most) {
        if most >= MOST_BLOCKS {
            return MOST_BLOCKS;
        }
        most = (2 * most).min(MOST_BLOCKS);
    }
    let mut least = most / 2;
    while least + 1 < most {
        let middle = least + (most - least) / 2;
        if enough(middle) { most = middle } else { least = middle }
    }
    most
}

/// The smallest log ratio that `n` blocks find with this power: [`blocks_needed`] the other way round.
pub fn effect_found(n: usize, deviation: f64, wanted: f64, alpha: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while power(n, high, alpha) < wanted && high < 1e6 {
        (low, high) = (high, 2.0 * high);
    }
    // To four digits; more than two are never shown.
    for _ in 0..16 {
        let middle = (low + high) / 2.0;
        if power(n, middle, alpha) < wanted { low = middle } else { high = middle }
    }
    high * deviation
}

/// A deviation that the true one does not exceed, with this confidence, when `n` values (from 2 on)
/// showed `deviation`: one estimated from few values is too small half the time, and a number of
/// blocks planned with it, too (Browne 1995).
pub fn deviation_at_most(deviation: f64, n: usize, confidence: f64) -> f64 {
    let freedom = n as f64 - 1.0;
    match ChiSquared::new(freedom) {
        Ok(chi) => deviation * (freedom / chi.inverse_cdf(1.0 - confidence)).sqrt(),
        Err(_) => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// scipy 1: `nct`, both tails.
    #[test]
    fn published_power() {
        for (n, effect, alpha, wanted) in [
            (34, 0.5, 0.05, 0.8077775012792737),
            (33, 0.5, 0.05, 0.7953658414875042),
            (15, 0.8, 0.05, 0.8213105387241096),
            (8, 1.5, 0.05 / 9.0, 0.6246477107340195),
            (12, 2.0, 0.005, 0.99724157116578),
            (3, 1.0, 0.05, 0.1792553937765518),
            (199, 0.2, 0.05, 0.8016910240370655),
        ] {
            let p = power(n, effect, alpha);
            assert!((p - wanted).abs() < 1e-6, "{n} {effect} {alpha}: {p}");
        }
    }

    /// R: `power.t.test(delta =, sd = 1, power =, type = "one.sample")` gives 33.37, 14.30, 198.15 and
    /// 43.99.
    #[test]
    fn published_numbers() {
        for (effect, wanted, n) in [(0.5, 0.8, 34), (0.8, 0.8, 15), (0.2, 0.8, 199), (0.5, 0.9, 44)]
        {
            assert_eq!(blocks_needed(1.0, effect, wanted, 0.05), n, "effect {effect}");
        }
        // χ² with 7 degrees of freedom has its 20 % point at 3.822 (table of NIST, 1.3.6.7.4, by
        // interpolation; scipy: 3.8223).
        assert!((deviation_at_most(1.0, 8, 0.8) - (7.0f64 / 3.8223).sqrt()).abs() < 1e-4);
    }

    #[test]
    fn what_never_differs_needs_two_and_what_always_does_no_end() {
        assert_eq!(blocks_needed(0.0, 0.1, 0.9, 0.05), 2);
        assert_eq!(blocks_needed(1.0, 0.0, 0.9, 0.05), MOST_BLOCKS);
    }

    proptest! {
        #[test]
        fn one_block_less_is_too_few(deviation in 0.01..0.6f64, alpha in 0.005..0.1f64) {
            let n = blocks_needed(deviation, 0.0953, 0.9, alpha);
            prop_assert!(power(n, 0.0953 / deviation, alpha) >= 0.9);
            prop_assert!(n == 2 || power(n - 1, 0.0953 / deviation, alpha) < 0.9);
            let found = effect_found(n, deviation, 0.9, alpha);
            prop_assert!(found <= 0.0954);
            prop_assert!((power(n, found / deviation, alpha) - 0.9).abs() < 1e-3);
        }
    }
}
