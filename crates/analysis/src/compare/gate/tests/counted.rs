//! What is counted decides alone.

use crate::compare::gate::sample::{Recipe, recipe, settings};
use crate::compare::gate::tests::{Change, after, count, is, line};
use crate::compare::gate::*;
use pushbench_core::record::run::StoredRun;

#[test]
fn what_is_counted_decides_though_the_times_are_equal() {
    let one: [(&str, Change); 6] = [
        ("failed", |t| t.account.measured.failed = 1),
        ("timed out", |t| t.account.measured.timed_out = 1),
        ("lost", |t| t.account.measured.lost = 1),
        ("duplicated", |t| t.account.duplicated = Some(1)),
        ("reordered", |t| t.account.reordered = Some(1)),
        ("unsolicited", |t| t.account.unsolicited = 1),
    ];
    for (what, change) in one {
        // Of 24 blocks those in which it happens to the candidate once.
        let of_24 = |blocks: &[usize]| {
            let mut run = Recipe { blocks: 24, ..recipe(1.0) }.run();
            let mine = run.trials.iter_mut().filter(|t| t.arm == 1 && blocks.contains(&t.block));
            mine.for_each(change);
            judge(&run, CANDIDATE, &settings(), &Look::only())
        };
        let repeated = of_24(&[2, 9, 20]);
        is(&repeated, Outcome::Regression, &[&format!("{what} of webhook: 3 instead of 0")]);
        assert!(repeated.lines.iter().all(|l| l.outcome == Outcome::Passed));
        assert!(repeated.wants_more(), "three blocks may be chance, which the last look accepts");
        let all: Vec<usize> = (0..24).collect();
        assert!(!of_24(&all).wants_more(), "in every block it is beyond doubt");
        // Once or twice may be the machine: it passes only after blocks without it.
        let lately = of_24(&[2, 20]);
        is(&lately, Outcome::CannotTell, &[what, "in 2 blocks only: it fails if it repeats"]);
        assert!(lately.wants_more());
        is(&of_24(&[15]), Outcome::Passed, &["within chance"]);
        let why = count(&of_24(&[15]), what).why.clone().unwrap();
        assert_eq!(why, "in 1 block, and not again in 8");
    }
    let lost_ids = after(1, |t| t.account.duplicated = None);
    is(&lost_ids, Outcome::Regression, &["duplicated of webhook: – instead of 0"]);
    // Nobody can count it: told as unknown, and no reason to fail.
    let mut run = recipe(1.0).run();
    run.trials.iter_mut().for_each(|t| t.account.duplicated = None);
    is(&judge(&run, CANDIDATE, &settings(), &Look::only()), Outcome::Passed, &[]);
}

#[test]
fn more_per_event_fails_unless_the_base_differs_from_itself() {
    let more: [(&str, Change); 3] = [
        ("connections per event", |t| t.account.connections += 32),
        ("bytes to the target per event", |t| t.account.traffic.bytes_out += 20 * t.account.sent),
        ("bytes from the target per event", |t| t.account.traffic.bytes_in += 2 * t.account.sent),
    ];
    for (what, change) in more {
        let gate = after(1, change);
        is(&gate, Outcome::Regression, &[what]);
        assert_eq!(count(&gate, what).outcome, Outcome::Regression);
        assert!(!gate.sentence.contains(": 0 instead of 0"), "{}", gate.sentence);
        is(&after(2, change), Outcome::CannotTell, &[what, "the base differs from itself"]);
        is(&after(0, change), Outcome::CannotTell, &[what]);
    }
    // Half a per cent more is no regression, and is not called "no more" either.
    let little = after(1, |t| t.account.traffic.bytes_out += 3 * t.account.sent);
    is(&little, Outcome::Passed, &["within chance and 1 %"]);
}

#[test]
fn beside_a_base_that_fails_events_too_only_more_than_chance_fails() {
    let failing = |base: u64, candidate: u64| {
        let mut run = recipe(1.0).run();
        for t in &mut run.trials {
            t.account.measured.failed = if t.arm == 1 { candidate } else { base };
        }
        judge(&run, CANDIDATE, &settings(), &Look::only())
    };
    let same = failing(5, 6);
    is(&same, Outcome::Passed, &["within chance and 1 %"]);
    assert!(!same.sentence.contains("no more failures"));
    is(&failing(5, 15), Outcome::Regression, &["failed of webhook: 180 instead of 60"]);
    is(&failing(5, 4), Outcome::Passed, &["no more failures"]);
}

#[test]
fn an_overloaded_candidate_fails_and_an_overloaded_base_tells_nothing() {
    let behind = |arms: &[usize], factor: f64| {
        let mut run = recipe(factor).run();
        run.trials
            .iter_mut()
            .filter(|t| arms.contains(&t.arm))
            .for_each(|t| t.judged.overloaded = true);
        judge(&run, CANDIDATE, &settings(), &Look::only())
    };
    let candidate = behind(&[1], 1.0);
    is(&candidate, Outcome::Regression, &["share of blocks overloaded of webhook: 1 instead of 0"]);
    assert_eq!(line(&candidate, "service.p50").outcome, Outcome::CannotTell);
    for arms in [&[0, 1, 2][..], &[0, 2]] {
        let gate = behind(arms, 1.5);
        let why = ["the base is overloaded: try a lower rate"];
        let cpu = line(&gate, "target_usage.cpu_ns_per_event").outcome;
        assert_eq!(cpu, Outcome::Regression, "CPU an event is what it is");
        assert_eq!(
            count(&gate, "share of blocks overloaded").why.as_deref().unwrap()[..35],
            why[0][..35]
        );
        assert!(!gate.sentence.contains("service.p50 of"), "{}", gate.sentence);
    }
    is(&behind(&[0, 1, 2], 1.0), Outcome::CannotTell, &["try a lower rate"]);
    assert!(!candidate.wants_more(), "in every block, and the base in none");
    let mut most = recipe(1.0).run();
    most.trials.iter_mut().for_each(|t| t.judged.overloaded = t.arm == 1 && t.block < 8);
    let most = judge(&most, CANDIDATE, &settings(), &Look::only());
    is(&most, Outcome::Regression, &["share of blocks overloaded of webhook"]);
    assert!(most.wants_more(), "a busy machine may have done it");
    // A machine that is busy with something else: 7 of 12 against 5 of 12 is nobody's doing.
    let mut run = recipe(1.0).run();
    for t in &mut run.trials {
        t.judged.overloaded = t.block < [5, 7, 4][t.arm];
    }
    let busy = judge(&run, CANDIDATE, &settings(), &Look::only());
    is(&busy, Outcome::CannotTell, &["overloaded in some blocks, too"]);
}

#[test]
fn an_arm_or_a_point_that_one_side_lacks_fails() {
    let mut run = recipe(1.0).run();
    run.header.points[0].arms[1].target = "other".to_owned();
    let gate = judge(&run, CANDIDATE, &settings(), &Look::only());
    is(&gate, Outcome::Regression, &["not on both sides: webhook@base or webhook@candidate"]);
    assert!(!gate.wants_more());

    let stored = recipe(1.0).run();
    let mut more = stored.clone();
    let mut point = more.header.points[0].clone();
    point.setting.insert("load.rate".to_owned(), 500.into());
    more.header.points.push(point);
    let against = |old: &StoredRun, new: &StoredRun| {
        let old: Vec<StoredRun> = (0..FEWEST_RUNS).map(|_| old.clone()).collect();
        judge_against(&old, "webhook@base", new, &settings(), Vec::new())
    };
    is(&against(&more, &stored), Outcome::Regression, &["load.rate = 500 in this run"]);
    is(&against(&stored, &more), Outcome::Regression, &["load.rate = 500 in the stored run"]);
}

#[test]
fn none_of_no_event_is_not_counted() {
    let mut run = recipe(1.0).run();
    run.trials.clear();
    let gate = judge(&run, CANDIDATE, &settings(), &Look::only());
    assert_eq!(count(&gate, "failed").outcome, Outcome::CannotTell);
    assert_eq!(count(&gate, "failed").base, None);
    let texts = ["failed, timed out, lost", "per event of webhook: no event was sent"];
    is(&gate, Outcome::CannotTell, &texts);
}
