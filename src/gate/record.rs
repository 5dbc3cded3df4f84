//! A gate's directory: `gate.json` (the parameters) and the results directory of its blocks; in those of earlier versions
//! one for each stage. The verdict is derived from them again, digit for digit.

use crate::gate::Request;
use crate::gate::instructions;
use crate::gate::looks::Looks;
use pushbench_analysis::compare::gate as verdict;
use pushbench_analysis::compare::gate::instructions::Method;
use pushbench_analysis::compare::gate::{Failure, Gate, Look, Settings};
use pushbench_analysis::compare::machine;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::executables::Executables;
use pushbench_core::record::run::StoredRun;
use pushbench_host::results_store::create_dir;
use pushbench_host::results_store::{self, write_atomically};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Its file.
pub const FILE: &str = "gate.json";

/// `gate.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateHeader {
    /// Version of this file.
    pub schema: u32,
    /// Version of pushbench that wrote it.
    pub pushbench: String,
    /// The command line.
    pub command: Vec<String>,
    /// What the base is.
    pub base: String,
    /// What the candidate is.
    pub candidate: String,
    /// What is judged, and how strictly.
    pub settings: Settings,
    /// The arm of stored runs that the candidate is held against, which are copied into the gate's
    /// directory; `None` when the base was measured with the candidate.
    #[serde(default)]
    pub against: Option<String>,
    /// How long it could take, s; `None` in gates of versions that had stages.
    #[serde(default)]
    pub at_most_s: Option<f64>,
    /// The scenario's name; empty in gates of versions that did not keep it.
    #[serde(default)]
    pub scenario: String,
    /// Which files the programs ran from; `None` before that was decided, and in gates of versions without copies.
    #[serde(default)]
    pub executables: Option<Executables>,
    /// How instructions are counted, where these are judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<Method>,
    /// How it ended; `None` while it runs, when it was killed, and in gates of versions that did not keep
    /// it.
    #[serde(default)]
    pub ended: Option<End>,
}

/// How a gate ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Looks, or stages that were begun.
    pub stages: usize,
    /// What ended it before a verdict.
    #[serde(default)]
    pub failure: Option<Failure>,
}

impl GateHeader {
    /// The header of a gate that begins.
    pub fn of(request: &Request) -> GateHeader {
        GateHeader {
            schema: verdict::SCHEMA,
            pushbench: env!("CARGO_PKG_VERSION").to_owned(),
            command: request.command.clone(),
            base: request.named[0].clone(),
            candidate: request.named[1].clone(),
            settings: request.settings.clone(),
            against: None,
            at_most_s: Some(request.at_most.as_secs_f64()),
            scenario: request.question.name.clone(),
            executables: None,
            instructions: None,
            ended: None,
        }
    }
}

/// Where the copy of a stored run lies, from 1: the verdict must not hang on a directory elsewhere.
fn against_dir(dir: &Path, number: usize) -> PathBuf {
    match number {
        1 => dir.join("against"),
        n => dir.join(format!("against-{n}")),
    }
}

/// Copies the stored runs that a candidate is held against.
pub(crate) fn keep_against(dir: &Path, stored: &[PathBuf]) -> Result<()> {
    for (index, stored) in stored.iter().enumerate() {
        let to = against_dir(dir, index + 1);
        let cannot = |e: std::io::Error| {
            Error::harness(format!("cannot copy {}: {e}; see --out", stored.display()))
        };
        std::fs::create_dir(&to).map_err(cannot)?;
        for file in ["run.json", "trials.jsonl"] {
            std::fs::copy(stored.join(file), to.join(file)).map_err(cannot)?;
        }
    }
    Ok(())
}

/// The records of a gate: its blocks, or the last of its stages.
pub(crate) fn last_run(dir: &Path) -> PathBuf {
    let blocks = blocks_dir(dir);
    if blocks.is_dir() {
        return blocks;
    }
    let stages = (1..).map(|stage| stage_dir(dir, stage)).take_while(|part| part.is_dir());
    stages.last().unwrap_or(blocks)
}

/// The results directory of a gate's blocks.
pub(crate) fn blocks_dir(dir: &Path) -> PathBuf {
    dir.join("blocks")
}

/// A stage's results directory in gates of earlier versions.
fn stage_dir(dir: &Path, stage: usize) -> PathBuf {
    dir.join(format!("stage-{stage}"))
}

/// Whether a directory holds a gate.
pub(crate) fn is_gate(dir: &Path) -> bool {
    dir.join(FILE).is_file()
}

/// Makes the directory; one that exists must be empty.
pub fn create(dir: &Path, header: &GateHeader) -> Result<()> {
    create_dir(dir)?;
    write(dir, header)
}

/// Writes `gate.json` as a whole.
pub fn write(dir: &Path, header: &GateHeader) -> Result<()> {
    let text = serde_json::to_string_pretty(header)
        .map_err(|e| Error::harness(format!("cannot write {FILE}: {e}")))?;
    write_atomically(&dir.join(FILE), text.as_bytes())
}

/// Reads `gate.json`.
pub fn header(dir: &Path) -> Result<GateHeader> {
    let path = dir.join(FILE);
    let text = pushbench_host::input::text(&path, pushbench_host::input::GENERATED)?;
    let damaged =
        |e: serde_json::Error| Error::usage(format!("{} is damaged: {e}", path.display()));
    let version: serde_json::Value = serde_json::from_str(&text).map_err(damaged)?;
    if version["schema"] != verdict::SCHEMA {
        return Err(Error::usage(format!(
            "{} has schema {}, but this version of pushbench reads schema {}: use the version that wrote it",
            path.display(),
            version["schema"],
            verdict::SCHEMA
        )));
    }
    serde_json::from_value(version).map_err(damaged)
}

/// Reads a gate's directory and judges it again.
pub fn read(dir: &Path) -> Result<(GateHeader, Vec<Gate>)> {
    let header = header(dir)?;
    let stages = judge(dir, &header)?;
    match stages.is_empty() {
        true => Err(Error::usage(format!("{} has no finished stage", dir.display()))),
        false => Ok((header, stages)),
    }
}

/// When a gate's blocks began, RFC 3339 in UTC, and how long they took, s. Without blocks its day.
pub fn times(dir: &Path, settings: &Settings) -> (String, f64) {
    let day = || (format!("{}T00:00:00Z", settings.today), 0.0);
    let Ok(header) = results_store::read_header(&last_run(dir)) else { return day() };
    let at = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let took = header.finished.as_deref().and_then(at).zip(at(&header.started));
    let took = took.map_or(0.0, |(end, begin)| end.duration_since(begin).as_secs_f64());
    (header.started, took)
}

/// How many looks there were, or stages begun.
pub fn begun(dir: &Path) -> usize {
    match Looks::read(&blocks_dir(dir)) {
        Ok(Some(looks)) => looks.looks.len(),
        _ if instructions::begun(dir) => 1,
        _ => stages(dir),
    }
}

fn stages(dir: &Path) -> usize {
    (1..).take_while(|stage| stage_dir(dir, *stage).join("run.json").is_file()).count()
}

/// Judges what a gate's directory holds. The last one has the verdict, or the failure that ended the gate.
pub fn judge(dir: &Path, header: &GateHeader) -> Result<Vec<Gate>> {
    let failure = header.ended.as_ref().and_then(|end| end.failure.clone());
    let mut found = match &header.instructions {
        Some(method) => instructions::judge(dir, header, method)?,
        None if blocks_dir(dir).join("run.json").is_file() => {
            of_blocks(dir, header, failure.is_some())?
        }
        None => of_stages(dir, header)?,
    };
    if let Some(failure) = failure {
        let last = found.pop().unwrap_or_else(|| Gate::without_records(&header.scenario));
        found.push(last.failed(failure));
    }
    Ok(found)
}

/// Every look at a gate's blocks. Of a gate that failed the last one sees what was measured after the last look, too.
fn of_blocks(dir: &Path, header: &GateHeader, failed: bool) -> Result<Vec<Gate>> {
    let part = blocks_dir(dir);
    let run = results_store::read(&part)?;
    if let Some(arm) = &header.against {
        let only = judge_against(dir, arm, &run, &header.settings)?;
        return Ok(vec![Gate { looks_planned: Some(1), ..only }]);
    }
    let looks = Looks::read(&part)?.unwrap_or_default();
    let judge = |look: &Look| {
        let then = look.of(run.clone());
        let gate = verdict::judge(&then, verdict::CANDIDATE, &header.settings, look);
        Gate { looks_planned: Some(look.planned), ..gate }
    };
    let looked = |look: &Look| match header.at_most_s {
        Some(seconds) if look.last && !look.stopped => judge(look).out_of_time(seconds),
        _ => judge(look),
    };
    let unfinished = || judge(&Look::unfinished(&looks.looks));
    let mut found: Vec<Gate> = looks.looks.iter().map(looked).collect();
    if failed {
        found.push(unfinished());
    } else if !looks.ended || header.ended.as_ref().is_some_and(|end| end.stages > found.len()) {
        let last = found.pop().unwrap_or_else(unfinished);
        found.push(last.left_open("the gate did not run to its end".to_owned()));
    }
    Ok(found)
}

/// Each stage of a gate of an earlier version, which was judged by its own blocks alone.
fn of_stages(dir: &Path, header: &GateHeader) -> Result<Vec<Gate>> {
    let mut found = Vec::new();
    for number in 1..=stages(dir) {
        let run = results_store::read(&stage_dir(dir, number))?;
        found.push(match &header.against {
            None => {
                let look = Look { number, ..Look::only() };
                verdict::judge(&run, verdict::CANDIDATE, &header.settings, &look)
            }
            Some(arm) => judge_against(dir, arm, &run, &header.settings)?,
        });
    }
    let planned = header.ended.as_ref().map(|end| end.stages);
    if let Some(last) = found.pop() {
        found.push(match missing(&last, planned, header.against.is_some()) {
            Some(why) => last.left_open(why),
            None => last,
        });
    }
    Ok(found)
}

/// Why the last stage that is there does not decide. Gates of versions that did not say how they ended had a second
/// stage where the first one did not pass.
fn missing(last: &Gate, planned: Option<usize>, against: bool) -> Option<String> {
    match planned {
        Some(planned) if planned > last.stage => {
            Some(format!("the gate ran {planned} stages, but stage {} is missing", last.stage + 1))
        }
        None if last.stage == 1 && !against && last.exit_code() != 0 => {
            Some("stage 1 did not decide, and stage 2 is missing".to_owned())
        }
        _ => None,
    }
}

/// The verdict on a run, compared with the copies of the stored runs.
fn judge_against(dir: &Path, arm: &str, run: &StoredRun, settings: &Settings) -> Result<Gate> {
    let dirs = (1..).map(|n| against_dir(dir, n)).take_while(|copy| copy.is_dir());
    let stored = dirs.map(|copy| results_store::read(&copy)).collect::<Result<Vec<_>>>()?;
    let mut differs: Vec<String> = Vec::new();
    for old in &stored {
        let found = machine::differences(&old.header, &run.header);
        let lines = found.iter().map(ToString::to_string);
        differs.extend(lines.filter(|line| !differs.contains(line)).collect::<Vec<_>>());
    }
    Ok(verdict::judge_against(&stored, arm, run, settings, differs))
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
