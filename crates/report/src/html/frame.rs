//! Around the runs: head, style, the bar at the top, script.

use crate::chart::STYLE;
use crate::chart::look::looks;
use crate::html::Run;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const PAGE_STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Nothing may be loaded from anywhere, whatever slipped through.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The page around its body.
pub(super) struct Frame<'a> {
    pub title: &'a str,
    /// The bar at the top.
    pub bar: Markup,
}

impl Frame<'_> {
    pub fn around(&self, body: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    style id="charts" { (PreEscaped(STYLE)) }
                    style { (PreEscaped(PAGE_STYLE)) }
                }
                body {
                    a.skip href="#main" { "To the report" }
                    (self.bar)
                    main id="main" tabindex="-1" { (body) }
                    footer { p { "Written by pushbench " (env!("CARGO_PKG_VERSION")) ". METHODOLOGY.md of that version defines every figure and its known biases." } }
                    div id="tip" hidden aria-hidden="true" {}
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        }
    }
}

/// The bar of one run, which leads to its sections, or of several, which leads to each.
pub(super) fn bar(runs: &[Run<'_>]) -> Markup {
    let sections = [
        ("verdict", "Verdict"),
        ("freshness", "Recovery"),
        ("layers", "Layers"),
        ("ratios", "Ratios"),
        ("percentiles", "Percentiles"),
        ("sweep", "Sweep"),
        ("time", "Time"),
        ("blocks", "Blocks"),
        ("cost", "Cost"),
        ("record", "Record"),
    ];
    html! {
        nav aria-label="Sections" {
            @match runs {
                [run] => {
                    @for (id, name) in sections {
                        @if run.shows(id) { a href={ "#" (id) } { (name) } }
                    }
                    @if !run.has_many_arms() { (arms(run)) }
                }
                runs => {
                    a href="#index" { "Index" }
                    @for run in runs { a href={ "#" (run.prefix) "top" } { bdi { (run.page.report.scenario) } } }
                }
            }
        }
    }
}

/// A button an arm, shown by the script that makes them work.
pub(super) fn arms(run: &Run<'_>) -> Markup {
    let Some(point) = run.page.report.points.first() else { return html! {} };
    html! {
        div.arms hidden role="group" aria-label="Arms shown in the charts" data-of=(run.id("top")) {
            @for look in looks(&point.arms) {
                button type="button" aria-pressed="true" data-arm={ "a" (look.arm) } {
                    span.swatch.(look.colour_class()) {} bdi { (look.name) }
                }
            }
        }
    }
}

/// A heading of a level; deeper ones than there are stay at the last.
pub(super) fn heading(level: u8, id: Option<&str>, content: &Markup) -> Markup {
    match level {
        1 => html! { h1 id=[id] { (content) } },
        2 => html! { h2 id=[id] { (content) } },
        3 => html! { h3 id=[id] { (content) } },
        _ => html! { h4 id=[id] { (content) } },
    }
}

/// Tables of more columns than this have smaller letters.
const WIDE: usize = 7;

/// Figures keep their units when a line ends.
pub(super) fn unbroken(text: &str) -> String {
    let units = ["%", "ns", "µs", "ms", "s", "B", "KiB", "MiB", "GiB"];
    let mut out = String::with_capacity(text.len());
    for (i, word) in text.split(' ').enumerate() {
        let bare = word.trim_end_matches([',', '.', ';', ')', ':', ']']);
        let after_figure = out.ends_with(|c: char| c.is_ascii_digit());
        match i {
            0 => {}
            _ if after_figure && units.contains(&bare) => out.push('\u{a0}'),
            _ => out.push(' '),
        }
        out.push_str(word);
    }
    out
}

/// A table that scrolls on a narrow screen: a heading and rows; first cells name their rows.
pub(super) fn table(caption: &str, grid: &[Vec<String>]) -> Markup {
    rows_of(caption, grid, false)
}

/// One that a narrow screen shows row by row, each cell with its heading.
pub(super) fn stacked(caption: &str, grid: &[Vec<String>]) -> Markup {
    rows_of(caption, grid, true)
}

/// A cell that shows its heading where rows are stacked.
pub(super) fn labelled(label: &str, content: &Markup) -> Markup {
    html! { td data-label=(label) { (content) } }
}

fn rows_of(caption: &str, grid: &[Vec<String>], stack: bool) -> Markup {
    let Some((head, rows)) = grid.split_first() else { return html! {} };
    let label = |i: usize| head.get(i).filter(|name| stack && !name.is_empty());
    // The first column without a heading has the verdict, the next one why.
    let verdict = (1..head.len()).find(|i| stack && head[*i].is_empty());
    let is_verdict = |i: usize| verdict == Some(i);
    scrolled(
        caption,
        &html! {
            table.wide[head.len() > WIDE].stack[stack] {
                caption.hidden { (caption) }
                thead { tr { @for cell in head { @if cell.is_empty() { td {} } @else { th scope="col" { (breakable(cell)) } } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (i, cell) in row.iter().enumerate() {
                                @if i == 0 { th scope="row" { (isolated(cell)) } } @else { td.word[is_verdict(i)] data-label=[label(i).filter(|_| !cell.is_empty())] { (isolated(&unbroken(cell))) } }
                            }
                        }
                    }
                }
            }
        },
    )
}

/// A heading may end a line behind a stroke: `memory/subscriber`.
pub(super) fn breakable(text: &str) -> Markup {
    html! { @for (i, part) in text.split('/').enumerate() { @if i > 0 { "/" wbr; } (isolated(&unbroken(part))) } }
}

/// Text that could be written from right to left keeps its order to itself.
fn isolated(text: &str) -> Markup {
    let may_turn = text.chars().any(|c| c >= '\u{590}' && c.is_alphabetic());
    html! { @if may_turn { bdi { (text) } } @else { (text) } }
}

/// What is wider than a phone scrolls by itself, by keyboard as well.
pub(super) fn scrolled(name: &str, content: &Markup) -> Markup {
    html! { div.scroll role="region" tabindex="0" aria-label=(name) { (content) } }
}
