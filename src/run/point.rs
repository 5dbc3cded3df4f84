//! One point: a pilot for each arm, then its blocks.

use crate::run::arms;
use crate::run::arms::Arm;
use crate::run::block_tally::{BlockTally, ENOUGH_BLOCKS};
use crate::run::sizing::{AutoSizing, sizing_line};
use crate::run::{
    Progress, Request, RunRecords, connections_each, first_planned, of_blocks, slots,
    with_replacements,
};
use pushbench_analysis::validity;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::plan;
use pushbench_core::plan::{Block, Slices};
use pushbench_core::record::account::OTHER_FAULTS;
use pushbench_core::record::fanout::Deliveries;
use pushbench_core::record::outcomes::Outcomes;
use pushbench_core::record::trial::{Stage, Trial, TrialDesign};
use pushbench_core::scenario::{
    Arrivals, DesignChoice, Faults, Flow, Load, PathSettings, Recipients, Scenario, split,
};
use pushbench_core::transport::Transport;
use pushbench_core::units::nanos_text;
use pushbench_host::descriptors::raise_descriptors;
use pushbench_host::results_store::Store;
use pushbench_load::block;
use pushbench_load::limits::Machine;
use pushbench_load::trial_group::{ExecutionContext, FinishedTrial, TrialArm, TrialGroup};
use pushbench_path::calibration::calibrate;
use pushbench_path::proxies::environment;
use pushbench_sut::manifest::BuiltinOptions;
use pushbench_sut::proxy;
use pushbench_wire::fault::BROKEN;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Usual length of a pilot with its start, for the estimate.
pub(crate) const PILOT: Duration = Duration::from_millis(500);
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

/// How the blocks of a point are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Design {
    Sliced(Duration),
    Sequential,
}

/// Runs one point.
pub fn run(
    request: &Request,
    index: usize,
    scenario: &Scenario,
    context: &ExecutionContext<'_>,
    records: &mut RunRecords<'_>,
    progress: &mut dyn Progress,
) -> Result<()> {
    scenario.log_shortfall().into_iter().for_each(|line| progress.say(&line));
    let mut path = scenario.path.clone();
    if let Some(path) = &mut path {
        progress.stage("round trip of the path");
        let calibration = calibrate(path, context.placement)?;
        progress.say(&calibration.sentence());
        let versions = proxies(path, context, progress)?;
        records.calibrated(index, calibration, versions)?;
        path.rtt -= Duration::from_nanos(calibration.bias_ns);
    }
    let builder = GroupBuilder { request, index, scenario, path, template: Template::of(scenario) };
    let mut pilots = Vec::new();
    // An idle flow has nothing that a pilot could find out.
    let piloted = if scenario.flow == Flow::Idle { 0 } else { request.arms.len() };
    for arm in 0..piloted {
        progress.stage(&format!("pilot of {}", request.arms[arm].label));
        let finished = measure(&builder.pilot(arm), context, progress)?;
        for f in finished {
            records.store.append(&f.trial, &f.seconds)?;
            pilots.push(f.trial);
        }
        progress.advance(PILOT);
    }
    check_pilots(&builder, &pilots)?;
    let each = connections_each(request, scenario);
    // The queue of a stuck subscriber grows in wall-clock time.
    let design = match request.arms.iter().any(Arm::stuck) {
        true => Design::Sequential,
        false => {
            let fewest = request.arms.iter().map(|a| slots(a, scenario).0).min().unwrap_or(1);
            let cpus = context.placement.driver.len();
            let shards = block::shards(cpus, fewest, scenario.subscribers.is_some());
            choose(scenario, &pilots, (each, shards), progress)
        }
    };
    blocks(&builder, design, context, records, progress)
}

/// Prepares the proxies of a path; their versions by name.
fn proxies(
    path: &PathSettings,
    context: &ExecutionContext<'_>,
    progress: &mut dyn Progress,
) -> Result<BTreeMap<String, String>> {
    let named = path.proxies().map(|(key, name)| {
        let version =
            proxy::find(key, name)?.prepare(context.interrupt, &mut |line| progress.say(line))?;
        Ok((name.to_owned(), version))
    });
    named.collect()
}

/// The trial group of a request's only arm, which is measured once.
pub(crate) fn single(request: &Request, scenario: &Scenario) -> TrialGroup {
    let (path, template) = (scenario.path.clone(), Template::of(scenario));
    let builder = GroupBuilder { request, index: 0, scenario, path, template };
    builder.alone(0, scenario.load.clone(), request.seed)
}

/// The fault that a trial reports most often.
pub(crate) fn most_frequent_fault(trial: &Trial) -> Option<String> {
    let reported = trial.account.faults.iter().filter(|(message, _)| *message != OTHER_FAULTS);
    reported.max_by_key(|(_, n)| **n).map(|(message, n)| format!("{n}× {message}"))
}

/// A target that has acknowledged a few events at the head of the run and now acknowledges nothing:
/// the events of this point or their rate are beyond it.
fn check_pilots(builder: &GroupBuilder<'_>, pilots: &[Trial]) -> Result<()> {
    let none_acknowledged = |t: &&Trial| {
        t.account.measured.due > 0
            && t.account.measured.acknowledged + t.account.warmup.acknowledged == 0
            && !validity::is_stopped_by_proxies(t)
    };
    let Some(trial) = pilots.iter().find(none_acknowledged) else {
        return Ok(());
    };
    let responses = match most_frequent_fault(trial) {
        Some(fault) => fault,
        None if trial.account.unsolicited > 0 => {
            format!("{} messages came back, none with the id of an event", trial.account.unsolicited)
        }
        None if trial.account.other_messages > 0 => {
            format!("{} messages came back, none that fits answer", trial.account.other_messages)
        }
        None if trial.account.callbacks.as_ref().is_some_and(|c| !c.accepted.is_empty()) => {
            "questions were accepted, but no answer came to the address that the header callback-url names"
                .to_owned()
        }
        None => "no answer came".to_owned(),
    };
    // A closed loop has no rate.
    let rate = if trial.offered_per_second.is_some() { "a lower --rate, " } else { "" };
    // What cannot be read is not read at a lower rate either.
    let try_this = match responses.contains(&format!("× {BROKEN}")) {
        true => {
            "targets/PROTOCOL.md, \"What an answer may hold\", lists the supported answers: correct the target"
                .to_owned()
        }
        false if builder.scenario.headers_bytes > 0 => {
            format!("try {rate}fewer --connections, a smaller --payload or a smaller payload.headers_bytes")
        }
        false => format!("try {rate}fewer --connections or a smaller --payload"),
    };
    let died = trial.judged.invalid.first().cloned().unwrap_or_default();
    let died = if died.starts_with("target ") { format!("; the {died}") } else { String::new() };
    let name = trial.label.split('#').next().unwrap_or_default();
    // `verify` does not accept the sides of a gate and the transports of subscribers, and by name it finds no
    // target that options describe.
    let url = &builder.request.arms[trial.arm].manifest.url;
    let is_it = |found: &Vec<Arm>| found[0].manifest.url == *url;
    let verify = arms::find(&[name.to_owned()], &BuiltinOptions::default(), &[], None)
        .ok()
        .filter(is_it)
        .map_or(String::new(), |_| {
            format!(", and `pushbench verify --arm {}`", shell_words::quote(name))
        });
    Err(Error::target(format!(
        "{}: none of {} events was acknowledged: {responses}{died}; it acknowledged single events before \
         the pilot: {try_this}{verify}",
        trial.label, trial.account.measured.due
    )))
}

/// `each`: connections that a subscriber holds; `shards`: of the driver. A shard records the busy periods
/// of its own events, and its idle times are not those of the others.
fn choose(
    scenario: &Scenario,
    pilots: &[Trial],
    (each, shards): (usize, usize),
    progress: &mut dyn Progress,
) -> Design {
    let c = &scenario.compare;
    let closed = scenario.load.rate.is_none();
    // Slices would cut a ramp or a burst into pieces and let a queue drain in between.
    if closed || !scenario.load.arrivals.is_steady() || scenario.lives_by_the_wall().is_some() {
        return Design::Sequential;
    }
    if pilots.len() < 2 || c.design == DesignChoice::Sequential {
        return Design::Sequential;
    }
    let longest = pilots.iter().max_by_key(|t| busy_period(t));
    let busy = longest.map_or(0, busy_period).saturating_mul(shards as u64);
    let shortest = plan::slice_length(busy, &scenario.load);
    if c.design == DesignChoice::Sliced {
        let slice = c.slice.or(shortest);
        return Design::Sliced(slice.unwrap_or(Duration::from_millis(100)));
    }
    let slice = c.slice.or(shortest).filter(|slice| shortest.is_some_and(|s| s <= *slice));
    if let Some(s) = &scenario.subscribers {
        let machine = Machine::read(raise_descriptors());
        let (fit, short) = machine.subscribers(scenario.connections.count, pilots.len(), each);
        if s.count as u64 > fit {
            progress.say(&format!(
                "not enough {short} to run all arms at the same time: blocks are sequential"
            ));
            return Design::Sequential;
        }
    }
    if let Some(t) = pilots.iter().find(|t| t.judged.overloaded) {
        progress.say(&format!("{} is overloaded in its pilot: blocks are sequential", t.label));
        return Design::Sequential;
    }
    if let Some(t) = pilots.iter().find(|t| t.is_at_drivers_limit()) {
        progress.say(&format!(
            "the driver was saturated in the pilot of {}: blocks are sequential",
            t.label
        ));
        return Design::Sequential;
    }
    if slice.is_none()
        && let Some(t) = longest
    {
        let why = match (c.slice, shortest) {
            (Some(_), Some(shortest)) => {
                format!("slices need {shortest:?} and compare.slice is shorter")
            }
            _ => "slices that are long against it do not fit".to_owned(),
        };
        progress.say(&format!(
            "events of {} are open for {} without a break (median of its pilot); {why}: blocks are sequential",
            t.label,
            nanos_text(busy_period(t) as f64)
        ));
    }
    slice.map_or(Design::Sequential, Design::Sliced)
}

/// How long queues take to empty, ns: for half of the events some event was open for longer without a
/// break. Stalls of the machine do not move the median.
fn busy_period(pilot: &Trial) -> u64 {
    pilot.account.busy_periods.quantile(0.5).unwrap_or(0)
}

fn blocks(
    builder: &GroupBuilder<'_>,
    mut design: Design,
    context: &ExecutionContext<'_>,
    records: &mut RunRecords<'_>,
    progress: &mut dyn Progress,
) -> Result<()> {
    let plan = crate::run::plan(builder.request, builder.scenario, builder.index);
    let mut wanted = first_planned(builder.scenario);
    let mut first = AutoSizing::of(builder.request, builder.scenario);
    let mut run = BlockTally::of(&builder.scenario.load, &builder.request.out);
    for b in &plan {
        if run.valid >= wanted || run.blocks >= with_replacements(wanted) {
            break;
        }
        progress.stage(&format!("block {}/{wanted}", (run.valid + 1).min(wanted)));
        let mut trials = Vec::new();
        for group in builder.block(b, design) {
            let finished = match measure(&group, context, progress) {
                Err(Error::Target(why)) if run.blocks > 0 => {
                    run.failures += 1;
                    progress.say(&format!("block {} is void: {why}", b.index));
                    if run.failures >= ENOUGH_BLOCKS {
                        return Err(Error::Target(why));
                    }
                    break;
                }
                other => other?,
            };
            progress.advance((group.load.warmup + group.load.duration) * group.arms.len() as u32);
            store_trials(records.store, &finished)?;
            trials.extend(finished.into_iter().map(|f| f.trial));
        }
        let whole = run.count(&trials, builder.request.arms.len());
        if let Some(sizing) = first.as_mut().filter(|_| whole).and_then(|f| f.size(&trials)) {
            let more =
                of_blocks(builder.scenario, builder.request.arms.len(), sizing.blocks - wanted);
            progress.say(&sizing_line(&sizing, more));
            progress.extend(more);
            wanted = sizing.blocks;
            records.sized(builder.index, sizing)?;
        }
        let chosen = builder.scenario.compare.design == DesignChoice::Auto;
        if chosen && design != Design::Sequential && run.cut_queues() {
            progress.say(
                "slices cut a queue in most of the blocks so far: all are measured anew, sequentially",
            );
            design = Design::Sequential;
            run = BlockTally::of(&builder.scenario.load, &builder.request.out);
            first = AutoSizing::of(builder.request, builder.scenario);
        }
        if let Some(stop) = run.verdict() {
            return stop.map(|line| progress.say(&line));
        }
    }
    Ok(())
}

/// Drives a trial group and judges its records.
fn measure(
    group: &TrialGroup,
    context: &ExecutionContext<'_>,
    progress: &mut dyn Progress,
) -> Result<Vec<FinishedTrial>> {
    let mut finished = block::run(group, context, progress)?;
    finished.iter().try_for_each(|f| check_path(group, &f.trial))?;
    finished.iter_mut().for_each(|f| validity::judge(&mut f.trial, f.ended.as_deref()));
    // The design of the block is at fault, and not the arm: none of its trials is valid. An overloaded arm has
    // its own verdict.
    let overloaded = finished.iter().any(|f| f.trial.judged.overloaded);
    if !overloaded && let Some(why) = finished.iter().find_map(|f| validity::cut_queue(&f.trial)) {
        finished.iter_mut().for_each(|f| f.trial.judged.invalid.push(why.clone()));
    }
    Ok(finished)
}

/// Deliveries or callbacks of which none got through a path: more of them would say nothing else.
fn check_path(group: &TrialGroup, trial: &Trial) -> Result<()> {
    // What a proxy refuses is a finding, and other arms may get through.
    let Some(path) = group.path.as_ref().filter(|path| !path.has_proxies()) else { return Ok(()) };
    let (what, due, received) = match (&trial.fanout, &trial.account.callbacks) {
        (Some(fanout), _) => {
            let Deliveries { measured, warmup, .. } = &fanout.deliveries;
            let received = measured.received + warmup.received;
            ("deliveries", measured.due + warmup.due, received)
        }
        (None, Some(_)) => {
            let Outcomes { due, acknowledged, .. } = &trial.account.measured;
            ("answers", *due, acknowledged + trial.account.warmup.acknowledged)
        }
        (None, None) => return Ok(()),
    };
    if due == 0 || received > 0 {
        return Ok(());
    }
    // Deliveries go to the receiver of the events, answers to their sender.
    let towards_receiver = trial.fanout.is_some();
    let why = path.obstacle(towards_receiver).or_else(|| most_frequent_fault(trial));
    let why = why.unwrap_or_else(|| "no connection was refused, and nothing came".to_owned());
    let (label, path) = (&trial.label, path.words());
    Err(Error::target(format!(
        "{label}: none of {due} {what} got through the path ({path}): {why}"
    )))
}

fn store_trials(store: &mut Store, finished: &[FinishedTrial]) -> Result<()> {
    finished.iter().try_for_each(|f| store.append(&f.trial, &f.seconds))
}

/// Makes the trial groups of one point.
struct GroupBuilder<'a> {
    request: &'a Request,
    index: usize,
    scenario: &'a Scenario,
    /// With delays that are shorter by what the path takes itself.
    path: Option<PathSettings>,
    template: Template,
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

    fn pilot(&self, arm: usize) -> TrialGroup {
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

    fn alone(&self, arm: usize, load: Load, seed: u64) -> TrialGroup {
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

    fn block(&self, block: &Block, design: Design) -> Vec<TrialGroup> {
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
        group.arms = (0..arms).map(|arm| self.trial_arm(arm)).collect();
        group.slices = Arc::new(Slices::new(arms, slice_ns, length, block.seed));
        group.place = (self.index, block.index, 0);
        group.design = TrialDesign::Sliced { slice_ns };
        vec![receiving(group)]
    }
}

/// The same with built-in receivers that keep its guarantee and have its faults.
fn receiving(mut group: TrialGroup) -> TrialGroup {
    for arm in &mut group.arms {
        let manifest = arm.manifest.clone();
        arm.manifest = manifest.receiving(&group.guarantee, &group.faults, group.seed);
    }
    group
}
