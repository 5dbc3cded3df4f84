//! Two parts of a sum for each arm, as stacked bars: what an event, a delivery or a subscriber cost.

use crate::chart::costs;
use crate::chart::look::{Look, looks};
use crate::chart::plot::{Plot, WIDTH};
use crate::chart::scale::Scale;
use crate::chart::svg::Anchor;
use crate::chart::{Chart, Kind};
use crate::conditions::cpu_design;
use crate::visible::{shorten, visible};
use pushbench_analysis::compare::ArmFigures;
use pushbench_analysis::compare::charts::Page;

/// Height of a bar and the room around it.
const ROW: f64 = 30.0;
/// Right of the names.
const LEFT: f64 = 182.0;
/// Room for the figure behind the bar.
const FIGURE: f64 = 120.0;
/// Letters of a name that fit.
const NAME: usize = 21;

/// Two parts of a sum, stacked.
pub(super) struct Bars {
    pub name: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    pub axis: &'static str,
    pub parts: [&'static str; 2],
    pub of: fn(&ArmFigures) -> [Option<f64>; 2],
    pub tick: fn(f64) -> String,
    pub text: fn(f64) -> String,
}

/// Charts of cost; those without a figure are left out.
pub(crate) fn of_point(page: &Page, index: usize) -> Vec<Chart> {
    let point = &page.report.points[index];
    let (arms, all) = (&point.arms, costs::of(point.design.flow));
    let looks = looks(arms);
    let mut charts: Vec<Chart> = all.iter().filter_map(|bars| bars.chart(arms, &looks)).collect();
    if let Some(how) = cpu_design([point]) {
        let cpu = charts.iter_mut().filter(|c| c.name.starts_with("cpu"));
        cpu.for_each(|chart| chart.about.push_str(&format!(" {how}.")));
    }
    charts
}

impl Bars {
    fn chart(&self, arms: &[ArmFigures], looks: &[Look]) -> Option<Chart> {
        let sums: Vec<(&Look, [Option<f64>; 2])> =
            looks.iter().zip(arms).map(|(look, a)| (look, (self.of)(a))).collect();
        let total = |parts: &[Option<f64>; 2]| parts.iter().flatten().sum::<f64>();
        if sums.iter().all(|(_, parts)| total(parts) == 0.0) {
            return None;
        }
        let mut plot = Plot::with_left(sums.len() as f64 * ROW + 6.0, LEFT, &[]);
        plot.x.1 = WIDTH - FIGURE;
        let x = Scale::from_zero(sums.iter().map(|(_, p)| total(p)), plot.x);
        let ticks = x.ticks(4).into_iter().map(|t| (x.place(t), (self.tick)(t)));
        let name = format!("{} ({} + {})", self.axis, self.parts[0], self.parts[1]);
        plot.x_marks(&ticks.collect::<Vec<_>>(), &name);
        for (i, (look, parts)) in sums.iter().enumerate() {
            let y = plot.y.1 + 6.0 + i as f64 * ROW;
            self.bar(&mut plot, look, parts, x, y);
        }
        let (title, about) = (self.title.to_owned(), self.about.to_owned());
        let chart = Chart::of(self.name, Kind::Resources, title, about, plot);
        Some(chart.with(self.table(&sums)))
    }

    fn table(&self, sums: &[(&Look, [Option<f64>; 2])]) -> Vec<Vec<String>> {
        let head = ["arm", self.parts[0], self.parts[1]].map(str::to_owned).to_vec();
        let row = |(look, parts): &(&Look, [Option<f64>; 2])| {
            let cells = parts.map(|part| part.map_or("–".to_owned(), self.text));
            std::iter::once(look.name.clone()).chain(cells).collect()
        };
        std::iter::once(head).chain(sums.iter().map(row)).collect()
    }

    fn bar(&self, plot: &mut Plot, look: &Look, parts: &[Option<f64>; 2], x: Scale, y: f64) {
        let svg = &mut plot.svg;
        svg.begin(&look.classes());
        let name = shorten(&visible(&look.name), NAME);
        svg.text("t", (LEFT - 10.0, y + 14.0), Anchor::End, &name);
        let mut from = 0.0;
        for ((part, what), class) in parts.iter().zip(self.parts).zip(["bar", "bar pale"]) {
            let Some(value) = part else { continue };
            let tip = format!("{what} {}", (self.text)(*value));
            let across = (x.place(from), x.place(from + value));
            svg.rect(class, across, (y, y + 20.0), Some(&tip));
            from += value;
        }
        let shown: Vec<String> =
            parts.iter().map(|p| p.map_or("–".to_owned(), |v| (self.text)(v))).collect();
        svg.text("v", (x.place(from) + 8.0, y + 14.0), Anchor::Start, &shown.join(" + "));
        svg.end();
    }
}
