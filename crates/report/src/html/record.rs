//! What the two sides have in common and what not, where it ran, and the files behind every figure.

use crate::html::Run;
use crate::html::frame::{heading, scrolled, table};
use maud::{Markup, html};
use pushbench_analysis::compare::Point;
use pushbench_core::cpu_list::Cpus;
use pushbench_core::record::findings::{Finding, Known};

/// Parity, findings, environment, files.
pub(super) fn record(run: &Run<'_>) -> Markup {
    let title = |text: &str| heading(run.level + 2, None, &html! { (text) });
    html! {
        @if let Some(point) = run.page.report.points.first() {
            (title("Parity"))
            (parity(point))
        }
        @if !run.page.facts.findings.rows.is_empty() {
            (title("Verified before the run"))
            (findings(run))
        }
        div.two {
            section aria-label="Environment" { (title("Environment")) (environment(run)) }
            section aria-label="Files" { (title("Raw files")) (files(run)) }
        }
        (title("How each arm was started"))
        (arms(run))
    }
}

/// Rows that differ come first and are marked.
fn parity(point: &Point) -> Markup {
    let mut rows: Vec<_> = point.parity.rows.iter().collect();
    rows.sort_by_key(|r| r.same);
    html! {
        @if point.parity.different_programs {
            p { "The arms run different programs: the comparison is of these programs, not of the transports alone." }
        }
        (scrolled("Parity", &html! {
            table.parity {
                caption.hidden { "Parity" }
                thead { tr { td {} @for a in &point.arms { th scope="col" { bdi { (a.arm) } } } th scope="col" { "" span.hidden { "agreement" } } } }
                tbody {
                    @for row in rows {
                        tr.differs[!row.same] {
                            th scope="row" { (row.property) }
                            @for p in &row.arms { td { bdi { (p.value) } " " span.soft { (known(p.known)) } } }
                            td { @if row.same { "same" } @else if row.arms.iter().any(|p| p.known == Known::Unknown) { "unknown" } @else { "≠ differs" } }
                        }
                    }
                }
            }
        }))
        p.soft { "Tested: observed from outside. Declared: said by the target itself, also by a built-in one, by its description, or by the driver." }
    }
}

fn known(known: Known) -> &'static str {
    match known {
        Known::Tested => "tested",
        Known::Declared => "declared",
        Known::Unknown => "unknown",
    }
}

fn findings(run: &Run<'_>) -> Markup {
    let v = &run.page.facts.findings;
    let cell = |f: &Option<Finding>| match f {
        None => "–".to_owned(),
        Some(f) => {
            let detail = f.detail.as_ref().map_or(String::new(), |d| format!(" ({d})"));
            format!("{}{detail} {}", f.value, known(f.known))
        }
    };
    let mut head = vec!["property".to_owned()];
    head.extend(v.arms.iter().cloned());
    let row = |r: &pushbench_analysis::compare::verified::Row| {
        let mark = if r.differs { " ≠" } else { "" };
        let mut row = vec![format!("{}{mark}", r.aspect.name())];
        row.extend(r.arms.iter().map(cell));
        row
    };
    let grid: Vec<Vec<String>> = std::iter::once(head).chain(v.rows.iter().map(row)).collect();
    table("Verified before the run", &grid)
}

fn environment(run: &Run<'_>) -> Markup {
    let (f, report) = (&run.page.facts, &run.page.report);
    let cpus = |side: &str| f.placement.get(side).map(|c| Cpus(c).to_string()).unwrap_or_default();
    let mut rows = vec![
        ("scenario".to_owned(), report.scenario.clone()),
        ("seed".to_owned(), report.seed.to_string()),
        ("pushbench".to_owned(), format!("{} (records of schema {})", f.pushbench, f.schema)),
        ("began".to_owned(), f.started.clone()),
        ("ended".to_owned(), f.finished.clone().unwrap_or("cut short".to_owned())),
        ("driver on CPU".to_owned(), cpus("driver")),
        ("target on CPU".to_owned(), cpus("target")),
    ];
    rows.extend(f.environment.iter().map(|(k, v)| (k.clone(), v.clone())));
    rows.push(("command".to_owned(), f.command.clone()));
    html! { dl.facts { @for (name, value) in rows { div { dt { bdi { (name) } } dd { bdi { (value) } } } } } }
}

fn files(run: &Run<'_>) -> Markup {
    html! {
        p.soft { "Every figure of this page can be derived from them again: full histograms of every trial, one record per line." }
        ul.files {
            @for file in &run.source.files {
                li { @match &file.href {
                    Some(href) => a href=(href) { bdi { (file.name) } },
                    None => code { (file.name) },
                } }
            }
        }
    }
}

fn arms(run: &Run<'_>) -> Markup {
    html! {
        dl.facts {
            @for arm in &run.page.facts.arms {
                div {
                    dt { bdi { (arm.label) } }
                    dd { @match &arm.command {
                        Some(words) => code { (shell_words::join(words)) },
                        None => { "a server that was already running at " bdi { (arm.host) } },
                    } }
                }
            }
        }
    }
}
