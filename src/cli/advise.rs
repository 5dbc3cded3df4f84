//! `pushbench advise`

use crate::advise::{Measurement, USUAL, ask, shipped};
use crate::cli::formats::Formats;
use crate::cli::progress::{ProgressOptions, Show};
use crate::cli::run::{SEED, default_out};
use crate::cli::{command_line, deliver, interrupt_flag, look};
use crate::run::{Progress as _, Request};
use crate::scorecard::stacks;
use pushbench_analysis::advice::{Advice, advise, nearest_change};
use pushbench_core::error::{Error, Result};
use pushbench_core::evidence::Evidence;
use pushbench_core::suggest::did_you_mean;
use pushbench_core::units;
use pushbench_core::workload::Workload;
use pushbench_host::console::error_line;
use pushbench_host::cpus::Placement;
use pushbench_host::input::{WRITTEN, text};
use pushbench_host::results_store::{vacant, write_atomically};
use pushbench_report::layout::Look;
use pushbench_report::{Format, advice, html};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file that describes the workload; without it, questions are asked
    workload: Option<PathBuf>,
    /// Answers from stored figures alone, at once
    #[arg(long, conflicts_with_all = ["at_most", "out", "cpus", "seed", "progress"])]
    no_measure: bool,
    /// Measuring takes at most this long [default: 3m, or longer where events are rare]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    at_most: Option<Duration>,
    #[command(flatten)]
    progress: ProgressOptions,
    /// text, json, markdown or html
    #[arg(long, value_parser = FORMATS, default_value = "text", hide_possible_values = true)]
    format: Format,
    /// Writes to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Results directory of the measurement [default: results/TIME-advise, the time in UTC]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// CPUs of driver and targets, such as driver=1,target=0
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Seed of the schedules
    #[arg(long, value_name = "N", default_value_t = SEED)]
    seed: u64,
}

const FORMATS: Formats = Formats(&[Format::Text, Format::Json, Format::Markdown, Format::Html]);

/// 0 when something is recommended, 1 when no transport satisfies the workload. An interrupted measurement ends with an
/// answer from what is known.
pub fn run(args: &Args) -> Result<u8> {
    let (file, written) = match &args.workload {
        Some(path) => (path.display().to_string(), text(path, WRITTEN)?),
        None => {
            let mut input = std::io::stdin().lock();
            let answers = ask(&mut input, &mut |question| error_line(question))?;
            ("your answers".to_owned(), answers)
        }
    };
    let workload = Workload::parse(&file, &written)?;
    let mut known = shipped()?;
    known.stacks = stacks()?;
    if let Some(stack) = workload.stack.as_ref() {
        let names = || known.stacks.iter().map(|known| known.stack.as_str());
        if !names().any(|name| name == stack) {
            let hint = did_you_mean(stack, names());
            return Err(Error::usage(format!(
                "{file}: stack = {stack}: no target of that name serves webhook and WebSocket{hint}; there are {}",
                names().collect::<Vec<_>>().join(", ")
            )));
        }
    }
    let out = args.out.clone().unwrap_or_else(|| default_out("advise"));
    let mut show = args.progress.show()?;
    if !args.no_measure {
        vacant(&out)?;
    }
    let ended = answer(args, &workload, known, &out, &mut show);
    show.end(&out, ended)
}

/// Measures what is to be measured, and gives advice.
fn answer(
    args: &Args,
    workload: &Workload,
    mut known: Evidence,
    out: &Path,
    show: &mut Show,
) -> Result<u8> {
    let mut interrupted = false;
    if !args.no_measure {
        let placement = match &args.cpus {
            Some(text) => Placement::parse(text)?,
            None => Placement::automatic(),
        };
        let mut measurement = Measurement {
            workload: workload.clone(),
            at_most: args.at_most,
            placement,
            seed: args.seed,
            out: out.to_owned(),
            command: command_line(),
        };
        match measurement.request(&known)? {
            None => show.say("nothing to measure: fewer than two transports remain"),
            Some(request) => {
                let interrupt = interrupt_flag()?;
                show.say_placement(&request.placement);
                let measured = measure_both(&mut measurement, &known, request, &interrupt, show);
                show.finish();
                known.extend(measured?);
                interrupted = interrupt.load(Ordering::Relaxed);
            }
        }
    }
    let advice = advise(workload, &known);
    deliver(
        &rendered(&advice, args.format, if args.output.is_none() { look() } else { Look::PLAIN }),
        args.output.as_deref(),
    )?;
    if known.runs.iter().any(|run| run.own) {
        let page = out.join("advice.html");
        write_atomically(&page, rendered(&advice, Format::Html, Look::PLAIN).as_bytes())?;
        write_atomically(
            &out.join("advice.json"),
            rendered(&advice, Format::Json, Look::PLAIN).as_bytes(),
        )?;
        show.conclusion(&format!("Page     {}", page.display()));
    }
    if interrupted {
        return Err(Error::Interrupted);
    }
    Ok(u8::from(advice.recommendation.is_empty()))
}

/// Measures the workload, and with what is left of the time the other side of the nearest change of its load.
fn measure_both(
    measurement: &mut Measurement,
    stored: &Evidence,
    request: Request,
    interrupt: &AtomicBool,
    show: &mut Show,
) -> Result<Evidence> {
    let began = Instant::now();
    let mut found = measurement.measure(request, interrupt, show)?;
    let mut known = stored.clone();
    known.extend(found.clone());
    let change = nearest_change(&measurement.workload, &known);
    let Some(other) = change.filter(|_| !interrupt.load(Ordering::Relaxed)) else {
        return Ok(found);
    };
    measurement.workload = other;
    let at_most = measurement.at_most.unwrap_or(USUAL);
    measurement.at_most = Some(at_most.saturating_sub(began.elapsed()));
    measurement.out = measurement.out.join("change");
    let other = match measurement.request(&known) {
        Ok(None) => return Ok(found),
        Ok(Some(request)) => {
            measurement.measure(request, interrupt, show).map_err(|e| e.to_string())
        }
        Err(_) => Err("no time was left".to_owned()),
    };
    match other {
        Ok(other) => found.extend(other),
        // What was measured before stays.
        Err(why) => show.say(&format!("the other side of the change was not measured: {why}")),
    }
    Ok(found)
}

fn rendered(advised: &Advice, format: Format, look: Look) -> String {
    match format {
        Format::Json => advice::json(advised),
        Format::Markdown => advice::markdown(advised),
        Format::Html => html::advice::render(advised, &shell_words::join(command_line())),
        _ => advice::text(advised, look),
    }
}
