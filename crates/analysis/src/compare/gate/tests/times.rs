//! Times and costs: margins, nulls, blocks, and what makes a line tell nothing.

use crate::compare::gate::sample::{Recipe, recipe, settings};
use crate::compare::gate::tests::{after, is, line};
use crate::compare::gate::*;
use crate::compare::sample::Block;
use pushbench_core::record::run::{FailedBlock, StoredRun};

#[test]
fn equal_builds_pass_and_faster_ones_do() {
    for candidate in [1.0, 0.7] {
        let gate = recipe(candidate).gate();
        is(&gate, Outcome::Passed, &["PASSED", "no slow-down beyond 5.0 %", "service.p50"]);
        assert_eq!((gate.exit_code(), gate.wants_more()), (0, false));
        assert!(gate.lines.iter().all(|l| l.outcome == Outcome::Passed), "{:?}", gate.lines);
    }
}

#[test]
fn a_slow_down_fails_and_names_metric_ratio_interval_and_margin() {
    let gate = recipe(1.25).gate();
    let texts =
        ["FAILED: service.p50 of webhook is worse by +25.0 % [+24.", ", by +24.", "5 % is allowed"];
    is(&gate, Outcome::Regression, &texts);
    assert_eq!(gate.exit_code(), 1);
    let service = line(&gate, "service.p50");
    assert!(service.adjusted_low.unwrap() > service.limit());
}

#[test]
fn a_slow_down_that_was_found_needs_no_further_look() {
    let mut schedule = looks::Schedule::new(looks::FIRST, 140);
    let first = schedule.look(vec![12], false);
    let found = judge(&recipe(22.31).run(), CANDIDATE, &settings(), &first);
    is(&found, Outcome::Regression, &["worse by +2131.0 %"]);
    assert!(!found.wants_more());
    assert_eq!((found.stage, found.looks_planned, found.error_share), (1, Some(8), 1.0 / 8.0));
    // An early look spends less, so that its bounds lie further out.
    let whole = judge(&recipe(22.31).run(), CANDIDATE, &settings(), &Look::only());
    let low = |gate: &Gate| line(gate, "service.p50").adjusted_low.unwrap();
    let high = |gate: &Gate| line(gate, "service.p50").upper.unwrap();
    assert!(low(&found) < low(&whole) && high(&found) > high(&whole));
}

#[test]
fn a_look_sees_the_blocks_until_then() {
    let run = Recipe { blocks: 40, ..recipe(1.0) }.run();
    let mut later = run.clone();
    for t in later.trials.iter_mut().filter(|t| t.block >= 12) {
        t.judged.invalid.push("driver too late".to_owned());
    }
    let look = Look { begun: vec![12], ..Look::only() };
    let [then, now] = [run, later].map(|r| judge(&look.of(r), CANDIDATE, &settings(), &look));
    assert_eq!((then.blocks_valid, then.blocks_run), (12, 12));
    assert_eq!(serde_json::json!(then), serde_json::json!(now));
}

#[test]
fn records_that_differ_give_no_verdict() {
    for candidate in [1.0, 1.25] {
        let mut run = recipe(candidate).run();
        run.altered = Some("4 are missing".to_owned());
        let gate = judge(&run, CANDIDATE, &settings(), &Look::only());
        is(&gate, Outcome::CannotTell, &["CANNOT TELL: 4 are missing"]);
        let against = judge_against(
            std::slice::from_ref(&run),
            "webhook@base",
            &recipe(1.0).run(),
            &settings(),
            vec![],
        );
        is(&against, Outcome::CannotTell, &["CANNOT TELL", "the stored run: 4 are missing"]);
    }
}

#[test]
fn a_gate_that_failed_has_no_verdict_and_says_why() {
    let failure =
        Failure { error: "webhook@candidate: block 5: the target exited".to_owned(), exit_code: 3 };
    for gate in [recipe(1.0).gate(), recipe(1.25).gate(), Gate::without_records("gate")] {
        let gate = gate.failed(failure.clone());
        is(&gate, Outcome::CannotTell, &["NO VERDICT", "exit 3", "block 5: the target exited"]);
        assert_eq!(gate.exit_code(), 3);
    }
}

#[test]
fn what_lies_around_the_margin_cannot_be_told() {
    let gate = Recipe { noise: [0.0, 0.06, 0.005], ..recipe(1.05) }.gate();
    is(&gate, Outcome::CannotTell, &["CANNOT TELL", "lies within the interval"]);
    assert_eq!((gate.exit_code(), gate.wants_more()), (2, true));
}

#[test]
fn without_a_clean_null_nothing_passes_and_only_much_fails() {
    for dirty in [
        Recipe { noise: [0.0, 0.005, 0.3], ..recipe(1.25) },
        Recipe { null: 1.08, ..recipe(1.1) },
        Recipe { null: 0.92, ..recipe(1.1) },
        Recipe { null: 0.92, ..recipe(1.0) },
    ] {
        is(&dirty.gate(), Outcome::CannotTell, &["the null is not clean"]);
    }
    // 36 % more, where the base differs from itself by 8 %.
    for null in [0.92, 1.08] {
        let gate = Recipe { null, ..recipe(1.36) }.gate();
        is(&gate, Outcome::Regression, &["service.p50 of webhook is worse by +36.0 %"]);
        let why = line(&gate, "service.p50").why.as_deref().unwrap();
        assert!(
            why.starts_with("the null reaches ") && why.contains("exceeds the margin"),
            "{why}"
        );
    }
    let mut run = recipe(1.25).run();
    run.header.points[0].arms.pop();
    run.trials.retain(|t| t.arm < 2);
    let gate = judge(&run, CANDIDATE, &settings(), &Look::only());
    is(&gate, Outcome::CannotTell, &["this gate has no null"]);
}

#[test]
fn fewer_than_eight_blocks_say_nothing() {
    let few = Recipe { blocks: FEWEST - 1, ..recipe(1.5) }.gate();
    is(&few, Outcome::CannotTell, &["7 valid blocks, 8 are needed"]);
    let enough = Recipe { blocks: FEWEST, ..recipe(1.5) }.gate();
    is(&enough, Outcome::Regression, &[]);
}

#[test]
fn voided_blocks_are_told_and_those_that_know_the_side_leave_it_open() {
    let voided = |blocks: usize, arms: &[usize]| {
        let mut run = Recipe { blocks: 16, ..recipe(1.25) }.run();
        for t in run.trials.iter_mut().filter(|t| t.block < blocks && arms.contains(&t.arm)) {
            t.judged.invalid.push("driver too late".to_owned());
        }
        judge(&run, CANDIDATE, &settings(), &Look::only())
    };
    let both = voided(4, &[0, 1, 2]);
    is(&both, Outcome::Regression, &[]);
    assert!(both.notes.contains(&"4 of 16 blocks were voided".to_owned()), "{:?}", both.notes);
    is(
        &voided(4, &[1]),
        Outcome::CannotTell,
        &["one side has more invalid trials or failed blocks"],
    );
    // A target that did not start counts with the trials that it has made invalid.
    let failed = |arm: Option<usize>| {
        let mut run = Recipe { blocks: 16, ..recipe(1.25) }.run();
        for t in run.trials.iter_mut().filter(|t| t.block == 0 && t.arm == 1) {
            t.judged.invalid.push("target exited".to_owned());
        }
        let reason = "target candidate exited with code 7".to_owned();
        run.header.points[0].failed_blocks =
            [16, 17].map(|block| FailedBlock { block, arm, reason: reason.clone() }).to_vec();
        judge(&run, CANDIDATE, &settings(), &Look::only())
    };
    let of_candidate = "more invalid trials or failed blocks (0 of the base, 3 of the candidate)";
    is(&failed(Some(1)), Outcome::CannotTell, &[of_candidate]);
    is(&failed(None), Outcome::Regression, &[]);
}

#[test]
fn a_slow_down_of_less_time_than_counts_passes_and_is_not_called_small_in_per_cent() {
    let gate = Recipe { service: 1_200.0, ..recipe(1.2) }.gate();
    is(&gate, Outcome::Passed, &["no slow-down by as much as --min-difference in service.p50"]);
    assert!(!gate.sentence.contains("% in service.p50"), "{}", gate.sentence);
    let service = line(&gate, "service.p50");
    assert_eq!(service.why.as_deref(), Some("less than 500 ns"));
    assert!(service.upper.unwrap() > service.limit());
    // Beyond the margin, and about as long as counts.
    let gate = Recipe { service: 1_000.0, noise: [0.0, 0.1, 0.005], ..recipe(1.42) }.gate();
    is(&gate, Outcome::CannotTell, &["not certainly by more than 500 ns"]);
}

#[test]
fn what_only_the_drivers_lag_carries_does_not_fail() {
    let mut run = recipe(1.0).run();
    for t in run.trials.iter_mut().filter(|t| t.arm == 1) {
        let took = t.account.service.quantile(0.5).unwrap();
        let late = Block { lag: 40_000, ..Block::of(took, 40_000) };
        let slow = crate::compare::sample::trial(&t.label, t.arm, t.block, &late);
        (t.account.response, t.account.lag) = (slow.account.response, slow.account.lag);
    }
    let gate = judge(&run, CANDIDATE, &settings(), &Look::only());
    is(&gate, Outcome::CannotTell, &["response.p50", "without the driver's own lag"]);
    assert_eq!(line(&gate, "service.p50").outcome, Outcome::Passed);
}

fn nulls(log_ratios: impl IntoIterator<Item = f64>) -> Vec<margin::Null> {
    log_ratios.into_iter().map(|log_ratio| margin::Null { log_ratio, blocks: 12 }).collect()
}

#[test]
fn metrics_that_are_not_qualified_are_shown_and_not_judged() {
    let wide = nulls((0..30).map(|n| f64::from(n % 7 - 3) / 10.0));
    let unqualified = |metrics: &[&str]| Settings {
        margins: JUDGED
            .map(|m| Margin::of(m, if metrics.contains(&m) { &wide[..] } else { &[] }))
            .to_vec(),
        ..settings()
    };
    let gate = judge(&recipe(1.25).run(), CANDIDATE, &unqualified(&JUDGED), &Look::only());
    is(&gate, Outcome::CannotTell, &["no requested metric can be judged here"]);
    assert!(gate.lines.iter().all(|l| l.slow_down.is_some() && l.outcome == Outcome::NotQualified));
    assert!(!gate.wants_more(), "more blocks do not change the kind of machine");
    let gate = judge(&recipe(1.0).run(), CANDIDATE, &unqualified(&["service.p50"]), &Look::only());
    is(&gate, Outcome::Passed, &["not judged on this kind of machine: service.p50"]);
    assert!(!gate.sentence.contains("in service.p50"), "{}", gate.sentence);
}

#[test]
fn what_lag_on_both_sides_hides_does_not_pass() {
    let mut run = recipe(1.3).run();
    for t in &mut run.trials {
        let took = t.account.service.quantile(0.5).unwrap();
        let late = Block { lag: 5_000_000, ..Block::of(took, 40_000) };
        let late = crate::compare::sample::trial(&t.label, t.arm, t.block, &late);
        (t.account.response, t.account.lag) = (late.account.response, late.account.lag);
    }
    let gate = judge(&run, CANDIDATE, &settings(), &Look::only());
    assert!(line(&gate, "response.p50").slow_down.as_ref().unwrap().ratio < 1.02);
    assert_eq!(line(&gate, "response.p50").outcome, Outcome::CannotTell);
}

#[test]
fn a_closed_loop_judges_throughput_alone() {
    let judged = |run: &StoredRun| {
        let metrics = ["service.p50", "response.p50", "throughput"];
        let margins = metrics.map(|m| Margin::of(m, &[])).to_vec();
        judge(run, CANDIDATE, &Settings { margins, ..settings() }, &Look::only())
    };
    let mut run = recipe(1.0).run();
    let open = judged(&run);
    let names = |gate: &Gate| gate.lines.iter().map(|l| l.metric).collect::<Vec<_>>();
    assert_eq!(names(&open), ["service.p50", "response.p50"]);
    run.header.points[0].scenario.load.rate = None;
    for t in run.trials.iter_mut().filter(|t| t.arm == 1) {
        t.account.acknowledged_by_end -= t.account.acknowledged_by_end / 4;
    }
    let closed = judged(&run);
    assert_eq!(names(&closed), ["throughput"]);
    // A quarter fewer is a third more time: worse, in the metric's own direction.
    is(&closed, Outcome::Regression, &["throughput of webhook is worse by +33.3 %"]);
    // One trial is enough: a mean with a lower bound in it is a lower bound.
    run.trials[0].driver.busy = 0.97;
    is(
        &judged(&run),
        Outcome::CannotTell,
        &["throughput of webhook: the driver was at its limit in 1 of"],
    );
}

#[test]
fn a_biased_metric_is_not_judged_and_says_so() {
    let nulls = nulls([-0.010, -0.011, -0.009, -0.010].repeat(6));
    let margins = vec![Margin::of("service.p50", &nulls)];
    let gate =
        judge(&recipe(1.5).run(), CANDIDATE, &Settings { margins, ..settings() }, &Look::only());
    is(&gate, Outcome::CannotTell, &["no requested metric can be judged here"]);
    let why = line(&gate, "service.p50").why.as_deref();
    assert!(why.is_some_and(|why| why.contains("differ by -1.0 % on average")), "{why:?}");
}

#[test]
fn a_far_tail_needs_many_events() {
    let margins = vec![Margin::of("response.p99_9", &[])];
    let mut run = recipe(1.5).run();
    for t in &mut run.trials {
        // As many events as a p99.9 has samples for, and no more.
        (0..20_000).for_each(|n| t.account.response.record(100_000 + n));
        (0..20_000).for_each(|n| t.account.unlagged.record(100_000 + n));
    }
    let gate = judge(&run, CANDIDATE, &Settings { margins, ..settings() }, &Look::only());
    is(&gate, Outcome::CannotTell, &["100000 are needed to judge it"]);
}

#[test]
fn cpu_that_nobody_can_see_is_not_judged() {
    let gate = after(1, |t| t.target = None);
    is(&gate, Outcome::CannotTell, &["CPU is known only of targets that pushbench starts"]);
}

#[test]
fn a_run_that_was_cut_short_does_not_pass_and_may_fail() {
    let mut run = recipe(1.0).run();
    run.header.complete = false;
    is(
        &judge(&run, CANDIDATE, &settings(), &Look::only()),
        Outcome::CannotTell,
        &["the run is incomplete"],
    );
    let mut run = recipe(1.25).run();
    run.cut = true;
    is(&judge(&run, CANDIDATE, &settings(), &Look::only()), Outcome::Regression, &[]);
}

#[test]
fn the_ratio_between_two_transports_is_judged_where_it_is_asked_for() {
    let both = Recipe { transports: vec!["webhook", "websocket"], ..recipe(1.0) };
    let mut run = both.run();
    // Both sides of the second transport take twice the time; the candidate's a third more than that.
    for t in run.trials.iter_mut().filter(|t| t.arm >= 3) {
        let factor = if t.arm == 4 { 2.66 } else { 2.0 };
        let shared = 1.0 + 0.1 * ((t.block * 7) % 5) as f64;
        let took =
            Block::of((100_000.0 * shared * factor) as u64, (40_000.0 * shared * factor) as u64);
        *t = crate::compare::sample::trial(&t.label, t.arm, t.block, &took);
    }
    let ask = |ratio| judge(&run, CANDIDATE, &Settings { ratio, ..settings() }, &Look::only());
    assert!(ask(false).lines.iter().all(|l| !l.transport.contains(':')));
    let gate = ask(true);
    is(&gate, Outcome::Regression, &["service.p50 of websocket:webhook is worse by +3"]);
    let ratio: Vec<_> = gate.lines.iter().filter(|l| l.transport == "websocket:webhook").collect();
    assert_eq!(ratio.len(), 3);
    assert!(ratio.iter().all(|l| l.difference.is_none() && l.outcome == Outcome::Regression));
    // A machine that got slower for both leaves the ratio alone.
    let slower = Recipe { candidate: 1.3, ..both }.run();
    let gate = judge(&slower, CANDIDATE, &Settings { ratio: true, ..settings() }, &Look::only());
    for l in gate.lines.iter().filter(|l| l.transport == "websocket:webhook") {
        assert_eq!(l.outcome, Outcome::Passed, "{l:?}");
    }
}

/// Each judgement can fail at the number of blocks that a gate is allowed: with blocks that differ by
/// 3 % a slow-down by a quarter is found, whatever else is judged beside it.
#[test]
fn each_test_can_fail_at_the_fewest_blocks() {
    use crate::stats::effect::Effect;
    for judged in [1, JUDGED.len(), 20] {
        for blocks in [FEWEST, 12, 24] {
            let effect = Effect {
                estimate: 1.25f64.ln(),
                error: 0.03 / (blocks as f64).sqrt(),
                freedom: blocks as f64 - 1.0,
            };
            let level = ALPHA / judged as f64;
            assert!(effect.low(level).unwrap() > 1.05f64.ln(), "{judged} lines, {blocks} blocks");
            assert!(effect.p_above(1.05f64.ln()).unwrap() < level);
        }
    }
    for blocks in [FEWEST, 12, 24] {
        let gate = Recipe { blocks, ..recipe(1.25) }.gate();
        assert!(gate.lines.iter().all(|l| l.outcome == Outcome::Regression), "{blocks} blocks");
    }
}

#[test]
fn no_time_is_judged_that_was_measured_on_a_cpu_of_the_driver() {
    // Neither an equal nor a slower candidate: on one CPU each waits for the other.
    for candidate in [1.0, 1.25] {
        let mut run = recipe(candidate).run();
        run.header.placement.insert("driver".to_owned(), vec![0]);
        let mut only_cpu = settings();
        only_cpu.margins.retain(|m| m.metric == "target_usage.cpu_ns_per_event");
        let gate = judge(&run, CANDIDATE, &settings(), &Look::only());
        if candidate == 1.0 {
            is(
                &gate,
                Outcome::CannotTell,
                &["CANNOT TELL", "shared a CPU, so their times are mixed"],
            );
            assert_eq!(
                (gate.exit_code(), gate.wants_more()),
                (2, false),
                "more blocks are as mixed"
            );
        }
        for line in gate.lines.iter().filter(|l| l.metric.ends_with("p50")) {
            assert_eq!(line.outcome, Outcome::CannotTell, "{line:?}");
        }
        assert!(
            gate.notes[0].contains("shared the core of CPU 0:")
                && gate.notes[0].contains("--judge")
        );
        // What CPU the target used is known.
        let decided = if candidate == 1.0 { Outcome::Passed } else { Outcome::Regression };
        assert_eq!(judge(&run, CANDIDATE, &only_cpu, &Look::only()).verdict, decided);
    }
}

#[test]
fn blocks_beside_another_run_are_named() {
    let gate = after(1, |t| t.other_runs = u64::from(t.block < 2));
    assert!(
        gate.notes[0].starts_with("2 blocks were measured while another run"),
        "{:?}",
        gate.notes
    );
}
