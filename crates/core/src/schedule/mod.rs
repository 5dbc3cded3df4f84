//! When each event is due: a pure function of load, seed and shard.

pub mod fault_plan;
mod intensity;
pub mod turnover;

use crate::scenario::{Arrivals, Load};
use intensity::Intensity;
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
    instants: Instants,
    end: u64,
    next: u64,
    shard: u64,
    of: u64,
}

#[derive(Debug, Clone)]
enum Instants {
    /// Event k is due at k / rate, computed from k so that nothing drifts.
    Constant { period: f64 },
    /// Gaps are exponential; `at` is their sum in ns.
    Poisson { period: f64, at: f64, rng: Box<ChaCha8Rng> },
    /// Event k is due where `sum`, of k + 1 exponential gaps, is the number of expected events.
    Varying { intensity: Intensity, sum: f64, rng: Box<ChaCha8Rng> },
}

impl Schedule {
    /// The schedule of a load; `None` for a closed loop, which has no due instants.
    pub fn new(load: &Load, seed: u64, shard: usize, of: usize) -> Option<Schedule> {
        let intensity = Intensity::of(load)?;
        let period = 1e9 / load.rate?;
        let rng = Box::new(ChaCha8Rng::seed_from_u64(seed));
        let instants = match load.arrivals {
            Arrivals::Constant => Instants::Constant { period },
            Arrivals::Poisson => Instants::Poisson { period, at: 0.0, rng },
            _ => Instants::Varying { intensity, sum: 0.0, rng },
        };
        let end = (load.warmup + load.duration).as_nanos() as u64;
        Some(Schedule { instants, end, next: 0, shard: shard as u64, of: of as u64 })
    }
}

/// The mean rate of a load's measured window in events per second; `None` in a closed loop.
pub fn offered(load: &Load) -> Option<f64> {
    let (begin, length) = (load.warmup.as_nanos() as f64, load.duration.as_nanos() as f64);
    let intensity = Intensity::of(load)?;
    match load.arrivals {
        // Exactly the requested rate.
        Arrivals::Constant | Arrivals::Poisson => load.rate,
        _ => {
            let events = intensity.expected(begin + length) - intensity.expected(begin);
            Some(events / length * 1e9)
        }
    }
}

/// The instant of the first event after the warm-up, ns of the arm's own time; `None` without one.
pub fn first_measured(load: &Load, seed: u64) -> Option<u64> {
    let warmup = load.warmup.as_nanos() as u64;
    Schedule::new(load, seed, 0, 1)?.map(|due| due.at).find(|at| *at >= warmup)
}

/// The ends of a load's bursts in ns of the arm's own time, earliest first; none without bursts.
pub fn burst_ends(load: &Load) -> Vec<u64> {
    let Arrivals::Burst(burst) = load.arrivals else { return Vec::new() };
    let first = load.warmup + burst.quiet() + burst.length;
    let ends = (0..).map(|cycle| first + burst.every * cycle);
    ends.take_while(|end| *end < load.warmup + load.duration).map(|e| e.as_nanos() as u64).collect()
}

/// The nearest whole number of what is not negative. `f64::round` is a library call without SSE 4.1,
/// which costs several times as much as the rest of an instant.
#[inline]
fn nearest(ns: f64) -> u64 {
    (ns + 0.5) as u64
}

impl Instants {
    #[inline]
    fn at(&mut self, index: u64) -> u64 {
        match self {
            Instants::Constant { period } => nearest(index as f64 * *period),
            Instants::Poisson { period, at, rng } => {
                let gap: f64 = Exp1.sample(rng.as_mut());
                *at += gap * *period;
                nearest(*at)
            }
            Instants::Varying { intensity, sum, rng } => {
                let gap: f64 = Exp1.sample(rng.as_mut());
                *sum += gap;
                nearest(intensity.instant(*sum))
            }
        }
    }
}

impl Iterator for Schedule {
    type Item = Due;

    #[inline]
    fn next(&mut self) -> Option<Due> {
        loop {
            let index = self.next;
            let at = self.instants.at(index);
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
mod tests;
