//! What a run says of itself while it goes on.

use pushbench_analysis::compare::Interim;
use pushbench_core::scenario::Setting;
use pushbench_load::trial_group::TrialObserver;
use std::path::Path;
use std::time::Duration;

/// Receives the progress of a run.
pub trait Progress: TrialObserver {
    /// The run begins.
    fn begin(&mut self, plan: &PlanOutline<'_>);
    /// It will take this much longer than was thought.
    fn extend(&mut self, by: Duration);
    /// A point of the sweep (from 0) begins or goes on, of these arms.
    fn point(&mut self, number: usize, setting: &Setting, labels: &[String]);
    /// The next thing being measured, in words.
    fn stage(&mut self, what: &str);
    /// Something worth a line.
    fn say(&mut self, line: &str);
    /// About this much more of the estimate is done.
    fn advance(&mut self, by: Duration);
    /// A block has ended.
    fn block(&mut self, _block: &BlockEnded) {}
    /// Whether finished blocks are to be compared; that takes CPU between two blocks.
    fn wants_comparison(&self) -> bool {
        false
    }
    /// How the arms of a point (from 0) compare after the blocks so far.
    fn comparison(&mut self, _point: usize, _interim: &Interim) {}
}

/// What is about to be measured.
pub struct PlanOutline<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// The arms, the baseline first.
    pub arms: Vec<String>,
    /// Points of the sweep; one without a sweep.
    pub points: usize,
    /// Valid blocks that each point is to have, as far as they are planned; `None` of a search, which has none.
    pub blocks: Option<usize>,
    /// Seed of schedules and orders.
    pub seed: u64,
    /// Results directory.
    pub results: &'a Path,
    /// How long it should take.
    pub estimate: Duration,
}

/// A block that has ended, and how the blocks of its point stand with it.
#[derive(Debug, Clone)]
pub struct BlockEnded {
    /// Its number in the records, from 0.
    pub number: usize,
    /// Every arm has a valid trial.
    pub valid: bool,
    /// Why it is void, with the arm; empty of a valid one.
    pub reasons: Vec<String>,
    /// Valid blocks.
    pub blocks_valid: usize,
    /// Voided blocks.
    pub blocks_voided: usize,
    /// Valid blocks that are wanted.
    pub blocks_wanted: usize,
}
