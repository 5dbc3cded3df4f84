//! A whole run: arms are found, every point of the scenario gets its pilot and its blocks, and each
//! trial is on disk as soon as it ends.

mod arm_options;
pub mod arms;
mod block_tally;
mod checks;
pub mod environment;
mod group_builder;
pub mod point;
mod sizing;

use crate::verify;
use arms::Arm;
use hyper::header::AUTHORIZATION;
use point::PointRun;
use pushbench_core::arm::ArmOption;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::{Matched, Template};
use pushbench_core::record::findings::Findings;
use pushbench_core::record::path::Calibration;
use pushbench_core::record::run::{ArmHeader, PointHeader, RunHeader, SCHEMA};
use pushbench_core::record::sizing::{MOST_BLOCKS, PILOT_BLOCKS, Sizing};
use pushbench_core::scenario::{Blocks, Question, Scenario};
use pushbench_core::transport::{Carrier, Transport};
use pushbench_host::cpus::{self, Placement};
use pushbench_host::results_store::Store;
use pushbench_load::trial_group::{ExecutionContext, TrialObserver};
use pushbench_wire::libraries;
use pushbench_wire::webhook::CALLBACK_URL;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The parameters of `pushbench run`.
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

/// Receives the progress of a run.
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
        checks::check(request)?;
        let header = header(request);
        let store = Store::create(&request.out, &header)?;
        Ok(StartedRun { request, header, store })
    }

    /// Measures everything, and keeps how it ended.
    pub fn measure(&mut self, interrupt: &AtomicBool, progress: &mut dyn Progress) -> Result<()> {
        self.measure_rounds(interrupt, progress, &mut |_, _| Ok(None))
    }

    /// Measures every point with the blocks that are planned, and then as many more as `more` asks for: the valid
    /// blocks of every point in all, or `None` when it is enough. Between the rounds the directory holds a finished
    /// run, which `more` may read.
    pub fn measure_rounds(
        &mut self,
        interrupt: &AtomicBool,
        progress: &mut dyn Progress,
        more: &mut dyn FnMut(&Round, &mut dyn Progress) -> Result<Option<usize>>,
    ) -> Result<()> {
        let ended = self.rounds(interrupt, progress, more);
        self.close(ended)
    }

    /// Every arm is looked at, every point is run, then further rounds of blocks.
    fn rounds(
        &mut self,
        interrupt: &AtomicBool,
        progress: &mut dyn Progress,
        more: &mut dyn FnMut(&Round, &mut dyn Progress) -> Result<Option<usize>>,
    ) -> Result<()> {
        let request = self.request;
        let context = ExecutionContext { placement: &request.placement, interrupt };
        progress.begin(estimates(&request.question, request.arms.len()).0);
        progress.stage("first look at every arm");
        self.header.findings = first_look(request, interrupt)?;
        self.store.write_header(&self.header)?;
        let labels: Vec<String> = request.arms.iter().map(|a| a.label.clone()).collect();
        let mut points = Vec::new();
        for (index, point) in request.question.points.iter().enumerate() {
            progress.point(&labels);
            let mut records = self.records();
            let mut run = PointRun::begin(request, index, &context, &mut records, progress)?;
            run.run_blocks(first_planned(&point.scenario), &context, &mut records, progress)?;
            points.push(run);
        }
        loop {
            self.close(Ok(()))?;
            let round = Round {
                begun: points.iter().map(PointRun::begun).collect(),
                stopped: points.iter().any(PointRun::is_stopped),
            };
            let Some(wanted) = more(&round, progress)? else { return Ok(()) };
            self.header.complete = false;
            for (header, run) in self.header.points.iter_mut().zip(&points) {
                let blocks = wanted.saturating_sub(header.blocks_planned());
                header.scenario.compare.blocks = Blocks::Fixed(wanted);
                progress.extend(of_blocks(run.scenario(), request.arms.len(), blocks));
            }
            self.store.write_header(&self.header)?;
            for run in &mut points {
                progress.point(&labels);
                run.run_blocks(wanted, &context, &mut self.records(), progress)?;
            }
        }
    }

    fn records(&mut self) -> RunRecords<'_> {
        RunRecords { header: &mut self.header, store: &mut self.store }
    }

    /// Writes down how the run ended, or how it stands between two rounds.
    fn close(&mut self, ended: Result<()>) -> Result<()> {
        let StartedRun { header, store, .. } = self;
        header.complete = ended.is_ok();
        header.finished = ended.is_ok().then(|| jiff::Timestamp::now().to_string());
        header.failure = ended.as_ref().err().map(ToString::to_string);
        header.records = Some(store.records());
        let written = store.write_header(header);
        ended.and(written)
    }

    /// Takes the directory away again: nothing was finished.
    pub fn discard(self) {
        self.store.discard();
    }
}

/// What a run holds after a round of blocks.
pub struct Round {
    /// Blocks begun of each point, voided ones included.
    pub begun: Vec<usize>,
    /// The blocks of a point have shown that more would change nothing.
    pub stopped: bool,
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

    /// Writes down how the path of a point was calibrated, and the versions of its proxies.
    fn calibrated(
        &mut self,
        point: usize,
        calibration: Calibration,
        proxies: BTreeMap<String, String>,
    ) -> Result<()> {
        self.header.points[point].calibration = Some(calibration);
        self.header.points[point].proxies = proxies;
        self.store.write_header(self.header)
    }
}

/// Connections per subscriber in the arm that needs most.
fn connections_each(request: &Request, scenario: &Scenario) -> usize {
    let acknowledged = scenario.subscribers.as_ref().is_some_and(|s| s.acknowledged);
    let each = |a: &Arm| a.spec.transport.connections_each(acknowledged, a.spec.has(ArmOption::H2));
    request.arms.iter().map(each).max().unwrap_or(1)
}

/// Connections and unanswered events each for an arm, as `ArmSpec::slots` has them.
pub fn slots(arm: &Arm, scenario: &Scenario) -> (usize, usize) {
    let (publisher, connections) = (arm.manifest.publisher.is_some(), &scenario.connections);
    arm.spec.slots(publisher, connections.count, connections.in_flight)
}

/// Refuses a run that cannot be measured; starts nothing.
pub(crate) fn check(request: &Request) -> Result<()> {
    checks::check(request)
}

/// How long the blocks of all points take that are planned, and those of them that `blocks = "auto"` may
/// come to; without the starts of the targets.
pub(crate) fn estimates(question: &Question, arms: usize) -> (Duration, Duration) {
    let scenarios = || question.points.iter().map(|p| &p.scenario);
    let more = |scenario: &Scenario| {
        let more = most_planned(scenario) - first_planned(scenario);
        estimate(scenario, arms) + of_blocks(scenario, arms, more)
    };
    (scenarios().map(|s| estimate(s, arms)).sum(), scenarios().map(more).sum())
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
pub(crate) fn first_planned(scenario: &Scenario) -> usize {
    match scenario.compare.blocks {
        Blocks::Fixed(n) => n,
        Blocks::Auto { .. } => PILOT_BLOCKS,
    }
}

/// The most blocks that are planned.
fn most_planned(scenario: &Scenario) -> usize {
    match scenario.compare.blocks {
        Blocks::Fixed(n) => n,
        Blocks::Auto { .. } => MOST_BLOCKS,
    }
}

fn header(request: &Request) -> RunHeader {
    let points = request.question.points.iter().map(|p| PointHeader {
        setting: p.setting.clone(),
        scenario: p.scenario.clone(),
        arms: request.arms.iter().map(|a| arm_header(a, &p.scenario)).collect(),
        sizing: None,
        calibration: None,
        proxies: BTreeMap::new(),
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
        shared_cores: placement.shared_cores(),
        cpu_quota: cpus::quota(),
        environment: environment::describe(),
    }
}

fn arm_header(arm: &Arm, scenario: &Scenario) -> ArmHeader {
    let (connections, in_flight) = slots(arm, scenario);
    ArmHeader {
        label: arm.label.clone(),
        transport: arm.spec.transport.name().to_owned(),
        target: arm.spec.target.clone(),
        scheme: arm.manifest.scheme(),
        library: Some(libraries::of_driver(&arm.spec, scenario.subscribers.is_some())),
        command: arm.manifest.command.clone(),
        host: arm.manifest.host(),
        matched: match arm.manifest.matched() {
            Matched::ByOrder => "order".to_owned(),
            Matched::ById => "id".to_owned(),
            Matched::ByIdAt(pointer) => format!("id:{pointer}"),
            Matched::ByPattern(answer) if answer.has_id() => "id".to_owned(),
            Matched::ByPattern(_) => "order".to_owned(),
        },
        method: (arm.carrier() == Carrier::Webhook)
            .then(|| arm.manifest.request_options.method.to_string()),
        headers: header_names(arm, scenario),
        authentication: authentication(arm),
        subprotocol: subprotocol(arm),
        messages: messages(arm),
        framing: framing(arm, in_flight),
        acknowledgement: scenario
            .subscribers
            .as_ref()
            .filter(|s| s.acknowledged)
            .map(|_| arm.spec.transport.acknowledgement(arm.spec.has(ArmOption::H2)).to_owned()),
        stuck: usize::from(arm.stuck()),
        in_flight,
        connections,
        ease: arm.manifest.ease.clone(),
    }
}

/// What surrounds an event on the wire.
fn framing(arm: &Arm, in_flight: usize) -> String {
    let transport = arm.spec.transport;
    match transport {
        Transport::Webhook if arm.called_back() => format!("{}, twice", transport.framing()),
        Transport::Webhook if arm.spec.has(ArmOption::H2) => {
            "HTTP/2 HEADERS and DATA frames, heads compressed with HPACK".to_owned()
        }
        Transport::Sse if arm.spec.has(ArmOption::H2) => {
            "lines id: and data: in a DATA frame of an HTTP/2 response".to_owned()
        }
        Transport::Webhook if let Some(most) = arm.spec.options.number(ArmOption::Batch) => {
            format!("{} for up to {} events", transport.framing(), most.min(in_flight))
        }
        // Its publisher answers with the event itself.
        Transport::LongPoll if arm.is_foreign() => "HTTP/1.1 request and response heads".to_owned(),
        _ => transport.framing().to_owned(),
    }
}

/// Names of the additional headers in requests of an arm.
fn header_names(arm: &Arm, scenario: &Scenario) -> Vec<String> {
    let mut names = arm.manifest.request_options.header_names();
    let (bytes, has_headers) = (scenario.headers_bytes, arm.carrier() != Carrier::Tcp);
    names.extend((bytes > 0 && has_headers).then(|| format!("{bytes} bytes of usual ones")));
    names.extend(arm.called_back().then(|| CALLBACK_URL.to_owned()));
    names
}

/// What its description says about messages.
fn messages(arm: &Arm) -> Vec<String> {
    let (options, requests) = (&arm.manifest.request_options, arm.manifest.hello_requests.len());
    let mut said = Vec::new();
    let wrapped = options.wrap.is_some() && options.signing.is_none();
    said.extend(wrapped.then(|| "events wrapped".to_owned()));
    said.extend((requests > 0).then(|| format!("hello of {requests} requests")));
    said.extend(
        (!options.hello.is_empty()).then(|| format!("hello of {} messages", options.hello.len())),
    );
    said.extend(options.heartbeat.is_some().then(|| "heartbeats".to_owned()));
    said
}

/// How the receiver of its events knows who sent them.
fn authentication(arm: &Arm) -> Option<String> {
    let headers = &arm.manifest.request_options.headers;
    // A publisher always gets the token of the run.
    let foreign = arm.is_foreign() && arm.manifest.publisher.is_none();
    let own = foreign && headers.contains_key(AUTHORIZATION);
    arm.spec.authentication().or_else(|| own.then(|| "header authorization".to_owned()))
}

fn subprotocol(arm: &Arm) -> Option<String> {
    let requested = arm.manifest.request_options.subprotocol.as_ref()?;
    requested.to_str().ok().map(str::to_owned)
}

/// What each arm does with a few of the first point's events. A target that acknowledges none of them
/// is not measured.
fn first_look(request: &Request, interrupt: &AtomicBool) -> Result<Vec<Findings>> {
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

/// Voided blocks are replaced, up to half as many again as are wanted.
fn with_replacements(wanted: usize) -> usize {
    wanted + wanted / 2
}

/// Sets up what the targets need, once, and finds out what their descriptions leave open.
pub fn prepare(
    request: &mut Request,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<()> {
    let Request { question, arms, placement, .. } = request;
    prepare_arms(arms, question, placement, interrupt, progress)
}

/// The same for the arms of a gate.
pub(crate) fn prepare_arms(
    arms: &mut [Arm],
    question: &Question,
    placement: &Placement,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<()> {
    let Some(point) = question.points.first() else { return Ok(()) };
    for arm in &mut *arms {
        arm.manifest = arm.manifest.clone().in_scenario(&point.scenario);
    }
    let template = Template::of(&point.scenario);
    let context = verify::VerifyContext { cpus: &placement.target, interrupt, template: &template };
    arms::prepare(arms, &context, point.scenario.load.timeout, &mut |line| progress.say(line))
}
