//! What github-action-benchmark reads with `tool: customSmallerIsBetter` and `customBiggerIsBetter`.

use crate::{File, table, visible};
use pushbench_analysis::compare::Report;
use pushbench_analysis::compare::blocks::OverBlocks;
use pushbench_analysis::compare::evidence::Evidence;
use serde::Serialize;

/// An entry of either file, as the action's documentation lists it.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

/// One file for what is better smaller, one for what is better bigger.
pub fn files(report: &Report, evidence: &Evidence<'_>) -> Vec<File> {
    let file = |name: &str, bigger: bool| {
        let entries = entries(report, evidence, bigger);
        let text = serde_json::to_string_pretty(&entries).expect("entries have only string keys");
        File { name: name.to_owned(), bytes: (text + "\n").into_bytes() }
    };
    vec![file("smaller-is-better.json", false), file("bigger-is-better.json", true)]
}

fn entries(report: &Report, evidence: &Evidence<'_>, bigger: bool) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (point, found) in report.points.iter().zip(&evidence.points) {
        for (arm, recorded) in point.arms.iter().zip(&found.arms) {
            let name = visible::line(&table::benchmark(report, point, &arm.arm));
            let mine = recorded.over_blocks.iter().filter(|o| o.more_is_better == bigger);
            entries.extend(mine.map(|o| entry(report, point.design.kind, &name, o)));
        }
    }
    entries
}

fn entry(report: &Report, design: Option<&str>, name: &str, o: &OverBlocks) -> Entry {
    let kind = design.map_or(String::new(), |kind| format!("{kind} "));
    let mut extra = format!("geometric mean of {} {kind}blocks, seed {}", o.blocks, report.seed);
    if let Some([low, high]) = o.ci95 {
        extra.push_str(&format!("\n95 % interval [{low:.1}, {high:.1}] {}", o.unit));
    }
    if let Some(message) = table::incomplete(report) {
        extra.push_str(&format!("\n{message}"));
    }
    Entry {
        name: format!("{name} {}", o.metric),
        unit: o.unit,
        value: o.estimate,
        range: o.ci95.map(|[low, high]| format!("± {:.1}", (high - low) / 2.0)),
        extra,
    }
}
