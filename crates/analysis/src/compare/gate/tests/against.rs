//! A stored run in the place of the base.

use crate::compare::gate::sample::{recipe, settings};
use crate::compare::gate::tests::is;
use crate::compare::gate::*;
use crate::compare::sample::Block;
use pushbench_core::record::run::StoredRun;

#[test]
fn beside_a_stored_run_only_the_same_machine_fails() {
    let stored = recipe(1.0).run();
    let against = |now: &StoredRun, differs: &[&str]| {
        let differs = differs.iter().map(|d| (*d).to_owned()).collect();
        judge_against(&stored, "webhook@base", now, &settings(), differs)
    };
    // Measured apart, the machine's conditions widen the interval.
    let calm = |factor: f64| {
        let mut run = recipe(factor).run();
        run.trials.iter_mut().for_each(|t| t.account.traffic = stored.trials[0].account.traffic);
        // The second time the candidate is the null.
        for t in run.trials.iter_mut().filter(|t| t.arm == 2) {
            let took = t.account.service.quantile(0.5).unwrap() as f64 * factor;
            let block = Block::of(took as u64, (0.4 * took) as u64);
            *t = crate::compare::sample::trial(&t.label, t.arm, t.block, &block);
        }
        run
    };
    let same = against(&calm(1.6), &[]);
    is(&same, Outcome::Regression, &["service.p50"]);
    assert_eq!((same.exit_code(), same.advisory.is_none()), (1, true));
    let elsewhere = against(&calm(1.6), &["cpu: A, then B", "kernel: 6.1, then 6.2"]);
    is(&elsewhere, Outcome::CannotTell, &["advice", "cpu: A, then B", "kernel", "service.p50 of"]);
    assert_eq!(elsewhere.exit_code(), 2);
    is(&against(&calm(0.6), &["cpu: A, then B"]), Outcome::Passed, &["PASSED", "advice"]);
}

#[test]
fn beside_a_stored_run_the_candidates_own_failures_excuse_nothing() {
    let stored = recipe(1.0).run();
    let mut now = recipe(1.0).run();
    now.trials.iter_mut().filter(|t| t.arm > 0).for_each(|t| t.account.measured.lost = 1);
    let gate = judge_against(&stored, "webhook@base", &now, &settings(), Vec::new());
    is(&gate, Outcome::Regression, &["lost of webhook: 12 instead of 0"]);
}

#[test]
fn blocks_of_another_kind_make_a_stored_run_advice() {
    let stored = recipe(1.0).run();
    let mut now = recipe(2.0).run();
    now.header.points[0].arms.pop();
    now.header.points[0].arms[0].target = CANDIDATE.to_owned();
    now.header.points[0].arms[1].target = NULL.to_owned();
    now.trials.retain(|t| t.arm > 0);
    now.trials.iter_mut().for_each(|t| t.arm -= 1);
    let gate = judge_against(&stored, "webhook@base", &now, &settings(), Vec::new());
    let text = "blocks: 3 arms in turn in slices of 10.0 ms, then 2 arms in turn";
    assert!(gate.advisory.as_ref().unwrap()[0].contains(text), "{:?}", gate.advisory);
    let mut cut = stored.clone();
    cut.cut = true;
    let gate = judge_against(&cut, "webhook@base", &stored, &settings(), Vec::new());
    assert!(gate.notes.iter().any(|n| n.contains("stored run is incomplete")), "{:?}", gate.notes);
}
