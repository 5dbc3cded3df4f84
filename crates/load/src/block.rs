//! A trial group, from fresh target processes to finished records.

use crate::assemble::{Observations, TimeLine};
use crate::fanout::{BlockContext, Memory};
use crate::other_runs::OtherRuns;
use crate::recovery_cpu::CpuSamples;
use crate::scheduled_actions::{Action, ScheduledActions, TICK};
use crate::shard::{ArmJob, ArmOutcome, BlockJob, ShardContext, ShardMessage};
use crate::subscriber::Spread;
use crate::targets::{RestartTracker, launch};
use crate::trial_group::{ExecutionContext, FinishedTrial, TrialArm, TrialGroup, TrialObserver};
use crate::{assemble, fanout, ingest_guarantee, shard, targets};
use pushbench_core::arm::ArmOption;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::effective_config::EffectiveConfig;
use pushbench_core::record::fanout::Share;
use pushbench_core::record::trial::Stage;
use pushbench_core::scenario::PathSettings;
use pushbench_core::transport::Transport;
use pushbench_host::hiccup::{Hiccups, Span};
use pushbench_host::{clock, cpus, usage};
use pushbench_path::proxies::Opens;
use pushbench_path::{Path, Side};
use pushbench_sut::process::{Launch, Running, start_all, stop_all};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between the last connection and the first event, so that every thread is ready.
const LEAD_TIME_NS: u64 = 5_000_000;

/// Shards of the driver on so many CPUs. `connections`: of the arm with fewest. Every subscriber of a fan-out
/// gets every event: one shard sees when the last one has it.
pub fn shards(cpus: usize, connections: usize, fans_out: bool) -> usize {
    if fans_out { 1 } else { cpus.clamp(1, connections.max(1)) }
}

/// Drives a trial group to its records. An error means that nothing could be measured.
pub fn run(
    group: &TrialGroup,
    context: &ExecutionContext<'_>,
    observer: &mut dyn TrialObserver,
) -> Result<Vec<FinishedTrial>> {
    let other_runs =
        OtherRuns::announce(&context.placement.all(), context.part.map(|part| part.run));
    let before = other_runs.others();
    let cpus = &context.placement.driver;
    let publishes = group.arms.iter().any(|arm| arm.subscribers.is_some());
    let receiver = if publishes { Side::Near } else { Side::Far };
    let opens = group.arms.first().map_or(Opens { driver: true, target: false }, TrialArm::opens);
    let open = |path| Path::open(path, receiver, opens, group.seed, cpus);
    let mut path = group.path.as_ref().map(open).transpose()?;
    // What this thread starts and connects to is in the target's namespace; shards are in the driver's.
    let _inside = path.as_ref().map(|path| path.ends().target.enter()).transpose();
    let _inside =
        _inside.map_err(|e| Error::harness(format!("cannot enter a network namespace: {e}")))?;
    let launches: Vec<Launch<'_>> = group.arms.iter().map(|m| launch(group, m, context)).collect();
    let targets = start_all(&launches)?;
    if let (Some(path), Some(settings)) = (&mut path, &group.path) {
        targets::start_proxies((path, settings), &group.arms[0], &targets[0], context)?;
    }
    let mut block_run = BlockRun::begin(group, context, targets, path)?;
    // One of two that overlap begins or ends within the other.
    let other_runs = || before.max(other_runs.others()) as u64;
    let observations = block_run.measure(group, context, observer, other_runs);
    let outcomes = block_run.end();
    let targets = std::mem::take(&mut block_run.targets);
    let mut records = observations.and_then(|observations| {
        let path = block_run.path.take();
        let transport = group.arms[0].spec.transport;
        let stream = matches!(transport, Transport::Websocket | Transport::Sse);
        let cure = path.as_ref().and_then(|path| path.cure(stream));
        let path = path.map(Path::finish);
        let time_lines = std::mem::take(&mut block_run.time_lines);
        let mut records = assemble::records(group, observations, outcomes?, time_lines, path);
        targets::add_cure(&mut records, cure.as_deref());
        add_recovery_cpu(&mut records, &block_run.cpu_samples);
        Ok(records)
    });
    if let Ok(finished) = &mut records {
        targets::add_tls_hints(finished, &targets);
    }
    stop_all(targets);
    records
}

struct BlockRun {
    targets: Vec<Running>,
    stop: Arc<AtomicBool>,
    origin: Arc<AtomicU64>,
    messages: Receiver<ShardMessage>,
    threads: Vec<JoinHandle<()>>,
    time_lines: Vec<TimeLine>,
    outcomes: Vec<std::io::Result<Vec<ArmOutcome>>>,
    started: String,
    in_force: Vec<Option<EffectiveConfig>>,
    cpus: Vec<usize>,
    /// Before the first subscriber.
    memory: Memory,
    restarts: RestartTracker,
    /// Where a fault is planned.
    cpu_samples: Vec<CpuSamples>,
    path: Option<Path>,
}

impl BlockRun {
    fn begin(
        group: &TrialGroup,
        context: &ExecutionContext<'_>,
        targets: Vec<Running>,
        path: Option<Path>,
    ) -> Result<BlockRun> {
        let (sender, messages) = channel();
        let (stop, origin) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let smallest = group.arms.iter().map(|m| m.connections).min().unwrap_or(1);
        // One port is behind a proxy or a firewall.
        let one_port = path.as_ref().is_some_and(|path| path.ends().listen_port != 0);
        let fans_out = one_port || group.arms.iter().any(|m| m.subscribers.is_some());
        let own = shards(context.placement.driver.len(), smallest, fans_out);
        let (first, shards, of) =
            context.part.map_or((0, own, own), |part| (part.first, part.here, part.of));
        let memory = Memory::read(&targets);
        let in_force = targets.iter().map(|t| EffectiveConfig::read(&t.output_tail())).collect();
        let mut threads = Vec::new();
        for shard in 0..shards {
            let job = job_of(group, &targets, path.as_ref(), context, (first + shard, of))?;
            let context = ShardContext {
                shard: ((first + shard) as u64, of as u64),
                cpus: vec![context.placement.driver[shard]],
                stop: stop.clone(),
                origin: origin.clone(),
                messages: sender.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("shard-{shard}"))
                .spawn(move || shard::run(&job, &context))
                .map_err(|e| Error::harness(format!("cannot start a driver thread: {e}")))?;
            threads.push(thread);
        }
        Ok(BlockRun {
            targets,
            stop,
            origin,
            messages,
            threads,
            time_lines: group.arms.iter().map(|_| TimeLine::default()).collect(),
            outcomes: Vec::new(),
            started: jiff::Timestamp::now().to_string(),
            in_force,
            cpus: context.placement.all(),
            memory,
            restarts: RestartTracker::of(group.arms.len()),
            cpu_samples: vec![CpuSamples::default(); group.arms.len()],
            path,
        })
    }

    /// From the first connection to the last outcome.
    fn measure(
        &mut self,
        group: &TrialGroup,
        context: &ExecutionContext<'_>,
        observer: &mut dyn TrialObserver,
        other_runs: impl Fn() -> u64,
    ) -> Result<Observations> {
        self.wait_until_warm(group, context, observer)?;
        let origin = match context.part {
            Some(part) => (part.origin)()?,
            None => clock::now() + LEAD_TIME_NS,
        };
        let warmup = group.load.warmup.as_nanos() as u64;
        // Whichever arm's turn is first: each is charged for all of its measured slices.
        let from = group.slices.first_wall(warmup);
        let measured_in = (origin + from).saturating_sub(clock::now());
        observer.turns(group.arms.len(), Duration::from_nanos(measured_in));
        usage::reset_own_peak();
        let steal = usage::steal(&self.cpus);
        let first = context.placement.driver[..1].to_vec();
        let slices = group.slices.clone();
        let span = Span {
            from: origin + from,
            owner: move |at| slices.arm_at(at - origin).map(|(arm, _round)| arm),
            arms: group.arms.len(),
        };
        let hiccups = Hiccups::start(span, move || cpus::pin(&first))
            .map_err(|e| Error::harness(format!("cannot start the hiccup meter: {e}")))?;
        let end = origin + group.slices.wall_length();
        self.path.iter().for_each(|path| path.measure(origin + from, end));
        self.origin.store(origin, Ordering::Release);

        let mut actions = ScheduledActions::new(origin, from, fanout::quiet_end(group), group);
        let (mut quiet_from, mut quiet) = (None::<Vec<u64>>, None);
        let mut died = vec![None; self.targets.len()];
        let mut waiting = self.threads.len();
        let mut interrupted = false;
        while waiting > 0 {
            match actions.due() {
                Some(Action::Measure) => {
                    self.restarts.measure(&self.targets);
                    self.path.iter_mut().for_each(Path::measure_proxies);
                }
                Some(Action::Quiet) => {
                    let cpu = quiet_from.take().map(|from| self.spent_since(&from));
                    quiet = cpu.map(|cpu| (Memory::read(&self.targets), cpu));
                }
                Some(Action::Restart) => {
                    self.restarts.end(&self.targets, group, group.faults.kill)?;
                    self.restarts.begin(&mut self.targets, group, context)?;
                }
                Some(Action::BeginOutage) => self.restarts.begin_outage(&self.targets, group)?,
                Some(Action::EndOutage) => {
                    self.restarts.end_outage(&mut self.targets, group, context)?;
                }
                Some(Action::Freeze) => self.each_target(Running::freeze)?,
                Some(Action::Thaw) => self.each_target(Running::thaw)?,
                None => {}
            }
            match self.messages.recv_timeout(actions.wait()) {
                Ok(ShardMessage::Interval { arm, second, counts }) => {
                    observer.second(group.arms[arm].arm, &counts.responses);
                    self.time_lines[arm].add(second, counts, usage::own_rss());
                }
                Ok(ShardMessage::Quiet) => quiet_from = Some(self.cpu()),
                Ok(ShardMessage::Drained) => waiting -= 1,
                Ok(ShardMessage::Done(outcome)) => {
                    let failed = outcome.is_err();
                    self.outcomes.push(outcome);
                    if failed {
                        break; // it drained nothing, and the others would wait in vain
                    }
                }
                Ok(ShardMessage::Warm(_)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            observer.tick();
            if group.faults.planned().is_some() {
                self.note_cpu(origin + from);
            }
            for (target, died) in self.targets.iter_mut().zip(&mut died) {
                if died.is_none() && !self.restarts.are_down() {
                    *died = target.exited();
                }
            }
            let lost = self.path.as_mut().is_some_and(Path::has_lost_a_proxy);
            interrupted |= context.interrupt.load(Ordering::Relaxed);
            if interrupted || lost || died.iter().any(Option::is_some) {
                self.stop.store(true, Ordering::Relaxed);
            }
        }
        if let Some(part) = context.part.filter(|_| !interrupted) {
            (part.drained)()?;
        }
        let after = targets::read_all(&self.targets);
        let observed_block = BlockContext { memory: &self.memory, quiet, restarts: &self.restarts };
        if interrupted {
            return Err(Error::Interrupted);
        }
        let started = |t: &Running| !t.pids().is_empty() || t.is_ours();
        Ok(Observations {
            started: std::mem::take(&mut self.started),
            in_force: std::mem::take(&mut self.in_force),
            other_runs: other_runs(),
            usage: (0..self.targets.len())
                .map(|i| started(&self.targets[i]).then(|| self.restarts.spent(i, after[i])))
                .collect(),
            down_ns: self.restarts.down_ns(),
            stalls: hiccups.finish(),
            steal_ns: usage::steal(&self.cpus).saturating_sub(steal),
            died,
            driver_rss_peak: usage::read_tree(&[std::process::id()]).rss_peak_bytes,
            fanout: fanout::observe(group, &self.targets, &observed_block),
            received: self.restarts.received(&self.targets, group),
        })
    }

    fn wait_until_warm(
        &mut self,
        group: &TrialGroup,
        context: &ExecutionContext<'_>,
        observer: &mut dyn TrialObserver,
    ) -> Result<()> {
        let mut warm = 0;
        while warm < self.threads.len() {
            if context.interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            match self.messages.recv_timeout(TICK) {
                Ok(ShardMessage::Warm(Ok(()))) => warm += 1,
                Ok(ShardMessage::Warm(Err((arm, why)))) => {
                    observer.not_connected(group.arms[arm].arm, &why);
                    return Err(targets::cannot_connect(group, arm, &mut self.targets[arm], &why));
                }
                Ok(ShardMessage::Done(Err(e))) => {
                    return Err(Error::harness(format!("the driver failed: {e}")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads the CPU of each target, which `from` is the begin of.
    fn note_cpu(&mut self, from: u64) {
        let Some(at) = clock::now().checked_sub(from) else { return };
        for (i, cpu_ns) in self.cpu().into_iter().enumerate() {
            let now = usage::Reading { cpu_ns, ..usage::Reading::default() };
            self.cpu_samples[i].note(at, self.restarts.spent(i, now).cpu_ns);
        }
    }

    /// CPU of each target until now, ns.
    fn cpu(&self) -> Vec<u64> {
        self.targets.iter().map(|t| usage::tree_cpu(&t.pids())).collect()
    }

    /// CPU of each target since an earlier reading, ns.
    fn spent_since(&self, earlier: &[u64]) -> Vec<u64> {
        self.cpu().iter().zip(earlier).map(|(now, then)| now.saturating_sub(*then)).collect()
    }

    fn each_target(&self, act: impl Fn(&Running) -> std::io::Result<()>) -> Result<()> {
        for target in &self.targets {
            act(target)
                .map_err(|e| Error::harness(format!("cannot stop or continue a target: {e}")))?;
        }
        Ok(())
    }

    /// Ends the shards, whatever they are doing, and collects what they have.
    fn end(&mut self) -> Result<Vec<Vec<ArmOutcome>>> {
        self.stop.store(true, Ordering::Relaxed);
        while self.outcomes.len() < self.threads.len() {
            match self.messages.recv() {
                Ok(ShardMessage::Done(outcome)) => self.outcomes.push(outcome),
                Ok(ShardMessage::Interval { arm, second, counts }) => {
                    self.time_lines[arm].add(second, counts, usage::own_rss());
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        for thread in self.threads.drain(..) {
            thread
                .join()
                .map_err(|_| Error::harness("a driver thread panicked: please report it"))?;
        }
        let failed = |e| Error::harness(format!("the driver failed: {e}"));
        self.outcomes.drain(..).collect::<std::io::Result<_>>().map_err(failed)
    }
}

/// Adds what recovering from a planned fault cost each target.
fn add_recovery_cpu(records: &mut [FinishedTrial], samples: &[CpuSamples]) {
    for (finished, samples) in records.iter_mut().zip(samples) {
        let guarantee = finished.trial.guarantee.as_mut();
        if let Some(recovery) = guarantee.and_then(|guarantee| guarantee.recovery.as_mut()) {
            recovery.cpu_ns = samples.spent_on(recovery);
        }
    }
}

fn job_of(
    group: &TrialGroup,
    targets: &[Running],
    path: Option<&Path>,
    context: &ExecutionContext<'_>,
    (shard, of): (usize, usize),
) -> Result<BlockJob> {
    let spread =
        context.part.map_or(Spread { share: Share::ALL, address: None }, |part| part.spread);
    let mut arms = Vec::new();
    for (trial_arm, target) in group.arms.iter().zip(targets) {
        let extra = usize::from(shard < trial_arm.connections % of);
        let own = trial_arm.connections / of + extra;
        // One machine publishes.
        let connections = if spread.share.publishes() { own } else { 0 };
        // Events of a fan-out are published beside the publisher: only deliveries cross the path.
        let publishes = trial_arm.subscribers.is_some();
        let address = match path.filter(|_| !publishes) {
            Some(path) => path.resolve(target.address(), trial_arm.spec.has(ArmOption::H2))?,
            None => target.address().clone(),
        };
        arms.push(ArmJob {
            spec: trial_arm.spec.clone(),
            carrier: trial_arm.carrier(),
            address,
            namespace: path.filter(|_| publishes).map(|path| path.ends().target.clone()),
            tls: match path.filter(|_| !publishes) {
                Some(path) => path.trusted(target.tls().cloned(), &target.address().endpoint)?,
                None => target.tls().cloned(),
            },
            listener_tls: trial_arm.listener_tls()?,
            subscribers: fanout::subscribers(group, (trial_arm, target), path, spread)?,
            attempts: ingest_guarantee::attempt_rules(group, trial_arm, own),
            matched: trial_arm.manifest.matched(),
            request_options: target.request_options().clone(),
            template: trial_arm.manifest.event_template(&group.template),
            connections,
            in_flight: trial_arm.in_flight,
        });
    }
    Ok(BlockJob {
        load: group.load.clone(),
        seed: group.seed,
        slices: group.slices.clone(),
        lifetime: group.lifetime,
        max_segment: group.max_segment,
        split: group.split.clone(),
        quiet_end: fanout::quiet_end(group),
        connect_limit: group.connect_limit,
        pilot: group.stage == Stage::Pilot,
        disrupted_at: group
            .path
            .as_ref()
            .and_then(PathSettings::disrupted_at)
            .map(|at| (group.load.warmup + at).as_nanos() as u64),
        ends: path.map(|path| path.ends().clone()),
        tolerates_connect_failures: group.tolerates_connect_failures,
        arms,
    })
}
