//! The trials that stand against each other: base, candidate, and the base once more.

use super::super::Trials;
use super::{BASE, NULL};
use crate::record::metrics::Metric;
use crate::record::trial::Trial;
use crate::scenario::{Scenario, Setting};
use crate::stats::effect::Effect;
use crate::store::{PointHeader, StoredRun};

/// The valid trials of an arm.
type Side<'a> = Vec<&'a Trial>;

/// One transport at one point.
pub struct Pairs<'a> {
    pub setting: Setting,
    pub scenario: &'a Scenario,
    pub transport: String,
    pub base: Side<'a>,
    pub candidate: Side<'a>,
    /// Two sides of the same program, block by block.
    pub null: Option<(Side<'a>, Side<'a>)>,
    /// Whether base and candidate stand in the same blocks.
    pub paired: bool,
    pub blocks_run: usize,
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
            let side = |arm: usize| trials.of_arm(arm);
            found.pairs.push(Pairs {
                setting: point.setting.clone(),
                scenario: &point.scenario,
                base: side(base),
                candidate: side(tried),
                null: arm(NULL).map(|null| (side(base), side(null))),
                transport,
                paired: true,
                blocks_run: trials.blocks.len(),
            });
        }
    }
    found
}

/// A stored run's arm against a candidate measured now; the null is the candidate once more.
pub fn against<'a>(stored: &'a StoredRun, arm: &str, now: &'a StoredRun) -> Found<'a> {
    let mut found = Found::default();
    for (index, point) in now.header.points.iter().enumerate() {
        let trials = Trials::of(now, index);
        let same = |p: &&(usize, &PointHeader)| p.1.setting == point.setting;
        let all: Vec<_> = stored.header.points.iter().enumerate().collect();
        let Some((old, old_point)) = all.iter().find(same) else {
            found.missing.push(format!("{} in the stored run", setting_text(&point.setting)));
            continue;
        };
        let old_trials = Trials::of(stored, *old);
        let Some(base) = old_point.arms.iter().position(|a| a.label == arm) else {
            found.missing.push(format!("{arm} in the stored run"));
            continue;
        };
        let transport = old_point.arms[base].transport.clone();
        let mine = |target| position(point, &transport, target);
        let (Some(tried), Some(again)) = (mine(super::CANDIDATE), mine(NULL)) else {
            found.missing.push(format!("{transport}@{}", super::CANDIDATE));
            continue;
        };
        found.pairs.push(Pairs {
            setting: point.setting.clone(),
            scenario: &point.scenario,
            base: old_trials.of_arm(base),
            candidate: trials.of_arm(tried),
            null: Some((trials.of_arm(tried), trials.of_arm(again))),
            transport,
            paired: false,
            blocks_run: trials.blocks.len(),
        });
    }
    for point in &stored.header.points {
        if !now.header.points.iter().any(|p| p.setting == point.setting) {
            found.missing.push(format!("{} in this run", setting_text(&point.setting)));
        }
    }
    found
}

/// A point by what is swept, for messages.
pub fn setting_text(setting: &Setting) -> String {
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

/// A metric's values on both sides.
pub struct Values {
    pub base: Vec<f64>,
    pub candidate: Vec<f64>,
    pub paired: bool,
}

impl Values {
    /// `None` when a trial has no value.
    pub fn of(
        base: &[&Trial],
        candidate: &[&Trial],
        paired: bool,
        value: fn(&Trial) -> Option<f64>,
    ) -> Option<Values> {
        let side = |trials: &[&Trial]| trials.iter().map(|t| value(t)).collect::<Option<Vec<_>>>();
        Some(Values { base: side(base)?, candidate: side(candidate)?, paired })
    }

    /// The log of the slow-down, in the metric's own direction.
    pub fn slow_down(&self, metric: &Metric) -> Option<Effect> {
        let sign = if metric.more_is_better { -1.0 } else { 1.0 };
        let logs = |side: &[f64]| side.iter().map(|v| sign * v.ln()).collect::<Vec<f64>>();
        self.effect(&logs(&self.base), &logs(&self.candidate))
    }

    /// By how much the candidate is worse, in the metric's unit.
    pub fn difference(&self, metric: &Metric) -> Option<Effect> {
        let sign = if metric.more_is_better { -1.0 } else { 1.0 };
        let signed = |side: &[f64]| side.iter().map(|v| sign * v).collect::<Vec<f64>>();
        self.effect(&signed(&self.base), &signed(&self.candidate))
    }

    fn effect(&self, base: &[f64], candidate: &[f64]) -> Option<Effect> {
        match self.paired {
            true => Effect::paired(&minus(candidate, base)?),
            false => Effect::unpaired(base, candidate),
        }
    }
}

/// Element by element.
pub fn minus(these: &[f64], those: &[f64]) -> Option<Vec<f64>> {
    (these.len() == those.len()).then(|| these.iter().zip(those).map(|(a, b)| a - b).collect())
}
