//! Whether a point can be trusted: the trust line and the notes under it.

use super::figures::merged;
use super::{
    ArmFigures, Comparison, FEWEST_BLOCKS, Steady, Trials, Validity, completeness, decide, fanout,
    idle, steady,
};
use crate::record::metrics;
use crate::record::trial::{DRIVER_LIMIT, Trial};
use crate::scenario::Scenario;
use crate::store::StoredRun;
use crate::units;
use serde::Serialize;
use std::collections::BTreeMap;

/// Spill above this means that the slices did not keep the arms apart.
const SPILL_SHARE: f64 = 0.05;
/// Lag p99 above this share of the response p99 is worth a warning.
const LAG_TAIL_SHARE: f64 = 0.5;

/// The figures of the trust line.
#[derive(Debug, Clone, Serialize)]
pub struct Trust {
    /// Valid blocks.
    pub blocks_valid: usize,
    /// Blocks run.
    pub blocks_run: usize,
    /// Median of the driver's lag over all arms, ns; `null` in a closed loop.
    pub lag_p50_ns: Option<u64>,
    /// Its 99th percentile.
    pub lag_p99_ns: Option<u64>,
    /// Median time from the poll's return to the read, ns.
    pub reading_p50_ns: Option<u64>,
    /// Events open when another arm's slice began, per event due.
    pub spill: Option<f64>,
    /// 99th percentile of the machine's stalls, ns.
    pub hiccup_p99_ns: Option<u64>,
    /// Share of wall time the hypervisor took, over the CPUs in use.
    pub steal: Option<f64>,
}

/// True when the driver's busiest thread had no time left.
pub fn is_driver_bound(arm: &ArmFigures) -> bool {
    arm.driver_usage.busy.is_some_and(|b| b > DRIVER_LIMIT)
}

/// Whether invalid trials strike one of two arms more: each is a coin toss between them unless it knows
/// the arm.
pub(super) fn voids_know_the_arm(a: usize, b: usize) -> bool {
    a.abs_diff(b) > 2 && a.max(b) > 3 * a.min(b)
}

/// The validity of one point.
pub fn validity(
    run: &StoredRun,
    point: usize,
    trials: &Trials<'_>,
    arms: &[ArmFigures],
    comparisons: &[Comparison],
) -> Validity {
    let header = &run.header;
    let cpus: usize =
        header.placement.values().flatten().collect::<std::collections::BTreeSet<_>>().len();
    let trust = trust(trials, cpus);
    let mut notes = completeness::differences(run);
    let planned = header.points[point].blocks_planned();
    if run.cut {
        notes.push(
            "trials.jsonl ends in the middle of a line: what stands before it was read".to_owned(),
        );
    }
    if !header.complete || run.cut {
        notes.push(format!(
            "the run is incomplete: {} of {planned} blocks were finished",
            trials.blocks.len()
        ));
    }
    if trials.valid.len() < FEWEST_BLOCKS {
        notes.push(format!(
            "{} valid blocks: no difference is claimed below {FEWEST_BLOCKS}",
            trials.valid.len()
        ));
    }
    notes.extend(voided(&trials.all));
    for arm in arms {
        notes.extend(about_arm(arm));
        notes.extend(about_deliveries(arm, trials));
        notes.extend(about_load(&header.points[point].scenario, arm));
        notes.extend(arm.steady.as_ref().and_then(|s| about_halves(&arm.arm, s)));
    }
    notes.extend(about_merged(comparisons));
    notes.extend(about_instrument(&trust));
    let shared = header.placement.get("driver").is_some_and(|driver| {
        header.placement.get("target").is_some_and(|t| driver.iter().any(|c| t.contains(c)))
    });
    if shared {
        notes.push("driver and target shared a CPU: their times are mixed".to_owned());
    }
    let complete = completeness::is_complete(run);
    let whole = trials.all.iter().all(|t| t.is_valid()) && !trials.valid.is_empty();
    Validity { ok: complete && whole, notes, trust }
}

fn trust(trials: &Trials<'_>, cpus: usize) -> Trust {
    let valid: Vec<&Trial> = trials.valid.iter().flatten().copied().collect();
    let lag = merged(&valid, |t| &t.lag);
    let headline = |t: &Trial| match &t.fanout {
        Some(f) => (f.deliveries.measured.due, f.deliveries.spill),
        None => (t.events.due, t.spill),
    };
    let due: u64 = valid.iter().map(|t| headline(t).0).sum();
    let sliced =
        valid.iter().any(|t| matches!(t.design, crate::record::trial::TrialDesign::Sliced { .. }));
    let spill: u64 = valid.iter().map(|t| headline(t).1).sum();
    // Arms of a sliced block saw the same steal: count the block once.
    let wall: u64 = trials
        .valid
        .iter()
        .map(|b| if sliced { b[0].wall_ns } else { b.iter().map(|t| t.wall_ns).sum() })
        .sum();
    let steal: u64 = trials
        .valid
        .iter()
        .map(|b| if sliced { b[0].steal_ns } else { b.iter().map(|t| t.steal_ns).sum() })
        .sum();
    Trust {
        blocks_valid: trials.valid.len(),
        blocks_run: trials.blocks.len(),
        lag_p50_ns: lag.quantile(0.5),
        lag_p99_ns: lag.quantile(0.99),
        reading_p50_ns: merged(&valid, |t| &t.reading).quantile(0.5),
        spill: (sliced && due > 0).then(|| spill as f64 / due as f64),
        hiccup_p99_ns: merged(&valid, |t| &t.hiccup).quantile(0.99),
        steal: (wall > 0 && cpus > 0).then(|| steal as f64 / (wall as f64 * cpus as f64)),
    }
}

/// Each reason once, with how often it struck which arm.
fn voided(trials: &[&Trial]) -> Vec<String> {
    let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for trial in trials {
        for reason in &trial.invalid {
            *reasons.entry((&trial.label, reason)).or_default() += 1;
        }
    }
    let mut notes: Vec<String> = reasons
        .into_iter()
        .map(|((arm, reason), n)| format!("{arm}: {n} invalid: {reason}"))
        .collect();
    /// Enough to see what happens without burying the table.
    const SHOWN: usize = 6;
    if notes.len() > SHOWN {
        let rest = notes.len() - SHOWN;
        notes.truncate(SHOWN);
        notes.push(format!("… and {rest} more reasons in trials.jsonl"));
    }
    notes
}

fn about_arm(arm: &ArmFigures) -> Vec<String> {
    let mut notes = Vec::new();
    let e = &arm.events.fates;
    let missing = e.failed + e.timed_out + e.lost;
    if missing > 0 && !arm.overloaded {
        notes.push(format!(
            "{}: {missing} events not acknowledged ({} failed, {} timed out, {} lost)",
            arm.arm, e.failed, e.timed_out, e.lost
        ));
    }
    if arm.events.unsolicited > 0 {
        notes.push(format!("{}: {} messages answered no event", arm.arm, arm.events.unsolicited));
    }
    if let Some((fault, n)) = arm.faults.first() {
        notes.push(format!("{}: {n}× {fault}", arm.arm));
    }
    if is_driver_bound(arm) && arm.offered_per_second.is_none() {
        notes.push(format!("{}: throughput is at least what is shown, driver-bound", arm.arm));
    }
    if arm.events.fates.due > 0 && arm.target_usage.cpu_ns_per_event.is_none() {
        notes.push(format!("{}: one process that pushbench did not start: its cost is unknown, and its blocks share it", arm.arm));
    }
    let headline = arm.fanout.as_ref().map_or(&arm.response_ns, |f| &f.delivery_ns);
    if let (Some(lag), Some(response)) = (arm.lag_ns.p99, headline.p99)
        && lag as f64 > response as f64 * LAG_TAIL_SHARE
    {
        notes.push(format!(
            "{}: the driver's lag p99 is {} µs of a {} p99 of {} µs",
            arm.arm,
            lag / 1000,
            if arm.fanout.is_some() { "delivery" } else { "response" },
            response / 1000
        ));
    }
    notes
}

fn about_deliveries(arm: &ArmFigures, trials: &Trials<'_>) -> Vec<String> {
    let mine: Vec<&Trial> =
        trials.valid.iter().flatten().copied().filter(|t| t.label == arm.arm).collect();
    let mut notes = fanout::notes(arm, &mine);
    notes.extend(idle::notes(arm, &mine));
    notes
}

/// Where the load was carried otherwise than the scenario says, or not at all.
fn about_load(scenario: &Scenario, arm: &ArmFigures) -> Vec<String> {
    let mut notes = Vec::new();
    let (wanted, in_flight) = (scenario.connections.count, scenario.connections.in_flight);
    if arm.load.in_flight < in_flight {
        notes.push(format!(
            "{}: its protocol holds {} unanswered event a connection: {} connections instead of {wanted} with {in_flight} in flight",
            arm.arm, arm.load.in_flight, arm.load.connections
        ));
    }
    let full = arm.events.fates.backlog_full;
    if full > 0 {
        notes.push(format!(
            "{}: {full} events failed because {} were waiting already (load.backlog)",
            arm.arm, scenario.load.backlog
        ));
    }
    notes
}

fn about_halves(arm: &str, halves: &Steady) -> Option<String> {
    let time = |ns: Option<u64>| ns.map_or("?".into(), |ns| units::nanos_text(ns as f64));
    let (first, second) = (time(halves.first_half_p50_ns), time(halves.second_half_p50_ns));
    if let Some(warmup) = halves.warmup_to_try_ns {
        return Some(format!(
            "{arm}: the warm-up was too short: service p50 {first} in the first half of the window, {second} in the second: try --warmup {}ms",
            warmup / 1_000_000
        ));
    }
    steady::slows_down(halves).then(|| {
        format!("{arm}: slows down while it runs: service p50 {first} in the first half of the window, {second} in the second")
    })
}

/// Metrics whose ratio from merged windows is another one than that of the blocks: some blocks, or the
/// tails of some, weigh more in the merged windows than the rest. A line for each pair of arms.
fn about_merged(comparisons: &[Comparison]) -> Vec<String> {
    let mut pairs: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for c in comparisons.iter().filter(|c| merged_disagrees(c)) {
        let merged = c.cross_checks.merged_ratio.unwrap_or_default();
        let [low, high] = c.ci95.unwrap_or_default();
        let of_pair = pairs.entry((&c.candidate, &c.baseline)).or_default();
        of_pair.push(format!("{} ×{merged:.2} [{low:.2}, {high:.2}]", c.metric));
    }
    let line = |((candidate, baseline), metrics): ((&str, &str), Vec<String>)| {
        format!(
            "{candidate} against {baseline}: merged windows give other ratios than the blocks' intervals: {}",
            metrics.join(", ")
        )
    };
    pairs.into_iter().map(line).collect()
}

/// True when the merged ratio lies outside the interval by more than what is called equivalent.
fn merged_disagrees(c: &Comparison) -> bool {
    let allowed = metrics::named(c.metric).map_or(1.0, |m| 1.0 + decide::region(m));
    match (c.p_adjusted, c.ci95, c.cross_checks.merged_ratio) {
        (Some(_), Some([low, high]), Some(merged)) => {
            merged < low / allowed || merged > high * allowed
        }
        _ => false, // not judged
    }
}

fn about_instrument(trust: &Trust) -> Option<String> {
    let spill = trust.spill.filter(|s| *s > SPILL_SHARE)?;
    Some(format!(
        "{:.0} % of the events were still open when another arm's slice began: try --set compare.design=sequential",
        spill * 100.0
    ))
}
