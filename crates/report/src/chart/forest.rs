//! Every ratio with its interval and the region of equivalence.

use crate::chart::look::{Look, looks};
use crate::chart::names::Names;
use crate::chart::plot::{Plot, WIDTH};
use crate::chart::scale::{Kind as Spread, Scale, short};
use crate::chart::svg::{Anchor, num};
use crate::chart::{Chart, Kind};
use crate::notes::is_small;
use crate::overview::FEW;
use crate::table;
use crate::table::metric_name;
use crate::visible::visible;
use pushbench_analysis::compare::charts::Page;
use pushbench_analysis::compare::charts::pairs::Judged;
use pushbench_analysis::compare::{Comparison, Verdict, cpu_measured};

/// Least height of a row.
const ROW: f64 = 24.0;
/// Room for ratio and verdict.
const WORDS: f64 = 164.0;
/// Ratios beyond this are at the edge, with an arrow.
const WIDEST: f64 = 500.0;
/// The axis is at least this wide, so that small differences look small.
const NARROWEST: f64 = 1.25;
/// Ticks of an axis, from the narrow to the wide.
const TICKS: [(f64, &[f64]); 5] = [
    (1.6, &[0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5]),
    (4.0, &[0.25, 0.33, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0]),
    (12.0, &[0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]),
    (40.0, &[0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 20.0, 50.0]),
    (f64::INFINITY, &[0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]),
];

/// A row of the plot.
struct Row<'a> {
    name: String,
    look: &'a Look,
    comparison: &'a Comparison,
    judged: &'a Judged,
}

impl Row<'_> {
    /// Its name as shown in the chart.
    fn label(&self) -> String {
        let null = if self.judged.null { " (null)" } else { "" };
        format!("{}{null}", self.name)
    }
}

/// A point's metrics: all in one plot, or with many arms a plot a metric.
pub(crate) fn of_point(page: &Page, index: usize) -> Vec<Chart> {
    let point = &page.report.points[index];
    let (looks, flow) = (looks(&point.arms), point.design.flow);
    let rows = |metric: Option<&str>| -> Vec<Row<'_>> {
        let judged = page.evidence[index].judged.iter();
        let row = |judged| row(page, index, &looks, judged);
        // A metric without any figure has no row, such as resubscribing where no subscriber left.
        let known = |m: &str| point.arms.iter().any(|a| a.figure(m).is_some());
        let mine = |r: &Row<'_>| {
            let own = r.comparison.metric;
            metric.map_or_else(|| known(own), |m| own == m && known(own))
        };
        judged.map(row).filter(mine).collect()
    };
    if point.arms.len() <= FEW {
        let mut rows = rows(None);
        let candidates = point.arms.len().saturating_sub(1);
        for row in &mut rows {
            row.name = match candidates {
                1 => metric_name(flow, row.comparison.metric).to_owned(),
                _ => format!("{}, {}", metric_name(flow, row.comparison.metric), row.look.name),
            };
        }
        return chart("forest", "all metrics", &rows, &page.report.points[index].arms[0].arm)
            .into_iter()
            .collect();
    }
    let metrics = metrics_of(&point.comparisons);
    let one = |metric: &'static str| {
        let mut rows = rows(Some(metric));
        rows.sort_by(|a, b| {
            let key = |r: &Row<'_>| r.comparison.ratio.unwrap_or(f64::INFINITY);
            key(a).total_cmp(&key(b))
        });
        rows.iter_mut().for_each(|row| row.name.clone_from(&row.look.name));
        let name = format!("forest-{}", metric.replace(['.', '_'], "-"));
        chart(&name, metric_name(flow, metric), &rows, &point.arms[0].arm)
    };
    metrics.into_iter().filter_map(one).collect()
}

/// A sweep: a plot a metric, a row a point.
pub fn of_run(page: &Page) -> Vec<Chart> {
    let looks: Vec<Vec<Look>> = page.report.points.iter().map(|p| looks(&p.arms)).collect();
    let Some(first) = page.report.points.first() else { return Vec::new() };
    let one = |metric: &'static str| {
        let mut rows = Vec::new();
        for (index, point) in page.report.points.iter().enumerate() {
            for judged in &page.evidence[index].judged {
                let mut row = row(page, index, &looks[index], judged);
                let known = point.arms.iter().any(|a| a.figure(metric).is_some());
                if row.comparison.metric == metric && known {
                    let setting = table::short_setting(point);
                    row.name = match point.arms.len() {
                        0..=2 => setting,
                        _ => format!("{setting}, {}", row.look.name),
                    };
                    rows.push(row);
                }
            }
        }
        let name = format!("forest-{}", metric.replace(['.', '_'], "-"));
        chart(
            &name,
            metric_name(first.design.flow, metric),
            &rows,
            first.arms.first().map_or("", |a| &a.arm),
        )
    };
    metrics_of(&first.comparisons).into_iter().filter_map(one).collect()
}

/// In the order of the registry, without those that only the table needs.
fn metrics_of(comparisons: &[Comparison]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for c in comparisons {
        let omitted = c.metric.ends_with("p90") || c.metric.ends_with("p99_9");
        if !names.contains(&c.metric) && !omitted {
            names.push(c.metric);
        }
    }
    names
}

fn row<'a>(page: &'a Page, index: usize, looks: &'a [Look], judged: &'a Judged) -> Row<'a> {
    Row {
        name: String::new(),
        look: &looks[judged.candidate],
        comparison: &page.report.points[index].comparisons[judged.comparison],
        judged,
    }
}

fn chart(name: &str, what: &str, rows: &[Row<'_>], baseline: &str) -> Option<Chart> {
    if rows.is_empty() {
        return None;
    }
    let mut legend: Vec<Look> = Vec::new();
    for row in rows {
        if !legend.contains(row.look) {
            legend.push(row.look.clone());
        }
    }
    legend.retain(|_| rows.len() > 1);
    // Where a row is an arm, it is labelled with its name.
    legend.truncate(if legend.len() > FEW { 0 } else { FEW });
    let names = Names::of(rows.iter().map(Row::label), ROW);
    let mut plot = Plot::with_left(rows.len() as f64 * names.row + 8.0, names.left, &legend);
    plot.x.1 = WIDTH - WORDS;
    let x = axis(rows, plot.x);
    let half = x.domain.1.max(1.0 / x.domain.0);
    let ticks = TICKS.iter().find(|(widest, _)| half <= *widest).map_or(TICKS[4].1, |t| t.1);
    let within = |t: &&f64| **t >= x.domain.0 && **t <= x.domain.1;
    let marks: Vec<(f64, String)> =
        ticks.iter().filter(within).map(|t| (x.place(*t), format!("×{}", short(*t)))).collect();
    plot.x_marks(&marks, "ratio to the baseline (log scale)");
    let top = plot.y.1 + 4.0;
    // Regions behind everything, the line of no difference over them.
    for (i, row) in rows.iter().enumerate() {
        let y = top + i as f64 * names.row;
        let [low, high] = row.judged.equivalent;
        plot.svg.rect("region", (x.place(low), x.place(high)), (y, y + names.row), None);
    }
    plot.svg.line("one", (x.place(1.0), top), (x.place(1.0), plot.y.0));
    for (i, row) in rows.iter().enumerate() {
        let y = top + (i as f64 + 0.5) * names.row;
        plot.svg.begin(&row.look.classes());
        names.draw(&mut plot.svg, i, y);
        draw(&mut plot, row, x, y);
        plot.svg.end();
    }
    let null = rows.iter().any(|r| r.judged.null);
    let bare =
        rows.iter().any(|r| r.comparison.ci95.is_none() && r.comparison.measured().is_some());
    let starred = rows.iter().any(|r| is_small(r.comparison));
    let how = rows
        .iter()
        .find_map(|r| r.comparison.design)
        .map_or(String::new(), |design| format!(" CPU was {}.", cpu_measured(design)));
    let about = format!(
        "Each line is the 95 % interval of the ratio to {}. Left of ×1 is less, right is more. Differences inside the grey region are equivalent.{how}{}{}{}",
        visible(baseline),
        if bare { " A mark without a line has too few blocks for an interval." } else { "" },
        if null {
            " A row marked null compares the same program with itself: its distance from ×1 is the instrument's error."
        } else {
            ""
        },
        if starred { " * too small to matter." } else { "" },
    );
    let title = format!("Ratio to {}: {what}", visible(baseline));
    Some(Chart::of(name, Kind::Forest, title, about, plot).with(data(rows)))
}

fn axis(rows: &[Row<'_>], range: (f64, f64)) -> Scale {
    let extents = || rows.iter().filter_map(|r| extent(r.comparison));
    let bounds = extents().flatten();
    let widest = bounds.map(|v| v.max(1.0 / v)).fold(NARROWEST, f64::max).min(WIDEST);
    let low = extents().map(|e| e[0]).fold(1.0, f64::min);
    let high = extents().map(|e| e[1]).fold(1.0, f64::max);
    // One side only where the other has nothing to show.
    let low = low.min(1.0 / NARROWEST).max(1.0 / widest) * 0.97;
    let high = high.max(NARROWEST).min(widest) * 1.03;
    Scale::of(Spread::Log, (low, high), range)
}

/// From where to where a row is drawn.
fn extent(c: &Comparison) -> Option<[f64; 2]> {
    c.ci95.or_else(|| c.measured().map(|ratio| [ratio, ratio]))
}

/// A row's interval, its mark, ratio and verdict.
fn draw(plot: &mut Plot, row: &Row<'_>, x: Scale, y: f64) {
    let c = row.comparison;
    let edge = plot.x.1 + 10.0;
    let svg = &mut plot.svg;
    if let Some([low, high]) = c.ci95 {
        let (left, right) = (x.place(low), x.place(high));
        svg.line("ci", (left, y), (right, y));
        for (edge, beyond, point) in
            [(left, low < x.domain.0, -1.0), (right, high > x.domain.1, 1.0)]
        {
            match beyond {
                true => {
                    let d = format!(
                        "M{} {}l{} 4v-8z",
                        num(edge + 7.0 * point),
                        num(y),
                        num(-7.0 * point)
                    );
                    svg.path("m", &d);
                }
                false => svg.line("ci", (edge, y - 4.0), (edge, y + 4.0)),
            }
        }
    }
    let Some(ratio) = c.measured() else {
        svg.text("v", (edge, y + 4.5), Anchor::Start, &words(c));
        return;
    };
    let tip = format!("{} · {}", table::measured(c), words(c));
    svg.mark(row.look, (x.place(ratio.clamp(x.domain.0, x.domain.1)), y), Some(&tip));
    let class = match c.verdict {
        Verdict::Better if c.matters => "v better",
        Verdict::Worse if c.matters => "v worse",
        _ => "v",
    };
    let text = format!("×{} {}", figure(ratio), words(c));
    svg.text(class, (edge, y + 4.5), Anchor::Start, &text);
}

/// Three digits.
fn figure(ratio: f64) -> String {
    let decimals = (2 - ratio.log10().floor() as i32).clamp(0, 3) as usize;
    format!("{ratio:.decimals$}")
}

/// The verdict with a sign; a difference too small to matter has only its star.
pub fn words(c: &Comparison) -> String {
    let sign = match c.verdict {
        _ if is_small(c) => "",
        Verdict::Better => "✓ ",
        Verdict::Worse => "✗ ",
        Verdict::Equivalent => "≈ ",
        Verdict::Inconclusive => "? ",
        Verdict::Overloaded | Verdict::Invalid => "– ",
    };
    format!("{sign}{}", table::verdict(c))
}

fn data(rows: &[Row<'_>]) -> Vec<Vec<String>> {
    let head = ["", "candidate", "ratio [95 %]", "difference [95 %]", "verdict", "why"];
    let mut grid = vec![head.map(str::to_owned).to_vec()];
    for row in rows {
        let c = row.comparison;
        let ratio = match (c.ratio, c.ci95) {
            (Some(r), Some([low, high])) => {
                format!("×{} [{}, {}]", figure(r), figure(low), figure(high))
            }
            _ => table::measured(c),
        };
        grid.push(vec![
            row.name.clone(),
            c.candidate.clone(),
            ratio,
            table::difference(c),
            words(c),
            c.why.clone().unwrap_or_default(),
        ]);
    }
    grid
}
