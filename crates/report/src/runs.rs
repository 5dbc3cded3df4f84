//! The comparison of two runs, as text, Markdown and JSON.

use crate::layout;
use crate::layout::{ALARM, BOLD, Look};
use crate::markdown::{escape, grid as markdown_grid};
use crate::visible::line;
use pushbench_analysis::compare::runs::{Figure, Pair, Run, Runs, Value};
use pushbench_analysis::compare::verdicts::VerdictPair;
use pushbench_analysis::compare::{Verdict, cpu_measured};
use pushbench_core::units;
use std::fmt::Write as _;

const NONE: &str = "–";

/// As on the terminal.
pub fn text(runs: &Runs, look: Look) -> String {
    let mut out = String::new();
    for text in altered(runs) {
        let _ = writeln!(out, "{}", look.paint(ALARM, look.wrap(&line(&text), 2).trim_end()));
    }
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
        out.extend(cpu_design(pair).map(|how| look.wrap(&how, 2)));
    }
    let _ = write!(out, "\n{}", look.wrap(&summary(runs), 2));
    out.push_str(&look.wrap(&line(&agreement(runs)), 2));
    out
}

/// For a pull request or a design document.
pub fn markdown(runs: &Runs) -> String {
    let mut out = "## Comparison of two runs\n\n".to_owned();
    for text in altered(runs) {
        let _ = writeln!(out, "> [!WARNING]\n> {}\n", escape(&text));
    }
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
        out.extend(cpu_design(pair).map(|how| how + "\n\n"));
    }
    let _ = writeln!(out, "{}\n\n{}", escape(&summary(runs)), escape(&agreement(runs)));
    out
}

/// The structure as it is.
pub fn json(runs: &Runs) -> String {
    crate::visible::json(&serde_json::to_string_pretty(runs).expect("it has only string keys"))
        + "\n"
}

fn head(which: &str, run: &Run) -> Vec<String> {
    let cut = if run.complete { "" } else { ", INCOMPLETE" };
    let what = format!("{}, pushbench {}{cut}", run.scenario, run.pushbench);
    // Nobody reads its nanoseconds.
    let began = run.started.split('.').next().unwrap_or_default();
    [which, &run.dir, &what, began.trim_end_matches('Z')].map(line).to_vec()
}

/// Said before anything else: figures of other records than the run wrote.
fn altered(runs: &Runs) -> Vec<String> {
    let each = |run: &Run| {
        let differ = run.records_differ.join("; ");
        (!differ.is_empty()).then(|| format!("RECORDS DIFFER in {}: {differ}", run.dir))
    };
    [&runs.first, &runs.second].into_iter().filter_map(each).collect()
}

fn verdict(runs: &Runs) -> String {
    if !altered(runs).is_empty() && runs.differences.is_empty() {
        return "These runs may NOT be compared: some records are not those that were written."
            .to_owned();
    }
    match (runs.comparable, runs.differences.is_empty()) {
        (true, true) => "These runs may be compared: scenario, arms, seed, schema, machine and version are the same.",
        (true, false) => "These runs may be compared, though they are not the same in every respect:",
        (false, _) => "These runs may NOT be compared like for like. What differs:",
    }
    .to_owned()
}

/// How each run measured CPU, where both have a block.
fn cpu_design(pair: &Pair) -> Option<String> {
    let [first, second] = pair.designs;
    let [first, second] = [cpu_measured(first?), cpu_measured(second?)];
    Some(match first == second {
        true => format!("CPU was {first} in both."),
        false => format!("CPU was {first} in the first run and {second} in the second."),
    })
}

fn setting(pair: &Pair) -> String {
    crate::table::keys(&pair.setting)
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
    let (within, judged) = runs.within();
    if judged == 0 {
        return "No figure can be compared: the runs have none in common with two valid blocks."
            .to_owned();
    }
    let mut text = format!(
        "{within} of {judged} figures of the second run lie within the first one's 95 % intervals"
    );
    if runs.comparable {
        text.push_str("; for two runs that differ only by chance, about five in six do. Runs made at different times were not measured under the same machine conditions: ratios repeat better than times, and no verdict is given");
    }
    text.push('.');
    text
}

/// Whether both runs come to the same verdicts, in a few words.
pub fn agreement_in_short(runs: &Runs) -> String {
    let verdicts = runs.verdicts;
    match verdicts.of {
        0 => "none in common".to_owned(),
        _ if verdicts.contradict > 0 => {
            format!(
                "{} of {} agree, {} contradict",
                verdicts.agree, verdicts.of, verdicts.contradict
            )
        }
        _ => format!("{} of {} agree", verdicts.agree, verdicts.of),
    }
}

/// The same, with every verdict that is not the same.
fn agreement(runs: &Runs) -> String {
    let verdicts = runs.verdicts;
    let mut text = format!("Verdicts: {}", agreement_in_short(runs));
    if verdicts.agree > verdicts.claims {
        text.push_str(&format!(
            " ({} of them are \"cannot tell\", which confirms nothing)",
            verdicts.agree - verdicts.claims
        ));
    }
    let each = |pair: &Pair| {
        let setting = match setting(pair) {
            none if none.is_empty() => none,
            some => format!(" at {some}"),
        };
        let differ = pair.verdicts.iter().filter(|v| !v.agree);
        differ.map(|v| format!("{}{setting}", disagreement(v))).collect::<Vec<_>>()
    };
    let differ: Vec<String> = runs.points.iter().flat_map(each).collect();
    match differ.is_empty() {
        true => text + ".",
        false => format!("{text}. Different: {}.", differ.join("; ")),
    }
}

fn disagreement(v: &VerdictPair) -> String {
    let both = [v.first, v.second].map(word);
    format!("{} of {} ({}, then {})", v.metric, v.candidate, both[0], both[1])
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Equivalent => "equivalent",
        Verdict::Inconclusive => "cannot tell",
        Verdict::Overloaded => "overloaded",
        Verdict::Invalid => "invalid",
    }
}
