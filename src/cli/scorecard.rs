//! `pushbench scorecard`

use crate::cli::formats::Formats;
use crate::cli::progress::{ProgressOptions, Show};
use crate::cli::report::again;
use crate::cli::run::{SEED, default_out};
use crate::cli::{command_line, deliver, interrupt_flag, look, stored_document};
use crate::scorecard::{Request, holds_measurements, plan};
use pushbench_analysis::scorecard::{Card, judge};
use pushbench_core::error::{Error, Result};
use pushbench_core::scorecard::{CardRecord, Form};
use pushbench_host::cpus::Placement;
use pushbench_host::results_store::{create_dir, vacant, write_atomically};
use pushbench_report::layout::Look;
use pushbench_report::{Format, html, scorecard};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The server that takes webhooks: a target, or an arm such as webhook+tls@mine
    #[arg(long, value_name = "TARGET", default_value = "builtin")]
    webhook: String,
    /// The server that takes WebSockets: a target, or an arm such as websocket+tls@mine
    #[arg(long, value_name = "TARGET", default_value = "builtin")]
    websocket: String,
    /// Measures more blocks, searches capacities, and tries paths over TLS, too; takes about half an hour
    #[arg(long)]
    long: bool,
    #[command(flatten)]
    progress: ProgressOptions,
    /// Makes only this measurement; may be repeated: saturation, rest, loaded, both-ways, callback, fan-out, distance-20ms,
    /// distance-100ms, silence, idle, polling, reach; with --long also filter, capacity
    #[arg(long = "only", value_name = "NAME")]
    only: Vec<String>,
    /// Measures everything, also what a stored run of this machine and version has measured
    #[arg(long)]
    anew: bool,
    /// Also takes stored runs below this directory, of whatever machine and version; may be repeated
    #[arg(long = "reuse", value_name = "DIR", conflicts_with = "anew")]
    reuse: Vec<PathBuf>,
    /// text, json, markdown or html
    #[arg(long, value_parser = FORMATS, default_value = "text", hide_possible_values = true)]
    format: Format,
    /// Writes to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Results directory [default: results/TIME-scorecard, the time in UTC]
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
/// Its file.
const FILE: &str = "scorecard.json";
/// The page beside it.
const PAGE: &str = "scorecard.html";
/// The same for documents.
const DOCUMENT: &str = "scorecard.md";

/// 0 when something was measured, whatever became of the claims.
pub fn run(args: &Args) -> Result<u8> {
    let placement = match &args.cpus {
        Some(text) => Placement::parse(text)?,
        None => Placement::automatic(),
    };
    for dir in &args.reuse {
        let shown = dir.display();
        if !dir.is_dir() {
            return Err(Error::usage(format!("--reuse {shown}: no such directory")));
        }
        if !holds_measurements(dir) {
            return Err(Error::usage(format!(
                "--reuse {shown}: there is no run and no matrix of paths in it or two directories below"
            )));
        }
    }
    let request = Request {
        webhook: arm("--webhook", "webhook", &args.webhook)?,
        websocket: arm("--websocket", "websocket", &args.websocket)?,
        form: if args.long { Form::Long } else { Form::Short },
        only: args.only.clone(),
        reuse: !args.anew,
        from: args.reuse.clone(),
        placement,
        seed: args.seed,
        out: args.out.clone().unwrap_or_else(|| default_out("scorecard")),
        command: command_line(),
    };
    request.check()?;
    vacant(&request.out)?;
    if request.has_paths() {
        // Where this machine has no namespaces, everything else is still measured.
        let _said_where_it_is_missing = pushbench_path::user_namespace::ensure();
    }
    let interrupt = interrupt_flag()?;
    let mut show = args.progress.show()?;
    let ended = measure(&request, &interrupt, &mut show, args);
    show.end(&request.out, ended)
}

fn measure(request: &Request, interrupt: &AtomicBool, show: &mut Show, args: &Args) -> Result<u8> {
    let mut record = request.begin()?;
    create_dir(&request.out)?;
    let file = request.out.join(FILE);
    show.say_placement(&request.placement);
    let mut keep = |record: &CardRecord| {
        write_atomically(&file, scorecard::json(&judge(record.clone())).as_bytes())
    };
    let ended = request.execute(&mut record, interrupt, show, &mut keep);
    show.finish();
    let card = judge(record);
    for (name, format) in [(FILE, Format::Json), (PAGE, Format::Html), (DOCUMENT, Format::Markdown)]
    {
        let text = rendered(&card, format, &request.out, Look::PLAIN);
        write_atomically(&request.out.join(name), text.as_bytes())?;
    }
    let shown = display(&card, args.format, &request.out, args.output.as_deref());
    show.conclusion(&format!("Report   {}", request.out.join(PAGE).display()));
    show.conclusion(&format!("Results  {}  ({})", request.out.display(), again(&request.out)));
    shown?;
    ended?;
    let measured = card.record.measurements.iter().filter(|m| m.source.is_some());
    let wanted = |why: &&String| ![plan::LEFT_OUT, plan::OTHER_FORM].contains(&why.as_str());
    let mut reasons = card.record.measurements.iter().filter_map(|m| m.why_not.as_ref());
    match (measured.count(), reasons.find(wanted)) {
        (0, Some(why)) => Err(Error::target(format!("nothing could be measured: {why}"))),
        _ => Ok(0),
    }
}

/// The arm of a target, or the arm itself.
fn arm(option: &str, transport: &str, given: &str) -> Result<String> {
    if given.contains("://") {
        return Err(Error::usage(format!(
            "{option} {given}: a card needs the name of a target, because some of its questions need a server that is started \
             again: describe the server in pushbench.toml (pushbench init) and write {option} NAME"
        )));
    }
    match given.split_once('@') {
        None => Ok(format!("{transport}@{given}")),
        Some((of, _)) if of == transport || of.starts_with(&format!("{transport}+")) => {
            Ok(given.to_owned())
        }
        Some((of, target)) => Err(Error::usage(format!(
            "{option} {given}: {of} is no {transport}: write {option} {target}"
        ))),
    }
}

/// True when a directory holds a card.
pub(crate) fn is_card(dir: &Path) -> bool {
    dir.join(FILE).is_file()
}

/// A stored card, judged again.
pub fn stored(dir: &Path) -> Result<Card> {
    let record: CardRecord = stored_document(&dir.join(FILE))?;
    Ok(judge(record))
}

/// Shows a stored card.
pub fn report(dir: &Path, format: &str, output: Option<&Path>) -> Result<()> {
    display(&stored(dir)?, FORMATS.find(format, "a scorecard")?, dir, output)
}

fn display(card: &Card, format: Format, dir: &Path, output: Option<&Path>) -> Result<()> {
    let look = if output.is_none() { look() } else { Look::PLAIN };
    deliver(&rendered(card, format, dir, look), output)
}

fn rendered(card: &Card, format: Format, dir: &Path, look: Look) -> String {
    match format {
        Format::Json => scorecard::json(card),
        Format::Markdown => scorecard::markdown(card),
        Format::Html => html::scorecard::render(card, &dir.display().to_string()),
        _ => scorecard::text(card, look),
    }
}
