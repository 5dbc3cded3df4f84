//! The records of a trial group from several machines in one. Counts and histograms are added up without loss: each due
//! event belongs to exactly one shard.

use crate::cluster::clocks::TrialClock;
use crate::cluster::protocol::Driven;
use pushbench_analysis::validity;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::fanout;
use pushbench_core::record::fanout::{Audience, Deliveries, EventRecords, Fanout};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::interval::{Interval, IntervalCounts};
use pushbench_core::record::trial::{DriverUsage, MachineTrial, Trial};
use pushbench_core::scenario::Subscribers;
use pushbench_core::units::nanos_text;
use pushbench_load::assemble::drained;
use pushbench_load::target_side::TargetRecord;
use pushbench_load::trial_group::{FinishedTrial, TrialGroup};
use std::collections::BTreeMap;

/// Merges what each driver, by rank, and the target saw. `clocks`: of each rank.
///
/// # Errors
/// A driver has not reported every arm.
pub fn merged(
    group: &TrialGroup,
    driven: Vec<(usize, Vec<Driven>)>,
    (target, mut observed): (usize, TargetRecord),
    clocks: &[TrialClock],
) -> Result<Vec<FinishedTrial>> {
    let ranks: Vec<usize> = driven.iter().map(|(rank, _)| *rank).collect();
    let mut of_ranks: Vec<_> = driven.into_iter().map(|(_, trials)| trials.into_iter()).collect();
    let mut all = Vec::new();
    for (i, arm) in group.arms.iter().enumerate() {
        let parts: Option<Vec<Driven>> = of_ranks.iter_mut().map(Iterator::next).collect();
        let mut parts = parts.ok_or_else(|| {
            Error::harness(format!("{}: a driver has reported nothing of it", arm.label))
        })?;
        let ended = observed.died[i].take();
        let response = response(&parts);
        let mut machines: Vec<MachineTrial> = ranks
            .iter()
            .zip(&parts)
            .map(|(rank, part)| of_driver(*rank, part, response, &clocks[*rank]))
            .collect();
        let fanout = merged_fanout(group, &mut parts);
        let (mut trial, seconds) = merged_trials(parts)?;
        trial.fanout = fanout;
        machines.push(MachineTrial {
            rank: target,
            due: None,
            acknowledged: None,
            received: None,
            driver: None,
            steal_ns: observed.steal_ns,
            pause_ns: observed.pause_ns,
            clock_offset_ns: clocks[target].at_origin.ns,
            clock_uncertainty_ns: clocks[target].uncertainty,
            margin_ns: None,
            invalid: stopped(&trial, observed.pause_ns)
                .into_iter()
                .chain(clocks[target].jumped.clone())
                .collect(),
        });
        machines.sort_by_key(|machine| machine.rank);
        if let Some((fanout, seen)) = trial.fanout.as_mut().zip(observed.fanout[i].take()) {
            (fanout.target_memory, fanout.publisher) = (seen.memory.target, seen.publisher);
            (fanout.kernel_memory, fanout.kernel_memory_why) =
                (seen.memory.kernel, seen.memory.kernel_why);
        }
        trial.started = observed.started.clone();
        trial.target = observed.usage[i];
        trial.in_force = observed.in_force[i].take();
        trial.steal_ns = trial.steal_ns.max(observed.steal_ns);
        trial.hiccup.merge(&observed.hiccup[i]);
        trial.machines = machines;
        let event_records = EventRecords::default();
        all.push(FinishedTrial { trial, ended, seconds, event_records });
    }
    Ok(all)
}

/// Whether the machine of the targets did not run for so long that a driver's trial would be void.
fn stopped(trial: &Trial, pause_ns: u64) -> Vec<String> {
    let mut alone = trial.clone();
    alone.driver.pause_ns = Some(pause_ns);
    let paused = alone.paused_ns();
    paused
        .map(|ns| format!("its machine did not run for {}", nanos_text(ns as f64)))
        .into_iter()
        .collect()
}

/// The median over all drivers, ns: what each one's lateness is measured by.
fn response(parts: &[Driven]) -> u64 {
    let mut all = Hist::new();
    parts.iter().for_each(|part| all.merge(validity::headline(&part.trial)));
    all.quantile(0.5).unwrap_or(0)
}

/// What one driver contributed, judged by itself. `response`: the median over all, ns.
fn of_driver(rank: usize, part: &Driven, response: u64, clock: &TrialClock) -> MachineTrial {
    // What was counted is judged of all together.
    let mut invalid = validity::faults_beside(&part.trial, response);
    invalid.extend(clock.jumped.clone());
    if part.margin_ns < 0 {
        invalid.push("it knew the common origin only after that had passed".to_owned());
    }
    MachineTrial {
        rank,
        due: Some(part.trial.account.measured.due),
        acknowledged: Some(part.trial.account.measured.acknowledged),
        received: part.trial.fanout.as_ref().map(|fanout| fanout.deliveries.measured.received),
        driver: Some(part.trial.driver),
        steal_ns: part.trial.steal_ns,
        pause_ns: part.trial.driver.pause_ns.unwrap_or(0),
        clock_offset_ns: clock.at_origin.ns,
        clock_uncertainty_ns: clock.uncertainty,
        margin_ns: Some(part.margin_ns),
        invalid,
    }
}

/// The same events in one record, and what each second brought.
fn merged_trials(parts: Vec<Driven>) -> Result<(Trial, Vec<(u64, Hist)>)> {
    let bursts = drained(parts.iter().map(|part| part.trial.drained_ns.clone()));
    let (time_line, seconds) = time_line(&parts);
    let mut parts = parts.into_iter().map(|part| part.trial);
    let mut whole = parts.next().ok_or_else(|| Error::harness("no driver took part".to_owned()))?;
    for part in parts {
        whole.account.merge(&part.account);
        whole.hiccup.merge(&part.hiccup);
        whole.driver = together(whole.driver, part.driver);
        whole.steal_ns = whole.steal_ns.max(part.steal_ns);
        whole.other_runs = whole.other_runs.max(part.other_runs);
    }
    (whole.drained_ns, whole.time_line) = (bursts, time_line);
    Ok((whole, seconds))
}

/// The subscribers of all drivers; `None` in other flows.
fn merged_fanout(group: &TrialGroup, parts: &mut [Driven]) -> Option<Fanout> {
    let taken = parts.iter_mut().map(|part| {
        let mut fanout = part.trial.fanout.take()?;
        let none = Deliveries::new(&Audience::default());
        let deliveries = std::mem::replace(&mut fanout.deliveries, none);
        Some((fanout, (deliveries, std::mem::take(&mut part.event_records))))
    });
    let (fanouts, deliveries): (Vec<Fanout>, Vec<_>) =
        taken.collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let mut whole = fanouts.into_iter().reduce(|whole, other| Fanout {
        subscribed_in_ns: whole.subscribed_in_ns.max(other.subscribed_in_ns),
        driver_memory: whole.driver_memory.zip(other.driver_memory).map(|(a, b)| a.and(b)),
        ..whole
    })?;
    let one_each = group.arms.iter().filter_map(|arm| arm.subscribers.as_ref());
    let one_each = one_each.map(Subscribers::audience).any(|audience| audience.one_each);
    whole.deliveries = fanout::merged(deliveries, group.load.timeout.as_nanos() as u64, one_each)?;
    Some(whole)
}

/// Work is added up; what limits is that of the machine that was worst.
fn together(a: DriverUsage, b: DriverUsage) -> DriverUsage {
    let sum = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
    DriverUsage {
        cpu_ns: a.cpu_ns + b.cpu_ns,
        spin_ns: a.spin_ns + b.spin_ns,
        busy: a.busy.max(b.busy),
        asleep_ns: sum(a.asleep_ns, b.asleep_ns),
        waited_ns: sum(a.waited_ns, b.waited_ns),
        pause_ns: a.pause_ns.max(b.pause_ns),
        rss_peak_bytes: sum(a.rss_peak_bytes, b.rss_peak_bytes),
    }
}

fn time_line(parts: &[Driven]) -> (Vec<Interval>, Vec<(u64, Hist)>) {
    let mut all: BTreeMap<u64, (IntervalCounts, u64)> = BTreeMap::new();
    for part in parts {
        let responses: BTreeMap<u64, &Hist> =
            part.seconds.iter().map(|(s, hist)| (*s, hist)).collect();
        for interval in &part.trial.time_line {
            let counts = IntervalCounts {
                responses: responses
                    .get(&interval.second)
                    .map_or_else(Hist::new, |hist| (*hist).clone()),
                due: interval.due,
                backlog_peak: interval.backlog_peak,
            };
            let (known, rss) = all.entry(interval.second).or_default();
            known.merge(&counts);
            *rss += interval.driver_rss_bytes;
        }
    }
    let intervals = all.iter().map(|(second, (counts, rss))| Interval::of(*second, counts, *rss));
    let intervals = intervals.collect();
    (intervals, all.into_iter().map(|(second, (counts, _))| (second, counts.responses)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_analysis::compare::sample::{self, Block};
    use pushbench_core::schedule::Schedule;
    use pushbench_host::usage;
    use std::time::Instant;

    /// What shard `i` of `n` records of a schedule whose events each take a time that depends on their index.
    fn shard(whole: &Trial, load: &pushbench_core::scenario::Load, i: usize, n: usize) -> Driven {
        let mut trial = whole.clone();
        let account = &mut trial.account;
        (account.response, account.measured.due, account.measured.acknowledged) =
            (Hist::new(), 0, 0);
        let mut second = Hist::new();
        for due in Schedule::new(load, 5, i, n).unwrap() {
            let took = 1_000 + due.index * 7_919 % 1_000_000;
            account.response.record(took);
            second.record(took);
            account.measured.due += 1;
            account.measured.acknowledged += 1;
        }
        let counts = IntervalCounts {
            responses: second.clone(),
            due: account.measured.due,
            backlog_peak: 1,
        };
        trial.time_line = vec![Interval::of(0, &counts, 1)];
        let event_records = EventRecords::default();
        Driven { trial, seconds: vec![(0, second)], event_records, margin_ns: 1 }
    }

    fn sample_of(rate: f64) -> (Trial, pushbench_core::scenario::Load) {
        let mut load = sample::ratios(1.0, 1.0).header.points.remove(0).scenario.load;
        (load.rate, load.warmup) = (Some(rate), std::time::Duration::ZERO);
        (sample::trial("a", 0, 0, &Block::of(1_000_000, 1_000)), load)
    }

    /// However many machines there are, the merged histogram is that of one, bucket by bucket, and every due event is
    /// counted once.
    #[test]
    fn merged_shards_are_the_whole() {
        let (whole, load) = sample_of(20_000.0);
        let alone = shard(&whole, &load, 0, 1);
        for n in [2, 3, 7, 64] {
            let parts = (0..n).map(|i| shard(&whole, &load, i, n)).collect();
            let (merged, seconds) = merged_trials(parts).unwrap();
            assert_eq!(merged.account.response, alone.trial.account.response, "{n}");
            assert_eq!(merged.account.measured, alone.trial.account.measured, "{n}");
            assert_eq!(seconds, alone.seconds, "{n}");
            assert_eq!(merged.time_line[0].due, alone.trial.time_line[0].due);
            assert_eq!(merged.time_line[0].p99, alone.trial.time_line[0].p99);
        }
    }

    /// A pause of the machine of the targets voids the trial as one of a driver does.
    #[test]
    fn a_target_machine_that_stood_still_is_not_valid() {
        let (whole, _) = sample_of(1_000.0);
        assert!(stopped(&whole, 1_000_000).is_empty());
        assert_eq!(stopped(&whole, whole.wall_ns).len(), 1);
    }

    /// A thousand machines in one process. Writes `results/merge-simulation/figures.json`:
    /// `cargo test --release --lib a_thousand -- --ignored`.
    #[test]
    #[ignore = "writes the figures of results/; merged_shards_are_the_whole checks the merge"]
    fn a_thousand_shards_merge_in_linear_time() {
        let (whole, load) = sample_of(1_000_000.0);
        let alone = shard(&whole, &load, 0, 1);
        let mut figures = Vec::new();
        for n in [250, 500, 1_000] {
            let frames: Vec<Vec<u8>> = (0..n)
                .map(|i| serde_json::to_vec(&vec![shard(&whole, &load, i, n)]).unwrap())
                .collect();
            let bytes: usize = frames.iter().map(Vec::len).sum();
            usage::reset_own_peak();
            let began = Instant::now();
            let blocks = 12;
            for _ in 0..blocks {
                let parts =
                    frames.iter().flat_map(|f| serde_json::from_slice::<Vec<Driven>>(f).unwrap());
                let (merged, _) = merged_trials(parts.collect()).unwrap();
                assert_eq!(merged.account.response, alone.trial.account.response);
            }
            let peak = usage::read_tree(&[std::process::id()]).rss_peak_bytes >> 20;
            figures.push(serde_json::json!({
                "shards": n,
                "blocks": blocks,
                "seconds": began.elapsed().as_secs_f64(),
                "peak_mib": peak,
                "bytes_per_shard_and_block": bytes / n,
                "merged_is_exact": true,
            }));
        }
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/results/merge-simulation");
        std::fs::create_dir_all(dir).unwrap();
        let text = serde_json::to_string_pretty(&figures).unwrap() + "\n";
        std::fs::write(format!("{dir}/figures.json"), text).unwrap();
    }
}
