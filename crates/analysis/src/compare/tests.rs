use crate::compare::sample;
use crate::compare::sample::{Block, ratios};
use crate::compare::{Comparison, Report, Verdict, compare};
use pushbench_core::record::run::StoredRun;
use pushbench_core::record::trial::TrialDesign;

fn of(run: &StoredRun, metric: &str) -> Comparison {
    let mut report = compare(run);
    let found = report.points.remove(0).comparisons.into_iter().find(|c| c.metric == metric);
    found.unwrap_or_else(|| panic!("{metric} is not compared"))
}

fn sentence(report: &Report) -> String {
    report.points[0].sentences.join(" ")
}

#[test]
fn a_clear_difference_is_claimed_in_its_metrics_direction() {
    let faster = ratios(0.8, 0.5);
    for (metric, ratio) in [("service.p50", 0.8), ("target_usage.cpu_ns_per_event", 0.5)] {
        let c = of(&faster, metric);
        assert_eq!(c.verdict, Verdict::Better, "{c:?}");
        assert!((c.ratio.unwrap() / ratio - 1.0).abs() < 0.02, "{c:?}");
        assert!(c.ci95.unwrap()[1] < 1.0 && c.difference.unwrap() < 0.0);
    }
    let slower = ratios(1.5, 2.0);
    assert_eq!(of(&slower, "response.p99").verdict, Verdict::Worse);
    assert_eq!(of(&slower, "target_usage.cpu_ns_per_event").verdict, Verdict::Worse);
}

#[test]
fn the_same_is_called_equivalent_and_a_small_difference_too_small_to_matter() {
    let same = ratios(1.0, 1.0);
    assert_eq!(of(&same, "service.p50").verdict, Verdict::Equivalent);
    assert_eq!(of(&same, "target_usage.cpu_ns_per_event").verdict, Verdict::Equivalent);
    let c = of(&ratios(0.8, 1.0), "response.p50");
    assert_eq!((c.verdict, c.matters), (Verdict::Better, false), "20 µs of the 1 ms that matter");
    assert!(of(&ratios(0.8, 0.5), "target_usage.cpu_ns_per_event").matters);
    // 20 ms on a service of 100 ms do matter.
    let long = |arm: u64| Block::of(100_000_000 - 20_000_000 * arm, 40_000);
    let run = sample::run(&[[long(0), long(1)]; 9]);
    assert!(of(&run, "service.p50").matters);
}

#[test]
fn too_few_blocks_claim_nothing() {
    let mut run = ratios(0.5, 0.5);
    run.trials.retain(|t| t.block < 7);
    let report = compare(&run);
    assert!(report.points[0].comparisons.iter().all(|c| c.verdict == Verdict::Inconclusive));
    assert!(sentence(&report).contains("no difference can be claimed"));
    run.trials.clear();
    let report = compare(&run);
    assert!(report.points[0].comparisons.iter().all(|c| c.verdict == Verdict::Invalid));
}

#[test]
fn a_block_is_voided_whole() {
    let mut run = ratios(0.5, 0.5);
    run.trials[1].judged.invalid.push("target exited".to_owned());
    // A void trial's figures must not matter, whatever they are.
    run.trials[1].target.as_mut().unwrap().cpu_ns *= 1000;
    let report = compare(&run);
    let point = &report.points[0];
    assert_eq!((point.design.blocks_valid, point.design.blocks_run), (11, 12));
    assert_eq!((point.arms[0].trials, point.arms[0].invalid), (12, 0));
    assert_eq!((point.arms[1].trials, point.arms[1].invalid), (12, 1));
    assert_eq!(point.arms[0].events.outcomes.due, point.arms[1].events.outcomes.due);
    let cpu = of(&run, "target_usage.cpu_ns_per_event");
    assert!((cpu.ratio.unwrap() - 0.5).abs() < 0.01, "{cpu:?}");
    assert!(!point.validity.ok);
    assert!(point.validity.notes.iter().any(|n| n.text.contains("target exited")));
}

#[test]
fn voids_that_know_the_arm_or_decide_the_sign_leave_it_open() {
    let mut one_sided = ratios(0.5, 0.5);
    one_sided.trials.iter_mut().filter(|t| t.arm == 1 && t.block < 4).for_each(|t| {
        t.judged.invalid.push("driver too late".to_owned());
    });
    let c = of(&one_sided, "service.p50");
    assert_eq!(c.verdict, Verdict::Inconclusive);
    assert!(c.why.unwrap().contains("one arm has more invalid trials or failed blocks"));

    let block = |n: usize| match n {
        0 | 1 => [Block::of(100_000, 40_000), Block::of(100_000_000, 40_000)],
        _ => [Block::of(100_000, 40_000), Block::of(80_000, 40_000)],
    };
    let mut run = sample::run(&(0..12).map(block).collect::<Vec<_>>());
    assert_eq!(of(&run, "service.p50").verdict, Verdict::Inconclusive);
    run.trials
        .iter_mut()
        .filter(|t| t.block < 2)
        .for_each(|t| t.judged.invalid.push("x".to_owned()));
    let c = of(&run, "service.p50");
    assert_eq!(c.verdict, Verdict::Inconclusive);
    assert!(c.why.unwrap().contains("voided"));
}

#[test]
fn a_difference_made_by_the_driver_is_not_claimed() {
    // The second arm's events are sent late; the services are the same.
    let late = [Block::of(100_000, 40_000), Block { lag: 60_000, ..Block::of(100_000, 40_000) }];
    let c = of(&sample::run(&[late; 12]), "response.p50");
    assert_eq!(c.verdict, Verdict::Inconclusive);
    assert!(c.why.unwrap().contains("lag"));
    // Half of the difference is lag, and it holds without it, but not by what is claimed.
    let late = [Block::of(100_000, 40_000), Block { lag: 20_000, ..Block::of(120_000, 40_000) }];
    let c = of(&sample::run(&[late; 12]), "response.p50");
    assert_eq!(c.verdict, Verdict::Inconclusive);
    let why = "late reading may make up 15.0 µs of the difference of 35.1 µs";
    assert!(c.why.as_ref().unwrap().contains(why), "{:?}", c.why);
}

#[test]
fn equal_lag_on_both_sides_makes_nothing_equivalent() {
    let both = |lag| [100_000, 108_000].map(|service| Block { lag, ..Block::of(service, 40_000) });
    let c = of(&sample::run(&[both(2_000_000); 12]), "response.p50");
    assert!(c.ratio.is_some_and(|r| r < 1.01), "{:?}", c.ratio);
    assert_eq!(c.verdict, Verdict::Worse, "the difference is small beside the lag, and certain");
    let alike = [Block { lag: 2_000, ..Block::of(100_000, 40_000) }; 2];
    assert_eq!(of(&sample::run(&[alike; 12]), "response.p50").verdict, Verdict::Equivalent);
}

#[test]
fn what_only_the_ratio_supports_is_not_claimed() {
    // A tenth less in every quiet block, and a loud one whose difference drowns it.
    let block = |n: u64| match n {
        0 => [Block::of(50_000_000, 40_000), Block::of(49_000_000, 40_000)],
        n => [Block::of(100_000 + n, 40_000), Block::of(90_000, 40_000)],
    };
    let run = sample::run(&(0..12).map(block).collect::<Vec<_>>());
    let c = of(&run, "service.p50");
    let ([_, ratio_high], [_, difference_high]) = (c.ci95.unwrap(), c.difference_ci95.unwrap());
    assert!(ratio_high < 1.0 && difference_high > 0.0, "{c:?}");
    assert_eq!(c.verdict, Verdict::Inconclusive);
    assert!(c.why.unwrap().contains("difference itself"));
}

#[test]
fn an_overloaded_arm_is_told_a_rate_and_has_no_latency_compared() {
    let mut run = ratios(0.5, 0.5);
    run.trials.iter_mut().filter(|t| t.arm == 0).for_each(|t| {
        t.judged.overloaded = true;
        t.account.acknowledged_by_end = 1500;
    });
    let c = of(&run, "response.p50");
    assert_eq!((c.verdict, c.ratio, c.difference), (Verdict::Overloaded, None, None));
    assert_eq!(of(&run, "target_usage.cpu_ns_per_event").verdict, Verdict::Better);
    assert!(sentence(&compare(&run)).contains("try --rate 700"), "{}", sentence(&compare(&run)));
}

#[test]
fn a_driver_at_its_limit_is_told_a_rate_and_no_arm_is_blamed() {
    let mut run = ratios(0.5, 0.5);
    run.trials.iter_mut().filter(|t| t.arm == 1).for_each(|t| {
        t.driver.busy = 0.99;
        t.judged.invalid = vec!["driver saturated: busy for 99 % of its available time".to_owned()];
        t.account.acknowledged_by_end = 1500;
    });
    let text = sentence(&compare(&run));
    assert!(
        text.contains("The driver was at its own limit") && text.contains("--rate 700"),
        "{text}"
    );
    assert!(!text.contains("overloaded") && !text.contains("no valid trial"), "{text}");
    // A closed loop may be at its limit; if it has no valid block, that is not why.
    run.trials.iter_mut().for_each(|t| t.offered_per_second = None);
    assert!(sentence(&compare(&run)).contains("has no valid trial"));
}

#[test]
fn percentiles_need_samples_and_separate_stalls() {
    let report = compare(&ratios(1.0, 1.0));
    let arm = &report.points[0].arms[0];
    assert!(arm.response_ns.p99_9.is_some(), "36 of 36,000 lie beyond");
    assert!(of(&ratios(1.0, 1.0), "response.p99_9").ratio.is_none(), "3 of 3,000 do in a block");

    // All slow events of the run in one stall of one block.
    let mut run = ratios(1.0, 1.0);
    for trial in &mut run.trials {
        trial.account.peaks.max_ns.fill(1_000);
    }
    run.trials[0].account.peaks.max_ns[7] = 5_000_000;
    let report = compare(&run);
    assert_eq!(report.points[0].arms[0].response_ns.p99, None);
}

#[test]
fn what_is_unknown_is_null() {
    let mut run = ratios(1.0, 1.0);
    for trial in run.trials.iter_mut().filter(|t| t.arm == 0) {
        (trial.target, trial.account.duplicated, trial.account.reordered, trial.in_force) =
            (None, None, None, None);
    }
    let report = serde_json::to_value(compare(&run)).unwrap();
    let arm = &report["points"][0]["arms"][0];
    assert!(arm["events"]["duplicated"].is_null() && arm["events"]["reordered"].is_null());
    assert!(arm["target_usage"]["cpu_ns_per_event"].is_null());
    assert!(arm["wire"]["segments_per_event"].is_null(), "no pilot, so no realistic segments");
    let c = of(&run, "target_usage.cpu_ns_per_event");
    assert_eq!((c.verdict, c.ratio), (Verdict::Inconclusive, None));
}

#[test]
fn answers_that_wait_for_an_acknowledgement_are_told_the_cure_and_no_rate() {
    let mut run = ratios(1.0, 1.0);
    let slow = sample::trial("webhook@builtin", 0, 0, &sample::Block::of(44_000_000, 40_000));
    run.trials.iter_mut().filter(|t| t.arm == 0).for_each(|t| {
        (t.account.service, t.judged.overloaded) = (slow.account.service.clone(), true);
        t.account.traffic.data_segments_in = 2 * t.account.sent;
        t.account.traffic.segments_out = 2 * t.account.sent;
    });
    let report = compare(&run);
    let text = sentence(&report);
    assert!(text.contains("overloaded") && text.contains("TCP_NODELAY"), "{text}");
    assert!(!text.contains("--rate"), "{text}");
    let notes = &report.points[0].validity.notes;
    assert!(
        notes.iter().any(|n| n.text.contains("Nagle") && n.text.contains("service p50 44")),
        "{notes:?}"
    );
}

#[test]
fn a_closed_loop_is_judged_once_and_only_if_the_driver_never_was_the_limit() {
    let mut run = ratios(1.0, 1.0);
    run.header.points[0].scenario.load.rate = None;
    for t in &mut run.trials {
        t.offered_per_second = None;
        let share = if t.arm == 0 { 3 } else { 4 };
        t.account.acknowledged_by_end = t.account.acknowledged_by_end * share / 4;
    }
    let of = |run: &StoredRun| compare(run).points.remove(0);
    let point = of(&run);
    let judged: Vec<&str> = point.comparisons.iter().map(|c| c.metric).collect();
    assert!(judged.contains(&"throughput"), "{judged:?}");
    assert!(!judged.iter().any(|m| m.starts_with("service") || m.starts_with("response")));
    assert!(point.sentences[0].contains("33 % more events a second"), "{:?}", point.sentences);
    // The driver had no time left in one trial of twelve, which the median does not show.
    run.trials[1].driver.busy = 0.95;
    let point = of(&run);
    let throughput = point.comparisons.iter().find(|c| c.metric == "throughput").unwrap();
    assert_eq!(throughput.verdict, Verdict::Inconclusive);
    let why = "at least this much, the driver was at its limit in 1 of 12 trials";
    assert!(throughput.why.as_ref().unwrap().contains(why), "{:?}", throughput.why);
    assert!(point.sentences[0].contains("cannot tell: throughput"), "{:?}", point.sentences);
    let notes: Vec<String> = point.validity.notes.iter().map(|n| n.text.clone()).collect();
    assert!(notes.iter().any(|n| n.contains("in 1 of 12 trials")), "{notes:?}");
}

#[test]
fn blocks_of_a_design_that_was_given_up_are_not_averaged() {
    let mut run = ratios(0.8, 0.5);
    for t in run.trials.iter_mut().filter(|t| t.block >= 4) {
        t.design = TrialDesign::Sequential;
    }
    let point = compare(&run).points.remove(0);
    assert_eq!((point.design.blocks_run, point.design.blocks_valid), (12, 8));
    assert_eq!(point.design.kind, Some("sequential"));
    assert!(point.comparisons.iter().all(|c| c.design != Some("sliced")));
}
