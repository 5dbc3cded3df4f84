//! Before any timing: whether base and candidate serve the same. Times of programs that do different
//! things are not compared.

use crate::run::Progress;
use crate::run::arms::Arm;
use crate::verify::{Subject, VerifyContext, full, quick};
use pushbench_analysis::compare::gate::{BASE, CANDIDATE};
use pushbench_analysis::compare::verified::verified;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::record::findings::Finding;
use pushbench_core::record::findings::{Aspect, Findings};
use pushbench_core::scenario::Question;
use pushbench_host::cpus::Placement;
use std::sync::atomic::AtomicBool;

/// What well-formed events get. A difference here means that other work is done, or that answers are
/// read otherwise. The rest (broken messages, pings) is reported and does not stop the gate, and whether
/// connections are kept is one of its lines.
const ESSENTIAL: [Aspect; 5] =
    [Aspect::ExactlyOnce, Aspect::Order, Aspect::AcknowledgedBy, Aspect::InPieces, Aspect::Large];

/// An error when base and candidate of a transport differ in what well-formed events get.
pub fn check(
    arms: &[Arm],
    question: &Question,
    placement: &Placement,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<()> {
    let Some(point) = question.points.first() else { return Ok(()) };
    let template = Template::of(&point.scenario);
    let context = VerifyContext { cpus: &placement.target, interrupt, template: &template };
    let plays = |part: &'static str| arms.iter().filter(move |a| a.spec.target == part);
    for (base, candidate) in plays(BASE).zip(plays(CANDIDATE)) {
        let subjects: Vec<Subject<'_>> = [base, candidate].map(Arm::subject).into();
        // A server that was running before us gets well-formed events only.
        let found = match [base, candidate].iter().all(|a| a.manifest.command.is_some()) {
            true => full(&subjects, &context)?,
            false => quick(&subjects, &context, point.scenario.load.timeout)?,
        };
        if let Some(failure) = found.iter().find_map(|f| f.failure.as_ref()) {
            return Err(Error::target(failure.clone()));
        }
        let (essential, described): (Vec<_>, Vec<_>) =
            differences(&found).into_iter().partition(|(a, _)| ESSENTIAL.contains(a));
        for (_, line) in described {
            progress.say(&format!(
                "{} differs from the base, which is not judged: {line}",
                candidate.label
            ));
        }
        if !essential.is_empty() {
            let lines: Vec<String> = essential.into_iter().map(|(_, line)| line).collect();
            return Err(Error::target(format!(
                "{} handles events differently from {}, so their times are not compared: {}; see `pushbench verify`",
                candidate.label,
                base.label,
                lines.join("; ")
            )));
        }
    }
    Ok(())
}

/// An error when an arm acknowledges nothing.
pub fn answers(
    arms: &[Arm],
    question: &Question,
    placement: &Placement,
    interrupt: &AtomicBool,
) -> Result<()> {
    let Some(point) = question.points.first() else { return Ok(()) };
    let template = Template::of(&point.scenario);
    let context = VerifyContext { cpus: &placement.target, interrupt, template: &template };
    let subjects: Vec<Subject<'_>> = arms.iter().map(Arm::subject).collect();
    quick(&subjects, &context, point.scenario.load.timeout).map(|_| ())
}

/// Aspects of which both values are known and differ, each with a line for the message.
fn differences(found: &[Findings]) -> Vec<(Aspect, String)> {
    let differ = verified(found).rows.into_iter().filter(|row| row.differs);
    differ
        .map(|row| {
            let described = |f: Finding| match f.detail {
                Some(detail) => format!("{} ({detail})", f.value),
                None => f.value,
            };
            let values: Vec<String> = row.arms.into_iter().flatten().map(described).collect();
            (row.aspect, format!("{}: {}", row.aspect.name(), values.join(", then ")))
        })
        .collect()
}
