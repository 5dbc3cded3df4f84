//! A whole run: arms are found, every point of the scenario gets its pilot and its blocks, and each
//! trial is on disk as soon as it ends.

pub mod arms;
mod block_tally;
pub mod environment;
pub mod point;
mod sizing;

use crate::verify;
use arms::Arm;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::{Matched, Template};
use pushbench_core::plan;
use pushbench_core::publishing::QUEUE;
use pushbench_core::record::findings::Findings;
use pushbench_core::record::run::{ArmHeader, PointHeader, RunHeader, SCHEMA};
use pushbench_core::record::sizing::{MOST_BLOCKS, PILOT_BLOCKS, Sizing};
use pushbench_core::remedy::Try;
use pushbench_core::scenario::{
    Blocks, DesignChoice, Flow, Question, Recipients, Scenario, Subscribers,
};
use pushbench_core::transport::{Carrier, Transport};
use pushbench_host::cpus::Placement;
use pushbench_host::store::Store;
use pushbench_load::limits;
use pushbench_load::trial_group::{ExecutionContext, TrialObserver};
use pushbench_sut::manifest::{BUILTIN, BUILTIN_CLOSE};
use pushbench_sut::setup;
use pushbench_wire::webhook::CALLBACK_URL;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What `pushbench run` was asked for.
pub struct Request {
    /// The scenario's points.
    pub question: Question,
    /// The arms; the first is the baseline.
    pub arms: Vec<Arm>,
    /// Seed of schedules and orders.
    pub seed: u64,
    /// CPUs.
    pub placement: Placement,
    /// Results directory.
    pub out: PathBuf,
    /// The command line, for the record.
    pub command: Vec<String>,
}

/// Hears how a run goes.
pub trait Progress: TrialObserver {
    /// The run begins; it should take about this long.
    fn begin(&mut self, estimate: Duration);
    /// It will take this much longer than was thought.
    fn extend(&mut self, by: Duration);
    /// The next point of the sweep begins, of these arms.
    fn point(&mut self, labels: &[String]);
    /// The next thing being measured, in words.
    fn stage(&mut self, what: &str);
    /// Something worth a line.
    fn say(&mut self, line: &str);
    /// About this much more of the estimate is done.
    fn advance(&mut self, by: Duration);
}

/// Runs everything. The results directory holds whatever was finished, also after an error.
pub fn execute(
    request: &Request,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<()> {
    StartedRun::new(request)?.measure(interrupt, progress)
}

/// A run whose results directory is made. Before that nothing there is this run's.
pub struct StartedRun<'a> {
    request: &'a Request,
    header: RunHeader,
    store: Store,
}

impl<'a> StartedRun<'a> {
    /// Makes the directory of a run that can be measured.
    pub fn new(request: &'a Request) -> Result<StartedRun<'a>> {
        check(request)?;
        let header = header(request);
        let store = Store::create(&request.out, &header)?;
        Ok(StartedRun { request, header, store })
    }

    /// Measures everything, and keeps how it ended.
    pub fn measure(&mut self, interrupt: &AtomicBool, progress: &mut dyn Progress) -> Result<()> {
        let ended = self.measure_points(interrupt, progress);
        let StartedRun { header, store, .. } = self;
        header.complete = ended.is_ok();
        header.finished = ended.is_ok().then(|| jiff::Timestamp::now().to_string());
        header.failure = ended.as_ref().err().map(ToString::to_string);
        header.records = Some(store.records());
        let written = store.write_header(header);
        ended.and(written)
    }

    /// Every arm is looked at, then every point is run.
    fn measure_points(
        &mut self,
        interrupt: &AtomicBool,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let StartedRun { request, header, store } = self;
        let context = ExecutionContext { placement: &request.placement, interrupt };
        progress.begin(
            request.question.points.iter().map(|p| estimate(&p.scenario, request.arms.len())).sum(),
        );
        progress.stage("checking every arm");
        header.findings = startup_check(request, interrupt)?;
        store.write_header(header)?;
        let labels: Vec<String> = request.arms.iter().map(|a| a.label.clone()).collect();
        for (index, point) in request.question.points.iter().enumerate() {
            progress.point(&labels);
            let mut records = RunRecords { header, store };
            point::run(request, index, &point.scenario, &context, &mut records, progress)?;
        }
        Ok(())
    }

    /// Takes the directory away again: nothing was finished.
    pub fn discard(self) {
        self.store.discard();
    }
}

/// Refuses what cannot be measured.
fn check(request: &Request) -> Result<()> {
    let limit = pushbench_host::descriptors::raise_descriptors();
    for point in &request.question.points {
        check_restart(request, &point.scenario)?;
        check_publishers(request, &point.scenario)?;
        check_stuck(request, &point.scenario)?;
        if point.scenario.subscribers.is_some() {
            check_subscribers(request, &point.scenario, limit)?;
            continue;
        }
        let at_once = if point.scenario.load.rate.is_some() { request.arms.len() } else { 1 };
        limits::check_descriptors(limit, largest_connections(request, &point.scenario), at_once)?;
    }
    check_polling(request)
}

/// Only what we start can be ended and restarted.
fn check_restart(request: &Request, scenario: &Scenario) -> Result<()> {
    let foreign = request.arms.iter().find(|arm| arm.manifest.command.is_none());
    match (scenario.restart_after, foreign) {
        (Some(_), Some(arm)) => Err(Error::usage(format!(
            "--arm {}: faults.restart_after restarts the target, but this one was not started \
             by pushbench: give it a command, or leave faults.restart_after out",
            arm.label
        ))),
        _ => Ok(()),
    }
}

/// Arms in which one more subscriber is stuck than the scenario says.
fn check_stuck(request: &Request, scenario: &Scenario) -> Result<()> {
    let Some(arm) = request.arms.iter().find(|arm| arm.stuck()) else { return Ok(()) };
    let label = &arm.label;
    let Some(subscribers) = arm.subscribers(scenario) else { return Ok(()) };
    let unhealthy = subscribers.slow + subscribers.stuck;
    if scenario.flow == Flow::Idle {
        Err(Error::usage(format!(
            "--arm {label}: a stuck subscriber has no effect while no events are published: write pushbench \
             run fanout --arm {label}"
        )))
    } else if scenario.compare.design == DesignChoice::Sliced {
        Err(Error::usage(format!(
            "--arm {label}: the queue of a stuck subscriber grows in wall-clock time, which \
             slices would interrupt: write --set compare.design=sequential, or leave compare.design out"
        )))
    } else if unhealthy >= subscribers.count {
        Err(Error::usage(format!(
            "--arm {label}: it adds one stuck subscriber; with {unhealthy} slow and stuck ones out of {} subscribers \
             no healthy one remains: {}lower subscribers.slow or subscribers.stuck",
            subscribers.count,
            Try::Subscribers
                .above(unhealthy as u64 + 1, unhealthy as f64)
                .map_or(String::new(), |option| format!("write {option}, or "))
        )))
    } else {
        Ok(())
    }
}

/// What only the built-in publisher is known to do.
fn check_publishers(request: &Request, scenario: &Scenario) -> Result<()> {
    let Some(subscribers) = &scenario.subscribers else { return Ok(()) };
    let foreign = |arm: &&Arm| ![BUILTIN, BUILTIN_CLOSE].contains(&arm.spec.target.as_str());
    for arm in request.arms.iter().filter(foreign) {
        let (key, why) = match arm.spec.transport {
            _ if subscribers.to == Recipients::One => (
                "delivery.to",
                "in that mode, each event has a type that only one subscriber wants",
            ),
            _ if subscribers.types.is_some() => {
                ("payload.types", "it publishes event types that the scenario defines")
            }
            Transport::Webhook if subscribers.stay.is_some() => {
                ("subscribers.stay", "a webhook subscriber unsubscribes by DELETE")
            }
            _ => continue,
        };
        return Err(Error::usage(format!(
            "--arm {}: {key} works only with the built-in publisher: {why}, which other publishers do not support: leave {key} \
             out, or write --arm {}@{BUILTIN}",
            arm.label,
            arm.spec.transport.name()
        )));
    }
    Ok(())
}

/// A subscriber that polls too seldom would miss events by design: they time out, or find its queue full.
fn check_polling(request: &Request) -> Result<()> {
    let Some(arm) = request.arms.iter().find(|a| a.spec.transport == Transport::Poll) else {
        return Ok(());
    };
    for point in &request.question.points {
        let Some(subscribers) = &point.scenario.subscribers else { continue };
        let (interval, timeout) = (subscribers.poll_interval, point.scenario.load.timeout);
        let shorter = |millis: u64| {
            let option = Try::PollInterval.below(millis, interval.as_secs_f64() * 1e3);
            option.map_or(String::new(), |option| format!("write for example {option}, or "))
        };
        if interval >= timeout {
            return Err(Error::usage(format!(
                "{}: delivery.poll_interval is {interval:?}, but events time out after load.timeout, \
                 {timeout:?}: {}raise load.timeout",
                arm.label,
                shorter((timeout / 5).as_millis() as u64)
            )));
        }
        // What was answered stays until the next request acknowledges it.
        let rate = point.scenario.load.rate.unwrap_or_default();
        let each = match subscribers.to {
            Recipients::All => rate,
            Recipients::One => rate / subscribers.count as f64,
        };
        let queue = subscribers.publisher.queue.unwrap_or(QUEUE);
        let queued = each * 2.0 * interval.as_secs_f64();
        if queued > queue as f64 {
            return Err(Error::usage(format!(
                "{}: at {rate} events per second and a delivery.poll_interval of {interval:?} {queued:.0} events \
                 are waiting for each subscriber or its acknowledgement, but its queue holds only {queue}: {}lower --rate",
                arm.label,
                shorter((queue as f64 / 4.0 / each * 1e3) as u64)
            )));
        }
    }
    Ok(())
}

/// Where a run is written down.
pub struct RunRecords<'a> {
    header: &'a mut RunHeader,
    store: &'a mut Store,
}

impl RunRecords<'_> {
    /// Writes down how many blocks a point needs, before any further one is run.
    fn sized(&mut self, point: usize, sizing: Sizing) -> Result<()> {
        self.header.points[point].sizing = Some(sizing);
        self.store.write_header(self.header)
    }
}

/// Subscribers of every arm at once are needed in slices only; where they do not fit, `point` runs one
/// arm after the other unless it was asked not to.
fn check_subscribers(request: &Request, scenario: &Scenario, limit: u64) -> Result<()> {
    let sliced = scenario.compare.design == DesignChoice::Sliced;
    let at_once = if sliced { request.arms.len() } else { 1 };
    let count = scenario.subscribers.as_ref().map_or(0, |s| s.count);
    let connections = largest_connections(request, scenario);
    let each = connections_each(request, scenario);
    // One that may have to come back has a timer beside its connections.
    let moves = |s: &Subscribers| s.stay.is_some() || s.backoff.is_some();
    let timers = usize::from(scenario.subscribers.as_ref().is_some_and(moves));
    let left = limit * each as u64 / (each + timers) as u64;
    limits::Machine::read(left).check_subscribers(count, connections, at_once, each)
}

/// Connections that a subscriber of the hungriest arm holds.
fn connections_each(request: &Request, scenario: &Scenario) -> usize {
    let acknowledged = scenario.subscribers.as_ref().is_some_and(|s| s.acknowledged);
    request.arms.iter().map(|a| a.spec.transport.connections_each(acknowledged)).max().unwrap_or(1)
}

fn largest_connections(request: &Request, scenario: &Scenario) -> usize {
    request.arms.iter().map(|a| slots(a, scenario).0).max().unwrap_or(0)
}

/// Connections and unanswered events each for an arm: where its protocol holds fewer in flight than
/// asked, it gets as many more connections.
pub fn slots(arm: &Arm, scenario: &Scenario) -> (usize, usize) {
    let (count, requested) = (scenario.connections.count, scenario.connections.in_flight);
    let in_flight = arm.depth_limit().map_or(requested, |limit| requested.min(limit));
    (count * requested / in_flight, in_flight)
}

/// How long a point will take if nothing goes wrong.
fn estimate(scenario: &Scenario, arms: usize) -> Duration {
    of_blocks(scenario, arms, first_planned(scenario)) + point::PILOT * arms as u32
}

/// How long so many blocks take.
fn of_blocks(scenario: &Scenario, arms: usize, blocks: usize) -> Duration {
    (scenario.load.warmup + scenario.load.duration) * (blocks * arms) as u32
}

/// Blocks that are planned before any was run.
fn first_planned(scenario: &Scenario) -> usize {
    match scenario.compare.blocks {
        Blocks::Fixed(n) => n,
        Blocks::Auto { .. } => PILOT_BLOCKS,
    }
}

fn header(request: &Request) -> RunHeader {
    let points = request.question.points.iter().map(|p| PointHeader {
        setting: p.setting.clone(),
        scenario: p.scenario.clone(),
        arms: request.arms.iter().map(|a| arm_header(a, &p.scenario)).collect(),
        sizing: None,
    });
    let placement = &request.placement;
    RunHeader {
        schema: SCHEMA,
        pushbench: env!("CARGO_PKG_VERSION").to_owned(),
        command: request.command.clone(),
        scenario: request.question.name.clone(),
        question: request.question.question.clone(),
        seed: request.seed,
        started: jiff::Timestamp::now().to_string(),
        finished: None,
        complete: false,
        failure: None,
        records: None,
        points: points.collect(),
        findings: Vec::new(),
        placement: BTreeMap::from([
            ("driver".to_owned(), placement.driver.clone()),
            ("target".to_owned(), placement.target.clone()),
        ]),
        environment: environment::describe(),
    }
}

fn arm_header(arm: &Arm, scenario: &Scenario) -> ArmHeader {
    let (connections, in_flight) = slots(arm, scenario);
    ArmHeader {
        label: arm.label.clone(),
        transport: arm.spec.transport.name().to_owned(),
        target: arm.spec.target.clone(),
        command: arm.manifest.command.clone(),
        host: arm.manifest.host(),
        matched: match arm.manifest.matched() {
            Matched::ByOrder => "order".to_owned(),
            Matched::ById => "id".to_owned(),
            Matched::ByIdAt(pointer) => format!("id:{pointer}"),
        },
        method: (arm.carrier() == Carrier::Webhook)
            .then(|| arm.manifest.request_options.method.to_string()),
        headers: header_names(arm),
        subprotocol: subprotocol(arm),
        framing: match arm.called_back() {
            true => format!("{}, twice", arm.spec.transport.framing()),
            false => arm.spec.transport.framing().to_owned(),
        },
        acknowledgement: scenario
            .subscribers
            .as_ref()
            .filter(|s| s.acknowledged)
            .map(|_| arm.spec.transport.acknowledgement().to_owned()),
        stuck: usize::from(arm.stuck()),
        in_flight,
        connections,
        ease: arm.manifest.ease.clone(),
    }
}

/// What requests of an arm have beside the usual headers.
fn header_names(arm: &Arm) -> Vec<String> {
    let mut names = arm.manifest.request_options.header_names();
    names.extend(arm.called_back().then(|| CALLBACK_URL.to_owned()));
    names
}

fn subprotocol(arm: &Arm) -> Option<String> {
    let requested = arm.manifest.request_options.subprotocol.as_ref()?;
    requested.to_str().ok().map(str::to_owned)
}

/// What each arm does with a few of the first point's events. A target that acknowledges none of them
/// is not measured.
fn startup_check(request: &Request, interrupt: &AtomicBool) -> Result<Vec<Findings>> {
    let Some(point) = request.question.points.first() else { return Ok(Vec::new()) };
    let subjects: Vec<verify::Subject<'_>> = request.arms.iter().map(Arm::subject).collect();
    let template = Template::of(&point.scenario);
    let cpus = &request.placement.target;
    let context = verify::VerifyContext { cpus, interrupt, template: &template };
    verify::quick(&subjects, &context, point.scenario.load.timeout)
}

/// Gives up a point whose blocks cannot be had.
fn give_up(label: &str, why: &str, out: &Path) -> Error {
    Error::target(format!(
        "{label}: {why}; the finished trials are kept: `pushbench report {}` shows them",
        shell_words::quote(&out.display().to_string())
    ))
}

/// The blocks that a point may come to, voided ones and those in their place included.
fn plan(request: &Request, scenario: &Scenario, point: usize) -> Vec<plan::Block> {
    let most = match scenario.compare.blocks {
        Blocks::Fixed(n) => n,
        Blocks::Auto { .. } => MOST_BLOCKS,
    };
    plan::blocks(with_replacements(most), request.arms.len(), request.seed, point)
}

/// Voided blocks are replaced, up to half as many again as are wanted.
fn with_replacements(wanted: usize) -> usize {
    wanted + wanted / 2
}

/// Sets up what the targets need, once.
pub fn prepare(
    request: &Request,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<()> {
    for arm in &request.arms {
        setup::ensure(&arm.manifest, interrupt, &mut |line| progress.say(line))?;
    }
    Ok(())
}
