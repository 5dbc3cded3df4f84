//! Whether to believe it: blocks, what was voided and why, and what the machine did meanwhile.

use super::Run;
use super::frame::{heading, table};
use crate::compare::page::blocks::Block;
use crate::compare::{Point, Validity};
use crate::report::table as cells;
use crate::units;
use maud::{Markup, html};

/// The panel of a run, a part a point.
pub(super) fn panel(run: &Run<'_>) -> Markup {
    let points = &run.page.report.points;
    let all_well = points.iter().all(|p| p.validity.ok);
    html! {
        section.card.validity.well[all_well].ill[!all_well] aria-label="Validity" {
            (heading(run.level + 2, None, &html! { "Can it be trusted?" }))
            p.word { @if all_well { "✓ Every trial is valid." } @else { "⚠ Read these notes first." } }
            @for (point, evidence) in points.iter().zip(&run.page.evidence) {
                @if points.len() > 1 {
                    details open[!point.validity.notes.is_empty()] {
                        summary { bdi { (cells::setting(point)) } ": " (blocks_word(point)) }
                        (of_point(point, &evidence.blocks))
                    }
                } @else { (of_point(point, &evidence.blocks)) }
            }
        }
    }
}

fn blocks_word(point: &Point) -> String {
    format!("{} of {} blocks valid", point.design.blocks_valid, point.design.blocks_run)
}

fn of_point(point: &Point, blocks: &[Block]) -> Markup {
    html! {
        @if !point.validity.notes.is_empty() {
            ul.notes { @for note in &point.validity.notes { li { bdi { (note) } } } }
        }
        (squares(blocks))
        (meters(&point.validity))
        @let voided: Vec<&Block> = blocks.iter().filter(|b| !b.void.is_empty()).collect();
        @if !voided.is_empty() {
            details.data {
                summary { "What was voided, and why" }
                (table("Voided blocks", &voided_table(&voided)))
            }
        }
    }
}

/// A square a block: which ones count can be seen at a glance.
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

fn meters(validity: &Validity) -> Markup {
    let t = &validity.trust;
    let time = |ns: Option<u64>| ns.map_or(cells::NONE.to_owned(), |v| units::nanos_text(v as f64));
    let share =
        |s: Option<f64>| s.map_or(cells::NONE.to_owned(), |s| format!("{:.1} %", s * 100.0));
    let all = [
        (
            "blocks valid",
            format!("{} of {}", t.blocks_valid, t.blocks_run),
            "at least 8 are needed to claim anything",
        ),
        (
            "driver's lag, p50",
            time(t.lag_p50_ns),
            "invalid above 200 µs or a tenth of the response",
        ),
        ("driver's lag, p99", time(t.lag_p99_ns), "a verdict stands only without it, too"),
        ("late reading, p50", time(t.reading_p50_ns), "the same budget as lag"),
        ("spill", share(t.spill), "events open in the other arm's slice; warned above 5 %"),
        (
            "machine's stalls, p99",
            time(t.hiccup_p99_ns),
            "a meter beside the driver, once a millisecond",
        ),
        ("steal", share(t.steal), "CPU time the hypervisor took"),
    ];
    html! {
        dl.meters {
            @for (what, value, meaning) in all {
                div { dt { (what) } dd { (value) } dd.soft { (meaning) } }
            }
        }
    }
}

fn voided_table(voided: &[&Block]) -> Vec<Vec<String>> {
    let head = ["block", "why", "longest stall", "steal"].map(str::to_owned).to_vec();
    let row = |b: &&Block| {
        vec![
            (b.index + 1).to_string(),
            b.void.join("; "),
            cells::time(b.hiccup_max_ns),
            units::nanos_text(b.steal_ns as f64),
        ]
    };
    std::iter::once(head).chain(voided.iter().map(row)).collect()
}
