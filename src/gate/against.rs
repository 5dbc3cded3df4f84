//! A candidate held against stored runs: their scenario, their seed, their arm.

use crate::gate::record;
use crate::gate::record::GateHeader;
use crate::gate::{GateResult, Request, copies, equivalence, measure_once, prepare, sides};
use crate::run::Progress;
use crate::run::arms::Arm;
use pushbench_analysis::compare::gate::{BASE, NULL};
use pushbench_core::arm::ArmSpec;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::run::{ArmHeader, RunHeader};
use pushbench_core::record::trial::Stage;
use pushbench_core::scenario::{Point, Question, Scenario};
use pushbench_host::results_store;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// The arm of a stored run that a candidate of this transport is held against: the only one, or the
/// one that played the base of a gate.
fn arm(stored: &RunHeader, spec: &ArmSpec, dir: &Path) -> Result<String> {
    let arms = stored.points.first().map_or(&[][..], |p| &p.arms);
    let kind = spec.at_receiver();
    let is_of = |arm: &&ArmHeader| {
        let left = arm.label.split('@').next().unwrap_or_default();
        ArmSpec::parse_left(left, "").is_ok_and(|arm| arm == *spec)
    };
    let mine: Vec<_> = arms.iter().filter(is_of).collect();
    let base = mine.iter().find(|a| a.target == BASE);
    match (base, &mine[..]) {
        (Some(base), _) => Ok(base.label.clone()),
        (None, [only]) => Ok(only.label.clone()),
        (None, []) => Err(Error::usage(format!(
            "--against {}: that run has no arm for {}; its arms are {}",
            dir.display(),
            kind,
            arms.iter().map(|a| a.label.as_str()).collect::<Vec<_>>().join(", ")
        ))),
        (None, _) => Err(Error::usage(format!(
            "--against {}: that run has several arms for {}, and none of them is the base of a gate: {}",
            dir.display(),
            kind,
            mine.iter().map(|a| a.label.as_str()).collect::<Vec<_>>().join(", ")
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

/// Measures the candidate several times and holds it against the stored arm. There is one look: the stored runs have
/// no fresh blocks to give.
pub fn execute(
    request: &mut Request,
    against: &Against,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<GateResult> {
    let mut header = GateHeader { against: Some(against.arm.clone()), ..GateHeader::of(request) };
    record::create(&request.out, &header)?;
    let judged = prepare(request, interrupt, progress)
        .and_then(|()| copies::begin(request, &mut header, progress))
        .and_then(|()| {
            let Request { question, placement, .. } = &*request;
            copies::checked(&request.arms[..1], |arms| {
                equivalence::answers(arms, question, placement, interrupt)
            })
        })
        .and_then(|()| record::keep_against(&request.out, &against.dirs))
        .and_then(|()| measure_once(&crate::gate::part(request), interrupt, progress))
        .and_then(|_| record::judge(&request.out, &header));
    copies::end(&mut request.arms);
    GateResult::record_result(&request.out, header, judged)
}

/// As many arms as the stored run had, so that the candidate shares its CPU as the stored arm did; two
/// at least, the candidate and the candidate once more.
pub fn arms(candidate: &Arm, stored: &RunHeader) -> Vec<Arm> {
    let count = stored.points.first().map_or(0, |p| p.arms.len()).max(2);
    let again = |n: usize| {
        let part = if n == 1 { NULL.to_owned() } else { format!("again-{n}") };
        sides::arm(&part, &candidate.spec, candidate.manifest.clone())
    };
    std::iter::once(candidate.clone()).chain((1..count).map(again)).collect()
}

/// The stored runs that a candidate is held against.
pub struct Against {
    /// Their directories.
    pub dirs: Vec<PathBuf>,
    /// The header of the first.
    pub header: RunHeader,
    /// The arm.
    pub arm: String,
}

impl Against {
    /// Reads them and finds the arm in the first; every other must have measured the same. Of a gate they are the
    /// blocks.
    pub fn find(given: &[PathBuf], spec: &ArmSpec) -> Result<Against> {
        let mut found: Option<Against> = None;
        for dir in given {
            let dir = if record::is_gate(dir) { record::last_run(dir) } else { dir.clone() };
            let stored = results_store::read(&dir)?;
            if !stored.trials.iter().any(|t| t.stage == Stage::Block && t.is_valid()) {
                return Err(Error::usage(format!(
                    "--against {}: that run has no valid trial to compare with",
                    dir.display()
                )));
            }
            match &mut found {
                None => {
                    let arm = arm(&stored.header, spec, &dir)?;
                    found = Some(Against { dirs: vec![dir], header: stored.header, arm });
                }
                Some(first) => {
                    first.measured_the_same(&stored.header, &dir)?;
                    first.dirs.push(dir);
                }
            }
        }
        found.ok_or_else(|| Error::usage("--against: name the directory of a stored run"))
    }

    fn measured_the_same(&self, other: &RunHeader, dir: &Path) -> Result<()> {
        let (first, wrong) = (self.dirs[0].display(), |why: &str| {
            Error::usage(format!(
                "--against {}: {why} {}; leave one of them out",
                dir.display(),
                self.dirs[0].display()
            ))
        });
        if self.dirs.iter().any(|known| *known == dir) {
            return Err(Error::usage(format!("--against {first}: it is named twice")));
        }
        // As many blocks as it took.
        let same = |a: &Scenario, b: &Scenario| {
            let mut b = b.clone();
            b.compare.blocks = a.compare.blocks;
            *a == b
        };
        let points = self.header.points.iter().zip(&other.points);
        if self.header.points.len() != other.points.len()
            || points
                .clone()
                .any(|(a, b)| a.setting != b.setting || !same(&a.scenario, &b.scenario))
        {
            return Err(wrong("its scenario is not that of"));
        }
        if !points.clone().all(|(_, b)| b.arms.iter().any(|arm| arm.label == self.arm)) {
            return Err(wrong(&format!("it has no {}, as", self.arm)));
        }
        Ok(())
    }
}
