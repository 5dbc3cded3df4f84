//! The time line of a block's arms, second by second, in little memory.

use pushbench_core::record::histogram::{Compact, Hist};
use pushbench_core::record::interval::{Interval, IntervalCounts};
use std::collections::BTreeMap;

/// What each second of one arm brought.
#[derive(Default)]
pub(super) struct TimeLine(BTreeMap<u64, Second>);

struct Second {
    due: u64,
    backlog_peak: u64,
    /// A long trial has many seconds (law 12).
    responses: Compact,
    driver_rss_bytes: u64,
}

impl TimeLine {
    /// Adds what one shard saw of a second; `driver_rss_bytes` is read when it arrives.
    pub fn add(&mut self, second: u64, mut seen: IntervalCounts, driver_rss_bytes: u64) {
        if let Some(known) = self.0.get(&second) {
            seen.merge(&known.seen());
        }
        let responses = seen.responses.compact();
        let (due, backlog_peak) = (seen.due, seen.backlog_peak);
        self.0.insert(second, Second { due, backlog_peak, responses, driver_rss_bytes });
    }

    /// The figures of every second.
    pub fn intervals(&self) -> Vec<Interval> {
        let figures = |(n, s): (&u64, &Second)| Interval::of(*n, &s.seen(), s.driver_rss_bytes);
        self.0.iter().map(figures).collect()
    }

    /// The responses of every second.
    pub fn into_seconds(self) -> Vec<(u64, Hist)> {
        self.0.into_iter().map(|(n, s)| (n, s.responses.unpack())).collect()
    }
}

impl Second {
    fn seen(&self) -> IntervalCounts {
        IntervalCounts {
            responses: self.responses.unpack(),
            due: self.due,
            backlog_peak: self.backlog_peak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(values: &[u64]) -> IntervalCounts {
        let mut seen = IntervalCounts { due: 7, backlog_peak: 2, ..IntervalCounts::default() };
        values.iter().for_each(|v| seen.responses.record(*v));
        seen
    }

    #[test]
    fn shards_of_the_same_second_are_merged_without_loss() {
        let mut line = TimeLine::default();
        line.add(1, seen(&[5, 1_000_000]), 10);
        line.add(0, seen(&[]), 20);
        line.add(1, seen(&[70_000]), 30);
        let intervals = line.intervals();
        assert_eq!(intervals.iter().map(|i| i.second).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((intervals[1].due, intervals[1].backlog_peak), (14, 4));
        assert_eq!((intervals[1].acknowledged, intervals[1].driver_rss_bytes), (3, 30));
        let mut all = Hist::new();
        [5, 70_000, 1_000_000].into_iter().for_each(|v| all.record(v));
        assert_eq!(line.into_seconds()[1], (1, all));
    }
}
