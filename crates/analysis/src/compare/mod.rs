//! What the records say: figures of each arm, differences with their uncertainty, verdicts. Pure, and
//! the only place that decides; reports render its results.

mod arm;
pub mod blocks;
pub mod charts;
mod comparability;
pub mod completeness;
pub mod conduct;
pub mod cost;
pub mod decide;
mod delayed_ack;
pub mod duplex;
pub mod evidence;
pub mod expect;
pub mod fanout;
pub mod figures;
mod findings;
pub mod gate;
pub mod guarantee;
#[cfg(test)]
mod guarantee_tests;
mod handshake_cost;
pub mod history;
pub mod idle;
mod interim;
pub mod judge;
#[cfg(test)]
mod judge_tests;
pub mod layers;
pub mod machine;
pub mod note;
pub mod parity;
mod path;
mod promises;
pub mod ranking;
pub mod runs;
#[cfg(any(test, feature = "sample"))]
pub mod sample;
pub mod sentence;
#[cfg(test)]
mod sentence_tests;
#[cfg(test)]
mod simulation_tests;
pub mod sizing;
mod steady;
mod strata;
#[cfg(test)]
mod strata_tests;
#[cfg(test)]
mod tests;
pub mod trust;
mod types;
pub mod verdicts;
pub mod verified;

pub use arm::*;
pub use cost::Cost;
pub use duplex::CallbackFigures;
pub use fanout::FanoutFigures;
pub use guarantee::GuaranteeFigures;
pub use handshake_cost::OpeningCost;
pub use idle::IdleFigures;
pub use interim::{Interim, interim};
pub use layers::{HandshakeFigures, LayerCost};
pub use note::Note;
pub use path::{PathFigures, congestion_control};
pub use types::*;

use pushbench_core::record::run::{FailedBlock, StoredRun};
use pushbench_core::record::trial::{Stage, Trial, TrialDesign};

/// Blocks without which no difference is claimed (law 4).
pub(crate) const FEWEST_BLOCKS: usize = 8;

/// Compares a stored run. The same records give the same report, digit for digit.
pub fn compare(run: &StoredRun) -> Report {
    let points = (0..run.header.points.len()).map(|i| point(run, i)).collect();
    let mut report = Report {
        schema: pushbench_core::record::run::SCHEMA,
        scenario: run.header.scenario.clone(),
        question: run.header.question.clone(),
        seed: run.header.seed,
        complete: completeness::is_complete(run),
        records_differ: completeness::differences(run),
        failure: run.header.failure.clone(),
        points,
    };
    handshake_cost::add(run, &mut report);
    ranking::sort(&mut report, None);
    report
}

/// The trials of one point, sorted out.
pub struct Trials<'a> {
    /// Arms.
    pub arms: usize,
    /// All trials of blocks.
    pub all: Vec<&'a Trial>,
    /// The pilot's.
    pub pilot: Vec<&'a Trial>,
    /// Whole blocks, a trial per arm in arm order.
    pub blocks: Vec<Vec<&'a Trial>>,
    /// Of these, the ones with only valid trials.
    pub valid: Vec<Vec<&'a Trial>>,
    /// Blocks without a trial of some arm, since a target could not be run or reached.
    pub failed: &'a [FailedBlock],
}

impl<'a> Trials<'a> {
    pub(crate) fn of(run: &'a StoredRun, point: usize) -> Trials<'a> {
        let arms = run.header.points[point].arms.len();
        let mine = |stage| move |t: &&Trial| t.point == point && t.stage == stage;
        let all: Vec<&Trial> = run.trials.iter().filter(mine(Stage::Block)).collect();
        let pilot = run.trials.iter().filter(mine(Stage::Pilot)).collect();
        let last = all.iter().map(|t| t.block + 1).max().unwrap_or(0);
        let block = |b| -> Option<Vec<&Trial>> {
            (0..arms).map(|a| all.iter().find(|t| t.block == b && t.arm == a).copied()).collect()
        };
        let blocks: Vec<Vec<&Trial>> = (0..last).filter_map(block).collect();
        // Where slices turned out to be no design, the run went on with sequential blocks: the figures are theirs.
        let sliced = |b: &Vec<&Trial>| b.iter().any(|t| t.design != TrialDesign::Sequential);
        let last = blocks.last().map(sliced);
        let whole = |b: &&Vec<&Trial>| b.iter().all(|t| t.is_valid()) && Some(sliced(b)) == last;
        let valid = blocks.iter().filter(whole).cloned().collect();
        let failed = &run.header.points[point].failed_blocks;
        Trials { arms, all, pilot, blocks, valid, failed }
    }

    /// Blocks run to their end, those that failed included.
    pub fn blocks_run(&self) -> usize {
        self.blocks.len() + self.failed.len()
    }

    /// Invalid trials of an arm, and blocks that failed because of its target.
    pub fn invalid(&self, arm: usize) -> usize {
        let invalid = self.all.iter().filter(|t| t.arm == arm && !t.is_valid()).count();
        invalid + self.failed.iter().filter(|block| block.arm == Some(arm)).count()
    }

    /// The valid trials of an arm. Blocks are voided whole, so it has as many as every other.
    pub fn of_arm(&self, arm: usize) -> Vec<&'a Trial> {
        self.valid.iter().map(|b| b[arm]).collect()
    }
}

fn point(run: &StoredRun, index: usize) -> Point {
    let header = &run.header.points[index];
    let trials = Trials::of(run, index);
    let mut arms: Vec<ArmFigures> =
        (0..trials.arms).map(|a| figures::arm(header, a, &trials)).collect();
    cost::add(header, &mut arms, &trials);
    let comparisons = decide::all(header, &arms, &trials);
    let validity = trust::validity(run, index, &trials, &arms, &comparisons);
    let expectations = expect::judge(&header.scenario.expect, &arms, &trials);
    let layers = layers::costs(header, &arms, &trials);
    let sentences = sentence::closing(header, &arms, (&comparisons, &layers), &trials);
    Point {
        setting: header.setting.clone(),
        prices: header.scenario.price.clone(),
        design: figures::design(&run.header, index, &trials),
        parity: parity::parity(header, &run.header.findings, &trials),
        arms,
        comparisons,
        layers,
        openings: Vec::new(),
        validity,
        sentences,
        expectations,
        order: Vec::new(),
        sorted_by: "",
    }
}
