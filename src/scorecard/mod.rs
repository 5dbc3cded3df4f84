//! `pushbench scorecard`: makes the measurements that the questions about the five factors need, one after the other,
//! or takes them from stored runs.

pub mod plan;
mod stored;

pub use stored::holds_measurements;

use crate::run::{self, Progress, arms};
use crate::{capacity, reach};
use plan::{Kind, Planned};
use pushbench_analysis::scorecard::{metrics, of_capacity, of_matrix, of_run};
use pushbench_analysis::{capacity as capacities, reach as passages};
use pushbench_core::capacity::Dimension;
use pushbench_core::error::{Error, Result};
use pushbench_core::reach::PATHS;
use pushbench_core::record::ease::{Ease, StackEase};
use pushbench_core::record::run::StoredRun;
use pushbench_core::scenario::Override;
use pushbench_core::scorecard::{
    CardRecord, Compared, Form, Measurement, Passage, Role, SCHEMA, Source,
};
use pushbench_host::cpus::Placement;
use pushbench_host::input;
use pushbench_host::results_store::{self, create_dir, write_atomically};
use pushbench_sut::manifest::{self, Listed};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The parameters of `pushbench scorecard`.
pub struct Request {
    /// The pair.
    pub webhook: String,
    /// The pair.
    pub websocket: String,
    /// How much is measured.
    pub form: Form,
    /// Names of the measurements that are made; all where empty.
    pub only: Vec<String>,
    /// Whether stored runs of this machine and version are used.
    pub reuse: bool,
    /// Directories whose runs are used whatever machine they are from.
    pub from: Vec<PathBuf>,
    /// CPUs.
    pub placement: Placement,
    /// Seed of the schedules.
    pub seed: u64,
    /// Results directory.
    pub out: PathBuf,
    /// The command line, for the record.
    pub command: Vec<String>,
}

/// Targets that serve both transports, whose code is counted beside that of the pair: two of Python, two of Node.js,
/// one of Rust.
const STACKS: [&str; 5] = ["aiohttp", "fastapi", "express", "ws", "axum"];
/// The idle cut-off of the paths, which stands for one of 60 s.
const CUTOFF: Duration = Duration::from_secs(2);
/// Bounds of a search for capacities.
const SEARCH: (Duration, f64) = (Duration::from_secs(240), 0.05);

/// Lines of what a target printed last that are kept.
const LINES: usize = 3;

/// What a measurement came to.
#[derive(Default)]
struct Found {
    source: Option<Source>,
    compared: Vec<Compared>,
    passages: Vec<Passage>,
}

impl Request {
    /// Nothing was measured yet.
    pub fn begin(&self) -> Result<CardRecord> {
        Ok(CardRecord {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: shell_words::join(&self.command),
            began: jiff::Timestamp::now().to_string(),
            machine: run::environment::describe(),
            webhook: self.webhook.clone(),
            websocket: self.websocket.clone(),
            form: self.form,
            took_ns: 0,
            measurements: Vec::new(),
            ease: self.ease()?,
            complete: false,
        })
    }

    /// Refuses a pair that no measurement can take, and names of measurements that there are not. Starts nothing.
    pub fn check(&self) -> Result<()> {
        let planned = plan::measurements(self.form, 1.0);
        let known = || planned.iter().map(|m| m.name);
        if let Some(name) = self.only.iter().find(|name| !known().any(|known| known == *name)) {
            let hint = pushbench_core::suggest::did_you_mean(name, known());
            let form = self.form.name();
            let other = plan::left_out(self.form).iter().any(|m| m.name == name);
            let long = if other { "; --long has it" } else { "" };
            return Err(Error::usage(format!(
                "--only {name}: the {form} form has no such measurement{hint}; there are {}{long}",
                known().collect::<Vec<_>>().join(", ")
            )));
        }
        let runs = planned.iter().filter(|m| m.kind == Kind::Run);
        let mut tried = runs.map(|m| self.prepare(m).map(drop));
        let first = tried.next().unwrap_or(Ok(()));
        match first.is_ok() || tried.any(|other| other.is_ok()) {
            true => Ok(()),
            false => first,
        }
    }

    /// Whether a measurement that is wanted needs network namespaces.
    pub fn has_paths(&self) -> bool {
        let needs = |m: &Planned| {
            let sets = m.set.iter().any(|(key, _)| key.starts_with("path."));
            (sets || m.kind == Kind::Reach) && self.wants(m)
        };
        plan::measurements(self.form, 1.0).iter().any(needs)
    }

    fn wants(&self, planned: &Planned) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == planned.name)
    }

    /// Makes every measurement. What was found is in the record, however it ends; `keep` stores it after each.
    pub fn execute(
        &self,
        record: &mut CardRecord,
        interrupt: &AtomicBool,
        progress: &mut dyn Progress,
        keep: &mut dyn FnMut(&CardRecord) -> Result<()>,
    ) -> Result<()> {
        let began = Instant::now();
        let total = plan::measurements(self.form, 1.0).len();
        for index in 0..total {
            // What is planned depends on the throughput that was measured first.
            let rate = plan::rate(lowest_throughput(record));
            let planned = plan::measurements(self.form, rate).swap_remove(index);
            progress.say(&format!(
                "{}/{total} {}: {}",
                index + 1,
                planned.name,
                planned.conditions
            ));
            let found = match self.wants(&planned) {
                true => self.measure(&planned, interrupt, progress),
                false => Err(Error::usage(plan::LEFT_OUT)),
            };
            let interrupted = matches!(found, Err(Error::Interrupted));
            if let Some(e) = found.as_ref().err().filter(|_| self.wants(&planned)) {
                progress.say(&format!("not measured: {}", reason(&e.to_string())));
            }
            record.measurements.push(self.entry(&planned, found));
            record.took_ns = began.elapsed().as_nanos() as u64;
            keep(record)?;
            if interrupted {
                self.leave_out(record);
                keep(record)?;
                return Err(Error::Interrupted);
            }
        }
        self.leave_out(record);
        record.complete = true;
        keep(record)
    }

    /// What the other form measures alone.
    fn leave_out(&self, record: &mut CardRecord) {
        for planned in plan::left_out(self.form) {
            let found = Err(Error::usage(plan::OTHER_FORM));
            record.measurements.push(self.entry(&planned, found));
        }
    }

    fn entry(&self, planned: &Planned, found: Result<Found>) -> Measurement {
        let (found, why_not) = match found {
            Ok(found) => (found, None),
            Err(e) => (Found::default(), Some(reason(&e.to_string()))),
        };
        Measurement {
            name: planned.name.to_owned(),
            conditions: planned.conditions.clone(),
            source: found.source,
            why_not,
            arms: self.arms(planned),
            compared: found.compared,
            passages: found.passages,
        }
    }

    /// The arms of a measurement, by role. Paths are tried with the built-in servers where those of the pair publish
    /// nothing: what gets through is the transport.
    fn arms(&self, planned: &Planned) -> BTreeMap<Role, String> {
        let publishes = || {
            let fan_out =
                plan::measurements(self.form, 1.0).into_iter().find(|m| m.name == "fan-out");
            fan_out.is_some_and(|m| self.prepare(&m).is_ok())
        };
        let all = match planned.kind == Kind::Reach && !publishes() {
            true => plan::arms("webhook@builtin", "websocket@builtin"),
            false => plan::arms(&self.webhook, &self.websocket),
        };
        all.into_iter().filter(|(role, _)| planned.roles.contains(role)).collect()
    }

    /// The code of the pair, and of stacks that serve both transports.
    fn ease(&self) -> Result<Vec<StackEase>> {
        let all = manifest::list()?;
        let target = |arm: &str| arm.split_once('@').map_or("", |(_, target)| target).to_owned();
        let targets = [target(&self.webhook), target(&self.websocket)];
        let own = match targets[0] == targets[1] {
            true => targets[0].clone(),
            false => targets.join(", "),
        };
        let pair = StackEase {
            stack: own,
            own: true,
            webhook: ease_of(&all, &self.webhook),
            websocket: ease_of(&all, &self.websocket),
        };
        let others = STACKS.iter().filter(|stack| !targets.iter().any(|t| t == *stack));
        Ok(std::iter::once(pair).chain(others.map(|stack| ease_of_both(&all, stack))).collect())
    }

    fn measure(
        &self,
        planned: &Planned,
        interrupt: &AtomicBool,
        progress: &mut dyn Progress,
    ) -> Result<Found> {
        match planned.kind {
            Kind::Run => self.run(planned, interrupt, progress),
            Kind::Capacity => self.capacity(planned, interrupt, progress),
            Kind::Reach => self.reach(planned, interrupt, progress),
        }
    }

    /// The run of a measurement. Nothing is started.
    fn prepare(&self, planned: &Planned) -> Result<run::Request> {
        let set = |(key, value): &(&str, String)| Override {
            origin: format!("{}: {key}={value}", planned.name),
            key: (*key).to_owned(),
            value: value.clone(),
        };
        let overrides: Vec<Override> = planned.set.iter().map(set).collect();
        let question = input::scenario(planned.scenario, &overrides)?;
        let builtin = arms::builtin(&question, &self.placement)?;
        let all = plan::arms(&self.webhook, &self.websocket);
        let names: Vec<String> =
            planned.roles.iter().filter_map(|role| all.get(role).cloned()).collect();
        let arms = arms::find(&names, &builtin, &[], None)?;
        Ok(run::Request {
            question,
            arms,
            seed: self.seed,
            placement: self.placement.clone(),
            out: self.out.join(planned.name),
            command: self.command.clone(),
        })
    }

    fn run(
        &self,
        planned: &Planned,
        interrupt: &AtomicBool,
        progress: &mut dyn Progress,
    ) -> Result<Found> {
        let mut request = self.prepare(planned)?;
        if request.question.points.iter().any(|point| point.scenario.path.is_some()) {
            pushbench_path::user_namespace::ensure()?;
        }
        run::check(&request)?;
        let header = run::planned(&request);
        if let Some((dir, stored, differs)) = self.stored_run(&header, &request) {
            progress.say(&format!("taken from {}", dir.display()));
            return Ok(self.found(planned, &dir, &stored, Some(differs)));
        }
        run::prepare(&mut request, interrupt, progress)?;
        run::execute(&request, interrupt, progress)?;
        let stored = results_store::read(&request.out)?;
        let found = self.found(planned, &request.out, &stored, None);
        let measured = found.compared.iter().any(|c| !c.values[0].is_empty());
        match measured || found.compared.is_empty() {
            true => Ok(found),
            false => Err(Error::target(format!(
                "no block is valid; `pushbench report {}` shows the reasons",
                request.out.display()
            ))),
        }
    }

    /// `differs`: of a stored run, in what its machine and version differ.
    fn found(
        &self,
        planned: &Planned,
        dir: &Path,
        run: &StoredRun,
        differs: Option<Vec<String>>,
    ) -> Found {
        Found {
            source: Some(Source {
                dir: dir.display().to_string(),
                version: run.header.pushbench.clone(),
                began: run.header.started.clone(),
                stored: differs.is_some(),
                differs: differs.unwrap_or_default(),
            }),
            compared: of_run(run, &self.arms(planned), &metrics(planned.name)),
            passages: Vec::new(),
        }
    }

    fn capacity(
        &self,
        planned: &Planned,
        interrupt: &AtomicBool,
        progress: &mut dyn Progress,
    ) -> Result<Found> {
        let dimension = Dimension::named("load.rate")
            .ok_or_else(|| Error::harness("load.rate is no load".to_owned()))?;
        let plain = capacity::question(planned.scenario, &[], dimension, None)?;
        let overrides = capacity::default_objective(&plain.points[0].scenario);
        let question = capacity::question(planned.scenario, &overrides, dimension, None)?;
        let mut first = self.prepare(planned)?;
        first.question = question.clone();
        run::check(&first)?;
        run::prepare(&mut first, interrupt, progress)?;
        run::first_look(&first, interrupt)?;
        let request = capacity::Request {
            scenario: planned.scenario.to_owned(),
            overrides,
            question,
            dimension,
            arms: first.arms,
            seed: self.seed,
            placement: self.placement.clone(),
            out: first.out.clone(),
            command: self.command.clone(),
            precision: SEARCH.1,
            at_most: SEARCH.0,
        };
        let mut record = request.begin();
        create_dir(&request.out)?;
        let file = request.out.join("capacity.json");
        let mut keep = |record: &_, _: Option<&capacity::Evidence>| {
            let text = serde_json::to_string(record);
            let text = text.map_err(|e| Error::harness(format!("cannot write a search: {e}")))?;
            write_atomically(&file, text.as_bytes())
        };
        request.execute(&mut record, interrupt, progress, &mut keep)?;
        let source = own_source(&request.out, &record.began);
        let compared = of_capacity(&capacities::judge(&record), &self.arms(planned));
        Ok(Found { source: Some(source), compared, passages: Vec::new() })
    }

    fn reach(
        &self,
        planned: &Planned,
        interrupt: &AtomicBool,
        progress: &mut dyn Progress,
    ) -> Result<Found> {
        let roles = self.arms(planned);
        let mut names: Vec<String> = roles.values().cloned().collect();
        if self.form == Form::Long {
            let tls = names.iter().filter(|arm| !arm.contains("+tls"));
            let tls: Vec<String> = tls.map(|arm| arm.replacen('@', "+tls@", 1)).collect();
            names.extend(tls);
        }
        if let Some((dir, matrix, differs)) = self.stored_matrix(&names) {
            progress.say(&format!("taken from {}", dir.display()));
            let (version, began) = (matrix.header.version.clone(), matrix.header.began.clone());
            let dir = dir.display().to_string();
            let source = Source { dir, version, began, stored: true, differs };
            let passages = of_matrix(&passages::judge(&matrix), &roles);
            return Ok(Found { source: Some(source), compared: Vec::new(), passages });
        }
        pushbench_path::user_namespace::ensure()?;
        let request = reach::Request {
            paths: PATHS.iter().collect(),
            arms: names,
            cutoff: CUTOFF,
            seed: self.seed,
            placement: self.placement.clone(),
            out: self.out.join(planned.name),
            command: self.command.clone(),
        };
        request.check(interrupt)?;
        create_dir(&request.out)?;
        let mut matrix = request.begin();
        let file = request.out.join("reach.json");
        let mut next = |reach: &_, line: &str| {
            progress.say(line);
            let text = serde_json::to_string(&passages::judge(reach));
            let text = text.map_err(|e| Error::harness(format!("cannot write a matrix: {e}")))?;
            write_atomically(&file, text.as_bytes())
        };
        request.execute(&mut matrix, interrupt, &mut next)?;
        next(&matrix, "paths tried")?;
        let source = own_source(&request.out, &matrix.header.began);
        let passages = of_matrix(&passages::judge(&matrix), &roles);
        Ok(Found { source: Some(source), compared: Vec::new(), passages })
    }
}

/// The code of every target that serves webhook and WebSocket.
pub fn stacks() -> Result<Vec<StackEase>> {
    let all = manifest::list()?;
    let both = all.iter().map(|target| ease_of_both(&all, &target.name));
    Ok(both.filter(|stack| stack.webhook.is_some() && stack.websocket.is_some()).collect())
}

fn ease_of_both(all: &[Listed], stack: &str) -> StackEase {
    let of = |transport: &str| ease_of(all, &format!("{transport}@{stack}"));
    StackEase {
        stack: stack.to_owned(),
        own: false,
        webhook: of("webhook"),
        websocket: of("websocket"),
    }
}

fn ease_of(all: &[Listed], arm: &str) -> Option<Ease> {
    let (transport, target) = arm.split_once('@')?;
    let serves = &all.iter().find(|listed| listed.name == target)?.serves;
    let (_, read) = serves.iter().find(|(name, _)| name == transport)?;
    read.as_ref().ok()?.clone()
}

/// The first line of a message, without the option that it is about and without a remedy: both are those of a run.
fn reason(message: &str) -> String {
    let mut lines = message.lines();
    let mut line = lines.next().unwrap_or_default().to_owned();
    // What a target printed last follows.
    if line.ends_with(':') {
        let last: Vec<&str> = lines.map(str::trim).filter(|l| !l.is_empty()).take(LINES).collect();
        line = format!("{line} {}", last.join(" / "));
    }
    let arm = line.strip_prefix("--arm ").and_then(|rest| rest.split_once(": "));
    let line = arm.map_or(line.as_str(), |(_, rest)| rest);
    let remedy = [": add ", ": write "].iter().filter_map(|of| line.find(of)).min();
    line[..remedy.unwrap_or(line.len())].to_owned()
}

/// Of what was measured now.
fn own_source(dir: &Path, began: &str) -> Source {
    Source {
        dir: dir.display().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        began: began.to_owned(),
        stored: false,
        differs: Vec::new(),
    }
}

/// The lower throughput of the pair; `None` where it was not measured.
fn lowest_throughput(record: &CardRecord) -> Option<f64> {
    let saturation = record.measurements.iter().find(|m| m.name == plan::SATURATION)?;
    let found = saturation.compared.iter().find(|c| c.metric == "throughput")?;
    let means = found.values.iter().map(|v| pushbench_analysis::stats::mean(v));
    means.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::min)
}
