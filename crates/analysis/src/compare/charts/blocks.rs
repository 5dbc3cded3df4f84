//! The blocks of a point as they were run: which count, and what the machine did meanwhile.

use crate::compare::Trials;
use pushbench_core::record::trial::{Trial, TrialDesign};

/// One block.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// From 0.
    pub index: usize,
    /// Why it is not averaged, arm by arm; empty when it is.
    pub void: Vec<String>,
    /// Largest stall of the machine next to the driver, ns.
    pub hiccup_max_ns: Option<u64>,
    /// Time the hypervisor took from the CPUs in use, ns.
    pub steal_ns: u64,
    /// Trials that are missing because the run was cut short.
    pub missing: usize,
}

/// Every block with at least one record.
pub fn blocks(trials: &Trials<'_>) -> Vec<Block> {
    let last = trials.all.iter().map(|t| t.block + 1).max().unwrap_or(0);
    let of = |index: usize| {
        let mine: Vec<&Trial> = trials.all.iter().filter(|t| t.block == index).copied().collect();
        let why = |t: &&Trial| {
            let label = t.label.clone();
            t.judged
                .invalid
                .iter()
                .map(move |reason| format!("{label}: {reason}"))
                .collect::<Vec<_>>()
        };
        let sliced = mine.iter().any(|t| matches!(t.design, TrialDesign::Sliced { .. }));
        let steal = mine.iter().map(|t| t.steal_ns);
        Block {
            index,
            void: mine.iter().flat_map(why).collect(),
            hiccup_max_ns: mine.iter().filter_map(|t| t.hiccup.max()).max(),
            // Arms of a sliced block saw the same steal.
            steal_ns: if sliced { steal.max().unwrap_or(0) } else { steal.sum() },
            missing: trials.arms - mine.len().min(trials.arms),
        }
    };
    (0..last).map(of).filter(|b| b.missing < trials.arms).collect()
}
