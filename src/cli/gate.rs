//! `pushbench gate`

use super::progress::Show;
use super::run::{Overrides, default_out};
use super::{interrupt_flag, print};
use crate::compare::gate::{self as verdict, FEWEST, Gate, JUDGED, Settings, applies};
use crate::cpus::Placement;
use crate::error::{Error, Result};
use crate::gate::{self, Request, against, nulls, nulls::Nulls, record, sides, waivers};
use crate::record::metrics::{self, METRICS};
use crate::report::gate::{ALL, Format, Told, github};
use crate::run::{arms::Arm, environment};
use crate::scenario::{self, Question};
use crate::store::{StoredRun, write_atomically};
use crate::suggest::did_you_mean;
use crate::target::manifest::{BuiltinOptions, Matching};
use crate::transport::{self, Transport};
use crate::units;
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
    pub(super) what: What,
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
    /// text, json, markdown or github
    #[arg(long, default_value = "text")]
    format: String,
    /// Writes to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What is sent, and how; `qualify` asks the same.
#[derive(Debug, clap::Args)]
pub struct What {
    /// How events travel; may be repeated
    #[arg(long = "transport", value_name = "T", default_values = ["webhook"])]
    transports: Vec<String>,
    /// Path at which commands take events [default: /webhook, or / by WebSocket]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// How answers of commands find their events: id or order
    #[arg(long = "match", value_name = "HOW", default_value = "id")]
    matching: String,
    /// A shipped scenario's name or a path to a .toml file [default: gate, or the stored run's]
    #[arg(long, value_name = "S")]
    pub(super) scenario: Option<String>,
    /// Metrics to judge, with commas between
    #[arg(long, value_name = "METRICS", value_delimiter = ',', default_values = JUDGED)]
    judge: Vec<String>,
    /// Blocks of the first stage; the second has twice as many
    #[arg(long, value_name = "N", default_value_t = gate::BLOCKS)]
    pub(super) blocks: usize,
    /// Results directory [default: results/TIME-NAME, the time in UTC]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Seed of schedules and orders
    #[arg(long, value_name = "N", default_value_t = super::run::SEED, allow_hyphen_values = true)]
    pub(super) seed: u64,
    /// Sets any scenario key
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// CPUs of driver and targets, such as driver=1,target=0
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Allows a target on this host; only loopback is allowed otherwise
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
}

impl What {
    pub(super) fn transports(&self) -> Result<Vec<Transport>> {
        let names = || transport::ALL.map(Transport::name);
        let mut found = Vec::new();
        for name in self.transports.iter().flat_map(|t| t.split(',')) {
            let transport = Transport::named(name).ok_or_else(|| {
                let hint = did_you_mean(name, names());
                Error::usage(format!(
                    "--transport {name}: no such transport{hint}; there are {}",
                    names().join(", ")
                ))
            })?;
            if !found.contains(&transport) {
                found.push(transport);
            }
        }
        Ok(found)
    }

    pub(super) fn question(&self) -> Result<Question> {
        let question = scenario::load(
            self.scenario.as_deref().unwrap_or("gate"),
            &Overrides { set: &self.set }.parsed()?,
        )?;
        Ok(question)
    }

    pub(super) fn placement(&self) -> Result<Placement> {
        match &self.cpus {
            Some(text) => Placement::parse(text),
            None => Ok(Placement::automatic()),
        }
    }

    pub(super) fn common(&self, placement: &Placement) -> Result<sides::Common<'_>> {
        let matching = match self.matching.as_str() {
            "id" => Matching::Id,
            "order" => Matching::Order,
            other => {
                return Err(Error::usage(format!(
                    "--match {other}: write id where answers carry the event's id, else order"
                )));
            }
        };
        let builtin = BuiltinOptions { threads: placement.target.len(), delay: None, work: None };
        Ok(sides::Common {
            path: self.path.as_deref(),
            matching,
            builtin,
            allow_hosts: &self.allow_host,
        })
    }

    pub(super) fn check_blocks(&self) -> Result<()> {
        match self.blocks < FEWEST {
            true => Err(Error::usage(format!(
                "--blocks {}: no verdict is possible below {FEWEST} blocks: write --blocks {FEWEST} or more",
                self.blocks
            ))),
            false => Ok(()),
        }
    }

    /// The metrics, all of them known and applicable to the load.
    pub(super) fn judged(&self, question: &Question) -> Result<Vec<&'static str>> {
        let mut found = Vec::new();
        for name in &self.judge {
            let metric = metrics::named(name).ok_or_else(|| {
                let hint = did_you_mean(name, METRICS.iter().map(|m| m.name));
                Error::usage(format!(
                    "--judge {name}: no such metric{hint}; see `pushbench list metrics`"
                ))
            })?;
            let usual = self.judge == JUDGED;
            let fits = question.points.iter().any(|p| applies(metric, &p.scenario));
            if !fits && !usual {
                return Err(Error::usage(format!(
                    "--judge {name}: {}; choose others of `pushbench list metrics`",
                    match metric.family {
                        metrics::Family::Told => "it is told, not judged",
                        metrics::Family::Throughput => "an open load fixes the throughput",
                        _ => "a closed load has no due instants to respond to",
                    }
                )));
            }
            if fits && !found.contains(&metric.name) {
                found.push(metric.name);
            }
        }
        Ok(found)
    }

    pub(super) fn settings(
        &self,
        question: &Question,
        transports: &[Transport],
        nulls: &Nulls,
    ) -> Result<Settings> {
        let machine = nulls::kind(&environment::describe());
        let names: Vec<&str> = transports.iter().map(|t| t.name()).collect();
        let margin = |metric| nulls.margin(&machine, &question.name, &names, metric);
        Ok(Settings {
            margins: self.judged(question)?.into_iter().map(margin).collect(),
            min_difference_ns: 0.0,
            ratio: false,
            waivers: Vec::new(),
            today: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        })
    }
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
    show.say_placement(&plan.request.placement);
    let ended = match &plan.stored {
        None => gate::execute(&plan.request, &interrupt, &mut show),
        Some((dir, arm)) => {
            against::execute(&plan.request, dir, arm, &interrupt, &mut show).map(|gate| vec![gate])
        }
    };
    show.finish();
    let stages = ended?;
    let [base, candidate] = &plan.request.named;
    let told = Told { base, candidate, stages: &stages };
    keep(&plan.request.out, &told)?;
    tell(format, &told, args.output.as_deref())?;
    eprintln!("Results  {0}  (pushbench report {0})", plan.request.out.display());
    Ok(stages.last().map_or(3, Gate::exit_code))
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

/// The request, and the stored run it is held against.
struct Plan {
    request: Request,
    stored: Option<(PathBuf, String)>,
}

impl Plan {
    fn of(args: &Args, transports: &[Transport], placement: Placement) -> Result<Plan> {
        let what = &args.what;
        let common = what.common(&placement)?;
        let (question, arms, seed, stored, base) = match (&args.against, &args.base) {
            (Some(dir), _) => {
                if what.scenario.is_some() || !what.set.is_empty() {
                    return Err(Error::usage(
                        "--against takes the scenario of the stored run: leave out --scenario and --set",
                    ));
                }
                let [transport] = transports else {
                    return Err(Error::usage("--against holds one transport at a time"));
                };
                let old = StoredRun::read(dir)?;
                against::check(&old, dir)?;
                let label = against::arm(&old.header, *transport, dir)?;
                let program = sides::one("--candidate", &args.candidate, *transport, &common)?;
                let candidate = sides::arm(verdict::CANDIDATE, *transport, program);
                let base = format!("{label} of {}", dir.display());
                let question = against::question(&old.header);
                let stored = Some((dir.clone(), label));
                (question, against::arms(candidate), old.header.seed, stored, base)
            }
            (None, Some(base)) => {
                let arms: Vec<Arm> = sides::arms(base, &args.candidate, transports, &common)?;
                (what.question()?, arms, what.seed, None, base.clone())
            }
            (None, None) => return Err(Error::usage("give --base CMD or --against DIR")),
        };
        let nulls = read_nulls(args.nulls.as_deref())?;
        let named = args.waivers.as_deref();
        let waivers = waivers::read(named.unwrap_or(Path::new(waivers::FILE)), named.is_some())?;
        let settings = Settings {
            min_difference_ns: args.min_difference.as_nanos() as f64,
            ratio: args.ratio,
            waivers,
            ..what.settings(&question, transports, &nulls)?
        };
        let out =
            what.out.clone().unwrap_or_else(|| default_out(&format!("gate-{}", question.name)));
        let request = Request {
            question,
            arms,
            named: [base, args.candidate.clone()],
            settings,
            blocks: what.blocks,
            seed,
            placement,
            out,
            command: super::run::command_line(),
        };
        Ok(Plan { request, stored })
    }
}

/// Reads the file of nulls.
pub(super) fn read_nulls(named: Option<&Path>) -> Result<Nulls> {
    Nulls::read(named.unwrap_or(Path::new(nulls::FILE)), named.is_some())
}

/// The verdict beside its records.
fn keep(out: &Path, told: &Told<'_>) -> Result<()> {
    let markdown = Format::Markdown.render(told);
    write_atomically(&out.join("report.md"), markdown.as_bytes())
}

fn tell(format: Format, told: &Told<'_>, output: Option<&Path>) -> Result<()> {
    let text = format.render(told);
    if format == Format::Github {
        print(&github::annotations(told))?;
        if let (None, Some(summary)) = (output, std::env::var_os("GITHUB_STEP_SUMMARY")) {
            return append(Path::new(&summary), &text);
        }
    }
    match output {
        Some(path) => write_atomically(path, text.as_bytes()),
        None => print(&text),
    }
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
    let told = Told { base: &header.base, candidate: &header.candidate, stages: &stages };
    tell(format, &told, output)
}
