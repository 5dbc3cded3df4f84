//! `pushbench report`

use super::{page, print};
use crate::compare::{self, ranking};
use crate::error::{Error, Result};
use crate::record::metrics::{self, METRICS, Metric};
use crate::report::chart::{self, Chart};
use crate::report::html::{self, Source};
use crate::report::{ALL, Format};
use crate::store::{StoredRun, write_atomically};
use crate::suggest::did_you_mean;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A results directory; of several, one page shows them all
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// text, json, markdown, html or svg [default: text, html for several directories]
    #[arg(long)]
    format: Option<String>,
    /// The chart that --format svg writes
    #[arg(long, value_name = "NAME")]
    chart: Option<String>,
    /// Sorts tables of more than three arms by this metric
    #[arg(long, value_name = "METRIC")]
    sort: Option<String>,
    /// Writes to a file instead of standard output
    #[arg(long, value_name = "FILE")]
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
    let format = format(args)?;
    let sort = sorted_by(args.sort.as_deref())?;
    if sort.is_some() && format == Format::Json {
        return Err(Error::usage(
            "--sort is about tables: the JSON keeps the order of the arms; leave out --sort, or write --format text",
        ));
    }
    if args.chart.is_some() && format != Format::Svg {
        return Err(Error::usage("--chart is about one chart: add --format svg"));
    }
    let text = match format {
        Format::Html => html::render(&sources(args, sort)?),
        Format::Svg => chart(args.chart.as_deref(), &sources(args, sort)?)?,
        _ => {
            let mut report = compare::compare(&StoredRun::read(&args.dirs[0])?);
            ranking::sort(&mut report, sort);
            format.render(&report).unwrap_or_default()
        }
    };
    match &args.output {
        Some(path) => write_atomically(path, text.as_bytes()),
        None => print(&text),
    }
}

fn format(args: &Args) -> Result<Format> {
    let several = args.dirs.len() > 1;
    let Some(name) = &args.format else {
        return Ok(if several { Format::Html } else { Format::Text });
    };
    let names = || ALL.map(Format::name);
    let format = ALL.into_iter().find(|f| f.name() == name).ok_or_else(|| {
        Error::usage(format!(
            "--format {name}: no such format{}; there are {}",
            did_you_mean(name, names()),
            names().join(", ")
        ))
    })?;
    if several && format != Format::Html {
        return Err(Error::usage(format!(
            "--format {name} shows one run: give one directory, or write --format html for a page of all {}",
            args.dirs.len()
        )));
    }
    Ok(format)
}

/// What the page shows of each directory.
fn sources(args: &Args, sort: Option<&'static Metric>) -> Result<Vec<Source>> {
    let beside = args.output.as_ref().map(|file| file.parent().unwrap_or(Path::new("")));
    let source = |dir: &PathBuf| {
        let run = StoredRun::read(dir)?;
        let mut report = compare::compare(&run);
        ranking::sort(&mut report, sort);
        Ok(page::source(dir, &run, report, beside))
    };
    args.dirs.iter().map(source).collect()
}

/// The chart of that name.
fn chart(name: Option<&str>, sources: &[Source]) -> Result<String> {
    let charts: Vec<Chart> = sources.iter().flat_map(|s| chart::all(&s.page)).collect();
    let names: Vec<&str> = charts.iter().map(|c| c.name.as_str()).collect();
    if names.is_empty() {
        return Err(Error::usage("this run has nothing that could be drawn: see --format text"));
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
