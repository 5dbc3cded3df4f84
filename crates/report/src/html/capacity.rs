//! The result of `pushbench capacity` as a page.

use crate::capacity::{comparison, conditions, grid, question, remarks};
use crate::chart::capacity::of_search;
use crate::html::figures::figure;
use crate::html::frame::{Frame, heading, stacked, table, unbroken};
use crate::html::summary::command;
use crate::visible::visible;
use maud::{Markup, html};
use pushbench_analysis::capacity::window::outcome;
use pushbench_analysis::capacity::{Capacity, value_text};

/// The page. `dir`: the directory of the record.
pub fn render(capacity: &Capacity, dir: &str) -> String {
    let record = &capacity.record;
    let bar = html! {
        nav aria-label="Sections" {
            @for (id, name) in [("capacity", "Capacity"), ("why", "Why"), ("curve", "Curve"), ("windows", "Windows"), ("repeat", "Repeat")] {
                a href={ "#" (id) } { (name) }
            }
        }
    };
    let body = html! {
        article id="top" {
            header {
                p.eyebrow { "pushbench capacity" }
                (heading(1, None, &html! { (question(capacity)) }))
                p.conditions { (unbroken(&conditions(capacity))) }
            }
            section id="capacity" {
                (heading(2, None, &html! { "Capacity" }))
                (table("Capacity of each arm", &grid(capacity)))
                @for c in &capacity.comparisons { p { strong { (comparison(c)) "." } } }
            }
            section id="why" {
                (heading(2, None, &html! { "What gave way" }))
                (reasons(capacity))
            }
            section id="curve" {
                (heading(2, None, &html! { "Around the capacity" }))
                @if let Some(chart) = of_search(capacity) {
                    (figure("", 3, &chart))
                } @else { p.soft { "No window was measured." } }
            }
            section id="windows" {
                (heading(2, None, &html! { "Windows" }))
                details { summary { "Every window in the order in which it was measured" } (table("Windows", &windows(capacity))) }
            }
            section id="repeat" {
                (heading(2, None, &html! { "Run it again" }))
                (command("The same search again, on this machine", &record.command))
                (command("The same page, from the record", &format!("pushbench report {} --format html", shell_words::quote(dir))))
                p.soft { "Measured by pushbench " (record.version) ", " (record.began) "." }
            }
        }
    };
    visible(&Frame { title: "pushbench capacity", bar }.around(&body).into_string())
}

fn reasons(capacity: &Capacity) -> Markup {
    let head = ["arm", "what was seen"].map(str::to_owned).to_vec();
    let rows = remarks(capacity).into_iter().map(|(arm, text)| vec![arm, text]);
    let grid: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    html! { div.parity { (stacked("What gave way", &grid)) } }
}

fn windows(capacity: &Capacity) -> Vec<Vec<String>> {
    let record = &capacity.record;
    let lines = &record.scenario.objective;
    let mut head = vec!["arm".to_owned(), record.of.clone()];
    head.extend(lines.iter().map(|line| line.what.clone()));
    head.extend(["target CPUs", "outcome"].map(str::to_owned));
    let mut grid = vec![head];
    for w in &record.windows {
        let mut row = vec![record.arms[w.arm].clone(), crate::capacity::load(w.load)];
        let value = |i: usize| match w.values.get(i).copied().flatten() {
            Some(value) => value_text(&lines[i].what, value),
            None => "–".to_owned(),
        };
        row.extend((0..lines.len()).map(value));
        row.push(w.target_cpus.map_or("–".to_owned(), |used| format!("{used:.2}")));
        row.push(outcome(w, lines));
        grid.push(row);
    }
    grid
}
