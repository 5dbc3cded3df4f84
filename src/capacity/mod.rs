//! `pushbench capacity`: windows at one load after another, until the highest is known at which the objective holds.

mod window;

pub use window::Evidence;

use crate::run::arms::Arm;
use crate::run::{self, PlanOutline, Progress};
use pushbench_analysis::capacity::search::{CONFIDENCE, Next, Search, half_width};
use pushbench_analysis::capacity::window::{outcome, unmeasured};
use pushbench_analysis::capacity::{add, search_of};
use pushbench_core::capacity::{CapacityRecord, Dimension, SCHEMA};
use pushbench_core::error::{Error, Result};
use pushbench_core::scenario::{
    Arrivals, Override, Payload, Question, Scenario, Setting, keys, objective,
};
use pushbench_core::units::nanos_text;
use pushbench_host::cpus::Placement;
use pushbench_host::descriptors::raise_descriptors;
use pushbench_host::input;
use pushbench_load::limits::Machine;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// What is searched, for which arms, and for how long.
pub struct Request {
    /// Name or path of the scenario.
    pub scenario: String,
    /// Keys that are set, the objective's among them.
    pub overrides: Vec<Override>,
    /// The scenario with these keys.
    pub question: Question,
    /// The key that is searched.
    pub dimension: &'static Dimension,
    /// The arms; the first is the baseline.
    pub arms: Vec<Arm>,
    /// Seed of the schedules.
    pub seed: u64,
    /// CPUs.
    pub placement: Placement,
    /// Results directory.
    pub out: PathBuf,
    /// The command line, for the record.
    pub command: Vec<String>,
    /// The relative half-width of an interval that is enough.
    pub precision: f64,
    /// The search ends after this.
    pub at_most: Duration,
}

/// Factor of the burst that follows a search, its length in windows, and the part of the capacity around it.
const OVERLOAD: (f64, f64, f64) = (1.5, 0.5, 0.8);

/// Usual time to start a target and to end it.
const START: Duration = Duration::from_millis(500);
/// With fewer windows of an arm not even a bracket is found.
const FEWEST_WINDOWS: u32 = 4;

impl Request {
    fn scenario(&self) -> &Scenario {
        &self.question.points[0].scenario
    }

    /// Nothing was measured yet.
    pub fn begin(&self) -> CapacityRecord {
        let scenario = self.scenario();
        let placement = &self.placement;
        CapacityRecord {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: shell_words::join(&self.command),
            began: jiff::Timestamp::now().to_string(),
            machine: run::environment::describe(),
            placement: BTreeMap::from([
                ("driver".to_owned(), placement.driver.clone()),
                ("target".to_owned(), placement.target.clone()),
            ]),
            scenario: scenario.clone(),
            of: self.dimension.key.to_owned(),
            window_ns: scenario.load.duration.as_nanos() as u64,
            precision: self.precision,
            at_most_ns: self.at_most.as_nanos() as u64,
            arms: self.arms.iter().map(|arm| arm.label.clone()).collect(),
            start: start(scenario, self.dimension),
            fits: self.fits(),
            windows: Vec::new(),
            overloads: Vec::new(),
            complete: false,
            failure: None,
        }
    }

    /// The highest load that fits this machine, and what is short beyond it.
    fn fits(&self) -> Option<(f64, String)> {
        let scenario = self.scenario();
        let descriptors = raise_descriptors();
        let machine = match self.dimension.key {
            "subscribers.count" => {
                let each = run::connections_each(&self.arms, scenario);
                let connections = scenario.connections.count;
                let (fit, short) = Machine::read(descriptors).subscribers(connections, 1, each);
                Some((fit as f64, short.to_owned()))
            }
            "connections.count" => {
                // Over HTTP/1.1 an arm has a connection for each event in flight.
                let slots = self.arms.iter().map(|arm| run::slots(arm, scenario).0);
                let each = slots.max().unwrap_or(1).div_ceil(scenario.connections.count.max(1));
                let fit = pushbench_load::limits::connections(descriptors) / each.max(1) as u64;
                Some((fit as f64, "file descriptors".to_owned()))
            }
            _ => None,
        };
        let largest = keys::named(self.dimension.key)
            .and_then(|key| key.schema()["maximum"].as_f64())
            .map(|most| (most, format!("the largest {}", self.dimension.key)));
        [machine, largest].into_iter().flatten().min_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// Searches. What was measured is in the record, however it ends; `keep` stores it after each window.
    pub fn execute(
        &self,
        record: &mut CapacityRecord,
        interrupt: &AtomicBool,
        progress: &mut dyn Progress,
        keep: &mut dyn FnMut(&CapacityRecord, Option<&Evidence>) -> Result<()>,
    ) -> Result<()> {
        let began = Instant::now();
        progress.begin(&self.outline());
        let mut searches: Vec<Search> =
            (0..self.arms.len()).map(|arm| search_of(record, arm)).collect();
        let each = self.of_a_window();
        let until = self.at_most.saturating_sub(self.of_overloads());
        for round in 0.. {
            let open: Vec<(usize, f64)> = searches
                .iter()
                .enumerate()
                .filter_map(|(arm, search)| match search.next(self.precision) {
                    Next::Window(load) => Some((arm, load)),
                    Next::Found | Next::AtLeast | Next::Below => None,
                })
                .collect();
            if open.is_empty() || began.elapsed() + each > until {
                break;
            }
            // The arm that comes first goes round.
            let first = round % open.len();
            for (arm, load) in open[first..].iter().chain(&open[..first]) {
                if began.elapsed() + each > until {
                    break;
                }
                let label = &self.arms[*arm].label;
                progress.point(0, &Setting::new(), std::slice::from_ref(label));
                progress.stage(&format!("{label} at {}", self.shown(*load)));
                let before = Instant::now();
                let mut evidence =
                    window::measure(self, *arm, *load, round as u64, interrupt, progress)?;
                evidence.window.began_ns = (before - began).as_nanos() as u64;
                let first = searches[*arm].observed().is_empty()
                    && !record.windows.iter().any(|w| w.arm == *arm);
                if let (true, Some(why)) = (first, &evidence.window.died) {
                    return Err(Error::target(format!(
                        "{}: {why}, at {}, the first load of the search: try a lower one with --start",
                        self.arms[*arm].label,
                        self.shown(*load)
                    )));
                }
                if let Some(what) = unmeasured(&evidence.window, &record.scenario.objective) {
                    return Err(Error::target(format!(
                        "{}: {what} has no value in a window at {}: leave it out of the objective, or try a longer --window",
                        self.arms[*arm].label,
                        self.shown(*load)
                    )));
                }
                add(&mut searches[*arm], &evidence.window, record);
                record.windows.push(evidence.window.clone());
                progress.say(&self.line(&searches[*arm], record));
                progress.advance(before.elapsed());
                keep(record, Some(&evidence))?;
            }
        }
        for (arm, search) in searches.iter().enumerate().filter(|_| self.has_overloads()) {
            let Some(threshold) = search.threshold() else { continue };
            let load = threshold
                .capacity(CONFIDENCE)
                .estimate
                .min(search.highest().unwrap_or(f64::INFINITY));
            progress.stage(&format!("{} after an overload", self.arms[arm].label));
            let overload = window::overload(self, arm, load * OVERLOAD.2, interrupt, progress)?;
            record.overloads.push(overload);
            keep(record, None)?;
        }
        record.complete = true;
        keep(record, None)
    }

    fn outline(&self) -> PlanOutline<'_> {
        PlanOutline {
            scenario: &self.question.name,
            arms: self.arms.iter().map(|arm| arm.label.clone()).collect(),
            points: 1,
            blocks: None,
            seed: self.seed,
            results: &self.out,
            estimate: self.at_most,
        }
    }

    /// About the time that a window takes with its start.
    fn of_a_window(&self) -> Duration {
        let load = &self.scenario().load;
        load.warmup + load.duration + START
    }

    /// The same of the bursts after the search.
    fn of_overloads(&self) -> Duration {
        let arms = if self.has_overloads() { self.arms.len() as u32 } else { 0 };
        self.of_a_window() * 3 * arms
    }

    /// Refuses a search that has no time for a few windows of each arm. Starts nothing.
    pub fn check_time(&self) -> Result<()> {
        let arms = self.arms.len() as u32;
        let needed = self.of_overloads() + self.of_a_window() * FEWEST_WINDOWS * arms;
        if needed <= self.at_most {
            return Ok(());
        }
        Err(Error::usage(format!(
            "--at-most {}: a search with windows of {} needs {} for {arms} arms: write --at-most {}s, or a shorter --window",
            nanos_text(self.at_most.as_nanos() as f64),
            nanos_text(self.scenario().load.duration.as_nanos() as f64),
            nanos_text(needed.as_nanos() as f64),
            needed.as_secs_f64().ceil()
        )))
    }

    /// Only events have a rate that a burst can exceed.
    fn has_overloads(&self) -> bool {
        self.dimension.key == "load.rate" && self.scenario().load.arrivals.is_steady()
    }

    fn shown(&self, load: f64) -> String {
        let load = if load < 100.0 && !self.dimension.whole {
            format!("{load:.1}")
        } else {
            format!("{load:.0}")
        };
        format!("{load} {}", self.dimension.unit)
    }

    /// The last window in a line, and what is known since.
    fn line(&self, search: &Search, record: &CapacityRecord) -> String {
        let Some(last) = record.windows.last() else { return String::new() };
        let outcome = outcome(last, &record.scenario.objective);
        let known = match (search.threshold(), search.bracket()) {
            (Some(threshold), _) => {
                let c = threshold.capacity(CONFIDENCE);
                format!(
                    "capacity {} [{:.0}, {:.0}], ±{:.0} %",
                    self.shown(c.estimate),
                    c.low,
                    c.high,
                    half_width(&c) * 100.0
                )
            }
            (None, (Some(best), _)) => format!("at least {}", self.shown(best)),
            (None, (None, Some(worst))) => format!("below {}", self.shown(worst)),
            (None, (None, None)) => "nothing known".to_owned(),
        };
        format!("{}: {} {outcome} · {known}", self.arms[last.arm].label, self.shown(last.load))
    }
}

/// The scenario's own value of the key that is searched.
fn start(scenario: &Scenario, dimension: &Dimension) -> f64 {
    let own = match dimension.key {
        "load.rate" => scenario.load.rate,
        "subscribers.count" => scenario.subscribers.as_ref().map(|s| s.count as f64),
        "connections.count" => Some(scenario.connections.count as f64),
        _ => match &scenario.payload {
            Payload::Bytes(bytes) => Some(*bytes as f64),
            Payload::File { .. } => None,
        },
    };
    own.unwrap_or(dimension.lowest).max(dimension.lowest)
}

/// The scenario of a search: its windows are trials of this length. Its keys are checked as those of a run are.
pub fn question(
    scenario: &str,
    overrides: &[Override],
    dimension: &Dimension,
    window: Option<Duration>,
) -> Result<Question> {
    let mut question = input::scenario(scenario, overrides)?;
    if let Some(key) = question
        .points
        .first()
        .and_then(|point| point.setting.keys().find(|key| **key != dimension.key))
    {
        return Err(Error::usage(format!(
            "the scenario {} has several values of {key}, and a capacity is searched over {} alone: set it with --set {key}=VALUE",
            question.name, dimension.key
        )));
    }
    question.points.truncate(1);
    let point = &mut question.points[0];
    point.setting.clear();
    let scenario = &mut point.scenario;
    if scenario.load.arrivals == Arrivals::Closed {
        return Err(Error::usage(format!(
            "the scenario {} is a closed loop, whose load is what its targets take: add --set load.arrivals=poisson --set load.rate=1000",
            question.name
        )));
    }
    if dimension.key == "subscribers.count" && scenario.subscribers.is_none() {
        return Err(Error::usage(format!(
            "--of subscribers.count: the flow {} has no subscribers: pushbench capacity fanout --of subscribers.count",
            scenario.flow.name()
        )));
    }
    if dimension.key == "load.rate" && !scenario.load.arrivals.is_steady() {
        return Err(Error::usage(
            "--of load.rate: a ramp or bursts have no single rate: add --set load.arrivals=poisson",
        ));
    }
    // As long as a few events at least.
    let few = scenario.load.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(3.0 / rate));
    scenario.load.duration = window.unwrap_or(Duration::from_secs(2).max(few));
    scenario.load.warmup = scenario.load.warmup.min(Duration::from_millis(500));
    Ok(question)
}

/// The limits that no option and no scenario states.
pub fn default_objective(scenario: &Scenario) -> Vec<Override> {
    let lines: &[(&str, &str)] = match scenario.flow.publishes() {
        true => &[("delivery.p99", "500ms"), ("reach", "99.9%")],
        false => &[("response.p99", "50ms"), ("acknowledged", "99.9%")],
    };
    let line = |(what, limit): &(&str, &str)| Override {
        key: format!("objective.{what}"),
        value: (*limit).to_owned(),
        origin: format!("default objective {what}={limit}"),
    };
    lines.iter().map(line).collect()
}

/// An objective that cannot be kept or seen.
pub fn check_objective(scenario: &Scenario) -> Result<()> {
    for line in &scenario.objective {
        let (what, limit) = (&line.what, line.limit);
        if !objective::is_of(what, scenario.flow) {
            return Err(Error::usage(format!(
                "objective {what}: the flow {} has no such figure; see `pushbench list metrics`",
                scenario.flow.name()
            )));
        }
        if objective::is_latency(what) && limit >= scenario.load.timeout.as_nanos() as f64 {
            return Err(Error::usage(format!(
                "objective {what}: its limit {} is not below load.timeout = {}, after which an answer is no longer waited for: \
                 add --set load.timeout={}ms",
                nanos_text(limit),
                nanos_text(scenario.load.timeout.as_nanos() as f64),
                (limit / 1e6 * 2.0).ceil()
            )));
        }
    }
    Ok(())
}
