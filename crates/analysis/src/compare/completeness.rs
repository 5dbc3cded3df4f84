//! Whether the records are those of the whole run: what the plan asked for and what `run.json` counted at
//! its end, beside what is there.

use crate::compare::Trials;
use pushbench_core::record::run::StoredRun;
use pushbench_core::record::trial::Trial;

/// A run may end after this many blocks that all say the same.
const ENOUGH_BLOCKS: usize = 3;

/// Every planned trial was run, and all records are there.
pub(crate) fn is_complete(run: &StoredRun) -> bool {
    run.header.complete && !run.cut && differences(run).is_empty()
}

/// In what the records differ from those that were written. Runs of versions that did not count them are
/// held against their plan alone.
pub fn differences(run: &StoredRun) -> Vec<String> {
    match &run.header.records {
        Some(_) => run.altered.iter().cloned().collect(),
        None if run.header.complete && !run.cut => {
            (0..run.header.points.len()).filter_map(|point| from_plan(run, point)).collect()
        }
        None => Vec::new(),
    }
}

/// A run that ended by itself has the valid blocks that were planned, or as many blocks as may replace
/// voided ones, or was ended early by what its first blocks showed.
fn from_plan(run: &StoredRun, point: usize) -> Option<String> {
    let header = &run.header.points[point];
    let trials = Trials::of(run, point);
    let planned = header.blocks_planned();
    let begun = trials.all.iter().map(|t| t.block + 1).max().unwrap_or(0);
    let ended_early = trials.blocks.len() == ENOUGH_BLOCKS
        && begun == ENOUGH_BLOCKS
        && trials.blocks.iter().all(|b| b.iter().any(|t| ends_early(t)));
    if trials.valid.len() < planned && begun < planned + planned / 2 && !ended_early {
        let of = match header.setting.is_empty() {
            true => String::new(),
            false => format!(" of point {}", point + 1),
        };
        return Some(format!(
            "trials.jsonl holds {} valid blocks{of}, {planned} were planned and the run ended by itself",
            trials.valid.len()
        ));
    }
    let missing = (0..trials.arms).find(|arm| !trials.pilot.iter().any(|t| t.arm == *arm));
    let label = missing.filter(|_| !trials.pilot.is_empty()).map(|arm| &header.arms[arm].label)?;
    Some(format!("trials.jsonl holds no pilot of {label}, though it holds one of another arm"))
}

fn ends_early(trial: &Trial) -> bool {
    trial.judged.overloaded || trial.is_at_drivers_limit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{compare, sample};
    use pushbench_core::record::records::Records;
    use pushbench_core::record::trial::Stage;

    /// A run of before, which has pilots and no count of its records.
    fn former() -> StoredRun {
        let mut run = sample::ratios(0.8, 0.5);
        run.header.records = None;
        let mut pilots = run.trials[..2].to_vec();
        pilots.iter_mut().for_each(|t| t.stage = Stage::Pilot);
        run.trials.splice(0..0, pilots);
        run
    }

    #[track_caller]
    fn differs(run: &StoredRun, text: &str) {
        let found = differences(run);
        assert!(found.len() == 1 && found[0].contains(text), "no {text:?} in {found:?}");
        assert!(!is_complete(run));
        let report = compare(run);
        assert!(!report.complete && report.records_differ == found);
        let validity = &report.points[0].validity;
        assert!(!validity.ok && validity.notes[0].text == found[0], "{:?}", validity.notes);
    }

    #[test]
    fn a_run_of_before_is_held_against_its_plan() {
        let whole = former();
        assert!(is_complete(&whole), "{:?}", differences(&whole));
        let mut cut = whole.clone();
        cut.trials.truncate(20);
        differs(&cut, "holds 9 valid blocks, 12 were planned");
        let mut picked = whole.clone();
        picked.trials.retain(|t| t.stage == Stage::Pilot || t.block != 4);
        differs(&picked, "holds 11 valid blocks, 12 were planned");
        let mut unpiloted = whole.clone();
        unpiloted.trials.remove(1);
        differs(&unpiloted, "no pilot of websocket@builtin");
    }

    #[test]
    fn a_run_that_ended_early_or_was_voided_is_whole() {
        let mut early = former();
        early.trials.truncate(2 + 2 * ENOUGH_BLOCKS);
        early.trials.iter_mut().filter(|t| t.arm == 1).for_each(|t| t.judged.overloaded = true);
        assert!(is_complete(&early), "{:?}", differences(&early));
        let mut voided = former();
        for n in 12..18 {
            let mut more = voided.trials[2..4].to_vec();
            more.iter_mut().for_each(|t| t.block = n);
            more[0].judged.invalid = vec!["the driver stalled".to_owned()];
            voided.trials.extend(more);
        }
        voided.trials[4].judged.invalid = vec!["the driver stalled".to_owned()];
        assert!(is_complete(&voided), "{:?}", differences(&voided));
    }

    #[test]
    fn what_the_run_counted_goes_before_its_plan() {
        let mut run = former();
        run.header.records = Some(Records { count: 26, sha256: String::new() });
        run.trials.truncate(20);
        assert!(is_complete(&run), "the count agrees");
        run.altered = Some("6 are missing".to_owned());
        differs(&run, "6 are missing");
    }
}
