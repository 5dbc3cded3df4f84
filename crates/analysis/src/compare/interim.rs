//! The comparison of a point whose blocks are not all finished. Its figures are those of the report, which `compare`
//! would make of the same records.

use crate::compare::{Comparison, FEWEST_BLOCKS, Trials, decide, figures, ranking};
use pushbench_core::record::run::StoredRun;
use serde::Serialize;

/// How the arms of a point compare in its headline metric after the blocks so far.
#[derive(Debug, Clone, Serialize)]
pub struct Interim {
    /// Valid blocks.
    pub blocks_valid: usize,
    /// Blocks without which no difference is claimed (law 4).
    pub blocks_needed: usize,
    /// Every other arm against the first, as in the report.
    pub comparisons: Vec<Comparison>,
}

impl Interim {
    /// Whether an interval may be read.
    pub fn is_enough(&self) -> bool {
        self.blocks_valid >= self.blocks_needed
    }
}

/// Compares one point of a run that goes on.
pub fn interim(run: &StoredRun, index: usize) -> Interim {
    let header = &run.header.points[index];
    let trials = Trials::of(run, index);
    let arms: Vec<_> = (0..trials.arms).map(|a| figures::arm(header, a, &trials)).collect();
    let headline = ranking::headline(header.scenario.flow, header.scenario.load.rate);
    let mut comparisons = decide::all(header, &arms, &trials);
    comparisons.retain(|c| c.metric == headline);
    Interim { blocks_valid: trials.valid.len(), blocks_needed: FEWEST_BLOCKS, comparisons }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{compare, sample};

    #[test]
    fn figures_are_those_of_the_report_of_the_same_blocks() {
        let mut run = sample::ratios(0.8, 0.5);
        for blocks in [12, FEWEST_BLOCKS, FEWEST_BLOCKS - 1, 1, 0] {
            run.trials.retain(|t| t.block < blocks);
            let (interim, report) = (interim(&run, 0), compare(&run));
            assert_eq!(interim.comparisons.len(), 1);
            let found = serde_json::to_value(&interim.comparisons[0]).unwrap();
            let all = report.points[0].comparisons.iter();
            let mut all = all.map(|c| serde_json::to_value(c).unwrap());
            assert!(all.any(|c| c == found), "{blocks} blocks: {found}");
            assert_eq!(found["metric"], "response.p50");
            assert_eq!(interim.is_enough(), interim.blocks_valid >= FEWEST_BLOCKS);
        }
    }
}
