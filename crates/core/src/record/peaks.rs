//! The slowest response in each short interval of a trial: shows whether the samples beyond a
//! percentile come from many separate stalls or from one.

use serde::{Deserialize, Serialize};

/// Shortest interval: stalls closer together than this count as one.
const SHORTEST_BIN_NS: u64 = 10_000_000;
/// Bounds the memory of a long trial; its periods grow instead.
const MOST_BINS: u64 = 1_000;

/// A queue that a stall left is worked off within this many bins, 100 ms in a short trial.
const BINS_OF_A_STALL: usize = 10;

/// The largest response per bin of the trial's wall clock, by the instant the answer was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peaks {
    /// Length of a bin.
    pub(crate) bin_ns: u64,
    /// Largest response in each bin, 0 where none ended.
    pub max_ns: Vec<u64>,
}

impl Peaks {
    /// Bins for a trial of this length; later answers count into the last one.
    pub fn new(length_ns: u64) -> Self {
        let bin_ns = (length_ns / MOST_BINS).max(SHORTEST_BIN_NS);
        Peaks { bin_ns, max_ns: vec![0; (length_ns / bin_ns + 1) as usize] }
    }

    /// Notes a response that ended `at` ns after the trial began.
    #[inline]
    pub fn record(&mut self, at: u64, response_ns: u64) {
        let bin = ((at / self.bin_ns) as usize).min(self.max_ns.len() - 1);
        let max = &mut self.max_ns[bin];
        *max = (*max).max(response_ns);
    }

    /// Takes the larger of each bin.
    pub fn merge(&mut self, other: &Peaks) {
        for (mine, theirs) in self.max_ns.iter_mut().zip(&other.max_ns) {
            *mine = (*mine).max(*theirs);
        }
    }

    /// Number of separate periods in which some response was above `ns`. What lasts longer than a
    /// stall does is the load, and counts once more for every such length.
    pub fn stalls_above(&self, ns: u64) -> usize {
        let mut length = 0;
        let mut stalls = 0;
        for max in &self.max_ns {
            if *max <= ns {
                length = 0;
                continue;
            }
            stalls += usize::from(length % BINS_OF_A_STALL == 0);
            length += 1;
        }
        stalls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_bins_are_one_stall() {
        let mut p = Peaks::new(1_000_000_000);
        for at in [0, 10_000_000, 20_000_000, 500_000_000, 900_000_000] {
            p.record(at, 100);
        }
        assert_eq!(p.stalls_above(99), 3);
        assert_eq!(p.stalls_above(100), 0);
    }

    #[test]
    fn what_lasts_is_no_stall() {
        let mut p = Peaks::new(300_000_000);
        (0..30).for_each(|bin| p.record(bin * 10_000_000, 100));
        assert_eq!(p.stalls_above(99), 3);
    }

    #[test]
    fn late_answers_count_into_the_last_bin() {
        let mut p = Peaks::new(1_000_000_000);
        p.record(99_000_000_000, 7);
        assert_eq!(p.stalls_above(1), 1);
    }

    #[test]
    fn long_trials_keep_bounded_memory() {
        assert!(Peaks::new(3_600_000_000_000).max_ns.len() <= MOST_BINS as usize + 1);
    }
}
