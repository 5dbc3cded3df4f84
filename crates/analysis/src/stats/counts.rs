//! Exact tests of counts.

use statrs::distribution::{Binomial, DiscreteCDF as _, Hypergeometric};

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

/// The same of blocks, each of which counts once: the probability that at least so many of all that counted fall to the
/// first group (Fisher's exact test, one-sided).
pub(crate) fn by_chance_in_blocks((count, of): (u64, u64), (other, other_of): (u64, u64)) -> f64 {
    if count == 0 {
        return 1.0;
    }
    Hypergeometric::new(of + other_of, count + other, of).map_or(1.0, |h| h.sf(count - 1))
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

    /// Fisher's tea: R's `fisher.test(matrix(c(3, 1, 1, 3), 2), alternative = "greater")` gives p = 0.2429.
    #[test]
    fn blocks_are_those_of_fishers_exact_test() {
        assert!((by_chance_in_blocks((3, 4), (1, 4)) - 0.242_857).abs() < 1e-6);
        // All 8 of 24: 1 / C(24, 8).
        assert!((by_chance_in_blocks((8, 8), (0, 16)) * 735_471.0 - 1.0).abs() < 1e-6);
        assert_eq!(by_chance_in_blocks((0, 8), (3, 16)), 1.0);
    }
}
