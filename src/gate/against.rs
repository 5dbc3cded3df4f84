//! A candidate held against a stored run: its scenario, its seed, its arm.

use super::record::{self, GateHeader};
use super::{Request, measure, prepare};
use crate::compare::gate::Gate;
use crate::error::{Error, Result};
use crate::run::{self, Progress, arms::Arm};
use crate::scenario::{Point, Question};
use crate::store::{RunHeader, StoredRun};
use crate::transport::Transport;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// The arm of a stored run that a candidate of this transport is held against: the only one, or the
/// one that played the base of a gate.
pub fn arm(stored: &RunHeader, transport: Transport, dir: &Path) -> Result<String> {
    let arms = stored.points.first().map_or(&[][..], |p| &p.arms);
    let mine: Vec<_> = arms.iter().filter(|a| a.transport == transport.name()).collect();
    let base = mine.iter().find(|a| a.target == crate::compare::gate::BASE);
    match (base, &mine[..]) {
        (Some(base), _) => Ok(base.label.clone()),
        (None, [only]) => Ok(only.label.clone()),
        (None, []) => Err(Error::usage(format!(
            "--against {}: that run has no arm by {}; it has {}",
            dir.display(),
            transport.name(),
            arms.iter().map(|a| a.label.as_str()).collect::<Vec<_>>().join(", ")
        ))),
        (None, _) => Err(Error::usage(format!(
            "--against {}: that run has several arms by {}; give one with a single one: run it with one --arm",
            dir.display(),
            transport.name()
        ))),
    }
}

/// The stored run's scenario, point by point.
pub fn question(stored: &RunHeader) -> Question {
    Question {
        name: stored.scenario.clone(),
        question: stored.question.clone(),
        points: stored
            .points
            .iter()
            .map(|p| Point { setting: p.setting.clone(), scenario: p.scenario.clone() })
            .collect(),
    }
}

/// Measures the candidate, and the candidate once more, and holds it against the stored arm.
pub fn execute(
    request: &Request,
    stored: &Path,
    arm: &str,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<Gate> {
    prepare(&request.arms, interrupt, progress)?;
    let against = Some((stored.to_owned(), arm.to_owned()));
    record::create(&request.out, &GateHeader { against, ..GateHeader::of(request) })?;
    let mut question = request.question.clone();
    for point in &mut question.points {
        point.scenario.compare.blocks = request.blocks;
    }
    let part = run::Request {
        question,
        arms: request.arms.clone(),
        seed: request.seed,
        placement: request.placement.clone(),
        out: record::stage_dir(&request.out, 1),
        command: request.command.clone(),
    };
    let run = measure(&part, interrupt, progress)?;
    record::held_against(stored, arm, &run, &request.settings)
}

/// Candidate and candidate once more.
pub fn arms(candidate: Arm) -> Vec<Arm> {
    let again = super::sides::arm(
        crate::compare::gate::NULL,
        candidate.transport,
        candidate.manifest.clone(),
    );
    vec![candidate, again]
}

/// Refuses a stored run in which nothing was finished.
pub fn check(stored: &StoredRun, dir: &Path) -> Result<()> {
    match stored.trials.iter().any(|t| t.is_valid()) {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "--against {}: that run has no valid trial to be held against",
            dir.display()
        ))),
    }
}
