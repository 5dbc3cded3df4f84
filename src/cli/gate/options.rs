//! What is sent, what is judged: the options that `gate` and `qualify` have in common.

use crate::cli::gate::instructions::INSTRUCTIONS;
use crate::cli::run::{Overrides, SEED};
use crate::gate::nulls;
use crate::gate::nulls::Nulls;
use crate::run::environment;
use pushbench_analysis::compare::decide::is_judged;
use pushbench_analysis::compare::gate::looks::FIRST;
use pushbench_analysis::compare::gate::{FEWEST, JUDGED, Margin, Settings};
use pushbench_core::arm::ArmSpec;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::metrics;
use pushbench_core::record::metrics::METRICS;
use pushbench_core::scenario::{Flow, Question};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::units;
use pushbench_host::cpus::Placement;
use pushbench_host::input;
use std::path::PathBuf;
use std::time::Duration;

/// Long enough to tell 10 % at 10 % of noise a block.
pub(super) const AT_MOST: &str = "5m";
/// Blocks of a gate against stored runs, where nothing else is said.
const MOST_AGAINST: usize = 40;

/// What is sent, and how: options shared with `qualify`.
#[derive(Debug, clap::Args)]
pub struct GateOptions {
    /// Transport of the events, with options as in an arm (webhook+tls); may be repeated
    #[arg(long = "transport", value_name = "T", default_values = ["webhook"])]
    transports: Vec<String>,
    /// A shipped scenario's name or a path to a .toml file [default: gate, or the stored run's]
    #[arg(long, value_name = "S")]
    pub(in crate::cli) scenario: Option<String>,
    /// Metrics to judge, separated by commas; or instructions, in a gate of their own [default: those of
    /// service.p50,response.p50,throughput,target_usage.cpu_ns_per_event that the load has]
    #[arg(
        long,
        value_name = "METRICS",
        value_delimiter = ',',
        default_values = JUDGED,
        hide_default_value = true
    )]
    pub(super) judge: Vec<String>,
    /// Blocks before the first judgement [default: 8, or as many as the stored run has]
    #[arg(long, value_name = "N")]
    blocks: Option<usize>,
    /// Adds blocks until the verdict stands, and ends after this time
    #[arg(long, value_name = "TIME", default_value = AT_MOST, value_parser = units::parse_duration)]
    pub(in crate::cli) at_most: Duration,
    /// Results directory [default: results/TIME-NAME, the time in UTC]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Seed of schedules and orders [default: 7, or the stored run's]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(in crate::cli) seed: Option<u64>,
    /// Sets any scenario key
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(in crate::cli) set: Vec<String>,
    /// CPUs of driver and targets, such as driver=1,target=0
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
}

impl GateOptions {
    /// Transports and options; the sides are their targets.
    pub(in crate::cli) fn transports(&self) -> Result<Vec<ArmSpec>> {
        let mut found: Vec<ArmSpec> = Vec::new();
        for name in self.transports.iter().flat_map(|t| t.split(',')) {
            let wrong = |why: String| Error::usage(format!("--transport {name}: {why}"));
            let spec = ArmSpec::parse_left(name, "").map_err(wrong)?;
            match found.iter().find(|other| other.transport == spec.transport) {
                None => found.push(spec),
                Some(other) if *other == spec => {}
                Some(other) => {
                    return Err(wrong(format!(
                        "a gate compares one kind of {} at a time: leave this or {} out",
                        spec.transport.name(),
                        other.at_receiver()
                    )));
                }
            }
        }
        Ok(found)
    }

    pub(in crate::cli) fn question(&self) -> Result<Question> {
        let question = input::scenario(
            self.scenario.as_deref().unwrap_or("gate"),
            &Overrides { set: &self.set }.parsed()?,
        )?;
        match question.points.iter().any(|p| p.scenario.flow != Flow::Ingest) {
            true => Err(Error::usage(format!(
                "--scenario {}: a gate needs a server that receives events: choose a scenario whose flow is ingest",
                question.name
            ))),
            false => Ok(question),
        }
    }

    pub(in crate::cli) fn seed(&self) -> u64 {
        self.seed.unwrap_or(SEED)
    }

    pub(in crate::cli) fn placement(&self) -> Result<Placement> {
        match &self.cpus {
            Some(text) => Placement::parse(text),
            None => Ok(Placement::automatic()),
        }
    }

    /// Blocks before look 1.
    pub(in crate::cli) fn blocks(&self) -> usize {
        self.blocks.unwrap_or(FIRST)
    }

    /// All blocks of a gate against stored runs: as many as they have, but no more than this.
    pub(in crate::cli) fn blocks_against(&self, stored: usize) -> usize {
        self.blocks.unwrap_or(stored.clamp(FIRST, MOST_AGAINST))
    }

    pub(in crate::cli) fn check_blocks(&self) -> Result<()> {
        if self.at_most.is_zero() {
            return Err(Error::usage(
                "--at-most 0s: a gate takes a minute or more: write a time such as --at-most 5m",
            ));
        }
        match self.blocks {
            Some(blocks) if blocks < FEWEST => Err(Error::usage(format!(
                "--blocks {blocks}: no verdict is possible below {FEWEST} blocks: write --blocks {FEWEST} or more"
            ))),
            _ => Ok(()),
        }
    }

    /// The metrics, all of them known and applicable to the load.
    pub(in crate::cli) fn judged(&self, question: &Question) -> Result<Vec<&'static str>> {
        let mut found = Vec::new();
        for name in &self.judge {
            if name == INSTRUCTIONS {
                return Err(Error::usage(format!(
                    "--judge {INSTRUCTIONS}: only a gate counts instructions: choose metrics of `pushbench list metrics`"
                )));
            }
            let metric = metrics::named(name).ok_or_else(|| {
                let hint = did_you_mean(name, METRICS.iter().map(|m| m.name));
                Error::usage(format!(
                    "--judge {name}: no such metric{hint}; see `pushbench list metrics`"
                ))
            })?;
            let usual = self.judge == JUDGED;
            let fits = question.points.iter().any(|p| is_judged(metric, &p.scenario));
            if !fits && !usual {
                return Err(Error::usage(format!(
                    "--judge {name}: {}; choose others of `pushbench list metrics`",
                    match metric.family {
                        metrics::Family::Reported => "it is reported, not judged",
                        metrics::Family::Throughput => "an open load fixes the throughput",
                        _ if name.starts_with("service") => {
                            "service time and throughput of a closed load are one quantity, judged as throughput"
                        }
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

    pub(in crate::cli) fn settings(
        &self,
        question: &Question,
        transports: &[ArmSpec],
        nulls: &Nulls,
    ) -> Result<Settings> {
        let machine = nulls::kind(&environment::describe());
        let names: Vec<String> = transports.iter().map(ArmSpec::at_receiver).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let margin = |metric| nulls.margin(&machine, &question.name, &names, metric);
        Ok(with_margins(self.judged(question)?.into_iter().map(margin).collect()))
    }
}

/// What is allowed today, and nothing else that makes a gate milder.
pub(super) fn with_margins(margins: Vec<Margin>) -> Settings {
    Settings {
        margins,
        min_difference_ns: 0.0,
        ratio: false,
        waivers: Vec::new(),
        today: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
    }
}
