//! The result of `pushbench capacity`: what each arm carries while it keeps its promise, and what gave way.

#[cfg(test)]
pub(crate) mod tests;

use crate::layout::{self, BOLD, Look};
use crate::markdown;
use crate::visible::line;
use pushbench_analysis::capacity::search::half_width;
use pushbench_analysis::capacity::{ArmCapacity, Capacity, Comparison, Ending};
use pushbench_analysis::stats::Interval;
use pushbench_core::capacity::Dimension;
use pushbench_core::units::{bytes, nanos_text};
use serde::Serialize;
use std::fmt::Write as _;

/// What is printed where nothing is known.
const NONE: &str = "–";

/// A load to three digits, with a separator of thousands.
pub(crate) fn load(value: f64) -> String {
    let digits = if value > 0.0 { 10f64.powf(value.log10().floor() - 2.0) } else { 1.0 };
    let rounded = (value / digits).round() * digits;
    if rounded < 100.0 {
        return format!("{rounded:.3}").trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let text = format!("{rounded:.0}");
    let groups: Vec<&str> = text
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

pub(crate) fn unit(capacity: &Capacity) -> &'static str {
    Dimension::named(&capacity.record.of).map_or("", |dimension| dimension.unit)
}

/// The capacity of an arm in a few words.
pub(crate) fn highest(arm: &ArmCapacity) -> String {
    match (arm.ending, arm.highest) {
        (Ending::Below, _) => "the lowest load fails".to_owned(),
        (_, Some(highest)) if arm.at_least => format!("at least {}", load(highest)),
        (_, Some(highest)) => load(highest),
        (_, None) => match arm.bracket {
            (Some(best), _) => format!("not known; {} held", load(best)),
            (None, Some(worst)) => format!("not known; {} failed", load(worst)),
            (None, None) => NONE.to_owned(),
        },
    }
}

/// Its interval.
pub(crate) fn range(arm: &ArmCapacity) -> String {
    match (arm.highest, arm.ci95) {
        (Some(estimate), Some((low, Some(high)))) => {
            let half = half_width(&Interval { estimate, low, high }) * 100.0;
            format!("[{}, {}] ±{half:.0} %", load(low), load(high))
        }
        (_, Some((low, None))) => format!("[{}, ?]", load(low)),
        _ => NONE.to_owned(),
    }
}

/// The question in a sentence.
pub(crate) fn question(capacity: &Capacity) -> String {
    format!(
        "{}: the highest {} that keeps the objective",
        capacity.record.scenario.name, capacity.record.of
    )
}

/// What holds means, in sentences.
pub(crate) fn conditions(capacity: &Capacity) -> String {
    let record = &capacity.record;
    let lines: Vec<String> = record
        .scenario
        .objective
        .iter()
        .map(|line| {
            let sign = if pushbench_core::scenario::objective::more_is_better(&line.what) {
                "≥"
            } else {
                "≤"
            };
            format!("{} {sign} {}", line.what, pushbench_analysis::capacity::limit_text(line))
        })
        .collect();
    let mut text = format!(
        "Objective: {}. The capacity is the load at which {:.0} % of windows of {} keep every line of it; intervals are \
         95 %. A percentile is taken over all that was due.",
        lines.join(" and "),
        capacity.holds * 100.0,
        nanos_text(record.window_ns as f64),
    );
    if !record.complete {
        let why = record.failure.as_deref().map_or(String::new(), |why| format!(": {why}"));
        let _ = write!(text, " The search was ended before it was finished{why}.");
    }
    text
}

/// A row an arm.
pub(crate) fn grid(capacity: &Capacity) -> Vec<Vec<String>> {
    let head = [
        "arm",
        &format!("highest, {}", unit(capacity)),
        "95 % interval",
        "limited by",
        "windows held",
    ];
    let mut grid = vec![head.map(str::to_owned).to_vec()];
    for arm in &capacity.arms {
        grid.push(vec![
            line(&arm.arm),
            highest(arm),
            range(arm),
            arm.limited_by.as_deref().map_or(NONE.to_owned(), line),
            format!("{} of {}", arm.held, arm.windows),
        ]);
    }
    grid
}

/// What each comparison comes to.
pub(crate) fn comparison(c: &Comparison) -> String {
    match (c.ratio, c.ci95) {
        (Some(ratio), Some((low, high))) => {
            let numbers =
                format!("{ratio:.2} [{low:.2}, {high:.2}] times as much as {}", c.baseline);
            match low > 1.0 || high < 1.0 {
                true => format!("{} carries {numbers}", c.candidate),
                false => {
                    format!("cannot tell which carries more: {} carries {numbers}", c.candidate)
                }
            }
        }
        _ => format!(
            "{} and {} cannot be compared: the capacity of one is not known",
            c.candidate, c.baseline
        ),
    }
}

/// What is to be said of each arm, a sentence each.
pub(crate) fn remarks(capacity: &Capacity) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for arm in &capacity.arms {
        let mut say = |text: String| all.push((arm.arm.clone(), text));
        if let (Some(limit), Some(why)) = (&arm.limited_by, &arm.why) {
            say(format!("limited by {limit}: {why}"));
        }
        match arm.ending {
            Ending::Below => say("the objective fails at the lowest load that was tried: relax it, or give the target more".to_owned()),
            Ending::Wide | Ending::Open if !capacity.record.complete => say("the search was ended before it was finished: run it again to its end".to_owned()),
            Ending::Wide if !arm.at_least => say("the interval is wider than was wanted when the time was used up: a longer --at-most narrows it".to_owned()),
            Ending::Open => say("the time was used up before the capacity was enclosed: a longer --at-most finds it".to_owned()),
            _ => {}
        }
        if arm.void > 0 {
            say(format!(
                "windows that count neither way, because the driver or the machine was at fault: {}",
                arm.void
            ));
        }
        if let Some(each) = &arm.bytes_each {
            say(format!(
                "each further {} takes {} [{}, {}] of the target's memory (slope by least squares)",
                unit(capacity).trim_end_matches('s'),
                bytes(each.estimate),
                bytes(each.low),
                bytes(each.high)
            ));
        }
        if let Some(overload) = &arm.overload {
            let burst = format!(
                "after {} at ×{} of {} the queue",
                nanos_text(overload.length_ns as f64),
                overload.factor,
                load(overload.load)
            );
            say(match (&overload.void, overload.drained_ns) {
                (Some(why), _) => {
                    format!("how it comes back after an overload was not measured: {why}")
                }
                (None, Some(ns)) => format!("{burst} was empty again in {}", nanos_text(ns as f64)),
                (None, None) => format!(
                    "{burst} was not empty after {}: it does not come back by itself in that time",
                    nanos_text(overload.waited_ns as f64)
                ),
            });
        }
    }
    all
}

/// As on the terminal.
pub fn text(capacity: &Capacity, look: Look) -> String {
    let mut out = look.wrap(&question(capacity), 2);
    out.push_str(&look.wrap(&conditions(capacity), 2));
    let _ = writeln!(out, "\n{}", layout::table(&grid(capacity), 1, 0, look).trim_end());
    if !capacity.comparisons.is_empty() {
        let _ = writeln!(out);
        for c in &capacity.comparisons {
            out.push_str(&look.wrap(&look.paint(BOLD, &line(&comparison(c))), 2));
        }
    }
    let _ = writeln!(out);
    for (arm, remark) in remarks(capacity) {
        out.push_str(&look.wrap(&format!("{}: {}", line(&arm), line(&remark)), 2));
    }
    out
}

/// For a pull request or a design document.
pub fn markdown(capacity: &Capacity) -> String {
    let mut out = format!("## {}\n\n", markdown::escape(&question(capacity)));
    let _ = writeln!(out, "{}\n", markdown::paragraph(&conditions(capacity)));
    markdown::grid(&mut out, &grid(capacity), 1);
    for c in &capacity.comparisons {
        let _ = writeln!(out, "**{}**\n", markdown::escape(&comparison(c)));
    }
    for (arm, remark) in remarks(capacity) {
        let _ = writeln!(out, "- {}: {}", markdown::escape(&arm), markdown::escape(&remark));
    }
    let _ = writeln!(out, "\n{}", markdown::code(&capacity.record.command));
    out
}

/// Schema 1.
pub fn json(capacity: &Capacity) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        schema: u32,
        of: &'a str,
        window_ns: u64,
        complete: bool,
        failure: Option<&'a str>,
        #[serde(flatten)]
        capacity: &'a Capacity,
        command: &'a str,
        began: &'a str,
        version: &'a str,
        record: &'a pushbench_core::capacity::CapacityRecord,
    }
    let record = &capacity.record;
    let document = Document {
        schema: record.schema,
        of: &record.of,
        window_ns: record.window_ns,
        complete: record.complete,
        failure: record.failure.as_deref(),
        capacity,
        command: &record.command,
        began: &record.began,
        version: &record.version,
        record,
    };
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}
