use crate::compare::judge::{ALPHA, Answer, Question, Values, family};
use crate::compare::sample;
use crate::compare::sample::{Block, ratios};
use crate::compare::{Comparison, FEWEST_BLOCKS, Report, Verdict, compare};
use crate::stats;
use pushbench_core::record::metrics::METRICS;

/// Values whose log ratios are these.
fn of_logs(logs: &[f64]) -> Values {
    Values {
        baseline: vec![100.0; logs.len()],
        candidate: logs.iter().map(|l| 100.0 * l.exp()).collect(),
    }
}

fn question(values: &Values) -> Question<'_> {
    Question { values, more_is_better: false, region: 0.05, without_driver: None }
}

fn alone(logs: &[f64]) -> Answer {
    family(&[question(&of_logs(logs))]).remove(0).unwrap()
}

/// `n` log ratios around `centre`, a tenth of it apart.
fn around(centre: f64, n: usize) -> Vec<f64> {
    (0..n).map(|i| centre * (1.0 + 0.1 * (i % 3) as f64)).collect()
}

#[test]
fn each_test_can_fail_at_the_fewest_blocks_with_every_metric_judged() {
    assert!(stats::fewest_flipped(ALPHA) <= FEWEST_BLOCKS);
    let values: Vec<Values> =
        METRICS.iter().map(|_| of_logs(&around(0.2, FEWEST_BLOCKS))).collect();
    let questions: Vec<Question<'_>> = values.iter().map(question).collect();
    for answer in family(&questions) {
        let answer = answer.unwrap();
        assert_eq!(answer.verdict, Verdict::Worse, "{answer:?}");
        assert!(answer.p_adjusted < ALPHA);
    }
    // And each of them alone: Student's t, the sign flips, the bootstrap.
    let logs = values[0].log_ratios().unwrap();
    assert!(stats::t_test(&logs).unwrap() * METRICS.len() as f64 <= ALPHA);
    assert!(values[0].sign_flip().unwrap() <= ALPHA);
    assert!(!values[0].bootstrap().unwrap().holds(1.0));
}

#[test]
fn the_printed_interval_agrees_with_the_decision() {
    // Alone it would be claimed; among nine others it is not.
    let logs: Vec<f64> = (0..12).map(|i| 0.055 + 0.02 * (f64::from(i) - 5.5)).collect();
    let single = alone(&logs);
    assert_eq!(single.verdict, Verdict::Worse, "{single:?}");
    // Nothing in the others: as much above as below.
    let nothing: Vec<f64> = (0..12).map(|i| if i % 2 == 0 { 0.2 } else { -0.2 }).collect();
    let (mut crowd, clear) = (vec![of_logs(&nothing); 10], of_logs(&logs));
    crowd[0] = clear;
    let questions: Vec<Question<'_>> = crowd.iter().map(question).collect();
    let among = family(&questions).remove(0).unwrap();
    assert_eq!(among.verdict, Verdict::Inconclusive, "{among:?}");
    assert!(among.adjusted.holds(1.0) && among.p_adjusted > ALPHA);
    assert!(among.why.unwrap().contains("judged together"));
}

#[test]
fn a_claim_needs_the_other_tests_too() {
    let flips = [-0.06, -0.02, 0.06, 0.07, 0.07, 0.12, 0.12, 0.13];
    let answer = alone(&flips);
    assert!(answer.p_adjusted < ALPHA && !answer.adjusted.holds(1.0));
    assert_eq!(answer.verdict, Verdict::Inconclusive);
    assert!(answer.why.unwrap().contains("sign-flip"));
    // A long tail towards 1: Student's interval does not see it.
    let skewed =
        [0.111, 0.098, 0.102, 0.097, 0.104, 0.098, -0.139, 0.112, 0.113, 0.079, 0.069, 0.004];
    let answer = alone(&skewed);
    assert!(answer.p_adjusted < ALPHA && !answer.adjusted.holds(1.0));
    assert_eq!(answer.verdict, Verdict::Inconclusive);
    assert!(answer.why.unwrap().contains("bootstrap"));
}

#[test]
fn what_has_no_ratio_does_not_count_among_those_judged() {
    let (some, none) =
        (of_logs(&around(0.2, 8)), Values { baseline: vec![0.0; 8], candidate: vec![1.0; 8] });
    let answers = family(&[question(&none), question(&some)]);
    assert!(answers[0].is_none());
    let alone = family(&[question(&some)]).remove(0);
    assert_eq!(answers[1], alone);
}

fn find<'a>(report: &'a Report, metric: &str) -> &'a Comparison {
    report.points[0].comparisons.iter().find(|c| c.metric == metric).unwrap()
}

#[test]
fn every_comparison_is_checked_by_other_ways() {
    let report = compare(&ratios(0.8, 0.5));
    for c in report.points[0].comparisons.iter().filter(|c| c.metric != "response.p99_9") {
        let (ratio, checks) = (c.ratio.unwrap(), c.cross_checks);
        let [low, high] = checks.bootstrap_ci95.unwrap();
        assert!(low <= ratio && ratio <= high, "{c:?}");
        assert!((checks.merged_ratio.unwrap() / ratio - 1.0).abs() < 0.05, "{c:?}");
        // Twelve blocks on one side, or nothing at all (the driver's CPU is the same).
        let p = checks.sign_flip_p.unwrap();
        assert!(p == 2.0 / 4096.0 || c.metric.starts_with("driver"), "{c:?}");
        let [low, high] = c.adjusted_ci95.unwrap();
        assert_eq!(c.p_adjusted.unwrap() <= ALPHA, low > 1.0 || high < 1.0, "{c:?}");
    }
}

#[test]
fn a_merged_ratio_that_disagrees_is_reported() {
    // One block in twelve, in which everything takes fifty times as long and the first arm half as
    // long again: it makes up the whole tail of the merged windows.
    let block = |n: u64| match n {
        0 => [Block::of(7_500_000, 40_000), Block::of(5_000_000, 40_000)],
        n => [Block::of(100_000 + n, 40_000), Block::of(100_000 + n / 2, 40_000)],
    };
    let report = compare(&sample::run(&(0..12).map(block).collect::<Vec<_>>()));
    let notes = &report.points[0].validity.notes;
    let noted =
        |metric: &str| notes.iter().any(|n| n.text.contains("merged") && n.text.contains(metric));
    assert!(noted("service.p99") && !noted("service.p50"), "{notes:?}");
}

#[test]
fn a_percentile_carries_its_interval_from_the_fewest_blocks_on() {
    let mut run = ratios(1.0, 1.0);
    let intervals = |report: &Report| report.points[0].arms[0].service_ns.intervals;
    let [low, high] = intervals(&compare(&run)).p50.unwrap();
    let p50 = compare(&run).points[0].arms[0].service_ns.p50.unwrap() as f64;
    // Moods of up to 40 % are not known to a per cent.
    assert!(low < p50 && p50 < high && high / low > 1.05, "{low} {p50} {high}");
    run.trials.retain(|t| t.block < FEWEST_BLOCKS - 1);
    let few = compare(&run);
    assert_eq!(intervals(&few).p50, None);
    assert!(few.points[0].arms[0].service_ns.p50.is_some());
}

#[test]
fn a_far_tail_is_judged_from_a_hundred_thousand_events_on() {
    for (times, judged) in [(16u64, false), (34, true)] {
        let mut run = ratios(0.5, 1.0);
        for t in &mut run.trials {
            let hists = [&mut t.account.response, &mut t.account.unlagged];
            for hist in hists {
                let once = hist.clone();
                (1..times).for_each(|_| hist.merge(&once));
            }
            t.account.measured.due *= times;
            t.account.measured.acknowledged *= times;
        }
        let report = compare(&run);
        let c = find(&report, "response.p99_9");
        assert!(c.ratio.is_some_and(|r| r < 0.6) && c.ci95.is_some(), "{c:?}");
        assert_eq!((c.p_adjusted.is_some(), c.verdict == Verdict::Better), (judged, judged));
        assert_eq!(c.why.as_ref().is_some_and(|w| w.contains("are needed")), !judged);
    }
}
