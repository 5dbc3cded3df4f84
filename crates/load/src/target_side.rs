//! The targets of a trial group whose driver is on other machines.

use crate::assemble::{FanoutObservations, difference};
use crate::fanout;
use crate::fanout::{BlockContext, Memory};
use crate::targets::{RestartTracker, launch, read_all};
use crate::trial_group::{ExecutionContext, TrialArm, TrialGroup};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::effective_config::EffectiveConfig;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::TargetUsage;
use pushbench_host::hiccup::{Hiccups, Span};
use pushbench_host::{clock, cpus, usage};
use pushbench_sut::process::{Launch, Running, start_all, stop_all};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Between two looks whether a target has ended.
const STEP: Duration = Duration::from_millis(20);

/// What the machine of the targets saw of a trial group; one entry per arm in each list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetRecord {
    /// When the targets were ready, UTC.
    pub started: String,
    /// What they spent in the measured window; `None` for one that is not ours.
    pub usage: Vec<Option<TargetUsage>>,
    /// The effective configuration of built-in servers.
    pub in_force: Vec<Option<EffectiveConfig>>,
    /// How targets ended that should not have.
    pub died: Vec<Option<String>>,
    /// The machine's stalls in the slices of each arm, ns.
    pub hiccup: Vec<Hist>,
    /// The longest of them, ns.
    pub pause_ns: u64,
    /// Time the hypervisor took, ns.
    pub steal_ns: u64,
    /// Readings of a fan-out while its subscribers are connected; `None` in other flows.
    pub fanout: Vec<Option<FanoutObservations>>,
}

/// Where a running target is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetUrls {
    /// It takes events there.
    pub events: String,
    /// Its subscribers ask for them there; `None` where it has none.
    pub subscribe: Option<String>,
}

/// Running targets. Dropping them ends them.
pub struct TargetSide<'a> {
    group: &'a TrialGroup,
    context: &'a ExecutionContext<'a>,
    targets: Vec<Running>,
    started: String,
    /// Before the first subscriber.
    memory: Memory,
}

impl<'a> TargetSide<'a> {
    /// Starts the targets and waits until all are ready.
    ///
    /// # Errors
    /// One of them does not become ready.
    pub fn start(
        group: &'a TrialGroup,
        context: &'a ExecutionContext<'a>,
    ) -> Result<TargetSide<'a>> {
        let launches: Vec<Launch<'_>> =
            group.arms.iter().map(|arm| launch(group, arm, context)).collect();
        let targets = start_all(&launches)?;
        let started = jiff::Timestamp::now().to_string();
        let memory = Memory::read(&targets);
        Ok(TargetSide { group, context, targets, started, memory })
    }

    /// Where each is reached.
    ///
    /// # Errors
    /// Its subscribers' URL cannot be used.
    pub fn urls(&self) -> Result<Vec<TargetUrls>> {
        let of = |(trial_arm, target): (&TrialArm, &Running)| {
            let subscribe = match trial_arm.subscribers {
                Some(_) => Some(fanout::subscribe_address(trial_arm, target)?.endpoint.to_string()),
                None => None,
            };
            Ok(TargetUrls { events: target.address().endpoint.to_string(), subscribe })
        };
        self.group.arms.iter().zip(&self.targets).map(of).collect()
    }

    /// Observes them from `origin`, an instant of this machine's clock, until `ended`. They go on.
    ///
    /// # Errors
    /// The user wants to stop.
    pub fn measure(&mut self, origin: u64, ended: &dyn Fn() -> bool) -> Result<TargetRecord> {
        let group = self.group;
        let from = origin + group.slices.first_wall(group.load.warmup.as_nanos() as u64);
        let own = self.context.placement.target.clone();
        let slices = group.slices.clone();
        let span = Span {
            from,
            owner: move |at| slices.arm_at(at - origin).map(|(arm, _round)| arm),
            arms: group.arms.len(),
        };
        let interrupted = || self.context.interrupt.load(Ordering::Relaxed);
        while clock::now() < from && !interrupted() {
            std::thread::sleep(Duration::from_nanos(from.saturating_sub(clock::now())).min(STEP));
        }
        let before = read_all(&self.targets);
        let steal = usage::steal(&own);
        let pinned = own.clone();
        let hiccups = Hiccups::start(span, move || cpus::pin(&pinned))
            .map_err(|e| Error::harness(format!("cannot start the hiccup meter: {e}")))?;
        let mut died = vec![None; self.targets.len()];
        while !ended() {
            if interrupted() {
                return Err(Error::Interrupted);
            }
            for (target, died) in self.targets.iter_mut().zip(&mut died) {
                if died.is_none() {
                    *died = target.exited();
                }
            }
            std::thread::sleep(STEP);
        }
        let after = read_all(&self.targets);
        let stalls = hiccups.finish();
        let spent = self.targets.iter().zip(before.into_iter().zip(after));
        let restarts = RestartTracker::of(self.targets.len());
        let block = BlockContext { memory: &self.memory, quiet: None, restarts: &restarts };
        Ok(TargetRecord {
            started: std::mem::take(&mut self.started),
            usage: spent.map(|(t, (b, a))| t.is_ours().then(|| difference(b, a))).collect(),
            in_force: self
                .targets
                .iter()
                .map(|t| EffectiveConfig::read(&t.output_tail()))
                .collect(),
            died,
            hiccup: stalls.hists,
            pause_ns: stalls.pause_ns,
            steal_ns: usage::steal(&own).saturating_sub(steal),
            fanout: fanout::observe(group, &self.targets, &block),
        })
    }

    /// Ends them.
    pub fn end(self) {
        stop_all(self.targets);
    }
}
