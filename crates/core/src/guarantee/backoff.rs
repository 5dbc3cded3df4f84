//! Pauses between attempts: exponential back-off with jitter.

use crate::guarantee::{Guarantee, Jitter};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Streams of random numbers for back-off lie beyond those of `schedule::turnover`.
const BACKOFFS: u64 = 1 << 41;

/// The pauses of one destination or subscriber. Attempt 1 is made at once; the pause before attempt k + 1 has the cap
/// `min(backoff_max, backoff * 2^(k - 1))`. Without jitter it is the cap, with equal jitter half of the cap and up to as
/// much again at random, with full jitter anything from zero to the cap. A `Retry-After` that is longer replaces it.
#[derive(Debug, Clone)]
pub struct Backoff {
    rng: ChaCha8Rng,
    first: u64,
    longest: u64,
    jitter: Jitter,
    attempts: usize,
    failures: usize,
}

impl Backoff {
    /// Of destination or subscriber `number`. Two of the same seed and number have the same pauses.
    pub fn new(guarantee: &Guarantee, seed: u64, number: u64) -> Backoff {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(BACKOFFS + number);
        Backoff {
            rng,
            first: guarantee.backoff.as_nanos() as u64,
            longest: guarantee.backoff_max.as_nanos() as u64,
            jitter: guarantee.jitter,
            attempts: if guarantee.retries() { guarantee.attempts } else { 1 },
            failures: 0,
        }
    }

    /// An attempt failed: the pause before the next one, ns, at least `retry_after` ns; `None` if it was the last one.
    pub fn failed(&mut self, retry_after: Option<u64>) -> Option<u64> {
        self.failures += 1;
        self.pause_after(self.failures, retry_after)
    }

    /// An attempt succeeded: the next one that fails counts as the first.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The pause after so many failures of one delivery.
    pub(super) fn pause_after(&mut self, failures: usize, retry_after: Option<u64>) -> Option<u64> {
        if failures >= self.attempts {
            return None;
        }
        let factor = 1_u64.checked_shl(failures as u32 - 1).unwrap_or(u64::MAX);
        let cap = self.first.saturating_mul(factor).min(self.longest);
        let pause = match self.jitter {
            Jitter::None => cap,
            Jitter::Equal => cap / 2 + self.rng.random_range(0..=cap / 2),
            Jitter::Full => self.rng.random_range(0..=cap),
        };
        Some(pause.max(retry_after.unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guarantee::Promise;
    use proptest::prelude::*;
    use std::time::Duration;

    const MS: u64 = 1_000_000;

    fn policy(jitter: Jitter, attempts: usize) -> Guarantee {
        let delivery = Promise::AtLeastOnce;
        Guarantee { delivery, jitter, attempts, ..Guarantee::default() }
    }

    fn pauses(backoff: &mut Backoff) -> Vec<u64> {
        std::iter::from_fn(|| backoff.failed(None)).collect()
    }

    #[test]
    fn without_jitter_a_pause_doubles_up_to_the_longest() {
        let mut backoff = Backoff::new(&policy(Jitter::None, 10), 1, 0);
        let ms: Vec<u64> = pauses(&mut backoff).iter().map(|ns| ns / MS).collect();
        assert_eq!(ms, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        backoff.succeeded();
        assert_eq!(backoff.failed(None), Some(100 * MS), "it begins anew after a success");
    }

    #[test]
    fn jitter_covers_its_range_evenly() {
        for (jitter, least, mean) in [(Jitter::Equal, 50, 75), (Jitter::Full, 0, 50)] {
            let first = |number| Backoff::new(&policy(jitter, 2), 7, number).failed(None).unwrap();
            let all: Vec<u64> = (0..2000).map(first).collect();
            let (min, max) = (all.iter().min().unwrap(), all.iter().max().unwrap());
            assert!(*min >= least * MS && *min < (least + 2) * MS, "{min}");
            assert!(*max <= 100 * MS && *max > 98 * MS, "{max}");
            let got = all.iter().sum::<u64>() / 2000;
            assert!(got.abs_diff(mean * MS) < 2 * MS, "{got}");
        }
    }

    #[test]
    fn a_policy_without_retries_has_one_attempt() {
        assert_eq!(Backoff::new(&Guarantee::default(), 1, 0).failed(Some(5)), None);
    }

    proptest! {
        #[test]
        fn pauses_are_reproducible_and_within_their_bounds(
            jitter in prop_oneof![Just(Jitter::None), Just(Jitter::Equal), Just(Jitter::Full)],
            (first, longest) in (1_u64..u64::MAX / 2).prop_flat_map(|f| (Just(f), f..u64::MAX)),
            attempts in 1_usize..100,
            seed: u64,
            number in 0_u64..1 << 40,
            retry_after in proptest::option::of(0_u64..1 << 40),
        ) {
            let (backoff, backoff_max) = (Duration::from_nanos(first), Duration::from_nanos(longest));
            let policy = Guarantee { backoff, backoff_max, ..policy(jitter, attempts) };
            let of = |number| {
                let mut backoff = Backoff::new(&policy, seed, number);
                std::iter::from_fn(move || backoff.failed(retry_after)).collect::<Vec<u64>>()
            };
            let all = of(number);
            prop_assert_eq!(&all, &of(number));
            prop_assert_eq!(all.len(), attempts - 1, "the first attempt needs no pause");
            for (k, pause) in all.into_iter().enumerate() {
                let cap = (u128::from(first) << k.min(64)).min(u128::from(longest)) as u64;
                let least = match jitter { Jitter::None => cap, Jitter::Equal => cap / 2, Jitter::Full => 0 };
                let asked = retry_after.unwrap_or(0);
                prop_assert!(pause >= least.max(asked) && pause <= cap.max(asked), "{k}: {pause}");
            }
        }
    }
}
