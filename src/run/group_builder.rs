//! The trial groups of a point: its pilots, and its blocks in either design.

use crate::run::point::Design;
use crate::run::{Request, slots};
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::plan;
use pushbench_core::plan::{Block, Slices};
use pushbench_core::record::strata::Split;
use pushbench_core::record::trial::{Stage, TrialDesign};
use pushbench_core::scenario::{
    Arrivals, Faults, Flow, Lifetime, Load, PathSettings, Recipients, Scenario, split,
};
use pushbench_core::transport::Transport;
use pushbench_load::trial_group::{TrialArm, TrialGroup};
use pushbench_path::proxies::environment;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Warm-up of a pilot.
const PILOT_WARMUP: Duration = Duration::from_millis(150);
/// Measured part of a pilot, unless the rate is low.
const PILOT_LENGTH: Duration = Duration::from_millis(300);
/// A pilot of a slow schedule lasts until about this many events are due …
const PILOT_EVENTS: f64 = 60.0;
/// … or, of a fan-out, this many; the events themselves are not fewer than these …
const PILOT_DELIVERIES: f64 = 200.0;
const PILOT_FANNED_OUT: f64 = 10.0;
/// … but no longer than this.
const PILOT_LONGEST: Duration = Duration::from_secs(5);
/// Segment size of an Ethernet path: loopback's own 64 KiB would hide how many packets a message is.
const REALISTIC_SEGMENT: u32 = 1448;

/// Makes the trial groups of one point.
pub(super) struct GroupBuilder<'a> {
    pub(super) request: &'a Request,
    pub(super) index: usize,
    pub(super) scenario: &'a Scenario,
    /// With delays that are shorter by what the path takes itself.
    pub(super) path: Option<PathSettings>,
    pub(super) template: Template,
}

impl GroupBuilder<'_> {
    fn trial_arm(&self, arm: usize) -> TrialArm {
        let a = &self.request.arms[arm];
        let (connections, in_flight) = slots(a, self.scenario);
        let mut manifest = a.manifest.clone().in_scenario(self.scenario);
        let subscribers = a.subscribers(self.scenario);
        if let (Some(publisher), Some(requested)) = (&mut manifest.publisher, &subscribers) {
            publisher.subscribers = requested.count;
        }
        let request_options = std::mem::take(&mut manifest.request_options);
        manifest.request_options = request_options.with_usual_headers(self.scenario.headers_bytes);
        manifest.env.extend(self.path.iter().flat_map(environment));
        TrialArm {
            arm,
            label: a.label.clone(),
            spec: a.spec.clone(),
            manifest,
            connections,
            in_flight,
            subscribers,
        }
    }

    /// What a proxy lets through is found out by its trials.
    fn has_proxies(&self) -> bool {
        self.path.as_ref().is_some_and(PathSettings::has_proxies)
    }

    pub(super) fn pilot(&self, arm: usize) -> TrialGroup {
        let load = &self.scenario.load;
        let duration = self.pilot_length(arm);
        // The later parts of a ramp and bursts are measured in the blocks only.
        let arrivals = if load.arrivals.is_steady() { load.arrivals } else { Arrivals::Poisson };
        let warmup = PILOT_WARMUP.min(load.warmup);
        let load = Load { arrivals, warmup, duration, ..load.clone() };
        let mut group = self.alone(arm, load, self.request.seed);
        // The devices of a path have a realistic segment size.
        group.max_segment = self.scenario.path.is_none().then_some(REALISTIC_SEGMENT);
        group.stage = Stage::Pilot;
        group.tolerates_connect_failures = self.has_proxies();
        group.split = None;
        group.restart_after = None;
        group.faults = Faults::default();
        // What happens at one instant belongs to the blocks.
        if let Some(path) = &mut group.path {
            (path.pause, path.new_address_at) = (Duration::ZERO, None);
        }
        receiving(group)
    }

    fn pilot_length(&self, arm: usize) -> Duration {
        let subscribers = self.scenario.subscribers.as_ref();
        let each = subscribers.filter(|s| s.to == Recipients::All).map(|s| s.count as f64);
        let events = each.map_or(PILOT_EVENTS, |each| {
            (PILOT_DELIVERIES / each).clamp(PILOT_FANNED_OUT, PILOT_EVENTS)
        });
        let until_events = self.scenario.load.rate.map_or(0.0, |r| events / r);
        // Who polls must have done so.
        let polls = match self.request.arms[arm].spec.transport {
            Transport::Poll => subscribers.map_or(Duration::ZERO, |s| s.poll_interval * 2),
            _ => Duration::ZERO,
        };
        PILOT_LENGTH.max(Duration::from_secs_f64(until_events)).max(polls).min(PILOT_LONGEST)
    }

    pub(super) fn alone(&self, arm: usize, load: Load, seed: u64) -> TrialGroup {
        let length = (load.warmup + load.duration).as_nanos() as u64;
        TrialGroup {
            arms: vec![self.trial_arm(arm)],
            slices: Arc::new(Slices::alone(length)),
            load,
            seed,
            template: self.template.clone(),
            lifetime: self.scenario.connections.lifetime,
            max_segment: None,
            place: (self.index, 0, 0),
            split: split::of(self.scenario),
            stage: Stage::Block,
            design: TrialDesign::Sequential,
            freeze: None,
            connect_limit: None,
            idle: self.scenario.flow == Flow::Idle,
            path: self.path.clone(),
            tolerates_connect_failures: false,
            restart_after: self.scenario.restart_after.map(|after| after.as_nanos() as u64),
            guarantee: self.scenario.guarantee,
            faults: self.scenario.faults.clone(),
        }
    }

    pub(super) fn block(&self, block: &Block, design: Design) -> Vec<TrialGroup> {
        let Design::Sliced(slice) = design else {
            let one = |(position, arm): (usize, &usize)| {
                let mut group = self.alone(*arm, self.scenario.load.clone(), block.seed);
                group.place = (self.index, block.index, position);
                group.tolerates_connect_failures = self.has_proxies();
                receiving(group)
            };
            return block.order.iter().enumerate().map(one).collect();
        };
        let load = plan::whole_slices(&self.scenario.load, slice);
        let length = (load.warmup + load.duration).as_nanos() as u64;
        let slice_ns = slice.as_nanos() as u64;
        let arms = self.request.arms.len();
        let mut group = self.alone(0, load, block.seed);
        // Which target is started first goes round over the blocks.
        group.arms = block.order.iter().map(|arm| self.trial_arm(*arm)).collect();
        group.slices = Arc::new(Slices::new(arms, slice_ns, length, block.seed));
        group.place = (self.index, block.index, 0);
        group.design = TrialDesign::Sliced { slice_ns };
        vec![receiving(group)]
    }
}

/// A trial group without its programs, for machines that find these themselves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GroupSpec {
    arms: Vec<usize>,
    load: Load,
    slices: Slices,
    seed: u64,
    lifetime: Lifetime,
    max_segment: Option<u32>,
    place: (usize, usize, usize),
    split: Option<Split>,
    stage: Stage,
    design: TrialDesign,
}

impl GroupSpec {
    /// Of a group.
    pub fn of(group: &TrialGroup) -> GroupSpec {
        GroupSpec {
            arms: group.arms.iter().map(|arm| arm.arm).collect(),
            load: group.load.clone(),
            slices: Slices::clone(&group.slices),
            seed: group.seed,
            lifetime: group.lifetime,
            max_segment: group.max_segment,
            place: group.place,
            split: group.split.clone(),
            stage: group.stage,
            design: group.design,
        }
    }

    /// The group, of the arms of this machine.
    ///
    /// # Errors
    /// The plan has no such point or arm.
    pub fn group(&self, request: &Request) -> Result<TrialGroup> {
        let index = self.place.0;
        let unknown = || Error::harness("an order does not fit the plan".to_owned());
        let scenario = &request.question.points.get(index).ok_or_else(unknown)?.scenario;
        let known = self.arms.iter().all(|arm| *arm < request.arms.len());
        let first = *self.arms.first().filter(|_| known).ok_or_else(unknown)?;
        let template = Template::of(scenario);
        let builder = GroupBuilder { request, index, scenario, path: None, template };
        let group = builder.alone(first, self.load.clone(), self.seed);
        Ok(receiving(TrialGroup {
            arms: self.arms.iter().map(|arm| builder.trial_arm(*arm)).collect(),
            slices: Arc::new(self.slices.clone()),
            lifetime: self.lifetime,
            max_segment: self.max_segment,
            place: self.place,
            split: self.split.clone(),
            stage: self.stage,
            design: self.design,
            ..group
        }))
    }
}

/// The same with built-in receivers that keep its guarantee and have its faults.
pub(super) fn receiving(mut group: TrialGroup) -> TrialGroup {
    for arm in &mut group.arms {
        let manifest = arm.manifest.clone();
        arm.manifest = manifest.receiving(&group.guarantee, &group.faults, group.seed);
    }
    group
}
