//! How far a counted share may be from the true one.

use crate::stats::Interval;
use statrs::distribution::{Beta, ContinuousCDF as _};

/// Exact interval of a share of which `k` of `n` were observed (Clopper and Pearson 1934): it never covers
/// less than it promises. Of nothing it is everything.
pub fn exact_binomial(k: u64, n: u64, confidence: f64) -> Interval {
    debug_assert!(k <= n);
    let beyond = (1.0 - confidence) / 2.0;
    let quantile = |a: u64, b: u64, p: f64| match Beta::new(a as f64, b as f64) {
        Ok(beta) => beta.inverse_cdf(p),
        Err(_) => f64::NAN,
    };
    Interval {
        estimate: if n == 0 { 0.0 } else { k as f64 / n as f64 },
        low: if k == 0 { 0.0 } else { quantile(k, n - k + 1, beyond) },
        high: if k >= n { 1.0 } else { quantile(k + 1, n - k, 1.0 - beyond) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use statrs::distribution::{Binomial, DiscreteCDF as _};

    /// scipy 1: `binomtest(k, n).proportion_ci(confidence, "exact")`.
    #[test]
    fn published_values() {
        for (k, n, confidence, low, high) in [
            (0, 30, 0.95, 0.0, 0.11570330822202743),
            (9, 10, 0.95, 0.5549838829718047, 0.9974714214555375),
            (3, 20, 0.95, 0.03207093718554477, 0.37892682654529564),
            (20, 20, 0.95, 0.8315665290169145, 1.0),
            (1, 2000, 0.99, 2.5062677710509653e-06, 0.0037090983904223174),
        ] {
            let i = exact_binomial(k, n, confidence);
            assert!(
                (i.low - low).abs() < 1e-7 && (i.high - high).abs() < 1e-7,
                "{k} of {n}: {i:?}"
            );
        }
    }

    #[test]
    fn of_nothing_it_is_everything() {
        let i = exact_binomial(0, 0, 0.95);
        assert_eq!((i.low, i.high), (0.0, 1.0));
    }

    proptest! {
        /// By its definition: at each end, the observed or a more extreme count has half of the remaining probability.
        #[test]
        fn its_ends_are_where_the_tails_are(n in 1..200u64, share in 0.0..1.0f64) {
            let k = (share * n as f64) as u64;
            let i = exact_binomial(k, n, 0.95);
            prop_assert!(i.low <= i.estimate && i.estimate <= i.high);
            if k > 0 {
                let below = Binomial::new(i.low, n).unwrap().cdf(k - 1);
                prop_assert!((1.0 - below - 0.025).abs() < 1e-6);
            }
            if k < n {
                prop_assert!((Binomial::new(i.high, n).unwrap().cdf(k) - 0.025).abs() < 1e-6);
            }
        }
    }
}
