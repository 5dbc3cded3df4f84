//! What a run says of a point between two blocks.

use crate::run::block_tally::BlockTally;
use crate::run::{BlockEnded, Progress};
use pushbench_analysis::compare;
use pushbench_core::record::run::{RunHeader, StoredRun};
use pushbench_core::record::trial::Trial;

/// The blocks of a point that have ended, kept where they are compared before the run ends.
#[derive(Default)]
pub struct EndedBlocks {
    trials: Vec<Trial>,
}

impl EndedBlocks {
    /// Compares the blocks so far, these trials of the last one included.
    pub fn compare(
        &mut self,
        last: Vec<Trial>,
        header: &RunHeader,
        point: usize,
        progress: &mut dyn Progress,
    ) {
        if !progress.wants_comparison() {
            return;
        }
        self.trials.extend(last);
        let trials = std::mem::take(&mut self.trials);
        let run = StoredRun { header: header.clone(), trials, cut: false, altered: None };
        progress.comparison(point, &compare::interim(&run, point));
        self.trials = run.trials;
    }
}

/// A block that has just been counted, of these trials; `failed` is why it has not all of them.
pub fn ended(
    number: usize,
    trials: &[Trial],
    failed: Option<String>,
    (tally, wanted, valid): (&BlockTally, usize, bool),
) -> BlockEnded {
    let invalid = |t: &Trial| {
        let label = t.label.clone();
        t.judged.invalid.clone().into_iter().map(move |why| format!("{label}: {why}"))
    };
    BlockEnded {
        number,
        valid,
        reasons: failed.into_iter().chain(trials.iter().flat_map(invalid)).collect(),
        blocks_valid: tally.valid,
        blocks_voided: tally.blocks - tally.valid,
        blocks_wanted: wanted,
    }
}
