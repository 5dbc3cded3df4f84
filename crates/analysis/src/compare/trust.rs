//! Whether a point can be trusted: the trust line and the notes under it.

use crate::compare::figures::merged;
use crate::compare::note::{begins, beyond, is_latency};
use crate::compare::{
    ArmFigures, Comparison, FEWEST_BLOCKS, Note, Steady, Trials, Validity, completeness, decide,
    delayed_ack, fanout, guarantee, idle, steady,
};
use pushbench_core::record::findings::{Aspect, Findings, NOT_DEMANDED};
use pushbench_core::record::metrics;
use pushbench_core::record::metrics::{Family, Metric};
use pushbench_core::record::path::Calibration;
use pushbench_core::record::run::StoredRun;
use pushbench_core::record::trial::Trial;
use pushbench_core::remedy::Try;
use pushbench_core::scenario::Scenario;
use pushbench_core::units;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Spill above this means that the slices did not keep the arms apart.
const SPILL_SHARE: f64 = 0.05;
/// Lag p99 above this share of the response p99 is worth a warning.
const LAG_TAIL_SHARE: f64 = 0.5;
/// Missing events move a percentile where they are more than this share of the events beyond it.
const MISSING_SHARE: f64 = 0.1;

/// The figures of the trust line.
#[derive(Debug, Clone, Serialize)]
pub struct Trust {
    /// Valid blocks.
    pub blocks_valid: usize,
    /// Blocks run, with those that could not be measured.
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
    /// Blocks, valid or not, during which another run of pushbench measured on the same CPUs.
    pub blocks_beside_other_runs: usize,
    /// Longest time for which the driver did not run, over all blocks, ns; `null` in runs of older versions.
    pub longest_pause_ns: Option<u64>,
    /// The round trip of the path; left out without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// CPUs that driver and target shared, or whose cores they shared: their times are mixed.
    pub shared_cpus: Vec<usize>,
    /// CPU quota of the cgroup, in CPUs; `null` without one, and where it is no less than the CPUs in use.
    pub cpu_quota: Option<f64>,
}

/// True when in some trial the driver's busiest thread had no time left.
pub fn is_driver_bound(arm: &ArmFigures) -> bool {
    arm.driver_usage.trials_at_limit > 0
}

/// `the driver was at its limit in 6 of 12 trials`
pub(super) fn driver_at_limit(arm: &ArmFigures) -> String {
    let (at_limit, trials) = (arm.driver_usage.trials_at_limit, arm.driver_usage.trials);
    format!("the driver was at its limit in {at_limit} of {trials} trials")
}

/// A target that checks no sender does less than the other side.
fn not_demanded(findings: &[Findings], arm: &str) -> Option<Note> {
    let found = findings.iter().find(|f| f.arm == arm)?.of(Aspect::Authentication)?;
    let text = format!(
        "{arm}: the target checks no sender: it acknowledged events without a valid token or signature"
    );
    (found.value == NOT_DEMANDED).then(|| text.into())
}

/// Whether invalid trials and failed blocks strike one of two arms more: each is a coin toss between them
/// unless it knows the arm.
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
    let trust = Trust {
        shared_cpus: header.shared_cpus(),
        cpu_quota: header.short_quota(),
        calibration: header.points[point].calibration,
        ..trust(trials, cpus)
    };
    let mut notes: Vec<Note> = completeness::differences(run).into_iter().map(Note::from).collect();
    let (planned, scenario) =
        (header.points[point].blocks_planned(), &header.points[point].scenario);
    if run.cut {
        let cut = "trials.jsonl ends in the middle of a line: the lines before it were read";
        notes.push(cut.to_owned().into());
    }
    if !header.complete || run.cut {
        let finished = trials.blocks.len();
        notes.push(
            format!("the run is incomplete: {finished} of {planned} blocks were finished").into(),
        );
    }
    if trials.valid.len() < FEWEST_BLOCKS {
        let valid = trials.valid.len();
        notes.push(
            format!("{valid} valid blocks: at least {FEWEST_BLOCKS} are needed for a claim").into(),
        );
    }
    notes.extend(trials.failed.iter().map(|failed| Note::from(failed.to_string())));
    notes.extend(voided(&trials.all).into_iter().map(Note::from));
    for arm in arms {
        notes.extend(not_demanded(&header.findings, &arm.arm));
        notes.extend(about_arm(arm));
        notes.extend(about_deliveries(arm, trials));
        notes.extend(guarantee::notes(arm, &scenario.guarantee));
        notes.extend(about_load(scenario, arm, trials));
        let halves = arm.steady.as_ref();
        notes.extend(halves.and_then(|s| about_halves(&arm.arm, scenario.load.warmup, s)));
    }
    notes.extend(about_merged(comparisons));
    notes.extend(about_instrument(&trust));
    if !trust.shared_cpus.is_empty() {
        let mixed = "driver and target shared a core: their times are mixed".to_owned();
        notes.push(Note::from(mixed).moves(is_time));
    }
    notes.extend(trust.cpu_quota.map(|quota| {
        let text = format!(
            "a cgroup allows {quota:.2} CPUs of time for the {cpus} CPUs of driver and target: the kernel stops both when \
             it is used up; raise the quota, or lower the rate"
        );
        Note::from(text).moves(is_time)
    }));
    let beside = beside_others(trust.blocks_beside_other_runs);
    notes.extend(
        beside.map(|text| Note::from(text).moves(|m| is_time(m) || m.family == Family::Cpu)),
    );
    let notes = notes.into_iter().map(|n| n.within(|m| decide::is_judged(m, scenario))).collect();
    let complete = completeness::is_complete(run);
    let valid = trials.all.iter().all(|t| t.is_valid()) && trials.failed.is_empty();
    let whole = valid && !trials.valid.is_empty();
    Validity { ok: complete && whole, notes, trust }
}

/// What another run on the same CPUs means for these blocks.
pub(super) fn beside_others(blocks: usize) -> Option<String> {
    let plural = if blocks == 1 { "block was" } else { "blocks were" };
    (blocks > 0).then(|| {
        format!(
            "{blocks} {plural} measured while another run of pushbench used the same CPUs: start one run after the \
             other, or give each its own CPUs (--cpus)"
        )
    })
}

fn trust(trials: &Trials<'_>, cpus: usize) -> Trust {
    let valid: Vec<&Trial> = trials.valid.iter().flatten().copied().collect();
    let lag = merged(&valid, |t| &t.account.lag);
    let headline = |t: &Trial| match &t.fanout {
        Some(f) => (f.deliveries.measured.due, f.deliveries.spill),
        None => (t.account.measured.due, t.account.spill),
    };
    let due: u64 = valid.iter().map(|t| headline(t).0).sum();
    let sliced = valid
        .iter()
        .any(|t| matches!(t.design, pushbench_core::record::trial::TrialDesign::Sliced { .. }));
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
        blocks_run: trials.blocks_run(),
        lag_p50_ns: lag.quantile(0.5),
        lag_p99_ns: lag.quantile(0.99),
        reading_p50_ns: merged(&valid, |t| &t.account.reading).quantile(0.5),
        // Older versions counted an event for each slice that it outlived.
        spill: (sliced && due > 0).then(|| (spill as f64 / due as f64).min(1.0)),
        hiccup_p99_ns: merged(&valid, |t| &t.hiccup).quantile(0.99),
        // Steal is read from the warm-up to the last outcome, which is longer than the window.
        steal: (wall > 0 && cpus > 0)
            .then(|| (steal as f64 / (wall as f64 * cpus as f64)).min(1.0)),
        blocks_beside_other_runs: trials
            .blocks
            .iter()
            .filter(|b| b.iter().any(|t| t.other_runs > 0))
            .count(),
        longest_pause_ns: trials.all.iter().filter_map(|t| t.driver.pause_ns).max(),
        shared_cpus: Vec::new(),
        cpu_quota: None,
        calibration: None,
    }
}

/// Each reason once, with how often it struck which arm.
fn voided(trials: &[&Trial]) -> Vec<String> {
    let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for trial in trials {
        for reason in &trial.judged.invalid {
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

/// Latencies and throughput: what a wait moves.
fn is_time(metric: &Metric) -> bool {
    is_latency(metric) || metric.family == Family::Throughput
}

/// Whether leaving out so many events of all can move a metric: a percentile by more than a little.
pub(super) fn lacks(missing: u64, due: u64) -> impl Fn(&Metric) -> bool {
    let share = missing as f64 / due.max(1) as f64;
    move |metric| beyond(metric).is_some_and(|beyond| share > beyond * MISSING_SHARE)
}

/// The same of what events took themselves.
fn of_events(missing: u64, due: u64) -> impl Fn(&Metric) -> bool {
    let lacks = lacks(missing, due);
    move |metric| begins(metric, &["response", "service"]) && lacks(metric)
}

fn about_arm(arm: &ArmFigures) -> Vec<Note> {
    let mut notes = Vec::new();
    let e = &arm.events.outcomes;
    let missing = e.failed + e.timed_out + e.lost;
    let fans_out = arm.fanout.is_some();
    if missing > 0 && !arm.overloaded {
        let text = format!(
            "{missing} events not acknowledged ({} failed, {} timed out, {} lost)",
            e.failed, e.timed_out, e.lost
        );
        notes.push(Note::of(&arm.arm, text).moves(of_events(missing, e.due)));
    }
    if arm.answers_wait_for_acknowledgement {
        let service = arm.service_ns.p50.map_or(String::new(), |ns| {
            format!(" (service p50 {}, driver and target idle)", units::nanos_text(ns as f64))
        });
        let text = format!(
            "its answers come in two pieces 40 ms apart{service}, as when Nagle's algorithm holds the second piece back until the first is acknowledged: {}; if neither applies, look for what the server waits for between the two pieces",
            delayed_ack::CURE
        );
        notes.push(Note::of(&arm.arm, text).on(is_time));
    }
    if arm.events.unsolicited > 0 {
        let text = format!("{} messages matched no event", arm.events.unsolicited);
        notes.push(Note::of(&arm.arm, text));
    }
    if let Some((fault, n)) = arm.faults.first() {
        notes.push(Note::of(&arm.arm, format!("{n}× {fault}")));
    }
    if is_driver_bound(arm) && arm.offered_per_second.is_none() {
        let text = format!("throughput is a lower bound: {}", driver_at_limit(arm));
        notes.push(Note::of(&arm.arm, text).moves(is_time));
    }
    if arm.events.outcomes.acknowledged > 0 && arm.target_usage.cpu_ns_per_event.is_none() {
        let text = "a process that pushbench did not start serves all blocks; its cost is unknown";
        notes.push(
            Note::of(&arm.arm, text)
                .on(|m| m.family == Family::Cpu && !begins(m, &["driver_usage"])),
        );
    }
    let headline = arm.fanout.as_ref().map_or(&arm.response_ns, |f| &f.delivery_ns);
    if let (Some(lag), Some(response)) = (arm.lag_ns.p99, headline.p99)
        && lag as f64 > response as f64 * LAG_TAIL_SHARE
    {
        let text = format!(
            "the driver's lag p99 is {} µs of a {} p99 of {} µs",
            lag / 1000,
            if fans_out { "delivery" } else { "response" },
            response / 1000
        );
        let tail = |m: &Metric| beyond(m).is_some_and(|beyond| beyond < 0.1);
        let from_due = |m: &Metric| begins(m, &["response", "delivery", "last"]);
        notes.push(Note::of(&arm.arm, text).moves(|m| tail(m) && from_due(m)));
    }
    notes
}

fn about_deliveries(arm: &ArmFigures, trials: &Trials<'_>) -> Vec<Note> {
    let mine: Vec<&Trial> =
        trials.valid.iter().flatten().copied().filter(|t| t.label == arm.arm).collect();
    let mut notes = fanout::notes(arm, &mine);
    notes.extend(idle::notes(arm, &mine));
    notes
}

/// The fewest streams that the target has allowed on a connection over HTTP/2, where it limits them.
fn streams_allowed(trials: &Trials<'_>, arm: &str) -> Option<usize> {
    let mine = trials.valid.iter().flatten().filter(|t| t.label == arm);
    let limit = |words: &String| -> Option<usize> {
        let (_, most) = words.split_once("HTTP/2, at most ")?;
        most.split(' ').next()?.parse().ok()
    };
    mine.flat_map(|t| t.account.agreed.keys()).filter_map(limit).min()
}

/// Load that was carried in another way than in the scenario, or not at all.
fn about_load(scenario: &Scenario, arm: &ArmFigures, trials: &Trials<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    let (wanted, in_flight) = (scenario.connections.count, scenario.connections.in_flight);
    if arm.load.in_flight != in_flight {
        let text = format!(
            "{} × {} (connections × events in flight on each), instead of {wanted} × {in_flight}",
            arm.load.connections, arm.load.in_flight
        );
        notes.push(Note::of(&arm.arm, text).on(is_time));
    }
    if let Some(most) = streams_allowed(trials, &arm.arm).filter(|most| *most < arm.load.in_flight)
    {
        let text = format!(
            "the target allows {most} streams on a connection: {} events in flight on each, instead of {}",
            most, arm.load.in_flight
        );
        notes.push(Note::of(&arm.arm, text).on(is_time));
    }
    let full = arm.events.outcomes.backlog_full;
    if full > 0 {
        let text = format!(
            "{full} events failed because {} events were already waiting (load.backlog)",
            scenario.load.backlog
        );
        notes.push(Note::of(&arm.arm, text).moves(of_events(full, arm.events.outcomes.due)));
    }
    notes
}

fn about_halves(arm: &str, given: Duration, halves: &Steady) -> Option<Note> {
    let time = |ns: Option<u64>| ns.map_or("?".into(), |ns| units::nanos_text(ns as f64));
    let (first, second) = (time(halves.first_half_p50_ns), time(halves.second_half_p50_ns));
    let change =
        format!("service p50 {first} in the first half of the window, {second} in the second");
    let text = match halves.warmup_to_try_ns {
        Some(warmup) => {
            let longer = Try::Warmup.above(warmup / 1_000_000, given.as_millis() as f64);
            let longer = longer.map_or(String::new(), |option| format!(": try {option}"));
            format!("the warm-up was too short: {change}{longer}")
        }
        None if steady::slows_down(halves) => format!("slows down while it runs: {change}"),
        None => return None,
    };
    // What is cold takes more CPU as well.
    Some(Note::of(arm, text).moves(|m| is_time(m) || m.family == Family::Cpu))
}

/// Metrics whose ratio from merged windows is another one than that of the blocks: some blocks, or the
/// tails of some, weigh more in the merged windows than the rest. A line for each pair of arms.
fn about_merged(comparisons: &[Comparison]) -> Vec<Note> {
    let mut pairs: BTreeMap<(&str, &str), Vec<&Comparison>> = BTreeMap::new();
    for c in comparisons.iter().filter(|c| merged_disagrees(c)) {
        pairs.entry((&c.candidate, &c.baseline)).or_default().push(c);
    }
    let ratios = |c: &&Comparison| {
        let merged = c.cross_checks.merged_ratio.unwrap_or_default();
        let [low, high] = c.ci95.unwrap_or_default();
        format!("{} ×{merged:.2} [{low:.2}, {high:.2}]", c.metric)
    };
    let line = |((candidate, baseline), all): ((&str, &str), Vec<&Comparison>)| {
        let text = format!(
            "{candidate} against {baseline}: ratios of the merged windows lie outside the blocks' intervals: {}",
            all.iter().map(ratios).collect::<Vec<_>>().join(", ")
        );
        let disagree = |m: &Metric| all.iter().any(|c| c.metric == m.name);
        Note { arm: Some(candidate.to_owned()), ..Note::from(text).moves(disagree) }
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

fn about_instrument(trust: &Trust) -> Option<Note> {
    let spill = trust.spill.filter(|s| *s > SPILL_SHARE)?;
    let text = format!(
        "{:.0} % of the events were still open when another arm's slice began: try --set compare.design=sequential",
        spill * 100.0
    );
    Some(Note::from(text).moves(is_time))
}
