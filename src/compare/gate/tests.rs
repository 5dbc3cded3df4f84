use super::sample::{Recipe, recipe, settings};
use super::*;
use crate::compare::sample::Block;
use crate::record::trial::Trial;
use crate::store::StoredRun;

fn line<'a>(gate: &'a Gate, metric: &str) -> &'a Line {
    gate.lines.iter().find(|l| l.metric == metric).unwrap()
}

fn count<'a>(gate: &'a Gate, what: &str) -> &'a Exact {
    gate.exact.iter().find(|e| e.what == what).unwrap()
}

/// Judges equal arms after something was done to the trials of one of them.
fn after(arm: usize, mut change: impl FnMut(&mut Trial)) -> Gate {
    let mut run = recipe(1.0).run();
    run.trials.iter_mut().filter(|t| t.arm == arm).for_each(&mut change);
    judge(&run, CANDIDATE, &settings(), 2)
}

#[track_caller]
fn is(gate: &Gate, verdict: Outcome, texts: &[&str]) {
    assert_eq!(gate.verdict, verdict, "{}", gate.sentence);
    for text in texts {
        assert!(gate.sentence.contains(text), "no {text:?} in {}", gate.sentence);
    }
}

/// What is done to a trial.
type Change = fn(&mut Trial);

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
    assert_eq!((gate.exit_code(), gate.wants_more()), (1, true));
    let service = line(&gate, "service.p50");
    assert!(service.adjusted_low.unwrap() > service.limit());
}

#[test]
fn what_lies_around_the_margin_cannot_be_told() {
    let gate = Recipe { noise: [0.0, 0.06, 0.005], ..recipe(1.05) }.gate();
    is(&gate, Outcome::CannotTell, &["CANNOT TELL", "lies within the interval"]);
    assert_eq!((gate.exit_code(), gate.wants_more()), (2, true));
}

#[test]
fn without_a_clean_null_no_time_decides() {
    for dirty in [
        Recipe { noise: [0.0, 0.005, 0.3], ..recipe(1.25) },
        Recipe { null: 1.08, ..recipe(1.25) },
        Recipe { null: 0.92, ..recipe(1.0) },
    ] {
        is(&dirty.gate(), Outcome::CannotTell, &["the null is not clean"]);
    }
    let mut run = recipe(1.25).run();
    run.header.points[0].arms.pop();
    run.trials.retain(|t| t.arm < 2);
    is(&judge(&run, CANDIDATE, &settings(), 1), Outcome::CannotTell, &["there is no null"]);
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
            t.invalid.push("driver too late".to_owned());
        }
        judge(&run, CANDIDATE, &settings(), 2)
    };
    let both = voided(4, &[0, 1, 2]);
    is(&both, Outcome::Regression, &[]);
    assert!(both.notes.contains(&"4 of 16 blocks were voided".to_owned()), "{:?}", both.notes);
    is(&voided(4, &[1]), Outcome::CannotTell, &["invalid trials strike one side more"]);
}

#[test]
fn a_slow_down_of_less_time_than_counts_passes_and_is_not_called_small_in_per_cent() {
    let gate = Recipe { service: 1_200.0, ..recipe(1.2) }.gate();
    is(&gate, Outcome::Passed, &["no slow-down by as much time as counts in service.p50"]);
    assert!(!gate.sentence.contains("% in service.p50"), "{}", gate.sentence);
    let service = line(&gate, "service.p50");
    assert_eq!(service.why.as_deref(), Some("less than 500 ns"));
    assert!(service.upper.unwrap() > service.limit());
    // Beyond the margin, and about as long as counts.
    let gate = Recipe { service: 1_000.0, noise: [0.0, 0.1, 0.005], ..recipe(1.42) }.gate();
    is(&gate, Outcome::CannotTell, &["not beyond doubt more than 500 ns"]);
}

#[test]
fn what_only_the_drivers_lag_carries_does_not_fail() {
    let mut run = recipe(1.0).run();
    for t in run.trials.iter_mut().filter(|t| t.arm == 1) {
        let took = t.service.quantile(0.5).unwrap();
        let late = Block { lag: 40_000, ..Block::of(took, 40_000) };
        let slow = crate::compare::sample::trial(&t.label, t.arm, t.block, &late);
        (t.response, t.lag) = (slow.response, slow.lag);
    }
    let gate = judge(&run, CANDIDATE, &settings(), 2);
    is(&gate, Outcome::CannotTell, &["response.p50", "without the driver's own lag"]);
    assert_eq!(line(&gate, "service.p50").outcome, Outcome::Passed);
}

fn waiver(metric: &str, ceiling: f64, expires: &str) -> Waiver {
    Waiver {
        scenario: "gate".to_owned(),
        metric: metric.to_owned(),
        ceiling,
        expires: expires.to_owned(),
        reason: "answers are signed now".to_owned(),
    }
}

fn waived(candidate: f64, waivers: Vec<Waiver>) -> Gate {
    judge(&recipe(candidate).run(), CANDIDATE, &Settings { waivers, ..settings() }, 2)
}

#[test]
fn waivers_allow_up_to_their_ceiling_and_are_always_told() {
    let all = |ceiling| JUDGED.map(|m| waiver(m, ceiling, "2026-06-01")).to_vec();
    let states = |gate: &Gate| gate.waivers.iter().map(|w| w.state).collect::<Vec<_>>();
    let in_use = waived(1.1, all(0.15));
    is(&in_use, Outcome::Passed, &["only because of a waiver: service.p50"]);
    assert!(!in_use.sentence.contains("no slow-down"), "{}", in_use.sentence);
    assert_eq!(states(&in_use), [State::InUse; 3]);
    let not_needed = waived(1.0, all(0.15));
    is(&not_needed, Outcome::Passed, &["no slow-down beyond 15.0 %"]);
    assert_eq!(states(&not_needed), [State::NotNeeded; 3]);
    let exceeded = waived(1.3, all(0.15));
    is(&exceeded, Outcome::Regression, &["15 % (waiver) is allowed"]);
    assert_eq!(states(&exceeded), [State::Exceeded; 3]);
    // Another scenario's, and one of a metric that is not judged.
    let others = vec![
        Waiver { scenario: "ingest".to_owned(), ..waiver("service.p50", 9.0, "2027-01-01") },
        waiver("service.p99", 9.0, "2027-01-01"),
    ];
    let gate = waived(1.3, others);
    is(&gate, Outcome::Regression, &["service.p50"]);
    assert_eq!(states(&gate), [State::Unjudged]);
}

#[test]
fn an_expired_waiver_fails_whatever_was_measured() {
    let gate = waived(1.0, vec![waiver("service.p50", 0.5, "2026-05-31")]);
    is(&gate, Outcome::Regression, &["the waiver of service.p50 expired on 2026-05-31"]);
    assert!(!gate.wants_more(), "a longer stage does not renew it");
}

#[test]
fn a_waiver_does_not_excuse_a_dirty_null() {
    let dirty = Recipe { null: 1.1, ..recipe(1.1) }.run();
    let waivers = JUDGED.map(|m| waiver(m, 0.3, "2026-12-31")).to_vec();
    let gate = judge(&dirty, CANDIDATE, &Settings { waivers, ..settings() }, 2);
    is(&gate, Outcome::CannotTell, &["the null is not clean"]);
}

#[test]
fn metrics_that_are_not_qualified_are_shown_and_not_judged() {
    let wide: Vec<f64> = (0..30).map(|n| f64::from(n % 7 - 3) / 10.0).collect();
    let unqualified = |metrics: &[&str]| Settings {
        margins: JUDGED
            .map(|m| Margin::of(m, if metrics.contains(&m) { &wide[..] } else { &[] }))
            .to_vec(),
        ..settings()
    };
    let gate = judge(&recipe(1.25).run(), CANDIDATE, &unqualified(&JUDGED), 1);
    is(&gate, Outcome::CannotTell, &["no metric that was asked for can be judged here"]);
    assert!(gate.lines.iter().all(|l| l.slow_down.is_some() && l.outcome == Outcome::NotQualified));
    assert!(!gate.wants_more(), "more blocks do not change the kind of machine");
    let gate = judge(&recipe(1.0).run(), CANDIDATE, &unqualified(&["service.p50"]), 1);
    is(&gate, Outcome::Passed, &["not judged on this kind of machine: service.p50"]);
    assert!(!gate.sentence.contains("in service.p50"), "{}", gate.sentence);
}

#[test]
fn what_is_counted_decides_though_the_times_are_equal() {
    let one: [(&str, Change); 6] = [
        ("failed", |t| t.events.failed = 1),
        ("timed out", |t| t.events.timed_out = 1),
        ("lost", |t| t.events.lost = 1),
        ("duplicated", |t| t.duplicated = Some(1)),
        ("reordered", |t| t.reordered = Some(1)),
        ("unsolicited", |t| t.unsolicited = 1),
    ];
    for (what, change) in one {
        let mut left = 1;
        let gate = after(1, |t| {
            if left > 0 {
                change(t);
                left -= 1;
            }
        });
        is(&gate, Outcome::Regression, &[&format!("{what} of webhook: 1 instead of 0")]);
        assert!(!gate.wants_more(), "what is counted is decided");
        assert!(gate.lines.iter().all(|l| l.outcome == Outcome::Passed));
    }
    let lost_ids = after(1, |t| t.duplicated = None);
    is(&lost_ids, Outcome::Regression, &["duplicated of webhook: – instead of 0"]);
    // Nobody can count it: told as unknown, and no reason to fail.
    let mut run = recipe(1.0).run();
    run.trials.iter_mut().for_each(|t| t.duplicated = None);
    is(&judge(&run, CANDIDATE, &settings(), 2), Outcome::Passed, &[]);
}

#[test]
fn more_per_event_fails_unless_the_base_differs_from_itself() {
    let more: [(&str, Change); 3] = [
        ("connections per event", |t| t.connections += 32),
        ("bytes to the target per event", |t| t.traffic.bytes_out += 20 * t.sent),
        ("bytes from the target per event", |t| t.traffic.bytes_in += 2 * t.sent),
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
    let little = after(1, |t| t.traffic.bytes_out += 3 * t.sent);
    is(&little, Outcome::Passed, &["within what chance and 1 % allow"]);
}

#[test]
fn beside_a_base_that_fails_events_too_only_more_than_chance_fails() {
    let failing = |base: u64, candidate: u64| {
        let mut run = recipe(1.0).run();
        for t in &mut run.trials {
            t.events.failed = if t.arm == 1 { candidate } else { base };
        }
        judge(&run, CANDIDATE, &settings(), 2)
    };
    let same = failing(5, 6);
    is(&same, Outcome::Passed, &["within what chance and 1 % allow"]);
    assert!(!same.sentence.contains("no more failures"));
    is(&failing(5, 15), Outcome::Regression, &["failed of webhook: 180 instead of 60"]);
    is(&failing(5, 4), Outcome::Passed, &["no more failures"]);
}

#[test]
fn an_overloaded_candidate_fails_and_an_overloaded_base_tells_nothing() {
    let behind = |arms: &[usize], factor: f64| {
        let mut run = recipe(factor).run();
        run.trials.iter_mut().filter(|t| arms.contains(&t.arm)).for_each(|t| t.overloaded = true);
        judge(&run, CANDIDATE, &settings(), 2)
    };
    let candidate = behind(&[1], 1.0);
    is(&candidate, Outcome::Regression, &["share of blocks overloaded of webhook: 1 instead of 0"]);
    assert_eq!(line(&candidate, "service.p50").outcome, Outcome::CannotTell);
    for arms in [&[0, 1, 2][..], &[0, 2]] {
        let gate = behind(arms, 1.5);
        let why = ["the base falls behind: try a lower rate"];
        let cpu = line(&gate, "target_usage.cpu_ns_per_event").outcome;
        assert_eq!(cpu, Outcome::Regression, "CPU an event is what it is");
        assert_eq!(
            count(&gate, "share of blocks overloaded").why.as_deref().unwrap()[..35],
            why[0][..35]
        );
        assert!(!gate.sentence.contains("service.p50 of"), "{}", gate.sentence);
    }
    is(&behind(&[0, 1, 2], 1.0), Outcome::CannotTell, &["try a lower rate"]);
    assert!(candidate.wants_more(), "a busy machine may have done it");
    // A machine that is busy with something else: 7 of 12 against 5 of 12 is nobody's doing.
    let mut run = recipe(1.0).run();
    for t in &mut run.trials {
        t.overloaded = t.block < [5, 7, 4][t.arm];
    }
    let busy = judge(&run, CANDIDATE, &settings(), 2);
    is(&busy, Outcome::CannotTell, &["falls behind, too, now and then"]);
}

#[test]
fn a_closed_loop_judges_service_and_throughput_and_no_response() {
    let judged = |run: &StoredRun| {
        let metrics = ["service.p50", "response.p50", "throughput"];
        let margins = metrics.map(|m| Margin::of(m, &[])).to_vec();
        judge(run, CANDIDATE, &Settings { margins, ..settings() }, 2)
    };
    let mut run = recipe(1.0).run();
    let open = judged(&run);
    let names = |gate: &Gate| gate.lines.iter().map(|l| l.metric).collect::<Vec<_>>();
    assert_eq!(names(&open), ["service.p50", "response.p50"]);
    run.header.points[0].scenario.load.rate = None;
    for t in run.trials.iter_mut().filter(|t| t.arm == 1) {
        t.acknowledged_by_end -= t.acknowledged_by_end / 4;
    }
    let closed = judged(&run);
    assert_eq!(names(&closed), ["service.p50", "throughput"]);
    // A quarter fewer is a third more time: worse, in the metric's own direction.
    is(&closed, Outcome::Regression, &["throughput of webhook is worse by +33.3 %"]);
    run.trials.iter_mut().for_each(|t| t.driver.busy = 0.97);
    is(&judged(&run), Outcome::CannotTell, &["throughput of webhook: the driver was the limit"]);
}

#[test]
fn a_far_tail_needs_many_events() {
    let margins = vec![Margin::of("response.p99_9", &[])];
    let mut run = recipe(1.5).run();
    for t in &mut run.trials {
        // As many events as a p99.9 has samples for, and no more.
        (0..20_000).for_each(|n| t.response.record(100_000 + n));
        (0..20_000).for_each(|n| t.unlagged.record(100_000 + n));
    }
    let gate = judge(&run, CANDIDATE, &Settings { margins, ..settings() }, 2);
    is(&gate, Outcome::CannotTell, &["100000 are needed to judge it"]);
}

#[test]
fn cpu_that_nobody_can_see_is_not_judged() {
    let gate = after(1, |t| t.target = None);
    is(&gate, Outcome::CannotTell, &["CPU is known only of targets that pushbench starts"]);
}

#[test]
fn an_arm_or_a_point_that_one_side_lacks_fails() {
    let mut run = recipe(1.0).run();
    run.header.points[0].arms[1].target = "other".to_owned();
    let gate = judge(&run, CANDIDATE, &settings(), 1);
    is(&gate, Outcome::Regression, &["not on both sides: webhook@base or webhook@candidate"]);
    assert!(!gate.wants_more());

    let stored = recipe(1.0).run();
    let mut more = stored.clone();
    let mut point = more.header.points[0].clone();
    point.setting.insert("load.rate".to_owned(), 500.into());
    more.header.points.push(point);
    let against = |old: &StoredRun, new: &StoredRun| {
        judge_against(old, "webhook@base", new, &settings(), Vec::new())
    };
    is(&against(&more, &stored), Outcome::Regression, &["load.rate = 500 in this run"]);
    is(&against(&stored, &more), Outcome::Regression, &["load.rate = 500 in the stored run"]);
}

#[test]
fn a_run_that_was_cut_short_does_not_pass_and_may_fail() {
    let mut run = recipe(1.0).run();
    run.header.complete = false;
    is(&judge(&run, CANDIDATE, &settings(), 2), Outcome::CannotTell, &["the run is incomplete"]);
    let mut run = recipe(1.25).run();
    run.cut = true;
    is(&judge(&run, CANDIDATE, &settings(), 2), Outcome::Regression, &[]);
}

#[test]
fn the_ratio_between_two_transports_is_judged_where_it_is_asked_for() {
    let both = Recipe { transports: vec!["webhook", "websocket"], ..recipe(1.0) };
    let mut run = both.run();
    // Both sides of the second transport take twice the time; the candidate's a third more than that.
    for t in run.trials.iter_mut().filter(|t| t.arm >= 3) {
        let factor = if t.arm == 4 { 2.66 } else { 2.0 };
        let mood = 1.0 + 0.1 * ((t.block * 7) % 5) as f64;
        let took = Block::of((100_000.0 * mood * factor) as u64, (40_000.0 * mood * factor) as u64);
        *t = crate::compare::sample::trial(&t.label, t.arm, t.block, &took);
    }
    let ask = |ratio| judge(&run, CANDIDATE, &Settings { ratio, ..settings() }, 2);
    assert!(ask(false).lines.iter().all(|l| !l.transport.contains(':')));
    let gate = ask(true);
    is(&gate, Outcome::Regression, &["service.p50 of websocket:webhook is worse by +3"]);
    let ratio: Vec<_> = gate.lines.iter().filter(|l| l.transport == "websocket:webhook").collect();
    assert_eq!(ratio.len(), 3);
    assert!(ratio.iter().all(|l| l.difference.is_none() && l.outcome == Outcome::Regression));
    // A machine that got slower for both leaves the ratio alone.
    let slower = Recipe { candidate: 1.3, ..both }.run();
    let gate = judge(&slower, CANDIDATE, &Settings { ratio: true, ..settings() }, 2);
    for l in gate.lines.iter().filter(|l| l.transport == "websocket:webhook") {
        assert_eq!(l.outcome, Outcome::Passed, "{l:?}");
    }
}

#[test]
fn beside_a_stored_run_only_the_same_machine_fails() {
    let stored = recipe(1.0).run();
    let against = |now: &StoredRun, differs: &[&str]| {
        let differs = differs.iter().map(|d| (*d).to_owned()).collect();
        judge_against(&stored, "webhook@base", now, &settings(), differs)
    };
    // Measured apart, the machine's moods widen the interval.
    let calm = |factor: f64| {
        let mut run = recipe(factor).run();
        run.trials.iter_mut().for_each(|t| t.traffic = stored.trials[0].traffic);
        // The second time the candidate is the null.
        for t in run.trials.iter_mut().filter(|t| t.arm == 2) {
            let took = t.service.quantile(0.5).unwrap() as f64 * factor;
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
    now.trials.iter_mut().filter(|t| t.arm > 0).for_each(|t| t.events.lost = 1);
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
    let told = "blocks: 3 arms in turn in slices of 10.0 ms, then 2 arms in turn";
    assert!(gate.advisory.as_ref().unwrap()[0].contains(told), "{:?}", gate.advisory);
    let mut cut = stored.clone();
    cut.cut = true;
    let gate = judge_against(&cut, "webhook@base", &stored, &settings(), Vec::new());
    assert!(gate.notes.iter().any(|n| n.contains("stored run is incomplete")), "{:?}", gate.notes);
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
