use crate::compare::charts::sweep::{Crossing, Knee, Mark};
use crate::compare::charts::*;
use crate::compare::compare;
use crate::compare::sample;
use crate::compare::sample::Block;
use pushbench_core::record::interval_log::Logged;
use pushbench_core::record::trial::Stage;
use std::time::Duration;

fn page_of(run: &StoredRun, seconds: &Seconds) -> Page {
    page(run, compare(run), seconds)
}

/// The same blocks at several rates, the last of which the first arm cannot keep up with.
fn swept(ratios: &[f64]) -> StoredRun {
    let mut run = sample::ratios(ratios[0], 0.5);
    let header = run.header.points[0].clone();
    run.header.points.clear();
    run.trials.clear();
    for (index, ratio) in ratios.iter().enumerate() {
        let rate = 1000 * (1 << index);
        let mut point = header.clone();
        point.setting.insert("load.rate".to_owned(), rate.into());
        point.scenario.load.rate = Some(f64::from(rate));
        run.header.points.push(point);
        for mut trial in sample::ratios(*ratio, 0.5).trials {
            trial.point = index;
            trial.judged.overloaded = index + 1 == ratios.len() && trial.arm == 0;
            run.trials.push(trial);
        }
    }
    run
}

#[test]
fn a_curve_ends_where_ten_samples_lie_beyond() {
    let page = page_of(&sample::ratios(0.8, 0.5), &Seconds::new());
    let [webhook, websocket] = &page.evidence[0].spectra[..] else { panic!() };
    // 12 blocks of 3,000 events: 36 beyond p99.9, fewer than 10 beyond p99.99.
    let names: Vec<&str> = webhook.points.iter().filter_map(|p| p.name).collect();
    assert_eq!(names, ["p50", "p90", "p99", "p99.9"]);
    assert!(webhook.points.last().unwrap().nines <= 3600f64.log10() + 1e-9);
    assert!(webhook.points.windows(2).all(|w| w[0].nines < w[1].nines && w[0].ns <= w[1].ns));
    // A block's 3,000 events support no p99.9 of their own.
    let p = |name| webhook.points.iter().find(|p| p.name == Some(name)).unwrap();
    assert!(p("p99").band.is_some() && p("p99.9").band.is_none());
    let arm = &page.report.points[0].arms[1];
    let p50 = websocket.points.iter().find(|p| p.name == Some("p50")).unwrap();
    assert_eq!(Some(p50.ns), arm.response_ns.p50, "as in the table");
    let [low, high] = p50.band.unwrap();
    assert!(low < p50.ns as f64 && (p50.ns as f64) < high);
}

#[test]
fn an_arm_that_falls_behind_has_no_curve() {
    let mut run = sample::ratios(0.8, 0.5);
    run.trials.iter_mut().filter(|t| t.arm == 1).for_each(|t| t.judged.overloaded = true);
    let page = page_of(&run, &Seconds::new());
    let lengths: Vec<bool> = page.evidence[0].spectra.iter().map(|s| s.points.is_empty()).collect();
    assert_eq!(lengths, [false, true]);
}

#[test]
fn pairs_keep_the_order_of_the_run_and_show_voided_blocks() {
    let mut blocks = vec![[Block::of(100_000, 40_000), Block::of(80_000, 20_000)]; 10];
    blocks[4][1] = Block::of(50_000, 20_000);
    let mut run = sample::run(&blocks);
    run.trials
        .iter_mut()
        .filter(|t| t.block == 4)
        .for_each(|t| t.judged.invalid.push("x".to_owned()));
    let page = page_of(&run, &Seconds::new());
    let comparisons = &page.report.points[0].comparisons;
    let pairs = &page.evidence[0].pairs;
    let p50 = pairs.iter().find(|p| comparisons[p.comparison].metric == "response.p50").unwrap();
    assert_eq!(p50.blocks.iter().map(|b| b.block).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    let voided: Vec<usize> = p50.blocks.iter().filter(|b| !b.valid).map(|b| b.block).collect();
    assert_eq!(voided, [4]);
    assert!(p50.blocks[4].ratio < 0.6 && (0.7..0.9).contains(&p50.blocks[0].ratio));
    let why: Vec<&String> = page.evidence[0].blocks.iter().flat_map(|b| &b.void).collect();
    assert_eq!(why, ["webhook@builtin: x", "websocket@builtin: x"]);
}

#[test]
fn the_same_arm_twice_is_a_null() {
    let null =
        |run: &StoredRun| page_of(run, &Seconds::new()).evidence[0].judged.iter().all(|j| j.null);
    let mut run = sample::ratios(1.0, 1.0);
    assert!(!null(&run));
    let first = run.header.points[0].arms[0].clone();
    run.header.points[0].arms[1] =
        pushbench_core::record::run::ArmHeader { label: "webhook@builtin#2".to_owned(), ..first };
    assert!(null(&run));
    // The same program in another way: what is between them is no error of the instrument.
    run.header.points[0].arms[1].label = "webhook+callback@builtin".to_owned();
    assert!(!null(&run));
}

#[test]
fn along_an_axis_arms_cross_and_stop_keeping_up() {
    let sweep = page_of(&swept(&[1.4, 0.7, 0.7]), &Seconds::new()).sweep.unwrap();
    assert_eq!((sweep.key.as_str(), sweep.numeric), ("load.rate", true));
    let labels: Vec<&str> = sweep.places.iter().map(|p| p.label.as_str()).collect();
    assert_eq!(labels, ["1000", "2000", "4000"]);
    let group = &sweep.groups[0];
    assert_eq!(group.knees, [Knee { arm: 0, from: 2000.0, to: 4000.0 }]);
    let p50 = group.curves.iter().find(|c| c.metric == "response.p50").unwrap();
    let crossing = Crossing { candidate: 1, before: 0, after: 1, better_after: true };
    assert_eq!(p50.crossings, [crossing]);
    assert_eq!(p50.arms[0][2], Mark::Overloaded, "the latency of an overloaded arm is none");
    assert!(matches!(p50.arms[1][2], Mark::Figure { interval: Some(_), .. }));
    let cpu = group.curves.iter().find(|c| c.metric.starts_with("target_usage")).unwrap();
    assert!(matches!(cpu.arms[0][2], Mark::Figure { .. }), "its cost is one");
    assert!(!group.curves.iter().any(|c| c.metric.starts_with("service")), "an open loop");
}

#[test]
fn nothing_crosses_where_nothing_is_sure() {
    let sweep = page_of(&swept(&[1.0, 1.0, 1.0]), &Seconds::new()).sweep.unwrap();
    let p50 = sweep.groups[0].curves.iter().find(|c| c.metric == "response.p50").unwrap();
    assert!(p50.crossings.is_empty());
    assert!(page_of(&sample::ratios(1.0, 1.0), &Seconds::new()).sweep.is_none());
}

#[test]
fn seconds_follow_each_other_without_the_set_up_between() {
    let run = sample::ratios(0.8, 0.5);
    let page = page_of(&run, &Seconds::new());
    let time = &page.evidence[0].time;
    // The sample's blocks have a second each.
    assert_eq!((time.seconds, time.spans.len()), (12.0, 12));
    assert_eq!(time.arms[1].iter().map(|t| t.at).collect::<Vec<_>>()[..3], [0.0, 1.0, 2.0]);
    assert!(time.spans.iter().all(|s| s.arms.len() == 2), "slices run at the same time");
    let mut sequential = run;
    for trial in &mut sequential.trials {
        trial.design = pushbench_core::record::trial::TrialDesign::Sequential;
    }
    let page = page_of(&sequential, &Seconds::new());
    assert_eq!(page.evidence[0].time.spans.len(), 24);
}

#[test]
fn a_map_is_made_of_logs_that_fit_the_records_only() {
    let run = sample::ratios(0.8, 0.5);
    let mut seconds = Seconds::new();
    for t in run.trials.iter().filter(|t| t.stage == Stage::Block) {
        let (start, hist) = (t.began(), t.account.response.clone());
        let second = Logged { start, length: Duration::from_secs(1), hist };
        seconds.entry(t.label.clone()).or_default().push(second);
    }
    let page = page_of(&run, &seconds);
    let heat = &page.evidence[0].heat;
    assert_eq!(heat.iter().map(|h| (h.arm, h.columns)).collect::<Vec<_>>(), [(0, 12), (1, 12)]);
    let first: Vec<_> = heat[0].cells.iter().filter(|c| c.column == 0).collect();
    // One event in 40 is ten times slower: 2.5 % of a column.
    assert!(first.iter().any(|c| c.level == 4) && first.iter().any(|c| c.level == 2), "{first:?}");
    assert!(heat.iter().flat_map(|h| &h.cells).all(|c| c.row < heat[0].rows));
    seconds.get_mut(&run.header.points[0].arms[1].label).unwrap().pop();
    let arms: Vec<usize> = page_of(&run, &seconds).evidence[0].heat.iter().map(|h| h.arm).collect();
    assert_eq!(arms, [0], "a log that is cut short is not theirs");
    assert!(page_of(&run, &Seconds::new()).evidence[0].heat.is_empty());
}
