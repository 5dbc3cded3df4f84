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
    let Ok(run) = results_store::read(&last_run(dir)) else { return day() };
    let at = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let took = run.header.finished.as_deref().and_then(at).zip(at(&run.header.started));
    let took = took.map_or(0.0, |(end, begin)| end.duration_since(begin).as_secs_f64());
    (run.header.started, took)
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
mod tests {
    use super::*;
    use pushbench_analysis::compare::gate::sample::{Recipe, recipe, settings};
    use pushbench_core::scenario::Blocks;
    use pushbench_host::results_store::Store;

    fn begin(dir: &Path, ended: Option<End>) {
        let header = GateHeader {
            schema: verdict::SCHEMA,
            pushbench: "0.1.0".to_owned(),
            command: vec!["pushbench".to_owned()],
            base: "old".to_owned(),
            candidate: "new".to_owned(),
            settings: settings(),
            against: None,
            at_most_s: None,
            scenario: "gate".to_owned(),
            executables: None,
            instructions: None,
            ended,
        };
        create(dir, &header).unwrap();
    }

    /// A gate's directory with these stages, each a candidate that takes this part of the base's time.
    fn gate(dir: &Path, candidates: &[f64], ended: Option<End>) -> Vec<Gate> {
        begin(dir, ended);
        for (stage, candidate) in candidates.iter().enumerate() {
            let mut run = recipe(*candidate).run();
            let mut store = Store::create(&stage_dir(dir, stage + 1), &run.header).unwrap();
            run.trials.iter().for_each(|t| store.append(t, &[]).unwrap());
            run.header.records = Some(store.records());
            store.write_header(&run.header).unwrap();
        }
        read(dir).unwrap().1
    }

    fn end(stages: usize, error: Option<&str>) -> Option<End> {
        let failure = error.map(|e| Failure { error: e.to_owned(), exit_code: 3 });
        Some(End { stages, failure })
    }

    #[test]
    fn a_stage_that_is_missing_leaves_no_verdict() {
        let root = tempfile::tempdir().unwrap();
        let last = |name: &str, candidates: &[f64], ended: Option<End>| {
            let gate = gate(&root.path().join(name), candidates, ended).pop().unwrap();
            (gate.exit_code(), gate.sentence)
        };
        assert_eq!(last("whole", &[1.08, 1.0], end(2, None)).0, 0);
        let (code, said) = last("missing", &[1.08], end(2, None));
        assert!(code == 2 && said.contains("stage 2 is missing"), "{said}");
        let (code, said) = last("former", &[1.08], None);
        assert!(code == 2 && said.contains("stage 2 is missing"), "{said}");
        assert_eq!(last("former-whole", &[22.0, 22.0], None).0, 1);
    }

    #[test]
    fn a_failure_is_kept_with_the_stage_it_ended() {
        let root = tempfile::tempdir().unwrap();
        for (name, candidates) in [("none", &[][..]), ("first", &[1.25]), ("second", &[1.25, 1.0])]
        {
            let ended = end(candidates.len(), Some("the target exited"));
            let stages = gate(&root.path().join(name), candidates, ended);
            assert_eq!(stages.len(), candidates.len().max(1));
            let last = stages.last().unwrap();
            assert!(last.sentence.starts_with("NO VERDICT"), "{}", last.sentence);
            assert!(last.sentence.contains("the target exited") && last.exit_code() == 3);
        }
    }

    /// A gate of 24 blocks that was looked at after these, and its looks.
    fn of_looks(dir: &Path, begun: &[usize], looks_end: bool, ended: Option<End>) -> Vec<Gate> {
        begin(dir, ended);
        let mut run = Recipe { blocks: 24, ..recipe(1.0) }.run();
        run.header.points[0].scenario.compare.blocks = Blocks::Fixed(24);
        let part = blocks_dir(dir);
        let mut store = Store::create(&part, &run.header).unwrap();
        run.trials.iter().for_each(|t| store.append(t, &[]).unwrap());
        run.header.records = Some(store.records());
        store.write_header(&run.header).unwrap();
        let look = |(index, begun): (usize, &usize)| {
            let begun = vec![*begun];
            let number = index + 1;
            Look { number, planned: 4, share: 0.25, last: false, begun, ..Look::only() }
        };
        let looks: Vec<Look> = begun.iter().enumerate().map(look).collect();
        let looks = serde_json::json!({ "looks": looks, "ended": looks_end });
        std::fs::write(part.join("looks.json"), looks.to_string()).unwrap();
        read(dir).unwrap().1
    }

    #[test]
    fn every_look_is_judged_again_by_its_own_blocks() {
        let root = tempfile::tempdir().unwrap();
        let dir = |name: &str| root.path().join(name);
        let whole = of_looks(&dir("whole"), &[8, 12, 24], true, end(3, None));
        let blocks: Vec<usize> = whole.iter().map(|gate| gate.blocks_valid).collect();
        assert_eq!(blocks, [8, 12, 24]);
        assert_eq!((whole[2].exit_code(), whole[2].looks_planned), (0, Some(4)));
        // Killed before its end, and a look that is missing.
        for (name, looks_end, ended) in [("killed", false, None), ("missing", true, end(4, None))] {
            let cut = of_looks(&dir(name), &[8, 12], looks_end, ended).pop().unwrap();
            assert_eq!(cut.exit_code(), 2);
            assert!(cut.sentence.contains("did not run to its end"), "{}", cut.sentence);
        }
        // What failed is shown with everything that was measured.
        let failed = of_looks(&dir("failed"), &[8], false, end(1, Some("the target exited")));
        assert_eq!((failed.len(), failed[1].blocks_valid, failed[1].exit_code()), (2, 24, 3));
    }

    #[test]
    fn looks_that_spend_too_much_are_damaged() {
        let root = tempfile::tempdir().unwrap();
        of_looks(root.path(), &[8, 24], true, end(2, None));
        let file = blocks_dir(root.path()).join("looks.json");
        let text = std::fs::read_to_string(&file).unwrap();
        for (old, new) in [("0.25", "0.9"), ("0.25", "-1.0"), ("\"number\":2", "\"number\":3")] {
            std::fs::write(&file, text.replace(old, new)).unwrap();
            let why = read(root.path()).unwrap_err().to_string();
            assert!(why.contains("looks.json is damaged"), "{why}");
        }
    }

    #[test]
    fn records_cut_off_a_stage_leave_no_verdict() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("g");
        assert_eq!(gate(&dir, &[1.0], end(1, None))[0].exit_code(), 0);
        let trials = stage_dir(&dir, 1).join("trials.jsonl");
        let text = std::fs::read_to_string(&trials).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').take(30).collect();
        std::fs::write(&trials, lines.concat()).unwrap();
        let cut = read(&dir).unwrap().1.pop().unwrap();
        assert_eq!(cut.exit_code(), 2);
        assert!(cut.sentence.contains("holds 30 records, run.json counted 36"), "{}", cut.sentence);
    }
}
