//! Comparisons block by block, in the order in which the blocks were run, and what they are judged by.

use crate::compare::decide::region;
use crate::compare::{Point, Trials};
use pushbench_core::record::metrics;
use pushbench_core::record::metrics::Family;
use pushbench_core::record::run::PointHeader;

/// What a comparison is held against.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Its place among the point's comparisons.
    pub comparison: usize,
    /// The candidate's place among the arms.
    pub candidate: usize,
    /// Ratios within are equivalent.
    pub equivalent: [f64; 2],
    /// Baseline and candidate are the same program over the same transport: the true ratio is 1.
    pub null: bool,
}

/// One for each comparison of a point whose ratio is drawn.
pub fn judged(header: &PointHeader, point: &Point) -> Vec<Judged> {
    let of = |(comparison, c): (usize, &crate::compare::Comparison)| {
        let candidate = point.arms.iter().position(|a| a.arm == c.candidate)?;
        // Ratios are drawn, and counts that may be 0 have none that says much.
        let metric = metrics::named(c.metric).filter(|m| m.family != Family::Counted)?;
        let region = region(metric);
        let what = |arm: usize| {
            let a = &header.arms[arm];
            // A variant appears only in the name: `webhook+callback@builtin`.
            let way = a.label.split('@').next();
            (way, &a.transport, &a.target, &a.command, &a.host)
        };
        Some(Judged {
            comparison,
            candidate,
            equivalent: [1.0 / (1.0 + region), 1.0 + region],
            null: what(0) == what(candidate),
        })
    };
    point.comparisons.iter().enumerate().filter_map(of).collect()
}

/// One block's ratio.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The block.
    pub block: usize,
    /// Candidate over baseline.
    pub ratio: f64,
    /// Whether it is averaged.
    pub valid: bool,
}

/// One metric of one candidate over all blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    /// The metric's place in the comparisons of the point.
    pub comparison: usize,
    /// The candidate's place among the arms.
    pub candidate: usize,
    /// In run order; blocks in which either arm has no value are left out.
    pub blocks: Vec<Pair>,
}

/// Every candidate against the baseline, block by block: a drift of the machine would show.
pub fn pairs(point: &Point, trials: &Trials<'_>) -> Vec<Pairs> {
    let shown = crate::compare::charts::headlines([point]);
    let of = |(comparison, c): (usize, &crate::compare::Comparison)| {
        c.ratio?;
        let candidate = point.arms.iter().position(|a| a.arm == c.candidate)?;
        let value = metrics::named(c.metric).filter(|m| shown.contains(&m.name))?.value;
        let pair = |block: &Vec<&pushbench_core::record::trial::Trial>| {
            let (baseline, other) = (value(block[0])?, value(block[candidate])?);
            let valid = block.iter().all(|t| t.is_valid());
            let ratio = Some(other / baseline).filter(|r| r.is_finite() && *r > 0.0)?;
            Some(Pair { block: block[0].block, ratio, valid })
        };
        let blocks = trials.blocks.iter().filter_map(pair).collect();
        Some(Pairs { comparison, candidate, blocks })
    };
    point.comparisons.iter().enumerate().filter_map(of).collect()
}
