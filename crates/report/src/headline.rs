//! What a run comes to, in sentences: those that stand at the top of its page.

use crate::overview;
use crate::table::metric_name;
use pushbench_analysis::compare::charts::sweep::Sweep;
use pushbench_analysis::compare::charts::words;
use pushbench_analysis::compare::trust::is_driver_bound;
use pushbench_analysis::compare::{ArmFigures, Point, Report};
use pushbench_core::scenario::Flow;
use pushbench_core::units;

/// Of a comparison its sentences, of many arms the first and the last, of a sweep where which is better.
pub(crate) fn sentences(report: &Report, sweep: Option<&Sweep>) -> Vec<String> {
    match (sweep, report.points.as_slice()) {
        (Some(sweep), _) => {
            let summaries = sweep.groups.iter().flat_map(|g| &g.summaries);
            let lines = |s: &words::AxisSummary| {
                let line = |(metric, at): &(&'static str, String)| {
                    format!("{}: {at}", metric_name(flow(report), metric))
                };
                let lines: Vec<String> = s.lines.iter().map(line).collect();
                format!("{}: {}.", s.title, lines.join(". "))
            };
            summaries.map(lines).collect()
        }
        (None, [point]) if point.arms.len() > overview::FEW => {
            first_and_last(point).into_iter().collect()
        }
        (None, points) => points.iter().flat_map(|p| p.sentences.clone()).collect(),
    }
}

/// Which way the events of a run went.
pub(crate) fn flow(report: &Report) -> Flow {
    report.points.first().map_or(Flow::Ingest, |p| p.design.flow)
}

/// The best and the worst of many arms.
pub(crate) fn first_and_last(point: &Point) -> Option<String> {
    let [first, last] = words::first_and_last(point)?.map(|arm| &point.arms[arm]);
    let written = |a: &ArmFigures| {
        let value = a.figure(point.sorted_by).unwrap_or(0.0);
        match point.sorted_by {
            "throughput" if is_driver_bound(a) => format!("at least {}", units::rate(value)),
            "throughput" => units::rate(value),
            m if m.contains("bytes") => units::bytes(value),
            _ => units::nanos_text(value),
        }
    };
    Some(format!(
        "By {} {} comes first of {} arms with {}, {} last with {}.",
        metric_name(point.design.flow, point.sorted_by),
        first.arm,
        point.arms.len(),
        written(first),
        last.arm,
        written(last)
    ))
}
