//! The verdict in words: never more than the intervals support.

use super::judge::place;
use super::{Exact, Gate, Line, Outcome};
use crate::units;

/// The closing sentence of a gate; `missing`: arms and points that one side lacks.
pub fn closing(gate: &Gate, missing: &[String]) -> String {
    let mut said = match gate.verdict {
        Outcome::Regression => regression(gate, missing),
        Outcome::CannotTell | Outcome::NotQualified => cannot_tell(gate),
        Outcome::Passed | Outcome::Waived => passed(gate),
    };
    if let Some(differs) = &gate.advisory {
        said.push_str(&format!(
            " This is advice, not a verdict: the stored run was made elsewhere ({}).",
            differs.join("; ")
        ));
    }
    said
}

fn regression(gate: &Gate, missing: &[String]) -> String {
    let mut all: Vec<String> = Vec::new();
    let failed = |o: Outcome| o == Outcome::Regression;
    all.extend(gate.exact.iter().filter(|e| failed(e.outcome)).map(counted));
    all.extend(gate.lines.iter().filter(|l| failed(l.outcome)).map(slower));
    if !missing.is_empty() {
        all.push(format!("not on both sides: {}", missing.join("; ")));
    }
    all.extend(gate.waivers.iter().filter(|w| w.expired).map(|w| {
        format!(
            "the waiver of {} expired on {}: remove it or renew it",
            w.waiver.metric, w.waiver.expires
        )
    }));
    format!("FAILED: {}.", all.join("; "))
}

fn slower(line: &Line) -> String {
    let (by, interval) = match &line.slow_down {
        Some(s) => (percent(s.ratio), format!(" [{}, {}]", percent(s.ci95[0]), percent(s.ci95[1]))),
        None => ("?".to_owned(), String::new()),
    };
    format!(
        "{} of {} is {by}{interval} worse; with all that was judged in mind at least {}, and {} is allowed",
        line.metric,
        place(&line.transport, &line.setting),
        line.adjusted_low.map_or("?".to_owned(), percent),
        line.margin.text()
    )
}

fn counted(exact: &Exact) -> String {
    let value = |v: Option<f64>| v.map_or("unknown".to_owned(), units::count);
    format!(
        "{} of {}: {} instead of {}",
        exact.what,
        place(&exact.transport, &exact.setting),
        value(exact.candidate),
        value(exact.base)
    )
}

fn cannot_tell(gate: &Gate) -> String {
    let mut reasons: Vec<String> = Vec::new();
    let open = |o: Outcome| o == Outcome::CannotTell;
    for e in gate.exact.iter().filter(|e| open(e.outcome)) {
        let why = e.why.as_deref().unwrap_or("not counted");
        reasons.push(format!("{} of {}: {why}", e.what, place(&e.transport, &e.setting)));
    }
    for l in gate.lines.iter().filter(|l| open(l.outcome)) {
        let why = l.why.as_deref().unwrap_or("the interval is too wide");
        reasons.push(format!("{} of {}: {why}", l.metric, place(&l.transport, &l.setting)));
    }
    if gate.lines.iter().all(|l| l.outcome == Outcome::NotQualified) {
        reasons.push("no metric that was asked for can be judged here".to_owned());
    }
    if reasons.is_empty() {
        reasons.push("a slow-down beside a machine that is not the same".to_owned());
    }
    format!("CANNOT TELL: {}.", reasons.join("; "))
}

fn passed(gate: &Gate) -> String {
    let judged: Vec<&Line> = gate.lines.iter().filter(|l| l.outcome == Outcome::Passed).collect();
    let mut metrics: Vec<&str> = judged.iter().map(|l| l.metric).collect();
    metrics.dedup();
    metrics.sort_unstable();
    metrics.dedup();
    let largest = judged.iter().map(|l| l.margin.share).fold(0.0, f64::max);
    let mut said = match metrics.is_empty() {
        true => "PASSED: no more failures, connections or bytes".to_owned(),
        false => format!(
            "PASSED: no slow-down beyond {:.0} % in {}; no more failures, connections or bytes",
            largest * 100.0,
            metrics.join(", ")
        ),
    };
    let waived: Vec<&str> =
        gate.lines.iter().filter(|l| l.outcome == Outcome::Waived).map(|l| l.metric).collect();
    if !waived.is_empty() {
        said.push_str(&format!("; slower, and waived: {}", waived.join(", ")));
    }
    let skipped: Vec<&str> = gate
        .lines
        .iter()
        .filter(|l| l.outcome == Outcome::NotQualified)
        .map(|l| l.metric)
        .collect();
    if !skipped.is_empty() {
        said.push_str(&format!("; not judged on this kind of machine: {}", skipped.join(", ")));
    }
    said.push('.');
    said
}

/// A ratio as a change: `+7.2 %`.
pub fn percent(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}
