//! `pushbench gate`

mod plan;
mod what;

pub(super) use what::What;

use crate::cli::progress::Show;
use crate::cli::report::again;
use crate::cli::{deliver, interrupt_flag, print};
use crate::gate;
use crate::gate::nulls;
use crate::gate::nulls::Nulls;
use crate::gate::{GateResult, against, record};
use crate::run::Progress as _;
use plan::Plan;
use pushbench_analysis::compare::gate::Gate;
use pushbench_analysis::compare::page::facts;
use pushbench_core::error::{Error, Result};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::units;
use pushbench_host::console::error_line;
use pushbench_host::store::{vacant, write_atomically};
use pushbench_report::gate::{ALL, Format, GateSides, github};
use pushbench_report::html::gate::Source;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A smaller slow-down is nobody's business: a system call costs as much.
const MIN_DIFFERENCE: &str = "500ns";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is known: a command with {port}, or a target's name
    #[arg(
        long,
        value_name = "CMD",
        required_unless_present = "against",
        conflicts_with = "against"
    )]
    base: Option<String>,
    /// What may be slower: a command with {port}, or a target's name
    #[arg(long, value_name = "CMD")]
    candidate: String,
    /// Instead of a base: a stored run; advice only on another machine
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    #[command(flatten)]
    what: What,
    /// Path at which commands take events [default: /webhook, or / by WebSocket]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// How answers of commands find their events: id or order [default: id]
    #[arg(long = "match", value_name = "HOW")]
    matching: Option<String>,
    /// Allows a target on this host; only loopback is allowed otherwise
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// Ignores slow-downs of less time than this
    #[arg(long, value_name = "TIME", default_value = MIN_DIFFERENCE, value_parser = units::parse_duration)]
    min_difference: Duration,
    /// Judges the ratio between two transports, too
    #[arg(long)]
    ratio: bool,
    /// Slow-downs that are meant [default: waivers.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    waivers: Option<PathBuf>,
    /// What equal builds show here [default: pushbench-nulls.json, if there is one]
    #[arg(long, value_name = "FILE")]
    nulls: Option<PathBuf>,
    /// text, json, markdown, github or html
    #[arg(long, default_value = "text")]
    format: String,
    /// Writes to a file instead of standard output, which - is
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The exit code of the contract: 0 passed, 1 a regression, 2 it cannot be told.
pub fn run(args: &Args) -> Result<u8> {
    let format = format(&args.format)?;
    let placement = args.what.placement()?;
    args.what.check_blocks()?;
    let transports = args.what.transports()?;
    if args.ratio && transports.len() < 2 {
        return Err(Error::usage(
            "--ratio needs two transports: add --transport webhook --transport websocket",
        ));
    }
    let interrupt = interrupt_flag()?;
    let mut show = Show::new();
    let plan = Plan::of(args, &transports, placement)?;
    vacant(&plan.request.out)?;
    show.say_placement(&plan.request.placement);
    plan.remarks.iter().for_each(|line| show.say(line));
    let ended = match &plan.against {
        None => gate::execute(&plan.request, &interrupt, &mut show),
        Some(stored) => against::execute(&plan.request, stored, &interrupt, &mut show),
    };
    show.finish();
    let GateResult { stages, error } = ended?;
    let [base, candidate] = &plan.request.named;
    let told = GateSides { base, candidate, stages: &stages };
    let (typed, dir) = (command(&plan.request.command), plan.request.out.display().to_string());
    let source = Source { command: &typed, dir: &dir, pushbench: env!("CARGO_PKG_VERSION") };
    let shown = keep(&plan.request.out, &told, source)
        .and_then(|()| tell(format, &told, source, args.output.as_deref()));
    error_line(&format!("Results  {}  ({})", plan.request.out.display(), again(&plan.request.out)));
    if let Some(error) = error {
        return Err(error); // what ended it goes before what else failed
    }
    shown?;
    let last = stages.last().map(Gate::exit_code);
    last.ok_or_else(|| Error::harness("the gate has no stage: please report it"))
}

fn format(name: &str) -> Result<Format> {
    let names = || ALL.map(Format::name);
    ALL.into_iter().find(|f| f.name() == name).ok_or_else(|| {
        let hint = did_you_mean(name, names());
        Error::usage(format!(
            "--format {name}: no such format of a gate{hint}; there are {}",
            names().join(", ")
        ))
    })
}

/// Reads the file of nulls.
pub(in crate::cli) fn read_nulls(named: Option<&Path>) -> Result<Nulls> {
    Nulls::read(named.unwrap_or(Path::new(nulls::FILE)), named.is_some())
}

/// The verdict beside its records.
fn keep(out: &Path, told: &GateSides<'_>, source: Source<'_>) -> Result<()> {
    for (format, name) in [(Format::Markdown, "report.md"), (Format::Html, "report.html")] {
        write_atomically(&out.join(name), format.render(told, source).as_bytes())?;
    }
    Ok(())
}

/// A command line as it is typed, without the directory that exists by now.
pub(super) fn command(words: &[String]) -> String {
    shell_words::join(facts::elsewhere(words))
}

fn tell(
    format: Format,
    told: &GateSides<'_>,
    source: Source<'_>,
    output: Option<&Path>,
) -> Result<()> {
    let text = format.render(told, source);
    if format == Format::Github {
        print(&github::annotations(told))?;
        if let (None, Some(summary)) = (output, std::env::var_os("GITHUB_STEP_SUMMARY")) {
            return append(Path::new(&summary), &text);
        }
    }
    deliver(&text, output)
}

/// Other steps may have written to the summary before.
fn append(path: &Path, text: &str) -> Result<()> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(|e| Error::harness(format!("cannot write the summary {}: {e}", path.display())))
}

/// A stored gate, judged again and rendered.
pub fn report(dir: &Path, name: &str, output: Option<&Path>) -> Result<()> {
    let format = format(name)?;
    let (header, stages) = record::read(dir)?;
    let told = GateSides { base: &header.base, candidate: &header.candidate, stages: &stages };
    let (typed, dir) = (command(&header.command), dir.display().to_string());
    let source = Source { command: &typed, dir: &dir, pushbench: &header.pushbench };
    tell(format, &told, source, output)
}
