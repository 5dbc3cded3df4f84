//! Renders what `compare` has decided. One file a format; nothing is computed here.

mod certainty;
pub mod findings;
pub mod json;
pub mod markdown;
mod overview;
pub mod table;
pub mod text;

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
}

/// Every format there is.
pub const ALL: [Format; 3] = [Format::Text, Format::Json, Format::Markdown];

impl Format {
    /// Its name for `--format`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Markdown => "markdown",
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
        }
    }

    /// Renders a report.
    pub fn render(self, report: &Report) -> String {
        match self {
            Format::Text => text::render(report),
            Format::Json => json::render(report),
            Format::Markdown => markdown::render(report),
        }
    }
}

#[cfg(test)]
mod tests;
