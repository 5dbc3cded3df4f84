//! A metric over runs that may be compared: each arm with its interval, and below it the ratios.

use crate::chart::look::{Look, of_names};
use crate::chart::plot::{Axis, Plot};
use crate::chart::scale::{Kind as Spread, Scale, short};
use crate::chart::{Chart, Kind, writer};
use crate::table::metric_name;
use crate::visible::{shorten, visible};
use pushbench_analysis::compare::history::{Curve, History, Line, Subject};
use pushbench_analysis::compare::runs::Value;

/// Heights of the arms' panel and of the ratios'.
const HEIGHTS: [f64; 2] = [200.0, 130.0];
/// An axis is at least this wide, as a ratio of its ends.
const NARROWEST: f64 = 1.1;
/// Dates below the axis.
const DATES: usize = 4;
/// Between the outermost marks and the edges of the drawing.
const EDGE: f64 = 14.0;
/// The intervals of more runs than this are a band.
const MANY: usize = 60;
/// Letters of an arm's name above the ratios.
const NAME: usize = 30;

/// A run of the history: its name and when it began.
pub(crate) type Named<'a> = (&'a str, &'a str);

/// The chart of a line; none without a figure. `name`: unique on the page; `runs`: beside those of the history.
pub(crate) fn of_line(
    name: &str,
    history: &History,
    line: &Line,
    runs: &[Named<'_>],
) -> Option<Chart> {
    let arms: Vec<String> = line.curves.iter().filter_map(|c| arm(&c.of)).collect();
    let looks = of_names(&arms);
    let (above, below): (Vec<&Curve>, Vec<&Curve>) =
        line.curves.iter().partition(|c| matches!(c.of, Subject::Arm(_)));
    let mut plot = Plot::new(HEIGHTS[0], &looks);
    let metric = metric_name(line.flow, line.metric);
    let inner = (plot.x.0 + EDGE, plot.x.1 - EDGE);
    let (first, last) = (history.began_s.first()?, history.began_s.last()?);
    // Runs of one second stand on each other.
    let x = Scale::of(Spread::Linear, (*first, last.max(first + 1.0)), inner);
    let (tick, text) = writer(line.metric);
    let y = axis(&above, plot.y)?;
    plot.y_axis(&Axis { scale: y, name: metric, tick, ticks: 5 });
    for (curve, look) in above.iter().zip(&looks) {
        series(&mut plot, curve, look, (history, x, y), &|value| written(value, text), runs);
    }
    if let Some(ratios) = axis(&below, (0.0, 1.0)) {
        plot.next_panel(HEIGHTS[1]);
        let y = Scale { range: plot.y, ..ratios };
        let baseline = visible(arms.first().map_or("", String::as_str));
        let name = format!("÷ {}", shorten(&baseline, NAME));
        plot.y_axis(&Axis { scale: y, name: &name, tick: |v| format!("×{}", short(v)), ticks: 4 });
        plot.svg.line("one", (plot.x.0, y.place(1.0)), (plot.x.1, y.place(1.0)));
        for curve in &below {
            let Subject::Ratio { candidate, .. } = &curve.of else { continue };
            let Some(look) = looks.iter().find(|look| look.name == *candidate) else { continue };
            let text = |value| written(value, |v| format!("×{}", short(v)));
            series(&mut plot, curve, look, (history, x, y), &text, runs);
        }
    }
    plot.x_marks(&dates(history, x, runs), "when the run began, UTC");
    let setting = crate::table::keys(&line.setting);
    let title = match setting.is_empty() {
        true => metric.to_owned(),
        false => format!("{metric} at {setting}"),
    };
    let ratios = if below.is_empty() { "" } else { " Below: the ratio to the first arm." };
    let about = format!(
        "Each mark is a run, with the 95 % interval of its mean over blocks.{ratios} Runs made at different times were not measured under the same machine conditions: ratios repeat better than times."
    );
    let chart = Chart::of(name, Kind::Time, title, about, plot);
    Some(chart.with(table(line, runs, text)))
}

fn arm(of: &Subject) -> Option<String> {
    match of {
        Subject::Arm(arm) => Some(arm.clone()),
        Subject::Ratio { .. } => None,
    }
}

/// A logarithmic axis just around the values and their intervals; a linear one where some are not above 0.
fn axis(curves: &[&Curve], range: (f64, f64)) -> Option<Scale> {
    let values = || curves.iter().flat_map(|c| c.values.iter().flatten());
    let ends =
        || values().flat_map(|v| std::iter::once(v.estimate).chain(v.ci95.into_iter().flatten()));
    let low = ends().reduce(f64::min)?;
    let high = ends().reduce(f64::max)?;
    if low <= 0.0 {
        return Some(Scale::from_zero([high], range));
    }
    let middle = (low * high).sqrt();
    let (low, high) = (low.min(middle / NARROWEST.sqrt()), high.max(middle * NARROWEST.sqrt()));
    let room = (high / low).powf(0.06);
    Some(Scale::of(Spread::Log, (low / room, high * room), range))
}

type Place<'a> = (&'a History, Scale, Scale);

fn series(
    plot: &mut Plot,
    curve: &Curve,
    look: &Look,
    (history, x, y): Place<'_>,
    text: &dyn Fn(Value) -> String,
    runs: &[Named<'_>],
) {
    let of = match &curve.of {
        Subject::Arm(arm) => arm.clone(),
        Subject::Ratio { candidate, baseline } => format!("{candidate} ÷ {baseline}"),
    };
    let places = history.began_s.iter().map(|at| x.place(*at));
    let found: Vec<(f64, Value, &Named<'_>)> = places
        .zip(&curve.values)
        .zip(runs)
        .filter_map(|((x, value), run)| Some((x, (*value)?, run)))
        .collect();
    plot.svg.begin(&look.classes());
    let line: Vec<(f64, f64)> = found.iter().map(|(x, v, _)| (*x, y.place(v.estimate))).collect();
    let many = found.len() > MANY;
    if many {
        let ends = || found.iter().filter_map(|(x, v, _)| Some((*x, v.ci95?)));
        let along = |end: usize| ends().map(|(x, ci)| (x, y.place(ci[end]))).collect::<Vec<_>>();
        plot.svg.band("b", &along(1), &along(0));
    }
    plot.svg.polyline(&look.line(), &line);
    for (x, value, (name, began)) in found {
        if let Some([low, high]) = value.ci95.filter(|_| !many) {
            plot.svg.line("ci", (x, y.place(low)), (x, y.place(high)));
        }
        let tip = format!("{of}: {} ({name}, {})", text(value), minute(began));
        plot.svg.small_mark(look, (x, y.place(value.estimate)), &tip);
    }
    plot.svg.end();
}

fn written(value: Value, text: impl Fn(f64) -> String) -> String {
    match value.ci95 {
        None => text(value.estimate),
        Some([low, high]) => format!("{} [{}, {}]", text(value.estimate), text(low), text(high)),
    }
}

/// `2026-11-24 10:52` of an instant.
fn minute(instant: &str) -> String {
    instant.get(..16).unwrap_or(instant).replace('T', " ")
}

/// Dates of some runs; times of day where all are of one day.
fn dates(history: &History, x: Scale, runs: &[Named<'_>]) -> Vec<(f64, String)> {
    let day = |instant: &str| instant.get(..10).unwrap_or(instant).to_owned();
    let same = runs.iter().all(|(_, began)| day(began) == day(runs[0].1));
    let word = |began: &str| match same {
        true => began.get(11..16).unwrap_or(began).to_owned(),
        false => day(began),
    };
    let every = runs.len().div_ceil(DATES).max(1);
    let named = history.began_s.iter().zip(runs).step_by(every);
    named.map(|(at, (_, began))| (x.place(*at), word(began))).collect()
}

fn table(line: &Line, runs: &[Named<'_>], text: fn(f64) -> String) -> Vec<Vec<String>> {
    let head = line.curves.iter().map(|c| match &c.of {
        Subject::Arm(arm) => format!("{arm} [95 %]"),
        Subject::Ratio { candidate, baseline } => format!("{candidate} ÷ {baseline} [95 %]"),
    });
    let head = ["run", "began"].map(str::to_owned).into_iter().chain(head).collect();
    let row = |(index, (name, began)): (usize, &Named<'_>)| {
        let mut row = vec![(*name).to_owned(), minute(began)];
        row.extend(line.curves.iter().map(|c| match (c.values[index], &c.of) {
            (None, _) => "–".to_owned(),
            (Some(value), Subject::Arm(_)) => written(value, text),
            (Some(value), Subject::Ratio { .. }) => written(value, |v| format!("×{v:.3}")),
        }));
        row
    };
    std::iter::once(head).chain(runs.iter().enumerate().map(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_analysis::compare::history::{Measured, histories};
    use pushbench_analysis::compare::sample;

    #[test]
    fn a_run_is_a_mark_of_each_arm_and_of_their_ratio() {
        let runs: Vec<Measured> = (1..=3)
            .map(|day| {
                let mut run = sample::ratios(0.8, 0.5);
                run.header.started = format!("2026-01-{day:02}T10:30:00Z");
                Measured::of(&run)
            })
            .collect();
        let history = &histories(&runs.iter().collect::<Vec<_>>())[0];
        let named: Vec<Named<'_>> =
            runs.iter().map(|r| ("<i>\u{202e}", r.header.started.as_str())).collect();
        let line = history.lines.iter().find(|l| l.metric == "response.p50").unwrap();
        let chart = of_line("history", history, line, &named).unwrap();
        let file = chart.file();
        let tree = roxmltree::Document::parse(&file).unwrap();
        let of = |class: &str| {
            tree.descendants().filter(|n| n.attribute("class") == Some(class)).count()
        };
        // Two arms and the ratio, three runs; the legend has a mark for each arm.
        assert_eq!((of("m"), of("ci")), (2 + 9, 9), "{file}");
        assert!(file.contains("2026-01-01") && !file.contains("NaN"), "{file}");
        assert!(file.contains("(&lt;i&gt;[U+202E], 2026-01-03 10:30)"), "{file}");
        assert_eq!((chart.table.len(), chart.table[0].len()), (4, 5));
        assert!(chart.table[1][4].starts_with("×0.8"), "{:?}", chart.table);
    }

    #[test]
    fn the_intervals_of_many_runs_are_a_band() {
        let one = Measured::of(&sample::ratios(0.8, 0.5));
        let runs: Vec<Measured> = (0..=MANY)
            .map(|minute| {
                let mut run = one.clone();
                run.header.started =
                    format!("2026-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60);
                run
            })
            .collect();
        let history = &histories(&runs.iter().collect::<Vec<_>>())[0];
        let named: Vec<Named<'_>> = runs.iter().map(|r| ("x", r.header.started.as_str())).collect();
        let file = of_line("history", history, &history.lines[0], &named).unwrap().file();
        let of = |class: &str| file.matches(&format!("class=\"{class}\"")).count();
        assert_eq!((of("b"), of("ci")), (3, 0));
        assert!(file.contains(">00:16<"), "times of one day: {file}");
    }
}
