//! Keys of blocks and verdicts.

use crate::scenario::DesignChoice;
use crate::scenario::keys::{ANY_LENGTH, Field, Key, key};
use crate::scenario::kind::{Arms, Length, OneOf, Optional, Or, Percent, Whole};
use std::time::Duration;

/// Below this a slice contains too few events.
const SLICE_LENGTH: Length = Length(Duration::from_millis(1));

pub(super) static KEYS: &[Key] = &[
    key!(
        fixed "compare.arms",
        "arms that are measured where no --arm is given; those of the flow when left out",
        Arms,
        |d| &mut d.arms
    ),
    key!(
        fixed "compare.blocks",
        "blocks to run; auto: as many as compare.precision needs, computed from the deviation of the first blocks",
        Or("auto", Whole(1, 10_000)),
        |d| &mut d.blocks
    ),
    key!(
        fixed "compare.precision",
        "the slow-down of a median, of throughput or of target CPU that blocks = \"auto\" detects with 90 % probability",
        Optional(Percent(100)),
        |d| &mut d.precision
    ),
    key!(
        fixed "compare.design",
        "how the arms of a block alternate",
        OneOf(&[
            ("auto", DesignChoice::Auto),
            ("sliced", DesignChoice::Sliced),
            ("sequential", DesignChoice::Sequential),
        ]),
        |d| &mut d.design
    ),
    key!(
        fixed "compare.slice",
        "length of a slice",
        Or("auto", SLICE_LENGTH),
        |d| &mut d.slice
    ),
    key!(
        fixed "compare.matters.latency",
        "smaller latency differences do not matter",
        ANY_LENGTH,
        |d| &mut d.matters.latency
    ),
    key!(
        fixed "compare.matters.cpu",
        "smaller CPU differences do not matter",
        Percent(100),
        |d| &mut d.matters.cpu
    ),
    key!(
        fixed "compare.matters.throughput",
        "smaller throughput differences do not matter",
        Percent(100),
        |d| &mut d.matters.throughput
    ),
];
