//! A histogram that stores only its non-empty levels.

use crate::record::histogram::empty;
use crate::record::histogram::levels::{level, lowest, middle};
use crate::record::histogram::open::Open;
use hdrhistogram::Histogram;

/// Most values that a histogram from a file may hold: its mean is exact. No run comes near it.
const MOST: u64 = 1 << 53;

/// The recorded levels, smallest first.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    count: u64,
    /// The highest value of each level, and how many values are in it.
    levels: Box<[(u64, u64)]>,
}

impl Packed {
    /// Of the highest value and the count of each level, rising.
    pub(super) fn of_levels(levels: Vec<(u64, u64)>) -> Packed {
        let count = levels.iter().fold(0u64, |sum, (_, count)| sum.saturating_add(*count));
        Packed { count, levels: levels.into() }
    }

    /// The same of a file; `None` if it holds more values than [`MOST`].
    pub(super) fn of_file(levels: Vec<(u64, u64)>) -> Option<Packed> {
        Some(Packed::of_levels(levels)).filter(|packed| packed.count <= MOST)
    }

    /// With room for every value again.
    pub(super) fn open(&self) -> Open {
        let mut open = Open::new();
        self.add_to(&mut open);
        open
    }

    /// Adds what it holds.
    pub(super) fn add_to(&self, open: &mut Open) {
        self.values().for_each(|(value, count)| open.add(value, count));
    }

    /// The library's own.
    pub(super) fn library(&self) -> Histogram<u64> {
        let mut library = empty();
        for (value, count) in &self.levels {
            library.record_n(*value, *count).expect("all histograms have the same bounds");
        }
        library
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.levels.iter().copied()
    }

    pub(super) fn min(&self) -> Option<u64> {
        self.levels.first().map(|(highest, _)| lowest(level(*highest)))
    }

    pub(super) fn max(&self) -> Option<u64> {
        self.levels.last().map(|(highest, _)| *highest)
    }

    /// Summed in the order and with the roundings of the library: reports agree to the last digit.
    pub(super) fn mean(&self) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let total = self.count as f64;
        let part =
            |(highest, count): (u64, u64)| middle(level(highest)) as f64 * count as f64 / total;
        Some(self.values().fold(0.0, |sum, level| sum + part(level)))
    }

    pub(super) fn quantile(&self, q: f64) -> Option<u64> {
        let rank = ((q.min(1.0) * self.count as f64).ceil() as u64).max(1);
        let mut cumulative = 0;
        let (highest, _) = self.levels.iter().find(|(_, count)| {
            cumulative = u64::saturating_add(cumulative, *count);
            cumulative >= rank
        })?;
        Some(if q == 0.0 { lowest(level(*highest)) } else { *highest })
    }

    /// As [`Packed::quantile`] gives them, in one pass.
    pub(super) fn quantiles(&self, rising: &[f64]) -> Vec<u64> {
        let total = self.count as f64;
        let mut wanted = rising.iter().map(|q| ((q * total).ceil() as u64).max(1)).peekable();
        let (mut cumulative, mut found) = (0, Vec::with_capacity(rising.len()));
        for (value, count) in self.values() {
            cumulative = u64::saturating_add(cumulative, count);
            while wanted.next_if(|rank| *rank <= cumulative).is_some() {
                found.push(value);
            }
        }
        found
    }

    pub(super) fn count_above(&self, ns: u64) -> u64 {
        let above = self.levels.partition_point(|(highest, _)| level(*highest) <= level(ns));
        self.levels[above..].iter().map(|(_, count)| count).sum()
    }
}
