//! A stored run in the place of the base.

use crate::compare::gate::sample::{recipe, settings};
use crate::compare::gate::tests::is;
use crate::compare::gate::*;
use crate::compare::sample::Block;
use pushbench_core::record::run::StoredRun;

/// A run in which everything takes this part of the usual time, the candidate's part beside.
fn run(machine: f64, candidate: f64) -> StoredRun {
    let usual = recipe(1.0).run().trials[0].account.traffic;
    let mut run = recipe(candidate).run();
    for t in &mut run.trials {
        let part = if t.arm == 2 { candidate } else { 1.0 } * machine;
        let took = t.account.service.quantile(0.5).unwrap() as f64 * part;
        let block = Block::of(took as u64, (0.4 * took) as u64);
        *t = crate::compare::sample::trial(&t.label, t.arm, t.block, &block);
        t.account.traffic = usual;
    }
    run
}

fn against(stored: &[StoredRun], now: &StoredRun, differs: &[&str]) -> Gate {
    let differs = differs.iter().map(|d| (*d).to_owned()).collect();
    judge_against(stored, "webhook@base", now, &settings(), differs)
}

#[test]
fn beside_fewer_than_five_stored_runs_everything_is_advice() {
    let stored: Vec<StoredRun> = (0..FEWEST_RUNS - 1).map(|_| run(1.0, 1.0)).collect();
    for n in 1..FEWEST_RUNS {
        let slower = against(&stored[..n], &run(1.0, 1.6), &[]);
        let texts =
            ["advice, not a verdict", "would fail: service.p50", "5 of this machine are needed"];
        is(&slower, Outcome::CannotTell, &texts);
        assert_eq!(slower.exit_code(), 2);
        is(&against(&stored[..n], &run(1.0, 0.6), &[]), Outcome::CannotTell, &["would pass"]);
    }
}

#[test]
fn beside_five_runs_their_own_variance_decides() {
    // The same binary, run after run: the machine differs by up to 20 %.
    let unsteady: Vec<StoredRun> = [1.0, 1.2, 0.9, 1.1, 0.95].map(|m| run(m, 1.0)).to_vec();
    let found = against(&unsteady, &run(1.0, 1.23), &[]);
    assert_ne!(found.verdict, Outcome::Regression, "{}", found.sentence);
    assert!(found.advisory.is_none());
    is(&against(&unsteady, &run(1.0, 4.0), &[]), Outcome::Regression, &["service.p50"]);
    let steady: Vec<StoredRun> = [1.0, 1.002, 0.998, 1.001, 0.999].map(|m| run(m, 1.0)).to_vec();
    is(&against(&steady, &run(1.0, 1.23), &[]), Outcome::Regression, &["service.p50"]);
    is(&against(&steady, &run(1.0, 1.0), &[]), Outcome::Passed, &["PASSED"]);
    let elsewhere = against(&steady, &run(1.0, 1.6), &["cpu: A, then B", "kernel: 6.1, then 6.2"]);
    is(&elsewhere, Outcome::CannotTell, &["advice", "cpu: A, then B", "kernel", "service.p50 of"]);
}

#[test]
fn beside_stored_runs_the_candidates_own_failures_excuse_nothing() {
    let stored: Vec<StoredRun> = (0..FEWEST_RUNS).map(|_| recipe(1.0).run()).collect();
    let mut now = recipe(1.0).run();
    now.trials.iter_mut().filter(|t| t.arm > 0).for_each(|t| t.account.measured.lost = 1);
    is(&against(&stored, &now, &[]), Outcome::Regression, &["lost of webhook: 12 instead of 0"]);
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
    let gate =
        judge_against(std::slice::from_ref(&stored), "webhook@base", &now, &settings(), Vec::new());
    let text = "blocks: 3 arms in turn in slices of 10.0 ms, then 2 arms in turn";
    assert!(gate.advisory.as_ref().unwrap()[1].contains(text), "{:?}", gate.advisory);
    let mut cut = stored.clone();
    cut.cut = true;
    let gate =
        judge_against(std::slice::from_ref(&cut), "webhook@base", &stored, &settings(), Vec::new());
    assert!(
        gate.notes.iter().any(|n| n.contains("a stored run is incomplete")),
        "{:?}",
        gate.notes
    );
}
