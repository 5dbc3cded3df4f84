//! The report as on the terminal.

use super::certainty;
use super::overview;
use super::table::{self, Row};
use crate::compare::expect::Outcome;
use crate::compare::{ArmFigures, Point, Report, Verdict};
use crate::units;
use std::fmt::Write as _;

/// Renders the whole report.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}: {}", report.scenario, clean(&report.question));
    if !report.complete {
        let _ = writeln!(out, "INCOMPLETE: the run was cut short; what was finished is below");
    }
    for point in &report.points {
        out.push_str(&self::point(point));
    }
    if report.points.len() > 1 {
        out.push_str(&sweep(report));
    }
    let _ = writeln!(out, "Not tested here: {}.", table::NOT_TESTED);
    out
}

fn point(point: &Point) -> String {
    let mut out = String::new();
    if !point.setting.is_empty() {
        let _ = writeln!(out, "\n— {} —", table::setting(point));
    }
    let _ = writeln!(out, "{}", table::conditions(point));
    let _ = writeln!(out, "{}\n", clean(&table::place(point)));
    if point.arms.len() > overview::FEW {
        let mut grid = overview::grid(point);
        grid.iter_mut().flatten().for_each(|cell| *cell = clean(cell));
        let _ = writeln!(out, "{}", align(&grid, 1, 2));
    } else {
        for candidate in 1..point.arms.len().max(2) {
            out.push_str(&comparison_table(point, candidate));
        }
    }
    let mut strata = table::strata(point);
    if !strata.is_empty() {
        strata.iter_mut().flatten().for_each(|cell| *cell = clean(cell));
        out.push_str(&align(&strata, 1, 0));
        out.push('\n');
    }
    let starred = |c: &crate::compare::Comparison| {
        !c.matters && matches!(c.verdict, Verdict::Better | Verdict::Worse)
    };
    if point.comparisons.iter().any(starred) {
        out.push_str("* too small to matter (compare.matters)\n\n");
    }
    let withheld = certainty::withheld(point);
    for why in &withheld {
        let _ = writeln!(out, "† {}", clean(why));
    }
    if !withheld.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "trust   {}", table::trust(point));
    for note in &point.validity.notes {
        let _ = writeln!(out, "        ! {}", clean(note));
    }
    let _ = writeln!(out, "parity  {}\n", table::parity(point));
    for e in point.expectations.iter().filter(|e| e.outcome != Outcome::Met) {
        let value = e.value.map_or("not measured".to_owned(), |v| v.to_string());
        let what = if e.outcome == Outcome::Failed { "FAILED" } else { "cannot be judged" };
        let _ = writeln!(
            out,
            "expect  {} of {}: {value}, limit {}: {what}",
            e.what,
            clean(&e.arm),
            e.limit
        );
    }
    for sentence in &point.sentences {
        let _ = writeln!(out, "{}", clean(sentence));
    }
    out
}

fn comparison_table(point: &Point, candidate: usize) -> String {
    let rows = table::rows(point, candidate);
    let mut shown: Vec<usize> = vec![0];
    if point.arms.len() > candidate {
        shown.push(candidate);
    }
    let mut head = vec![String::new()];
    head.extend(shown.iter().map(|a| clean(&point.arms[*a].arm)));
    if shown.len() > 1 {
        head.extend(["difference [95 %]".to_owned(), String::new()]);
    }
    let mut grid = vec![head];
    grid.extend(rows.iter().map(|r| cells(r, &shown)));
    let words = if shown.len() > 1 { 2 } else { 0 };
    let mut out = align(&grid, 1, words);
    out.push('\n');
    out
}

fn cells(row: &Row, shown: &[usize]) -> Vec<String> {
    let mut cells = vec![row.name.to_owned()];
    cells.extend(shown.iter().map(|a| row.arms[*a].clone()));
    if shown.len() > 1 {
        cells.extend([row.difference.clone(), row.verdict.clone()]);
    }
    cells
}

/// The first `names` columns and the last `words` ones to the left, figures to the right.
pub(crate) fn align(grid: &[Vec<String>], names: usize, words: usize) -> String {
    let columns = grid.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| grid.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in grid {
        let mut line = String::new();
        for (c, cell) in row.iter().enumerate() {
            let w = widths[c];
            let left = c < names || c + words >= columns;
            let gap = if c == 0 { "" } else { "   " };
            let _ = match left {
                true => write!(line, "{gap}{cell:<w$}"),
                false => write!(line, "{gap}{cell:>w$}"),
            };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// One line a point and arm: how the axis changes the figures.
fn sweep(report: &Report) -> String {
    // A closed loop has no response; its axis changes the service time and the throughput.
    let closed = report.points.iter().all(|p| p.design.rate.is_none());
    let latency = if closed { "service p50" } else { "response p50" };
    let head = ["setting", "arm", latency, "p99", "events/s", "target CPU/event", ""];
    let mut grid = vec![head.map(str::to_owned).to_vec()];
    for point in &report.points {
        grid.extend(point.arms.iter().map(|arm| sweep_row(&table::setting(point), arm, closed)));
    }
    format!("\n{}\n", align(&grid, 1, 1))
}

fn sweep_row(setting: &str, arm: &ArmFigures, closed: bool) -> Vec<String> {
    let none = || "–".to_owned();
    let time = |v: Option<u64>| match v {
        Some(ns) if !arm.overloaded => units::nanos_text(ns as f64),
        _ => none(),
    };
    let latency = if closed { &arm.service_ns } else { &arm.response_ns };
    vec![
        setting.to_owned(),
        clean(&arm.arm),
        time(latency.p50),
        time(latency.p99),
        arm.throughput_per_second.map_or_else(none, |v| format!("{v:.0}")),
        arm.target_usage.cpu_ns_per_event.map_or_else(none, units::nanos_text),
        if arm.overloaded { "overloaded".into() } else { String::new() },
    ]
}

/// Text from targets and files, without control characters that a terminal would obey.
pub fn clean(text: &str) -> String {
    let harmless = |c: char| {
        if c.is_control() && c != '\n' { '\u{fffd}' } else { c }
    };
    text.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb"), "a\u{fffd}[31mb");
    }
}
