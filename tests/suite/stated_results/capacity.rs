//! What arms carry, and what an event costs with many connections open.

use super::texts::{Stored, grid};
use crate::documents::ROOT;
use pushbench_analysis::capacity::{ArmCapacity, Capacity, Ending, judge};
use pushbench_analysis::compare::{ArmFigures, Point};
use pushbench_core::capacity::Dimension;
use pushbench_core::scenario::objective::more_is_better;
use pushbench_core::units;
use std::fmt::Write as _;

const SEARCHES: [&str; 3] = ["capacity", "capacity-subscribers", "capacity-article"];

fn search(name: &str) -> Capacity {
    let text = std::fs::read_to_string(format!("{ROOT}/results/{name}/capacity.json")).unwrap();
    judge(&serde_json::from_str(&text).unwrap())
}

/// To three digits.
fn load(value: f64) -> String {
    let unit = 10f64.powf(value.log10().floor() - 2.0);
    format!("{}", ((value / unit).round() * unit).round())
}

/// The three searches in one table, and what they compare.
pub fn searches() -> String {
    let head = ["arm", "objective", "highest", "95 % interval", "limited by", "search"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut text = String::new();
    for name in SEARCHES {
        let found = search(name);
        let record = &found.record;
        let unit = Dimension::named(&record.of).unwrap().unit;
        let sign = |what: &str| if more_is_better(what) { "≥" } else { "≤" };
        let limit = |(what, limit): (&String, &String)| format!("{what} {} {limit}", sign(what));
        let limits: Vec<String> = found.objective.iter().map(limit).collect();
        for (i, arm) in found.arms.iter().enumerate() {
            let took = record.windows.iter().map(|w| w.began_ns).max().unwrap() + record.window_ns;
            let windows = record.windows.len();
            let about = format!(
                "`results/{name}`: {windows} windows of {} in {:.0} s",
                units::nanos_text(record.window_ns as f64),
                took as f64 / 1e9
            );
            let first = |text: String| if i == 0 { text } else { String::new() };
            rows.push(vec![
                format!("`{}`", arm.arm),
                first(limits.join(", ")),
                format!("{} {unit}", highest(arm)),
                interval(arm),
                arm.limited_by.clone().unwrap_or_default(),
                first(about),
            ]);
        }
        for c in &found.comparisons {
            let (Some(ratio), Some((low, high))) = (c.ratio, c.ci95) else { continue };
            if low > 1.0 || high < 1.0 {
                let _ = writeln!(
                    text,
                    "- `{}` carries {ratio:.2} [{low:.2}, {high:.2}] times as much as `{}` (`results/{name}`).",
                    c.candidate, c.baseline
                );
            } else {
                let _ = writeln!(
                    text,
                    "- It cannot be told which of `{}` and `{}` carries more: the ratio is {ratio:.2} [{low:.2}, {high:.2}] (`results/{name}`).",
                    c.candidate, c.baseline
                );
            }
        }
    }
    format!("{}\n{text}", grid(&rows))
}

fn highest(arm: &ArmCapacity) -> String {
    let at_least = if arm.at_least || arm.ending == Ending::AtLeast { "at least " } else { "" };
    format!("{at_least}{}", load(arm.highest.unwrap()))
}

fn interval(arm: &ArmCapacity) -> String {
    match arm.ci95 {
        Some((low, Some(high))) => format!("[{}, {}]", load(low), load(high)),
        _ => "no upper end".to_owned(),
    }
}

/// CPU of an event by the number of open connections, and how far it moves.
pub fn connections(run: &Stored) -> String {
    let points = &run.report.points;
    let count = |point: &Point| point.setting["connections.count"].to_string();
    let mut rows = vec![vec!["connections".to_owned()]];
    rows[0].extend(points[0].arms.iter().map(|arm| format!("`{}`", arm.arm)));
    let both = |arm: &ArmFigures| {
        [arm.target_usage.cpu_ns_per_event, arm.driver_usage.cpu_ns_per_event].map(Option::unwrap)
    };
    for point in points {
        let cells = point.arms.iter().map(|arm| {
            let [target, driver] = both(arm).map(units::nanos_text);
            format!("{target}, {driver}")
        });
        rows.push(std::iter::once(count(point)).chain(cells).collect());
    }
    let moved = |arm: usize| {
        let costs: Vec<f64> = points.iter().map(|p| both(&p.arms[arm])[0]).collect();
        let ratio = costs.last().unwrap() / costs[0];
        format!("`{}` ×{ratio:.2}", points[0].arms[arm].arm)
    };
    let moved: Vec<String> = (0..points[0].arms.len()).map(moved).collect();
    let (first, last) = (count(&points[0]), count(points.last().unwrap()));
    format!(
        "CPU of an event in the target and in the driver ({}). From {first} to {last} connections the target's changes by {}.\n\n{}",
        run.source(),
        moved.join(", "),
        grid(&rows)
    )
}
