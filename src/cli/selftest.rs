//! `pushbench selftest`

use crate::cli::formats::Formats;
use crate::cli::run::default_out;
use crate::cli::{command_line, deliver, interrupt_flag, print, stored_document};
use crate::run::environment;
use crate::selftest::accuracy::{RunContext, measure};
use crate::selftest::{CHECKS, Check, Line, SelfTestContext, capacity};
use pushbench_core::cpu_list::Cpus;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::accuracy::Truth;
use pushbench_core::suggest::did_you_mean;
use pushbench_host::console::error_line;
use pushbench_host::cpus::Placement;
use pushbench_host::results_store::{create_dir, write_atomically};
use pushbench_path::user_namespace;
use pushbench_report::{Format, accuracy};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Runs this check alone: freeze, delay, agree, pacing, queue, outcomes, deliveries, guarantee, path, or capacity,
    /// which takes minutes and runs only when it is named; may be repeated
    #[arg(long, value_name = "CHECK")]
    only: Vec<String>,
    /// Measures the accuracy of the figures on this machine and writes a page and its data
    #[arg(long, conflicts_with = "only")]
    truth: bool,
    /// Directory for both [default: `results/UTC-TIME-truth`]
    #[arg(long, value_name = "DIR", requires = "truth")]
    out: Option<PathBuf>,
    /// CPUs of driver and targets, such as driver=1,target=0
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Seed of the schedules
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// Searches of --only capacity, about 40 s each [default: 3]
    #[arg(long, value_name = "N", value_parser = searches, requires = "only")]
    searches: Option<usize>,
}

/// Of fewer, none need contain what it should.
fn searches(text: &str) -> std::result::Result<usize, String> {
    let searches = text.parse().ok().filter(|n| (2..=1000).contains(n));
    searches.ok_or_else(|| "write a number from 2 to 1000".to_owned())
}

/// Runs the checks; 0 when all agree with theory, else 1.
pub fn run(args: &Args) -> Result<u8> {
    let checks = chosen(&args.only)?;
    if args.searches.is_some() && !checks.iter().any(|check| check.name == "capacity") {
        return Err(Error::usage(
            "--searches belongs to the check capacity: write --only capacity",
        ));
    }
    let placement = match &args.cpus {
        Some(text) => Placement::parse(text)?,
        None => Placement::automatic(),
    };
    if checks.iter().any(|check| check.name == "path") {
        let _says_so_itself_without = user_namespace::ensure();
    }
    let interrupt = interrupt_flag()?;
    let lab = SelfTestContext {
        placement: &placement,
        interrupt: &interrupt,
        seed: args.seed,
        searches: args.searches.unwrap_or(capacity::SEARCHES),
    };
    print(&format!(
        "driver on CPU {}, target on CPU {}\n",
        Cpus(&placement.driver),
        Cpus(&placement.target)
    ))?;
    if args.truth {
        return truth(args.out.as_deref(), &lab);
    }
    let mut wrong = 0;
    for check in checks {
        print(&format!("\n{}: {}\n", check.name, check.about))?;
        let lines = check.run(&lab)?;
        wrong += lines.iter().filter(|l| !l.ok).count();
        print(&shown(&lines))?;
    }
    print(&match wrong {
        0 => "\nAll checks agree with theory.\n".to_owned(),
        n => format!(
            "\n{n} figures disagree with theory: do not trust results of this machine until the cause is known.\n"
        ),
    })?;
    Ok(u8::from(wrong > 0))
}

const FORMATS: Formats = Formats(&[Format::Text, Format::Markdown, Format::Json]);
/// The data of a truth page.
const TRUTH: &str = "truth.json";

fn truth(out: Option<&Path>, lab: &SelfTestContext<'_>) -> Result<u8> {
    let out = out.map_or_else(|| default_out("truth"), Path::to_path_buf);
    create_dir(&out)?;
    let context =
        RunContext { command: command_line().join(" "), machine: environment::describe() };
    let found = measure(lab, context, &mut |what| error_line(&format!("{what} …")))?;
    write_atomically(&out.join(TRUTH), accuracy::json(&found).as_bytes())?;
    let page = accuracy::render(&found);
    write_atomically(&out.join("report.md"), page.as_bytes())?;
    print(&format!("\n{page}"))?;
    error_line(&format!("Results  {}", out.display()));
    Ok(0)
}

/// True when a directory holds a truth page.
pub(crate) fn is_truth(dir: &Path) -> bool {
    dir.join(TRUTH).is_file()
}

/// A stored truth page.
pub fn stored(dir: &Path) -> Result<Truth> {
    stored_document(&dir.join(TRUTH))
}

/// Shows a stored truth page without measuring.
pub fn report(dir: &Path, format: &str, output: Option<&Path>) -> Result<()> {
    let found = stored(dir)?;
    let text = match FORMATS.find(format, "a truth page")? {
        Format::Json => accuracy::json(&found),
        _ => accuracy::render(&found),
    };
    deliver(&text, output)
}

fn chosen(names: &[String]) -> Result<Vec<Check>> {
    if names.is_empty() {
        return Ok(CHECKS.into_iter().filter(|check| !check.long).collect());
    }
    let known = || CHECKS.iter().map(|c| c.name);
    let find = |name: &String| {
        CHECKS.iter().find(|c| c.is_named(name)).copied().ok_or_else(|| {
            Error::usage(format!(
                "--only {name}: no such check{}; there are {}",
                did_you_mean(name, known()),
                known().collect::<Vec<_>>().join(", ")
            ))
        })
    };
    names.iter().map(find).collect()
}

fn shown(lines: &[Line]) -> String {
    let width =
        |of: fn(&Line) -> &str| lines.iter().map(|l| of(l).chars().count()).max().unwrap_or(0);
    let (what, measured, theory) =
        (width(|l| &l.what), width(|l| &l.measured), width(|l| &l.theory));
    let line = |l: &Line| {
        let verdict = if l.ok { "ok" } else { "WRONG" };
        format!(
            "  {:<what$}   {:>measured$}   theory: {:<theory$}   {verdict}\n",
            l.what, l.measured, l.theory
        )
    };
    lines.iter().map(line).collect()
}
