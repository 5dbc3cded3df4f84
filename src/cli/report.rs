//! `pushbench report`

use super::formats::Stored;
use super::{look, print};
use crate::compare::evidence::{Evidence, evidence};
use crate::compare::{self, Report, ranking};
use crate::error::{Error, Result};
use crate::record::metrics::{self, METRICS, Metric};
use crate::report::{ALL, File, Format, Output, table, text};
use crate::store::{StoredRun, write_atomically};
use crate::suggest::did_you_mean;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A results directory, of a run or of a gate
    dir: PathBuf,
    /// One of `pushbench list formats`
    #[arg(long, default_value = "text", value_parser = Stored, hide_possible_values = true)]
    format: String,
    /// Sorts tables of more than three arms by this metric
    #[arg(long, value_name = "METRIC")]
    sort: Option<String>,
    /// Writes to a file instead of standard output; to a directory where a format has several files
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
    if crate::gate::record::is_gate(&args.dir) {
        return super::gate::report(&args.dir, &args.format, args.output.as_deref());
    }
    if crate::gate::qualify::is_qualification(&args.dir) {
        return super::qualify::report(&args.dir, &args.format, args.output.as_deref());
    }
    let Some(format) = ALL.into_iter().find(|f| f.name() == args.format) else {
        return Err(Error::usage(format!(
            "--format {}: a run has no such format, a gate has; see `pushbench list formats`",
            args.format
        )));
    };
    of_run(args, format)
}

fn of_run(args: &Args, format: Format) -> Result<()> {
    let sort = sorted_by(args.sort.as_deref())?;
    let tables = [Format::Text, Format::Markdown, Format::Junit];
    if sort.is_some() && !tables.contains(&format) {
        return Err(Error::usage(format!(
            "--sort is about tables: {} keeps the order of the arms; leave out --sort, or write --format text",
            format.name()
        )));
    }
    // Before anything is read: it may take a while.
    where_to(args, format)?;
    let stored = StoredRun::read(&args.dir)?;
    let mut report = compare::compare(&stored);
    ranking::sort(&mut report, sort);
    if let (Format::Text, None) = (format, &args.output) {
        return print(&text::render(&report, look()));
    }
    let seconds = match format {
        Format::Hlog => stored.read_seconds(&args.dir),
        _ => BTreeMap::new(), // no other format shows them
    };
    let evidence = evidence(&stored, &report, &seconds);
    say_what_is_missing(format, &report, &evidence);
    match (format.render(&report, &evidence), &args.output) {
        (Output::One(text), None) => print(&text),
        (Output::One(text), Some(path)) => write_atomically(path, text.as_bytes()),
        (Output::Several(files), Some(dir)) => write_all(dir, &files),
        (Output::Several(_), None) => Err(needs_a_directory(args, format)),
    }
}

/// Refuses a format of several files without a directory, and a file without a name.
fn where_to(args: &Args, format: Format) -> Result<()> {
    match (&args.output, format.file_name()) {
        (None, None) => Err(needs_a_directory(args, format)),
        (Some(path), Some(name)) if path.is_dir() => Err(Error::usage(format!(
            "--output {}: that is a directory, and {} is one file: write --output {}",
            path.display(),
            format.name(),
            path.join(name).display()
        ))),
        (Some(path), None) if path.is_file() => Err(Error::usage(format!(
            "--output {}: that is a file, and {} has several: name a directory",
            path.display(),
            format.name()
        ))),
        _ => Ok(()),
    }
}

fn needs_a_directory(args: &Args, format: Format) -> Error {
    let (dir, format) = (args.dir.display(), format.name());
    Error::usage(format!(
        "--format {format} has several files: say where they shall go, for example\n  pushbench report {dir} --format {format} --output {format}"
    ))
}

/// Files of other tools have no place for it, or nobody looks there.
fn say_what_is_missing(format: Format, report: &Report, evidence: &Evidence<'_>) {
    if !report.complete && format != Format::Text {
        eprintln!("{}", table::INCOMPLETE);
    }
    let trackers = [Format::GithubAction, Format::Bencher, Format::Gobench];
    let arms = || evidence.points.iter().flat_map(|p| &p.arms);
    if trackers.contains(&format) && arms().all(|a| a.over_blocks.is_empty()) {
        eprintln!("no block is valid, so there is no figure to keep: see `pushbench report DIR`");
    }
}

fn write_all(dir: &Path, files: &[File]) -> Result<()> {
    if files.is_empty() {
        return Err(Error::usage(
            "no block is valid, so there is no distribution to write: see `pushbench report DIR`",
        ));
    }
    std::fs::create_dir_all(dir).map_err(|e| {
        Error::harness(format!(
            "cannot make the directory {}: {e}; choose another --output",
            dir.display()
        ))
    })?;
    files.iter().try_for_each(|file| write_atomically(&dir.join(&file.name), &file.bytes))
}
