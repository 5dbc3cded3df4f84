//! A trial group, from fresh target processes to finished records.

use crate::assemble::{Observations, TimeLine};
use crate::fanout::{BlockContext, Memory};
use crate::neighbors::Neighbors;
use crate::shard::{ArmJob, ArmOutcome, BlockJob, News, Signals};
use crate::targets::{RestartTracker, launch};
use crate::trial_group::{Bench, Finished, TrialGroup, Watch};
use crate::{assemble, fanout, shard, targets};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::effective_config::EffectiveConfig;
use pushbench_host::hiccup::{Hiccups, Span};
use pushbench_host::{clock, cpus, usage};
use pushbench_sut::process::{Launch, Running, start_all, stop_all};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between the last connection and the first event, so that every thread stands ready.
const RUN_UP_NS: u64 = 5_000_000;
/// Connections to a target that is ready must be open after this.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// Drives a trial group to its records. An error means that nothing could be measured.
pub fn run(group: &TrialGroup, bench: &Bench<'_>, watch: &mut dyn Watch) -> Result<Vec<Finished>> {
    let neighbors = Neighbors::announce(&bench.placement.all());
    let before = neighbors.others();
    let launches: Vec<Launch<'_>> = group.arms.iter().map(|m| launch(m, bench)).collect();
    let targets = start_all(&launches)?;
    let mut driving = Driving::begin(group, bench, targets)?;
    // One of two that overlap begins or ends within the other.
    let other_runs = || before.max(neighbors.others()) as u64;
    let seen = driving.follow(group, bench, watch, other_runs);
    let outcomes = driving.end();
    let targets = std::mem::take(&mut driving.targets);
    let mut records = seen.and_then(|seen| {
        Ok(assemble::records(group, seen, outcomes?, std::mem::take(&mut driving.time_lines)))
    });
    if let Ok(finished) = &mut records {
        targets::explain(finished, &targets);
    }
    stop_all(targets);
    records
}

struct Driving {
    targets: Vec<Running>,
    stop: Arc<AtomicBool>,
    origin: Arc<AtomicU64>,
    news: Receiver<News>,
    threads: Vec<JoinHandle<()>>,
    time_lines: Vec<TimeLine>,
    outcomes: Vec<std::io::Result<Vec<ArmOutcome>>>,
    started: String,
    in_force: Vec<Option<EffectiveConfig>>,
    cpus: Vec<usize>,
    /// Before the first subscriber.
    memory: Memory,
    restarts: RestartTracker,
}

impl Driving {
    fn begin(group: &TrialGroup, bench: &Bench<'_>, targets: Vec<Running>) -> Result<Driving> {
        let (sender, news) = channel();
        let (stop, origin) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let smallest = group.arms.iter().map(|m| m.connections).min().unwrap_or(1);
        let mut shards = bench.placement.driver.len().clamp(1, smallest.max(1));
        // Every subscriber gets every event: one shard sees when the last one has it.
        if group.arms.iter().any(|m| m.subscribers.is_some()) {
            shards = 1;
        }
        let memory = Memory::read(&targets);
        let in_force = targets.iter().map(|t| EffectiveConfig::read(&t.output_tail())).collect();
        let mut threads = Vec::new();
        for shard in 0..shards {
            let job = job_of(group, &targets, shard, shards)?;
            let signals = Signals {
                shard: (shard as u64, shards as u64),
                cpus: vec![bench.placement.driver[shard]],
                stop: stop.clone(),
                origin: origin.clone(),
                news: sender.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("shard-{shard}"))
                .spawn(move || shard::run(&job, &signals))
                .map_err(|e| Error::harness(format!("cannot start a driver thread: {e}")))?;
            threads.push(thread);
        }
        Ok(Driving {
            targets,
            stop,
            origin,
            news,
            threads,
            time_lines: group.arms.iter().map(|_| TimeLine::default()).collect(),
            outcomes: Vec::new(),
            started: jiff::Timestamp::now().to_string(),
            in_force,
            cpus: bench.placement.all(),
            memory,
            restarts: RestartTracker::of(group.arms.len()),
        })
    }

    /// From the first connection to the last outcome.
    fn follow(
        &mut self,
        group: &TrialGroup,
        bench: &Bench<'_>,
        watch: &mut dyn Watch,
        other_runs: impl Fn() -> u64,
    ) -> Result<Observations> {
        self.wait_until_warm(group, bench)?;
        watch.turns(group.arms.len());
        let origin = clock::now() + RUN_UP_NS;
        let warmup = group.load.warmup.as_nanos() as u64;
        // Whichever arm's turn is first: each is charged for all of its measured slices.
        let from = group.slices.first_wall(warmup);
        usage::reset_own_peak();
        let steal = usage::steal(&self.cpus);
        let first = bench.placement.driver[..1].to_vec();
        let slices = group.slices.clone();
        let span = Span {
            from: origin + from,
            owner: move |at| slices.arm_at(at - origin).map(|(arm, _round)| arm),
            arms: group.arms.len(),
        };
        let hiccups = Hiccups::start(span, move || cpus::pin(&first))
            .map_err(|e| Error::harness(format!("cannot start the hiccup meter: {e}")))?;
        self.origin.store(origin, Ordering::Release);

        let mut agenda = Agenda::new(origin, from, fanout::quiet_end(group), group);
        let (mut quiet_from, mut quiet) = (None::<Vec<u64>>, None);
        let mut died = vec![None; self.targets.len()];
        let mut waiting = self.threads.len();
        let mut interrupted = false;
        while waiting > 0 {
            match agenda.due() {
                Some(Mark::Measure) => self.restarts.measure(&self.targets),
                Some(Mark::Quiet) => {
                    let cpu = quiet_from.take().map(|from| self.spent_since(&from));
                    quiet = cpu.map(|cpu| (Memory::read(&self.targets), cpu));
                }
                Some(Mark::Restart) => self.restarts.restart(&mut self.targets, group, bench)?,
                Some(Mark::Freeze) => self.each_target(Running::freeze)?,
                Some(Mark::Thaw) => self.each_target(Running::thaw)?,
                None => {}
            }
            match self.news.recv_timeout(agenda.wait()) {
                Ok(News::Interval { arm, second, seen }) => {
                    watch.second(group.arms[arm].arm, &seen.responses);
                    self.time_lines[arm].add(second, seen, usage::own_rss());
                }
                Ok(News::Quiet) => quiet_from = Some(self.cpu()),
                Ok(News::Drained) => waiting -= 1,
                Ok(News::Done(outcome)) => {
                    let failed = outcome.is_err();
                    self.outcomes.push(outcome);
                    if failed {
                        break; // it drained nothing, and the others would wait in vain
                    }
                }
                Ok(News::Warm(_)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            watch.tick();
            for (target, died) in self.targets.iter_mut().zip(&mut died) {
                if died.is_none() {
                    *died = target.exited();
                }
            }
            interrupted |= bench.interrupt.load(Ordering::Relaxed);
            if interrupted || died.iter().any(Option::is_some) {
                self.stop.store(true, Ordering::Relaxed);
            }
        }
        let after = targets::read_all(&self.targets);
        let asked = BlockContext { memory: &self.memory, quiet, restarts: &self.restarts };
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
            fanout: fanout::ask(group, &self.targets, &asked),
        })
    }

    fn wait_until_warm(&mut self, group: &TrialGroup, bench: &Bench<'_>) -> Result<()> {
        let limit = clock::now() + CONNECT_LIMIT.as_nanos() as u64;
        let mut warm = 0;
        while warm < self.threads.len() {
            if bench.interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            match self.news.recv_timeout(TICK) {
                Ok(News::Warm(Ok(()))) => warm += 1,
                Ok(News::Warm(Err((arm, why)))) => {
                    return Err(targets::cannot_connect(
                        &group.arms[arm],
                        &mut self.targets[arm],
                        &why,
                    ));
                }
                Ok(News::Done(Err(e))) => {
                    return Err(Error::harness(format!("the driver failed: {e}")));
                }
                _ => {}
            }
            if clock::now() > limit {
                let why = format!("not all connections open after {CONNECT_LIMIT:?}");
                return Err(targets::cannot_connect(&group.arms[0], &mut self.targets[0], &why));
            }
        }
        Ok(())
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
            match self.news.recv() {
                Ok(News::Done(outcome)) => self.outcomes.push(outcome),
                Ok(News::Interval { arm, second, seen }) => {
                    self.time_lines[arm].add(second, seen, usage::own_rss());
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

fn job_of(group: &TrialGroup, targets: &[Running], shard: usize, of: usize) -> Result<BlockJob> {
    let mut arms = Vec::new();
    for (trial_arm, target) in group.arms.iter().zip(targets) {
        let extra = usize::from(shard < trial_arm.connections % of);
        arms.push(ArmJob {
            spec: trial_arm.spec.clone(),
            carrier: trial_arm.carrier(),
            address: target.address().clone(),
            subscribers: fanout::subscribers(group, trial_arm, target)?,
            matched: trial_arm.manifest.matched(),
            request_options: trial_arm.manifest.request_options.clone(),
            template: trial_arm.manifest.worded(&group.template),
            connections: trial_arm.connections / of + extra,
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
        arms,
    })
}

/// The block looks after its targets and the user's wish to stop this often.
pub(super) const TICK: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    Measure,
    /// The quiet period of an idle flow ends.
    Quiet,
    Freeze,
    Thaw,
    Restart,
}

/// What the block must do at which instant.
pub(super) struct Agenda(Vec<(u64, Mark)>);

impl Agenda {
    /// `from`: when the measured window begins, `quiet`: when the quiet period of an idle flow ends,
    /// both after the origin.
    pub fn new(origin: u64, from: u64, quiet: Option<u64>, group: &TrialGroup) -> Agenda {
        let mut marks = Vec::new();
        marks.extend(quiet.map(|end| (origin + end, Mark::Quiet)));
        if let Some(freeze) = group.freeze {
            marks.push((origin + freeze.at, Mark::Freeze));
            marks.push((origin + freeze.at + freeze.length, Mark::Thaw));
        }
        marks.extend(group.restart_after.map(|after| (origin + from + after, Mark::Restart)));
        // The last of those at the same instant comes first.
        marks.push((origin + from, Mark::Measure));
        marks.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Agenda(marks)
    }

    pub fn due(&mut self) -> Option<Mark> {
        let (at, mark) = *self.0.last()?;
        (at <= clock::now()).then(|| {
            self.0.pop();
            mark
        })
    }

    pub fn wait(&self) -> Duration {
        let next = self.0.last().map_or(u64::MAX, |(at, _)| at.saturating_sub(clock::now()));
        TICK.min(Duration::from_nanos(next))
    }
}
