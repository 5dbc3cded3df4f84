//! Charts as figures of the page: heading, drawing, how it is read, and the same as a table.

use crate::chart::{Chart, Kind};
use crate::html::Run;
use crate::html::frame::{heading, table, unbroken};
use crate::layers;
use crate::table as cells;
use maud::{Markup, PreEscaped, html};
use pushbench_analysis::compare::Point;

/// The figures of a kind; those of a point of a sweep are folded away, the first one open. `None` where
/// there are none.
pub(super) fn of_kind(run: &Run<'_>, kind: Kind) -> Option<Markup> {
    let mine: Vec<&Chart> = run.charts.iter().filter(|c| c.kind == kind).collect();
    if mine.is_empty() {
        return None;
    }
    let points = &run.page.report.points;
    let of = |point: Option<usize>| -> Vec<&Chart> {
        mine.iter().filter(|c| c.point == point).copied().collect()
    };
    if points.len() == 1 {
        return Some(grid(run, &mine));
    }
    Some(html! {
        @let whole = of(None);
        @if !whole.is_empty() { (grid(run, &whole)) }
        @for (index, point) in points.iter().enumerate() {
            @let charts = of(Some(index));
            @if !charts.is_empty() {
                details.point open[index == 0] {
                    summary { bdi { (cells::setting(point)) } }
                    (grid(run, &charts))
                }
            }
        }
    })
}

fn grid(run: &Run<'_>, charts: &[&Chart]) -> Markup {
    html! { div.figures { @for chart in charts { (figure(&run.prefix, run.level + 2, chart)) } } }
}

/// A chart with its table. `prefix`: before its identifier; `level`: that of its heading.
pub(super) fn figure(prefix: &str, level: u8, chart: &Chart) -> Markup {
    html! {
        figure.tall[chart.is_tall()] id={ (prefix) "figure-" (chart.name) } data-csv=[&chart.data] {
            figcaption { (heading(level, None, &html! { bdi { (chart.title) } })) }
            (PreEscaped(chart.inline()))
            p.about { bdi { (unbroken(&chart.about)) } }
            @if !chart.table.is_empty() {
                details.data { summary { "As a table" span.hidden { ": " (chart.title) } } (table(&chart.title, &chart.table)) }
            }
        }
    }
}

/// The strata of the load, a table per point.
pub(super) fn strata(run: &Run<'_>) -> Option<Markup> {
    tables(run, "Latency by stratum", cells::strata)
}

/// What encryption and authentication cost, a table per point.
pub(super) fn layers(run: &Run<'_>) -> Option<Markup> {
    tables(run, "What each layer costs", layers::grid)
}

/// A table of each point that has one.
fn tables(run: &Run<'_>, title: &str, of: fn(&Point) -> Vec<Vec<String>>) -> Option<Markup> {
    let points = &run.page.report.points;
    let grids = points.iter().map(|p| (cells::setting(p), of(p)));
    let grids: Vec<_> = grids.filter(|(_, grid)| !grid.is_empty()).collect();
    (!grids.is_empty()).then(|| {
        html! {
            @for (setting, grid) in grids {
                @if !setting.is_empty() { (heading(run.level + 2, None, &html! { (title) " at " bdi { (setting) } })) }
                (table(&format!("{title} {setting}"), &grid))
            }
        }
    })
}

/// Why a section has no figure.
pub(super) fn why_nothing(run: &Run<'_>, kind: Kind) -> String {
    let arms = run.page.report.points.first().map_or(0, |p| p.arms.len());
    let valid = run.page.report.points.iter().any(|p| p.design.blocks_valid > 0);
    match kind {
        Kind::Forest | Kind::Paired if arms < 2 => {
            "One arm was measured alone: nothing is compared.".to_owned()
        }
        _ if !valid => "No block is valid: there is nothing to draw.".to_owned(),
        Kind::Paired => "One block was run: there is no order to show.".to_owned(),
        Kind::Spectrum => "No arm has a percentile that enough samples support.".to_owned(),
        _ => "Nothing was measured that could be drawn here.".to_owned(),
    }
}
