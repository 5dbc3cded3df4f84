//! Targets that hold events for times that differ by little, and one that holds some of them for much longer.

use crate::selftest::SelfTestContext;
use crate::selftest::accuracy::at;
use crate::selftest::exact_run::{self, ExactRun, ExactTrial};
use pushbench_analysis::compare::compare;
use pushbench_analysis::stats::mean;
use pushbench_core::error::Result;
use pushbench_core::record::accuracy::{Difference, Tail};
use pushbench_core::record::histogram::Hist;
use pushbench_core::transport::{CARRIERS, Carrier};
use pushbench_faults::exact_target::Service;
use std::collections::BTreeSet;

const BASELINE_NS: u64 = 100_000;
const ADDED_US: [u64; 5] = [2, 5, 10, 50, 1_000];
const BLOCKS: usize = 10;
/// The two times of the target with a tail, and how many events there are to one that takes the longer one.
const TWO_POINTS: Service = Service::Held { ns: 1_000_000, other: 20_000_000, every: 20 };
const BEYOND_NS: u64 = 10_000_000;
const TAIL_BLOCKS: usize = 8;
/// The machine stalled in a trial if more than one reading of its hiccup meter in a hundred is beyond this.
const STALL_NS: f64 = 1_000_000.0;

pub(super) fn measure(context: &SelfTestContext<'_>) -> Result<Vec<Difference>> {
    let all = CARRIERS.into_iter().map(|carrier| differences(context, carrier));
    Ok(all.collect::<Result<Vec<_>>>()?.concat())
}

/// All targets are arms of one run, and each is compared with the first.
fn differences(context: &SelfTestContext<'_>, carrier: Carrier) -> Result<Vec<Difference>> {
    let added = ADDED_US.map(|us| us * 1_000);
    let arms: Vec<(Carrier, Service)> = std::iter::once(0)
        .chain(added)
        .map(|ns| (carrier, Service::held(BASELINE_NS + ns)))
        .collect();
    let settings = [
        ("load.rate", "1000".to_owned()),
        ("load.warmup", "100ms".to_owned()),
        ("load.duration", "500ms".to_owned()),
        ("compare.blocks", BLOCKS.to_string()),
    ];
    let mut run = exact_run::run(context, &arms, &settings)?;
    let left_out = leave_out_stalls(&mut run, arms.len());
    let comparisons = compare(&run.stored).points.swap_remove(0).comparisons;
    let label = |arm: usize| run.stored.header.points[0].arms[arm].label.clone();
    let row = |(i, wanted_ns): (usize, u64)| {
        let arm = i + 1;
        let reported = comparisons.iter().find(|c| {
            c.metric == "response.p50" && c.candidate == label(arm) && c.baseline == label(0)
        });
        let known: Vec<f64> =
            pairs(&run, arm).map(|[base, other]| held(other) - held(base)).collect();
        let difference = reported.and_then(|c| c.difference.zip(c.difference_ci95));
        let (reported_ns, interval_ns) = difference.unwrap_or_default();
        Difference {
            transport: carrier.name().to_owned(),
            wanted_ns,
            known_ns: mean(&known).unwrap_or(0.0),
            reported_ns,
            interval_ns,
            // One block has no interval.
            blocks: difference.map_or(0, |_| known.len()),
            left_out,
        }
    };
    Ok(added.into_iter().enumerate().map(row).collect())
}

fn held(trial: &ExactTrial) -> f64 {
    at(&trial.events.held(), 0.5)
}

/// The first arm and another one in each block.
fn pairs(run: &ExactRun, arm: usize) -> impl Iterator<Item = [&ExactTrial; 2]> {
    let of = move |arm: usize| run.trials.iter().filter(move |t| t.trial.arm == arm);
    of(0).flat_map(move |base| {
        of(arm).find(|t| t.trial.block == base.trial.block).map(|other| [base, other])
    })
}

/// Leaves out the blocks in which the machine stalled; how many were left out with those that are not valid.
fn leave_out_stalls(run: &mut ExactRun, arms: usize) -> usize {
    let stalled = |t: &&ExactTrial| at(&t.trial.hiccup, 0.99) > STALL_NS;
    let blocks: BTreeSet<usize> =
        run.trials.iter().filter(stalled).map(|t| t.trial.block).collect();
    run.trials.retain(|t| !blocks.contains(&t.trial.block));
    let kept: BTreeSet<usize> = run.trials.iter().map(|t| t.trial.block).collect();
    run.stored.trials.retain(|t| kept.contains(&t.block));
    blocks.len() + run.left_out / arms
}

pub(super) fn tails(context: &SelfTestContext<'_>) -> Result<Vec<Tail>> {
    let settings = [
        ("load.rate", "1000".to_owned()),
        ("load.warmup", "100ms".to_owned()),
        ("load.duration", "1s".to_owned()),
        // Of 1,000 events a second 2 are open on average, and at times many more.
        ("connections.count", "64".to_owned()),
        ("compare.blocks", TAIL_BLOCKS.to_string()),
    ];
    let mut run = exact_run::run(context, &CARRIERS.map(|c| (c, TWO_POINTS)), &settings)?;
    let left_out = leave_out_stalls(&mut run, CARRIERS.len());
    let row = |(arm, carrier): (usize, Carrier)| {
        let (mut reported, mut held) = (Hist::new(), Hist::new());
        let mine = || run.trials.iter().filter(|t| t.trial.arm == arm);
        mine().for_each(|t| {
            reported.merge(&t.trial.account.response);
            held.merge(&t.events.held());
        });
        let both = [&reported, &held];
        Tail {
            transport: carrier.name().to_owned(),
            p99_ns: both.map(|hist| at(hist, 0.99)),
            beyond: both.map(|h| h.count_above(BEYOND_NS) as f64 / h.count().max(1) as f64),
            trials: mine().count(),
            left_out,
        }
    };
    Ok(CARRIERS.into_iter().enumerate().map(row).collect())
}
