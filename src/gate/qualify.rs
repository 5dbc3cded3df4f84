//! How often the gate raises a false alarm here, and how often it finds what was put in on purpose.
//!
//! Gates in whose blocks all arms live together: the base, the base twice more (a null and a candidate that is equal), and
//! in some gates the base with known work added. Each candidate is judged as `pushbench gate` would have done, look by
//! look; the blocks go on until every candidate is decided.

use crate::gate::copies;
use crate::gate::looks;
use crate::gate::looks::{Budget, Looks};
use crate::gate::measure_once;
use crate::gate::nulls::Entry;
use crate::gate::sides;
use crate::run;
use crate::run::Progress;
use crate::run::arms::Arm;
use pushbench_analysis::compare::gate::qualification::{
    EQUAL, Header, SLOWER, Tried, judged, nulls,
};
use pushbench_analysis::compare::gate::{BASE, Look, Margin, NULL, Settings};
use pushbench_analysis::stats;
use pushbench_core::arm::ArmSpec;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::executables::Executables;
use pushbench_core::record::metrics;
use pushbench_core::record::run::StoredRun;
use pushbench_core::scenario::{Blocks, Question};
use pushbench_host::cpus::Placement;
use pushbench_host::input;
use pushbench_host::results_store::{self, write_atomically};
use pushbench_sut::manifest::{BuiltinOptions, Manifest};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Its file.
const FILE: &str = "qualify.json";
/// The run that finds the base's service time.
const CALIBRATION: &str = "calibration";
/// Version of the file.
const SCHEMA: u32 = 1;
/// Trials from which the base's service time is read.
const CALIBRATION_BLOCKS: usize = 8;

/// The parameters of `pushbench qualify`.
pub struct Request {
    /// The scenario's points: one.
    pub question: Question,
    /// How events travel.
    pub transport: ArmSpec,
    /// What is judged.
    pub settings: Settings,
    /// Blocks of a gate before its first look.
    pub blocks: usize,
    /// How long a gate may take.
    pub at_most: Duration,
    /// Gates in all.
    pub gates: usize,
    /// Gates that also have slower candidates.
    pub injected: usize,
    /// Seed.
    pub seed: u64,
    /// CPUs.
    pub placement: Placement,
    /// Results directory; one that exists already is gone on with.
    pub out: PathBuf,
    /// The command line, for the record.
    pub command: Vec<String>,
}

/// Runs what is not there yet.
pub fn execute(
    request: &Request,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<(Header, Vec<Tried>)> {
    let header = match read_header(&request.out)? {
        Some(header) => resume(header, request)?,
        None => begin(request, interrupt, progress)?,
    };
    let mut all = Vec::new();
    for gate in 1..=header.gates {
        let trials = one(request, &header, gate, interrupt, progress)?;
        for t in &trials {
            progress.say(&format!(
                "gate {gate}/{}: {} {}",
                header.gates,
                t.candidate,
                t.verdict.name()
            ));
        }
        all.extend(trials);
    }
    Ok((header, all))
}

/// What a directory holds so far, judged again.
pub fn read(dir: &Path) -> Result<(Header, Vec<Tried>)> {
    let header = read_header(dir)?.ok_or_else(|| {
        Error::usage(format!("{} does not contain a qualification", dir.display()))
    })?;
    let mut all = Vec::new();
    for gate in 1..=header.gates {
        if let Some((run, looks)) = finished(&gate_dir(dir, gate))? {
            all.extend(judged(&header, gate, &run, &looks));
        } else if header.at_most_s == 0.0 {
            all.extend(of_stages(dir, &header, gate)?);
        }
    }
    Ok((header, all))
}

/// A gate of a version that had two stages, each judged by its own blocks.
fn of_stages(dir: &Path, header: &Header, gate: usize) -> Result<Vec<Tried>> {
    let mut decided = Vec::new();
    for number in 1..=2 {
        let stage = dir.join(format!("gate-{gate:02}-stage-{number}"));
        if stage.join("run.json").is_file() {
            let look = Look { number, ..Look::only() };
            take(&mut decided, judged(header, gate, &results_store::read(&stage)?, &[look]));
        }
    }
    Ok(decided)
}

/// What a look says of the candidates that were not decided before.
fn take(decided: &mut Vec<Tried>, now: Vec<Tried>) {
    for tried in now {
        match decided.iter_mut().find(|t| t.candidate == tried.candidate) {
            Some(known) if known.open => *known = tried,
            Some(_) => {}
            None => decided.push(tried),
        }
    }
}

/// Whether a directory holds a qualification.
pub(crate) fn is_qualification(dir: &Path) -> bool {
    dir.join(FILE).is_file()
}

fn gate_dir(dir: &Path, gate: usize) -> PathBuf {
    dir.join(format!("gate-{gate:02}"))
}

fn read_header(dir: &Path) -> Result<Option<Header>> {
    let path = dir.join(FILE);
    let text = match input::text(&path, input::GENERATED) {
        Ok(text) => text,
        Err(e) if e.is_missing() && is_not_begun(dir) => return Ok(None),
        Err(e) => {
            return Err(Error::usage(format!(
                "--out {}: it exists, but it does not contain a qualification that can be continued ({e}); choose another directory",
                dir.display()
            )));
        }
    };
    let damaged = |why: String| Error::usage(format!("{} is damaged: {why}", path.display()));
    let header: Header = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
    match header.schema == SCHEMA {
        true => Ok(Some(header)),
        false => Err(damaged(format!("schema {}, expected {SCHEMA}", header.schema))),
    }
}

/// Nothing is there, or no more than a calibration that was cut short.
fn is_not_begun(dir: &Path) -> bool {
    let Ok(mut entries) = std::fs::read_dir(dir) else { return !dir.exists() };
    entries.all(|e| e.is_ok_and(|e| e.file_name() == CALIBRATION))
}

/// Gates of different parameters cannot be combined.
fn resume(header: Header, request: &Request) -> Result<Header> {
    let required = Header {
        command: header.command.clone(),
        service_ns: header.service_ns,
        settings: Settings { today: header.settings.today.clone(), ..request.settings.clone() },
        ..header_of(request, 0.0)
    };
    if !header.copied {
        return Err(Error::usage(format!(
            "--out {}: its gates ran from one file, and those of this version run from copies of it: choose another directory",
            request.out.display()
        )));
    }
    match required == header {
        true => Ok(header),
        false => Err(Error::usage(format!(
            "--out {}: it was started with other options; repeat these: {}",
            request.out.display(),
            shell_words::join(&header.command)
        ))),
    }
}

fn header_of(request: &Request, service_ns: f64) -> Header {
    Header {
        schema: SCHEMA,
        command: request.command.clone(),
        scenario: request.question.name.clone(),
        transport: request.transport.at_receiver(),
        settings: request.settings.clone(),
        blocks: request.blocks,
        at_most_s: request.at_most.as_secs_f64(),
        gates: request.gates,
        injected: request.injected,
        seed: request.seed,
        service_ns,
        copied: true,
    }
}

/// Finds the base's service time and writes the header.
fn begin(request: &Request, interrupt: &AtomicBool, progress: &mut dyn Progress) -> Result<Header> {
    progress.say("calibration: the base's service time");
    let cannot = |e: std::io::Error| {
        Error::harness(format!("cannot create {}: {e}; see --out", request.out.display()))
    };
    std::fs::create_dir_all(&request.out).map_err(cannot)?;
    let arms = vec![arm(request, BASE, None)];
    let part = part(request, arms, CALIBRATION_BLOCKS, 0, request.out.join(CALIBRATION))?;
    let run = calibrated(&part, interrupt, progress)?;
    let service = |t: &pushbench_core::record::trial::Trial| {
        metrics::named("service.p50").and_then(|m| (m.value)(t))
    };
    let each: Vec<f64> = run.trials.iter().filter(|t| t.is_valid()).filter_map(service).collect();
    let service_ns = stats::median(&each)
        .ok_or_else(|| Error::harness("the calibration has no valid trial: try again"))?;
    let header = header_of(request, service_ns);
    let text = serde_json::to_string_pretty(&header)
        .map_err(|e| Error::harness(format!("cannot write {FILE}: {e}")))?;
    write_atomically(&request.out.join(FILE), text.as_bytes())?;
    progress.say(&format!(
        "service p50 {}: 5 % and 10 % of it are added as work",
        pushbench_core::units::nanos_text(service_ns)
    ));
    Ok(header)
}

fn arm(request: &Request, name: &str, work: Option<Duration>) -> Arm {
    let builtin =
        BuiltinOptions { threads: request.placement.target.len(), work, ..Default::default() };
    sides::arm(name, &request.transport, Manifest::builtin(&request.transport, &builtin))
}

/// The gates with slower candidates are spread evenly.
fn is_injected(header: &Header, gate: usize) -> bool {
    gate * header.injected / header.gates != (gate - 1) * header.injected / header.gates
}

fn arms(request: &Request, header: &Header, gate: usize) -> Vec<Arm> {
    let mut arms: Vec<Arm> = [BASE, NULL, EQUAL].map(|name| arm(request, name, None)).into();
    if is_injected(header, gate) {
        arms.extend(SLOWER.map(|(name, share)| {
            let work = Duration::from_nanos((header.service_ns * share) as u64);
            arm(request, name, Some(work))
        }));
    }
    arms
}

/// All arms run from files of their own, as a candidate of `gate` does.
fn part(
    request: &Request,
    mut arms: Vec<Arm>,
    blocks: usize,
    purpose: usize,
    out: PathBuf,
) -> Result<run::Request> {
    if let Executables::InPlace(why) = copies::give(&mut arms, &request.out)? {
        return Err(Error::harness(format!("servers of a qualification run from copies: {why}")));
    }
    let mut question = request.question.clone();
    for point in &mut question.points {
        point.scenario.compare.blocks = Blocks::Fixed(blocks);
    }
    Ok(run::Request {
        question,
        arms,
        seed: request.seed.wrapping_add(purpose as u64),
        placement: request.placement.clone(),
        out,
        command: request.command.clone(),
    })
}

/// A finished gate; `None` when it is not there or was cut short.
fn finished(dir: &Path) -> Result<Option<(StoredRun, Vec<Look>)>> {
    let looks = Looks::read(dir)?.filter(|looks| looks.ended);
    let Some(Looks { looks, .. }) = looks else { return Ok(None) };
    let run = results_store::read(dir)?;
    Ok((run.header.complete && !run.cut).then_some((run, looks)))
}

/// The calibration that is there already, or is run now in the place of one that was cut short.
fn calibrated(
    part: &run::Request,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<StoredRun> {
    if part.out.join("run.json").is_file() {
        let run = results_store::read(&part.out)?;
        if run.header.complete && !run.cut {
            return Ok(run);
        }
    }
    remove(&part.out)?;
    measure_once(part, interrupt, progress)
}

fn remove(dir: &Path) -> Result<()> {
    match dir.is_dir() {
        true => std::fs::remove_dir_all(dir)
            .map_err(|e| Error::harness(format!("cannot remove {}: {e}", dir.display()))),
        false => Ok(()),
    }
}

fn one(
    request: &Request,
    header: &Header,
    gate: usize,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<Vec<Tried>> {
    let dir = gate_dir(&request.out, gate);
    if let Some((run, looks)) = finished(&dir)? {
        return Ok(judged(header, gate, &run, &looks));
    }
    remove(&dir)?;
    let part = part(request, arms(request, header, gate), header.blocks, gate, dir)?;
    // A candidate is decided at the first look that decides about it; the others may go on.
    let mut decided: Vec<Tried> = Vec::new();
    let mut wants_more = |run: &StoredRun, look: &Look, _: &mut dyn Progress| {
        take(&mut decided, judged(header, gate, run, std::slice::from_ref(look)));
        decided.iter().any(|t| t.open)
    };
    let budget = Budget::new(request.at_most);
    looks::measure(&part, budget, interrupt, progress, &mut wants_more)?;
    Ok(decided)
}

/// The null gates as entries of the file that margins are taken from.
pub fn entries(
    header: &Header,
    trials: &[Tried],
    environment: &std::collections::BTreeMap<String, String>,
) -> Vec<Entry> {
    let entry = |margin: &Margin| {
        let nulls = nulls(trials, &margin.metric);
        Entry {
            machine: crate::gate::nulls::kind(environment),
            scenario: header.scenario.clone(),
            transport: header.transport.clone(),
            metric: margin.metric.clone(),
            blocks: header.blocks,
            log_ratios: nulls.iter().map(|null| null.log_ratio).collect(),
            blocks_of_each: nulls.iter().map(|null| null.blocks).collect(),
        }
    };
    header.settings.margins.iter().map(entry).collect()
}
