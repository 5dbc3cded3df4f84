//! Which values a histogram takes for the same: the buckets of HdrHistogram for three significant digits
//! (Gil Tene, HdrHistogram; the layout of its V2 encoding).

use crate::record::histogram::HIGHEST_NS;

/// Values below this are told apart one by one; above, half as many steps lie between a value and its
/// double. What three significant digits come to.
const SINGLE: u64 = 2048;
const HALF: u64 = SINGLE / 2;

/// How many levels there are: as many as it takes to double once more beyond our highest value.
pub(super) const LEVELS: usize = {
    let doublings = (HIGHEST_NS / SINGLE).ilog2() as usize + 1;
    (doublings + 2) * HALF as usize
};

/// The level of a value; at least [`LEVELS`] of one beyond all of them.
#[inline]
pub(super) const fn level(ns: u64) -> usize {
    let doublings = (ns | (SINGLE - 1)).ilog2() + 1 - SINGLE.ilog2();
    ((ns >> doublings) + doublings as u64 * HALF) as usize
}

/// The lowest value of a level.
pub(super) const fn lowest(level: usize) -> u64 {
    let (level, doublings) = (level as u64, doublings(level));
    if level < SINGLE { level } else { (level % HALF + HALF) << doublings }
}

/// The highest value of a level.
pub(super) const fn highest(level: usize) -> u64 {
    lowest(level) + (1 << doublings(level)) - 1
}

/// The value in the middle of a level, as the library has it.
pub(super) const fn middle(level: usize) -> u64 {
    lowest(level) + ((1 << doublings(level)) >> 1)
}

/// How often the width of a level was doubled.
const fn doublings(level: usize) -> u64 {
    (level as u64 / HALF).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::histogram::empty;
    use proptest::prelude::*;

    #[test]
    fn levels_are_those_of_the_library() {
        let library = empty();
        assert_eq!(library.distinct_values(), LEVELS);
        assert!(highest(LEVELS - 1) >= HIGHEST_NS);
        assert!(library.iter_all().map(|v| v.value_iterated_to()).eq((0..LEVELS).map(highest)));
        for each in 0..LEVELS {
            let ns = lowest(each);
            assert_eq!((level(ns), level(highest(each))), (each, each));
            assert_eq!(
                (ns, middle(each)),
                (library.lowest_equivalent(ns), library.median_equivalent(ns))
            );
        }
        assert!(level(highest(LEVELS - 1) + 1) >= LEVELS);
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_level(bits in 0u32..64, value: u64) {
            let ns = value >> bits;
            let level = level(ns);
            if level < LEVELS {
                prop_assert!((lowest(level)..=highest(level)).contains(&ns));
            } else {
                prop_assert!(ns > highest(LEVELS - 1));
            }
        }
    }
}
