//! The report as on the terminal.

use crate::certainty;
use crate::layout;
use crate::layout::{ALARM, BOLD, CAUTION};
use crate::table;
use crate::table::Row;
use crate::visible::{line, visible};
use crate::{conditions, cost, guarantee, idle, layers, notes, overview, path};
use pushbench_analysis::compare::expect::Outcome;
use pushbench_analysis::compare::{ArmFigures, Point, Report};
use pushbench_core::scenario::Flow;
use pushbench_core::units;
use std::fmt::Write as _;

pub use layout::Look;
pub use layout::align;

/// Renders the whole report.
pub fn render(report: &Report, look: Look) -> String {
    let question = format!("{}: {}", line(&report.scenario), visible(&report.question));
    let mut out = look.wrap(&question, 2);
    if let Some(message) = table::incomplete(report) {
        let _ = writeln!(out, "{}", look.paint(ALARM, look.wrap(&message, 2).trim_end()));
    }
    for point in &report.points {
        out.push_str(&crate::text::point(point, look));
    }
    if report.points.len() > 1 {
        out.push_str(&sweep(report, look));
    }
    let not_tested = conditions::not_tested(report).join(", ");
    out.push_str(&look.wrap(&format!("Not tested here: {not_tested}."), 2));
    out
}

/// One setting.
pub fn point(point: &Point, look: Look) -> String {
    let mut out = String::new();
    if !point.setting.is_empty() {
        let _ = writeln!(out, "\n— {} —", look.paint(BOLD, &line(&table::setting(point))));
    }
    out.push_str(&look.wrap(&line(&conditions::conditions(point)), 2));
    out.push_str(&look.wrap(&line(&conditions::place(point)), 2));
    out.push('\n');
    if point.arms.len() > overview::FEW {
        for (mut grid, words) in [(guarantee::overview(point), 0), (overview::grid(point), 2)] {
            grid.iter_mut().flatten().for_each(|cell| *cell = line(cell));
            if !grid.is_empty() {
                let _ = writeln!(out, "{}", layout::table(&grid, 1, words, look));
            }
        }
    } else {
        for candidate in 1..point.arms.len().max(2) {
            out.push_str(&comparison_table(point, candidate, look));
        }
    }
    let spark = guarantee::spark(point);
    for text in &spark {
        out.push_str(&look.wrap(&line(text), 2));
    }
    out.push_str(if spark.is_empty() { "" } else { "\n" });
    let mut strata = table::strata(point);
    if !strata.is_empty() {
        strata.iter_mut().flatten().for_each(|cell| *cell = line(cell));
        out.push_str(&layout::table(&strata, 1, 0, look));
        out.push('\n');
    }
    let mut costs = layers::grid(point);
    if !costs.is_empty() {
        costs.iter_mut().flatten().for_each(|cell| *cell = line(cell));
        out.push_str(&layout::table(&costs, 2, 0, look));
        out.push('\n');
    }
    let mut money = cost::grid(point);
    if !money.is_empty() {
        money.iter_mut().flatten().for_each(|cell| *cell = line(cell));
        out.push_str(&layout::table(&money, 1, 0, look));
        for note in cost::notes(point) {
            out.push_str(&look.wrap(&line(&note), 2));
        }
        out.push('\n');
    }
    if let Some(how) = conditions::cpu_design([point]) {
        out.push_str(&look.wrap(&how, 2));
        out.push('\n');
    }
    if point.comparisons.iter().any(notes::is_small) {
        out.push_str("* too small to matter (compare.matters)\n\n");
    }
    let withheld = certainty::withheld(point);
    for why in &withheld {
        out.push_str(&look.wrap(&format!("† {}", line(why)), 2));
    }
    if !withheld.is_empty() {
        out.push('\n');
    }
    below(&mut out, point, look);
    out
}

/// The lines under the tables: trust, parity, expectations, sentences.
fn below(out: &mut String, point: &Point, look: Look) {
    // Continued under the text, not under its heading.
    const INDENT: usize = 8;
    out.push_str(&look.wrap(&format!("trust   {}", conditions::trust(point)), INDENT));
    for (number, note) in point.validity.numbered() {
        let text = format!("        {} {}", notes::sign(number), line(&note.text));
        let wrapped = look.wrap(&text, INDENT + 2);
        let _ = writeln!(out, "{}", look.paint(CAUTION, wrapped.trim_end()));
    }
    if let Some(path) = path::line(point) {
        out.push_str(&look.wrap(&format!("path    {}", line(&path)), INDENT));
    }
    out.push_str(&look.wrap(&format!("parity  {}", line(&conditions::parity(point))), INDENT));
    out.push('\n');
    for e in point.expectations.iter().filter(|e| e.outcome != Outcome::Met) {
        let value = e.value.map_or("not measured".to_owned(), |v| v.to_string());
        let (what, style) = match e.outcome {
            Outcome::Failed => ("FAILED", ALARM),
            _ => ("cannot be judged", CAUTION),
        };
        let arm = line(&e.arm);
        let message = format!("expect  {} of {arm}: {value}, limit {}: {what}", e.what, e.limit);
        let _ = writeln!(out, "{}", look.paint(style, look.wrap(&message, INDENT).trim_end()));
    }
    for sentence in &point.sentences {
        let wrapped = look.wrap(&line(sentence), 2);
        let _ = writeln!(out, "{}", look.paint(BOLD, wrapped.trim_end()));
    }
}

fn comparison_table(point: &Point, candidate: usize, look: Look) -> String {
    let rows = table::rows(point, candidate);
    let mut shown: Vec<usize> = vec![0];
    if point.arms.len() > candidate {
        shown.push(candidate);
    }
    let mut head = vec![String::new()];
    head.extend(shown.iter().map(|a| line(&point.arms[*a].arm)));
    if shown.len() > 1 {
        head.extend(["difference [95 %]".to_owned(), String::new()]);
    }
    let mut grid = vec![head];
    grid.extend(rows.iter().map(|r| cells(r, &shown)));
    let words = if shown.len() > 1 { 2 } else { 0 };
    let mut out = layout::table(&grid, 1, words, look);
    out.push('\n');
    out
}

fn cells(row: &Row, shown: &[usize]) -> Vec<String> {
    let mut cells = vec![notes::marked(row.name, &row.notes)];
    cells.extend(shown.iter().map(|a| line(&row.arms[*a])));
    if shown.len() > 1 {
        cells.extend([row.difference.clone(), row.verdict.clone()]);
    }
    cells
}

fn sweep(report: &Report, look: Look) -> String {
    let mut grid = sweep_grid(report);
    grid.iter_mut().flatten().for_each(|cell| *cell = line(cell));
    let mut kept = guarantee::sweep(&report.points);
    kept.iter_mut().flatten().for_each(|cell| *cell = line(cell));
    let kept = match kept.is_empty() {
        true => String::new(),
        false => format!("{}\n", layout::table(&kept, 2, 0, look)),
    };
    let how = conditions::cpu_design(&report.points);
    let how = how.map_or(String::new(), |how| look.wrap(&how, 2) + "\n");
    format!("\n{kept}{}\n{how}", layout::table(&grid, 2, 1, look))
}

/// One line a point and arm: how the axis changes the figures.
pub(super) fn sweep_grid(report: &Report) -> Vec<Vec<String>> {
    if report.points.iter().all(|p| p.design.flow == Flow::Idle) {
        return idle_sweep(report);
    }
    // A closed loop has no response; its axis changes the service time and the throughput.
    let closed = report.points.iter().all(|p| p.design.rate.is_none());
    let fans_out = report.points.iter().any(|p| p.design.subscribers.is_some());
    let head = match (closed, fans_out) {
        (_, true) => {
            ["setting", "arm", "delivery p50", "p99", "deliveries/s", "target CPU/delivery", ""]
        }
        (true, _) => ["setting", "arm", "service p50", "p99", "events/s", "target CPU/event", ""],
        (false, _) => ["setting", "arm", "response p50", "p99", "events/s", "target CPU/event", ""],
    };
    let mut grid = vec![head.map(str::to_owned).to_vec()];
    for point in &report.points {
        grid.extend(point.arms.iter().map(|arm| sweep_row(point, arm, closed)));
    }
    grid
}

/// The same for an idle flow.
fn idle_sweep(report: &Report) -> Vec<Vec<String>> {
    let head = ["setting", "arm"].iter().chain(&idle::OVERVIEW);
    let mut grid = vec![head.map(|name| (*name).to_owned()).collect::<Vec<_>>()];
    for point in &report.points {
        let line = |arm: &ArmFigures| {
            let cells = idle::overview(arm).to_vec();
            let name = notes::marked(&visible(&arm.arm), &notes::of_arm(point, &arm.arm));
            [vec![table::setting(point), name], cells].concat()
        };
        grid.extend(point.arms.iter().map(line));
    }
    grid
}

fn sweep_row(point: &Point, arm: &ArmFigures, closed: bool) -> Vec<String> {
    let none = || "–".to_owned();
    let time = |v: Option<u64>| match v {
        Some(ns) if !arm.overloaded => units::nanos_text(ns as f64),
        _ => none(),
    };
    let (latency, rate, cpu) = match &arm.fanout {
        Some(f) => (&f.delivery_ns, f.deliveries_per_second, f.target_cpu_ns_per_delivery),
        None => {
            let latency = if closed { &arm.service_ns } else { &arm.response_ns };
            (latency, arm.throughput_per_second, arm.target_usage.cpu_ns_per_event)
        }
    };
    vec![
        table::setting(point),
        notes::marked(&arm.arm, &notes::of_arm(point, &arm.arm)),
        time(latency.p50),
        time(latency.p99),
        rate.map_or_else(none, |v| format!("{v:.0}")),
        cpu.map_or_else(none, units::nanos_text),
        if arm.overloaded { "overloaded".into() } else { String::new() },
    ]
}
