//! The rows of a gate's tables, shared by every format for people.

use pushbench_analysis::compare::Ratio;
use pushbench_analysis::compare::gate as verdict;
use pushbench_analysis::compare::gate::{Exact, Gate, Line, Outcome, place};
use pushbench_core::units;

/// How the looks went, in a line; of gates of earlier versions the stages.
pub fn looks(looks: &[Gate]) -> String {
    let one = |g: &Gate| {
        let outcome = match (g.verdict, &g.failure) {
            (_, Some(failure)) if failure.is_interrupt() => "interrupted",
            (_, Some(_)) => "ended by a failure",
            _ if g.stage < looks.len() => "left open",
            (Outcome::Passed | Outcome::Waived, _) => "passed",
            (Outcome::Regression, _) => "failed",
            _ if g.time_used_up.is_some() => "cannot tell, and the time is used up",
            (Outcome::CannotTell | Outcome::NotQualified, _) => "cannot tell",
        };
        let place = match (g.looks_planned, g.failure.is_some()) {
            (None, _) => format!("stage {}", g.stage),
            (Some(_), true) if g.looks_finished() == 0 => "before the first look".to_owned(),
            (Some(_), true) => format!("after look {}", g.looks_finished()),
            (Some(planned), false) => format!("look {} of {planned}", g.stage),
        };
        format!("{place}: {}/{} blocks, {outcome}", g.blocks_valid, g.blocks_run)
    };
    looks.iter().map(one).collect::<Vec<_>>().join(" · ")
}

/// The verdict of a gate: its class on a page, and a mark with its word.
pub(crate) fn verdict(gate: &Gate) -> (&'static str, &'static str) {
    match (gate.verdict, &gate.failure) {
        (_, Some(failure)) if failure.is_interrupt() => ("open", "■ interrupted"),
        (_, Some(_)) => ("worse", "✗ no verdict"),
        (Outcome::Passed | Outcome::Waived, _) => ("better", "✓ passed"),
        (Outcome::Regression, _) => ("worse", "✗ failed"),
        (Outcome::CannotTell | Outcome::NotQualified, _) => ("open", "? cannot tell"),
    }
}

/// What the bounds in the table of lines are; empty where no line has any.
pub fn bounds(gate: &Gate) -> String {
    if gate.failure.is_some() || gate.lines.iter().all(|l| l.adjusted_low.is_none()) {
        return String::new();
    }
    let when = match gate.looks_planned {
        Some(planned) if planned > 1 => " that this look may spend",
        _ => "",
    };
    format!(
        "[95 %]: the interval of this line alone. at least: the bound by which a line fails, one-sided, at the {:.2} % of \
         error{when}, adjusted over all lines (Holm).",
        gate.alpha() * 100.0
    )
}

/// In the place of an outcome where the gate ended without a verdict.
const NONE: &str = "no verdict";

/// An outcome and why, as far as the gate came to a verdict.
fn outcome(gate: &Gate, outcome: Outcome, why: Option<&String>) -> [String; 2] {
    match gate.failure {
        Some(_) => [NONE.to_owned(), String::new()],
        None => [outcome.name().to_owned(), why.cloned().unwrap_or_default()],
    }
}

/// Judged lines under a heading, the worst first.
pub fn lines(gate: &Gate) -> Vec<Vec<String>> {
    let head =
        ["", "base", "candidate", "slow-down [95 %]", "at least", "null [95 %]", "margin", "", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut sorted: Vec<&Line> = gate.lines.iter().collect();
    sorted.sort_by_key(|l| rank(l.outcome));
    rows.extend(sorted.into_iter().map(|l| line(gate, l)));
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

fn line(gate: &Gate, line: &Line) -> Vec<String> {
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
    let [outcome, why] = outcome(gate, line.outcome, line.why.as_ref());
    let low = line.adjusted_low.filter(|_| gate.failure.is_none());
    vec![
        {
            let place = place(&line.transport, &line.setting);
            format!("{place} {}{}", line.metric, line.cpu_measured())
        },
        value(line.base),
        value(line.candidate),
        ratio(&line.slow_down),
        low.map_or_else(none, verdict::percent),
        ratio(&line.null),
        line.allowed(),
        outcome,
        why,
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
    rows.extend(sorted.into_iter().filter(counted).filter(relevant).map(|e| count(gate, e)));
    rows
}

fn count(gate: &Gate, e: &Exact) -> Vec<String> {
    let [outcome, why] = outcome(gate, e.outcome, e.why.as_ref());
    vec![
        format!("{} {}", place(&e.transport, &e.setting), e.what),
        verdict::value(e.base),
        verdict::value(e.candidate),
        verdict::value(e.null),
        outcome,
        why,
    ]
}

/// Waivers, always, and what else to know; at most so many.
pub fn remarks(gate: &Gate, most: usize) -> Vec<String> {
    let waiver = |w: &verdict::WaiverUse| format!("{}: {}", w.state.text(), w.waiver.text());
    let mut all: Vec<String> = gate.waivers.iter().map(waiver).collect();
    all.extend(gate.missing.iter().map(|m| format!("missing: {m}")));
    all.extend(gate.open.iter().chain(&gate.notes).cloned());
    all.extend(gate.advisory.iter().flatten().map(|d| format!("advice: {d}")));
    if all.len() > most {
        let left = all.len() - most;
        all.truncate(most);
        all.push(format!("{left} more remarks are not shown"));
    }
    all
}
