//! The first screen: the question, the verdict, the figures side by side, and whether to believe them.

use crate::html::frame::{heading, labelled, scrolled, stacked, table, unbroken};
use crate::html::tiles::{class, subject, tiles};
use crate::html::{Run, day, sweep, validity};
use crate::{certainty, conditions, guarantee, headline, notes, overview, path, table as cells};
use maud::{Markup, html};
use pushbench_analysis::compare::Point;

/// The question and the conditions of the run.
pub(super) fn header(run: &Run<'_>) -> Markup {
    let (report, facts) = (&run.page.report, &run.page.facts);
    let first = report.points.first();
    html! {
        header {
            p.eyebrow { "pushbench · " bdi { (report.scenario) } " · " time datetime=(facts.started) { (day(&facts.started)) } }
            (heading(run.level, None, &html! { bdi { (report.question) } }))
            @if let Some(text) = cells::incomplete(report) {
                p.alert role="note" { strong { bdi { (text) } } " – " (finished(run)) }
            }
            @if let Some(point) = first {
                p.conditions {
                    @if report.points.len() > 1 { (report.points.len()) " settings, the first: " }
                    bdi { (conditions::conditions(point)) } br; bdi { (conditions::place(point)) }
                    @if let Some(path) = path::line(point) { br; bdi { (path) } }
                }
            }
        }
    }
}

fn finished(run: &Run<'_>) -> String {
    let points = &run.page.report.points;
    let sum = |of: fn(&Point) -> usize| points.iter().map(of).sum::<usize>();
    let (have, planned) = (sum(|p| p.design.blocks_run), sum(|p| p.design.blocks_planned));
    format!("{have} of {planned} blocks.")
}

/// What stands at the very top: the sentences of a comparison, of many arms the first and the last, of a
/// sweep where which is better.
pub(super) fn claims(run: &Run<'_>) -> Markup {
    let claim = |text: &str| html! { p.claim { bdi { (unbroken(text)) } } };
    html! {
        div.claims {
            @match (&run.page.sweep, run.page.report.points.as_slice()) {
                (Some(sweep), _) => @for summary in sweep.groups.iter().flat_map(|g| &g.summaries) {
                    (claim(&summary.title))
                    ul.summaries { @for (metric, at) in &summary.lines { li { strong { (cells::metric_name(headline::flow(&run.page.report), metric)) } ": " bdi { (at) } } } }
                },
                (None, [point]) if run.has_many_arms() => {
                    @if let Some(text) = headline::first_and_last(point) { (claim(&text)) }
                    details { summary { "Sentences of every setting" } @for line in &point.sentences { p { bdi { (unbroken(line)) } } } }
                }
                (None, points) => @for line in points.iter().flat_map(|p| &p.sentences) { (claim(line)) },
            }
        }
    }
}

/// Verdict, tiles, tables, trust, what was not tested, how to run it again.
pub(super) fn verdict(run: &Run<'_>) -> Markup {
    let points = &run.page.report.points;
    html! {
        (claims(run))
        @if let Some(caution) = notes::caution(points, '⚠') { p.caution { "⚠ " (caution) } }
        @match points.as_slice() {
            [point] if point.arms.len() <= overview::FEW => {
                (tiles(run, point))
                div.beside { div { (side_by_side(run, point)) (limits(run)) } (validity::panel(run)) }
            }
            [point] => { (side_by_side(run, point)) (validity::panel(run)) (limits(run)) }
            many => {
                (sweep::matrix(run))
                @for point in many {
                    details.point {
                        summary { bdi { (cells::setting(point)) } }
                        @for line in &point.sentences { p { bdi { (line) } } }
                        (side_by_side(run, point))
                    }
                }
                (validity::panel(run))
                (limits(run))
            }
        }
    }
}

/// What no figure covers, and how to come by the same ones.
fn limits(run: &Run<'_>) -> Markup {
    html! {
        div.two {
            section.card aria-label="Not tested" {
                (heading(run.level + 2, None, &html! { "Not tested here" }))
                ul.plain { @for what in conditions::not_tested(&run.page.report) { li { (what) } } }
                @if !run.page.report.points.iter().any(|p| p.design.is_remote()) {
                    p.soft { "Events went over loopback: these figures do not include the delay of a real network." }
                }
            }
            section.card aria-label="Repeat" {
                (heading(run.level + 2, None, &html! { "Run it again" }))
                (command("The same run again, on this machine", &run.page.facts.repeat))
                (command("These figures again, from the records", &format!("pushbench report {}", shell_words::quote(&run.source.dir))))
            }
        }
    }
}

pub(super) fn command(what: &str, text: &str) -> Markup {
    html! {
        p.label { (what) }
        div.command { code tabindex="0" { (text) } button type="button" data-copy hidden { "Copy" } }
    }
}

/// The table of the terminal: two arms beside each other, or a line an arm.
fn side_by_side(run: &Run<'_>, point: &Point) -> Markup {
    let name = match point.setting.is_empty() {
        true => "Side by side".to_owned(),
        false => format!("Side by side at {}", cells::setting(point)),
    };
    html! {
        @if point.arms.len() > overview::FEW {
            @let kept = guarantee::overview(point);
            @if !kept.is_empty() { (table("What became of events", &kept)) }
            (stacked(&name, &ranking(point)))
        } @else {
            @for candidate in 1..point.arms.len().max(2) { (pair(run, &name, point, candidate)) }
        }
        (legend(point))
        (expectations(run, point))
    }
}

/// A line an arm, the metric they are sorted by named as everywhere on the page.
fn ranking(point: &Point) -> Vec<Vec<String>> {
    let mut grid = overview::grid(point);
    grid[0][0] = format!("by {}", cells::metric_name(point.design.flow, point.sorted_by));
    for (row, arm) in grid.iter_mut().skip(1).zip(&point.order) {
        let arm = &point.arms[*arm].arm;
        row[0] = match notes::of_arm(point, arm).as_slice() {
            [] => arm.clone(),
            numbers => format!("{arm} ⚠ {}", notes::list(numbers)),
        };
    }
    grid
}

/// The difference of a row, by the ratio alone where blocks are too few for an interval.
fn difference(point: &Point, candidate: usize, row: &cells::Row) -> String {
    cells::comparison(point, candidate, row.metric).map(cells::measured).unwrap_or_default()
}

/// The meaning of a star at a verdict, where there is one.
pub(super) fn star<'a>(points: impl IntoIterator<Item = &'a Point>) -> Markup {
    let starred = points.into_iter().any(|p| p.comparisons.iter().any(notes::is_small));
    html! { @if starred { p.soft { "* too small to matter by this scenario (compare.matters)." } } }
}

/// How CPU was measured.
pub(super) fn cpu_design<'a>(points: impl IntoIterator<Item = &'a Point>) -> Markup {
    html! { @if let Some(how) = conditions::cpu_design(points) { p.soft { (how) "." } } }
}

/// The meaning of the signs at verdicts.
fn legend(point: &Point) -> Markup {
    html! {
        (cpu_design([point]))
        (star([point]))
        @for why in certainty::withheld(point) { p.soft { "† " bdi { (why) } } }
    }
}

fn pair(run: &Run<'_>, name: &str, point: &Point, candidate: usize) -> Markup {
    let shown: Vec<usize> = if point.arms.len() > 1 { vec![0, candidate] } else { vec![0] };
    let verdict =
        |row: &cells::Row| cells::comparison(point, candidate, row.metric).map_or("", class);
    scrolled(
        name,
        &html! {
            table.pair.stack {
                caption.hidden { (name) }
                thead {
                    tr {
                        td {}
                        @for arm in &shown { th scope="col" { bdi { (point.arms[*arm].arm) } } }
                        @if shown.len() > 1 { th scope="col" { "difference [95 %]" } th.on scope="col" { "verdict on " bdi { (subject(&point.arms, &point.arms[candidate].arm)) } } }
                    }
                }
                tbody {
                    @for row in cells::rows(point, candidate) {
                        tr {
                            th scope="row" { (row.name) @if !row.notes.is_empty() { " " (validity::mark(run, point, &row.notes)) } }
                            @for arm in &shown { (labelled(&point.arms[*arm].arm, &html! { bdi { (row.arms[*arm]) } })) }
                            @if shown.len() > 1 {
                                @match difference(point, candidate, &row) {
                                    none if none.is_empty() => td {},
                                    text => (labelled("difference", &html! { bdi { (text) } })),
                                }
                                td.word.(verdict(&row)) { (row.verdict) }
                            }
                        }
                    }
                }
            }
        },
    )
}

/// The lines of `[expect]` that did not hold, and how many did.
fn expectations(run: &Run<'_>, point: &Point) -> Markup {
    use pushbench_analysis::compare::expect::Outcome;
    if point.expectations.is_empty() {
        return html! {};
    }
    let count = |o: Outcome| point.expectations.iter().filter(|e| e.outcome == o).count();
    let grid: Vec<Vec<String>> =
        std::iter::once(["expected", "arm", "measured", "limit", ""].map(str::to_owned).to_vec())
            .chain(point.expectations.iter().filter(|e| e.outcome != Outcome::Met).map(|e| {
                let word = if e.outcome == Outcome::Failed { "failed" } else { "cannot be judged" };
                let value = e.value.map_or("not measured".to_owned(), |v| v.to_string());
                vec![e.what.clone(), e.arm.clone(), value, e.limit.to_string(), word.to_owned()]
            }))
            .collect();
    html! {
        p { "Expected by the scenario: " (count(Outcome::Met)) " lines met, " (count(Outcome::Failed)) " failed, " (count(Outcome::CannotTell)) " cannot be judged." }
        @if grid.len() > 1 { (table(&run.id("expectations"), &grid)) }
    }
}
