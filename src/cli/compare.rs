//! `pushbench compare`

use crate::cli::formats::Formats;
use crate::cli::report::again;
use crate::cli::{deliver, look, stored_run};
use pushbench_analysis::compare::runs::{Runs, side_by_side};
use pushbench_core::error::{Error, Result};
use pushbench_report::layout::Look;
use pushbench_report::visible::line;
use pushbench_report::{Format, runs};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Results directory of the first run; the second is compared with its intervals
    first: PathBuf,
    /// Results directory of the second run
    second: PathBuf,
    #[command(flatten)]
    shape: Shape,
}

/// How two runs are shown.
#[derive(Debug, clap::Args)]
pub struct Shape {
    /// text, json or markdown
    #[arg(long, default_value = "text", value_parser = Formats::OF_RUNS, hide_possible_values = true)]
    format: Format,
    /// Writes to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Shape {
    /// Shows or writes both runs.
    pub fn show(&self, both: &Runs) -> Result<()> {
        let look = if self.output.is_some() { Look::PLAIN } else { look() };
        let text = match self.format {
            Format::Json => runs::json(both),
            Format::Markdown => runs::markdown(both),
            _ => runs::text(both, look),
        };
        deliver(&text, self.output.as_deref())
    }
}

pub fn run(args: &Args) -> Result<()> {
    let (first, second) = (stored_run(&args.first)?, stored_run(&args.second)?);
    let both = side_by_side((&name(&args.first), &first), (&name(&args.second), &second));
    if both.points.iter().all(|p| p.figures.is_empty()) {
        return Err(Error::usage(nothing_in_common(&both)));
    }
    args.shape.show(&both)
}

/// The directory as given on the command line.
pub fn name(dir: &Path) -> String {
    dir.display().to_string()
}

/// Why there is nothing to compare.
fn nothing_in_common(both: &Runs) -> String {
    let (a, b) = (&both.first.dir, &both.second.dir);
    let kinds = ["scenario", "settings", "arms"];
    let differ = both.differences.iter().filter(|d| kinds.contains(&d.what.as_str()));
    let mut message = format!("{a} and {b} have nothing in common to compare");
    for difference in differ {
        message.push_str(&format!("\n  {}", line(&difference.to_string())));
    }
    match both.points.is_empty() {
        true => message.push_str("\nno setting is in both: compare runs of one scenario"),
        false => message.push_str(&format!(
            "\nno arm has a valid block in both: see `{}` and `{}`",
            again(Path::new(a)),
            again(Path::new(b))
        )),
    }
    message
}
