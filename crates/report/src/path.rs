//! The line about a point's path, and the rows of what it did to each arm.

use crate::fanout::Line;
use crate::table::{NONE, cpu};
use pushbench_analysis::compare::{ArmFigures, PathFigures, Point, congestion_control};
use pushbench_core::units;

/// `round trip 40.0 ms asked, p50 40.0 ms, p99 40.2 ms, bias 320 µs · router late p50 12 µs, p99 90 µs · …`;
/// `None` without a path.
pub(crate) fn line(point: &Point) -> Option<String> {
    let time = |ns: u64| units::nanos_text(ns as f64);
    let mut parts = Vec::new();
    parts.extend(point.validity.trust.calibration.map(|c| {
        format!(
            "round trip {} asked, p50 {}, p99 {}, bias {}",
            time(c.asked_ns),
            time(c.p50_ns),
            time(c.p99_ns),
            time(c.bias_ns)
        )
    }));
    let figures: Vec<&PathFigures> = point.arms.iter().filter_map(|a| a.path.as_ref()).collect();
    let latest = figures.iter().max_by_key(|f| f.router_lateness_ns.p99)?;
    let late = &latest.router_lateness_ns;
    if let (Some(p50), Some(p99)) = (late.p50, late.p99) {
        parts.push(format!("router late p50 {}, p99 {}", time(p50), time(p99)));
    }
    let busy = figures.iter().filter_map(|f| f.driver_and_router_busy).reduce(f64::max);
    parts.extend(busy.map(|busy| format!("driver and router busy {:.0} %", busy * 100.0)));
    let control = congestion_control(&point.arms);
    parts.extend(control.map(|control| format!("congestion control {control}")));
    Some(parts.join(" · "))
}

/// The rows of a path, where there is one.
pub(super) fn lines(point: &Point) -> Vec<Line> {
    if point.arms.iter().all(|a| a.path.is_none()) {
        return Vec::new();
    }
    let router = match point.design.subscribers {
        Some(_) => "router CPU/delivery · busy",
        None => "router CPU/event · busy",
    };
    vec![
        ("packets / lost / queue full / cut", "", |a| {
            of(a, |p| {
                let counts = [p.packets, p.lost, p.queue_full, p.cut];
                counts.map(|count| units::count(count as f64)).join("/")
            })
        }),
        ("TCP segments sent again", "", |a| of(a, |p| units::count(p.retransmitted as f64))),
        (router, "", |a| {
            of(a, |p| {
                let busy =
                    p.router_busy.map_or(NONE.into(), |busy| format!("{:.1} %", busy * 100.0));
                format!("{} · {busy}", cpu(p.router_cpu_ns_per_event))
            })
        }),
    ]
}

fn of(arm: &ArmFigures, cell: impl Fn(&PathFigures) -> String) -> String {
    arm.path.as_ref().map_or(NONE.into(), cell)
}
