//! From what the shards and the block have seen to the record of each arm.

use crate::bursts;
use crate::shard::ArmOutcome;
use crate::timeline::TimeLine;
use crate::trial_group::{Finished, TrialArm, TrialGroup};
use pushbench_core::record::effective_config::EffectiveConfig;
use pushbench_core::record::fanout::{Fanout, Growth, KernelMemory, PublisherStatus, Quiet};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::{DriverUsage, TargetUsage, Trial};
use pushbench_core::schedule;
use pushbench_host::hiccup::Stalls;
use pushbench_host::usage;

/// What the block saw beside the shards; one entry an arm where there are several.
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
    pub driver_rss_peak: u64,
    /// What built-in servers said of themselves.
    pub in_force: Vec<Option<EffectiveConfig>>,
    /// What was asked of a fan-out at its end; `None` of another flow.
    pub fanout: Vec<Option<FanoutObservations>>,
    /// What each second brought.
    pub time_lines: Vec<TimeLine>,
}

/// What a fan-out's targets and the machine tell at its end.
#[derive(Clone)]
pub(super) struct FanoutObservations {
    /// Subscribers acknowledge.
    pub acknowledged: bool,
    /// What memory grew by.
    pub memory: MemoryObservations,
    /// CPU of the target in the quiet period.
    pub quiet_cpu_ns: Option<u64>,
    /// The publisher's own account.
    pub publisher: Option<PublisherStatus>,
}

/// Memory before the first subscriber and with all.
#[derive(Clone)]
pub(super) struct MemoryObservations {
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
    mut seen: Observations,
    shards: Vec<Vec<ArmOutcome>>,
) -> Vec<Finished> {
    let mut shards: Vec<_> = shards.into_iter().map(Vec::into_iter).collect();
    let mut finished = Vec::new();
    for (i, trial_arm) in group.arms.iter().enumerate() {
        let parts: Vec<ArmOutcome> = shards.iter_mut().filter_map(Iterator::next).collect();
        let deliveries = parts.first().and_then(|p| p.account.deliveries.clone());
        let subscribed_in_ns = parts.first().map_or(0, |p| p.subscribed_in_ns);
        let quiet = parts.first().and_then(|p| p.quiet);
        let before = parts.first().map_or(0, |p| p.memory_before);
        let mut trial = record(group, trial_arm, parts);
        trial.fanout = deliveries.zip(seen.fanout[i].take()).map(|(deliveries, seen)| Fanout {
            deliveries,
            acknowledged: seen.acknowledged,
            subscribed_in_ns,
            target_memory: seen.memory.target,
            driver_memory: seen.memory.driver.map(|after| Growth { before, after }),
            kernel_memory: seen.memory.kernel,
            kernel_memory_why: seen.memory.kernel_why,
            quiet: quiet.map(|q| Quiet { target_cpu_ns: seen.quiet_cpu_ns, ..q }),
            publisher: seen.publisher,
        });
        trial.started.clone_from(&seen.started);
        trial.in_force = seen.in_force[i].take();
        trial.target = seen.usage[i];
        trial.down_ns = seen.down_ns[i];
        trial.hiccup = seen.stalls.hists.get(i).cloned().unwrap_or_default();
        trial.driver.pause_ns = Some(seen.stalls.pause_ns);
        trial.steal_ns = seen.steal_ns;
        trial.driver.rss_peak_bytes = (group.arms.len() == 1).then_some(seen.driver_rss_peak);
        trial.invalid.extend(seen.died[i].as_ref().map(|how| format!("target {how}")));
        let time_line = std::mem::take(&mut seen.time_lines[i]);
        trial.time_line = time_line.intervals();
        finished.push(Finished { trial, seconds: time_line.into_seconds() });
    }
    finished
}

/// The part of a record that the shards and the plan know.
fn record(group: &TrialGroup, trial_arm: &TrialArm, parts: Vec<ArmOutcome>) -> Trial {
    let window_ns = group.load.duration.as_nanos() as u64;
    let shares_wall = group.arms.len() as u64;
    let mut driver = DriverUsage::default();
    for part in &parts {
        let cpu = &part.cpu;
        driver.cpu_ns += cpu.work() + part.drain_ns;
        driver.spin_ns += cpu.spun;
        driver.busy = driver.busy.max(cpu.busy());
        *driver.asleep_ns.get_or_insert_default() += cpu.asleep();
        if part.tells_waiting {
            *driver.waited_ns.get_or_insert_default() += cpu.waited;
        }
    }
    let drained_ns = bursts::merge(parts.iter().map(|p| p.drained_ns.clone()));
    let mut accounts = parts.into_iter().map(|p| p.account);
    let mut a = accounts.next().expect("every shard reports every arm");
    accounts.for_each(|other| a.merge(&other));
    let (point, block, position) = group.place;
    Trial {
        point,
        stage: group.stage,
        block,
        arm: trial_arm.arm,
        label: trial_arm.label.clone(),
        position,
        design: group.design,
        started: String::new(),
        window_ns,
        wall_ns: window_ns * shares_wall,
        offered_per_second: schedule::offered(&group.load),
        events: a.measured,
        warmup: a.warmup,
        duplicated: a.duplicated,
        reordered: a.reordered,
        late: a.late,
        unsolicited: a.unsolicited,
        sent: a.sent,
        acknowledged_in_window: a.acknowledged_in_window,
        acknowledged_by_end: a.acknowledged_by_end,
        open_at_end: a.open_at_end,
        spill: a.spill,
        backlog_peak: a.backlog_peak,
        drained_ns,
        connections: a.connections,
        connect: a.connect,
        warm_connections: trial_arm.connections as u64,
        slots: (trial_arm.connections * trial_arm.in_flight) as u64,
        response: a.response,
        unlagged: a.unlagged,
        service: a.service,
        halves: a.halves,
        split: group.split.clone(),
        strata: a.strata,
        lag: a.lag,
        reading: a.reading,
        hiccup: Hist::new(),
        peaks: a.peaks,
        time_line: Vec::new(),
        traffic: a.traffic,
        max_segment: group.max_segment,
        target: None,
        driver,
        steal_ns: 0,
        other_runs: 0,
        in_force: None,
        fanout: None,
        callbacks: a.callbacks,
        down_ns: None,
        faults: a.faults,
        invalid: Vec::new(),
        overloaded: false,
    }
}
