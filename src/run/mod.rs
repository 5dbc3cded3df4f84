//! A whole run: arms are found, every point of the scenario gets its pilot and its blocks, and each
//! trial is on disk as soon as it ends.

mod arm_options;
pub mod arms;
mod block_tally;
mod checks;
pub mod environment;
pub mod group_builder;
mod header;
mod interim;
mod pilots;
pub mod point;
mod progress;
mod sizing;

pub use progress::{BlockEnded, PlanOutline, Progress};

use crate::cluster::coordinator::Cluster;
use crate::verify;
use arms::Arm;
use point::PointRun;
use pushbench_core::arm::ArmOption;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::record::findings::Findings;
use pushbench_core::record::path::Calibration;
use pushbench_core::record::run::{FailedBlock, RunHeader};
use pushbench_core::record::sizing::{MOST_BLOCKS, PILOT_BLOCKS, Sizing};
use pushbench_core::scenario::{Blocks, Question, Scenario};
use pushbench_host::cpus::Placement;
use pushbench_host::results_store::Store;
use pushbench_load::trial_group::{ExecutionContext, RemoteBlocks};
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
    cluster: Option<&'a Cluster>,
}

impl<'a> StartedRun<'a> {
    /// Makes the directory of a run that can be measured.
    pub fn new(request: &'a Request) -> Result<StartedRun<'a>> {
        checks::check(request)?;
        let header = header::of(request);
        let store = Store::create(&request.out, &header)?;
        Ok(StartedRun { request, header, store, cluster: None })
    }

    /// The same run on the machines of a cluster, which know its plan.
    #[must_use]
    pub fn on(mut self, cluster: &'a Cluster) -> StartedRun<'a> {
        let machines = cluster.machines();
        let target = machines.iter().find(|machine| machine.role == "target");
        if let Some(target) = target {
            let arms = self.header.points.iter_mut().flat_map(|point| &mut point.arms);
            arms.for_each(|arm| arm.host.clone_from(&target.host));
        }
        // This machine measures nothing.
        self.header.placement.clear();
        self.header.shared_cores.clear();
        self.header.cpu_quota = None;
        self.header.machines = machines;
        self.cluster = Some(cluster);
        self
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
        more: &mut More<'_>,
    ) -> Result<()> {
        let ended = self.rounds(interrupt, progress, more);
        self.close(ended)
    }

    /// Every arm is looked at, every point is run, then further rounds of blocks.
    fn rounds(
        &mut self,
        interrupt: &AtomicBool,
        progress: &mut dyn Progress,
        more: &mut More<'_>,
    ) -> Result<()> {
        let request = self.request;
        let remote = self.cluster.map(|cluster| cluster as &dyn RemoteBlocks);
        let here = ExecutionContext::here(&request.placement, interrupt);
        let context = ExecutionContext { remote, ..here };
        progress.begin(&outline(request));
        progress.stage("first look at every arm");
        self.header.findings = match self.cluster {
            Some(cluster) => cluster.first_look(interrupt)?,
            None => first_look(request, interrupt)?,
        };
        self.store.write_header(&self.header)?;
        let labels: Vec<String> = request.arms.iter().map(|a| a.label.clone()).collect();
        let mut points = Vec::new();
        for (index, point) in request.question.points.iter().enumerate() {
            progress.point(index, &point.setting, &labels);
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
            for (index, run) in points.iter_mut().enumerate() {
                progress.point(index, &request.question.points[index].setting, &labels);
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

/// Says after a round how many valid blocks every point is to have in all, or `None` when it is enough.
pub type More<'a> = dyn FnMut(&Round, &mut dyn Progress) -> Result<Option<usize>> + 'a;

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

    /// Writes down a block that could not be measured.
    fn failed(&mut self, point: usize, block: FailedBlock) -> Result<()> {
        self.header.points[point].failed_blocks.push(block);
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
pub(crate) fn connections_each(arms: &[Arm], scenario: &Scenario) -> usize {
    let acknowledged = scenario.subscribers.as_ref().is_some_and(|s| s.acknowledged);
    let each = |a: &Arm| a.spec.transport.connections_each(acknowledged, a.spec.has(ArmOption::H2));
    arms.iter().map(each).max().unwrap_or(1)
}

/// Connections and unanswered events each for an arm, as `ArmSpec::slots` has them.
pub fn slots(arm: &Arm, scenario: &Scenario) -> (usize, usize) {
    let (publisher, connections) = (arm.manifest.publisher.is_some(), &scenario.connections);
    arm.spec.slots(publisher, connections.count, connections.in_flight)
}

/// The header of a run that is planned: what a stored run of the same has in common with it.
pub(crate) fn planned(request: &Request) -> RunHeader {
    header::of(request)
}

/// Refuses a run that cannot be measured; starts nothing.
pub(crate) fn check(request: &Request) -> Result<()> {
    checks::check(request)
}

/// What a run is about to measure.
fn outline(request: &Request) -> PlanOutline<'_> {
    let Request { question, arms, .. } = request;
    PlanOutline {
        scenario: &question.name,
        arms: arms.iter().map(|arm| arm.label.clone()).collect(),
        points: question.points.len(),
        blocks: question.points.first().map(|point| first_planned(&point.scenario)),
        seed: request.seed,
        results: &request.out,
        estimate: estimates(question, arms.len()).0,
    }
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

/// What each arm does with a few of the first point's events. A target that acknowledges none of them
/// is not measured.
pub(crate) fn first_look(request: &Request, interrupt: &AtomicBool) -> Result<Vec<Findings>> {
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
