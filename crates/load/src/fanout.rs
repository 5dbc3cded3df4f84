//! The parts of a block that only a fan-out has: its subscribers, and the readings at its end.

use crate::assemble::{FanoutObservations, MemoryObservations};
use crate::ledger::recovery::{FaultPeriod, RecoveryRules};
use crate::ledger::{ConnectionTotals, Ledger};
use crate::subscriber::receivers::DeliveryConditions;
use crate::subscriber::{Registration, Spread, SubscribersJob};
use crate::targets::RestartTracker;
use crate::trial_group::{TrialArm, TrialGroup};
use pushbench_core::arm::ArmOption;
use pushbench_core::error::Result;
use pushbench_core::record::fanout::{Growth, KernelMemory, KernelScope, Quiet};
use pushbench_core::scenario::PathSettings;
use pushbench_core::schedule;
use pushbench_core::transport::Transport;
use pushbench_host::{clock, kernel_memory, usage};
use pushbench_path::Path;
use pushbench_sut::manifest::{BUILTIN, BUILTIN_CLOSE};
use pushbench_sut::process::Running;
use pushbench_sut::publisher;
use pushbench_sut::publisher::Subscribe;
use pushbench_wire::endpoint::Resolved;
use std::time::Duration;

/// Readings of a block that are used at its end.
pub(super) struct BlockContext<'a> {
    /// Memory before the first subscriber.
    pub memory: &'a Memory,
    /// At the end of the quiet period of an idle flow: memory, and CPU of each target since it
    /// began.
    pub quiet: Option<(Memory, Vec<u64>)>,
    /// The counts of publishers before their restart.
    pub restarts: &'a RestartTracker,
}

/// The readings of a fan-out while targets and subscribers are still connected.
pub(super) fn observe(
    group: &TrialGroup,
    targets: &[Running],
    observed_block: &BlockContext<'_>,
) -> Vec<Option<FanoutObservations>> {
    if group.arms.iter().all(|m| m.subscribers.is_none()) {
        return vec![None; group.arms.len()];
    }
    let now = observed_block.quiet.is_none().then(|| Memory::read(targets));
    let after = observed_block.quiet.as_ref().map(|(memory, _)| memory).or(now.as_ref());
    let alone = group.arms.len() == 1;
    let observed = |(i, trial_arm): (usize, &TrialArm)| {
        let subscribers = trial_arm.subscribers.as_ref()?;
        let target = &targets[i];
        let spent = observed_block.quiet.as_ref().filter(|_| target.is_ours());
        let status = publisher::status(target, &trial_arm.manifest, trial_arm.max_polling_delay());
        Some(FanoutObservations {
            acknowledged: subscribers.acknowledged,
            memory: observed_block.memory.growth(after?, i, target, alone),
            quiet_cpu_ns: spent.map(|(_, cpu)| cpu[i]),
            publisher: status.map(|now| {
                observed_block.restarts.publisher(i).map_or(now, |earlier| earlier.and(now))
            }),
        })
    };
    group.arms.iter().enumerate().map(observed).collect()
}

/// The subscribers of an arm that publishes.
pub(super) fn subscribers(
    group: &TrialGroup,
    (trial_arm, target): (&TrialArm, &Running),
    path: Option<&Path>,
    spread: Spread,
) -> Result<Option<SubscribersJob>> {
    let (Some(settings), Some(publisher)) = (&trial_arm.subscribers, &trial_arm.manifest.publisher)
    else {
        return Ok(None);
    };
    let registration = match (&publisher.subscribe, target.subscriber_port()) {
        (Subscribe::At(_, method, body), _) => {
            Registration::Request { method: method.clone(), body: body.clone() }
        }
        (Subscribe::AtStart, port) => Registration::AtStart(port),
    };
    let address = subscribe_address(trial_arm, target)?;
    // The addresses of webhooks are registered as an application does it, beside the publisher.
    let address = match path.filter(|_| trial_arm.spec.transport != Transport::Webhook) {
        Some(path) => path.resolve(&address, trial_arm.spec.has(ArmOption::H2))?,
        None => address,
    };
    let tls = trial_arm.manifest.client_tls(&address.endpoint)?;
    let tls = path.map_or(Ok(tls.clone()), |path| path.trusted(tls, &address.endpoint))?;
    Ok(Some(SubscribersJob {
        transport: trial_arm.spec.transport,
        tls,
        address,
        registration,
        settings: settings.clone(),
        spread,
        acknowledgement: publisher.acknowledgement.clone(),
        matched: publisher.matched.clone(),
        seed: group.seed,
        ends: path.map(|path| path.ends().clone()),
        length: group.slices.wall_length(),
        max_polling_delay: trial_arm.max_polling_delay(),
        restarts: group.restart_after.is_some() || group.faults.kill,
        token: publisher.token.clone(),
        verifier: publisher.deliveries.clone(),
        compression: publisher.compression,
        conditions: conditions(group, trial_arm),
    }))
}

/// What is promised to the subscribers of an arm, and what breaks; `None` where it is nothing.
fn conditions(group: &TrialGroup, trial_arm: &TrialArm) -> Option<DeliveryConditions> {
    let (guarantee, faults) = (group.guarantee, group.faults.clone());
    if guarantee.is_default() && !faults.any() {
        return None;
    }
    let builtin = [BUILTIN, BUILTIN_CLOSE].contains(&trial_arm.manifest.name.as_str());
    let receivers_connect = trial_arm.spec.transport != Transport::Webhook;
    let window = group.slices.first_wall(group.load.warmup.as_nanos() as u64);
    let disrupted = group.path.as_ref().and_then(PathSettings::disrupted_at);
    let (at, lasts, ends_connections, restarts) = match (faults.planned(), group.restart_after) {
        (Some((at, lasts)), _) => (Some(at.as_nanos() as u64), lasts, true, faults.kill),
        (None, Some(at)) => (Some(at), Duration::ZERO, true, true),
        (None, None) => (disrupted.map(|at| at.as_nanos() as u64), Duration::ZERO, false, false),
    };
    let fault = at.map(|at| FaultPeriod {
        begin: window + at,
        end: window + at + lasts.as_nanos() as u64,
        ends_connections,
        restarts,
    });
    Some(DeliveryConditions {
        resumes: builtin && receivers_connect && guarantee.retries(),
        guarantee,
        faults,
        recovery: RecoveryRules { window, fault, receivers_connect },
        window_ns: group.load.duration.as_nanos() as u64,
    })
}

/// Where subscribers subscribe: where events go, for those of whom the publisher was told at its start.
pub(super) fn subscribe_address(trial_arm: &TrialArm, target: &Running) -> Result<Resolved> {
    match trial_arm.manifest.publisher.as_ref().map(|publisher| &publisher.subscribe) {
        Some(Subscribe::At(url, ..)) => publisher::subscribe_address(target, &target.filled(url)),
        _ => Ok(target.address().clone()),
    }
}

/// The quiet period ends this long before the event, so that memory is read before anything moves.
const BEFORE_THE_EVENT_NS: u64 = 100_000_000;
/// A shorter period gives no usable figure, ns.
pub(super) const SHORTEST_QUIET_NS: u64 = 500_000_000;
/// How often to look whether the warm-up's deliveries have arrived, ns.
pub(super) const QUIET_LOOK_NS: u64 = 5_000_000;
/// Nothing is timed while it is quiet: time-outs are looked after this often, ns.
pub(super) const QUIET_STEP_NS: u64 = 500_000_000;

/// Where the quiet period of an idle flow ends, ns of the arm's own time; `None` in other flows.
pub(super) fn quiet_end(group: &TrialGroup) -> Option<u64> {
    let event = group.idle.then(|| schedule::first_measured(&group.load, group.seed))??;
    Some(event.saturating_sub(BEFORE_THE_EVENT_NS))
}

/// What stood when it began.
pub(super) struct QuietPeriod {
    at: u64,
    cpu: u64,
    totals: ConnectionTotals,
}

impl QuietPeriod {
    pub fn now(ledger: &Ledger) -> QuietPeriod {
        QuietPeriod { at: clock::now(), cpu: clock::thread_cpu(), totals: ledger.totals() }
    }

    /// What came since; the target's part is not known here.
    pub(crate) fn until_now(&self, ledger: &Ledger) -> Quiet {
        let now = ledger.totals();
        Quiet {
            ns: clock::now() - self.at,
            target_cpu_ns: None,
            driver_cpu_ns: clock::thread_cpu() - self.cpu,
            bytes_in: now.bytes_in - self.totals.bytes_in,
            bytes_out: now.bytes_out - self.totals.bytes_out,
            pings: now.pings - self.totals.pings,
            reads: Some(now.reads - self.totals.reads),
            requests: Some(now.requests - self.totals.requests),
            connections: now.connections,
            unsettled: self.totals.unsettled,
        }
    }
}

/// What was read at one instant, bytes.
pub(super) struct Memory {
    /// User memory of each target's process tree.
    targets: Vec<u64>,
    /// This process's.
    driver: u64,
    /// Kernel memory of each target in a cgroup of its own, or why there is none.
    kernels: Vec<std::result::Result<u64, String>>,
    /// The whole machine's.
    machine: Option<u64>,
}

impl Memory {
    pub fn read(targets: &[Running]) -> Memory {
        Memory {
            targets: targets.iter().map(|t| usage::tree_pss(&t.pids())).collect(),
            driver: usage::tree_pss(&[std::process::id()]),
            kernels: targets.iter().map(kernel_of).collect(),
            machine: kernel_memory::of_machine(),
        }
    }

    /// What target `i` and its surroundings have grown by until `after`. `alone`: no other arm shares
    /// the driver and the machine.
    pub fn growth(
        &self,
        after: &Memory,
        i: usize,
        target: &Running,
        alone: bool,
    ) -> MemoryObservations {
        let grown = |before, after| Growth { before, after };
        let (kernel, kernel_why) = match (&self.kernels[i], &after.kernels[i]) {
            (Ok(before), Ok(after)) => (
                Some(KernelMemory { of: KernelScope::Target, growth: grown(*before, *after) }),
                None,
            ),
            (Err(why), _) | (_, Err(why)) => {
                let both = self.machine.zip(after.machine).filter(|_| alone);
                let growth = both.map(|(before, after)| grown(before, after));
                let machine = |growth| KernelMemory { of: KernelScope::Machine, growth };
                (growth.map(machine), Some(why.clone()))
            }
        };
        MemoryObservations {
            target: target.is_ours().then(|| grown(self.targets[i], after.targets[i])),
            driver: alone.then_some(after.driver),
            kernel,
            kernel_why,
        }
    }
}

fn kernel_of(target: &Running) -> std::result::Result<u64, String> {
    let dir = target.memory_cgroup()?;
    kernel_memory::of_cgroup(&dir).ok_or_else(|| format!("{} does not report it", dir.display()))
}
