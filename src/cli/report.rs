//! `pushbench report`

use crate::cli::formats::Stored;
use crate::cli::{deliver, index, look, page, print, stored_run};
use pushbench_analysis::compare;
use pushbench_analysis::compare::evidence::{Evidence, evidence};
use pushbench_analysis::compare::{Report, ranking};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::metrics;
use pushbench_core::record::metrics::{METRICS, Metric};
use pushbench_core::record::run::{Seconds, StoredRun};
use pushbench_core::suggest::did_you_mean;
use pushbench_host::console::error_line;
use pushbench_host::results_store::{self, write_atomically};
use pushbench_report::chart;
use pushbench_report::chart::Chart;
use pushbench_report::html;
use pushbench_report::html::Source;
use pushbench_report::{ALL, File, Format, Output, table, text};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Results directory of a run, gate, qualification, capacity, scorecard, reach or self-test; several runs are shown
    /// on one page; of a directory that holds runs an index is made
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// One of `pushbench list formats`; a gate has text, json, markdown, html, junit and github [default: text, html for
    /// several directories and for an index with --output]
    #[arg(long, value_parser = Stored, hide_possible_values = true)]
    format: Option<String>,
    /// The chart that --format svg writes
    #[arg(long, value_name = "NAME")]
    chart: Option<String>,
    /// Sorts tables of more than three arms by this metric
    #[arg(long, value_name = "METRIC")]
    sort: Option<String>,
    /// Prices the figures: core_hour, gib_hour, egress_gib, request_million, connection_minute_million, message_million,
    /// currency; or example, example-serverless
    #[arg(long = "price", value_name = "KEY=VALUE")]
    prices: Vec<String>,
    /// Writes to this file; - is standard output; a format with several files takes a directory
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
}

/// The metric of `--sort`.
pub fn sorted_by(name: Option<&str>) -> Result<Option<&'static Metric>> {
    let Some(name) = name else { return Ok(None) };
    let known = || METRICS.iter().map(|m| m.name);
    let unknown = || {
        let hint = did_you_mean(name, known());
        Error::usage(format!("--sort {name}: no such metric{hint}; see `pushbench list metrics`"))
    };
    metrics::named(name).ok_or_else(unknown).map(Some)
}

pub fn run(args: &Args) -> Result<()> {
    let dir = &args.dirs[0];
    let name = match (&args.format, args.dirs.len()) {
        (Some(name), _) => name.as_str(),
        (None, 1) if args.output.is_some() && index::is_tree(dir) => Format::Html.name(),
        (None, 1) => Format::Text.name(),
        (None, _) => Format::Html.name(),
    };
    if args.dirs.len() == 1 && index::is_tree(dir) {
        return index(args, name);
    }
    let shown = [Format::Text, Format::Json, Format::Markdown, Format::Html, Format::Csv];
    if !args.prices.is_empty() && !shown.iter().any(|f| f.name() == name) {
        return Err(Error::usage(format!(
            "--price: {name} shows no cost; write --format {}",
            shown.map(Format::name).join(", ")
        )));
    }
    // Only a run has a cost: with prices anything else is refused where it is read as one.
    let may_be_other = args.dirs.len() == 1 && args.prices.is_empty();
    if may_be_other && crate::gate::record::is_gate(dir) {
        return crate::cli::gate::report(dir, name, args.output.as_deref());
    }
    if may_be_other && crate::gate::qualify::is_qualification(dir) {
        return crate::cli::qualify::report(dir, name, args.output.as_deref());
    }
    if may_be_other && crate::cli::selftest::is_truth(dir) {
        return crate::cli::selftest::report(dir, name, args.output.as_deref());
    }
    if may_be_other && crate::cli::capacity::is_capacity(dir) {
        return crate::cli::capacity::report(dir, name, args.output.as_deref());
    }
    if may_be_other && crate::cli::scorecard::is_card(dir) {
        return crate::cli::scorecard::report(dir, name, args.output.as_deref());
    }
    if may_be_other && crate::cli::reach::is_matrix(dir) {
        return crate::cli::reach::report(dir, name, args.output.as_deref());
    }
    let Some(format) = ALL.into_iter().find(|f| f.name() == name) else {
        return Err(Error::usage(format!(
            "--format {name} is a format of gates, not of runs; see `pushbench list formats`"
        )));
    };
    if args.dirs.len() > 1 && format != Format::Html {
        return Err(Error::usage(format!(
            "--format {name} shows one run: give one directory, or write --format html for a page of all {}",
            args.dirs.len()
        )));
    }
    of_runs(args, format)
}

/// The index of a directory that holds runs.
fn index(args: &Args, format: &str) -> Result<()> {
    let of_one_run = [
        ("--price", !args.prices.is_empty()),
        ("--sort", args.sort.is_some()),
        ("--chart", args.chart.is_some()),
    ];
    tables_sorted_by(args, format)?;
    let dir = &args.dirs[0];
    if let Some((option, _)) = of_one_run.iter().find(|(_, given)| *given) {
        return Err(Error::usage(format!(
            "{option} applies to a run, and {} is a directory of runs: leave out {option}, or name one of the directories in it",
            dir.display()
        )));
    }
    index::report(dir, format, args.output.as_deref())
}

/// The metric of `--sort`, which only tables have an order for.
fn tables_sorted_by(args: &Args, format: &str) -> Result<Option<&'static Metric>> {
    let sort = sorted_by(args.sort.as_deref())?;
    let tables = [Format::Text, Format::Markdown, Format::Junit, Format::Html];
    if sort.is_some() && !tables.iter().any(|table| table.name() == format) {
        return Err(Error::usage(format!(
            "--sort applies to tables: {format} keeps the order of the arms; leave out --sort, or write --format text"
        )));
    }
    Ok(sort)
}

fn of_runs(args: &Args, format: Format) -> Result<()> {
    let sort = tables_sorted_by(args, format.name())?;
    if args.chart.is_some() && format != Format::Svg {
        return Err(Error::usage("--chart selects one SVG chart: add --format svg"));
    }
    // Before anything is read: it may take a while.
    where_to(args, format)?;
    let drawn = match format {
        Format::Html => Some(html::render(&sources(args, sort)?)),
        Format::Svg => Some(drawing(args.chart.as_deref(), &sources(args, sort)?)?),
        _ => None,
    };
    if let Some(text) = drawn {
        return deliver(&text, args.output.as_deref());
    }
    of_run(args, format, sort)
}

fn of_run(args: &Args, format: Format, sort: Option<&'static Metric>) -> Result<()> {
    let stored = priced(&args.dirs[0], args)?;
    let mut report = compare::compare(&stored);
    ranking::sort(&mut report, sort);
    if let (Format::Text, None) = (format, &args.output) {
        return print(&text::render(&report, look()));
    }
    let seconds = match format {
        Format::Hlog => results_store::read_seconds(&stored, &args.dirs[0]),
        _ => Seconds::new(), // no other format shows them
    };
    let evidence = evidence(&stored, &report, &seconds);
    say_what_is_missing(&args.dirs[0], format, &report, &evidence);
    match (format.render(&report, &evidence), &args.output) {
        (None, _) => Ok(()), // drawn above
        (Some(Output::One(text)), output) => deliver(&text, output.as_deref()),
        (Some(Output::Several(files)), Some(dir)) => write_all(&args.dirs[0], dir, &files),
        (Some(Output::Several(_)), None) => Err(needs_a_directory(args, format)),
    }
}

/// A stored run, at the prices of `--price` above its own.
fn priced(dir: &Path, args: &Args) -> Result<StoredRun> {
    let mut run = stored_run(dir)?;
    for point in &mut run.header.points {
        let own = std::mem::take(&mut point.scenario.price);
        point.scenario.price = own.with(&args.prices)?;
    }
    Ok(run)
}

/// The records of each directory, as the page shows them.
fn sources(args: &Args, sort: Option<&'static Metric>) -> Result<Vec<Source>> {
    let file = args.output.as_ref().filter(|file| file.as_os_str() != "-");
    let beside = file.map(|file| file.parent().unwrap_or(Path::new("")));
    let source = |dir: &PathBuf| {
        let run = priced(dir, args)?;
        let mut report = compare::compare(&run);
        ranking::sort(&mut report, sort);
        if let Some(message) = table::incomplete(&report) {
            error_line(&format!("{}: {message}", dir.display()));
        }
        Ok(page::source(dir, &run, report, beside))
    };
    args.dirs.iter().map(source).collect()
}

/// The chart of that name.
fn drawing(name: Option<&str>, sources: &[Source]) -> Result<String> {
    let charts: Vec<Chart> = sources.iter().flat_map(|s| chart::all(&s.page)).collect();
    let names: Vec<&str> = charts.iter().map(|c| c.name.as_str()).collect();
    if names.is_empty() {
        return Err(Error::usage("this run has no data for a chart: see --format text"));
    }
    let there_are = names.join(", ");
    let name = name.ok_or_else(|| {
        Error::usage(format!("--format svg: which chart? Add --chart with one of {there_are}"))
    })?;
    charts.iter().find(|c| c.name == name).map(Chart::file).ok_or_else(|| {
        let hint = did_you_mean(name, names.iter().copied());
        Error::usage(format!(
            "--chart {name}: no such chart of this run{hint}; there are {there_are}"
        ))
    })
}

/// Refuses a format of several files without a directory, and a file without a name.
fn where_to(args: &Args, format: Format) -> Result<()> {
    match (&args.output, format.file_name()) {
        (None, None) => Err(needs_a_directory(args, format)),
        (Some(path), Some(name)) if path.is_dir() && path.as_os_str() != "-" => {
            Err(Error::usage(format!(
                "--output {} is a directory, and {} is one file: write --output {}",
                path.display(),
                format.name(),
                path.join(name).display()
            )))
        }
        (Some(path), None) if path.as_os_str() == "-" => Err(needs_a_directory(args, format)),
        (Some(path), None) if path.exists() && !path.is_dir() => Err(Error::usage(format!(
            "--output {} is not a directory, and {} has several files: name a directory",
            path.display(),
            format.name()
        ))),
        _ => Ok(()),
    }
}

fn needs_a_directory(args: &Args, format: Format) -> Error {
    let (dir, format) = (args.dirs[0].display(), format.name());
    Error::usage(format!(
        "--format {format} writes several files: name a directory for them, for example\n  pushbench report {dir} --format {format} --output {format}"
    ))
}

/// Formats of other tools have no field for it, or one that is rarely read.
fn say_what_is_missing(dir: &Path, format: Format, report: &Report, evidence: &Evidence<'_>) {
    if let Some(message) = table::incomplete(report).filter(|_| format != Format::Text) {
        error_line(&message);
    }
    let trackers = [Format::GithubAction, Format::Bencher, Format::Gobench];
    let arms = || evidence.points.iter().flat_map(|p| &p.arms);
    if trackers.contains(&format) && arms().all(|a| a.over_blocks.is_empty()) {
        error_line(&format!(
            "no block is valid, so there are no figures to write: see `{}`",
            again(dir)
        ));
    }
}

/// The command that shows a results directory.
pub fn again(dir: &Path) -> String {
    format!("pushbench report {}", shell_words::quote(&dir.display().to_string()))
}

fn write_all(from: &Path, dir: &Path, files: &[File]) -> Result<()> {
    if files.is_empty() {
        return Err(Error::usage(format!(
            "no block is valid, so there is no distribution to write: see `{}`",
            again(from)
        )));
    }
    std::fs::create_dir_all(dir).map_err(|e| {
        Error::harness(format!(
            "cannot create the directory {}: {e}; choose another --output",
            dir.display()
        ))
    })?;
    files.iter().try_for_each(|file| write_atomically(&dir.join(&file.name), &file.bytes))
}
