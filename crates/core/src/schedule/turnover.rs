//! When subscribers leave, and how long they wait before they subscribe again: pure functions of the
//! seed and the subscriber's number, the same for every arm.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1};
use std::time::Duration;

/// A pause is doubled this many times at most.
const DOUBLINGS: u32 = 6;
/// Streams of random numbers for pauses lie beyond those for stays; the schedule's is stream 0.
const PAUSES: u64 = 1 << 40;

fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number + 1);
    rng
}

/// The instants at which one subscriber leaves, ns after the trial's begin: its stays are exponential,
/// so that any subscriber leaves as likely now as at any other time.
#[derive(Debug, Clone)]
pub struct Leaves {
    rng: ChaCha8Rng,
    stay: f64,
    away: u64,
    /// When it is there again.
    there: u64,
    end: u64,
}

impl Leaves {
    /// Of subscriber `number`; none after `end`, ns.
    pub fn new(seed: u64, number: usize, stay: Duration, away: Duration, end: u64) -> Leaves {
        let rng = stream(seed, number as u64);
        Leaves { rng, stay: stay.as_nanos() as f64, away: away.as_nanos() as u64, there: 0, end }
    }
}

impl Iterator for Leaves {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let stay: f64 = Exp1.sample(&mut self.rng);
        let at = self.there.saturating_add((stay * self.stay) as u64);
        self.there = at.saturating_add(self.away);
        (at < self.end).then_some(at)
    }
}

/// The pauses of one subscriber before its attempts to subscribe again: each anything up to a limit
/// that doubles from attempt to attempt (full jitter), so that a crowd does not come back at once.
#[derive(Debug, Clone)]
pub struct Pauses {
    rng: ChaCha8Rng,
    first: u64,
    attempt: u32,
}

impl Pauses {
    /// Of subscriber `number`, the first one up to `first`.
    pub fn new(seed: u64, number: usize, first: Duration) -> Pauses {
        let rng = stream(seed, PAUSES + number as u64);
        Pauses { rng, first: first.as_nanos() as u64, attempt: 0 }
    }

    /// The next pause, ns.
    pub fn draw(&mut self) -> u64 {
        let limit = self.first.saturating_mul(1 << self.attempt.min(DOUBLINGS));
        self.attempt += 1;
        self.rng.random_range(0..=limit)
    }

    /// An attempt was successful: the limit is the first one again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn leaves(number: usize) -> Vec<u64> {
        let (stay, away) = (Duration::from_millis(100), Duration::from_millis(20));
        Leaves::new(7, number, stay, away, 10_000 * MS).collect()
    }

    #[test]
    fn stays_are_exponential_and_absences_as_long_as_asked() {
        let all: Vec<Vec<u64>> = (0..200).map(leaves).collect();
        let n: usize = all.iter().map(Vec::len).sum();
        // 200 subscribers for 10 s, a stay and an absence together 120 ms in the mean.
        let expected = 200.0 * 10_000.0 / 120.0;
        assert!((n as f64 / expected - 1.0).abs() < 0.03, "{n} for {expected}");
        assert!(all.iter().flat_map(|l| l.windows(2)).all(|w| w[1] - w[0] >= 20 * MS));
        assert_ne!(leaves(0), leaves(1));
        assert_eq!(leaves(3), leaves(3));
        // The longest of many exponential stays is several times the mean.
        let first = |l: &Vec<u64>| l.first().copied();
        assert!(all.iter().filter_map(first).max() > Some(300 * MS));
    }

    #[test]
    fn pauses_are_spread_and_double_up_to_a_bound() {
        let of = |number| Pauses::new(7, number, Duration::from_millis(50));
        let firsts: Vec<u64> = (0..1000).map(|n| of(n).draw()).collect();
        let mean = firsts.iter().sum::<u64>() / 1000;
        assert!(firsts.iter().all(|p| *p <= 50 * MS) && mean.abs_diff(25 * MS) < 2 * MS, "{mean}");
        let mut one = of(1);
        let later: Vec<u64> = (0..200).map(|_| one.draw()).collect();
        assert!(
            later.iter().all(|p| *p <= 64 * 50 * MS) && later.iter().any(|p| *p > 16 * 50 * MS)
        );
        one.reset();
        assert!(one.draw() <= 50 * MS);
    }
}
