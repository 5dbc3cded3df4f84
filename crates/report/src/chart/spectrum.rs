//! Percentiles of the arms on an axis that counts nines, each with the interval of a block's own.

use crate::chart::look::{Look, looks};
use crate::chart::plot::{Axis, Plot};
use crate::chart::scale::{Kind as Spread, Scale, time_tick};
use crate::chart::words::words;
use crate::chart::{Chart, Kind};
use crate::table::{NONE, time};
use pushbench_analysis::compare::charts::Page;
use pushbench_analysis::compare::charts::spectrum::{At, FIRST, Spectrum};
use pushbench_core::units;

/// Height of the drawing.
const HEIGHT: f64 = 270.0;
/// The named percentiles of the axis and the table.
const NAMES: [(f64, &str); 6] = [
    (std::f64::consts::LOG10_2, "p50"),
    (1.0, "p90"),
    (2.0, "p99"),
    (3.0, "p99.9"),
    (4.0, "p99.99"),
    (5.0, "p99.999"),
];

/// The chart of a point; none where no arm has a curve.
pub(crate) fn of_point(page: &Page, index: usize) -> Option<Chart> {
    let point = &page.report.points[index];
    let spectra = &page.evidence[index].spectra;
    let looks = looks(&point.arms);
    let drawn: Vec<(&Look, &Spectrum)> =
        looks.iter().zip(spectra).filter(|(_, s)| s.points.len() > 1).collect();
    if drawn.is_empty() {
        return None;
    }
    let legend: Vec<Look> = drawn.iter().map(|(look, _)| (*look).clone()).collect();
    let mut plot = Plot::new(HEIGHT, &legend);
    let all = || drawn.iter().flat_map(|(_, s)| &s.points);
    let last = all().map(|p| p.nines).fold(1.0, f64::max);
    let x = Scale::of(Spread::Linear, (-(1.0 - FIRST).log10(), last), plot.x);
    let bands = all().filter_map(|p| p.band).flatten();
    let y = Scale::log(all().map(|p| p.ns as f64).chain(bands), plot.y);
    let words = words(point);
    plot.y_axis(&Axis { scale: y, name: words.time, tick: time_tick, ticks: 6 });
    let marks: Vec<(f64, String)> = NAMES
        .iter()
        .filter(|(nines, _)| *nines <= last + 1e-9)
        .map(|(nines, name)| (x.place(*nines), (*name).to_owned()))
        .collect();
    plot.x_marks(&marks, "percentile (one more nine per step)");
    for (look, spectrum) in &drawn {
        curve(&mut plot, look, &spectrum.points, x, y);
    }
    let about = format!(
        "Line: the {} of all valid blocks together, from p10 on. Band: the mean of the blocks' own percentiles with its 95 % interval, as far as each block supports it; the line leaves the band where a few blocks hold most of the tail. A curve ends where fewer than 10 samples, or fewer than 3 separate stalls, lie beyond.",
        words.times
    );
    let title = format!("Latency distribution: {} by percentile", words.time);
    Some(Chart::of("spectrum", Kind::Spectrum, title, about, plot).with(table(&drawn)))
}

fn curve(plot: &mut Plot, look: &Look, points: &[At], x: Scale, y: Scale) {
    let at = |p: &At| (x.place(p.nines), y.place(p.ns as f64));
    let banded: Vec<(&At, [f64; 2])> = points.iter().filter_map(|p| Some((p, p.band?))).collect();
    let edge = |side: usize| -> Vec<(f64, f64)> {
        banded.iter().map(|(p, band)| (x.place(p.nines), y.place(band[side]))).collect()
    };
    plot.svg.begin(&look.classes());
    plot.svg.band("b", &edge(1), &edge(0));
    let line: Vec<(f64, f64)> = points.iter().map(at).collect();
    plot.svg.polyline(&look.line(), &line);
    for p in points {
        match p.name {
            Some(name) => plot.svg.mark(look, at(p), Some(&tip(name, p))),
            None => {
                let percent = 100.0 * (1.0 - 10f64.powf(-p.nines));
                let decimals = p.nines.floor().max(1.0) as usize;
                plot.svg.hint(at(p), &tip(&format!("p{percent:.decimals$}"), p));
            }
        }
    }
    plot.svg.end();
}

fn tip(name: &str, p: &At) -> String {
    format!("{name} {}{}", units::nanos_text(p.ns as f64), band(p))
}

fn band(p: &At) -> String {
    p.band.map_or(String::new(), |[low, high]| {
        format!(" [{}, {}]", units::nanos_text(low), units::nanos_text(high))
    })
}

fn table(drawn: &[(&Look, &Spectrum)]) -> Vec<Vec<String>> {
    let mut head = vec!["percentile".to_owned()];
    head.extend(drawn.iter().map(|(look, _)| format!("{} [95 % of the blocks' own]", look.name)));
    let mut grid = vec![head];
    for (_, name) in &NAMES {
        let of = |s: &Spectrum| s.points.iter().find(|p| p.name == Some(name)).cloned();
        if drawn.iter().any(|(_, s)| of(s).is_some()) {
            let cell = |s: &Spectrum| {
                of(s).map_or(NONE.to_owned(), |p| format!("{}{}", time(Some(p.ns)), band(&p)))
            };
            let mut row = vec![(*name).to_owned()];
            row.extend(drawn.iter().map(|(_, s)| cell(s)));
            grid.push(row);
        }
    }
    let mut samples = vec!["samples".to_owned()];
    samples.extend(drawn.iter().map(|(_, s)| units::count(s.count as f64)));
    grid.push(samples);
    grid
}
