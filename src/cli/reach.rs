//! `pushbench reach`

use crate::cli::formats::Formats;
use crate::cli::report::again;
use crate::cli::run::{SEED, default_out};
use crate::cli::{command_line, deliver, interrupt_flag, look, stored_document};
use crate::reach::Request;
use pushbench_analysis::reach::{Matrix, judge};
use pushbench_core::error::{Error, Result};
use pushbench_core::reach::{PATHS, Reach, ReachPath};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::units;
use pushbench_host::console::error_line;
use pushbench_host::cpus::Placement;
use pushbench_host::results_store::{create_dir, vacant, write_atomically};
use pushbench_report::layout::Look;
use pushbench_report::{Format, html, reach};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Arm to try, TRANSPORT@TARGET; may be repeated [default: every transport to subscribers, plain and +tls]
    #[arg(long = "arm", value_name = "ARM")]
    arms: Vec<String>,
    /// Path to try, one of `pushbench list paths`; may be repeated [default: all]
    #[arg(long = "path", value_name = "NAME")]
    paths: Vec<String>,
    /// text, json, markdown or html
    #[arg(long, value_parser = FORMATS, default_value = "text", hide_possible_values = true)]
    format: Format,
    /// Writes to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Results directory [default: results/TIME-reach, the time in UTC]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The idle cut-off, which stands for one of 60 s; from 2s to 60s in whole seconds
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = cutoff)]
    idle_cutoff: Duration,
    /// CPUs of driver and targets, such as driver=1,target=0
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Seed of the schedules
    #[arg(long, value_name = "N", default_value_t = SEED)]
    seed: u64,
}

const FORMATS: Formats = Formats(&[Format::Text, Format::Json, Format::Markdown, Format::Html]);
/// Its file.
const FILE: &str = "reach.json";
/// The page beside it.
const PAGE: &str = "reach.html";
/// Transports to subscribers.
const TRANSPORTS: [&str; 5] = ["webhook", "websocket", "sse", "long-poll", "poll"];

/// A connection tracker counts in seconds, and pings are at least a second apart.
fn cutoff(text: &str) -> std::result::Result<Duration, String> {
    let length = units::parse_duration(text)?;
    match length.subsec_nanos() == 0 && (2..=60).contains(&length.as_secs()) {
        true => Ok(length),
        false => Err("write whole seconds from 2s to 60s".to_owned()),
    }
}

/// 0 when cells were tried, whatever got through.
pub fn run(args: &Args) -> Result<u8> {
    let placement = match &args.cpus {
        Some(text) => Placement::parse(text)?,
        None => Placement::automatic(),
    };
    let request = Request {
        paths: paths(&args.paths)?,
        arms: arms(&args.arms),
        cutoff: args.idle_cutoff,
        seed: args.seed,
        placement,
        out: args.out.clone().unwrap_or_else(|| default_out("reach")),
        command: command_line(),
    };
    vacant(&request.out)?;
    pushbench_path::user_namespace::ensure()?;
    let interrupt = interrupt_flag()?;
    request.check(&interrupt)?;
    create_dir(&request.out)?;
    let mut reach = request.begin();
    let began = Instant::now();
    let (file, page) = (request.out.join(FILE), request.out.join(PAGE));
    let mut next = |reach: &Reach, line: &str| {
        error_line(&format!("[{:>4} s] {line}", began.elapsed().as_secs()));
        write_atomically(&file, reach::json(&judge(reach)).as_bytes())
    };
    let ended = request.execute(&mut reach, &interrupt, &mut next);
    let matrix = judge(&reach);
    write_atomically(&file, reach::json(&matrix).as_bytes())?;
    write_atomically(&page, rendered(&matrix, Format::Html, &request.out, Look::PLAIN).as_bytes())?;
    show(&matrix, args.format, &request.out, args.output.as_deref())?;
    error_line(&format!("Results  {}  ({})", request.out.display(), again(&request.out)));
    ended?;
    match matrix.cells.iter().find(|_| matrix.cells.iter().all(|cell| cell.through.is_none())) {
        Some(cell) => {
            Err(Error::harness(format!("no cell could be tried: {}: {}", cell.path, cell.why)))
        }
        None => Ok(0),
    }
}

/// True when a directory holds a matrix.
pub(crate) fn is_matrix(dir: &Path) -> bool {
    dir.join(FILE).is_file()
}

/// A stored matrix, judged again.
pub fn stored(dir: &Path) -> Result<Matrix> {
    let record: Reach = stored_document(&dir.join(FILE))?;
    Ok(judge(&record))
}

/// Shows a stored matrix.
pub fn report(dir: &Path, format: &str, output: Option<&Path>) -> Result<()> {
    show(&stored(dir)?, FORMATS.find(format, "a matrix of paths")?, dir, output)
}

fn show(matrix: &Matrix, format: Format, dir: &Path, output: Option<&Path>) -> Result<()> {
    let look = if output.is_none() { look() } else { Look::PLAIN };
    deliver(&rendered(matrix, format, dir, look), output)
}

fn rendered(matrix: &Matrix, format: Format, dir: &Path, look: Look) -> String {
    match format {
        Format::Json => reach::json(matrix),
        Format::Markdown => reach::markdown(matrix),
        Format::Html => html::reach::render(matrix, &dir.display().to_string()),
        _ => reach::text(matrix, look),
    }
}

/// The columns; each once.
fn arms(names: &[String]) -> Vec<String> {
    let mut arms: Vec<String> = names.to_vec();
    if arms.is_empty() {
        let plain = TRANSPORTS.map(|transport| format!("{transport}@builtin"));
        arms.extend(plain);
        arms.extend(TRANSPORTS.map(|transport| format!("{transport}+tls@builtin")));
    }
    let mut seen = std::collections::BTreeSet::new();
    arms.retain(|arm| seen.insert(arm.clone()));
    arms
}

/// The rows of these names in the order of the matrix; all where none is named.
fn paths(names: &[String]) -> Result<Vec<&'static ReachPath>> {
    let known = || PATHS.iter().map(|path| path.name);
    if let Some(name) = names.iter().find(|name| ReachPath::named(name).is_none()) {
        return Err(Error::usage(format!(
            "--path {name}: no such path{}; there are {}",
            did_you_mean(name, known()),
            known().collect::<Vec<_>>().join(", ")
        )));
    }
    let wanted = |path: &&ReachPath| names.is_empty() || names.iter().any(|name| name == path.name);
    Ok(PATHS.iter().filter(wanted).collect())
}
