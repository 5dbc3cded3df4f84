//! `pushbench run`

use crate::cli::coordinate::{Listening, on_engine};
use crate::cli::progress::{ProgressOptions, Show};
use crate::cli::target_options;
use crate::cli::target_options::TargetOptions;
use crate::cli::{command_line, interrupt_flag, look, page, print};
use crate::cluster::coordinator::Cluster;
use crate::cluster::engine::Engine;
use crate::run;
use crate::run::{Progress as _, Request, StartedRun, arms};
use pushbench_analysis::compare;
use pushbench_analysis::compare::evidence::evidence;
use pushbench_analysis::compare::expect::Outcome;
use pushbench_analysis::compare::{Report, ranking};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::metrics::Metric;
use pushbench_core::record::run::StoredRun;
use pushbench_core::scenario::{Flow, Override, Question};
use pushbench_host::cpus::Placement;
use pushbench_host::input;
use pushbench_host::results_store::vacant;
use pushbench_host::results_store::{self, write_atomically};
use pushbench_report::{html, markdown, text};
use pushbench_sut::manifest::OWN_FILE;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Seed of runs that name none: a run is repeated by running it again.
pub(super) const SEED: u64 = 7;
/// The page that every run ends with.
const PAGE: &str = "report.html";

#[derive(Debug, Default, clap::Args)]
#[group(id = "run-options")]
pub struct Args {
    /// A shipped scenario's name or a path to a .toml file
    #[arg(default_value = "ingest")]
    scenario: String,
    /// Arm to measure, TRANSPORT@TARGET; may be repeated; the first arm is the baseline
    #[arg(long = "arm", value_name = "ARM")]
    arms: Vec<String>,
    /// Results directory [default: results/TIME-SCENARIO, the time in UTC]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Blocks to run, or auto (compare.blocks)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    blocks: Option<String>,
    /// Measured part of a trial (load.duration)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    duration: Option<String>,
    /// Unmeasured part at the start of a trial (load.warmup)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    warmup: Option<String>,
    /// Events per second (load.rate)
    #[arg(long, value_name = "R", allow_hyphen_values = true)]
    rate: Option<String>,
    /// Connections (connections.count)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    connections: Option<String>,
    /// Unanswered events a connection may carry (connections.in_flight)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    in_flight: Option<String>,
    /// Subscribers of a fan-out (subscribers.count)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    subscribers: Option<String>,
    /// Size of an event (payload.bytes)
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    payload: Option<String>,
    /// Seed of schedules and orders
    #[arg(long, value_name = "N", default_value_t = SEED, allow_hyphen_values = true)]
    seed: u64,
    /// Sets any scenario key; setting a swept key ends its sweep
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Sorts a table of more than three arms by this metric
    #[arg(long, value_name = "METRIC")]
    sort: Option<String>,
    /// CPUs of driver and targets, such as driver=1,target=0; of a run on this machine only
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Allows a target on this host; only loopback is allowed otherwise
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    #[command(flatten)]
    progress: ProgressOptions,
    #[command(flatten)]
    pub(super) target: TargetOptions,
}

/// What is about to be measured on several machines.
pub(super) struct Measured<'a> {
    /// What.
    pub(super) request: &'a Request,
    /// Set when the user wants to stop.
    pub(super) interrupt: &'a AtomicBool,
}

/// Brings a cluster together, and measures on it with the function that it is given.
pub(super) type OnCluster<'a> = dyn FnMut(&Measured<'_>, &mut Show, &mut dyn FnMut(&Cluster, &mut Show) -> Result<u8>) -> Result<u8>
    + 'a;

impl Args {
    /// What `pushbench` alone runs.
    pub(crate) fn default_run() -> Args {
        Args { scenario: "ingest".to_owned(), seed: SEED, ..Args::default() }
    }

    /// Refuses options that say something of one machine alone.
    pub(super) fn check_elsewhere(&self) -> Result<()> {
        if self.target.is_given() {
            return Err(Error::usage(
                "--webhook, --websocket and --command describe a server of this machine: describe it in pushbench.toml on the machine of the targets, with match, and write --arm",
            ));
        }
        if self.cpus.is_some() {
            return Err(Error::usage(
                "--cpus: the machines of a run on several have all of their CPUs; a shard that is started by hand takes --cpus itself",
            ));
        }
        Ok(())
    }

    /// Hosts beside loopback to which events may go.
    pub(super) fn allow_hosts(&self) -> &[String] {
        &self.allow_host
    }

    fn overrides(&self) -> Result<Vec<Override>> {
        let mut overrides = Overrides { set: &self.set }.parsed()?;
        let named = [
            ("--blocks", "compare.blocks", &self.blocks),
            ("--duration", "load.duration", &self.duration),
            ("--warmup", "load.warmup", &self.warmup),
            ("--rate", "load.rate", &self.rate),
            ("--connections", "connections.count", &self.connections),
            ("--in-flight", "connections.in_flight", &self.in_flight),
            ("--subscribers", "subscribers.count", &self.subscribers),
            ("--payload", "payload.bytes", &self.payload),
        ];
        for (option, key, value) in named {
            if let Some(value) = value {
                let origin = format!("{option} {value}");
                overrides.push(Override { key: key.to_owned(), value: value.clone(), origin });
            }
        }
        Ok(overrides)
    }
}

/// The values of `--set`.
pub(super) struct Overrides<'a> {
    pub(super) set: &'a [String],
}

impl Overrides<'_> {
    /// Parses each KEY=VALUE.
    pub(super) fn parsed(&self) -> Result<Vec<Override>> {
        let one = |text: &String| {
            let origin = format!("--set {text}");
            let (key, value) = text.split_once('=').ok_or_else(|| {
                Error::usage(format!(
                    "{origin}: write KEY=VALUE, for example --set load.timeout=2s"
                ))
            })?;
            Ok(Override { key: key.trim().to_owned(), value: value.to_owned(), origin })
        };
        self.set.iter().map(one).collect()
    }
}

/// Where a run is made, if not here.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Several machines")]
pub struct Elsewhere {
    /// Runs on several machines: slurm, or ssh:HOST,HOST,…; the last one has the targets; with --listen and --allow-host
    #[arg(long, value_name = "ENGINE", value_parser = Engine::parse)]
    on: Option<Engine>,
    /// With --on slurm: nodes, one of which has the targets [default: those of the allocation]
    #[arg(long, value_name = "N", requires = "on")]
    pub(super) shards: Option<usize>,
    /// With --on: path of pushbench on the other machines [default: that of this one]
    #[arg(long, value_name = "PATH", requires = "on")]
    pub(super) program: Option<PathBuf>,
    /// With --on ssh: the command that connects, with its options
    #[arg(long, value_name = "CMD", requires = "on", value_parser = words)]
    pub(super) ssh: Option<Words>,
    #[command(flatten)]
    pub(super) listening: Listening,
}

/// The words of a command.
#[derive(Debug, Clone)]
pub struct Words(pub Vec<String>);

fn words(text: &str) -> std::result::Result<Words, String> {
    let words = shell_words::split(text).map_err(|e| e.to_string())?;
    if words.is_empty() {
        Err("write a command, such as ssh -F FILE".to_owned())
    } else {
        Ok(Words(words))
    }
}

/// `pushbench run`
#[derive(Debug, clap::Args)]
pub struct Command {
    #[command(flatten)]
    pub(super) run: Args,
    #[command(flatten)]
    elsewhere: Elsewhere,
}

impl Command {
    /// What `pushbench` alone runs.
    pub(crate) fn default_run() -> Command {
        let elsewhere = Elsewhere {
            on: None,
            shards: None,
            program: None,
            ssh: None,
            listening: Listening::default(),
        };
        Command { run: Args::default_run(), elsewhere }
    }
}

/// Runs the scenario, here or where it is said; the exit code of the contract.
pub fn command(command: &Command) -> Result<u8> {
    let Elsewhere { on, listening, .. } = &command.elsewhere;
    match on {
        Some(engine) => on_engine(&command.run, engine, &command.elsewhere),
        None if *listening != Listening::default() => Err(Error::usage(
            "--listen and --join-within belong to a run on several machines: add --on slurm or --on ssh:HOST,HOST",
        )),
        None => run(&command.run),
    }
}

/// Runs the scenario on this machine.
pub fn run(args: &Args) -> Result<u8> {
    measure(args, None)
}

/// Runs it on the machines that `on` brings together.
pub(super) fn run_on(args: &Args, on: &mut OnCluster<'_>) -> Result<u8> {
    measure(args, Some(on))
}

fn measure(args: &Args, on: Option<&mut OnCluster<'_>>) -> Result<u8> {
    if let Some((scheme, _)) = args.scenario.split_once("://") {
        let option = if scheme.starts_with("ws") { "--websocket" } else { "--webhook" };
        let url = &args.scenario;
        return Err(Error::usage(format!(
            "{url} is no scenario: write pushbench run {option} {url} to measure a server there"
        )));
    }
    let sort = crate::cli::report::sorted_by(args.sort.as_deref())?;
    let question = input::scenario(&args.scenario, &args.overrides()?)?;
    let placement = match &args.cpus {
        Some(text) => Placement::parse(text)?,
        None => Placement::automatic(),
    };
    let builtin = arms::builtin(&question, &placement)?;
    let given = args.target.target(&args.allow_host)?;
    let names = target_options::names(given.as_ref(), &args.arms, || default_arms(&question));
    let arms = arms::find(&names, &builtin, &args.allow_host, given.as_ref())?;
    let out = args.out.clone().unwrap_or_else(|| default_out(&question.name));
    vacant(&out)?;
    allow_path(&question)?;
    let interrupt = interrupt_flag()?;
    let mut show = args.progress.show()?;
    let mut request =
        Request { question, arms, seed: args.seed, placement, out, command: command_line() };
    let ended = match on {
        Some(on) => {
            let measured = Measured { request: &request, interrupt: &interrupt };
            on(&measured, &mut show, &mut |cluster, show| {
                finish(StartedRun::new(&request)?.on(cluster), &request, &interrupt, show, sort)
            })
        }
        None => {
            show.say_placement(&request.placement);
            target_options::remark(given.as_ref()).into_iter().for_each(|line| show.say(line));
            run::prepare(&mut request, &interrupt, &mut show).and_then(|()| {
                finish(StartedRun::new(&request)?, &request, &interrupt, &mut show, sort)
            })
        }
    };
    show.end(&request.out, ended)
}

fn finish(
    mut begun: StartedRun<'_>,
    request: &Request,
    interrupt: &AtomicBool,
    show: &mut Show,
    sort: Option<&'static Metric>,
) -> Result<u8> {
    let ended = begun.measure(interrupt, show);
    show.finish();
    conclude(begun, &request.out, ended, sort)
}

/// Where a point has a path, network namespaces can be made from now on. Before anything was started.
pub(super) fn allow_path(question: &Question) -> Result<()> {
    match question.points.iter().any(|point| point.scenario.path.is_some()) {
        true => pushbench_path::user_namespace::ensure(),
        false => Ok(()),
    }
}

pub(super) fn default_arms(question: &Question) -> Vec<String> {
    let first = question.points.first().map(|p| &p.scenario);
    match first.map(|scenario| &scenario.compare.arms).filter(|arms| !arms.is_empty()) {
        Some(own) => own.clone(),
        None => {
            let flow = first.map_or(Flow::Ingest, |scenario| scenario.flow);
            arms::default_of(flow).iter().map(|arm| (*arm).to_owned()).collect()
        }
    }
}

/// A new directory in `results/`, named by the time.
pub(super) fn default_out(scenario: &str) -> PathBuf {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H%M%SZ");
    let first = Path::new("results").join(format!("{now}-{scenario}"));
    // Two runs may begin in the same second.
    let next = |n: u32| Path::new("results").join(format!("{now}-{scenario}-{n}"));
    std::iter::once(first).chain((2..).map(next)).find(|path| !path.exists()).unwrap_or_default()
}

/// Shows what was finished, however the run ended, and derives the exit code.
fn conclude(
    begun: StartedRun<'_>,
    out: &Path,
    ended: Result<()>,
    sort: Option<&'static Metric>,
) -> Result<u8> {
    let stored = results_store::read(out)?;
    if stored.trials.is_empty() && ended.is_err() {
        begun.discard();
        return ended.map(|()| 0);
    }
    let mut report = compare::compare(&stored);
    ranking::sort(&mut report, sort);
    let written = write_reports(out, &stored, &report);
    let text = text::render(&report, look());
    let printed = print(&format!("\n{text}{}", next(out, &report, written.is_ok())));
    ended?;
    written?;
    printed?;
    exit_code(&report, out)
}

fn write_reports(out: &Path, stored: &StoredRun, report: &Report) -> Result<()> {
    let evidence = evidence(stored, report, &BTreeMap::new());
    write_atomically(&out.join("report.md"), markdown::render(report, &evidence).as_bytes())?;
    let source = page::source(out, stored, report.clone(), Some(out));
    write_atomically(&out.join(PAGE), html::render(&[source]).as_bytes())
}

/// The paths of the results and the next steps; a page that could not be written is left out.
fn next(out: &Path, report: &Report, written: bool) -> String {
    let dir = out.display();
    let page =
        if written { format!("\nReport                 {dir}/{PAGE}") } else { String::new() };
    let mut lines =
        format!("{page}\nResults                {dir}  (pushbench report {dir} --format json)\n");
    let arms = || report.points.iter().flat_map(|point| &point.arms);
    let own = arms().any(|arm| !arm.arm.contains("@builtin"));
    if report.scenario == "ingest" && !own {
        lines.push_str("Highest rate?          pushbench run saturate\n");
        lines.push_str("Sending to customers?  pushbench run fanout\n");
        lines.push_str("Python servers?        pushbench run ingest --arm webhook@flask --arm websocket@websockets --rate 300\n");
    }
    lines.push_str("Trust the instrument?  pushbench selftest\n");
    if report.scenario == "ingest" && !own {
        lines.push_str(own_server());
    }
    lines
}

/// One line needs no file; a file that is there may be another's.
fn own_server() -> &'static str {
    match Path::new(OWN_FILE).exists() {
        true => "Your own server?       described in pushbench.toml: pushbench list targets\n",
        false => "Your own server?       pushbench run --webhook URL --websocket URL\n",
    }
}

/// 1: an expectation failed; 2: one cannot be judged. An arm without a valid trial is an error.
pub(super) fn exit_code(report: &Report, out: &Path) -> Result<u8> {
    let points = &report.points;
    if let Some(arm) = points.iter().flat_map(|p| &p.arms).find(|a| a.trials == a.invalid) {
        return Err(Error::target(format!(
            "{}: none of its {} trials is valid, so no comparison uses it; `pushbench report {}` shows the reasons",
            arm.arm,
            arm.trials,
            out.display()
        )));
    }
    let outcomes = || points.iter().flat_map(|p| &p.expectations).map(|e| e.outcome);
    Ok(if outcomes().any(|o| o == Outcome::Failed) {
        1
    } else if outcomes().any(|o| o == Outcome::CannotTell) {
        2
    } else {
        0
    })
}
