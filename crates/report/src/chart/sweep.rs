//! Figures along a swept key, or along the steps of a ramp: where arms stop keeping up, where they
//! change places.

use crate::chart::look::{Look, looks};
use crate::chart::plot::{Axis, Plot};
use crate::chart::scale::{Kind as Spread, Scale, rate_tick, time_tick};
use crate::chart::svg::{Anchor, num};
use crate::chart::{Chart, Kind, writer};
use crate::conditions::cpu_design;
use crate::table;
use crate::table::metric_name;
use crate::visible::{shorten, visible};
use pushbench_analysis::compare::charts::Page;
use pushbench_analysis::compare::charts::sweep::{Crossing, Curve, Group, Knee, Mark, Sweep};
use pushbench_core::record::metrics::{self, Family};
use pushbench_core::scenario::Flow;
use pushbench_core::units;

/// Height of the drawing.
const HEIGHT: f64 = 240.0;

/// A chart a metric and setting of the other keys.
pub fn of_run(page: &Page) -> Vec<Chart> {
    let (Some(sweep), Some(first)) = (&page.sweep, page.report.points.first()) else {
        return Vec::new();
    };
    let flow = first.design.flow;
    let mut charts = Vec::new();
    for (number, group) in sweep.groups.iter().enumerate() {
        let looks = looks(&group.arms);
        for curve in &group.curves {
            let lane = Lane { page, sweep, group, looks: &looks, number, flow };
            charts.extend(lane.chart(curve));
        }
    }
    charts
}

struct Lane<'a> {
    page: &'a Page,
    sweep: &'a Sweep,
    group: &'a Group,
    looks: &'a [Look],
    number: usize,
    flow: Flow,
}

fn is_cpu(metric: &str) -> bool {
    metrics::named(metric).is_some_and(|m| m.family == Family::Cpu)
}

impl Lane<'_> {
    fn chart(&self, curve: &Curve) -> Option<Chart> {
        let figures = || {
            curve.arms.iter().flatten().flat_map(|m| match m {
                Mark::Figure { value, interval } => {
                    std::iter::once(*value).chain(interval.iter().flatten().copied()).collect()
                }
                _ => Vec::new(),
            })
        };
        figures().next()?;
        let mut plot = Plot::new(HEIGHT, self.looks);
        let y = Scale::log(figures(), plot.y);
        let places = self.places(&plot);
        let (tick, _) = writer(curve.metric);
        for knee in &self.group.knees {
            self.knee(&mut plot, knee, &places);
        }
        let name = metric_name(self.flow, curve.metric);
        plot.y_axis(&Axis { scale: y, name, tick, ticks: 6 });
        let marks: Vec<(f64, String)> =
            places.iter().zip(&self.sweep.places).map(|(x, p)| (*x, p.label.clone())).collect();
        let log = if self.sweep.numeric { " (log scale)" } else { "" };
        plot.x_marks(&marks, &format!("{}{log}", visible(&self.sweep.key)));
        for (look, marks) in self.looks.iter().zip(&curve.arms) {
            series(&mut plot, look, marks, curve.metric, &places, y);
        }
        for crossing in &curve.crossings {
            self.crossing(&mut plot, crossing, &places);
        }
        let mut name = format!("sweep-{}", curve.metric.replace(['.', '_'], "-"));
        if self.number > 0 {
            name.push_str(&format!("-group{}", self.number + 1));
        }
        let chart = Chart::of(&name, Kind::Sweep, self.title(curve), self.about(curve), plot);
        Some(chart.with(self.table(curve)))
    }

    /// Where each place lies: by its number where all have one, else side by side.
    fn places(&self, plot: &Plot) -> Vec<f64> {
        let inner = (plot.x.0 + 24.0, plot.x.1 - 24.0);
        let values: Vec<f64> = self.sweep.places.iter().filter_map(|p| p.value).collect();
        let count = self.sweep.places.len();
        if self.sweep.numeric {
            let ends =
                values.iter().fold((f64::INFINITY, 0f64), |(a, b), v| (a.min(*v), b.max(*v)));
            let scale = Scale::of(Spread::Log, ends, inner);
            return values.iter().map(|v| scale.place(*v)).collect();
        }
        let step = (inner.1 - inner.0) / (count.max(2) - 1) as f64;
        (0..count).map(|i| inner.0 + i as f64 * step).collect()
    }

    /// The place of a value between the measured ones.
    fn between(&self, value: f64, places: &[f64]) -> Option<f64> {
        let at = self.sweep.places.iter().position(|p| p.value == Some(value))?;
        places.get(at).copied()
    }

    fn knee(&self, plot: &mut Plot, knee: &Knee, places: &[f64]) {
        let (Some(from), Some(to)) =
            (self.between(knee.from, places), self.between(knee.to, places))
        else {
            return;
        };
        let look = &self.looks[knee.arm];
        let tip = format!(
            "keeps up with {} and no longer with {}",
            units::rate(knee.from),
            units::rate(knee.to)
        );
        plot.svg.begin(&look.classes());
        plot.svg.rect("knee", (from, to), plot.y, Some(&tip));
        plot.svg.end();
    }

    fn crossing(&self, plot: &mut Plot, crossing: &Crossing, places: &[f64]) {
        let (before, after) = (places[crossing.before], places[crossing.after]);
        let (left, right) = (before.min(after), before.max(after));
        let y = plot.y.1 + 6.0;
        let d = format!("M{} {}v-5h{}v5", num(left), num(y), num(right - left));
        plot.svg.path("cross", &d);
        let at = (f64::midpoint(left, right), y + 9.0);
        plot.svg.text("k cross-name", at, Anchor::Middle, "cross");
    }

    fn title(&self, curve: &Curve) -> String {
        let setting: Vec<String> =
            self.group.setting.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        let at = match setting.is_empty() {
            true => String::new(),
            false => format!(", at {}", visible(&setting.join(", "))),
        };
        format!("{} by {}{at}", metric_name(self.flow, curve.metric), visible(&self.sweep.key))
    }

    fn about(&self, curve: &Curve) -> String {
        let mut about = "Bars are 95 % intervals over blocks.".to_owned();
        let fell = curve.arms.iter().flatten().any(|m| *m == Mark::Overloaded);
        if fell {
            about.push_str(
                " The latency of an overloaded arm depends on the length of the trial and is not drawn.",
            );
        }
        for knee in &self.group.knees {
            about.push_str(&format!(
                " {} keeps up with {} and no longer with {} (shaded).",
                visible(&self.looks[knee.arm].name),
                units::rate(knee.from),
                units::rate(knee.to)
            ));
        }
        if let Some(how) = cpu_design(&self.page.report.points).filter(|_| is_cpu(curve.metric)) {
            about.push_str(&format!(" {how}."));
        }
        for c in &curve.crossings {
            about.push_str(&self.crossing_words(c));
        }
        about
    }

    fn crossing_words(&self, c: &Crossing) -> String {
        let name = visible(&self.looks[c.candidate].name);
        let (before, after) =
            (&self.sweep.places[c.before].label, &self.sweep.places[c.after].label);
        let word = if c.better_after { "better" } else { "worse" };
        format!(
            " Arms cross: {name} is {word} from {} on, and was not at {}.",
            visible(after),
            visible(before)
        )
    }

    fn table(&self, curve: &Curve) -> Vec<Vec<String>> {
        let mut head = vec![self.sweep.key.clone()];
        head.extend(self.looks.iter().map(|l| l.name.clone()));
        let (_, written) = writer(curve.metric);
        let cell = |mark: &Mark| match mark {
            Mark::Figure { value, interval: Some([low, high]) } => {
                format!("{} [{}, {}]", written(*value), written(*low), written(*high))
            }
            Mark::Figure { value, interval: None } => written(*value),
            Mark::Overloaded => "overloaded".to_owned(),
            Mark::Nothing => table::NONE.to_owned(),
        };
        let row = |(place, p): (usize, &pushbench_analysis::compare::charts::sweep::Place)| {
            let mut row = vec![p.label.clone()];
            row.extend(curve.arms.iter().map(|arm| arm.get(place).map_or(String::new(), cell)));
            row
        };
        std::iter::once(head).chain(self.sweep.places.iter().enumerate().map(row)).collect()
    }
}

/// An arm's line: broken where nothing may be drawn.
fn series(plot: &mut Plot, look: &Look, marks: &[Mark], metric: &str, places: &[f64], y: Scale) {
    let (_, written) = writer(metric);
    plot.svg.begin(&look.classes());
    let mut run: Vec<(f64, f64)> = Vec::new();
    for (mark, x) in marks.iter().zip(places) {
        match mark {
            Mark::Figure { value, .. } => run.push((*x, y.place(*value))),
            _ => {
                plot.svg.polyline(&look.line(), &run);
                run.clear();
            }
        }
    }
    plot.svg.polyline(&look.line(), &run);
    for (mark, x) in marks.iter().zip(places) {
        match mark {
            Mark::Figure { value, interval } => {
                if let Some([low, high]) = interval {
                    plot.svg.line("ci", (*x, y.place(*low)), (*x, y.place(*high)));
                }
                plot.svg.mark(look, (*x, y.place(*value)), Some(&written(*value)));
            }
            Mark::Overloaded => {
                let at = (*x + 5.0 * look.arm as f64, plot.y.1 + 12.0);
                let d = format!("M{} {}l7 7m-7 0l7 -7", num(at.0 - 3.5), num(at.1 - 3.5));
                plot.svg.path("l", &d);
                plot.svg.hint(at, "overloaded, not compared");
            }
            Mark::Nothing => {}
        }
    }
    plot.svg.end();
}

/// The steps of a ramp: p50 and p99 against the rate, the knee as a band.
pub(crate) fn of_ramp(page: &Page, index: usize) -> Option<Chart> {
    let point = &page.report.points[index];
    let ramp = page.evidence[index].ramp.as_ref()?;
    let looks = looks(&point.arms);
    let values = point.arms.iter().flat_map(|a| &a.strata);
    let values = values.flat_map(|s| [s.response_ns.p50, s.response_ns.p99]).flatten();
    let mut plot = Plot::new(HEIGHT, &looks);
    let y = Scale::log(values.map(|ns| ns as f64), plot.y);
    let ends = (ramp.steps.first()?.0, ramp.steps.last()?.1);
    let x = Scale::of(Spread::Linear, ends, plot.x);
    for knee in &ramp.knees {
        let look = &looks[knee.arm];
        let tip = format!("kept up to about {}", units::rate(knee.from));
        plot.svg.begin(&look.classes());
        plot.svg.rect("knee", (x.place(knee.from), x.place(knee.to)), plot.y, Some(&tip));
        plot.svg.end();
    }
    plot.y_axis(&Axis { scale: y, name: "response p50 and p99", tick: time_tick, ticks: 6 });
    plot.x_axis(&Axis { scale: x, name: "offered load", tick: rate_tick, ticks: 6 });
    for (look, arm) in looks.iter().zip(&point.arms) {
        plot.svg.begin(&look.classes());
        for p99 in [false, true] {
            let points: Vec<(f64, u64)> = ramp
                .steps
                .iter()
                .zip(&arm.strata)
                .filter_map(|((low, high), s)| {
                    let ns = if p99 { s.response_ns.p99 } else { s.response_ns.p50 }?;
                    Some((f64::midpoint(*low, *high), ns))
                })
                .collect();
            let place = |(rate, ns): &(f64, u64)| (x.place(*rate), y.place(*ns as f64));
            let line: Vec<(f64, f64)> = points.iter().map(place).collect();
            plot.svg.polyline(&look.line(), &line);
            for (at, (rate, ns)) in line.iter().zip(&points) {
                let which = if p99 { "p99" } else { "p50" };
                let shown = units::nanos_text(*ns as f64);
                let tip = format!("{which} at {}: {shown}", units::rate(*rate));
                plot.svg.mark(look, *at, Some(&tip));
            }
        }
        plot.svg.end();
    }
    let about = "Each step of the ramp at the rate of its middle; p50 below, p99 above. The shaded band of an arm is the step in which it stopped keeping up; beyond it, response time is mostly queueing.";
    let title = format!(
        "Response by offered load, and where each arm stops keeping up ({})",
        shorten(&page.report.scenario, 30)
    );
    Some(Chart::of("ramp", Kind::Sweep, title, about.to_owned(), plot).with(table::strata(point)))
}
