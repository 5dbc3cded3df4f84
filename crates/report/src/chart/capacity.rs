//! The windows of a search by their load: the figure against its limit, and the probability that a window holds.

use crate::capacity::{load, unit};
use crate::chart::look::{Look, of_names};
use crate::chart::plot::{Axis, Plot};
use crate::chart::scale::{Kind as Spread, Scale, short, time_tick};
use crate::chart::svg::Anchor;
use crate::chart::{Chart, Kind};
use pushbench_analysis::capacity::{ArmCapacity, Capacity, CurvePoint, value_text};
use pushbench_core::capacity::Window;
use pushbench_core::scenario::objective;

/// Height of a panel.
const HEIGHT: f64 = 230.0;
/// Windows beyond this multiple of a limit are drawn at it.
const BEYOND: f64 = 8.0;

/// The chart; none where no window was measured.
pub(crate) fn of_search(capacity: &Capacity) -> Option<Chart> {
    let record = &capacity.record;
    let looks = of_names(&record.arms);
    let near = near(capacity);
    let shown: Vec<&Window> = record
        .windows
        .iter()
        .filter(|w| w.void.is_none() && near.0 <= w.load && w.load <= near.1)
        .collect();
    let line = record.scenario.objective.iter().position(|line| objective::is_latency(&line.what));
    let mut plot = Plot::new(HEIGHT, &looks);
    if shown.is_empty() {
        return None;
    }
    let x = Scale::log([near.0, near.1], plot.x);
    let x_axis = Axis { scale: x, name: unit(capacity), tick: short, ticks: 6 };
    if let Some(index) = line {
        let limit = record.scenario.objective[index].limit;
        let value = |w: &Window| w.values[index].unwrap_or(f64::INFINITY).min(limit * BEYOND);
        let y = Scale::log(shown.iter().map(|w| value(w)).chain([limit]), plot.y);
        let name = record.scenario.objective[index].what.clone();
        plot.y_axis(&Axis { scale: y, name: &name, tick: time_tick, ticks: 5 });
        plot.svg.line("one", (plot.x.0, y.place(limit)), (plot.x.1, y.place(limit)));
        plot.svg.text(
            "k",
            (plot.x.0 + 4.0, y.place(limit) - 4.0),
            Anchor::Start,
            &format!("limit {}", value_text(&name, limit)),
        );
        for look in &looks {
            plot.svg.begin(&look.classes());
            for w in shown.iter().filter(|w| w.arm == look.arm) {
                let text = w.values[index]
                    .map_or("no answer to enough of the events".to_owned(), |v| {
                        value_text(&name, v)
                    });
                plot.svg.small_mark(
                    look,
                    (x.place(w.load), y.place(value(w))),
                    &format!("{}: {text}", load(w.load)),
                );
            }
            plot.svg.end();
        }
        plot.next_panel(HEIGHT);
    }
    let y = Scale::of(Spread::Linear, (0.0, 1.0), plot.y);
    plot.y_axis(&Axis {
        scale: y,
        name: "probability that a window holds",
        tick: |p| format!("{:.0} %", p * 100.0),
        ticks: 5,
    });
    plot.x_axis(&x_axis);
    plot.svg.line("one", (plot.x.0, y.place(capacity.holds)), (plot.x.1, y.place(capacity.holds)));
    for look in &looks {
        let arm = &capacity.arms[look.arm];
        plot.svg.begin(&look.classes());
        curve(&mut plot, look, arm, (&x, &y), near);
        plot.svg.end();
    }
    let about = "Above: each window at its load, with the limit as a line; what lies far beyond it is drawn at its edge. Below: the \
                 probability that a window holds, with its 95 % interval; the capacity is where it is 90 %.";
    Some(
        Chart::of(
            "capacity",
            Kind::Sweep,
            "Windows around the capacity".to_owned(),
            about.to_owned(),
            plot,
        )
        .with(table(capacity)),
    )
}

/// The curves as rows; the windows have a table of their own.
fn table(capacity: &Capacity) -> Vec<Vec<String>> {
    let head = ["arm", &capacity.record.of, "windows that hold [95 %]"].map(str::to_owned).to_vec();
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let row = |arm: &ArmCapacity, p: &CurvePoint| {
        let holds = &p.holds;
        let interval = format!("[{}, {}]", percent(holds.low), percent(holds.high));
        vec![arm.arm.clone(), load(p.load), format!("{} {interval}", percent(holds.estimate))]
    };
    let rows = capacity.arms.iter().flat_map(|arm| arm.curve.iter().map(move |p| row(arm, p)));
    std::iter::once(head).chain(rows).collect()
}

fn curve(
    plot: &mut Plot,
    look: &Look,
    arm: &ArmCapacity,
    (x, y): (&Scale, &Scale),
    near: (f64, f64),
) {
    let points = || arm.curve.iter().filter(|p| near.0 <= p.load && p.load <= near.1);
    let along = |of: fn(&pushbench_analysis::stats::Interval) -> f64| -> Vec<(f64, f64)> {
        points().map(|p| (x.place(p.load), y.place(of(&p.holds)))).collect()
    };
    plot.svg.band("b", &along(|p| p.high), &along(|p| p.low));
    plot.svg.polyline(&look.line(), &along(|p| p.estimate));
    let every = points().count().div_ceil(8).max(1);
    for (p, at) in points().zip(along(|p| p.estimate)).skip(look.arm).step_by(every) {
        let tip = format!(
            "{}: {:.0} % [{:.0}, {:.0}]",
            load(p.load),
            p.holds.estimate * 100.0,
            p.holds.low * 100.0,
            p.holds.high * 100.0
        );
        plot.svg.small_mark(look, at, &tip);
    }
}

/// The loads that are drawn: those around the capacities.
fn near(capacity: &Capacity) -> (f64, f64) {
    let loads = || capacity.record.windows.iter().filter(|w| w.void.is_none()).map(|w| w.load);
    let (lowest, highest) = (loads().fold(f64::INFINITY, f64::min), loads().fold(0.0, f64::max));
    let known = || capacity.arms.iter().filter_map(|arm| Some((arm.highest?, arm.ci95?)));
    let low = known().map(|(_, (low, _))| low / 2.5).fold(f64::INFINITY, f64::min);
    let high = known().map(|(at, (_, high))| high.unwrap_or(at) * 2.0).fold(0.0, f64::max);
    let low = if low.is_finite() { low.max(lowest) } else { lowest };
    let high = if high > 0.0 { high.min(highest) } else { highest };
    if low < high { (low, high) } else { (lowest * 0.9, highest * 1.1) }
}
