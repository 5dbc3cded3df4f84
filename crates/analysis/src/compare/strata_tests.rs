use crate::compare::sample::ratios;
use crate::compare::{Report, compare};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::run::StoredRun;
use pushbench_core::record::strata::Stratum;
use pushbench_core::scenario::{Arrivals, Burst, Lifetime, split};
use std::time::Duration;

const EVENTS: u64 = 200;

fn hist(ns: u64) -> Hist {
    let mut hist = Hist::new();
    // A few values beside each other, so that no percentile rests on a single one.
    (0..EVENTS).for_each(|i| hist.record(ns + ns * (i % 10) / 1000));
    hist
}

/// Every trial's strata have these medians, in µs.
fn with_strata(mut run: StoredRun, medians_us: &[u64]) -> StoredRun {
    let of = split::of(&run.header.points[0].scenario);
    let stratum = |us: &u64| Stratum { response: hist(us * 1000), service: hist(us * 500) };
    for trial in &mut run.trials {
        trial.split.clone_from(&of);
        trial.account.strata = medians_us.iter().map(stratum).collect();
    }
    run
}

fn sentences(report: &Report) -> String {
    report.points[0].sentences.join(" ")
}

fn ramp(medians_us: &[u64]) -> Report {
    let mut run = ratios(1.0, 1.0);
    let load = &mut run.header.points[0].scenario.load;
    (load.rate, load.arrivals) = (Some(1_000.0), Arrivals::Ramp { to: 11_000.0 });
    compare(&with_strata(run, medians_us))
}

#[test]
fn the_knee_is_the_last_step_before_the_response_is_out_of_proportion() {
    let report = ramp(&[100, 110, 120, 150, 300, 900, 5_000, 20_000, 50_000, 90_000]);
    let arm = &report.points[0].arms[0];
    assert_eq!(arm.knee_per_second, Some(7_000.0));
    assert_eq!(arm.strata.len(), 10);
    assert_eq!(arm.strata[1].name, "2000/s to 3000/s");
    assert!(sentences(&report).contains("webhook@builtin kept up to about 7000/s."));
    assert!(arm.steady.is_none(), "the halves of a ramp differ by themselves");

    let never = ramp(&[100; 10]);
    assert_eq!(never.points[0].arms[0].knee_per_second, Some(11_000.0));
    assert!(sentences(&never).contains("kept up to the end of the ramp"));
}

#[test]
fn the_first_event_of_a_connection_is_set_against_its_last() {
    let mut run = ratios(1.0, 1.0);
    run.header.points[0].scenario.connections.lifetime = Lifetime::Events(100);
    let report = compare(&with_strata(run, &[300, 110, 100, 100]));
    let found = report.points[0].arms[0].first_over_last.clone().unwrap();
    assert!((found.ratio - 3.0).abs() < 0.01 && found.ci95[0] <= found.ratio, "{found:?}");
    assert!(sentences(&report).contains("first event of a connection takes ×3.00"));
    assert!(compare(&ratios(1.0, 1.0)).points[0].arms[0].first_over_last.is_none());
}

#[test]
fn a_burst_is_followed_until_its_queue_is_gone() {
    let mut run = ratios(1.0, 1.0);
    let [length, every] = [1, 3].map(Duration::from_secs);
    run.header.points[0].scenario.load.arrivals =
        Arrivals::Burst(Burst { factor: 10.0, length, every });
    for trial in &mut run.trials {
        trial.drained_ns = vec![Some(trial.block as u64 * 1_000_000)];
    }
    run.trials[0].drained_ns = vec![None];
    let report = compare(&with_strata(run, &[100, 900, 100]));
    let backlog = &report.points[0].arms[0].backlog;
    assert_eq!((backlog.bursts, backlog.undrained), (12, 1));
    // 1 to 11 ms and one that never ended: the seventh of them in order.
    assert_eq!(backlog.drain_ns, Some(7_000_000));
    assert!(sentences(&report).contains("the queue was empty 7.00 ms after a burst"));
}

fn texts(report: &Report) -> Vec<&str> {
    report.points[0].validity.notes.iter().map(|n| n.text.as_str()).collect()
}

/// Halves with these medians in every trial, in µs; blocks differ a little.
fn halves(first: u64, second: u64) -> Report {
    let mut run = ratios(1.0, 1.0);
    for trial in &mut run.trials {
        let base = 1_000 + trial.block as u64;
        trial.account.halves = [hist(first * base), hist(second * base)];
    }
    compare(&run)
}

#[test]
fn a_warm_up_that_was_too_short_is_told_a_longer_one() {
    let notes = |report: &Report| texts(report).join("\n");
    let cold = halves(150, 100);
    // 500 ms and half of 1500 ms, in whole tenths of a second.
    assert!(
        notes(&cold).contains("webhook@builtin: the warm-up was too short"),
        "{}",
        notes(&cold)
    );
    assert!(notes(&cold).contains("try --warmup 1300ms"), "{}", notes(&cold));
    let v = &cold.points[0].validity;
    assert_eq!(v.moving(&["webhook@builtin"], "response.p99"), [1]);
    assert_eq!(v.moving(&["websocket@builtin"], "target_usage.cpu_ns_per_event"), [2]);
    let tired = halves(100, 150);
    assert!(notes(&tired).contains("slows down while it runs"), "{}", notes(&tired));
    for alike in [halves(100, 100), halves(103, 100)] {
        let halves = alike.points[0].arms[0].steady.clone().unwrap();
        assert!(halves.second_over_first.is_some() && halves.warmup_to_try_ns.is_none());
        assert!(!notes(&alike).contains("warm-up") && !notes(&alike).contains("slows"));
    }
}

#[test]
fn a_substituted_load_is_reported() {
    let mut run = ratios(1.0, 1.0);
    let point = &mut run.header.points[0];
    point.scenario.connections.in_flight = 16;
    (point.arms[0].connections, point.arms[0].in_flight) = (512, 1);
    (point.arms[1].connections, point.arms[1].in_flight) = (32, 16);
    for trial in run.trials.iter_mut().filter(|t| t.arm == 1) {
        (trial.account.measured.acknowledged, trial.account.measured.failed) = (2_990, 10);
        trial.account.measured.backlog_full = 10;
    }
    for trial in run.trials.iter_mut().filter(|t| t.arm == 1) {
        trial.account.agree("HTTP/2, at most 10 streams");
    }
    let notes = texts(&compare(&run)).join("\n");
    assert!(
        notes.contains(
            "allows 10 streams on a connection: 10 events in flight on each, instead of 16"
        ),
        "{notes}"
    );
    let given = &compare(&run).points[0].validity.notes[0];
    assert!(!given.metrics.is_empty() && !given.moves_figures, "{given:?}");
    assert!(
        notes.contains("512 × 1 (connections × events in flight on each), instead of 32 × 16"),
        "{notes}"
    );
    assert!(
        notes.contains(
            "websocket@builtin: 120 events failed because 20000 events were already waiting"
        ),
        "{notes}"
    );
}
