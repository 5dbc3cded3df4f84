//! What compression trades: the bytes that an event takes against the CPU that it takes.

use crate::chart::look::looks;
use crate::chart::plot::{Axis, Plot};
use crate::chart::scale::{Scale, bytes_tick, time_tick};
use crate::chart::{Chart, Kind};
use crate::conditions::cpu_design;
use crate::visible::visible;
use pushbench_analysis::compare::charts::{Page, Traded};
use pushbench_core::units;

/// Height of the drawing.
const HEIGHT: f64 = 240.0;
/// Half the width of the ends of an interval.
const END: f64 = 4.0;

/// A mark for each arm of a point in which some are compressed.
pub(super) fn of_point(page: &Page, index: usize) -> Option<Chart> {
    let point = &page.report.points[index];
    let traded = &page.evidence[index].traded;
    let looks = looks(&point.arms);
    let marks = || looks.iter().zip(traded).filter_map(|(look, t)| Some((look, t.as_ref()?)));
    marks().next()?;
    let ends = |t: &Traded| t.interval.into_iter().flatten().chain([t.cpu_ns]).collect::<Vec<_>>();
    let mut plot = Plot::new(HEIGHT, &looks);
    let x = Scale::log(marks().map(|(_, t)| t.bytes), plot.x);
    let y = Scale::from_zero(marks().flat_map(|(_, t)| ends(t)), plot.y);
    plot.y_axis(&Axis { scale: y, name: "CPU per event", tick: time_tick, ticks: 5 });
    plot.x_axis(&Axis { scale: x, name: "bytes per event", tick: bytes_tick, ticks: 5 });
    let words = |t: &Traded| [units::bytes(t.bytes), units::nanos_text(t.cpu_ns)];
    for (look, t) in marks() {
        let at = (x.place(t.bytes), y.place(t.cpu_ns));
        plot.svg.begin(&look.classes());
        if let Some(interval) = t.interval {
            let [low, high] = interval.map(|cpu| y.place(cpu));
            plot.svg.line("l", (at.0, low), (at.0, high));
            for end in [low, high] {
                plot.svg.line("l", (at.0 - END, end), (at.0 + END, end));
            }
        }
        plot.svg.mark(look, at, Some(&words(t).join(", ")));
        plot.svg.end();
    }
    let how = cpu_design([point]).map_or(String::new(), |how| format!(" {how}."));
    let about = format!(
        "To the left: fewer bytes. Down: less CPU, of target and driver together. TCP payload bytes in both directions. The lines are 95 % intervals.{how}"
    );
    let rows = marks().map(|(look, t)| {
        let [bytes, cpu] = words(t);
        vec![visible(&look.name), bytes, cpu]
    });
    let heading = ["arm", "bytes per event", "CPU per event"].map(str::to_owned).to_vec();
    let title = "Bytes against CPU per event".to_owned();
    let chart = Chart::of("bytes-cpu", Kind::Resources, title, about, plot);
    Some(chart.with(std::iter::once(heading).chain(rows).collect()))
}
