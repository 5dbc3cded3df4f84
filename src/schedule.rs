//! When each event is due: a pure function of load, seed and shard.

use crate::scenario::{Arrivals, Load};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1};

/// One event's place in the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Position in the whole schedule, from 0; the event's id is made of it.
    pub index: u64,
    /// Instant in ns of the arm's own time, from 0.
    pub at: u64,
}

/// The events of one shard, in order of their instants, warm-up included.
///
/// Shard `i` of `n` takes every `n`-th event of the whole schedule, so that the shards merged are
/// the unsharded schedule exactly.
#[derive(Debug, Clone)]
pub struct Schedule {
    gaps: Gaps,
    end: u64,
    next: u64,
    shard: u64,
    of: u64,
}

#[derive(Debug, Clone)]
enum Gaps {
    /// Event k is due at k / rate, computed from k so that nothing drifts.
    Constant { period: f64 },
    /// Gaps are exponential; `at` is their sum in ns.
    Poisson { period: f64, at: f64, rng: Box<ChaCha8Rng> },
}

impl Schedule {
    /// The schedule of a load; `None` for a closed loop, which has no due instants.
    pub fn new(load: &Load, seed: u64, shard: usize, of: usize) -> Option<Schedule> {
        let period = 1e9 / load.rate?;
        let gaps = match load.arrivals {
            Arrivals::Closed => return None,
            Arrivals::Constant => Gaps::Constant { period },
            Arrivals::Poisson => {
                Gaps::Poisson { period, at: 0.0, rng: Box::new(ChaCha8Rng::seed_from_u64(seed)) }
            }
        };
        let end = (load.warmup + load.duration).as_nanos() as u64;
        Some(Schedule { gaps, end, next: 0, shard: shard as u64, of: of as u64 })
    }
}

impl Gaps {
    fn at(&mut self, index: u64) -> u64 {
        match self {
            Gaps::Constant { period } => (index as f64 * *period).round() as u64,
            Gaps::Poisson { period, at, rng } => {
                let gap: f64 = Exp1.sample(rng.as_mut());
                *at += gap * *period;
                at.round() as u64
            }
        }
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        loop {
            let index = self.next;
            let at = self.gaps.at(index);
            if at >= self.end {
                return None;
            }
            self.next += 1;
            if index % self.of == self.shard {
                return Some(Due { index, at });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn load(arrivals: Arrivals, rate: f64, seconds: f64) -> Load {
        Load {
            arrivals,
            rate: Some(rate),
            warmup: Duration::ZERO,
            duration: Duration::from_secs_f64(seconds),
            timeout: Duration::from_secs(5),
            backlog: 1,
        }
    }

    fn schedule(arrivals: Arrivals, rate: f64, seconds: f64, seed: u64) -> Vec<Due> {
        Schedule::new(&load(arrivals, rate, seconds), seed, 0, 1).unwrap().collect()
    }

    fn open() -> impl Strategy<Value = Arrivals> {
        prop_oneof![Just(Arrivals::Constant), Just(Arrivals::Poisson)]
    }

    proptest! {
        #[test]
        fn merged_shards_are_the_whole(arrivals in open(), rate in 1.0..5e4f64, seed: u64, n in 1..7usize) {
            let l = load(arrivals, rate, 0.2);
            let mut merged: Vec<Due> =
                (0..n).flat_map(|i| Schedule::new(&l, seed, i, n).unwrap()).collect();
            merged.sort_by_key(|d| d.index);
            prop_assert_eq!(merged, schedule(arrivals, rate, 0.2, seed));
        }

        #[test]
        fn instants_rise_and_stay_inside(arrivals in open(), rate in 1.0..5e4f64, seed: u64) {
            let s = schedule(arrivals, rate, 0.2, seed);
            prop_assert!(s.windows(2).all(|w| w[0].at <= w[1].at && w[0].index + 1 == w[1].index));
            prop_assert!(s.iter().all(|d| d.at < 200_000_000));
        }
    }

    #[test]
    fn constant_gaps_do_not_drift() {
        let s = schedule(Arrivals::Constant, 3000.0, 400.0, 1);
        assert_eq!(s.len(), 1_200_000);
        assert_eq!(s[1_199_997].at, 399_999_000_000);
    }

    #[test]
    fn the_seed_decides() {
        let of = |seed| schedule(Arrivals::Poisson, 1000.0, 1.0, seed);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn a_closed_loop_has_no_schedule() {
        let mut l = load(Arrivals::Closed, 1.0, 1.0);
        l.rate = None;
        assert!(Schedule::new(&l, 1, 0, 1).is_none());
    }

    /// Anderson–Darling against the exponential with known mean. The statistic's 1 % point for a
    /// fully specified distribution is 3.857 (Stephens 1974, table 1, case 0).
    #[test]
    fn poisson_gaps_are_exponential() {
        for seed in 0..10 {
            let s = schedule(Arrivals::Poisson, 10_000.0, 1.0, seed);
            let mut u: Vec<f64> = s
                .windows(2)
                .map(|w| 1.0 - (-((w[1].at - w[0].at) as f64 / 1e5)).exp())
                .map(|p| p.clamp(1e-12, 1.0 - 1e-12))
                .collect();
            u.sort_by(f64::total_cmp);
            let n = u.len();
            let sum: f64 =
                (0..n).map(|i| (2 * i + 1) as f64 * (u[i].ln() + (1.0 - u[n - 1 - i]).ln())).sum();
            let a2 = -(n as f64) - sum / n as f64;
            assert!(a2 < 3.857, "seed {seed}: A² = {a2}");
        }
    }

    #[test]
    fn poisson_counts_have_their_variance() {
        // 1000 windows of 10 expected events each: mean and variance of the counts are both 10.
        let s = schedule(Arrivals::Poisson, 1000.0, 10.0, 42);
        let mut counts = vec![0f64; 1000];
        s.iter().for_each(|d| counts[(d.at / 10_000_000) as usize] += 1.0);
        let mean = counts.iter().sum::<f64>() / 1000.0;
        let variance = counts.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / 999.0;
        assert!((mean - 10.0).abs() < 0.4, "{mean}");
        assert!((variance - 10.0).abs() < 2.0, "{variance}");
    }
}
