//! Two runs side by side, for people and for programs.

use super::layout::{self, ALARM, BOLD, Look};
use super::markdown::{escape, grid as markdown_grid};
use super::visible::line;
use crate::compare::runs::{Figure, Pair, Run, Runs, Value};
use crate::units;
use std::fmt::Write as _;

const NONE: &str = "–";

/// As on the terminal.
pub fn text(runs: &Runs, look: Look) -> String {
    let mut out = String::new();
    let heads = [head("first", &runs.first), head("second", &runs.second)];
    out.push_str(&layout::table(&heads, 4, 0, look));
    let style = if runs.comparable { BOLD } else { ALARM };
    let _ = writeln!(out, "\n{}", look.paint(style, look.wrap(&verdict(runs), 2).trim_end()));
    for difference in &runs.differences {
        out.push_str(&look.wrap(&format!("  {}", line(&difference.to_string())), 4));
    }
    for pair in &runs.points {
        let setting = setting(pair);
        if !setting.is_empty() {
            let _ = writeln!(out, "\n— {} —", look.paint(BOLD, &line(&setting)));
        }
        let mut rows = rows(pair);
        rows.iter_mut().flatten().for_each(|cell| *cell = line(cell));
        let _ = write!(out, "\n{}", layout::table(&rows, 2, 1, look));
    }
    let _ = write!(out, "\n{}", look.wrap(&summary(runs), 2));
    out
}

/// For a pull request or a design document.
pub fn markdown(runs: &Runs) -> String {
    let mut out = "## Two runs side by side\n\n".to_owned();
    let heads = [
        ["", "directory", "run", "began"].map(str::to_owned).to_vec(),
        head("first", &runs.first),
        head("second", &runs.second),
    ];
    markdown_grid(&mut out, &heads, 4);
    let _ = writeln!(out, "**{}**\n", escape(&verdict(runs)));
    for difference in &runs.differences {
        let _ = writeln!(out, "- {}", escape(&difference.to_string()));
    }
    out.push('\n');
    for pair in &runs.points {
        let setting = setting(pair);
        if !setting.is_empty() {
            let _ = writeln!(out, "### {}\n", escape(&setting));
        }
        markdown_grid(&mut out, &rows(pair), 2);
    }
    let _ = writeln!(out, "{}", escape(&summary(runs)));
    out
}

/// The structure as it is.
pub fn json(runs: &Runs) -> String {
    super::visible::json(&serde_json::to_string_pretty(runs).expect("it has only string keys"))
        + "\n"
}

fn head(which: &str, run: &Run) -> Vec<String> {
    let cut = if run.complete { "" } else { ", INCOMPLETE" };
    let what = format!("{}, pushbench {}{cut}", run.scenario, run.pushbench);
    // Nobody reads its nanoseconds.
    let began = run.started.split('.').next().unwrap_or_default();
    [which, &run.dir, &what, began.trim_end_matches('Z')].map(line).to_vec()
}

fn verdict(runs: &Runs) -> String {
    match (runs.comparable, runs.differences.is_empty()) {
        (true, true) => "These runs may be compared: scenario, arms, seed, schema, machine and version are the same.",
        (true, false) => "These runs may be compared, though they are not the same in every respect:",
        (false, _) => "These runs may NOT be compared like for like. What differs:",
    }
    .to_owned()
}

fn setting(pair: &Pair) -> String {
    super::table::keys(&pair.setting)
}

fn rows(pair: &Pair) -> Vec<Vec<String>> {
    let head = ["", "", "first [95 %]", "second [95 %]", "change", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(pair.figures.iter().map(|f| {
        let within = f.within.map(|within| if within { "within" } else { "outside" });
        vec![
            f.of.clone(),
            f.metric.to_owned(),
            valued(f, f.first),
            valued(f, f.second),
            f.change.map_or(NONE.to_owned(), |c| format!("×{c:.2}")),
            within.unwrap_or_default().to_owned(),
        ]
    }));
    rows
}

fn valued(figure: &Figure, value: Option<Value>) -> String {
    let shown = |v: f64| match figure.unit {
        "ns" => units::nanos_text(v),
        "events/s" => units::rate(v),
        "bytes" => units::bytes(v),
        "ratio" => format!("×{v:.3}"),
        _ => format!("{v:.3}"),
    };
    match value {
        None => NONE.to_owned(),
        Some(Value { estimate, ci95: None }) => shown(estimate),
        Some(Value { estimate, ci95: Some([low, high]) }) => {
            format!("{} [{}, {}]", shown(estimate), shown(low), shown(high))
        }
    }
}

fn summary(runs: &Runs) -> String {
    let (within, told) = runs.within();
    if told == 0 {
        return "No figure can be held against the other run: they have none in common that two valid blocks support.".to_owned();
    }
    let mut said = format!(
        "{within} of {told} figures of the second run lie within the first one's 95 % intervals"
    );
    if runs.comparable {
        said.push_str("; of two runs that differ by chance alone about five in six do. Runs made at different times share no moods of the machine: ratios repeat better than times, and no verdict is given");
    }
    said.push('.');
    said
}
