//! Intervals of a single arm's figures, and reasons of withheld differences.

use crate::table::Row;
use pushbench_analysis::compare::{ArmFigures, Point};
use pushbench_core::units;

/// A table of a single arm has room for the intervals of its percentiles.
pub(super) fn add_interval(row: &mut Row, arm: &ArmFigures) {
    let (response, service) = (&arm.response_ns, &arm.service_ns);
    let (value, interval) = match row.name {
        "response p50" => (response.p50, response.intervals.p50),
        "response p99" => (response.p99, response.intervals.p99),
        "service p50" => (service.p50, service.intervals.p50),
        "service p99" => (service.p99, service.intervals.p99),
        _ => return,
    };
    if let Some((value, interval)) = value.zip(interval) {
        // A time, not a difference: it has no sign.
        row.arms[0] = units::nanos_interval(value as f64, interval).replace('+', "");
    }
}

/// Which differences are withheld: a line for each arm and reason.
pub fn withheld(point: &Point) -> Vec<String> {
    let mut reasons: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for c in &point.comparisons {
        let Some(why) = c.withheld() else { continue };
        match reasons.iter_mut().find(|(arm, reason, _)| (*arm, *reason) == (&c.candidate, why)) {
            Some((_, _, metrics)) => metrics.push(c.metric),
            None => reasons.push((&c.candidate, why, vec![c.metric])),
        }
    }
    let line = |(arm, why, metrics): (&str, &str, Vec<&str>)| {
        format!("{why}: {} of {arm}", metrics.join(", "))
    };
    reasons.into_iter().map(line).collect()
}
