//! When a gate looks at its blocks, and which part of its error each look may spend.
//!
//! Blocks are added until the verdict stands or the time is used up (a group-sequential test, Pocock 1977, Jennison and
//! Turnbull 2000). Each look judges all blocks so far. The levels of the looks add up to the level of the gate, so
//! that by Bonferroni's inequality the gate as a whole keeps it, however the blocks of the looks depend on each other.

use crate::compare::gate::{ALPHA, BETA};
use pushbench_core::record::run::StoredRun;
use pushbench_core::record::trial::Stage;
use pushbench_core::scenario::Blocks;
use serde::{Deserialize, Serialize};

/// Blocks before the first look: the fewest with which a verdict is possible.
pub const FIRST: usize = crate::compare::FEWEST_BLOCKS;

/// One look at the blocks so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// From 1.
    pub number: usize,
    /// Looks that were planned.
    pub planned: usize,
    /// Part of the error that this look spends; the parts of all looks add up to 1 at most.
    pub share: f64,
    /// No other follows, whatever it shows.
    pub last: bool,
    /// It is the last because the point ended, not because the time is used up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// Blocks begun until then, one number for each point.
    pub begun: Vec<usize>,
}

impl Look {
    /// What was measured after so many looks when the gate ended without another.
    pub fn unfinished(looks: &[Look]) -> Look {
        let planned = looks.last().map_or(0, |look| look.planned);
        Look { number: looks.len() + 1, planned, ..Look::only() }
    }

    /// The only look, which spends everything.
    pub fn only() -> Look {
        Look { number: 1, planned: 1, share: 1.0, last: true, stopped: false, begun: Vec::new() }
    }

    /// Probability of a false alarm at this look, over all judged lines.
    pub fn alpha(&self) -> f64 {
        ALPHA * self.share
    }

    /// Probability at this look of passing a line whose slow-down is exactly the margin.
    pub fn beta(&self) -> f64 {
        BETA * self.share
    }

    /// The run as it was at this look, which is at whole blocks. Looks without numbers of blocks see the whole run.
    pub fn of(&self, mut run: StoredRun) -> StoredRun {
        run.header.complete |= !self.begun.is_empty();
        for (point, begun) in self.begun.iter().enumerate() {
            run.trials.retain(|t| t.point != point || t.stage == Stage::Pilot || t.block < *begun);
            if let Some(header) = run.header.points.get_mut(point)
                && let Blocks::Fixed(planned) = &mut header.scenario.compare.blocks
            {
                *planned = (*planned).min(*begun);
            }
        }
        run
    }
}

/// After how many blocks a gate looks that may come to `most`: each time half as many again, so that a clear case
/// ends after `first` blocks and a close one is not looked at more often than needed.
pub fn planned(first: usize, most: usize) -> Vec<usize> {
    let mut looks = vec![first];
    let mut next = first;
    while next < most {
        next = (next + next.div_ceil(2)).min(most);
        // A look that adds little to the one before would spend as much of the error.
        if most - next < next / 4 {
            next = most;
        }
        looks.push(next);
    }
    looks
}

/// The looks of a gate as they come.
#[derive(Debug, Clone)]
pub struct Schedule {
    planned: Vec<usize>,
    taken: usize,
}

impl Schedule {
    /// Of a gate whose first look is after `first` blocks and that may come to `most`.
    pub fn new(first: usize, most: usize) -> Schedule {
        Schedule { planned: planned(first, most), taken: 0 }
    }

    /// The next look, at blocks of which so many were begun. `last`: there is no time for another, or more blocks
    /// change nothing; the look then spends what is left.
    pub fn look(&mut self, begun: Vec<usize>, last: bool) -> Look {
        let planned = self.planned.len();
        let left = planned.saturating_sub(self.taken).max(1);
        self.taken += 1;
        let last = last || left == 1;
        let share = if last { left } else { 1 } as f64 / planned as f64;
        Look { number: self.taken, planned, share, last, stopped: false, begun }
    }

    /// Valid blocks at the next look.
    pub fn next(&self) -> Option<usize> {
        self.planned.get(self.taken).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn looks_grow_by_half() {
        assert_eq!(planned(8, 140), [8, 12, 18, 27, 41, 62, 93, 140]);
        assert_eq!(planned(8, 8), [8]);
        assert_eq!(planned(8, 3), [8]);
        assert_eq!(planned(8, 13), [8, 13]);
    }

    proptest! {
        /// Whenever the time runs out, the looks spend the whole error and no more.
        #[test]
        fn the_parts_add_up_to_one(first in 8..40usize, most in 8..400usize, ends in 1..12usize) {
            let mut schedule = Schedule::new(first, most);
            let mut spent = 0.0;
            for number in 1.. {
                let look = schedule.look(Vec::new(), number == ends);
                spent += look.share;
                prop_assert!(look.number == number && look.share > 0.0);
                if look.last {
                    break;
                }
                prop_assert!(schedule.next().is_some());
            }
            prop_assert!((spent - 1.0).abs() < 1e-12);
            let looks = planned(first, most);
            prop_assert!(looks.windows(2).all(|w| w[0] < w[1]));
            prop_assert_eq!(*looks.last().unwrap(), most.max(first));
        }
    }
}
