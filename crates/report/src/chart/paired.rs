//! Ratios block by block in the order in which they were run: a drift would show.

use crate::chart::look::{Look, looks};
use crate::chart::plot::{Axis, Plot};
use crate::chart::scale::{Kind as Spread, Scale, short};
use crate::chart::svg::num;
use crate::chart::{Chart, Kind};
use crate::table::metric_name;
use crate::visible::{shorten, visible};
use pushbench_analysis::compare::charts::Page;
use pushbench_analysis::compare::charts::pairs::{Pair, Pairs};
use pushbench_analysis::compare::{Comparison, cpu_measured};

/// Height of the drawing.
const HEIGHT: f64 = 130.0;
/// The axis is at least this wide.
const NARROWEST: f64 = 1.1;

/// A chart a metric; of many arms those of the first candidates only would mislead, so all are drawn.
pub(crate) fn of_point(page: &Page, index: usize) -> Vec<Chart> {
    let point = &page.report.points[index];
    let looks = looks(&point.arms);
    let pairs = &page.evidence[index].pairs;
    let metric = |p: &Pairs| point.comparisons[p.comparison].metric;
    let mut metrics: Vec<&'static str> = Vec::new();
    for p in pairs.iter().filter(|p| p.blocks.len() > 1) {
        if !metrics.contains(&metric(p)) {
            metrics.push(metric(p));
        }
    }
    let chart = |name: &&'static str| {
        let mine: Vec<(&Pairs, &Comparison, &Look)> = pairs
            .iter()
            .filter(|p| metric(p) == *name)
            .map(|p| (p, &point.comparisons[p.comparison], &looks[p.candidate]))
            .collect();
        draw(name, metric_name(point.design.flow, name), &mine, &point.arms[0].arm)
    };
    metrics.iter().map(chart).collect()
}

fn draw(metric: &str, label: &str, all: &[(&Pairs, &Comparison, &Look)], baseline: &str) -> Chart {
    let legend: Vec<Look> = all.iter().map(|(.., look)| (*look).clone()).collect();
    let mut plot = Plot::new(HEIGHT, &legend);
    let blocks = || all.iter().flat_map(|(p, ..)| &p.blocks);
    let last = blocks().map(|b| b.block).max().unwrap_or(0) as f64;
    let x = Scale::of(Spread::Linear, (-0.5, last + 0.5), plot.x);
    let ratios = blocks().map(|b| b.ratio);
    let low = ratios.clone().fold(1.0 / NARROWEST, f64::min);
    let high = ratios.fold(NARROWEST, f64::max);
    // Marks at the edge are drawn completely.
    let room = (high / low).powf(0.06);
    let (low, high) = (low / room, high * room);
    let y = Scale::of(Spread::Log, (low, high), plot.y);
    let name = format!("{label} ÷ {}", shorten(&visible(baseline), 30));
    plot.y_axis(&Axis { scale: y, name: &name, tick: |v| format!("×{}", short(v)), ticks: 4 });
    let every = (last / 12.0).floor() as usize + 1;
    let marks: Vec<(f64, String)> = (0..=last as usize)
        .step_by(every)
        .map(|b| (x.place(b as f64), (b + 1).to_string()))
        .collect();
    plot.x_marks(&marks, "block, in the order of the run");
    plot.svg.line("one", (plot.x.0, y.place(1.0)), (plot.x.1, y.place(1.0)));
    for (pairs, comparison, look) in all {
        series(&mut plot, pairs, comparison, look, x, y);
    }
    let how = all
        .iter()
        .find_map(|(_, c, _)| c.design)
        .map_or(String::new(), |design| format!(" CPU was {}.", cpu_measured(design)));
    let about = "Each mark is one block's ratio; line and band are their mean and its 95 % interval. A slope indicates drift of the machine; crosses are voided blocks, which are not averaged.";
    let title = format!("Block by block: {label}");
    let name = format!("paired-{}", metric.replace(['.', '_'], "-"));
    Chart::of(&name, Kind::Paired, title, format!("{about}{how}"), plot).with(table(all))
}

fn series(
    plot: &mut Plot,
    pairs: &Pairs,
    comparison: &Comparison,
    look: &Look,
    x: Scale,
    y: Scale,
) {
    plot.svg.begin(&look.classes());
    if let (Some(ratio), Some([low, high])) = (comparison.ratio, comparison.ci95) {
        let edges = (y.place(low), y.place(high));
        plot.svg.rect("b", plot.x, edges, None);
        let mean = y.place(ratio);
        plot.svg.line(&look.line(), (plot.x.0, mean), (plot.x.1, mean));
    }
    for Pair { block, ratio, valid } in &pairs.blocks {
        let at = (x.place(*block as f64), y.place(*ratio));
        let what = if *valid { "" } else { ", voided" };
        let tip = format!("block {}: ×{}{what}", block + 1, short(*ratio));
        match valid {
            true => plot.svg.mark(look, at, Some(&tip)),
            false => {
                let d = format!("M{} {}l8 8m-8 0l8 -8", num(at.0 - 4.0), num(at.1 - 4.0));
                plot.svg.path("void", &d);
                plot.svg.hint(at, &tip);
            }
        }
    }
    plot.svg.end();
}

fn table(all: &[(&Pairs, &Comparison, &Look)]) -> Vec<Vec<String>> {
    let mut head = vec!["block".to_owned()];
    head.extend(all.iter().map(|(.., look)| look.name.clone()));
    let mut blocks: Vec<usize> =
        all.iter().flat_map(|(p, ..)| p.blocks.iter().map(|b| b.block)).collect();
    blocks.sort_unstable();
    blocks.dedup();
    let row = |block: usize| {
        let mut row = vec![(block + 1).to_string()];
        row.extend(all.iter().map(|(p, ..)| {
            let pair = p.blocks.iter().find(|b| b.block == block);
            pair.map_or("–".to_owned(), |b| {
                format!("×{}{}", short(b.ratio), if b.valid { "" } else { " (voided)" })
            })
        }));
        row
    };
    std::iter::once(head).chain(blocks.into_iter().map(row)).collect()
}
