//! A sweep at a glance: each setting's headlines, their verdicts and figures.

use crate::chart::forest;
use crate::html::Run;
use crate::html::frame::{breakable, scrolled, unbroken};
use crate::html::summary::{cpu_design, star};
use crate::html::tiles::class;
use crate::html::validity::mark;
use crate::idle;
use crate::table as cells;
use crate::table::Row;
use maud::{Markup, html};
use pushbench_analysis::compare::charts::headlines;
use pushbench_analysis::compare::{Comparison, Point, Verdict};

/// A line a setting and candidate; of an arm alone a line a setting.
pub(super) fn matrix(run: &Run<'_>) -> Markup {
    let points = &run.page.report.points;
    let Some(first) = points.first() else { return html! {} };
    let alone = first.arms.len() == 1;
    let metrics = headlines(points);
    let shown = |point: &Point, candidate: usize| -> Vec<Row> {
        let headline = |row: &Row| metrics.contains(&row.metric) || row.name == idle::NEXT;
        cells::rows(point, candidate).into_iter().filter(headline).collect()
    };
    let names: Vec<&str> = shown(first, 1).iter().map(|row| row.name).collect();
    html! {
        (scrolled("Verdicts by setting", &html! {
            table.matrix.wide.stack {
                caption.hidden { "Verdicts by setting" }
                thead { tr { th scope="col" { "setting" } th scope="col" { @if alone { "arm" } @else { "candidate" } } @for name in &names { th scope="col" { (breakable(name)) } } } }
                tbody {
                    @for point in points {
                        @for arm in usize::from(!alone)..point.arms.len() {
                            tr {
                                th scope="row" { bdi { (cells::setting(point)) } }
                                td data-label=(if alone { "arm" } else { "candidate" }) { bdi { (point.arms[arm].arm) } }
                                @let rows = shown(point, arm.max(1));
                                @for name in &names { (cell(run, point, arm, rows.iter().find(|row| row.name == *name))) }
                            }
                        }
                    }
                }
            }
        }))
        (cpu_design(points))
        (star(points))
        @if !alone {
            p.soft { "Below each verdict: the difference from " bdi { (first.arms[0].arm) } " with its 95 % interval (only a ratio where there are too few blocks for an interval), and the figures of both arms." }
        }
    }
}

/// Verdict, difference, and the figures they come from.
fn cell(run: &Run<'_>, point: &Point, arm: usize, row: Option<&Row>) -> Markup {
    let Some(row) = row else { return html! { td {} } };
    let figures = match arm {
        0 => row.arms[0].clone(),
        // One sign for nothing, not two.
        _ if row.arms[arm] == cells::NONE && row.arms[0] == cells::NONE => String::new(),
        _ => format!("{} → {}", row.arms[0], row.arms[arm]),
    };
    let figures = unbroken(&figures);
    let marks = html! { @if !row.notes.is_empty() { " " (mark(run, point, &row.notes)) } };
    match cells::comparison(point, arm, row.metric) {
        None => {
            html! { td data-label=(row.name) { div { span.soft { bdi { (figures) } } (marks) } } }
        }
        Some(c) => html! {
            td.word.(class(c)) data-label=(row.name) {
                div {
                    (forest::words(c)) (marks) br;
                    span.soft { bdi { (unbroken(&cells::measured(c))) } @if is_claimed(c) { br; bdi { (figures) } } }
                }
            }
        },
    }
}

/// The latency of an arm that fell behind is none of its figures.
fn is_claimed(c: &Comparison) -> bool {
    c.verdict != Verdict::Overloaded
}
