//! Time against latency: where an arm's events lie, second by second.

use crate::chart::look::{Look, looks};
use crate::chart::plot::{Axis, Plot};
use crate::chart::scale::{Kind as Spread, Scale, short, time_tick};
use crate::chart::svg::num;
use crate::chart::words::{Words, words};
use crate::chart::{Chart, Kind};
use crate::visible::{shorten, visible};
use pushbench_analysis::compare::charts::Page;
use pushbench_analysis::compare::charts::heat::{Heat, LEVELS};
use pushbench_core::scenario::Flow;
use std::fmt::Write as _;

/// Height of the drawing.
const HEIGHT: f64 = 190.0;

/// A chart an arm.
pub(crate) fn of_point(page: &Page, index: usize) -> Vec<Chart> {
    let point = &page.report.points[index];
    if point.design.flow == Flow::Idle {
        return Vec::new();
    }
    let (looks, words) = (looks(&point.arms), words(point));
    let chart = |heat: &Heat| draw(heat, &looks[heat.arm], &words);
    page.evidence[index].heat.iter().map(chart).collect()
}

fn draw(heat: &Heat, look: &Look, words: &Words) -> Chart {
    let mut plot = Plot::new(HEIGHT, std::slice::from_ref(look));
    let highest = heat.lowest_ns * heat.row_ratio.powi(heat.rows as i32);
    let y = Scale::of(Spread::Log, (heat.lowest_ns, highest), plot.y);
    let end = heat.columns as f64 * heat.column_s;
    let x = Scale::of(Spread::Linear, (0.0, end), plot.x);
    let name = format!("time of {}", words.answer);
    plot.y_axis(&Axis { scale: y, name: &name, tick: time_tick, ticks: 5 });
    let tick = |v: f64| format!("{} s", short(v));
    plot.x_axis(&Axis { scale: x, name: "seconds of measuring", tick, ticks: 6 });
    plot.svg.begin(&format!("heat {}", look.classes()));
    for level in 0..LEVELS.len() {
        plot.svg.path(&format!("q{level}"), &cells(heat, level, x, y));
    }
    plot.svg.end();
    let about = format!(
        "Each column is {} of time, each row an eighth of a decade of latency; the darker, the larger the share of the column's events ({}).",
        if heat.column_s > 1.0 { format!("{:.0} s", heat.column_s) } else { "a second".to_owned() },
        LEVELS[1..]
            .iter()
            .map(|l| format!("{} %", short(l * 100.0)))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let title = format!("Time × latency: {}", shorten(&visible(&look.name), 40));
    Chart::of(&format!("heat-{}", look.arm + 1), Kind::Time, title, about, plot)
        .with_data(data(heat))
}

/// A row for each column of the map: when it begins, and for each latency the share of its events from which the level
/// is that is drawn. Empty without events.
fn data(heat: &Heat) -> String {
    let edge = |row: usize| heat.lowest_ns * heat.row_ratio.powi(row as i32);
    let mut csv = "from (s)".to_owned();
    for row in 0..heat.rows {
        let _ = write!(csv, ",from {:.0} ns (share)", edge(row));
    }
    for column in 0..heat.columns {
        let _ = write!(csv, "\n{}", column as f64 * heat.column_s);
        for row in 0..heat.rows {
            let cell = heat.cells.iter().find(|c| c.column == column && c.row == row);
            let _ = write!(csv, ",{}", cell.map_or(String::new(), |c| LEVELS[c.level].to_string()));
        }
    }
    csv
}

/// The outline of every cell of a level; neighbours in a column are one.
fn cells(heat: &Heat, level: usize, x: Scale, y: Scale) -> String {
    let mut d = String::new();
    let mut mine = heat.cells.iter().filter(|c| c.level == level).peekable();
    while let Some(first) = mine.next() {
        let mut last = first.row;
        while mine.next_if(|c| c.column == first.column && c.row == last + 1).is_some() {
            last += 1;
        }
        let side = |column: usize| x.place(column as f64 * heat.column_s);
        let edge = |row: usize| y.place(heat.lowest_ns * heat.row_ratio.powi(row as i32));
        let (left, right) = (side(first.column), side(first.column + 1));
        let (top, bottom) = (edge(last + 1), edge(first.row));
        let (wide, high) = (num(right - left), num(bottom - top));
        let _ = write!(d, "M{} {}h{wide}v{high}h-{wide}z", num(left), num(top));
    }
    d
}
