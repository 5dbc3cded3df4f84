//! The gate that judges instructions instead of times: base, candidate and null in the same blocks, each started for a short
//! and for a long series of events, which come one after the other. The counts are kept, and `compare::gate` judges them.

mod trials;

use crate::gate::record::{self, GateHeader};
use crate::gate::{GateResult, Request, copies, equivalence, prepare};
use crate::run::Progress;
use pushbench_analysis::compare::gate::Gate;
use pushbench_analysis::compare::gate::instructions as verdict;
use pushbench_analysis::compare::gate::instructions::{InstructionTrial, Length, Method};
use pushbench_core::error::{Error, Result};
use pushbench_sut::instructions::{Counter, addresses_are_fixed, environment};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use trials::{Lengths, Task, Trials};

/// The file of the counts: one trial a line.
pub const FILE: &str = "instructions.jsonl";

/// Runs the gate.
///
/// # Errors
/// Its directory cannot be made or written. What ends it before a verdict is in the result.
pub fn execute(
    request: &mut Request,
    counter: &Counter,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<GateResult> {
    let mut header = GateHeader::of(request);
    header.at_most_s = None;
    let (name, value) = environment();
    header.instructions = Some(Method {
        counter: counter.name(),
        blocks: request.blocks,
        addresses_fixed: addresses_are_fixed(),
        environment: [(name.to_owned(), value.to_owned())].into(),
    });
    record::create(&request.out, &header)?;
    let ended = measure(request, counter, &mut header, interrupt, progress);
    copies::end(&mut request.arms);
    let judged = ended.and_then(|()| record::judge(&request.out, &header));
    GateResult::record_result(&request.out, header, judged)
}

fn measure(
    request: &mut Request,
    counter: &Counter,
    header: &mut GateHeader,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<()> {
    progress.say(&format!("instructions are counted by {}", counter.name()));
    prepare(request, interrupt, progress)?;
    copies::begin(request, header, progress)?;
    progress.say("checking that base and candidate handle events in the same way");
    let Request { question, placement, arms, .. } = &*request;
    copies::checked(arms, |arms| {
        equivalence::check(arms, question, placement, interrupt, progress)
    })?;
    let trials = Trials::new(question, placement, counter, interrupt)?;
    let mut lengths = Vec::new();
    // Base, candidate and null of each transport, in this order.
    for group in arms.chunks(3) {
        let found = trials.lengths(&group[0])?;
        progress.say(&format!("{}: {}", group[0].label, found.sentence(request.blocks)));
        lengths.push(found);
    }
    for block in 0..request.blocks {
        let tasks = tasks(request, &lengths, block);
        let (done, ended) = trials.run(block, &tasks);
        append(&request.out, &done)?;
        ended?;
        progress.say(&format!("block {} of {} is counted", block + 1, request.blocks));
    }
    Ok(())
}

/// The trials of a block: every arm at both lengths, in an order that goes round from block to block.
fn tasks<'a>(request: &'a Request, lengths: &[Lengths], block: usize) -> Vec<Task<'a>> {
    let mut tasks: Vec<Task<'a>> = Vec::new();
    for (group, of) in request.arms.chunks(3).zip(lengths) {
        for length in [Length::Short, Length::Long] {
            tasks.extend(group.iter().map(|arm| Task { arm, length, events: of.events(length) }));
        }
    }
    let first = (block + request.seed as usize % tasks.len().max(1)) % tasks.len().max(1);
    tasks.rotate_left(first);
    tasks
}

fn append(dir: &Path, trials: &[InstructionTrial]) -> Result<()> {
    let path = path(dir);
    let failed =
        |e: std::io::Error| Error::harness(format!("cannot write {}: {e}", path.display()));
    let mut text = String::new();
    for trial in trials {
        let line = serde_json::to_string(trial)
            .map_err(|e| Error::harness(format!("cannot write a trial: {e}")))?;
        text.push_str(&line);
        text.push('\n');
    }
    let file = OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Whether anything was counted.
pub(super) fn begun(dir: &Path) -> bool {
    path(dir).is_file()
}

/// The verdict on what was counted.
pub(super) fn judge(dir: &Path, header: &GateHeader, method: &Method) -> Result<Vec<Gate>> {
    if !begun(dir) {
        return Ok(Vec::new());
    }
    let path = path(dir);
    let text = pushbench_host::input::text(&path, pushbench_host::input::GENERATED)?;
    let mut trials = Vec::new();
    for (number, line) in text.lines().enumerate() {
        match serde_json::from_str::<InstructionTrial>(line) {
            Ok(trial) => trials.push(trial),
            // A line that was being written when pushbench was killed.
            Err(_) if !text.ends_with('\n') && number + 1 == text.lines().count() => {}
            Err(e) => {
                return Err(Error::usage(format!(
                    "{}:{}: it is damaged: {e}",
                    path.display(),
                    number + 1
                )));
            }
        }
    }
    Ok(vec![verdict::judge(&header.scenario, method, &trials, &header.settings)])
}
