//! Exact tests of counts.

use statrs::distribution::{Binomial, DiscreteCDF as _};

/// The probability that at least so many of all the counted fall to the first of two groups, each given
/// as counted and out of how many, were both alike (the exact conditional test of two Poisson means,
/// Przyborowski and Wilenski 1940).
pub(crate) fn by_chance((count, of): (u64, u64), (other, other_of): (u64, u64)) -> f64 {
    if count == 0 {
        return 1.0;
    }
    let share = of as f64 / (of + other_of).max(1) as f64;
    Binomial::new(share, count + other).map_or(1.0, |b| b.sf(count - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_the_binomial_tail() {
        // All 3 in the group that holds a third: (1/3)³.
        assert!((by_chance((3, 100), (0, 200)) - 1.0 / 27.0).abs() < 1e-12);
        assert_eq!(by_chance((0, 100), (5, 200)), 1.0);
        assert!(by_chance((40, 100), (5, 200)) < 1e-9);
    }
}
