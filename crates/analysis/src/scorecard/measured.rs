//! What a card keeps of runs, searches and matrices.

use crate::capacity::Capacity;
use crate::compare::{Comparison, Trials, Verdict, compare};
use crate::reach::Matrix;
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::record::metrics;
use pushbench_core::record::run::{RunHeader, StoredRun};
use pushbench_core::scorecard::{Compared, Passage, Role};
use std::collections::BTreeMap;

/// A ratio closer to 1 than this is no difference worth a choice, as in a comparison.
pub(super) const EQUIVALENT: f64 = 0.05;
/// The metric of a capacity.
pub(super) const CAPACITY: &str = "capacity";

/// The metrics of the pairs of arms of a run, each against its first arm. The run has one point.
pub fn of_run(run: &StoredRun, roles: &BTreeMap<Role, String>, wanted: &[&str]) -> Vec<Compared> {
    let report = compare(run);
    let Some(point) = report.points.first() else { return Vec::new() };
    let trials = Trials::of(run, 0);
    let role = |label: &str| roles.iter().find(|(_, arm)| *arm == label).map(|(role, _)| *role);
    let values = |metric: &str, label: &str| -> Vec<f64> {
        let arm = point.arms.iter().position(|arm| arm.arm == label);
        let Some((arm, metric)) = arm.zip(metrics::named(metric)) else { return Vec::new() };
        let all: Option<Vec<f64>> =
            trials.of_arm(arm).into_iter().map(|trial| metric.compared(trial)).collect();
        all.unwrap_or_default()
    };
    let of = |c: &Comparison| {
        let bounds = |of: Option<f64>, ci: Option<[f64; 2]>| {
            of.zip(ci).map(|(estimate, [low, high])| [estimate, low, high])
        };
        Some(Compared {
            metric: c.metric.to_owned(),
            roles: [role(&c.baseline)?, role(&c.candidate)?],
            values: [values(c.metric, &c.baseline), values(c.metric, &c.candidate)],
            ratio: bounds(c.ratio, c.ci95),
            difference: bounds(c.difference, c.difference_ci95),
            verdict: verdict_name(c.verdict).to_owned(),
            matters: c.matters,
            why: c.why.clone(),
        })
    };
    point.comparisons.iter().filter(|c| wanted.contains(&c.metric)).filter_map(of).collect()
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Equivalent => "equivalent",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Overloaded => "overloaded",
        Verdict::Invalid => "invalid",
    }
}

/// The capacities of a search. Where one is a lower bound there is no ratio.
pub fn of_capacity(found: &Capacity, roles: &BTreeMap<Role, String>) -> Vec<Compared> {
    let role = |label: &str| roles.iter().find(|(_, arm)| *arm == label).map(|(role, _)| *role);
    let highest = |label: &str| -> Vec<f64> {
        found.arms.iter().filter(|arm| arm.arm == label).filter_map(|arm| arm.highest).collect()
    };
    let of = |c: &crate::capacity::Comparison| {
        let ratio = c.ratio.zip(c.ci95).map(|(ratio, (low, high))| [ratio, low, high]);
        let region = 1.0 + EQUIVALENT;
        let verdict = match c.ci95 {
            Some((low, high)) if low >= 1.0 / region && high <= region => Verdict::Equivalent,
            Some((low, _)) if low > 1.0 => Verdict::Better,
            Some((_, high)) if high < 1.0 => Verdict::Worse,
            _ => Verdict::Inconclusive,
        };
        Some(Compared {
            metric: CAPACITY.to_owned(),
            roles: [role(&c.baseline)?, role(&c.candidate)?],
            values: [highest(&c.baseline), highest(&c.candidate)],
            ratio,
            difference: None,
            verdict: verdict_name(verdict).to_owned(),
            matters: true,
            why: None,
        })
    };
    found.comparisons.iter().filter_map(of).collect()
}

/// What got through, of a webhook and a WebSocket.
pub fn of_matrix(matrix: &Matrix, roles: &BTreeMap<Role, String>) -> Vec<Passage> {
    let plain = |label: &str| ArmSpec::parse(label).ok().map(|s| (s.transport, s.target));
    let of = |cell: &crate::reach::Cell| {
        let spec = ArmSpec::parse(&cell.arm).ok()?;
        let own = Some((spec.transport, spec.target.clone()));
        let (role, _) = roles.iter().find(|(_, label)| plain(label) == own)?;
        Some(Passage {
            path: cell.path.clone(),
            role: *role,
            tls: spec.has(ArmOption::Tls),
            through: cell.through,
            survives_silence: cell.survives_silence,
            first_event_ns: cell.first_event_ns,
            cure: cell.cure.clone(),
            why: cell.why.clone(),
        })
    };
    matrix.cells.iter().filter_map(of).collect()
}

/// In what a stored run differs from one that is planned: machine, CPUs, version; `None` where it measured something
/// else. Blocks, seed and lengths belong to what was measured.
pub fn same_plan(planned: &RunHeader, stored: &RunHeader) -> Option<Vec<String>> {
    let points = |run: &RunHeader| -> Vec<_> {
        run.points.iter().map(|p| (p.scenario.clone(), p.arms.clone())).collect()
    };
    let same = stored.complete && planned.seed == stored.seed && points(planned) == points(stored);
    same.then(|| {
        let all = crate::compare::machine::differences(planned, stored);
        all.iter().map(ToString::to_string).collect()
    })
}
