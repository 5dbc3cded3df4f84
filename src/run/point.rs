//! One point: a pilot for each arm, then its blocks.

use crate::run::arms::Arm;
use crate::run::block_tally::{BlockTally, ENOUGH_BLOCKS};
use crate::run::group_builder::{GroupBuilder, receiving};
use crate::run::interim::{self, EndedBlocks};
use crate::run::pilots::check_pilots;
use crate::run::sizing::{AutoSizing, sizing_line};
use crate::run::{
    Progress, Request, RunRecords, connections_each, most_planned, of_blocks, slots,
    with_replacements,
};
use pushbench_analysis::validity;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::plan;
use pushbench_core::record::account::OTHER_FAULTS;
use pushbench_core::record::fanout::Deliveries;
use pushbench_core::record::outcomes::Outcomes;
use pushbench_core::record::run::FailedBlock;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::{DesignChoice, Flow, PathSettings, Scenario};
use pushbench_core::units::nanos_text;
use pushbench_host::descriptors::raise_descriptors;
use pushbench_host::results_store::Store;
use pushbench_load::block;
use pushbench_load::limits::Machine;
use pushbench_load::trial_group::{ExecutionContext, FinishedTrial, TrialGroup};
use pushbench_path::calibration::calibrate;
use pushbench_sut::proxy;
use std::collections::BTreeMap;
use std::time::Duration;

/// Usual length of a pilot with its start, for the estimate.
pub(crate) const PILOT: Duration = Duration::from_millis(500);
/// How the blocks of a point are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Design {
    Sliced(Duration),
    Sequential,
}

/// One point whose pilots are done. Its blocks may be continued after a pause.
pub struct PointRun<'a> {
    builder: GroupBuilder<'a>,
    design: Design,
    auto: Option<AutoSizing>,
    tally: BlockTally,
    ended: EndedBlocks,
    /// The next block of the plan.
    next: usize,
    /// The first blocks have shown that more would change nothing.
    stopped: bool,
}

impl<'a> PointRun<'a> {
    /// Calibrates the path of a point and runs a pilot of each arm.
    pub fn begin(
        request: &'a Request,
        index: usize,
        context: &ExecutionContext<'_>,
        records: &mut RunRecords<'_>,
        progress: &mut dyn Progress,
    ) -> Result<PointRun<'a>> {
        let scenario = &request.question.points[index].scenario;
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
        let builder =
            GroupBuilder { request, index, scenario, path, template: Template::of(scenario) };
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
        let each = connections_each(&request.arms, scenario);
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
        Ok(PointRun {
            design,
            auto: AutoSizing::of(request, scenario),
            tally: BlockTally::of(&scenario.load, &request.out),
            ended: EndedBlocks::default(),
            next: 0,
            stopped: false,
            builder,
        })
    }

    /// What is measured at this point.
    pub fn scenario(&self) -> &'a Scenario {
        self.builder.scenario
    }

    /// Blocks begun so far, voided ones included.
    pub fn begun(&self) -> usize {
        self.next
    }

    /// Whether the blocks have shown that more would change nothing.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Runs blocks until so many are valid, or as many have been run as may replace voided ones. A scenario with
    /// `blocks = "auto"` may come to more.
    pub fn run_blocks(
        &mut self,
        mut wanted: usize,
        context: &ExecutionContext<'_>,
        records: &mut RunRecords<'_>,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let PointRun { builder, design, auto, tally, ended, .. } = self;
        let GroupBuilder { request, scenario, index, .. } = *builder;
        let arms = request.arms.len();
        let most = with_replacements(most_planned(scenario).max(wanted));
        for b in &plan::blocks(most, arms, request.seed, index)[self.next.min(most)..] {
            if self.stopped || tally.valid >= wanted || tally.blocks >= with_replacements(wanted) {
                break;
            }
            self.next = b.index + 1;
            progress.stage(&format!("block {}/{wanted}", (tally.valid + 1).min(wanted)));
            let (mut trials, mut failed) = (Vec::new(), None);
            for group in builder.block(b, *design) {
                let finished = match measure(&group, context, progress) {
                    Err(Error::Target { why, at }) if tally.blocks > 0 => {
                        tally.failures += 1;
                        progress.say(&format!("block {} of the plan is void: {why}", b.index + 1));
                        let only = (group.arms.len() == 1).then_some(0);
                        let arm = at.or(only).map(|at| group.arms[at].arm);
                        let block = FailedBlock { block: b.index, arm, reason: why.clone() };
                        records.failed(index, block)?;
                        if tally.failures >= ENOUGH_BLOCKS {
                            return Err(Error::Target { why, at });
                        }
                        failed = Some(why);
                        break;
                    }
                    other => other?,
                };
                progress
                    .advance((group.load.warmup + group.load.duration) * group.arms.len() as u32);
                store_trials(records.store, &finished)?;
                trials.extend(finished.into_iter().map(|f| f.trial));
            }
            let whole = tally.count(&trials, arms);
            if let Some(sizing) = auto.as_mut().filter(|_| whole).and_then(|f| f.size(&trials)) {
                let more = of_blocks(scenario, arms, sizing.blocks - wanted);
                progress.say(&sizing_line(&sizing, more));
                progress.extend(more);
                wanted = sizing.blocks;
                records.sized(index, sizing)?;
            }
            if !whole && tally.blocks + wanted <= with_replacements(wanted) + tally.valid {
                progress.extend(of_blocks(scenario, arms, 1)); // it will be replaced
            }
            progress.block(&interim::ended(b.index, &trials, failed, (tally, wanted, whole)));
            ended.compare(trials, records.header, index, progress);
            let chosen = scenario.compare.design == DesignChoice::Auto;
            if chosen && *design != Design::Sequential && tally.cut_queues() {
                progress.say(
                    "slices cut a queue in most of the blocks so far: all are measured anew, sequentially",
                );
                progress.extend(of_blocks(scenario, arms, tally.valid));
                *design = Design::Sequential;
                *tally = BlockTally::of(&scenario.load, &request.out);
                *auto = AutoSizing::of(request, scenario);
            }
            if let Some(stop) = tally.verdict() {
                self.stopped = true;
                return stop.map(|line| progress.say(&line));
            }
        }
        Ok(())
    }
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

/// Measures a request's only arm once, alone; the trial is judged.
pub(crate) fn measure_alone(
    request: &Request,
    number: usize,
    context: &ExecutionContext<'_>,
    progress: &mut dyn Progress,
) -> Result<FinishedTrial> {
    let scenario = &request.question.points[0].scenario;
    let mut group = receiving(single(request, scenario));
    group.place = (0, number, 0);
    let finished = measure(&group, context, progress)?.pop();
    finished.ok_or_else(|| Error::harness("no record of a trial: please report it"))
}

/// The fault that a trial reports most often.
pub(crate) fn most_frequent_fault(trial: &Trial) -> Option<String> {
    let reported = trial.account.faults.iter().filter(|(message, _)| *message != OTHER_FAULTS);
    reported.max_by_key(|(_, n)| **n).map(|(message, n)| format!("{n}× {message}"))
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

/// Most tests look at what is counted and run several at a time, on machines that stall. They set this
/// variable; a release build does not know it.
fn only_counts_matter() -> bool {
    cfg!(debug_assertions) && std::env::var_os("PUSHBENCH_TEST_COUNTS").is_some()
}

/// Drives a trial group and judges its records.
fn measure(
    group: &TrialGroup,
    context: &ExecutionContext<'_>,
    progress: &mut dyn Progress,
) -> Result<Vec<FinishedTrial>> {
    let mut finished = match context.remote {
        Some(machines) => machines.run(group, context, progress)?,
        None => block::run(group, context, progress)?,
    };
    finished.iter().try_for_each(|f| check_path(group, &f.trial))?;
    if only_counts_matter() {
        finished.iter_mut().for_each(|f| validity::judge_counts(&mut f.trial, f.ended.as_deref()));
        return Ok(finished);
    }
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
