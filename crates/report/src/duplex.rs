//! The rows of a duplex's table.

use crate::table;
use crate::table::{NONE, cpu, time};
use pushbench_analysis::compare::{ArmFigures, CallbackFigures};
use pushbench_core::units;

/// What is shown, the metric it is compared by, and the cell of an arm.
pub(super) type Line = (&'static str, &'static str, fn(&ArmFigures) -> String);

/// The rows of a table of these arms: what only callbacks have is shown where one of them has it.
pub(super) fn lines<'a>(arms: &[&'a ArmFigures]) -> impl Iterator<Item = &'static Line> + use<'a> {
    let any = arms.iter().any(|a| a.callbacks.is_some());
    LINES.iter().filter(move |(name, ..)| any || !OF_CALLBACKS.contains(name))
}

/// What its rows call a metric.
pub(super) fn name_of(metric: &str) -> Option<&'static str> {
    let further = match metric {
        "response.p90" => "answer p90",
        "response.p99_9" => "answer p99.9",
        "service.p90" => "question to answer p90",
        "service.p99" => "question to answer p99",
        _ => return LINES.iter().find(|(_, m, _)| *m == metric).map(|(name, ..)| *name),
    };
    Some(further)
}

const OF_CALLBACKS: [&str; 3] = ["accepted p50", "accepted p99", "callback connections"];

const LINES: [Line; 14] = [
    ("answer p50", "response.p50", |a| time(a.response_ns.p50)),
    ("answer p99", "response.p99", |a| time(a.response_ns.p99)),
    ("question to answer p50", "service.p50", |a| time(a.service_ns.p50)),
    ("accepted p50", "", |a| of(a, |c| time(c.accepted_ns.p50))),
    ("accepted p99", "", |a| of(a, |c| time(c.accepted_ns.p99))),
    ("target CPU/question", "target_usage.cpu_ns_per_event", |a| {
        cpu(a.target_usage.cpu_ns_per_event)
    }),
    ("driver CPU/question", "driver_usage.cpu_ns_per_event", |a| {
        cpu(a.driver_usage.cpu_ns_per_event)
    }),
    ("total CPU/question", "total_usage.cpu_ns_per_event", table::together),
    ("bytes/question out+in", "", table::bytes_per_event),
    ("segments/question", "", |a| {
        a.wire.segments_per_event.map_or(NONE.into(), |n| format!("{n:.2}"))
    }),
    ("connections opened", "", table::connections),
    ("callback connections", "", |a| {
        of(a, |c| c.connections_per_trial.map_or(NONE.into(), |n| format!("{n:.0}")))
    }),
    ("due / answered / lost", "", table::outcomes),
    ("duplicate / unmatched / late", "", |a| {
        let e = &a.events;
        let count = |n: u64| units::count(n as f64);
        let twice = e.duplicated.map_or(NONE.into(), count);
        format!("{twice} / {} / {}", count(e.unsolicited), count(e.late))
    }),
];

fn of(arm: &ArmFigures, cell: impl Fn(&CallbackFigures) -> String) -> String {
    arm.callbacks.as_ref().map_or(NONE.into(), cell)
}
