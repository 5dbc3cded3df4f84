//! Before any timing: whether base and candidate serve the same. Times of programs that do different
//! things are not compared.

use crate::compare::gate::{BASE, CANDIDATE};
use crate::cpus::Placement;
use crate::error::{Error, Result};
use crate::record::findings::{Aspect, Findings};
use crate::run::{Progress, arms::Arm};
use crate::scenario::Question;
use crate::transport::event::Template;
use crate::verify::{Bench, Subject, full};
use std::sync::atomic::AtomicBool;

/// What well-formed events get. A difference here means that other work is done, or that answers are
/// read otherwise. The rest (broken messages, pings) is told and does not stop the gate, and whether
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
    let template = Template::new(&point.scenario.payload);
    let bench = Bench { cpus: &placement.target, interrupt, template: &template };
    let plays = |part: &'static str| arms.iter().filter(move |a| a.target == part);
    for (base, candidate) in plays(BASE).zip(plays(CANDIDATE)) {
        let subjects: Vec<Subject<'_>> = [base, candidate].map(Arm::subject).into();
        let found = full(&subjects, &bench)?;
        let [known, tried] = &found[..] else { continue };
        for one in [known, tried] {
            if let Some(trouble) = &one.trouble {
                return Err(Error::target(trouble.clone()));
            }
        }
        let (essential, told): (Vec<_>, Vec<_>) =
            differences(known, tried).into_iter().partition(|(a, _)| ESSENTIAL.contains(a));
        for (_, line) in told {
            progress.say(&format!("{} differs, which is not judged: {line}", candidate.label));
        }
        if !essential.is_empty() {
            let lines: Vec<String> = essential.into_iter().map(|(_, line)| line).collect();
            return Err(Error::target(format!(
                "{} does not serve what {} does, so their times are not compared: {}; see `pushbench verify`",
                candidate.label,
                base.label,
                lines.join("; ")
            )));
        }
    }
    Ok(())
}

/// Aspects whose values differ, each with a line for people.
fn differences(base: &Findings, candidate: &Findings) -> Vec<(Aspect, String)> {
    let both = base.list.iter().filter_map(|b| Some((b, candidate.of(b.aspect)?)));
    both.filter(|(b, c)| b.value != c.value)
        .map(|(b, c)| (b.aspect, format!("{}: {} then {}", b.aspect.name(), b.value, c.value)))
        .collect()
}
