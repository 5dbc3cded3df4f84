//! The matrix of `pushbench reach` as a page: a cell says what got through, its reason is shown below and on hover.

use crate::html::frame::{Frame, heading, scrolled, stacked, unbroken};
use crate::html::summary::command;
use crate::reach::{Shown, about, arm_name, axes, conditions, find, notes};
use crate::visible::visible;
use maud::{Markup, html};
use pushbench_analysis::reach::{Cell, Matrix};

/// The page. `dir`: the directory of the record.
pub fn render(matrix: &Matrix, dir: &str) -> String {
    let bar = html! {
        nav aria-label="Sections" {
            @for (id, name) in [("matrix", "Matrix"), ("why", "Why"), ("paths", "Paths"), ("repeat", "Repeat")] {
                a href={ "#" (id) } { (name) }
            }
        }
    };
    let body = html! {
        article id="top" {
            header {
                p.eyebrow { "pushbench reach" }
                (heading(1, None, &html! { "Which transport gets through which path?" }))
                p.conditions { (unbroken(&conditions(&matrix.header))) }
            }
            section id="matrix" {
                (heading(2, None, &html! { "Matrix" }))
                p.soft { "Each cell: whether events get through and the time to the first event; whether a subscription survives the silence; the time until either side notices a dead peer; the setting that cures what is missing." }
                (table(matrix))
            }
            section id="why" { (heading(2, None, &html! { "Why, and what cures it" })) (reasons(matrix)) }
            section id="paths" { (heading(2, None, &html! { "Paths" })) (paths(matrix)) }
            section id="repeat" {
                (heading(2, None, &html! { "Run it again" }))
                (command("The same matrix again, on this machine", &matrix.header.command))
                (command("The same page, from the record", &format!("pushbench report {} --format html", shell_words::quote(dir))))
                p.soft { "Measured by pushbench " (matrix.header.version) ", " (matrix.header.began) "." }
            }
        }
    };
    visible(&Frame { title: "pushbench reach", bar }.around(&body).into_string())
}

fn table(matrix: &Matrix) -> Markup {
    let (paths, arms) = axes(matrix);
    let content = html! {
        table.wide.matrix {
            caption.hidden { "Matrix of paths and arms" }
            thead { tr { td {} @for arm in &arms { th scope="col" { bdi { (arm_name(matrix, arm)) } } } } }
            tbody {
                @for path in paths {
                    tr {
                        th scope="row" { bdi { (path) } }
                        @for arm in &arms { @if let Some(cell) = find(matrix, path, arm) { (cell_of(cell)) } @else { td {} } }
                    }
                }
            }
        }
    };
    scrolled("Matrix of paths and arms", &content)
}

fn cell_of(cell: &Cell) -> Markup {
    let class = match (cell.through, cell.survives_silence) {
        (Some(false), _) | (_, Some(false)) => "worse",
        (Some(true), _) => "better",
        (None, _) => "soft",
    };
    let why = Some(&cell.why).filter(|why| !why.is_empty());
    html! {
        td.word.(class) title=[why] {
            (unbroken(&Shown::Passage.word(cell)))
            @if cell.through == Some(true) {
                br; span.soft { "silence: " (Shown::Silence.word(cell)) }
                br; span.soft { "dead peer: " (unbroken(&Shown::PeerDeath.word(cell))) }
            }
            @if let Some(cure) = &cell.cure { br; span.soft { "cure: " code { (cure) } } }
        }
    }
}

fn reasons(matrix: &Matrix) -> Markup {
    let head = ["path", "arms", "why, and what cures it"].map(str::to_owned).to_vec();
    let rows = notes(matrix).into_iter().map(|n| vec![n.path, n.arms, n.text]);
    let grid: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    html! {
        @if grid.len() > 1 { div.parity { (stacked("Reasons and cures", &grid)) } } @else { p.soft { "Every cell got through." } }
    }
}

fn paths(matrix: &Matrix) -> Markup {
    html! {
        dl.facts { @for path in axes(matrix).0 { div { dt { bdi { (path) } } dd { (about(path)) } } } }
    }
}
