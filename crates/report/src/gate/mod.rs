//! The verdict of a gate: text, JSON, Markdown, JUnit, and what GitHub shows.

pub mod github;
mod junit;
pub(super) mod rows;

use crate::html;
use crate::html::gate::Source;
use crate::markdown::{code, escape, grid};
use crate::text::align;
use crate::visible;
use crate::visible::visible;
use pushbench_analysis::compare::gate::Gate;
use pushbench_core::record::executables::Executables;
use serde::Serialize;
use std::fmt::Write as _;

/// A gate with what was gated.
#[derive(Debug, Serialize)]
pub struct GateSides<'a> {
    /// The base as given on the command line.
    pub base: &'a str,
    /// What the candidate is.
    pub candidate: &'a str,
    /// Which files they ran from, where the record says it.
    pub executables: Option<&'a Executables>,
    /// The command that runs the gate again.
    pub command: &'a str,
    /// Each look; the last one is the verdict.
    pub stages: &'a [Gate],
}

/// A format by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As on the terminal.
    Text,
    /// Everything, schema 1.
    Json,
    /// For a pull request.
    Markdown,
    /// Markdown for the summary of a step, and annotations.
    Github,
    /// A page of one file.
    Html,
    /// JUnit XML, for test pages of CI.
    Junit,
}

/// Every format of a gate.
pub const ALL: [Format; 6] =
    [Format::Text, Format::Json, Format::Markdown, Format::Github, Format::Html, Format::Junit];

impl Format {
    /// The format of that name.
    pub fn named(name: &str) -> Option<Format> {
        ALL.into_iter().find(|f| f.name() == name)
    }

    /// Its name for `--format`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Markdown => "markdown",
            Format::Github => "github",
            Format::Html => "html",
            Format::Junit => "junit",
        }
    }

    /// Renders a gate. Of `github` this is the summary; the annotations stand apart. `source`: what the
    /// page says beside.
    pub fn render(self, sides: &GateSides<'_>, source: Source<'_>) -> String {
        match self {
            Format::Text => text(sides),
            Format::Json => visible::json(&format!("{:#}\n", serde_json::json!(sides))),
            Format::Markdown => markdown(sides, usize::MAX),
            Format::Github => github::summary(sides),
            Format::Html => html::gate::render(sides, source),
            Format::Junit => junit::render(sides, source),
        }
    }
}

impl<'a> GateSides<'a> {
    /// The look that decides; `None` before any.
    fn last(&self) -> Option<&Gate> {
        self.stages.last()
    }

    /// The command, where the gate ended without a verdict.
    pub(crate) fn again(&self) -> Option<&'a str> {
        self.last()?.failure.as_ref().map(|_| self.command)
    }
}

fn text(sides: &GateSides<'_>) -> String {
    let mut out = String::new();
    let Some(gate) = sides.last() else { return out };
    let _ = writeln!(out, "gate: {}", visible(&gate.scenario));
    let _ = writeln!(
        out,
        "base       {}\ncandidate  {}",
        visible(sides.base),
        visible(sides.candidate)
    );
    if let Some(executables) = sides.executables {
        let _ = writeln!(out, "files      {}", visible(&executables.sentence()));
    }
    let _ = writeln!(out, "{}\n", rows::looks(sides.stages));
    let table = |grid: Vec<Vec<String>>, words: usize| {
        let grid: Vec<Vec<String>> =
            grid.iter().map(|row| row.iter().map(|cell| visible(cell)).collect()).collect();
        if grid.len() > 1 { format!("{}\n", align(&grid, 1, words)) } else { String::new() }
    };
    out.push_str(&table(rows::lines(gate), 2));
    let bounds = rows::bounds(gate);
    if !bounds.is_empty() {
        let _ = writeln!(out, "{bounds}\n");
    }
    out.push_str(&table(rows::exact(gate, false), 2));
    for line in &gate.method {
        let _ = writeln!(out, "  {}", visible(line));
    }
    for line in rows::remarks(gate, usize::MAX) {
        let _ = writeln!(out, "! {}", visible(&line));
    }
    let _ = writeln!(out, "{}", visible(&gate.sentence));
    if let Some(command) = sides.again() {
        let _ = writeln!(out, "again: {}", visible(command));
    }
    out
}

/// `most`: so many rows of each table, the worst first, so that it fits.
fn markdown(sides: &GateSides<'_>, most: usize) -> String {
    let mut out = String::new();
    let Some(gate) = sides.last() else { return out };
    let _ = writeln!(out, "### pushbench gate: {}\n", escape(&gate.scenario));
    let _ = writeln!(out, "**{}**\n", escape(&gate.sentence));
    let _ = writeln!(out, "- base: {}\n- candidate: {}", code(sides.base), code(sides.candidate));
    if let Some(executables) = sides.executables {
        let _ = writeln!(out, "- files: {}", escape(&executables.sentence()));
    }
    let _ = writeln!(out, "- {}\n", escape(&rows::looks(sides.stages)));
    table(&mut out, rows::lines(gate), most, "lines");
    let bounds = rows::bounds(gate);
    if !bounds.is_empty() {
        let _ = writeln!(out, "{}\n", escape(&bounds));
    }
    table(&mut out, rows::exact(gate, true), most, "counts");
    for line in &gate.method {
        let _ = writeln!(out, "- {}", escape(line));
    }
    for line in rows::remarks(gate, most) {
        let _ = writeln!(out, "- {}", escape(&line));
    }
    if let Some(command) = sides.again() {
        let _ = writeln!(out, "- again: {}", code(command));
    }
    out
}

/// A heading with at most so many rows, and how many more there are.
fn table(out: &mut String, mut rows: Vec<Vec<String>>, most: usize, what: &str) {
    let all = rows.len() - 1;
    if all == 0 {
        return;
    }
    if most > 0 {
        rows.truncate(most.saturating_add(1));
        grid(out, &rows, 1);
    }
    if all > most {
        let _ = writeln!(out, "{} more {what} are not shown.\n", all - most);
    }
}

#[cfg(test)]
mod tests;
