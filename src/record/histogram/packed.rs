//! A histogram of which only the levels that hold something are kept.

use super::{empty, recorded};
use hdrhistogram::Histogram;
use std::sync::LazyLock;

/// An empty histogram: it knows which values are one level.
static LEVELS: LazyLock<Histogram<u64>> = LazyLock::new(empty);

/// Most values that are taken from outside: sums of such histograms still fit their counters, and a mean
/// is exact. No run comes near it.
const MOST: u64 = 1 << 53;

/// The recorded levels, smallest first.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    count: u64,
    /// The highest value of each level, and how many values are in it.
    levels: Box<[(u64, u64)]>,
}

impl Packed {
    /// What a histogram holds.
    pub(super) fn of(open: &Histogram<u64>) -> Packed {
        Packed { count: open.len(), levels: recorded(open).collect() }
    }

    /// Of the highest value and the count of each level, rising; `None` of too many to be counted.
    pub(super) fn of_levels(levels: Vec<(u64, u64)>) -> Option<Packed> {
        let count = levels.iter().try_fold(0u64, |sum, (_, count)| sum.checked_add(*count))?;
        (count <= MOST).then(|| Packed { count, levels: levels.into() })
    }

    /// With room for every value again.
    pub(super) fn unpack(&self) -> Histogram<u64> {
        let mut open = empty();
        self.add_to(&mut open);
        open
    }

    /// Adds what it holds.
    pub(super) fn add_to(&self, open: &mut Histogram<u64>) {
        for (value, count) in &self.levels {
            open.record_n(*value, *count).expect("all histograms have the same bounds");
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.levels.iter().copied()
    }

    pub(super) fn min(&self) -> Option<u64> {
        self.levels.first().map(|(highest, _)| LEVELS.lowest_equivalent(*highest))
    }

    pub(super) fn max(&self) -> Option<u64> {
        self.levels.last().map(|(highest, _)| *highest)
    }

    /// Summed in the order and with the roundings of the library: reports agree to the last digit.
    pub(super) fn mean(&self) -> f64 {
        let total = self.count as f64;
        let part = |(highest, count): (u64, u64)| {
            LEVELS.median_equivalent(highest) as f64 * count as f64 / total
        };
        self.values().fold(0.0, |sum, level| sum + part(level))
    }

    pub(super) fn quantile(&self, q: f64) -> Option<u64> {
        let rank = ((q.min(1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let (highest, _) = self.levels.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        })?;
        Some(if q == 0.0 { LEVELS.lowest_equivalent(*highest) } else { *highest })
    }

    pub(super) fn count_above(&self, ns: u64) -> u64 {
        let level = LEVELS.highest_equivalent(ns);
        let above = self.levels.partition_point(|(highest, _)| *highest <= level);
        self.levels[above..].iter().map(|(_, count)| count).sum()
    }
}
