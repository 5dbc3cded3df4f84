//! How many blocks a point was found to need.

use serde::{Deserialize, Serialize};

/// Blocks after which the number is fixed: as few as may carry a verdict. Their deviation is looked at,
/// the difference itself is not (an internal pilot: Wittes and Brittain 1990).
pub const PILOT_BLOCKS: usize = 8;
/// More blocks than this take longer than anybody waits unasked, and have more sign patterns than the
/// exact test can count.
pub const MOST_BLOCKS: usize = 40;

/// The number of blocks that the first ones say is needed, fixed before any further one is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sizing {
    /// Valid blocks to have in the end, the first ones included.
    pub blocks: usize,
    /// Number of blocks observed so far.
    pub seen: usize,
    /// The metric whose log ratios deviate most from block to block.
    pub metric: String,
    /// The arm that deviates most from the first one.
    pub candidate: String,
    /// Their standard deviation.
    pub deviation: f64,
    /// The slow-down that so many blocks find with the requested power, if the deviation is as large as
    /// it may well be (0.1 is 10 %).
    pub finds: f64,
}
