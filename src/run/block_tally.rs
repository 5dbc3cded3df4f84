//! How the blocks of a point go, and when going on would not change the answer.

use crate::run::give_up;
use crate::run::point::most_frequent_fault;
use pushbench_analysis::validity::CUT_QUEUE;
use pushbench_core::error::Result;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::Load;
use std::path::{Path, PathBuf};

/// After this many blocks that all say the same, going on would not change the answer.
pub const ENOUGH_BLOCKS: usize = 3;

/// How the blocks have gone so far.
#[derive(Default)]
pub struct BlockTally {
    /// Where the run is kept.
    out: PathBuf,
    /// A ramp or bursts are meant to overload an arm for a while.
    overload_expected: bool,
    /// Blocks begun.
    pub blocks: usize,
    /// Of these, whole and valid.
    pub valid: usize,
    /// Blocks in which a target did not even start.
    pub failures: usize,
    overloaded: Vec<String>,
    failed_trials: Vec<(String, String)>,
    /// Blocks in which the driver had no time left.
    saturated: usize,
    /// Blocks whose slices cut a queue.
    cut: usize,
}

impl BlockTally {
    /// Of a point under this load, of a run that is kept there.
    pub fn of(load: &Load, out: &Path) -> BlockTally {
        BlockTally {
            out: out.to_owned(),
            overload_expected: !load.arrivals.is_steady(),
            ..BlockTally::default()
        }
    }

    /// Takes in a block; whether it was a whole and valid one.
    pub fn count(&mut self, trials: &[Trial], arms: usize) -> bool {
        self.blocks += 1;
        let whole = trials.len() == arms && trials.iter().all(Trial::is_valid);
        self.valid += usize::from(whole);
        if let Some(t) = trials.iter().find(|t| t.is_valid() && t.judged.overloaded) {
            self.overloaded.push(t.label.clone());
        }
        let saturated = |t: &Trial| t.offered_per_second.is_some() && t.is_at_drivers_limit();
        self.saturated += usize::from(trials.iter().any(saturated));
        let cut = |t: &Trial| t.judged.invalid.iter().any(|why| why.starts_with(CUT_QUEUE));
        self.cut += usize::from(trials.iter().any(cut));
        for t in trials.iter().filter(|t| !t.is_valid()) {
            if let Some(reason) = t.judged.invalid.iter().find(|r| {
                ["target ", "proxy ", "no event"].iter().any(|begin| r.starts_with(begin))
            }) {
                let fault =
                    most_frequent_fault(t).map_or(String::new(), |fault| format!("; {fault}"));
                self.failed_trials.push((t.label.clone(), reason.clone() + &fault));
            }
        }
        whole
    }

    /// Whether slices are no design for these arms: they cut a queue in enough blocks, and in most of them.
    pub fn cut_queues(&self) -> bool {
        self.cut >= ENOUGH_BLOCKS && self.cut * 2 > self.blocks
    }

    /// Whether the first blocks have already answered the question.
    pub fn verdict(&self) -> Option<Result<String>> {
        let overloaded = self.overloaded.len() == ENOUGH_BLOCKS && !self.overload_expected;
        if self.blocks == ENOUGH_BLOCKS && overloaded {
            let label = &self.overloaded[0];
            return Some(Ok(format!(
                "{label} was overloaded in each of {ENOUGH_BLOCKS} blocks: stopping early"
            )));
        }
        if self.blocks == ENOUGH_BLOCKS
            && self.saturated == ENOUGH_BLOCKS
            && !self.overload_expected
        {
            return Some(Ok(format!(
                "the driver was saturated in each of {ENOUGH_BLOCKS} blocks: stopping early"
            )));
        }
        if self.valid == 0 && self.failed_trials.len() >= ENOUGH_BLOCKS {
            let (label, reason) = &self.failed_trials[0];
            return Some(Err(give_up(
                label,
                &format!("no valid trial in {} blocks: {reason}", self.blocks),
                &self.out,
            )));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_analysis::compare::sample;

    fn after(
        blocks: usize,
        overload_expected: bool,
        change: impl Fn(&mut Trial),
    ) -> Option<Result<String>> {
        let mut tally =
            BlockTally { overload_expected, out: "results/a b".into(), ..BlockTally::default() };
        let mut trials = sample::ratios(1.0, 1.0).trials;
        trials.truncate(2);
        change(&mut trials[1]);
        (0..blocks).for_each(|_| {
            tally.count(&trials, 2);
        });
        tally.verdict()
    }

    #[test]
    fn a_driver_that_is_always_at_its_limit_ends_the_run() {
        let saturated = |trial: &mut Trial| {
            trial.driver.busy = 0.99;
            trial.judged.invalid =
                vec!["driver saturated: at work for 99 % of the time it had".to_owned()];
        };
        let message = after(ENOUGH_BLOCKS, false, saturated).unwrap().unwrap();
        assert!(message.contains("the driver was saturated"), "{message}");
        assert!(after(ENOUGH_BLOCKS - 1, false, saturated).is_none());
        assert!(after(ENOUGH_BLOCKS, true, saturated).is_none(), "a ramp is meant to go that far");
        assert!(after(ENOUGH_BLOCKS, false, |_| {}).is_none());
    }

    #[test]
    fn a_target_that_never_works_names_the_directory_that_is_kept() {
        let failed_trials =
            |trial: &mut Trial| trial.judged.invalid = vec!["target exited".to_owned()];
        let message = after(ENOUGH_BLOCKS, false, failed_trials).unwrap().unwrap_err().to_string();
        assert!(message.contains("`pushbench report 'results/a b'`"), "{message}");
    }

    #[test]
    fn a_closed_loop_at_the_driver_s_limit_goes_on() {
        let bound = |trial: &mut Trial| {
            trial.driver.busy = 0.99;
            trial.offered_per_second = None;
        };
        assert!(after(ENOUGH_BLOCKS, false, bound).is_none());
    }
}
