//! The index of a directory tree as a page: a row for each record, which a script sorts and searches, and headline
//! figures of comparable runs over time.

use crate::chart::Chart;
use crate::chart::history::{Named, of_line};
use crate::html::figures::figure;
use crate::html::frame::{Frame, heading, scrolled, unbroken};
use crate::html::summary::command;
use crate::index::{Entry, Index};
use crate::visible::visible;
use maud::{Markup, PreEscaped, html};
use pushbench_analysis::compare::history::History;

const SCRIPT: &str = include_str!("index.js");
/// Sentences of a verdict and arms that are shown at once; the others are folded away.
const SHOWN: usize = 3;
/// The columns behind the record's name.
const COLUMNS: [&str; 8] =
    ["scenario", "arms", "verdict", "validity", "blocks", "began", "machine", "version"];

/// The page.
pub fn render(index: &Index) -> String {
    let sections = [("records", "Records"), ("over-time", "Over time"), ("not-shown", "Not shown")];
    let shown = |id: &str| match id {
        "over-time" => index.histories.iter().any(|h| !h.lines.is_empty()),
        "not-shown" => !index.unread.is_empty(),
        _ => true,
    };
    let bar = html! {
        nav aria-label="Sections" {
            @for (id, name) in sections { @if shown(id) { a href={ "#" (id) } { (name) } } }
        }
    };
    let body = html! {
        article id="top" {
            header {
                p.eyebrow { "pushbench report" }
                (heading(1, None, &html! { "Records in " bdi { (index.dir) } }))
                p.conditions { (index.counts()) }
            }
            section id="records" { (heading(2, None, &html! { "Records" })) (records(index)) }
            @if shown("over-time") { section id="over-time" { (over_time(index)) } }
            @if shown("not-shown") { section id="not-shown" { (not_shown(index)) } }
            section id="repeat" {
                (heading(2, None, &html! { "Make it again" }))
                (command("The same page, from the records", &format!("pushbench report {} --output {}", shell_words::quote(&index.dir), shell_words::quote(&index.output))))
            }
        }
        script { (PreEscaped(SCRIPT)) }
    };
    visible(&Frame { title: &format!("pushbench: {}", index.dir), bar }.around(&body).into_string())
}

fn records(index: &Index) -> Markup {
    html! {
        p.search hidden {
            label for="search" { "Search" } " " input id="search" type="search" autocomplete="off";
            " " span role="status" id="matches" {}
            " " label for="sort" { "Sort by " select id="sort" autocomplete="off" {} }
        }
        (scrolled("Records", &html! {
            table.wide.stack.records {
                caption.hidden { "Records, the newest first" }
                thead { tr { th scope="col" { "record" } @for name in COLUMNS { th scope="col" { (name) } } } }
                tbody { @for entry in &index.entries { (record(entry)) } }
            }
        }))
    }
}

fn record(entry: &Entry) -> Markup {
    let row = &entry.row;
    html! {
        tr {
            th scope="row" { (page(entry)) }
            td data-label="scenario" { bdi { (row.scenario) } }
            td data-label="arms" { (folded(&row.arms, "arm")) }
            td.verdict data-label="verdict" {
                @if let Some((class, word)) = row.outcome { strong.(class) { (word) } " " }
                (folded(&row.verdict.iter().map(|s| unbroken(s)).collect::<Vec<_>>(), "sentence"))
            }
            td data-label="validity" { span.(if row.sound { "sound" } else { "unsound" }) { (row.validity) } }
            td data-label="blocks" { @match row.blocks { Some([valid, run]) => { (valid) "/" (run) }, None => "–" } }
            td data-label="began" { time datetime=(row.began) title=(row.began) { (row.day()) } }
            td data-label="machine" { bdi { (row.machine) } }
            td data-label="version" { bdi { (row.pushbench) } }
        }
    }
}

/// The record's name, which leads to its page, or how to make one.
fn page(entry: &Entry) -> Markup {
    let href = entry.page.as_ref().and_then(|page| page.href.as_ref());
    html! {
        @match href { Some(href) => a href=(href) { bdi { (entry.name) } }, None => bdi { (entry.name) } }
        div.soft { (entry.row.kind) @if let (None, Some(page)) = (href, &entry.page) { ", " code { (page.name) } } }
        @if entry.page.is_none() {
            details { summary { "no page" span.hidden { " of " bdi { (entry.name) } } } code { (entry.command) } }
        }
    }
}

/// A line each; many are folded away.
fn folded(lines: &[String], what: &str) -> Markup {
    let (first, rest) = lines.split_at(lines.len().min(SHOWN));
    html! {
        @for text in first { div { bdi { (text) } } }
        @if !rest.is_empty() {
            details { summary { (rest.len()) " more " (what) @if rest.len() > 1 { "s" } } @for text in rest { div { bdi { (text) } } } }
        }
    }
}

fn over_time(index: &Index) -> Markup {
    let runs = index.runs();
    html! {
        (heading(2, None, &html! { "Over time" }))
        p.soft { "A line holds runs that may be compared: of one scenario with the same settings and arms, by one version of pushbench, on one machine." }
        @for (number, history) in index.histories.iter().enumerate() {
            @if !history.lines.is_empty() { (of_history(number + 1, history, &runs)) }
        }
    }
}

fn of_history(number: usize, history: &History, runs: &[&Entry]) -> Markup {
    let members: Vec<&Entry> = history.runs.iter().map(|run| runs[*run]).collect();
    let named: Vec<Named<'_>> =
        members.iter().map(|e| (e.name.as_str(), e.row.began.as_str())).collect();
    let charts: Vec<Chart> = history
        .lines
        .iter()
        .enumerate()
        .filter_map(|(line, of)| {
            let metric = of.metric.replace(['.', '_'], "-");
            of_line(&format!("history-{number}-{}-{metric}", line + 1), history, of, &named)
        })
        .collect();
    let oldest = &members[0].row;
    html! {
        section.history aria-label={ "History " (number) } {
            (heading(3, None, &html! { bdi { (history.scenario) } ": " (members.len()) " runs" }))
            p.soft { bdi { (oldest.machine) } ", pushbench " bdi { (oldest.pushbench) } }
            @if !history.differs.is_empty() {
                p.soft { "Not in one line with earlier runs of this scenario: " @for (i, d) in history.differs.iter().enumerate() { @if i > 0 { "; " } bdi { (d) } } "." }
            }
            @for (i, chart) in charts.iter().enumerate() {
                details.metric open[i == 0] { summary { bdi { (chart.title) } } (figure("", 4, chart)) }
            }
        }
    }
}

fn not_shown(index: &Index) -> Markup {
    html! {
        (heading(2, None, &html! { "Not shown" }))
        dl.facts { @for unread in &index.unread { div { dt { bdi { (unread.directory) } } dd { bdi { (unread.why) } } } } }
    }
}
