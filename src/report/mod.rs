//! Renders what `compare` has decided. One file a format; nothing is computed here.

pub mod chart;
pub mod findings;
pub mod html;
pub mod json;
pub mod markdown;
mod overview;
pub mod table;
pub mod text;
pub mod visible;

use crate::compare::Report;

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
}

/// Every format there is.
pub const ALL: [Format; 5] =
    [Format::Text, Format::Json, Format::Markdown, Format::Html, Format::Svg];

impl Format {
    /// Its name for `--format`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Markdown => "markdown",
            Format::Html => "html",
            Format::Svg => "svg",
        }
    }

    /// One line for `pushbench list formats`.
    pub fn about(self) -> &'static str {
        match self {
            Format::Text => {
                "the table, trust and parity lines and the sentence, as at the end of a run"
            }
            Format::Json => "every figure, schema 1; the same bytes for the same records",
            Format::Markdown => "the same table for a pull request or a design document",
            Format::Html => {
                "report.html: verdict, charts and record in one file, of one run or of several"
            }
            Format::Svg => "one chart of the page (--chart NAME)",
        }
    }

    /// Renders a report; `None` where it takes what stands behind the report, too: [`html::render`],
    /// [`chart::all`].
    pub fn render(self, report: &Report) -> Option<String> {
        match self {
            Format::Text => Some(text::render(report)),
            Format::Json => Some(json::render(report)),
            Format::Markdown => Some(markdown::render(report)),
            Format::Html | Format::Svg => None,
        }
    }
}

#[cfg(test)]
mod tests;
