//! Go's benchmark data format, a line a valid trial: `benchstat -col /arm bench.txt`.

use crate::{table, visible};
use pushbench_analysis::compare::evidence::Evidence;
use pushbench_analysis::compare::{ArmFigures, Point, Report};
use pushbench_core::record::metrics::{METRICS, Metric, Unit};
use pushbench_core::record::trial::{Stage, Trial};
use std::fmt::Write as _;

/// The whole file: what it was measured on, units that are better bigger, trials.
pub fn render(report: &Report, evidence: &Evidence<'_>) -> String {
    let mut out = String::new();
    if let Some(message) = table::incomplete(report) {
        let _ = writeln!(out, "# {message}");
    }
    let _ = writeln!(out, "scenario: {}", visible::line(&report.scenario));
    let _ = writeln!(out, "seed: {}", report.seed);
    for (name, value) in &evidence.machine {
        let _ =
            writeln!(out, "{}: {}", name.to_lowercase().replace(' ', "-"), visible::line(value));
    }
    for metric in METRICS.iter().filter(|m| m.more_is_better) {
        let _ = writeln!(out, "Unit {} better=higher", unit(metric));
    }
    for (point, found) in report.points.iter().zip(&evidence.points) {
        if let Some(kind) = point.design.kind {
            let _ = writeln!(out, "design: {kind}");
        }
        for trial in found.trials.iter().filter(|t| t.stage == Stage::Block) {
            if let Some(arm) = point.arms.get(trial.arm) {
                line(&mut out, report, point, arm, trial);
            }
        }
    }
    out
}

fn line(out: &mut String, report: &Report, point: &Point, arm: &ArmFigures, trial: &Trial) {
    let name = name(report, point, arm);
    if !trial.is_valid() {
        let why = visible::line(&trial.judged.invalid.join("; "));
        let _ = writeln!(out, "# block {} of {name} is not valid: {why}", trial.block);
        return;
    }
    let mut values = String::new();
    for metric in METRICS {
        if let Some(value) = (metric.value)(trial) {
            let _ = write!(values, " {value} {}", unit(metric));
        }
    }
    // A line without a value is none.
    if !values.is_empty() {
        let _ = writeln!(out, "{name} {}{values}", trial.account.measured.due.max(1));
    }
}

/// `BenchmarkIngest/load.rate=500/arm=webhook@builtin-1`. The number is the target's CPUs: without
/// one, the end of a name such as `mine-2` would be taken for it.
fn name(report: &Report, point: &Point, arm: &ArmFigures) -> String {
    let mut name = "Benchmark".to_owned();
    let scenario = word(&report.scenario);
    let mut letters = scenario.chars();
    name.extend(letters.next().map(|c| c.to_ascii_uppercase()));
    name.extend(letters);
    for (key, value) in &point.setting {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ = write!(name, "/{}={}", word(key), word(&value));
    }
    let cpus = point.design.target_cpus.len().max(1);
    let _ = write!(name, "/arm={}-{cpus}", word(&arm.arm));
    name
}

/// Text without what ends a field or a part of a name.
fn word(value: &str) -> String {
    let safe = |c: char| if c.is_whitespace() || c == '/' || c == '=' { '_' } else { c };
    visible::line(value).chars().map(safe).collect()
}

/// `response-p50-ns/op`: the last word is what is counted, the words before say of what.
fn unit(metric: &Metric) -> String {
    let what =
        metric.name.split(['.', '_']).filter(|w| !["ns", "bytes", "per", "event"].contains(w));
    let what = what.collect::<Vec<_>>().join("-");
    match metric.unit {
        Unit::Nanoseconds => format!("{what}-ns/op"),
        Unit::Bytes => format!("{what}-B"),
        Unit::PerSecond => "events/s".to_owned(),
        Unit::Count | Unit::Share => what,
    }
}
