//! A gate as it is run: base, candidate and the base once more in the same blocks, in one or two
//! stages; `compare::gate` decides.

pub mod against;
pub mod equivalence;
pub mod nulls;
pub mod qualify;
pub mod record;
pub mod sides;
pub mod waivers;

use crate::run;
use crate::run::Progress;
use crate::run::arms::Arm;
use pushbench_analysis::compare::gate as verdict;
use pushbench_analysis::compare::gate::blocks;
use pushbench_analysis::compare::gate::{Failure, Gate, Settings};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::run::StoredRun;
use pushbench_core::record::trial::{Stage, Trial};
use pushbench_core::scenario::{Blocks, Question};
use pushbench_host::cpus::Placement;
use pushbench_host::results_store;
use record::GateHeader;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// The parameters of `pushbench gate`.
pub struct Request {
    /// The scenario's points.
    pub question: Question,
    /// Base, candidate and null of each transport.
    pub arms: Vec<Arm>,
    /// Base and candidate as given on the command line.
    pub named: [String; 2],
    /// What is judged.
    pub settings: Settings,
    /// Blocks of the first stage.
    pub blocks: usize,
    /// Seed of schedules and orders; each stage has its own.
    pub seed: u64,
    /// CPUs.
    pub placement: Placement,
    /// Results directory.
    pub out: PathBuf,
    /// The command line, for the record.
    pub command: Vec<String>,
}

/// A gate that was begun.
pub struct GateResult {
    /// The stages, the last of which is the verdict.
    pub stages: Vec<Gate>,
    /// What ended it before a verdict.
    pub error: Option<Error>,
}

impl GateResult {
    /// Records how a gate ended, also after an error.
    fn record_result(
        out: &Path,
        mut header: GateHeader,
        ended: Result<Vec<Gate>>,
    ) -> Result<GateResult> {
        let failure = |e: &Error| Failure { error: e.to_string(), exit_code: e.code() };
        let failure = ended.as_ref().err().map(failure);
        header.ended = Some(record::End { stages: record::begun(out), failure });
        let written = record::write(out, &header);
        match ended {
            Ok(stages) => written.map(|()| GateResult { stages, error: None }),
            Err(error) => {
                let stages = record::judge(out, &header).unwrap_or_default();
                Ok(GateResult { stages, error: Some(error) })
            }
        }
    }
}

/// What a run's preparation is, before either side is measured.
fn prepare(
    request: &mut Request,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<()> {
    let Request { question, arms, placement, .. } = request;
    run::prepare_arms(arms, question, placement, interrupt, progress)
}

/// Runs the gate.
pub fn execute(
    request: &mut Request,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<GateResult> {
    let header = GateHeader::of(request);
    record::create(&request.out, &header)?;
    let ended = stages(request, interrupt, progress);
    GateResult::record_result(&request.out, header, ended)
}

fn stages(
    request: &mut Request,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<Vec<Gate>> {
    prepare(request, interrupt, progress)?;
    progress.say("checking that base and candidate handle events in the same way");
    equivalence::check(&request.arms, &request.question, &request.placement, interrupt, progress)?;
    let mut stages: Vec<Gate> = Vec::new();
    for stage in [1, 2] {
        progress.say(&stage_line(request, stage));
        let run = measure(&part(request, stage), interrupt, progress)?;
        stages.push(verdict::judge(&run, verdict::CANDIDATE, &request.settings, stage));
        if !stages[stage - 1].wants_more() {
            break;
        }
    }
    Ok(stages)
}

fn stage_line(request: &Request, stage: usize) -> String {
    let blocks = blocks(request.blocks, stage);
    match stage {
        1 => format!("stage 1: {blocks} blocks; if a metric does not pass, a longer stage follows"),
        _ => format!("stage 2: {blocks} new blocks decide"),
    }
}

/// A stage as a run of its own, with a seed of its own.
fn part(request: &Request, stage: usize) -> run::Request {
    let mut question = request.question.clone();
    for point in &mut question.points {
        point.scenario.compare.blocks = Blocks::Fixed(blocks(request.blocks, stage));
    }
    run::Request {
        question,
        arms: request.arms.clone(),
        seed: request.seed.wrapping_add(stage as u64 - 1),
        placement: request.placement.clone(),
        out: record::stage_dir(&request.out, stage),
        command: request.command.clone(),
    }
}

/// Runs a stage and reads it back. A target that ended by itself, or acknowledged nothing,
/// ends the gate: half a comparison is none.
pub fn measure(
    part: &run::Request,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<StoredRun> {
    run::execute(part, interrupt, progress)?;
    let run = results_store::read(&part.out)?;
    match failed(&run) {
        Some(why) => Err(Error::target(format!("{why}; {}", record_result(&part.out)))),
        None => Ok(run),
    }
}

/// A target that failed, and how. One that ended comes first: it also ends the slices of the others.
fn failed(run: &StoredRun) -> Option<String> {
    let ended = |t: &Trial| {
        let reason = t.judged.invalid.iter().find(|r| r.starts_with("target "))?;
        Some(format!("the {reason}"))
    };
    let none_acknowledged = |t: &Trial| {
        let measured = &t.account.measured;
        (measured.due > 0 && measured.acknowledged == 0)
            .then(|| format!("none of {} events was acknowledged", measured.due))
    };
    let of = |t: &Trial, how: String| {
        let place = match t.stage {
            Stage::Pilot => "its pilot".to_owned(),
            Stage::Block => format!("block {}", t.block + 1),
        };
        format!("{}: {place}: {how}", t.label)
    };
    let found = |how: &dyn Fn(&Trial) -> Option<String>| {
        run.trials.iter().find_map(|t| Some(of(t, how(t)?)))
    };
    found(&ended).or_else(|| found(&none_acknowledged))
}

fn record_result(dir: &Path) -> String {
    let dir = dir.display().to_string();
    format!(
        "the finished trials are kept: `pushbench report {}` shows them",
        shell_words::quote(&dir)
    )
}
