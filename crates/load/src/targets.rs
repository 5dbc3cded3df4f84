//! The targets of a trial: how they are started and restarted, what they spend over all their processes, and
//! why one cannot be connected to.

use crate::assemble::difference;
use crate::fanout;
use crate::trial_group::{ExecutionContext, FinishedTrial, TrialArm, TrialGroup};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::fanout::PublisherStatus;
use pushbench_core::record::guarantee::ReceiverStatus;
use pushbench_core::record::trial::TargetUsage;
use pushbench_core::scenario::PathSettings;
use pushbench_host::clock;
use pushbench_host::usage;
use pushbench_path::Path;
use pushbench_path::proxies::ProxyTask;
use pushbench_sut::process::{Launch, Running, restart};
use pushbench_sut::publisher;
use pushbench_wire::fault::ENDED;
use pushbench_wire::response_diagnostics::{BAD_GATEWAY, TLS};

/// How the target of an arm is started.
pub(super) fn launch<'a>(
    group: &TrialGroup,
    trial_arm: &'a TrialArm,
    context: &'a ExecutionContext<'_>,
) -> Launch<'a> {
    let cpus = &context.placement.target;
    let driver = group.path.as_ref().map(pushbench_path::proxies::driver_reached_at);
    Launch { manifest: &trial_arm.manifest, cpus, interrupt: context.interrupt, driver }
}

/// Starts the proxies of a path, when its target is ready.
pub(super) fn start_proxies(
    (path, settings): (&mut Path, &PathSettings),
    trial_arm: &TrialArm,
    target: &Running,
    context: &ExecutionContext<'_>,
) -> Result<()> {
    let key = trial_arm.manifest.tls.as_ref().map(|tls| tls.settings.key);
    let address = fanout::subscribe_address(trial_arm, target)?;
    let listener_tls = trial_arm.listener_tls()?.and(key);
    let task = ProxyTask {
        target_port: address.socket.port(),
        driver_port: target.subscriber_port(),
        tls: [key.filter(|_| address.endpoint.scheme.is_tls()), listener_tls],
        cpus: &context.placement.target,
        interrupt: context.interrupt,
    };
    path.start_proxies(settings, &task)
}

/// What each target has used by now.
pub(super) fn read_all(targets: &[Running]) -> Vec<usage::Reading> {
    let pids: Vec<Vec<u32>> = targets.iter().map(Running::pids).collect();
    // CPU of all of them first: reading the rest takes a while, in which one of them may be at work.
    let cpu: Vec<u64> = pids.iter().map(|pids| usage::tree_cpu(pids)).collect();
    let rest = pids.iter().map(|pids| usage::read_tree(pids));
    rest.zip(cpu).map(|(rest, cpu_ns)| usage::Reading { cpu_ns, ..rest }).collect()
}

/// An earlier process of a target.
struct PreviousProcess {
    spent: TargetUsage,
    /// What its publisher had counted just before its end.
    publisher: Option<PublisherStatus>,
    /// What it had counted as a built-in receiver.
    received: Option<ReceiverStatus>,
    ended: u64,
    /// From its end to the next one's readiness, ns; `None` until then.
    down_ns: Option<u64>,
}

/// The processes of a block's targets over restarts.
pub(super) struct RestartTracker {
    /// What each had used when the measured window began; nothing when it was started since.
    before: Vec<usage::Reading>,
    earlier: Vec<Option<PreviousProcess>>,
}

impl RestartTracker {
    pub fn of(targets: usize) -> RestartTracker {
        let before = vec![usage::Reading::default(); targets];
        RestartTracker { before, earlier: (0..targets).map(|_| None).collect() }
    }

    /// The measured window begins.
    pub fn measure(&mut self, targets: &[Running]) {
        self.before = read_all(targets);
    }

    /// What a target has spent since, over all its processes. `now`: the usage of the current one.
    pub fn spent(&self, i: usize, now: usage::Reading) -> TargetUsage {
        let spent = difference(self.before[i], now);
        self.earlier[i].as_ref().map_or(spent, |earlier| earlier.spent.and(spent))
    }

    /// Ends a life of each target, which is killed or ended when it is started again. What it had counted is kept.
    pub fn end(&mut self, targets: &[Running], group: &TrialGroup, kills: bool) -> Result<()> {
        for (i, (trial_arm, target)) in group.arms.iter().zip(targets).enumerate() {
            self.earlier[i] = Some(PreviousProcess {
                publisher: publisher::status_now(target, &trial_arm.manifest),
                received: target.received(&trial_arm.manifest),
                spent: self.spent(i, read_all(std::slice::from_ref(target))[0]),
                ended: clock::now(),
                down_ns: None,
            });
            if kills {
                target.kill().map_err(|e| Error::harness(format!("cannot kill a target: {e}")))?;
            }
        }
        Ok(())
    }

    /// Starts each target again on its port. The shards go on meanwhile.
    pub fn begin(
        &mut self,
        targets: &mut [Running],
        group: &TrialGroup,
        context: &ExecutionContext<'_>,
    ) -> Result<()> {
        for (i, (trial_arm, target)) in group.arms.iter().zip(targets).enumerate() {
            let Some(earlier) = self.earlier[i].as_mut().filter(|e| e.down_ns.is_none()) else {
                continue;
            };
            restart(target, &launch(group, trial_arm, context))?;
            earlier.down_ns = Some(clock::now() - earlier.ended);
            self.before[i] = usage::Reading::default();
        }
        Ok(())
    }

    /// Targets are down: the built-in receiver refuses all, and another one is killed.
    pub fn begin_outage(&mut self, targets: &[Running], group: &TrialGroup) -> Result<()> {
        if !group.arms[0].manifest.counts_events() {
            return self.end(targets, group, true);
        }
        signalled(targets.iter().try_for_each(Running::begin_outage))
    }

    /// Targets are up again.
    pub fn end_outage(
        &mut self,
        targets: &mut [Running],
        group: &TrialGroup,
        context: &ExecutionContext<'_>,
    ) -> Result<()> {
        if self.are_down() {
            return self.begin(targets, group, context);
        }
        signalled(targets.iter().try_for_each(Running::end_outage))
    }

    /// Targets were ended and are not started again yet.
    pub fn are_down(&self) -> bool {
        self.earlier.iter().flatten().any(|earlier| earlier.down_ns.is_none())
    }

    /// What each built-in receiver has counted over all its processes.
    pub fn received(&self, targets: &[Running], group: &TrialGroup) -> Vec<Option<ReceiverStatus>> {
        let arms = targets.iter().zip(&group.arms).zip(&self.earlier);
        let received = arms.map(|((target, trial_arm), earlier)| {
            let now = target.received(&trial_arm.manifest)?;
            Some(earlier.as_ref().and_then(|e| e.received).map_or(now, |earlier| earlier.and(&now)))
        });
        received.collect()
    }

    /// How long each was down; `None` where it was not.
    pub fn down_ns(&self) -> Vec<Option<u64>> {
        self.earlier.iter().map(|e| e.as_ref().and_then(|e| e.down_ns)).collect()
    }

    /// What a target's publisher had counted before it was restarted.
    pub fn publisher(&self, i: usize) -> Option<PublisherStatus> {
        self.earlier[i].as_ref()?.publisher
    }
}

fn signalled(sent: std::io::Result<()>) -> Result<()> {
    sent.map_err(|e| Error::harness(format!("cannot signal a target: {e}")))
}

/// Adds a TLS hint to the faults of targets that acknowledged nothing.
pub(super) fn add_tls_hints(finished: &mut [FinishedTrial], targets: &[Running]) {
    for (f, target) in finished.iter_mut().zip(targets) {
        let trial = &mut f.trial;
        let none_acknowledged =
            trial.account.measured.acknowledged + trial.account.warmup.acknowledged == 0;
        // A server that closes the connection may require TLS; one that sends nothing does not.
        if !none_acknowledged || !trial.account.faults.keys().any(|fault| fault.starts_with(ENDED))
        {
            continue;
        }
        let more = hint(target);
        let faults = std::mem::take(&mut trial.account.faults);
        trial.account.faults = faults.into_iter().map(|(fault, n)| (fault + &more, n)).collect();
    }
}

/// Adds to the faults of an arm of which nothing got through the proxies of its path what would let it through.
pub(super) fn add_cure(finished: &mut [FinishedTrial], cure: Option<&str>) {
    for FinishedTrial { trial, .. } in finished {
        let received = trial.fanout.as_ref().map(|f| f.deliveries.measured.received);
        let outcomes = [&trial.account.measured, &trial.account.warmup];
        let acknowledged: u64 = outcomes.iter().map(|o| o.acknowledged).sum();
        let Some(cure) = cure.filter(|_| received.unwrap_or(acknowledged) == 0) else { continue };
        let faults = std::mem::take(&mut trial.account.faults);
        // The proxy and the server behind it are ours.
        let cured = |(fault, n): (String, u64)| {
            (format!("{}; {cure}", fault.replace(&format!("; {BAD_GATEWAY}"), "")), n)
        };
        trial.account.faults = faults.into_iter().map(cured).collect();
    }
}

/// The warm connections of an arm could not be opened.
pub(super) fn cannot_connect(
    group: &TrialGroup,
    arm: usize,
    target: &mut Running,
    why: &str,
) -> Error {
    let trial_arm = &group.arms[arm];
    // The driver has the subscribers, or it is the sender.
    let towards_receiver = trial_arm.subscribers.is_none();
    let obstacle = group.path.as_ref().and_then(|path| path.obstacle(towards_receiver));
    if let Some(obstacle) = obstacle {
        return Error::target(format!(
            "{}: nothing gets through: {obstacle} ({why})",
            trial_arm.label
        ));
    }
    let more = match target.exited() {
        Some(how) => format!("; the target {how}"),
        None if why.contains(TLS) => String::new(),
        None => hint(target),
    };
    let tail = match target.output_tail().trim() {
        "" => String::new(),
        tail => format!("\nits last output:\n{tail}"),
    };
    Error::target(format!(
        "{}: cannot open {} connections to {}: {why}{more}; check that it serves {} there{tail}",
        trial_arm.label,
        trial_arm.connections,
        target.address().endpoint,
        trial_arm.spec.transport.name(),
    ))
}

/// `; it uses TLS there …`, or nothing.
fn hint(target: &Running) -> String {
    if target.speaks_tls() { format!("; {TLS}") } else { String::new() }
}
