//! The result of `pushbench scorecard` as a page.

use crate::html::frame::{Frame, heading, stacked, unbroken};
use crate::html::summary::command;
use crate::scorecard::{
    CLAIMS, answers, conditions, depends_on, duties, not_measured, overview, sources, verdict,
};
use crate::visible::visible;
use maud::{Markup, html};
use pushbench_analysis::scorecard::{Card, Factor};

/// The page. `dir`: the directory of the record.
pub fn render(card: &Card, dir: &str) -> String {
    let id = |name: &str| name.replace(' ', "-");
    let record = &card.record;
    let further = [
        ("duties", "What has to be built", duties(card)),
        ("not-measured", "Not measured", not_measured(card)),
        ("sources", "Figures from", sources(card)),
    ];
    let bar = html! {
        nav aria-label="Sections" {
            a href="#overview" { "Overview" }
            @for factor in &card.factors { a href={ "#" (id(factor.factor)) } { (factor.factor) } }
            @for (id, title, _) in &further { a href={ "#" (id) } { (title) } }
        }
    };
    let body = html! {
        article id="top" {
            header {
                p.eyebrow { "pushbench scorecard" }
                (heading(1, None, &html! { "Webhook or WebSocket: " (record.webhook) " and " (record.websocket) }))
                p.conditions { (unbroken(&conditions(card))) }
            }
            section id="overview" {
                (heading(2, None, &html! { "Five factors" }))
                div.parity { (stacked("Verdict on the claim about each factor", &overview(card))) }
                p.soft { (CLAIMS) }
            }
            @for factor in &card.factors { section id=(id(factor.factor)) { (of_factor(factor)) } }
            @for (id, title, lines) in &further {
                section id=(id) {
                    (heading(2, None, &html! { (title) }))
                    ul { @for item in lines { li { (item) } } }
                }
            }
            section id="repeat" {
                (heading(2, None, &html! { "Run it again" }))
                (command("The same card again, on this machine", &record.command))
                (command("The same page, from the record", &format!("pushbench report {} --format html", shell_words::quote(dir))))
            }
        }
    };
    let title = format!("{} and {}: pushbench scorecard", record.webhook, record.websocket);
    visible(&Frame { title: &title, bar }.around(&body).into_string())
}

fn of_factor(factor: &Factor) -> Markup {
    html! {
        (heading(2, None, &html! { (factor.factor) }))
        p { (factor.question) }
        p { "Claim: " (factor.claim) }
        p { "Verdict: " strong { (verdict(factor)) } }
        @if let Some(line) = depends_on(factor) { p { (line) } }
        @if !factor.because.is_empty() {
            div.parity { (stacked(&format!("Answers: {}", factor.factor), &answers(factor))) }
        }
        @if !factor.not_measured.is_empty() {
            p { "Not measured:" }
            ul { @for missing in &factor.not_measured { li { (missing) } } }
        }
    }
}
