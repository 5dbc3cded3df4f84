//! How dense a schedule is at each instant: the expected number of events before it, and its inverse.
//!
//! A Poisson process of any rate is a Poisson process of rate 1 seen through this inverse (Çinlar,
//! *Introduction to Stochastic Processes*, 1975, chapter 4.7).

use crate::scenario::{Arrivals, Load};

/// The rate over an arm's own time. Rates are events per ns, instants ns.
#[derive(Debug, Clone, Copy)]
pub(super) enum Intensity {
    /// The same rate all along.
    Flat { rate: f64 },
    /// `from` until `start`, then changing by `slope` per ns.
    Ramp { from: f64, slope: f64, start: f64 },
    /// `rate` until `start`, then cycles of a quiet part, a burst and a quiet part again.
    Burst { rate: f64, burst: f64, start: f64, quiet: f64, length: f64, every: f64 },
}

impl Intensity {
    /// Of an open load; `None` for a closed loop.
    pub fn of(load: &Load) -> Option<Intensity> {
        let rate = load.rate? / 1e9;
        let start = load.warmup.as_nanos() as f64;
        Some(match load.arrivals {
            Arrivals::Closed => return None,
            Arrivals::Constant | Arrivals::Poisson => Intensity::Flat { rate },
            Arrivals::Ramp { to } => {
                let slope = (to / 1e9 - rate) / load.duration.as_nanos() as f64;
                Intensity::Ramp { from: rate, slope, start }
            }
            Arrivals::Burst(b) => Intensity::Burst {
                rate,
                burst: rate * b.factor,
                start,
                quiet: b.quiet().as_nanos() as f64,
                length: b.length.as_nanos() as f64,
                every: b.every.as_nanos() as f64,
            },
        })
    }

    /// The expected number of events before an instant.
    pub fn expected(&self, at: f64) -> f64 {
        match *self {
            Intensity::Flat { rate } => rate * at,
            Intensity::Ramp { from, slope, start } => {
                let past = (at - start).max(0.0);
                from * at + slope * past * past / 2.0
            }
            Intensity::Burst { rate, burst, start, quiet, length, every } => {
                let past = (at - start).max(0.0);
                let cycle = past % every;
                let bursts = (past / every).floor() * length + (cycle - quiet).clamp(0.0, length);
                rate * at + (burst - rate) * bursts
            }
        }
    }

    /// The instant before which `expected` events are expected; the inverse of [`Self::expected`].
    ///
    /// Inlined into the schedule's loop, what is constant of every variant is computed for each event, of
    /// the variants that it is not, too, from bits that are denormal numbers there: four times as slow.
    #[inline(never)]
    pub fn instant(&self, expected: f64) -> f64 {
        match *self {
            Intensity::Flat { rate } => expected / rate,
            Intensity::Ramp { from, slope, start } => {
                let past = expected - from * start;
                if past <= 0.0 {
                    return expected / from;
                }
                // The root of slope/2 · x² + from · x = past, without cancellation. A falling ramp
                // ends before it would turn round.
                let root = (from * from + 2.0 * slope * past).max(0.0).sqrt();
                start + 2.0 * past / (from + root)
            }
            Intensity::Burst { rate, burst, start, quiet, length, every } => {
                let past = expected - rate * start;
                if past <= 0.0 {
                    return expected / rate;
                }
                let of_quiet = rate * quiet;
                let of_cycle = rate * (every - length) + burst * length;
                let rest = past % of_cycle;
                let begin = start + (past / of_cycle).floor() * every;
                if rest < of_quiet {
                    begin + rest / rate
                } else if rest < of_quiet + burst * length {
                    begin + quiet + (rest - of_quiet) / burst
                } else {
                    begin + quiet + length + (rest - of_quiet - burst * length) / rate
                }
            }
        }
    }
}
