//! The trials that are compared: base, candidate and null.

use crate::compare::Trials;
use crate::compare::gate::{BASE, NULL};
use pushbench_core::record::run::{PointHeader, StoredRun};
use pushbench_core::record::trial::{Stage, Trial, TrialDesign};
use pushbench_core::scenario::{Scenario, Setting};

/// The trials of an arm, one for each block.
pub type Side<'a> = Vec<&'a Trial>;

/// One transport at one point.
pub struct Pairs<'a> {
    pub setting: Setting,
    pub scenario: &'a Scenario,
    pub transport: String,
    /// Valid trials; of stored runs those of one run after the other.
    pub base: Side<'a>,
    /// Trials of each stored run in `base`; empty when base and candidate were measured in the same blocks.
    pub runs: Vec<usize>,
    pub candidate: Side<'a>,
    /// Two sides of the same program, block by block.
    pub null: Option<(Side<'a>, Side<'a>)>,
    /// Whether base and candidate were measured in the same blocks.
    pub paired: bool,
    /// Both sides again, with the blocks that were voided.
    pub(crate) with_voided: (Side<'a>, Side<'a>),
    /// Driver and target used the same CPU.
    pub(crate) shared_cpu: bool,
    /// Invalid trials of base and candidate, and blocks that failed because of it.
    pub invalid: [usize; 2],
    pub blocks_run: usize,
}

impl Pairs<'_> {
    /// Valid blocks that both sides have.
    pub fn blocks(&self) -> usize {
        self.base.len().min(self.candidate.len())
    }
}

/// Everything to be judged, and what is missing.
#[derive(Default)]
pub struct Found<'a> {
    pub pairs: Vec<Pairs<'a>>,
    pub missing: Vec<String>,
}

/// The pairs of a run in which base, candidate and null are arms.
pub fn within<'a>(run: &'a StoredRun, candidate: &str) -> Found<'a> {
    let mut found = Found::default();
    for (index, point) in run.header.points.iter().enumerate() {
        let trials = Trials::of(run, index);
        for transport in transports(point) {
            let arm = |target: &str| position(point, &transport, target);
            let (Some(base), Some(tried)) = (arm(BASE), arm(candidate)) else {
                found.missing.push(format!("{transport}@{BASE} or {transport}@{candidate}"));
                continue;
            };
            let valid = |arm: usize| trials.of_arm(arm);
            found.pairs.push(Pairs {
                setting: point.setting.clone(),
                scenario: &point.scenario,
                base: valid(base),
                runs: Vec::new(),
                candidate: valid(tried),
                null: arm(NULL).map(|null| (valid(base), valid(null))),
                transport,
                paired: true,
                shared_cpu: !run.header.shared_cpus().is_empty(),
                with_voided: (whole(&trials, base), whole(&trials, tried)),
                invalid: [trials.invalid(base), trials.invalid(tried)],
                blocks_run: trials.blocks_run(),
            });
        }
    }
    found
}

/// An arm of stored runs against a candidate measured now; the null is the candidate once more.
pub fn against<'a>(stored: &'a [StoredRun], arm: &str, now: &'a StoredRun) -> Found<'a> {
    let mut found = Found::default();
    for (index, point) in now.header.points.iter().enumerate() {
        let mut base = StoredArm::default();
        for run in stored {
            if let Err(what) = base.add(run, &point.setting, arm) {
                found.missing.push(format!("{what} in the stored run"));
            }
        }
        let Some(transport) = base.transport else { continue };
        let trials = Trials::of(now, index);
        let mine = |target| position(point, &transport, target);
        let (Some(tried), Some(again)) = (mine(crate::compare::gate::CANDIDATE), mine(NULL)) else {
            found.missing.push(format!("{transport}@{}", crate::compare::gate::CANDIDATE));
            continue;
        };
        let shared = |run: &StoredRun| !run.header.shared_cpus().is_empty();
        found.pairs.push(Pairs {
            setting: point.setting.clone(),
            scenario: &point.scenario,
            base: base.valid,
            runs: base.runs,
            candidate: trials.of_arm(tried),
            null: Some((trials.of_arm(tried), trials.of_arm(again))),
            transport,
            paired: false,
            shared_cpu: shared(now) || stored.iter().any(shared),
            with_voided: (base.whole, whole(&trials, tried)),
            invalid: [base.invalid, trials.invalid(tried)],
            blocks_run: trials.blocks_run(),
        });
    }
    let points = stored.iter().flat_map(|run| &run.header.points);
    for point in points {
        let line = format!("{} in this run", setting_text(&point.setting));
        let here = now.header.points.iter().any(|p| p.setting == point.setting);
        if !here && !found.missing.contains(&line) {
            found.missing.push(line);
        }
    }
    found
}

/// The trials of an arm at one point of stored runs.
#[derive(Default)]
struct StoredArm<'a> {
    transport: Option<String>,
    valid: Side<'a>,
    runs: Vec<usize>,
    whole: Side<'a>,
    invalid: usize,
}

impl<'a> StoredArm<'a> {
    /// Adds a run, or says what it lacks.
    fn add(&mut self, run: &'a StoredRun, setting: &Setting, arm: &str) -> Result<(), String> {
        let index = run.header.points.iter().position(|p| p.setting == *setting);
        let index = index.ok_or_else(|| setting_text(setting))?;
        let arms = &run.header.points[index].arms;
        let at = arms.iter().position(|a| a.label == arm).ok_or_else(|| arm.to_owned())?;
        let trials = Trials::of(run, index);
        let valid = trials.of_arm(at);
        self.transport = Some(arms[at].transport.clone());
        self.runs.push(valid.len());
        self.valid.extend(valid);
        self.whole.extend(whole(&trials, at));
        self.invalid += trials.invalid(at);
        Ok(())
    }
}

/// A point by what is swept, for messages.
pub(crate) fn setting_text(setting: &Setting) -> String {
    let each: Vec<String> = setting.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    if each.is_empty() { "the only point".to_owned() } else { each.join(", ") }
}

fn transports(point: &PointHeader) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for arm in &point.arms {
        if !found.contains(&arm.transport) {
            found.push(arm.transport.clone());
        }
    }
    found
}

fn position(point: &PointHeader, transport: &str, target: &str) -> Option<usize> {
    point.arms.iter().position(|a| a.transport == transport && a.target == target)
}

/// The trials of an arm in all blocks, valid or not.
fn whole<'a>(trials: &Trials<'a>, arm: usize) -> Side<'a> {
    trials.blocks.iter().map(|b| b[arm]).collect()
}

/// In what the blocks of a stored run and of this one differ. A program that shares its CPU with others,
/// slice by slice, finds the caches colder than one that has it for itself.
pub(crate) fn designs_differ(stored: &StoredRun, now: &StoredRun) -> Vec<String> {
    let design = |run: &StoredRun, point: &PointHeader, index: usize| {
        let mut blocks = run.trials.iter().filter(|t| t.point == index && t.stage == Stage::Block);
        match blocks.next_back().map(|t| t.design) {
            Some(TrialDesign::Sliced { slice_ns }) => format!(
                "{} arms in turn in slices of {}",
                point.arms.len(),
                pushbench_core::units::nanos_text(slice_ns as f64)
            ),
            Some(TrialDesign::Sequential) => "one arm at a time".to_owned(),
            None => "no block".to_owned(),
        }
    };
    let mut found = Vec::new();
    // Older versions subtracted lag only.
    let excluded =
        |run: &StoredRun| run.trials.iter().any(|t| !t.account.driver_excluded.is_empty());
    if excluded(stored) != excluded(now) {
        let line = "late reading: subtracted beside the driver's lag in one run only";
        found.push(line.to_owned());
    }
    for (index, point) in now.header.points.iter().enumerate() {
        let old = stored.header.points.iter().position(|p| p.setting == point.setting);
        let Some(old) = old else { continue };
        let was = design(stored, &stored.header.points[old], old);
        let is = design(now, point, index);
        let line = format!("blocks: {was}, then {is}");
        if was != is && !found.contains(&line) {
            found.push(line);
        }
    }
    found
}
