//! The rows of a fan-out's table.

use super::table::{NONE, cpu, time};
use crate::compare::{ArmFigures, FanoutFigures};
use crate::units;

/// What is shown, the metric it is compared by, and the cell of an arm.
pub(super) type Line = (&'static str, &'static str, fn(&ArmFigures) -> String);

/// The rows of every table.
pub(super) const LINES: [Line; 16] = [
    ("delivery p50", "delivery.p50", |a| of(a, |f| time(f.delivery_ns.p50))),
    ("delivery p99", "delivery.p99", |a| of(a, |f| time(f.delivery_ns.p99))),
    ("last subscriber p50", "last.p50", |a| of(a, |f| time(f.last_ns.p50))),
    ("last subscriber p90", "last.p90", |a| of(a, |f| time(f.last_ns.p90))),
    ("first to last p50", "skew.p50", |a| of(a, |f| time(f.skew_ns.p50))),
    ("deliveries/s", "", |a| of(a, |f| number(f.deliveries_per_second))),
    ("target CPU/delivery", "target_usage.cpu_ns_per_delivery", |a| {
        of(a, |f| cpu(f.target_cpu_ns_per_delivery))
    }),
    ("driver CPU/delivery", "driver_usage.cpu_ns_per_delivery", |a| {
        of(a, |f| cpu(f.driver_cpu_ns_per_delivery))
    }),
    ("together", "total_usage.cpu_ns_per_delivery", |a| {
        of(a, |f| cpu(f.figure("total_usage.cpu_ns_per_delivery")))
    }),
    ("bytes/delivery to + from", "", |a| of(a, bytes)),
    ("segments/delivery", "", |a| {
        of(a, |f| f.wire.segments_per_delivery.map_or(NONE.into(), |n| format!("{n:.2}")))
    }),
    ("target memory/subscriber", "target_usage.bytes_per_subscriber", |a| {
        of(a, |f| size(f.target_bytes_per_subscriber))
    }),
    ("driver memory/subscriber", "", |a| of(a, |f| size(f.driver_bytes_per_subscriber))),
    ("subscribing, each", "", |a| of(a, |f| cpu(f.subscribe_ns_each))),
    ("due / received / lost", "", |a| of(a, fates)),
    ("duplicated / reordered", "", |a| {
        of(a, |f| format!("{} / {}", f.deliveries.duplicated, f.deliveries.reordered))
    }),
];

pub(super) fn of(arm: &ArmFigures, cell: impl Fn(&FanoutFigures) -> String) -> String {
    arm.fanout.as_ref().map_or(NONE.into(), cell)
}

fn number(value: Option<f64>) -> String {
    value.map_or(NONE.into(), units::count)
}

pub(super) fn size(value: Option<f64>) -> String {
    value.map_or(NONE.into(), units::bytes)
}

fn bytes(f: &FanoutFigures) -> String {
    match (f.wire.bytes_in_per_delivery, f.wire.bytes_out_per_delivery) {
        (Some(to), Some(from)) => format!("{to:.0} + {from:.0}"),
        _ => NONE.into(),
    }
}

pub(super) fn fates(f: &FanoutFigures) -> String {
    let d = &f.deliveries.fates;
    let count = |n| units::count(n as f64);
    let mut text = format!("{}/{}/{}", count(d.due), count(d.received), count(d.lost));
    if d.failed + d.timed_out > 0 {
        text.push_str(&format!(" +{} failed +{} timed out", count(d.failed), count(d.timed_out)));
    }
    text
}

/// A line an arm, for tables of many arms: headings first.
pub(super) const OVERVIEW: [&str; 7] = [
    "delivery p50",
    "p99",
    "last subscriber p50",
    "target CPU/delivery",
    "memory/subscriber",
    "reach",
    "bytes/delivery",
];

/// The cells under [`OVERVIEW`].
pub(super) fn overview(a: &ArmFigures) -> [String; 7] {
    let late = |ns: Option<u64>| if a.overloaded { NONE.to_owned() } else { time(ns) };
    [
        of(a, |f| late(f.delivery_ns.p50)),
        of(a, |f| late(f.delivery_ns.p99)),
        of(a, |f| late(f.last_ns.p50)),
        of(a, |f| cpu(f.target_cpu_ns_per_delivery)),
        of(a, |f| size(f.target_bytes_per_subscriber)),
        of(a, |f| f.reach.map_or(NONE.into(), |r| format!("{:.2} %", r * 100.0))),
        of(a, |f| number(f.figure("wire.bytes_per_delivery"))),
    ]
}
