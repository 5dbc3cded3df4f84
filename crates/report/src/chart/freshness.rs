//! The age of the newest event that receivers have, over time, with the planned fault: how far behind they fell, and when all
//! was well again.

use crate::chart::look::{Look, looks};
use crate::chart::plot::{Axis, Plot};
use crate::chart::scale::{Kind as Spread, Scale, short, time_tick};
use crate::chart::svg::Anchor;
use crate::chart::{Chart, Kind};
use pushbench_analysis::compare::charts::Page;
use pushbench_analysis::compare::guarantee::FaultFigures;
use pushbench_analysis::compare::{ArmFigures, GuaranteeFigures};
use pushbench_core::record::guarantee::Freshness;
use pushbench_core::scenario::Faults;
use pushbench_core::units;

/// Height of the drawing.
const HEIGHT: f64 = 240.0;
/// Marks of an arm, so that lines are told apart by more than colour.
const MARKS: usize = 10;
/// Rows of the table.
const ROWS: usize = 40;

/// A line an arm; none where no arm has one.
pub(super) fn of_point(page: &Page, index: usize) -> Option<Chart> {
    let point = &page.report.points[index];
    let looks = looks(&point.arms);
    let lines: Vec<(&Look, &GuaranteeFigures)> =
        looks.iter().filter_map(|look| Some((look, of_arm(&point.arms[look.arm])?))).collect();
    let fault = lines.iter().find_map(|(_, g)| g.fault)?;
    let mut plot = Plot::new(HEIGHT, &looks);
    let all = || lines.iter().flat_map(|(_, g)| &g.freshness);
    let end = all().map(seconds).fold(0.0, f64::max);
    let x = Scale::of(Spread::Linear, (0.0, end), plot.x);
    let y = Scale::from_zero(all().map(|f| ns(f.oldest_us)), plot.y);
    mark_fault(&mut plot, &x, &fault, &point.design.faults);
    plot.y_axis(&Axis { scale: y, name: "age of the newest event", tick: time_tick, ticks: 5 });
    let name = "seconds after the measured window began";
    plot.x_axis(&Axis { scale: x, name, tick: |s| format!("{} s", short(s)), ticks: 6 });
    for (look, g) in lines.iter().rev() {
        let along = |of: fn(&Freshness) -> u32| -> Vec<(f64, f64)> {
            g.freshness.iter().map(|f| (x.place(seconds(f)), y.place(ns(of(f))))).collect()
        };
        let median = along(|f| f.median_us);
        plot.svg.begin(&look.classes());
        plot.svg.band("b", &along(|f| f.oldest_us), &median);
        plot.svg.polyline(&look.line(), &median);
        let every = g.freshness.len().div_ceil(MARKS).max(1);
        // Not at the same instants: lines may lie on each other.
        let first = look.arm * every / looks.len();
        for (f, at) in g.freshness.iter().zip(&median).skip(first).step_by(every) {
            let [median, oldest] = [f.median_us, f.oldest_us].map(|us| units::nanos_text(ns(us)));
            let tip = format!("{:.1} s: {median}, furthest behind {oldest}", seconds(f));
            plot.svg.small_mark(look, *at, &tip);
        }
        plot.svg.end();
    }
    let about = "How old the newest event is that receivers have: low is good. Lines are the median over receivers, areas reach to the receiver that is furthest behind; medians over blocks. The shaded area, or the dotted line, is the planned fault.";
    let title = "How far behind receivers were".to_owned();
    let chart = Chart::of("freshness", Kind::Freshness, title, about.to_owned(), plot);
    Some(chart.with(table(&lines)))
}

fn of_arm(arm: &ArmFigures) -> Option<&GuaranteeFigures> {
    arm.guarantee.as_ref().filter(|g| g.freshness.len() > 1 && g.fault.is_some())
}

/// An area of a fault that lasts, a line of an instant.
fn mark_fault(plot: &mut Plot, x: &Scale, fault: &FaultFigures, planned: &Faults) {
    let (from, to) = (fault.at_ns as f64 / 1e9, (fault.at_ns + fault.ns) as f64 / 1e9);
    let name = match (planned.kill, planned.cut, planned.outage.is_zero()) {
        (true, ..) => "target killed",
        (_, true, _) => "connections reset",
        (_, _, false) => "receivers down",
        _ => "fault",
    };
    let (left, right) = (x.place(from), x.place(to));
    if fault.ns > 0 {
        plot.svg.rect("region", (left, right), plot.y, None);
    }
    plot.svg.line("one", (left, plot.y.0), (left, plot.y.1));
    plot.svg.text("k", (left + 4.0, plot.y.1 + 11.0), Anchor::Start, name);
}

fn seconds(f: &Freshness) -> f64 {
    f64::from(f.at_ms) / 1e3
}

fn ns(us: u32) -> f64 {
    f64::from(us) * 1e3
}

/// A row an instant, at most [`ROWS`] of them.
fn table(lines: &[(&Look, &GuaranteeFigures)]) -> Vec<Vec<String>> {
    let Some((_, longest)) = lines.iter().max_by_key(|(_, g)| g.freshness.len()) else {
        return Vec::new();
    };
    let mut head = vec!["after".to_owned()];
    for (look, _) in lines {
        head.extend([format!("{} median", look.name), format!("{} furthest behind", look.name)]);
    }
    let every = longest.freshness.len().div_ceil(ROWS).max(1);
    let row = |at: &Freshness| {
        let mut row = vec![format!("{:.1} s", seconds(at))];
        for (_, g) in lines {
            let found = g.freshness.iter().find(|f| f.at_ms == at.at_ms);
            let cell =
                |us: Option<u32>| us.map_or("–".to_owned(), |us| units::nanos_text(ns(us)));
            row.extend([cell(found.map(|f| f.median_us)), cell(found.map(|f| f.oldest_us))]);
        }
        row
    };
    std::iter::once(head).chain(longest.freshness.iter().step_by(every).map(row)).collect()
}
