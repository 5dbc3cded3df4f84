//! Whether to believe it: blocks, what was voided and why, and what the machine did meanwhile.

use crate::html::Run;
use crate::html::frame::{heading, table};
use crate::{notes, table as cells};
use maud::{Markup, html};
use pushbench_analysis::compare::charts::blocks::Block;
use pushbench_analysis::compare::{Point, Standing, Validity};
use pushbench_core::units;

/// The panel of a run, a part a point.
pub(super) fn panel(run: &Run<'_>) -> Markup {
    let points = &run.page.report.points;
    let (class, word) = match Standing::of(points) {
        Standing::Sound => ("well", "✓ Every trial is valid."),
        Standing::TooFew => {
            ("ill", "⚠ Every trial is valid, but there are too few blocks for a claim.")
        }
        Standing::Movable => {
            ("ill", "⚠ Every trial is valid, but the notes below affect figures: read them first.")
        }
        Standing::Unsound => ("ill", "⚠ Read these notes first."),
    };
    html! {
        section.card.validity.(class) aria-label="Validity" {
            (heading(run.level + 2, None, &html! { "Validity" }))
            p.word { (word) }
            @if points.len() > 1 { (of_sweep(run)) }
            @else { @for (point, evidence) in points.iter().zip(&run.page.evidence) { (of_point(run, point, &evidence.blocks)) } }
        }
    }
}

/// A line a setting, and the notes of those that have some.
fn of_sweep(run: &Run<'_>) -> Markup {
    let points = &run.page.report.points;
    let head = meters(&points[0].validity).map(|(what, ..)| what.to_owned());
    let head = std::iter::once("setting".to_owned()).chain(head).collect();
    let row = |p: &Point| {
        let values = meters(&p.validity).map(|(_, value, _)| value);
        std::iter::once(cells::setting(p)).chain(values).collect()
    };
    let grid: Vec<Vec<String>> = std::iter::once(head).chain(points.iter().map(row)).collect();
    let voided: Vec<Vec<String>> = points
        .iter()
        .zip(&run.page.evidence)
        .flat_map(|(p, e)| {
            voided(&e.blocks).into_iter().map(|row| [vec![cells::setting(p)], row].concat())
        })
        .collect();
    html! {
        (table("Validity by setting", &grid))
        @for point in points {
            @if !point.validity.notes.is_empty() {
                p { bdi { (cells::setting(point)) } }
                (notes_of(run, point))
            }
        }
        @if !voided.is_empty() { (voided_table(&["setting", "block", "why", "longest stall", "steal"], voided)) }
    }
}

/// The notes, those that can move a figure with the number of their mark.
fn notes_of(run: &Run<'_>, point: &Point) -> Markup {
    html! {
        ul.notes {
            @for (number, note) in point.validity.numbered() {
                @match number {
                    Some(n) => li.moves id=(note_id(run, point, n)) { strong { "⚠ " (n) } " " bdi { (note.text) } },
                    None => li { bdi { (note.text) } },
                }
            }
        }
    }
}

fn note_id(run: &Run<'_>, point: &Point, number: usize) -> String {
    let index = run.page.report.points.iter().position(|p| std::ptr::eq(p, point));
    run.id(&format!("note-{}-{number}", index.unwrap_or(0) + 1))
}

/// A mark at a figure that links to the first note that affects it.
pub(super) fn mark(run: &Run<'_>, point: &Point, numbers: &[usize]) -> Markup {
    let texts: Vec<&str> = point
        .validity
        .numbered()
        .filter(|(number, _)| number.is_some_and(|n| numbers.contains(&n)))
        .map(|(_, note)| note.text.as_str())
        .collect();
    html! {
        a.mark href={ "#" (note_id(run, point, numbers[0])) } title=(texts.join("\n")) {
            "⚠" span.hidden { " note" } " " (notes::list(numbers))
        }
    }
}

fn of_point(run: &Run<'_>, point: &Point, blocks: &[Block]) -> Markup {
    html! {
        @if !point.validity.notes.is_empty() {
            (notes_of(run, point))
        }
        (squares(blocks))
        dl.meters {
            @for (what, value, meaning) in meters(&point.validity) {
                div { dt { (what) } dd { (value) } dd.soft { (meaning) } }
            }
        }
        @let voided = voided(blocks);
        @if !voided.is_empty() { (voided_table(&["block", "why", "longest stall", "steal"], voided)) }
    }
}

/// One square per block, coloured by validity.
fn squares(blocks: &[Block]) -> Markup {
    html! {
        ol.blocks aria-label="Blocks in the order of the run" {
            @for block in blocks {
                @let (class, word) = match (block.void.is_empty(), block.missing) {
                    (_, n) if n > 0 => ("cut", "cut short"),
                    (true, _) => ("ok", "valid"),
                    (false, _) => ("void", "voided"),
                };
                li.(class) title={ "block " (block.index + 1) ": " (word) ", longest stall " (cells::time(block.hiccup_max_ns)) } {
                    span.hidden { "block " } (block.index + 1) span.hidden { ": " (word) }
                }
            }
        }
    }
}

/// What each figure of trust is, its value, and what it is held against.
fn meters(validity: &Validity) -> [(&'static str, String, &'static str); 9] {
    let t = &validity.trust;
    let time = |ns: Option<u64>| ns.map_or(cells::NONE.to_owned(), |v| units::nanos_text(v as f64));
    let share = |s: Option<f64>| {
        s.map_or(cells::NONE.to_owned(), |s| format!("{:.1} %", s.min(1.0) * 100.0))
    };
    let blocks = format!("{} of {}", t.blocks_valid, t.blocks_run);
    [
        ("blocks valid", blocks, "at least 8 are needed for a claim"),
        (
            "driver's lag, p50",
            time(t.lag_p50_ns),
            "invalid, with late reading, above a tenth of the response or 200 µs, at most half of it",
        ),
        (
            "driver's lag, p99",
            time(t.lag_p99_ns),
            "a verdict must also hold with lag and late reading subtracted",
        ),
        ("late reading, p50", time(t.reading_p50_ns), "part of the same budget"),
        ("spill", share(t.spill), "events still open in another arm's slice; warning above 5 %"),
        (
            "machine's stalls, p99",
            time(t.hiccup_p99_ns),
            "measured next to the driver, once per millisecond",
        ),
        ("steal", share(t.steal), "CPU time taken by the hypervisor"),
        (
            "driver's longest pause",
            time(t.longest_pause_ns),
            "a block is void above 5 % of its window, at least 100 ms",
        ),
        (
            "blocks with other runs active",
            t.blocks_beside_other_runs.to_string(),
            "another run of pushbench measured on the same CPUs",
        ),
    ]
}

fn voided(blocks: &[Block]) -> Vec<Vec<String>> {
    let row = |b: &Block| {
        vec![
            (b.index + 1).to_string(),
            b.void.join("; "),
            cells::time(b.hiccup_max_ns),
            units::nanos_text(b.steal_ns as f64),
        ]
    };
    blocks.iter().filter(|b| !b.void.is_empty()).map(row).collect()
}

fn voided_table(head: &[&str], rows: Vec<Vec<String>>) -> Markup {
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    let grid: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    html! {
        details.data open {
            summary { "Voided trials and reasons" }
            (table("Voided blocks", &grid))
        }
    }
}
