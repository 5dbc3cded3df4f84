//! The verdict in words: never more than the intervals support.

use crate::compare::gate::draft::{NOT_CLEAN, WITHIN};
use crate::compare::gate::judge::{place, verdict};
use crate::compare::gate::waiver::State;
use crate::compare::gate::{Exact, Failure, Gate, Line, Outcome, TimeUsedUp};
use pushbench_core::remedy::Try;

/// So many findings are listed, the others counted: a sentence over a sweep must stay one.
const LISTED: usize = 6;
/// The reason of a line that gives none.
const TOO_WIDE: &str = "the interval is too wide";

/// The closing sentence of a gate.
pub fn closing(gate: &Gate) -> String {
    if let Some(failure) = gate.failure.as_ref().filter(|f| f.is_interrupt()) {
        return interrupted(gate, failure);
    }
    if let Some(failure) = &gate.failure {
        return format!(
            "NO VERDICT: the gate ended with exit {}: {}.",
            failure.exit_code,
            failure.error.trim_end_matches('.')
        );
    }
    if let Some(why) = &gate.advisory {
        let would = match verdict(gate) {
            Outcome::Regression => format!("the candidate would fail: {}", listed(&reasons(gate))),
            Outcome::CannotTell | Outcome::NotQualified => {
                format!("the candidate could not be judged: {}", listed(&reasons(gate)))
            }
            Outcome::Passed | Outcome::Waived => {
                format!("the candidate would pass: {}", listed(&passed(gate)))
            }
        };
        return format!(
            "CANNOT TELL: this is advice, not a verdict ({}). By it {would}.",
            listed(why)
        );
    }
    let mut text = match gate.verdict {
        Outcome::Regression => format!("FAILED: {}.", listed(&regressions(gate))),
        Outcome::CannotTell | Outcome::NotQualified => {
            format!("CANNOT TELL: {}.", listed(&reasons(gate)))
        }
        Outcome::Passed | Outcome::Waived => format!("PASSED: {}.", passed(gate).join("; ")),
    };
    if gate.verdict == Outcome::CannotTell && text.contains(NOT_CLEAN) {
        text.push_str(" The null is one program measured twice in the same blocks. While it may differ from itself by more than the margin, only a slow-down that exceeds the margin by as much is found.");
    }
    if let Some(used) = &gate.time_used_up {
        text.push_str(&out_of_time(gate, used));
    }
    text
}

/// How far it was, and that it does not go on.
fn interrupted(gate: &Gate, failure: &Failure) -> String {
    let blocks = match gate.blocks_valid {
        1 => "1 valid block".to_owned(),
        blocks => format!("{blocks} valid blocks"),
    };
    let (word, of) = match gate.looks_planned {
        None => ("stage", String::new()),
        Some(planned) => ("look", format!(" of at most {planned}")),
    };
    let after = match gate.looks_finished() {
        0 => format!("before its first {word}, with {blocks}"),
        looks => format!("after {word} {looks}{of}, with {blocks}"),
    };
    format!(
        "INTERRUPTED: the gate was stopped {after}: there is no verdict (exit {}). It cannot be continued: run it again.",
        failure.exit_code
    )
}

/// More than so many times as long is no advice.
const MOST_LONGER: usize = 8;

/// That the time is used up, and what decides.
fn out_of_time(gate: &Gate, used: &TimeUsedUp) -> String {
    let (blocks, seconds) = (gate.blocks_valid, used.at_most_s);
    let option = Try::AtMost.above(seconds.ceil() as u64, 0.0).unwrap_or_default();
    let ended = format!(" The time is used up ({option}) after {blocks} blocks");
    let worth = |needed: &usize| *needed <= MOST_LONGER * blocks;
    let longer = used.blocks_needed.filter(worth).and_then(|needed| {
        // The estimates will not stay just where they are.
        let seconds = seconds * 1.2 * needed as f64 / blocks as f64;
        Some((needed, Try::AtMost.above(seconds.ceil() as u64, used.at_most_s)?))
    });
    match longer {
        Some((needed, option)) => format!("{ended}; about {needed} would decide: allow {option}."),
        None => format!("{ended}, and more would hardly decide.{}", what_may(gate)),
    }
}

/// What decides where more time does not. A line with another reason than its bounds says itself what to do.
fn what_may(gate: &Gate) -> String {
    let open = || gate.lines.iter().filter(|l| l.outcome == Outcome::CannotTell);
    if open().any(|l| !l.why.as_deref().is_some_and(|why| [WITHIN, NOT_CLEAN].contains(&why))) {
        return String::new();
    }
    let slower = |l: &Line| l.slow_down.as_ref().is_some_and(|s| s.ratio > l.limit());
    let waiver = if open().any(slower) { ", and a waiver if the slow-down is meant" } else { "" };
    format!(" What may: a quieter machine, or chrt -f 10 before the command{waiver}.")
}

fn listed(all: &[String]) -> String {
    match all.len() {
        n if n > LISTED => format!("{}; and {} more", all[..LISTED].join("; "), n - LISTED),
        _ => all.join("; "),
    }
}

/// Everything that fails, what is counted first.
fn regressions(gate: &Gate) -> Vec<String> {
    let failed = |o: Outcome| o == Outcome::Regression;
    let mut all: Vec<String> =
        gate.exact.iter().filter(|e| failed(e.outcome)).map(counted).collect();
    all.extend(gate.lines.iter().filter(|l| failed(l.outcome)).map(slower));
    all.extend(gate.missing.iter().map(|m| format!("not on both sides: {m}")));
    all.extend(gate.waivers.iter().filter(|w| w.state == State::Expired).map(|w| {
        format!(
            "the waiver of {} expired on {}: remove it or renew it",
            w.waiver.metric, w.waiver.expires
        )
    }));
    all
}

fn slower(line: &Line) -> String {
    let (by, interval) = match &line.slow_down {
        Some(s) => (percent(s.ratio), format!(" [{}, {}]", change(s.ci95[0]), change(s.ci95[1]))),
        None => ("?".to_owned(), String::new()),
    };
    format!(
        "{} of {} is worse by {by}{interval}, by {} at least (Holm-adjusted){}, where {} is allowed",
        line.metric,
        place(&line.transport, &line.setting),
        line.adjusted_low.map_or("?".to_owned(), percent),
        line.cpu_measured(),
        line.allowed()
    )
}

fn counted(exact: &Exact) -> String {
    format!(
        "{} of {}: {} instead of {}",
        exact.what,
        place(&exact.transport, &exact.setting),
        value(exact.candidate),
        value(exact.base)
    )
}

/// Something counted, to its last digit where it is whole.
pub fn value(v: Option<f64>) -> String {
    match v {
        None => "–".to_owned(),
        Some(v) if v.fract() == 0.0 => format!("{v:.0}"),
        Some(v) if v < 1.0 => format!("{v:.4}"),
        Some(v) => format!("{v:.1}"),
    }
}

/// Everything that keeps the gate from passing or failing.
fn reasons(gate: &Gate) -> Vec<String> {
    let open = |o: Outcome| o == Outcome::CannotTell;
    let mut all = gate.open.clone();
    all.extend(regressions(gate));
    let exact = gate.exact.iter().filter(|e| open(e.outcome)).map(|e| {
        let why = e.why.as_deref().unwrap_or("not counted");
        (place(&e.transport, &e.setting), why, e.what)
    });
    all.extend(grouped(exact));
    let lines = gate.lines.iter().filter(|l| open(l.outcome)).map(|l| {
        let why = l.why.as_deref().unwrap_or(TOO_WIDE);
        (place(&l.transport, &l.setting), why, l.metric)
    });
    all.extend(grouped(lines));
    if gate.lines.iter().all(|l| l.outcome == Outcome::NotQualified) {
        all.push("no requested metric can be judged here".to_owned());
    }
    all
}

/// Undecided lines, grouped by place and reason.
fn grouped<'a>(all: impl Iterator<Item = (String, &'a str, &'a str)>) -> Vec<String> {
    let mut groups: Vec<(String, &str, Vec<&str>)> = Vec::new();
    for (place, why, what) in all {
        match groups.iter_mut().find(|(p, w, _)| *p == place && *w == why) {
            Some((_, _, names)) => names.push(what),
            None => groups.push((place, why, vec![what])),
        }
    }
    let text = |(place, why, names): (String, &str, Vec<&str>)| {
        format!("{} of {place}: {why}", names.join(", "))
    };
    groups.into_iter().map(text).collect()
}

fn passed(gate: &Gate) -> Vec<String> {
    let mut claims = Vec::new();
    let within = |l: &Line| l.outcome == Outcome::Passed && l.upper.is_some_and(|u| u < l.limit());
    let largest =
        gate.lines.iter().filter(|l| within(l)).map(|l| l.margin.share).fold(0.0, f64::max);
    if let Some(names) = named(gate, within) {
        claims.push(format!("no slow-down beyond {:.1} % in {names}", largest * 100.0));
    }
    if let Some(names) = named(gate, |l| l.outcome == Outcome::Passed && !within(l)) {
        claims.push(format!("no slow-down by as much as --min-difference in {names}"));
    }
    if gate.method.is_empty() {
        claims.push(counts(gate));
    }
    if let Some(names) = named(gate, |l| l.outcome == Outcome::Waived) {
        claims.push(format!("only because of a waiver: {names}"));
    }
    if let Some(names) = named(gate, |l| l.outcome == Outcome::NotQualified) {
        claims.push(format!("not judged on this kind of machine: {names}"));
    }
    claims
}

/// What is counted may be a little more where chance or replaced connections explain it.
fn counts(gate: &Gate) -> String {
    let more = |e: &Exact| e.candidate > e.base && e.base.is_some();
    match gate.exact.iter().any(more) {
        false => "no more failures, connections or bytes".to_owned(),
        true => "failures, connections and bytes within chance and 1 %".to_owned(),
    }
}

/// The metrics of some lines, each once; with its place where other lines of it are not among them.
fn named(gate: &Gate, among: impl Fn(&Line) -> bool) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for line in gate.lines.iter().filter(|l| among(l)) {
        let whole = gate.lines.iter().filter(|l| l.metric == line.metric).all(&among);
        let name = match whole {
            true => line.metric.to_owned(),
            false => format!("{} of {}", line.metric, place(&line.transport, &line.setting)),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| names.join(", ") + &rest)
}

/// A ratio as a change in per cent: `+7.2`.
pub fn change(ratio: f64) -> String {
    let tenths = ((ratio - 1.0) * 1000.0).round();
    let sign = if tenths < 0.0 { "−" } else { "+" };
    format!("{sign}{:.1}", tenths.abs() / 10.0)
}

/// The same with its unit: `+7.2 %`.
pub fn percent(ratio: f64) -> String {
    format!("{} %", change(ratio))
}
