//! The rows of an idle flow's table.

use crate::fanout;
use crate::fanout::{Line, of, size};
use crate::table::{NONE, cpu, time};
use pushbench_analysis::compare::{ArmFigures, FanoutFigures, IdleFigures};
use pushbench_core::record::fanout::KernelScope;

/// A headline that is reported and not compared: one or two events are not a distribution.
pub(super) const NEXT: &str = "next event, last delivery";

/// The rows of every table.
pub(super) const LINES: [Line; 11] = [
    ("target memory/subscriber", "target_usage.bytes_per_subscriber", target),
    ("kernel memory/subscriber", "target_usage.kernel_bytes_per_subscriber", kernel),
    ("driver memory/subscriber", "", |a| of(a, |f| size(f.driver_bytes_per_subscriber))),
    ("target CPU/subscriber·min", "target_usage.cpu_ns_per_subscriber_minute", target_cpu),
    ("driver CPU/subscriber·min", "driver_usage.cpu_ns_per_subscriber_minute", |a| {
        quiet(a, |q| cpu(q.driver_cpu_ns_per_subscriber_minute))
    }),
    ("bytes/subscriber·min to + from", "", bytes),
    ("pings/subscriber·min", "", |a| quiet(a, |q| number(q.pings_per_subscriber_minute))),
    ("connections/subscriber", "", |a| quiet(a, |q| number(q.connections_per_subscriber))),
    ("time to subscribe", "", |a| of(a, |f| cpu(f.subscribe_ns_each))),
    (NEXT, "", |a| of(a, |f| time(f.last_ns.max))),
    ("due / received / lost", "", |a| of(a, fanout::outcomes)),
];

/// What its rows call a metric.
pub(super) fn name_of(metric: &str) -> Option<&'static str> {
    LINES.iter().find(|(_, m, _)| *m == metric).map(|(name, ..)| *name)
}

/// Headings of a line an arm.
pub(super) const OVERVIEW: [&str; 6] = [
    "target memory/subscriber",
    "kernel",
    "driver",
    "target CPU/subscriber·min",
    "bytes/subscriber·min",
    "next event",
];

/// The cells under [`OVERVIEW`].
pub(super) fn overview(a: &ArmFigures) -> [String; 6] {
    [
        target(a),
        kernel(a),
        of(a, |f| size(f.driver_bytes_per_subscriber)),
        target_cpu(a),
        bytes(a),
        of(a, |f| time(f.last_ns.max)),
    ]
}

fn quiet(arm: &ArmFigures, cell: impl Fn(&IdleFigures) -> String) -> String {
    arm.fanout.as_ref().and_then(|f| f.idle.as_ref()).map_or(NONE.into(), cell)
}

fn number(value: Option<f64>) -> String {
    value.map_or(NONE.into(), |n| format!("{n:.2}"))
}

fn target(a: &ArmFigures) -> String {
    of(a, |f| size(f.target_bytes_per_subscriber))
}

fn kernel(a: &ArmFigures) -> String {
    let scope = |f: &FanoutFigures| match f.kernel_scope {
        Some(KernelScope::Machine) => " both ends",
        _ => "",
    };
    of(a, |f| format!("{}{}", size(f.kernel_bytes_per_subscriber), scope(f)))
}

fn target_cpu(a: &ArmFigures) -> String {
    quiet(a, |q| cpu(q.target_cpu_ns_per_subscriber_minute))
}

fn bytes(a: &ArmFigures) -> String {
    quiet(a, |q| match (q.bytes_in_per_subscriber_minute, q.bytes_out_per_subscriber_minute) {
        (Some(to), Some(from)) => format!("{to:.1} + {from:.1}"),
        _ => NONE.into(),
    })
}
