//! How an exact target serves its events, and what it records of each.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How an exact target serves its events. Times are ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Each event is answered so long after its read, however many there are. The target never sleeps and
    /// keeps no log.
    Delay(u64),
    /// The same, but the target blocks while it holds no event, so that several can share a CPU. Every
    /// `every`-th event of the schedule is held for `other` instead.
    Held {
        /// Of an ordinary event.
        ns: u64,
        /// Of every `every`-th one.
        other: u64,
        /// 1 makes all events ordinary.
        every: u64,
    },
    /// One server, first in, first out, which spins for each event.
    Spin(u64),
    /// One server, first in, first out, which sleeps for each event.
    Sleep(u64),
    /// The same with exponential times of this mean, which follow from the event's position in the schedule.
    Exponential(u64),
}

impl Service {
    /// All events are held equally long.
    pub fn held(ns: u64) -> Service {
        Service::Held { ns, other: ns, every: 1 }
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Service> {
        let words: Vec<&str> = text.split(':').collect();
        let number = |word: &str| word.parse().ok();
        Some(match words[..] {
            [ns] => Service::Delay(number(ns)?),
            ["held", ns, other, every] => Service::Held {
                ns: number(ns)?,
                other: number(other)?,
                every: number(every).filter(|n| *n > 0)?,
            },
            ["spin", ns] => Service::Spin(number(ns)?),
            ["sleep", ns] => Service::Sleep(number(ns)?),
            ["exponential", ns] => Service::Exponential(number(ns)?),
            _ => return None,
        })
    }

    /// Serves one event after the other.
    pub(super) fn is_queue(self) -> bool {
        matches!(self, Service::Spin(_) | Service::Sleep(_) | Service::Exponential(_))
    }

    /// Blocks while there is nothing to do.
    pub(super) fn blocks(self) -> bool {
        !matches!(self, Service::Delay(_))
    }

    /// How long this event is held or served.
    pub(super) fn time(self, index: u64) -> u64 {
        match self {
            Service::Held { ns, other, every } if every > 1 => {
                if index.is_multiple_of(every) {
                    other
                } else {
                    ns
                }
            }
            Service::Exponential(mean) => (mean as f64 * exponential(index)) as u64,
            Service::Delay(ns)
            | Service::Held { ns, .. }
            | Service::Spin(ns)
            | Service::Sleep(ns) => ns,
        }
    }
}

/// A value of the exponential distribution of mean 1 for each index (SplitMix64's finaliser as the source).
fn exponential(index: u64) -> f64 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let uniform = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
    -(1.0 - uniform).ln()
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Service::Delay(ns) => write!(f, "{ns}"),
            Service::Held { ns, other, every } => write!(f, "held:{ns}:{other}:{every}"),
            Service::Spin(ns) => write!(f, "spin:{ns}"),
            Service::Sleep(ns) => write!(f, "sleep:{ns}"),
            Service::Exponential(ns) => write!(f, "exponential:{ns}"),
        }
    }
}

/// One event by the target's clock, ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Its position in the schedule.
    pub index: u64,
    /// It had been read.
    pub read: u64,
    /// Its service began: a queue that was not empty is served without a gap.
    pub start: u64,
    /// Its service ended, before the write of the answer.
    pub end: u64,
    /// The server was free again, after that write.
    pub free: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read_as_they_are_written() {
        for service in [
            Service::Delay(0),
            Service::held(5),
            Service::Held { ns: 1, other: 20, every: 20 },
            Service::Spin(200_000),
            Service::Sleep(2_000_000),
            Service::Exponential(7),
        ] {
            assert_eq!(Service::parse(&service.to_string()), Some(service));
        }
        for wrong in ["", "x", "spin", "spin:x", "held:1:2:0", "sleep:1:2"] {
            assert_eq!(Service::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn exponential_times_have_their_mean_and_deviation() {
        let n = 100_000u64;
        let times: Vec<f64> = (0..n).map(exponential).collect();
        let mean = times.iter().sum::<f64>() / n as f64;
        let square = times.iter().map(|t| t * t).sum::<f64>() / n as f64;
        assert!((mean - 1.0).abs() < 0.01 && (square - 2.0).abs() < 0.05, "{mean} {square}");
    }

    #[test]
    fn every_so_many_th_event_is_held_for_longer() {
        let two = Service::Held { ns: 1, other: 20, every: 20 };
        assert_eq!((0..2_000).filter(|i| two.time(*i) == 20).count(), 100);
    }
}
