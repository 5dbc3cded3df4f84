//! `pushbench capacity`

use crate::capacity::{Request, check_objective, default_objective, question};
use crate::cli::formats::Formats;
use crate::cli::progress::{ProgressOptions, Show};
use crate::cli::report::again;
use crate::cli::run::{Overrides, SEED, allow_path, default_arms, default_out};
use crate::cli::target_options::{self, TargetOptions};
use crate::cli::{command_line, deliver, interrupt_flag, look, stored_document};
use crate::run::{self, Progress as _, arms};
use pushbench_analysis::capacity::{Capacity, Ending, judge};
use pushbench_core::capacity::{CapacityRecord, DIMENSIONS, Dimension};
use pushbench_core::error::{Error, Result};
use pushbench_core::scenario::{Override, objective};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::units;
use pushbench_host::cpus::Placement;
use pushbench_host::results_store::{create_dir, vacant, write_atomically};
use pushbench_host::secrets;
use pushbench_report::layout::Look;
use pushbench_report::{Format, capacity, html};
use pushbench_sut::given::Given;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A shipped scenario's name or a path to a .toml file
    #[arg(default_value = "ingest")]
    scenario: String,
    /// Arm to measure, TRANSPORT@TARGET; may be repeated; the first arm is the baseline
    #[arg(long = "arm", value_name = "ARM")]
    arms: Vec<String>,
    /// Line of the objective, such as response.p99<=50ms or acknowledged>=99.9%; may be repeated; replaces [objective]
    #[arg(long = "objective", value_name = "LINE")]
    objective: Vec<String>,
    /// The key whose highest value is searched: load.rate, subscribers.count, connections.count or payload.bytes
    #[arg(long, value_name = "KEY", default_value = "load.rate")]
    of: String,
    /// Length of a window [default: 2s, or three events]
    #[arg(long, value_name = "TIME", value_parser = length)]
    window: Option<Duration>,
    /// The search of an arm ends when half of its 95 % interval is this part of the capacity
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = precision)]
    precision: f64,
    /// The search ends after this
    #[arg(long, value_name = "TIME", default_value = "4m", value_parser = length)]
    at_most: Duration,
    /// The load that the search begins with [default: the scenario's]
    #[arg(long, value_name = "N")]
    start: Option<f64>,
    /// Results directory [default: results/TIME-capacity, the time in UTC]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of the schedules
    #[arg(long, value_name = "N", default_value_t = SEED)]
    seed: u64,
    /// Sets any scenario key; setting a swept key ends its sweep
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// text, json, markdown or html
    #[arg(long, value_parser = FORMATS, default_value = "text", hide_possible_values = true)]
    format: Format,
    /// Writes to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// CPUs of driver and targets, such as driver=1,target=0
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Allows a target on this host; only loopback is allowed otherwise
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    #[command(flatten)]
    progress: ProgressOptions,
    #[command(flatten)]
    target: TargetOptions,
}

const FORMATS: Formats = Formats(&[Format::Text, Format::Json, Format::Markdown, Format::Html]);
/// Its file.
const FILE: &str = "capacity.json";
/// The complete record of each window's trial, a line each.
const TRIALS: &str = "trials.jsonl";
/// The page beside it.
const PAGE: &str = "capacity.html";
/// A shorter window holds too few events.
const SHORTEST: Duration = Duration::from_millis(100);

fn length(text: &str) -> std::result::Result<Duration, String> {
    let length = units::parse_duration(text)?;
    if length < SHORTEST { Err("write 100ms or more".to_owned()) } else { Ok(length) }
}

fn precision(text: &str) -> std::result::Result<f64, String> {
    let share = units::parse_percent(text)?;
    match (0.005..=0.5).contains(&share) {
        true => Ok(share),
        false => Err("write a percentage from 0.5% to 50%".to_owned()),
    }
}

/// 0 when every arm has a capacity, 1 when the objective fails at the lowest load of an arm, 2 when an arm's capacity
/// cannot be told.
pub fn run(args: &Args) -> Result<u8> {
    let dimension = Dimension::named(&args.of).ok_or_else(|| {
        let known = || DIMENSIONS.iter().map(|d| d.key);
        let hint = did_you_mean(&args.of, known());
        Error::usage(format!(
            "--of {}: no such load{hint}; there are {}",
            args.of,
            known().collect::<Vec<_>>().join(", ")
        ))
    })?;
    if let Some(start) = args.start.filter(|start| !start.is_finite() || *start < dimension.lowest)
    {
        return Err(Error::usage(format!("--start {start}: write {} or more", dimension.lowest)));
    }
    let mut overrides = Overrides { set: &args.set }.parsed()?;
    overrides.extend(lines(&args.objective)?);
    let mut asked = question(&args.scenario, &overrides, dimension, args.window)?;
    if !args.objective.is_empty() {
        let given = |what: &str| overrides.iter().any(|o| o.key == format!("objective.{what}"));
        asked.points[0].scenario.objective.retain(|line| given(&line.what));
    }
    if asked.points[0].scenario.objective.is_empty() {
        overrides.extend(default_objective(&asked.points[0].scenario));
        asked = question(&args.scenario, &overrides, dimension, args.window)?;
    }
    check_objective(&asked.points[0].scenario)?;
    let placement = match &args.cpus {
        Some(text) => Placement::parse(text)?,
        None => Placement::automatic(),
    };
    let builtin = arms::builtin(&asked, &placement)?;
    let given = args.target.target(&args.allow_host)?;
    let usual =
        || default_arms(&asked).into_iter().filter(|arm| !arm.starts_with("tcp@")).collect();
    let names = target_options::names(given.as_ref(), &args.arms, usual);
    let found = arms::find(&names, &builtin, &args.allow_host, given.as_ref())?;
    let out = args.out.clone().unwrap_or_else(|| default_out("capacity"));
    vacant(&out)?;
    allow_path(&asked)?;
    let interrupt = interrupt_flag()?;
    let mut show = args.progress.show()?;
    let mut request = Request {
        scenario: args.scenario.clone(),
        overrides,
        question: asked.clone(),
        dimension,
        arms: found.clone(),
        seed: args.seed,
        placement: placement.clone(),
        out: out.clone(),
        command: command_line(),
        precision: args.precision,
        at_most: args.at_most,
    };
    request.check_time()?;
    let mut first = run::Request {
        question: asked,
        arms: found,
        seed: args.seed,
        placement,
        out,
        command: command_line(),
    };
    run::check(&first)?;
    let ended = measure(&mut request, &mut first, given.as_ref(), &interrupt, &mut show, args);
    show.end(&request.out, ended)
}

/// Looks at every arm, and searches.
fn measure(
    request: &mut Request,
    first: &mut run::Request,
    given: Option<&Given>,
    interrupt: &AtomicBool,
    show: &mut Show,
    args: &Args,
) -> Result<u8> {
    show.say_placement(&first.placement);
    target_options::remark(given).into_iter().for_each(|line| show.say(line));
    run::prepare(first, interrupt, show)?;
    run::first_look(first, interrupt)?;
    request.arms.clone_from(&first.arms);
    let mut record = request.begin();
    record.start = args.start.unwrap_or(record.start);
    search(request, &mut record, interrupt, show, args)
}

fn search(
    request: &Request,
    record: &mut CapacityRecord,
    interrupt: &AtomicBool,
    show: &mut Show,
    args: &Args,
) -> Result<u8> {
    create_dir(&request.out)?;
    let (file, page) = (request.out.join(FILE), request.out.join(PAGE));
    let trials = request.out.join(TRIALS);
    let cannot =
        |e: std::io::Error| Error::harness(format!("cannot write {}: {e}", trials.display()));
    let mut trials_file = std::fs::File::create(&trials).map_err(cannot)?;
    let mut keep = |record: &CapacityRecord, evidence: Option<&crate::capacity::Evidence>| {
        if let Some(trial) = evidence.and_then(|e| e.trial.as_ref()) {
            let line = serde_json::to_string(trial)
                .map_err(|e| Error::harness(format!("cannot write a trial: {e}")))?;
            // What a target answered may hold a secret of its user.
            let line = secrets::hide_document(format!("{line}\n").as_bytes()).into_owned();
            trials_file.write_all(&line).map_err(cannot)?;
        }
        write_atomically(&file, document(record)?.as_bytes())
    };
    let ended = request.execute(record, interrupt, show, &mut keep);
    show.finish();
    record.failure = ended.as_ref().err().map(ToString::to_string);
    write_atomically(&file, document(record)?.as_bytes())?;
    let judged = judge(record);
    write_atomically(&page, rendered(&judged, Format::Html, &request.out, Look::PLAIN).as_bytes())?;
    if record.windows.is_empty() {
        ended?;
    } else {
        display(&judged, args.format, &request.out, args.output.as_deref())?;
        show.conclusion(&format!("Report   {}", page.display()));
        show.conclusion(&format!("Results  {}  ({})", request.out.display(), again(&request.out)));
        ended?;
    }
    let any = |endings: &[Ending]| judged.arms.iter().any(|arm| endings.contains(&arm.ending));
    Ok(if any(&[Ending::Below]) { 1 } else { u8::from(any(&[Ending::Open])) * 2 })
}

fn document(record: &CapacityRecord) -> Result<String> {
    let text = serde_json::to_string(record);
    text.map_err(|e| Error::harness(format!("cannot write {FILE}: {e}")))
}

/// The lines of `--objective` as scenario keys.
fn lines(given: &[String]) -> Result<Vec<Override>> {
    let mut overrides: Vec<Override> = Vec::new();
    for text in given {
        let origin = format!("--objective {text}");
        let example =
            "write FIGURE<=LIMIT or FIGURE>=LIMIT, for example --objective 'response.p99<=50ms'";
        let (what, rest, at_least) = match (text.split_once("<="), text.split_once(">=")) {
            (Some((what, limit)), _) => (what.trim(), limit.trim(), false),
            (_, Some((what, limit))) => (what.trim(), limit.trim(), true),
            _ => return Err(Error::usage(format!("{origin}: {example}"))),
        };
        let known = objective::figures();
        if known.iter().any(|figure| figure.name == what)
            && objective::more_is_better(what) != at_least
        {
            let right = if at_least { "<=" } else { ">=" };
            return Err(Error::usage(format!(
                "{origin}: a promise limits {what} from the other side: write {what}{right}{rest}"
            )));
        }
        let key = format!("objective.{what}");
        if let Some(other) = overrides.iter().find(|o| o.key == key) {
            return Err(Error::usage(format!(
                "{origin}: {what} has a limit already ({}): leave one of them out",
                other.origin
            )));
        }
        overrides.push(Override { key, value: rest.to_owned(), origin });
    }
    Ok(overrides)
}

/// True when a directory holds a search.
pub(crate) fn is_capacity(dir: &Path) -> bool {
    dir.join(FILE).is_file()
}

/// A stored search, judged again.
pub fn stored(dir: &Path) -> Result<Capacity> {
    let record: CapacityRecord = stored_document(&dir.join(FILE))?;
    Ok(judge(&record))
}

/// Shows a stored search.
pub fn report(dir: &Path, format: &str, output: Option<&Path>) -> Result<()> {
    display(&stored(dir)?, FORMATS.find(format, "a search")?, dir, output)
}

fn display(judged: &Capacity, format: Format, dir: &Path, output: Option<&Path>) -> Result<()> {
    let look = if output.is_none() { look() } else { Look::PLAIN };
    deliver(&rendered(judged, format, dir, look), output)
}

fn rendered(judged: &Capacity, format: Format, dir: &Path, look: Look) -> String {
    match format {
        Format::Json => capacity::json(judged),
        Format::Markdown => capacity::markdown(judged),
        Format::Html => html::capacity::render(judged, &dir.display().to_string()),
        _ => capacity::text(judged, look),
    }
}
