//! A gate's directory: `gate.json` (what was asked, and how strictly) beside one results directory a
//! stage. The verdict is derived from them again, digit for digit.

use super::Request;
use crate::compare::gate::{self as verdict, Gate, Settings};
use crate::compare::machine;
use crate::error::{Error, Result};
use crate::store::{StoredRun, create_dir, write_atomically};
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
    /// The arm of a stored run that the candidate is held against, which is copied into the gate's
    /// directory; `None` when the base was measured beside the candidate.
    #[serde(default)]
    pub against: Option<String>,
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
        }
    }
}

/// Where the copy of a stored run lies: the verdict must not hang on a directory elsewhere.
fn against_dir(dir: &Path) -> PathBuf {
    dir.join("against")
}

/// Copies the stored run that a candidate is held against.
pub fn keep_against(dir: &Path, stored: &Path) -> Result<()> {
    let to = against_dir(dir);
    let cannot = |e: std::io::Error| {
        Error::harness(format!("cannot copy {}: {e}; see --out", stored.display()))
    };
    std::fs::create_dir(&to).map_err(cannot)?;
    for file in ["run.json", "trials.jsonl"] {
        std::fs::copy(stored.join(file), to.join(file)).map_err(cannot)?;
    }
    Ok(())
}

/// The last stage of a gate that has a finished one.
pub fn last_stage(dir: &Path) -> PathBuf {
    let stages = (1..).map(|stage| stage_dir(dir, stage)).take_while(|part| part.is_dir());
    stages.last().unwrap_or_else(|| stage_dir(dir, 1))
}

/// A stage's results directory.
pub fn stage_dir(dir: &Path, stage: usize) -> PathBuf {
    dir.join(format!("stage-{stage}"))
}

/// Whether a directory holds a gate.
pub fn is_gate(dir: &Path) -> bool {
    dir.join(FILE).is_file()
}

/// Makes the directory; one that exists must be empty.
pub fn create(dir: &Path, header: &GateHeader) -> Result<()> {
    create_dir(dir)?;
    let text = serde_json::to_string_pretty(header)
        .map_err(|e| Error::harness(format!("cannot write {FILE}: {e}")))?;
    write_atomically(&dir.join(FILE), text.as_bytes())
}

/// Reads `gate.json`.
pub fn header(dir: &Path) -> Result<GateHeader> {
    let path = dir.join(FILE);
    let text = std::fs::read_to_string(&path)
        .map_err(|e| Error::usage(format!("cannot read {}: {e}", path.display())))?;
    let damaged =
        |e: serde_json::Error| Error::usage(format!("{} is damaged: {e}", path.display()));
    let version: serde_json::Value = serde_json::from_str(&text).map_err(damaged)?;
    if version["schema"] != verdict::SCHEMA {
        return Err(Error::usage(format!(
            "{} has schema {}, this pushbench reads schema {}: use the version that wrote it",
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
    let mut stages = Vec::new();
    for stage in 1.. {
        let part = stage_dir(dir, stage);
        if !part.is_dir() {
            break;
        }
        let run = StoredRun::read(&part)?;
        stages.push(match &header.against {
            None => verdict::judge(&run, verdict::CANDIDATE, &header.settings, stage),
            Some(arm) => held_against(dir, arm, &run, &header.settings)?,
        });
    }
    match stages.is_empty() {
        true => Err(Error::usage(format!("{} has no finished stage", dir.display()))),
        false => Ok((header, stages)),
    }
}

/// The verdict on a run beside the stored one that the gate's directory keeps.
pub fn held_against(dir: &Path, arm: &str, run: &StoredRun, settings: &Settings) -> Result<Gate> {
    let old = StoredRun::read(&against_dir(dir))?;
    let differs = machine::differences(&old.header, &run.header);
    let differs = differs.iter().map(ToString::to_string).collect();
    Ok(verdict::judge_against(&old, arm, run, settings, differs))
}
