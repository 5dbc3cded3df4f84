//! The page: one file without any reference outside of itself, readable without script, on paper, in the
//! dark and on a phone.

pub mod advice;
pub mod capacity;
mod cost;
mod figures;
mod frame;
pub mod gate;
pub mod index;
pub mod reach;
mod record;
pub mod scorecard;
mod summary;
mod sweep;
mod tiles;
mod validity;

use crate::chart;
use crate::chart::{Chart, Kind};
use crate::overview;
use crate::visible::visible;
use frame::{Frame, heading};
use maud::{Markup, html};
use pushbench_analysis::compare::charts::Page;
use pushbench_core::scenario::Flow;

/// A raw file in the directory of the page.
#[derive(Debug, Clone)]
pub struct RawFile {
    /// Its name.
    pub name: String,
    /// Where the page finds it; `None` where it is not known where the page will lie.
    pub href: Option<String>,
}

/// A run and its files.
#[derive(Debug, Clone)]
pub struct Source {
    /// What is shown.
    pub page: Page,
    /// The results directory, for commands: `results/readme-ingest`.
    pub dir: String,
    /// Its files.
    pub files: Vec<RawFile>,
}

/// A run being shown: what its sections share.
struct Run<'a> {
    source: &'a Source,
    page: &'a Page,
    charts: Vec<Chart>,
    /// Before every identifier, so that runs on a page do not share any.
    prefix: String,
    /// Level of the run's own heading.
    level: u8,
    /// The sections of [`HALVES`] have a chart each and are shown in two columns.
    halves: bool,
}

/// Sections that fit into two columns where each has one chart.
const HALVES: [&str; 2] = ["ratios", "percentiles"];

/// The page of one run, or of several with an index.
pub fn render(sources: &[Source]) -> String {
    let several = sources.len() > 1;
    let run = |(number, source): (usize, &'_ Source)| {
        let prefix = if several { format!("run{}-", number + 1) } else { String::new() };
        let (page, level) = (&source.page, if several { 2 } else { 1 });
        (chart::all(page), prefix, level)
    };
    let shared: Vec<(Vec<Chart>, String, u8)> = sources.iter().enumerate().map(run).collect();
    let runs: Vec<Run<'_>> = sources
        .iter()
        .zip(shared)
        .map(|(source, (charts, prefix, level))| {
            let single = |kind| charts.iter().filter(|c| c.kind == kind).count() == 1;
            let halves = single(Kind::Forest) && single(Kind::Spectrum);
            Run { source, page: &source.page, charts, prefix, level, halves }
        })
        .collect();
    let title = match runs.as_slice() {
        [one] => format!("pushbench: {}", one.page.report.scenario),
        many => format!("pushbench: {} runs", many.len()),
    };
    let body = html! {
        @if several { (index(&runs)) }
        @for run in &runs { (run.article()) }
    };
    // Whatever a name or a message of a target brought along is shown here at the latest.
    visible(&Frame { title: &title, bar: frame::bar(&runs) }.around(&body).into_string())
}

/// What a team publishes: a line a run, each leading to its section.
fn index(runs: &[Run<'_>]) -> Markup {
    html! {
        section.index id="index" {
            h1 { (runs.len()) " runs" }
            ol {
                @for run in runs {
                    @let report = &run.page.report;
                    li {
                        a href={ "#" (run.prefix) "top" } { bdi { (report.scenario) } }
                        " " span.soft { (day(&run.page.facts.started)) }
                        @if !report.complete { " " strong.bad { "incomplete" } }
                        p { bdi { (report.question) } }
                        (summary::claims(run))
                    }
                }
            }
        }
    }
}

/// `2026-11-24` of an instant.
fn day(instant: &str) -> &str {
    instant.get(..10).unwrap_or(instant)
}

impl Run<'_> {
    /// More than the bar at the top has room for.
    fn has_many_arms(&self) -> bool {
        self.page.report.points.first().is_some_and(|p| p.arms.len() > overview::FEW)
    }

    fn has_sweep(&self) -> bool {
        self.charts.iter().any(|c| c.kind == Kind::Sweep) || figures::strata(self).is_some()
    }

    /// Whether a section has something to say: an idle flow publishes an event or two, whose times are no
    /// distribution.
    fn shows(&self, section: &str) -> bool {
        let idle = self.page.report.points.first().is_some_and(|p| p.design.flow == Flow::Idle);
        match section {
            "sweep" => self.has_sweep(),
            "layers" => figures::layers(self).is_some(),
            "freshness" => self.charts.iter().any(|c| c.kind == Kind::Freshness),
            "percentiles" | "time" => !idle,
            _ => true,
        }
    }

    fn id(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn article(&self) -> Markup {
        html! {
            article id=(self.id("top")) {
                (summary::header(self))
                @if self.level > 1 || self.has_many_arms() { (frame::arms(self)) }
                (self.section("verdict", "Verdict", &summary::verdict(self)))
                @if self.shows("freshness") { (self.charts_of("freshness", "Until all was well", Kind::Freshness)) }
                @if let Some(costs) = figures::layers(self) {
                    (self.section("layers", "What each layer costs", &costs))
                }
                (self.charts_of("ratios", "Ratios", Kind::Forest))
                @if self.shows("percentiles") { (self.charts_of("percentiles", "Percentiles", Kind::Spectrum)) }
                (self.sweep())
                @if self.shows("time") { (self.charts_of("time", "Over time", Kind::Time)) }
                (self.charts_of("blocks", "Block by block", Kind::Paired))
                (self.section("cost", "Cost and ease", &cost::cost(self)))
                (self.section("record", "What was compared, and where", &record::record(self)))
            }
        }
    }

    fn section(&self, name: &str, title: &str, body: &Markup) -> Markup {
        let half = self.halves && HALVES.contains(&name);
        html! {
            section.half[half] id=(self.id(name)) {
                (heading(self.level + 1, None, &html! { (title) }))
                (body)
            }
        }
    }

    /// The sweep's own section, or the strata of a load.
    fn sweep(&self) -> Markup {
        let strata = figures::strata(self);
        let charts = figures::of_kind(self, Kind::Sweep);
        if strata.is_none() && charts.is_none() {
            return html! {};
        }
        let title = match &self.page.sweep {
            Some(sweep) => format!("By {}", sweep.key),
            None => "Latency by stratum".to_owned(),
        };
        self.section(
            "sweep",
            &title,
            &html! { (charts.unwrap_or_default()) (strata.unwrap_or_default()) },
        )
    }

    fn charts_of(&self, name: &str, title: &str, kind: Kind) -> Markup {
        let nothing = || html! { p.soft { (figures::why_nothing(self, kind)) } };
        let body = figures::of_kind(self, kind).unwrap_or_else(nothing);
        self.section(name, title, &body)
    }
}

#[cfg(test)]
pub(crate) mod tests;
