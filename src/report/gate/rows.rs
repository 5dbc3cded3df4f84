//! The rows of a gate's tables, shared by every format for people.

use crate::compare::Ratio;
use crate::compare::gate::{Exact, Gate, Line, Outcome, place};
use crate::units;

/// How the stages went, in a line.
pub fn stages(stages: &[Gate]) -> String {
    let one = |g: &Gate| {
        let outcome = match (g.verdict, g.stage < stages.len()) {
            (_, true) => "left open",
            (Outcome::Passed | Outcome::Waived, _) => "passed",
            (Outcome::Regression, _) => "failed",
            (Outcome::CannotTell | Outcome::NotQualified, _) => "cannot tell",
        };
        format!("stage {}: {}/{} blocks, {outcome}", g.stage, g.blocks_valid, g.blocks_run)
    };
    stages.iter().map(one).collect::<Vec<_>>().join(" · ")
}

/// Judged lines under a heading, the worst first; at most so many.
pub fn lines(gate: &Gate, most: usize) -> Vec<Vec<String>> {
    let head =
        ["", "base", "candidate", "slow-down [95 %]", "at least", "null [95 %]", "margin", "", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut sorted: Vec<&Line> = gate.lines.iter().collect();
    sorted.sort_by_key(|l| rank(l.outcome));
    rows.extend(sorted.into_iter().take(most).map(line));
    rows
}

fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Regression => 0,
        Outcome::CannotTell => 1,
        Outcome::Waived => 2,
        Outcome::Passed => 3,
        Outcome::NotQualified => 4,
    }
}

fn line(line: &Line) -> Vec<String> {
    let none = || "–".to_owned();
    let value = |v: Option<f64>| match (v, line.unit) {
        (Some(v), "ns") => units::nanos_text(v),
        (Some(v), "bytes") => units::bytes(v),
        (Some(v), _) => units::count(v),
        (None, _) => none(),
    };
    let ratio = |r: &Option<Ratio>| match r {
        Some(r) => {
            format!("{} % [{}, {}]", change(r.ratio), change(r.ci95[0]), change(r.ci95[1]))
        }
        None => none(),
    };
    vec![
        format!("{} {}", place(&line.transport, &line.setting), line.metric),
        value(line.base),
        value(line.candidate),
        ratio(&line.slow_down),
        line.adjusted_low.map_or_else(none, |low| format!("{} %", change(low))),
        ratio(&line.null),
        line.margin.text(),
        line.outcome.name().to_owned(),
        line.why.clone().unwrap_or_default(),
    ]
}

/// A ratio as a change in per cent: `+7.2`.
fn change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    let sign = if percent < 0.0 { "−" } else { "+" };
    format!("{sign}{:.1}", percent.abs())
}

/// Counts under a heading. `changed`: only those that are not the same, to save space.
pub fn exact(gate: &Gate, changed: bool) -> Vec<Vec<String>> {
    let head = ["exact", "base", "candidate", "null", "", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut sorted: Vec<&Exact> = gate.exact.iter().collect();
    sorted.sort_by_key(|e| rank(e.outcome));
    let counted = |e: &&Exact| e.base.is_some() || e.candidate.is_some();
    let told = |e: &&Exact| !changed || e.outcome != Outcome::Passed || e.base != e.candidate;
    rows.extend(sorted.into_iter().filter(counted).filter(told).map(count));
    rows
}

fn count(e: &Exact) -> Vec<String> {
    let value = |v: Option<f64>| match v {
        None => "–".to_owned(),
        Some(v) if v.fract() == 0.0 => units::count(v),
        Some(v) if v < 1.0 => format!("{v:.4}"),
        Some(v) => format!("{v:.1}"),
    };
    vec![
        format!("{} {}", place(&e.transport, &e.setting), e.what),
        value(e.base),
        value(e.candidate),
        value(e.null),
        e.outcome.name().to_owned(),
        e.why.clone().unwrap_or_default(),
    ]
}

/// Waivers, always, and what else to know.
pub fn remarks(gate: &Gate) -> Vec<String> {
    let waiver = |w: &crate::compare::gate::WaiverUse| {
        let state = match (w.expired, w.used) {
            (true, _) => "EXPIRED waiver",
            (false, true) => "waiver in use",
            (false, false) => "waiver not needed",
        };
        format!("{state}: {}", w.waiver.text())
    };
    let mut all: Vec<String> = gate.waivers.iter().map(waiver).collect();
    all.extend(gate.notes.iter().cloned());
    all.extend(gate.advisory.iter().flatten().map(|d| format!("not the same machine: {d}")));
    all
}
