//! `pushbench report`

use super::print;
use crate::compare::{self, ranking};
use crate::error::{Error, Result};
use crate::record::metrics::{self, METRICS, Metric};
use crate::report::{ALL, Format};
use crate::store::{StoredRun, write_atomically};
use crate::suggest::did_you_mean;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A results directory
    dir: PathBuf,
    /// text, json or markdown
    #[arg(long, default_value = "text")]
    format: String,
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
    if crate::gate::record::is_gate(&args.dir) {
        return super::gate::report(&args.dir, &args.format, args.output.as_deref());
    }
    if crate::gate::qualify::is_qualification(&args.dir) {
        return super::qualify::report(&args.dir, &args.format, args.output.as_deref());
    }
    let names = || ALL.map(Format::name);
    let format = ALL.into_iter().find(|f| f.name() == args.format).ok_or_else(|| {
        Error::usage(format!(
            "--format {}: no such format{}; there are {}",
            args.format,
            did_you_mean(&args.format, names()),
            names().join(", ")
        ))
    })?;
    let sort = sorted_by(args.sort.as_deref())?;
    if sort.is_some() && format == Format::Json {
        return Err(Error::usage(
            "--sort is about tables: the JSON keeps the order of the arms; leave out --sort, or write --format text",
        ));
    }
    let mut report = compare::compare(&StoredRun::read(&args.dir)?);
    ranking::sort(&mut report, sort);
    let text = format.render(&report);
    match &args.output {
        Some(path) => write_atomically(path, text.as_bytes()),
        None => print(&text),
    }
}
