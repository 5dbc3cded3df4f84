//! The gate as a page: the verdict, each judged line beside what is allowed, what was counted, the null,
//! the looks, and how to repeat it.

use crate::chart::gate as chart;
use crate::gate::{GateSides, rows};
use crate::html::figures::figure;
use crate::html::frame::{Frame, heading, stacked, table, unbroken};
use crate::html::summary::command;
use crate::visible::visible;
use maud::{Markup, html};
use pushbench_analysis::compare::gate::Gate;

/// Figures of a gate's page apart from the verdict.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its directory.
    pub dir: &'a str,
    /// Version of pushbench that measured.
    pub pushbench: &'a str,
    /// When it began, UTC.
    pub started: &'a str,
    /// How long its blocks took, s.
    pub took_s: f64,
}

/// The page of a gate.
pub fn render(sides: &GateSides<'_>, source: Source<'_>) -> String {
    let (title, body) = match sides.stages.last() {
        None => ("pushbench gate".to_owned(), html! { h1 { "Nothing was judged" } }),
        Some(gate) => (format!("pushbench gate: {}", gate.scenario), body(sides, gate, source)),
    };
    let bar = html! {
        nav aria-label="Sections" {
            @for (id, name) in [("verdict", "Verdict"), ("counted", "Counted"), ("looks", "Looks"), ("repeat", "Repeat")] {
                a href={ "#" (id) } { (name) }
            }
        }
    };
    visible(&Frame { title: &title, bar }.around(&body).into_string())
}

fn body(sides: &GateSides<'_>, gate: &Gate, source: Source<'_>) -> Markup {
    html! {
        article id="top" {
            header {
                p.eyebrow { "pushbench gate · " bdi { (gate.scenario) } }
                (heading(1, None, &html! { "Is the candidate slower than its base?" }))
                dl.facts {
                    div { dt { "base" } dd { code { (sides.base) } } }
                    div { dt { "candidate" } dd { code { (sides.candidate) } } }
                    @if let Some(executables) = sides.executables {
                        div { dt { "files" } dd { (executables.sentence()) } }
                    }
                }
            }
            section id="verdict" { (heading(2, None, &html! { "Verdict" })) (verdict(gate)) @if let Some(again) = sides.again() { (command("Run it again", again)) } }
            section id="counted" { (counted(gate)) }
            section id="looks" {
                (heading(2, None, &html! { "Looks" }))
                p { (rows::looks(sides.stages)) }
                @if gate.method.is_empty() { p.soft { (about_looks(gate)) } }
                @for earlier in &sides.stages[..sides.stages.len() - 1] {
                    @let name = format!("{} {}", if earlier.looks_planned.is_some() { "look" } else { "stage" }, earlier.stage);
                    details.data { summary { "At " (name) } p { bdi { (unbroken(&earlier.sentence)) } } (table(&format!("Lines at {name}"), &rows::lines(earlier))) }
                }
            }
            section id="repeat" {
                (heading(2, None, &html! { "Run it again" }))
                (command("The same gate again, on this machine", sides.command))
                (command("The same verdict, from the records", &format!("pushbench report {}", shell_words::quote(source.dir))))
                @if gate.method.is_empty() { (command("All figures of its blocks, as a page", &format!("pushbench report {} --format html", shell_words::quote(&format!("{}/{}", source.dir, records(gate)))))) }
                p.soft { "Measured by pushbench " (source.pushbench) ". The raw records are kept." }
            }
        }
    }
}

fn about_looks(gate: &Gate) -> &'static str {
    match gate.looks_planned {
        None => "Each stage was judged by its own blocks.",
        Some(1) => "There is one look, which judges all blocks.",
        Some(_) => {
            "A look judges all blocks so far. One that cannot decide is followed by another after half as many blocks again, until the verdict stands or the time is used up. The levels of error of the looks add up to that of the gate."
        }
    }
}

/// The directory of a gate's records; those of earlier versions had one for each stage.
fn records(gate: &Gate) -> String {
    if gate.looks_planned.is_some() { "blocks".to_owned() } else { format!("stage-{}", gate.stage) }
}

fn verdict(gate: &Gate) -> Markup {
    let (class, word) = rows::verdict(gate);
    let bounds = rows::bounds(gate);
    // What it passed in spite of is shown next to the word.
    let remarks = rows::remarks(gate, usize::MAX);
    let class = if class == "better" && !remarks.is_empty() { "moved" } else { class };
    html! {
        div.tiles { div.tile.(class) { p.what { "this gate" } p.word { (word) } @if !remarks.is_empty() { p.why { "⚠ read the remarks below" } } } }
        p.claim { bdi { (unbroken(&gate.sentence)) } }
        @if let Some(chart) = chart::of_gate(gate) { (figure("", 3, &chart)) }
        (stacked("Judged lines", &rows::lines(gate)))
        @if !bounds.is_empty() { p.soft { (unbroken(&bounds)) } }
        @if !remarks.is_empty() { ul.notes { @for line in remarks { li { bdi { (line) } } } } }
    }
}

fn counted(gate: &Gate) -> Markup {
    if !gate.method.is_empty() {
        return html! {
            (heading(2, None, &html! { "How instructions were counted" }))
            ul { @for line in &gate.method { li { bdi { (line) } } } }
        };
    }
    let rows = rows::exact(gate, false);
    html! {
        (heading(2, None, &html! { "Counts: compared without statistics" }))
        @if rows.len() > 1 { (stacked("Counts", &rows)) } @else { p.soft { "Nothing was counted." } }
    }
}
