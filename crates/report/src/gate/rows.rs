//! The rows of a gate's tables, shared by every format for people.

use pushbench_analysis::compare::Ratio;
use pushbench_analysis::compare::gate as verdict;
use pushbench_analysis::compare::gate::{Exact, Gate, Line, Outcome, place};
use pushbench_core::units;

/// How the looks went, in a line; of gates of earlier versions the stages.
pub fn looks(looks: &[Gate]) -> String {
    let one = |g: &Gate| {
        let outcome = match (g.verdict, g.stage < looks.len()) {
            _ if g.failure.is_some() => "ended by a failure",
            (_, true) => "left open",
            (Outcome::Passed | Outcome::Waived, _) => "passed",
            (Outcome::Regression, _) => "failed",
            (Outcome::CannotTell | Outcome::NotQualified, _) => "cannot tell",
        };
        let word = if g.looks_planned.is_some() { "look" } else { "stage" };
        format!("{word} {}: {}/{} blocks, {outcome}", g.stage, g.blocks_valid, g.blocks_run)
    };
    looks.iter().map(one).collect::<Vec<_>>().join(" · ")
}

/// Judged lines under a heading, the worst first.
pub fn lines(gate: &Gate) -> Vec<Vec<String>> {
    let head =
        ["", "base", "candidate", "slow-down [95 %]", "at least", "null [95 %]", "margin", "", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut sorted: Vec<&Line> = gate.lines.iter().collect();
    sorted.sort_by_key(|l| rank(l.outcome));
    rows.extend(sorted.into_iter().map(line));
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
    let change = verdict::change;
    let ratio = |r: &Option<Ratio>| match r {
        Some(r) => {
            format!("{} % [{}, {}]", change(r.ratio), change(r.ci95[0]), change(r.ci95[1]))
        }
        None => none(),
    };
    vec![
        {
            let place = place(&line.transport, &line.setting);
            format!("{place} {}{}", line.metric, line.cpu_measured())
        },
        value(line.base),
        value(line.candidate),
        ratio(&line.slow_down),
        line.adjusted_low.map_or_else(none, verdict::percent),
        ratio(&line.null),
        line.allowed(),
        line.outcome.name().to_owned(),
        line.why.clone().unwrap_or_default(),
    ]
}

/// Counts under a heading. `changed`: only those that are not the same, to save space.
pub fn exact(gate: &Gate, changed: bool) -> Vec<Vec<String>> {
    let head = ["exact", "base", "candidate", "null", "", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut sorted: Vec<&Exact> = gate.exact.iter().collect();
    sorted.sort_by_key(|e| rank(e.outcome));
    let counted = |e: &&Exact| e.base.is_some() || e.candidate.is_some();
    let relevant = |e: &&Exact| !changed || e.outcome != Outcome::Passed || e.base != e.candidate;
    rows.extend(sorted.into_iter().filter(counted).filter(relevant).map(count));
    rows
}

fn count(e: &Exact) -> Vec<String> {
    vec![
        format!("{} {}", place(&e.transport, &e.setting), e.what),
        verdict::value(e.base),
        verdict::value(e.candidate),
        verdict::value(e.null),
        e.outcome.name().to_owned(),
        e.why.clone().unwrap_or_default(),
    ]
}

/// Waivers, always, and what else to know; at most so many.
pub fn remarks(gate: &Gate, most: usize) -> Vec<String> {
    let waiver = |w: &verdict::WaiverUse| format!("{}: {}", w.state.text(), w.waiver.text());
    let mut all: Vec<String> = gate.waivers.iter().map(waiver).collect();
    all.extend(gate.missing.iter().map(|m| format!("missing: {m}")));
    all.extend(gate.open.iter().chain(&gate.notes).cloned());
    all.extend(gate.advisory.iter().flatten().map(|d| format!("not as in the stored run: {d}")));
    if all.len() > most {
        let left = all.len() - most;
        all.truncate(most);
        all.push(format!("{left} more remarks are not shown"));
    }
    all
}
