//! `pushbench gate`

mod instructions;
mod options;
mod plan;

pub(super) use options::GateOptions;

use crate::cli::progress::{ProgressOptions, Show};
use crate::cli::report::again;
use crate::cli::{deliver, interrupt_flag, print};
use crate::gate;
use crate::gate::instructions as counted;
use crate::gate::nulls;
use crate::gate::nulls::Nulls;
use crate::gate::{GateResult, against, record};
use crate::run::Progress as _;
use plan::Plan;
use pushbench_analysis::compare::charts::facts;
use pushbench_analysis::compare::gate::Gate;
use pushbench_core::error::{Error, Result};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::units;
use pushbench_host::results_store::{self, vacant, write_atomically};
use pushbench_host::secrets;
use pushbench_report::gate::{ALL, Format, GateSides, github};
use pushbench_report::html::gate::Source;
use pushbench_report::index::GateRecord;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A smaller slow-down does not matter: a system call costs as much.
const MIN_DIFFERENCE: &str = "500ns";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The base: a command with {port}, or a target's name
    #[arg(
        long,
        value_name = "CMD",
        required_unless_present = "against",
        conflicts_with = "against"
    )]
    base: Option<String>,
    /// The candidate: a command with {port}, or a target's name
    #[arg(long, value_name = "CMD")]
    candidate: String,
    /// Stored runs in place of the base; the result is advice where fewer than five are of this machine
    #[arg(long, value_name = "DIR", num_args = 1..)]
    against: Vec<PathBuf>,
    #[command(flatten)]
    options: GateOptions,
    /// URL path at which commands receive events [default: /webhook; / for WebSocket]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// How answers of commands are matched to events: id or order [default: id]
    #[arg(long = "match", value_name = "HOW")]
    matching: Option<String>,
    /// Allows a target on this host; only loopback is allowed otherwise
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// Ignores slow-downs smaller than this
    #[arg(long, value_name = "TIME", default_value = MIN_DIFFERENCE, value_parser = units::parse_duration)]
    min_difference: Duration,
    /// Runs programs from their own files, not from copies: for those that look for files beside themselves
    #[arg(long)]
    in_place: bool,
    /// Also judges the ratio between two transports
    #[arg(long)]
    ratio: bool,
    /// File of accepted slow-downs [default: waivers.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    waivers: Option<PathBuf>,
    /// File of differences between equal builds on this machine [default: pushbench-nulls.json, if it exists]
    #[arg(long, value_name = "FILE")]
    nulls: Option<PathBuf>,
    #[command(flatten)]
    progress: ProgressOptions,
    /// text, json, markdown, github, html or junit
    #[arg(long, default_value = "text")]
    format: String,
    /// Writes to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The exit code of the contract: 0 passed, 1 regression, 2 cannot tell.
pub fn run(args: &Args) -> Result<u8> {
    let format = format(&args.format)?;
    let placement = args.options.placement()?;
    args.options.check_blocks()?;
    let transports = args.options.transports()?;
    if args.ratio && transports.len() < 2 {
        return Err(Error::usage(
            "--ratio needs two transports: add --transport webhook --transport websocket",
        ));
    }
    let interrupt = interrupt_flag()?;
    let mut show = args.progress.show()?;
    let mut plan = Plan::of(args, &transports, placement)?;
    vacant(&plan.request.out)?;
    let ended = measure(args, format, &mut plan, &interrupt, &mut show);
    show.end(&plan.request.out, ended)
}

fn measure(
    args: &Args,
    format: Format,
    plan: &mut Plan,
    interrupt: &AtomicBool,
    show: &mut Show,
) -> Result<u8> {
    show.say_placement(&plan.request.placement);
    plan.remarks.iter().for_each(|line| show.say(line));
    let ended = match (&plan.counter, &plan.against) {
        (Some(counter), _) => counted::execute(&mut plan.request, counter, interrupt, show),
        (None, None) => gate::execute(&mut plan.request, interrupt, show),
        (None, Some(stored)) => against::execute(&mut plan.request, stored, interrupt, show),
    };
    show.finish();
    let GateResult { stages, executables, error } = ended?;
    let [base, candidate] = &plan.request.named;
    let (typed, dir) = (command(&plan.request.command), plan.request.out.display().to_string());
    let executables = executables.as_ref();
    let sides = GateSides { base, candidate, executables, command: &typed, stages: &stages };
    let (started, took_s) = record::times(&plan.request.out, &plan.request.settings);
    let pushbench = env!("CARGO_PKG_VERSION");
    let source = Source { dir: &dir, pushbench, started: &started, took_s };
    let shown = store(&plan.request.out, &sides, source)
        .and_then(|()| write_report(format, &sides, source, args.output.as_deref()));
    let (out, again) = (plan.request.out.display(), again(&plan.request.out));
    show.conclusion(&format!("Results  {out}  ({again})"));
    if let Some(error) = error {
        return Err(error); // what ended it goes before what else failed
    }
    shown?;
    let last = stages.last().map(Gate::exit_code);
    last.ok_or_else(|| Error::harness("the gate has no look: please report it"))
}

fn format(name: &str) -> Result<Format> {
    let names = || ALL.map(Format::name);
    ALL.into_iter().find(|f| f.name() == name).ok_or_else(|| {
        let hint = did_you_mean(name, names());
        Error::usage(format!(
            "--format {name}: a gate has no such format{hint}; there are {}",
            names().join(", ")
        ))
    })
}

/// Reads the file of nulls.
pub(in crate::cli) fn read_nulls(named: Option<&Path>) -> Result<Nulls> {
    Nulls::read(named.unwrap_or(Path::new(nulls::FILE)), named.is_some())
}

/// Writes the verdict into the directory of its records.
fn store(out: &Path, sides: &GateSides<'_>, source: Source<'_>) -> Result<()> {
    for (format, name) in [(Format::Markdown, "report.md"), (Format::Html, "report.html")] {
        write_atomically(&out.join(name), format.render(sides, source).as_bytes())?;
    }
    Ok(())
}

/// The command line without `--out`: its directory exists now.
pub(super) fn command(words: &[String]) -> String {
    shell_words::join(facts::elsewhere(words))
}

fn write_report(
    format: Format,
    sides: &GateSides<'_>,
    source: Source<'_>,
    output: Option<&Path>,
) -> Result<()> {
    let text = format.render(sides, source);
    if format == Format::Github {
        print(&github::annotations(sides))?;
        if let (None, Some(summary)) = (output, std::env::var_os("GITHUB_STEP_SUMMARY")) {
            return append(Path::new(&summary), &text);
        }
    }
    deliver(&text, output)
}

/// Appends: earlier steps may have written to the summary.
fn append(path: &Path, text: &str) -> Result<()> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut f| f.write_all(secrets::hide(text).as_bytes()))
        .map_err(|e| Error::harness(format!("cannot write the summary {}: {e}", path.display())))
}

/// A stored gate, judged again, for a list; also one that has no verdict yet.
pub fn stored(dir: &Path) -> Result<GateRecord> {
    let header = record::header(dir)?;
    let verdict = record::judge(dir, &header)?.pop();
    let blocks = results_store::read_header(&record::last_run(dir));
    let (began, _) = record::times(dir, &header.settings);
    Ok(GateRecord {
        sides: [header.base, header.candidate],
        pushbench: header.pushbench,
        began,
        environment: blocks.map(|run| run.environment).unwrap_or_default(),
        verdict,
    })
}

/// A stored gate, judged again and rendered.
pub fn report(dir: &Path, name: &str, output: Option<&Path>) -> Result<()> {
    let format = format(name)?;
    let (header, stages) = record::read(dir)?;
    let (started, took_s) = record::times(dir, &header.settings);
    let (typed, dir) = (command(&header.command), dir.display().to_string());
    let (base, candidate) = (&header.base, &header.candidate);
    let executables = header.executables.as_ref();
    let sides = GateSides { base, candidate, executables, command: &typed, stages: &stages };
    let pushbench = &header.pushbench;
    let source = Source { dir: &dir, pushbench, started: &started, took_s };
    write_report(format, &sides, source, output)
}
