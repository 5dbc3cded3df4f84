//! A histogram with room for every value: what runs for each event is a shift and an addition. Everything
//! else about it is asked of its packed form.

use crate::record::histogram::HIGHEST_NS;
use crate::record::histogram::levels::{LEVELS, highest, level};
use crate::record::histogram::packed::Packed;

/// How many values each level holds. The room is not touched before something lies there.
#[derive(Debug, Clone)]
pub(super) struct Open(Box<[u64]>);

impl Open {
    /// Empty.
    pub(super) fn new() -> Open {
        Open(vec![0; LEVELS].into_boxed_slice())
    }

    /// Counts one value, beyond all levels as the highest there is.
    #[inline]
    pub(super) fn record(&mut self, ns: u64) {
        self.0[within(ns)] += 1;
    }

    /// Counts a value `count` times. Counts from files may be so high that their sum has no room.
    pub(super) fn add(&mut self, ns: u64, count: u64) {
        let level = &mut self.0[within(ns)];
        *level = level.saturating_add(count);
    }

    /// Adds what another one holds.
    pub(super) fn merge(&mut self, other: &Open) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, more)| *mine = mine.saturating_add(*more));
    }

    /// Nothing was recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    /// The highest value of each level that holds something, and how much.
    pub(super) fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let recorded = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        recorded.map(|(level, count)| (highest(level), *count))
    }

    /// Only what was recorded.
    pub(super) fn pack(&self) -> Packed {
        Packed::of_levels(self.values().collect())
    }
}

/// The level of a value; the highest level for values beyond it.
#[inline]
fn within(ns: u64) -> usize {
    let at = level(ns);
    if at < LEVELS { at } else { const { level(HIGHEST_NS) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::histogram::empty;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn it_counts_as_the_library_does(
            values in prop::collection::vec((0u32..64, any::<u64>()), 0..200)
        ) {
            let (mut ours, mut library) = (Open::new(), empty());
            prop_assert!(ours.is_empty());
            for (bits, value) in &values {
                ours.record(value >> bits);
                library.saturating_record(value >> bits);
            }
            prop_assert_eq!(ours.is_empty(), values.is_empty());
            let recorded = library.iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value()));
            prop_assert!(ours.pack().values().eq(recorded));
            let mut twice = ours.clone();
            twice.merge(&ours);
            library.add(library.clone()).unwrap();
            let recorded = library.iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value()));
            prop_assert!(twice.pack().values().eq(recorded));
        }
    }
}
