//! Builds the record of each arm from the results of the shards and the block.

use crate::ingest_guarantee;
use crate::publisher_account::explained;
use crate::shard::ArmOutcome;
use crate::trial_group::{FinishedTrial, TrialGroup};
use pushbench_core::record::effective_config::EffectiveConfig;
use pushbench_core::record::fanout::{Fanout, Growth, KernelMemory, PublisherStatus, Quiet};
use pushbench_core::record::guarantee::ReceiverStatus;
use pushbench_core::record::histogram::{Compact, Hist};
use pushbench_core::record::interval::{Interval, IntervalCounts};
use pushbench_core::record::path::PathRecord;
use pushbench_core::record::trial::{DriverUsage, Judged, TargetUsage, Trial};
use pushbench_core::schedule;
use pushbench_core::transport::Transport;
use pushbench_host::hiccup::Stalls;
use pushbench_host::usage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The block's own observations; one entry per arm in each list.
pub(super) struct Observations {
    /// When the targets were ready, UTC.
    pub started: String,
    /// What the targets spent; `None` for one that is not ours.
    pub usage: Vec<Option<TargetUsage>>,
    /// How long each was down when it was restarted; `None` where it was not.
    pub down_ns: Vec<Option<u64>>,
    /// The machine's stalls.
    pub stalls: Stalls,
    /// Time the hypervisor took.
    pub steal_ns: u64,
    /// How targets ended that should not have.
    pub died: Vec<Option<String>>,
    /// Peak memory of this process.
    pub(crate) driver_rss_peak: u64,
    /// The effective configuration of built-in servers.
    pub in_force: Vec<Option<EffectiveConfig>>,
    /// Readings of a fan-out at its end; `None` in other flows.
    pub fanout: Vec<Option<FanoutObservations>>,
    /// What built-in receivers have counted.
    pub received: Vec<Option<ReceiverStatus>>,
    /// Other runs that measured on the same CPUs.
    pub other_runs: u64,
}

/// Readings of a fan-out's target and the machine at its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FanoutObservations {
    /// Subscribers acknowledge.
    pub acknowledged: bool,
    /// What memory grew by.
    pub memory: MemoryObservations,
    /// CPU of the target in the quiet period, ns.
    pub quiet_cpu_ns: Option<u64>,
    /// The publisher's own account.
    pub publisher: Option<PublisherStatus>,
}

/// Memory before the first subscriber and with all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemoryObservations {
    /// The target's.
    pub target: Option<Growth>,
    /// The driver's with all of them, where no other arm shares it, bytes.
    pub driver: Option<u64>,
    /// The kernel's.
    pub kernel: Option<KernelMemory>,
    /// Why it is not the target's own.
    pub kernel_why: Option<String>,
}

/// What a target spent between two readings.
pub(super) fn difference(before: usage::Reading, after: usage::Reading) -> TargetUsage {
    TargetUsage {
        cpu_ns: after.cpu_ns.saturating_sub(before.cpu_ns),
        voluntary_switches: after.voluntary_switches.saturating_sub(before.voluntary_switches),
        involuntary_switches: after
            .involuntary_switches
            .saturating_sub(before.involuntary_switches),
        end: after,
    }
}

/// The records of a trial group's arms. `shards`: what each shard leaves of each arm.
pub(super) fn records(
    group: &TrialGroup,
    mut observations: Observations,
    shards: Vec<Vec<ArmOutcome>>,
    time_lines: Vec<TimeLine>,
    path: Option<PathRecord>,
) -> Vec<FinishedTrial> {
    let mut shards: Vec<_> = shards.into_iter().map(Vec::into_iter).collect();
    let arms = (0..group.arms.len()).zip(time_lines);
    arms.map(|(i, time_line)| {
        let mut parts: Vec<ArmOutcome> = shards.iter_mut().filter_map(Iterator::next).collect();
        let first = parts.first_mut();
        let event_records = first.map(|first| std::mem::take(&mut first.event_records));
        FinishedTrial {
            trial: Trial {
                path: path.clone(),
                ..record(group, i, parts, &mut observations, &time_line)
            },
            event_records: event_records.unwrap_or_default(),
            ended: observations.died[i].take(),
            seconds: time_line.into_seconds(),
        }
    })
    .collect()
}

fn record(
    group: &TrialGroup,
    i: usize,
    parts: Vec<ArmOutcome>,
    observations: &mut Observations,
    time_line: &TimeLine,
) -> Trial {
    let window_ns = group.load.duration.as_nanos() as u64;
    let alone = group.arms.len() == 1;
    let driver = driver_usage(&parts, observations, alone);
    let drained_ns = drained(parts.iter().map(|p| p.drained_ns.clone()));
    let mut parts = parts.into_iter();
    let first = parts.next().expect("every shard reports every arm");
    let publisher = observations.fanout[i].as_ref().and_then(|fanout| fanout.publisher);
    let by = (group.guarantee.retries(), group.arms[i].spec.transport == Transport::Webhook);
    let guarantee = first.guarantee.map(|record| explained(record, publisher.as_ref(), by));
    // One shard has all subscribers.
    let fanout =
        first.deliveries.zip(observations.fanout[i].take()).map(|(deliveries, observations)| {
            Fanout {
                deliveries,
                acknowledged: observations.acknowledged,
                subscribed_in_ns: first.subscribed_in_ns,
                target_memory: observations.memory.target,
                driver_memory: observations
                    .memory
                    .driver
                    .map(|after| Growth { before: first.memory_before, after }),
                kernel_memory: observations.memory.kernel,
                kernel_memory_why: observations.memory.kernel_why,
                quiet: first.quiet.map(|q| Quiet { target_cpu_ns: observations.quiet_cpu_ns, ..q }),
                publisher: observations.publisher,
            }
        });
    let (mut account, mut attempts) = (first.account, first.attempts);
    for other in parts {
        account.merge(&other.account);
        attempts.iter_mut().zip(&other.attempts).for_each(|(mine, theirs)| mine.merge(theirs));
    }
    let received = observations.received[i];
    let of_ingest =
        attempts.map(|attempts| ingest_guarantee::record(group, (&account, &attempts), received));
    let guarantee = guarantee.or(of_ingest);
    let (point, block, position) = group.place;
    let trial_arm = &group.arms[i];
    Trial {
        point,
        stage: group.stage,
        block,
        arm: trial_arm.arm,
        label: trial_arm.label.clone(),
        position,
        design: group.design,
        started: observations.started.clone(),
        window_ns,
        wall_ns: window_ns * group.arms.len() as u64,
        offered_per_second: schedule::offered(&group.load),
        account,
        drained_ns,
        warm_connections: trial_arm.connections as u64,
        slots: (trial_arm.connections * trial_arm.in_flight) as u64,
        split: group.split.clone(),
        hiccup: observations.stalls.hists.get(i).cloned().unwrap_or_default(),
        time_line: time_line.intervals(),
        max_segment: group.max_segment,
        target: observations.usage[i],
        driver,
        steal_ns: observations.steal_ns,
        other_runs: observations.other_runs,
        in_force: observations.in_force[i].take(),
        fanout,
        down_ns: observations.down_ns[i],
        path: None,
        guarantee,
        machines: Vec::new(),
        judged: Judged::default(),
    }
}

fn driver_usage(parts: &[ArmOutcome], observations: &Observations, alone: bool) -> DriverUsage {
    let mut driver = DriverUsage {
        pause_ns: Some(observations.stalls.pause_ns),
        rss_peak_bytes: alone.then_some(observations.driver_rss_peak),
        ..DriverUsage::default()
    };
    for part in parts {
        let cpu = &part.cpu;
        driver.cpu_ns += cpu.work() + part.drain_ns;
        driver.spin_ns += cpu.spun;
        driver.busy = driver.busy.max(cpu.busy());
        *driver.asleep_ns.get_or_insert_default() += cpu.asleep();
        if part.waiting_is_known {
            *driver.waited_ns.get_or_insert_default() += cpu.waited;
        }
    }
    driver
}

/// What each second of one arm brought.
#[derive(Default)]
pub(super) struct TimeLine(BTreeMap<u64, Second>);

struct Second {
    due: u64,
    backlog_peak: u64,
    /// A long trial has many seconds (law 12).
    responses: Compact,
    driver_rss_bytes: u64,
}

impl TimeLine {
    /// Adds what one shard saw of a second; `driver_rss_bytes` is read when it arrives.
    pub fn add(&mut self, second: u64, mut counts: IntervalCounts, driver_rss_bytes: u64) {
        if let Some(known) = self.0.get(&second) {
            counts.merge(&known.counts());
        }
        let responses = counts.responses.compact();
        let (due, backlog_peak) = (counts.due, counts.backlog_peak);
        self.0.insert(second, Second { due, backlog_peak, responses, driver_rss_bytes });
    }

    /// The figures of every second.
    pub fn intervals(&self) -> Vec<Interval> {
        let figures = |(n, s): (&u64, &Second)| Interval::of(*n, &s.counts(), s.driver_rss_bytes);
        self.0.iter().map(figures).collect()
    }

    /// The responses of every second.
    pub(crate) fn into_seconds(self) -> Vec<(u64, Hist)> {
        self.0.into_iter().map(|(n, s)| (n, s.responses.unpack())).collect()
    }
}

impl Second {
    fn counts(&self) -> IntervalCounts {
        IntervalCounts {
            responses: self.responses.unpack(),
            due: self.due,
            backlog_peak: self.backlog_peak,
        }
    }
}

/// The bursts of a trial and when each one's queue was gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Bursts {
    /// Ends of the bursts in the arm's own time, ns, earliest first.
    ends: Vec<u64>,
    /// Time from a burst's end to the first event that found no queue; as many as are known.
    drained: Vec<u64>,
}

impl Bursts {
    pub fn new(ends: Vec<u64>) -> Bursts {
        Bursts { ends, drained: Vec::new() }
    }

    /// An event came due `at`; `alone`: no other was waiting for a connection.
    pub fn note(&mut self, at: u64, alone: bool) {
        if let Some(&end) = self.ends.get(self.drained.len())
            && alone
            && at >= end
        {
            self.drained.push(at - end);
        }
    }

    /// For each burst the time to drain, `None` when its queue outlived the next one or the window.
    pub fn finish(self) -> Vec<Option<u64>> {
        let next = |i: usize| self.ends.get(i + 1).copied().unwrap_or(u64::MAX);
        let drained = |(i, end): (usize, &u64)| {
            self.drained.get(i).copied().filter(|took| end + took < next(i))
        };
        self.ends.iter().enumerate().map(drained).collect()
    }
}

/// Over shards: the queues of all have to be gone.
pub fn drained(shards: impl Iterator<Item = Vec<Option<u64>>>) -> Vec<Option<u64>> {
    let both = |a: Vec<Option<u64>>, b: Vec<Option<u64>>| {
        a.into_iter().zip(b).map(|(a, b)| Some(a?.max(b?))).collect()
    };
    shards.reduce(both).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(values: &[u64]) -> IntervalCounts {
        let mut counts = IntervalCounts { due: 7, backlog_peak: 2, ..IntervalCounts::default() };
        values.iter().for_each(|v| counts.responses.record(*v));
        counts
    }

    #[test]
    fn shards_of_the_same_second_are_merged_without_loss() {
        let mut line = TimeLine::default();
        line.add(1, counts(&[5, 1_000_000]), 10);
        line.add(0, counts(&[]), 20);
        line.add(1, counts(&[70_000]), 30);
        let intervals = line.intervals();
        assert_eq!(intervals.iter().map(|i| i.second).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((intervals[1].due, intervals[1].backlog_peak), (14, 4));
        assert_eq!((intervals[1].acknowledged, intervals[1].driver_rss_bytes), (3, 30));
        let mut all = Hist::new();
        [5, 70_000, 1_000_000].into_iter().for_each(|v| all.record(v));
        assert_eq!(line.into_seconds()[1], (1, all));
    }
}

#[cfg(test)]
mod bursts_tests {
    use super::*;

    #[test]
    fn the_first_event_without_a_queue_ends_the_drain() {
        let mut bursts = Bursts::new(vec![100, 300, 500]);
        for (at, alone) in [(50, true), (101, false), (120, true), (130, false), (520, true)] {
            bursts.note(at, alone);
        }
        // The second burst's queue was still there when the third one ended; then both are gone.
        assert_eq!(bursts.finish(), [Some(20), None, None]);
    }

    #[test]
    fn every_shard_must_have_drained() {
        let shards = vec![vec![Some(3), Some(1), None], vec![Some(2), Some(9), Some(1)]];
        assert_eq!(drained(shards.into_iter()), [Some(3), Some(9), None]);
    }
}
