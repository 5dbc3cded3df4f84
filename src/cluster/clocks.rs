//! How the clocks of shards differ from the coordinator's: found by round trips, before and after each trial group.

use crate::cluster::coordinator::Cluster;
use crate::cluster::protocol::{FromShard, ToShard};
use crate::cluster::waiting::{ANSWER, Wait};
use pushbench_core::error::Result;
use pushbench_core::units::nanos_text;
use pushbench_host::clock;
use std::sync::atomic::AtomicBool;

/// Questions for a clock: the shortest round trip tells most.
const QUESTIONS: u64 = 16;
/// A clock that is disciplined changes by no more than this part of the time (NTP slews by 500 ppm) …
const LARGEST_DRIFT: f64 = 0.001;
/// … and this, ns, which is far more than any other error here.
const SMALLEST_JUMP_NS: u64 = 1_000_000;

/// A shard's clock against the coordinator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// What it shows more, ns.
    pub ns: i64,
    /// Half of the round trip in which that was found: it is wrong by no more, ns.
    pub uncertainty: u64,
}

/// The same over a trial group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialClock {
    /// When the origin was set.
    pub at_origin: ClockOffset,
    /// The common origin was wrong by no more at any time, ns.
    pub uncertainty: u64,
    /// It was set or stood still meanwhile, and by how much.
    pub jumped: Option<String>,
}

impl ClockOffset {
    /// Over the trial group, when it was measured again. `length`: of the trial, ns.
    pub fn until(self, now: ClockOffset, length: u64) -> TrialClock {
        let moved = now.ns.abs_diff(self.ns);
        // What the two measurements do not explain.
        let drift = moved.saturating_sub(self.uncertainty + now.uncertainty);
        let allowed = SMALLEST_JUMP_NS + (length as f64 * LARGEST_DRIFT) as u64;
        TrialClock {
            at_origin: self,
            uncertainty: self.uncertainty.max(now.uncertainty) + drift,
            jumped: (drift > allowed).then(|| {
                let (moved, length) = (nanos_text(moved as f64), nanos_text(length as f64));
                format!(
                    "its clock changed by {moved} against the coordinator's in a trial of {length}: it was set, or one of the two machines stood still"
                )
            }),
        }
    }
}

impl Cluster {
    /// Asks every shard for its time, side by side (Cristian 1989).
    pub(super) fn clock_offsets(&self, interrupt: &AtomicBool) -> Result<Vec<ClockOffset>> {
        let all: Vec<usize> = (0..self.shards.len()).collect();
        let mut clocks = vec![ClockOffset { ns: 0, uncertainty: u64::MAX }; all.len()];
        let mut asked = vec![0; all.len()];
        for question in 0..QUESTIONS {
            for rank in &all {
                asked[*rank] = clock::now();
                self.tell(*rank, &ToShard::Clock(question))?;
            }
            let wait = Wait::of(interrupt, ANSWER, &all, "to tell the time");
            self.hear_all(wait, &mut || (), |rank, message, at| {
                let FromShard::Clock(number, theirs) = message else { return None };
                if number != question {
                    return None;
                }
                let half = (at - asked[rank]).div_ceil(2);
                if half < clocks[rank].uncertainty {
                    let ns = theirs as i64 - (asked[rank] + half) as i64;
                    clocks[rank] = ClockOffset { ns, uncertainty: half };
                }
                Some(())
            })?;
        }
        Ok(clocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_clock_that_jumps_is_named_and_one_that_drifts_is_not() {
        let then = ClockOffset { ns: 5_000_000, uncertainty: 40_000 };
        let over =
            |ns: i64| then.until(ClockOffset { ns: then.ns + ns, uncertainty: 60_000 }, SECOND);
        // Within what the two round trips leave open.
        assert_eq!(over(100_000).uncertainty, 60_000);
        assert_eq!(over(-100_000).jumped, None);
        // A drift of 500 ppm: the origin is wrong by as much at the end.
        assert_eq!((over(600_000).uncertainty, over(600_000).jumped), (560_000, None));
        for jump in [3_000_000, -3_000_000] {
            let why = over(jump).jumped.unwrap();
            assert!(why.contains("3.00 ms") && why.contains("1.00 s"), "{why}");
        }
    }
}
