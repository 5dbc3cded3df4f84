//! Renders what `compare` has decided. One file a format; nothing is computed here.

#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod accuracy;
pub mod advice;
pub mod bencher;
pub mod capacity;
mod certainty;
pub mod chart;
mod conditions;
mod cost;
pub mod csv;
mod duplex;
mod fanout;
mod file_names;
pub mod findings;
pub mod gate;
pub(crate) mod github_action;
pub mod gobench;
mod guarantee;
mod headline;
pub mod hgrm;
pub mod hlog;
pub mod html;
mod idle;
pub mod index;
pub mod json;
pub mod junit;
mod layers;
pub mod layout;
pub mod markdown;
mod notes;
mod overview;
mod path;
pub mod qualification;
pub mod reach;
pub mod runs;
pub mod scorecard;
pub mod table;
pub mod text;

pub use pushbench_core::visible;

use pushbench_analysis::compare::Report;
use pushbench_analysis::compare::evidence::Evidence;

/// A report format by name. A newcomer registers here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As on the terminal.
    Text,
    /// Schema 1.
    Json,
    /// For a pull request or a design document.
    Markdown,
    /// A page of one file.
    Html,
    /// One of the page's charts.
    Svg,
    /// A row a trial and arm.
    Csv,
    /// Percentile distributions of HdrHistogram.
    Hgrm,
    /// Interval logs of HdrHistogram.
    Hlog,
    /// For the test pages of CI servers.
    Junit,
    /// github-action-benchmark.
    GithubAction,
    /// Bencher Metric Format.
    Bencher,
    /// Go's benchmark data, for benchstat.
    Gobench,
}

/// Every format there is.
pub const ALL: [Format; 12] = [
    Format::Text,
    Format::Json,
    Format::Markdown,
    Format::Html,
    Format::Svg,
    Format::Csv,
    Format::Hgrm,
    Format::Hlog,
    Format::Junit,
    Format::GithubAction,
    Format::Bencher,
    Format::Gobench,
];

/// What a format makes of a run.
#[derive(Debug)]
pub enum Output {
    /// One file, or standard output.
    One(String),
    /// Several files, for a directory.
    Several(Vec<File>),
}

/// A file of several.
#[derive(Debug)]
pub struct File {
    /// Its name, without a path.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Format {
    /// Its name for `--format`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Markdown => "markdown",
            Format::Html => "html",
            Format::Svg => "svg",
            Format::Csv => "csv",
            Format::Hgrm => "hgrm",
            Format::Hlog => "hlog",
            Format::Junit => "junit",
            Format::GithubAction => "github-action-benchmark",
            Format::Bencher => "bencher",
            Format::Gobench => "gobench",
        }
    }

    /// One line for `pushbench list formats`.
    pub fn about(self) -> &'static str {
        match self {
            Format::Text => "table, trust, parity and summary, as at the end of a run",
            Format::Json => "every figure (schema 1); identical bytes for identical records",
            Format::Markdown => "verdict and table, for a pull request or a design document",
            Format::Html => {
                "report.html: verdict, charts and record in one file, of one run or of several"
            }
            Format::Svg => "one chart of the page (--chart NAME)",
            Format::Csv => "one row per trial and arm with all its figures, units in the header",
            Format::Hgrm => {
                "percentile distributions for HdrHistogram's plotter, in µs (a directory)"
            }
            Format::Hlog => {
                "interval logs V2 of HdrHistogram, tagged by arm and untagged (a directory)"
            }
            Format::Junit => {
                "JUnit XML: one test case per judged line, skipped where the gate cannot tell"
            }
            Format::GithubAction => {
                "github-action-benchmark: one file for smaller-is-better, one for bigger-is-better (a directory)"
            }
            Format::Bencher => "Bencher Metric Format with lower and upper values over blocks",
            Format::Gobench => "Go benchmark format for benchstat, one line per valid trial",
        }
    }

    /// How a file of this format is called; `None` for a directory of several.
    pub fn file_name(self) -> Option<&'static str> {
        match self {
            Format::Text => Some("report.txt"),
            Format::Json => Some("report.json"),
            Format::Markdown => Some("report.md"),
            Format::Html => Some("report.html"),
            Format::Svg => Some("chart.svg"),
            Format::Csv => Some("trials.csv"),
            Format::Junit => Some("junit.xml"),
            Format::Bencher => Some("bencher.json"),
            Format::Gobench => Some("bench.txt"),
            Format::Hgrm | Format::Hlog | Format::GithubAction => None,
        }
    }

    /// Renders a run; `None` where it takes more than this: [`html::render`], [`chart::all`].
    pub fn render(self, report: &Report, evidence: &Evidence<'_>) -> Option<Output> {
        Some(match self {
            Format::Html | Format::Svg => return None,
            Format::Text => Output::One(text::render(report, text::Look::PLAIN)),
            Format::Json => Output::One(json::render(report)),
            Format::Markdown => Output::One(markdown::render(report, evidence)),
            Format::Csv => Output::One(csv::render(report, evidence)),
            Format::Hgrm => Output::Several(hgrm::files(report, evidence)),
            Format::Hlog => Output::Several(hlog::files(report, evidence)),
            Format::Junit => Output::One(junit::render(report, evidence)),
            Format::GithubAction => Output::Several(github_action::files(report, evidence)),
            Format::Bencher => Output::One(bencher::render(report, evidence)),
            Format::Gobench => Output::One(gobench::render(report, evidence)),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
