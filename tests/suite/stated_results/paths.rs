//! What a path changes: round trips, losses, bit rates.

use super::texts::{Stored, grid, legend, name};
use pushbench_analysis::compare::{ArmFigures, Point};
use pushbench_core::units;
use pushbench_report::table;
use std::time::Duration;

fn text(length: Duration) -> String {
    units::nanos_text(length.as_nanos() as f64)
}

fn rtt(point: &Point) -> Duration {
    point.design.path.as_ref().unwrap().rtt
}

/// A round trip is far longer than everything else in a response.
const LONG: Duration = Duration::from_millis(10);

/// How many round trips an event takes, on a new connection and on one that is kept open.
pub fn distance(run: &Stored) -> String {
    let kept = |point: &Point| point.setting["connections.lifetime"] == "unlimited";
    let head = ["round trip", "arm", "on a new connection", "on one that is kept open"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut in_round_trips: Vec<(String, [Vec<f64>; 2])> = Vec::new();
    let points = || run.report.points.iter();
    for new in points().filter(|p| !kept(p)) {
        let same = points().find(|p| kept(p) && rtt(p) == rtt(new)).unwrap();
        for (i, arm) in new.arms.iter().enumerate() {
            let trips = |arm: &ArmFigures| -> Option<f64> {
                let p50 = arm.response_ns.p50? as f64;
                (rtt(new) >= LONG).then(|| p50 / rtt(new).as_nanos() as f64)
            };
            let cell = |arm: &ArmFigures| {
                let p50 =
                    arm.response_ns.p50.map_or("–".to_owned(), |ns| units::nanos_text(ns as f64));
                trips(arm).map_or(p50.clone(), |trips| format!("{p50} ({trips:.2} round trips)"))
            };
            rows.push(vec![
                if rtt(new).is_zero() { "none".to_owned() } else { text(rtt(new)) },
                format!("`{}`", arm.arm),
                cell(arm),
                cell(&same.arms[i]),
            ]);
            if !in_round_trips.iter().any(|(known, _)| *known == arm.arm) {
                in_round_trips.push((arm.arm.clone(), Default::default()));
            }
            let (_, both) = in_round_trips.iter_mut().find(|(known, _)| *known == arm.arm).unwrap();
            both[0].extend(trips(arm));
            both[1].extend(trips(&same.arms[i]));
        }
    }
    let span = |trips: &[f64]| {
        let low = trips.iter().copied().fold(f64::INFINITY, f64::min);
        let high = trips.iter().copied().fold(0.0, f64::max);
        format!("{low:.2} to {high:.2}")
    };
    let each = |(arm, [new, kept]): &(String, [Vec<f64>; 2])| {
        format!("`{arm}` {} and {}", span(new), span(kept))
    };
    let arms: Vec<String> = in_round_trips.iter().map(each).collect();
    format!(
        "The median response in round trips, on a new connection and on one that is kept open, where a round trip takes \
         {} or longer: {} ({}).\n\n{}",
        text(LONG),
        arms.join("; "),
        run.source(),
        grid(&rows)
    )
}

/// Every arm at each setting of a sweep, with the verdict against the first one.
pub fn settings(run: &Stored, head: &[(&str, &str)], metrics: &[&str]) -> String {
    let points = &run.report.points;
    let mut rows = vec![Vec::new()];
    rows[0].extend(head.iter().map(|(_, title)| (*title).to_owned()));
    rows[0].push("arm".to_owned());
    rows[0].extend(metrics.iter().map(|metric| name(&points[0], metric)));
    for point in points {
        for (i, arm) in point.arms.iter().enumerate() {
            let shown = table::rows(point, i.max(1));
            let setting = |(key, _): &(&str, &str)| {
                let value = &point.setting[*key];
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            };
            let mut row: Vec<String> = head.iter().map(setting).collect();
            row.push(format!("`{}`", arm.arm));
            row.extend(metrics.iter().map(|metric| {
                let Some(row) = shown.iter().find(|row| row.metric == *metric) else {
                    return "–".to_owned();
                };
                let verdict = row.verdict.trim_end_matches('†').replace('*', "\\*");
                let moved = if row.notes.is_empty() { "" } else { "!" };
                match (i, verdict.as_str()) {
                    (0, _) | (_, "") => format!("{}{moved}", row.arms[i]),
                    _ => format!("{}: {verdict}{moved}", row.arms[i]),
                }
            }));
            rows.push(row);
        }
    }
    let shown = grid(&rows);
    format!(
        "Each arm, with the verdict against `{}` (path: {}; {}):\n\n{shown}\n{}",
        points[0].arms[0].arm,
        path_of(points),
        run.source(),
        legend(points, &shown)
    )
}

/// What the paths of all points have in common: their round trip.
fn path_of(points: &[Point]) -> String {
    let mut trips: Vec<Duration> = points.iter().map(rtt).collect();
    trips.dedup();
    match trips[..] {
        [one] => format!("round trip {}", text(one)),
        _ => "several round trips".to_owned(),
    }
}
