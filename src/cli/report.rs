//! `pushbench report`

use super::print;
use crate::compare;
use crate::error::{Error, Result};
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
    /// Writes to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let names = || ALL.map(Format::name);
    let format = ALL.into_iter().find(|f| f.name() == args.format).ok_or_else(|| {
        Error::usage(format!(
            "--format {}: no such format{}; there are {}",
            args.format,
            did_you_mean(&args.format, names()),
            names().join(", ")
        ))
    })?;
    let text = format.render(&compare::compare(&StoredRun::read(&args.dir)?));
    match &args.output {
        Some(path) => write_atomically(path, text.as_bytes()),
        None => print(&text),
    }
}
