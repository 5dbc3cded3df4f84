//! Many arms in one table, one line each: a column each would be too wide.

use crate::table;
use crate::table::{NONE, cpu, time};
use crate::{fanout, idle, notes};
use pushbench_analysis::compare::{ArmFigures, Point};
use pushbench_core::scenario::Flow;
use pushbench_core::units;

/// Up to this many arms have a column each.
pub const FEW: usize = 3;

/// A heading and a line per arm, the best first, with its difference from the baseline.
pub fn grid(point: &Point) -> Vec<Vec<String>> {
    match point.design.flow {
        Flow::Ingest | Flow::Duplex => {}
        Flow::Fanout => {
            return of_subscribers(point, &fanout::OVERVIEW, |a| fanout::overview(a).to_vec());
        }
        Flow::Idle => {
            return of_subscribers(point, &idle::OVERVIEW, |a| idle::overview(a).to_vec());
        }
    }
    let closed = point.design.rate.is_none();
    let latency = if closed { "service" } else { "response" };
    let baseline = point.arms.first().map_or("", |a| a.arm.as_str());
    let head = [
        format!("by {}", point.sorted_by),
        format!("{latency} p50"),
        "p99".to_owned(),
        "events/s".to_owned(),
        "target CPU/event".to_owned(),
        "driver busy".to_owned(),
        "memory peak".to_owned(),
        "connections".to_owned(),
        "lost".to_owned(),
        format!("against {baseline} [95 %]"),
        String::new(),
    ];
    let mut grid = vec![head.to_vec()];
    grid.extend(point.order.iter().map(|arm| line(point, *arm, closed)));
    grid
}

/// The same for flows with subscribers.
fn of_subscribers(
    point: &Point,
    head: &[&str],
    cells: impl Fn(&ArmFigures) -> Vec<String>,
) -> Vec<Vec<String>> {
    let baseline = point.arms.first().map_or("", |a| a.arm.as_str());
    let around = |first: String, middle: Vec<String>, last: [String; 2]| {
        [vec![first], middle, last.to_vec()].concat()
    };
    let has_requests = point.arms.iter().any(|a| requests(a).is_some());
    let mut head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    head.extend(has_requests.then(|| fanout::REQUESTS.to_owned()));
    let against = [format!("against {baseline} [95 %]"), String::new()];
    let mut grid = vec![around(format!("by {}", point.sorted_by), head, against)];
    grid.extend(point.order.iter().map(|&arm| {
        let a = &point.arms[arm];
        let mut cells = cells(a);
        cells.extend(has_requests.then(|| requests(a).unwrap_or_else(|| NONE.into())));
        around(name(point, a), cells, difference(point, arm))
    }));
    grid
}

/// An arm's name with the marks of what can move its figures.
fn name(point: &Point, arm: &ArmFigures) -> String {
    notes::marked(&arm.arm, &notes::of_arm(point, &arm.arm))
}

/// The requests of its subscribers, where they make any.
fn requests(arm: &ArmFigures) -> Option<String> {
    arm.fanout.as_ref().and_then(fanout::requests)
}

/// The difference from the baseline and its verdict.
fn difference(point: &Point, arm: usize) -> [String; 2] {
    let c = table::comparison(point, arm, point.sorted_by);
    let text = match c {
        Some(c) => table::difference(c),
        None if arm == 0 => "the baseline".into(),
        None => String::new(),
    };
    [text, c.map(table::verdict).unwrap_or_default()]
}

fn line(point: &Point, arm: usize, closed: bool) -> Vec<String> {
    let a = &point.arms[arm];
    let latency = if closed { &a.service_ns } else { &a.response_ns };
    let shown = |ns: Option<u64>| if a.overloaded { NONE.to_owned() } else { time(ns) };
    let [difference, verdict] = difference(point, arm);
    vec![
        name(point, a),
        shown(latency.p50),
        shown(latency.p99),
        a.throughput_per_second.map_or(NONE.into(), units::count),
        cpu(a.target_usage.cpu_ns_per_event),
        busy(a),
        a.target_usage.rss_peak_bytes.map_or(NONE.into(), |b| units::bytes(b as f64)),
        table::connections(a),
        units::count(a.events.outcomes.lost as f64),
        difference,
        verdict,
    ]
}

/// The share of its core that the driver needed, time spent spinning apart.
fn busy(a: &ArmFigures) -> String {
    a.driver_usage.busy.map_or(NONE.into(), |b| format!("{:.0} %", b * 100.0))
}
