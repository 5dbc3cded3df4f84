//! The result of `pushbench advise` as a page.

use crate::advice::{costs, lists, verdict};
use crate::html::frame::{Frame, heading, table, unbroken};
use crate::html::summary::command;
use crate::visible::visible;
use maud::html;
use pushbench_analysis::advice::Advice;

/// The page. `typed`: the command that made it.
pub fn render(advice: &Advice, typed: &str) -> String {
    let lists = lists(advice);
    let id = |heading: &str| heading.to_lowercase().replace(' ', "-");
    let bar = html! {
        nav aria-label="Sections" {
            @for (heading, _) in &lists { a href={ "#" (id(heading)) } { (heading) } }
        }
    };
    let workload = &advice.workload;
    let question = if workload.question.is_empty() { &workload.name } else { &workload.question };
    let body = html! {
        article id="top" {
            header {
                p.eyebrow { "pushbench advise" }
                (heading(1, None, &html! { (question) }))
                p.conditions { (unbroken(&verdict(advice))) }
            }
            @for (title, lines) in &lists {
                section id=(id(title)) {
                    (heading(2, None, &html! { (title) }))
                    ul { @for item in lines { li { (item) } } }
                    @if *title == "Because" && !advice.costs.is_empty() {
                        (table("Costs of each transport", &costs(advice)))
                    }
                }
            }
            section id="repeat" {
                (heading(2, None, &html! { "Run it again" }))
                (command("The same advice again", typed))
            }
        }
    };
    let title = format!("{}: pushbench advise", workload.name);
    visible(&Frame { title: &title, bar }.around(&body).into_string())
}
