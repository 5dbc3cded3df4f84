//! A gate as it is run: base, candidate and the base once more in the same blocks, of which there are as many as it takes;
//! `compare::gate` decides.

pub mod against;
mod copies;
pub mod equivalence;
pub mod instructions;
pub mod looks;
pub mod nulls;
pub mod qualify;
pub mod record;
pub mod sides;
pub mod waivers;

use crate::run;
use crate::run::Progress;
use crate::run::arms::Arm;
use looks::Budget;
use pushbench_analysis::compare::gate as verdict;
use pushbench_analysis::compare::gate::{Failure, Gate, Look, Outcome, Settings};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::executables::Executables;
use pushbench_core::record::run::StoredRun;
use pushbench_core::record::trial::{Stage, Trial};
use pushbench_core::scenario::{Blocks, Question};
use pushbench_host::cpus::Placement;
use pushbench_host::results_store;
use record::GateHeader;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

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
    /// Blocks before the first look; against stored runs all of them.
    pub blocks: usize,
    /// How long it may take.
    pub at_most: Duration,
    /// Seed of schedules and orders.
    pub seed: u64,
    /// CPUs.
    pub placement: Placement,
    /// Programs run from their own files and not from copies.
    pub in_place: bool,
    /// Results directory.
    pub out: PathBuf,
    /// The command line, for the record.
    pub command: Vec<String>,
}

/// A gate that was begun.
pub struct GateResult {
    /// The looks, the last of which is the verdict.
    pub stages: Vec<Gate>,
    /// Which files the programs ran from; `None` when it ended before.
    pub executables: Option<Executables>,
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
        let without_records = Gate::without_records(&header.scenario);
        let unread = failure.clone().map(|failure| without_records.failed(failure));
        header.ended = Some(record::End { stages: record::begun(out), failure });
        let written = record::write(out, &header);
        let executables = header.executables.clone();
        match ended {
            Ok(stages) => written.map(|()| GateResult { stages, executables, error: None }),
            Err(error) => {
                let judged = record::judge(out, &header);
                let stages = judged.unwrap_or_else(|_| unread.into_iter().collect());
                Ok(GateResult { stages, executables, error: Some(error) })
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
    let mut header = GateHeader::of(request);
    record::create(&request.out, &header)?;
    let ended = measure(request, &mut header, interrupt, progress);
    copies::end(&mut request.arms);
    let judged = ended.and_then(|()| record::judge(&request.out, &header));
    GateResult::record_result(&request.out, header, judged)
}

/// Measures base, candidate and null, look by look.
fn measure(
    request: &mut Request,
    header: &mut GateHeader,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<()> {
    let budget = Budget::new(request.at_most);
    prepare(request, interrupt, progress)?;
    copies::begin(request, header, progress)?;
    progress.say("checking that base and candidate handle events in the same way");
    let Request { question, placement, settings, .. } = &*request;
    copies::checked(&request.arms, |arms| {
        equivalence::check(arms, question, placement, interrupt, progress)
    })?;
    let mut wants_more = |run: &StoredRun, look: &Look, progress: &mut dyn Progress| {
        let gate = verdict::judge(run, verdict::CANDIDATE, settings, look);
        progress.say(&look_line(&gate, look));
        gate.wants_more()
    };
    looks::measure(&part(request), budget, interrupt, progress, &mut wants_more).map(|_| ())
}

/// What a look has shown, and whether another follows.
fn look_line(gate: &Gate, look: &Look) -> String {
    let of =
        format!("look {} of at most {}: {} blocks", look.number, look.planned, gate.blocks_valid);
    let open = || {
        let lines =
            gate.lines.iter().filter(|l| l.outcome == Outcome::CannotTell).map(|l| l.metric);
        let counts = gate.exact.iter().filter(|e| e.outcome == Outcome::CannotTell).map(|e| e.what);
        let mut names: Vec<&str> = lines.chain(counts).collect();
        names.dedup();
        names.join(", ")
    };
    match (gate.wants_more(), look.last) {
        (false, _) => format!("{of} decide"),
        (true, true) => format!("{of}, and no time is left"),
        (true, false) if open().is_empty() => format!("{of}, more follow"),
        (true, false) => format!("{of}, more follow: undecided {}", open()),
    }
}

/// A gate's blocks as a run of their own.
fn part(request: &Request) -> run::Request {
    let mut question = request.question.clone();
    for point in &mut question.points {
        point.scenario.compare.blocks = Blocks::Fixed(request.blocks);
    }
    run::Request {
        question,
        arms: request.arms.clone(),
        seed: request.seed,
        placement: request.placement.clone(),
        out: record::blocks_dir(&request.out),
        command: request.command.clone(),
    }
}

/// Runs it and reads it back. A target that failed ends it.
pub fn measure_once(
    part: &run::Request,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<StoredRun> {
    run::execute(part, interrupt, progress)?;
    let run = results_store::read(&part.out)?;
    match failed_target(&run, &part.out) {
        Some(why) => Err(why),
        None => Ok(run),
    }
}

/// A target that ended by itself, or acknowledged nothing: half a comparison is none.
fn failed_target(run: &StoredRun, dir: &Path) -> Option<Error> {
    Some(Error::target(format!("{}; {}", failed(run)?, record_result(dir))))
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
