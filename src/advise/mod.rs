//! `pushbench advise`: what is known of a workload's transports, from stored runs and from one that is made for it.

mod questions;

pub use questions::ask;

use crate::run::{self, Progress, arms};
use pushbench_analysis::advice::{evidence, is_deep, to_measure};
use pushbench_core::error::{Error, Result};
use pushbench_core::evidence::Evidence;
use pushbench_core::guarantee::Promise;
use pushbench_core::scenario::Override;
use pushbench_core::transport::Transport;
use pushbench_core::workload::Workload;
use pushbench_host::cpus::Placement;
use pushbench_host::{input, results_store};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The figures that come with the program, derived from the runs in `results/`.
const SHIPPED: &str = include_str!("../../results/advice/evidence.json");

/// Blocks of the run that is made for a workload: the fewest that a verdict needs.
const BLOCKS: u32 = 8;
/// Warm-up of its trials.
const WARMUP: Duration = Duration::from_millis(300);
/// Usual time to start and end a target, and to calibrate.
const START: Duration = Duration::from_millis(900);
/// Bounds of the measured part of a trial.
const LENGTH: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(2)];
/// How long measuring takes where nothing else is asked for.
pub const USUAL: Duration = Duration::from_secs(180);
/// With fewer events a trial has nothing to say.
const FEWEST_EVENTS: f64 = 3.0;
/// Bounds of a run's receivers and of its deliveries or events a second: of fewer there is no p99 in the time.
const RECEIVERS: [u64; 2] = [1, 1_000];
const RATE: [f64; 2] = [500.0, 20_000.0];
/// Events that may be under way at once to one receiver.
const IN_FLIGHT: &str = "64";

/// The figures that come with the program.
pub fn shipped() -> Result<Evidence> {
    serde_json::from_str(SHIPPED)
        .map_err(|e| Error::harness(format!("the figures that come with pushbench: {e}")))
}

/// A run that is made for a workload.
pub struct Measurement {
    /// The workload.
    pub workload: Workload,
    /// It takes at most this long; `None`: as long as it usually takes, or as its fewest events take.
    pub at_most: Option<Duration>,
    /// CPUs.
    pub placement: Placement,
    /// Seed of the schedules.
    pub seed: u64,
    /// Results directory.
    pub out: PathBuf,
    /// The command line, for the record.
    pub command: Vec<String>,
}

impl Measurement {
    /// The run; `None` where fewer than two transports remain to be compared. `known`: what is known already.
    pub fn request(&self, known: &Evidence) -> Result<Option<run::Request>> {
        let transports = to_measure(&self.workload, known);
        if transports.len() < 2 {
            return Ok(None);
        }
        let (scenario, load) = self.load();
        let trials = (BLOCKS + 1) * transports.len() as u32;
        // A few events at least.
        let rate = load.iter().find(|(key, _)| *key == "load.rate");
        let rate = rate.and_then(|(_, rate)| rate.parse::<f64>().ok()).unwrap_or(1.0);
        let few = Duration::from_secs_f64((FEWEST_EVENTS / rate).clamp(0.0, 3600.0));
        let [shortest, longest] = LENGTH.map(|bound| bound.max(few));
        let needed = (shortest + WARMUP + START) * trials;
        let at_most = self.at_most.unwrap_or(needed.max(USUAL));
        if at_most < needed {
            return Err(Error::usage(format!(
                "--at-most: measuring {} transports takes {:.0} s: write --at-most {:.0}s, or --no-measure",
                transports.len(),
                needed.as_secs_f64().ceil(),
                needed.as_secs_f64().ceil()
            )));
        }
        let length = (at_most / trials).saturating_sub(WARMUP + START);
        let common = [
            ("payload.bytes", self.workload.payload_bytes.clamp(64, 1 << 20).to_string()),
            ("load.duration", format!("{}ms", length.min(longest).as_millis())),
            ("load.warmup", format!("{}ms", WARMUP.as_millis())),
            ("compare.blocks", BLOCKS.to_string()),
        ];
        let set = |(key, value): (&str, String)| Override {
            origin: format!("advise {key}={value}"),
            key: key.to_owned(),
            value,
        };
        let overrides: Vec<Override> = common.into_iter().chain(load).map(set).collect();
        let question = input::scenario(scenario, &overrides)?;
        let builtin = arms::builtin(&question, &self.placement)?;
        let name = |transport: &Transport| format!("{}@builtin", transport.name());
        let names: Vec<String> = transports.iter().map(name).collect();
        let arms = arms::find(&names, &builtin, &[], None)?;
        Ok(Some(run::Request {
            question,
            arms,
            seed: self.seed,
            placement: self.placement.clone(),
            out: self.out.clone(),
            command: self.command.clone(),
        }))
    }

    /// The nearest load that this machine can offer.
    fn load(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let w = &self.workload;
        let burst = w.deliveries() * w.burst_factor;
        let rate = burst.clamp(RATE[0], RATE[1]);
        if is_deep(w) {
            let load = vec![
                ("load.rate", rate.to_string()),
                ("connections.count", "1".to_owned()),
                ("connections.in_flight", IN_FLIGHT.to_owned()),
            ];
            return ("ingest", load);
        }
        let receivers = w.count.clamp(RECEIVERS[0], RECEIVERS[1]);
        let load = vec![
            ("load.rate", (rate / receivers as f64).to_string()),
            ("subscribers.count", receivers.to_string()),
            ("delivery.acknowledged", (w.promise != Promise::AtMostOnce).to_string()),
        ];
        ("fanout", load)
    }

    /// Makes it, and reads its figures.
    pub fn measure(
        &self,
        mut request: run::Request,
        interrupt: &AtomicBool,
        progress: &mut dyn Progress,
    ) -> Result<Evidence> {
        run::check(&request)?;
        let ended = run::prepare(&mut request, interrupt, progress)
            .and_then(|()| run::first_look(&request, interrupt))
            .and_then(|_findings| run::execute(&request, interrupt, progress));
        match ended {
            // What was finished counts.
            Err(Error::Interrupted) if !request.out.exists() => return Ok(Evidence::default()),
            Ok(()) | Err(Error::Interrupted) => {}
            Err(e) => return Err(e),
        }
        let stored = results_store::read(&request.out)?;
        Ok(evidence::of_run(&self.out.display().to_string(), &stored, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_shipped_workload_can_be_measured_without_an_option() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads");
        let (mut files, mut measured) = (0, 0);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let measurement = Measurement {
                workload: Workload::parse(&path.display().to_string(), &text).unwrap(),
                at_most: None,
                placement: Placement::automatic(),
                seed: 1,
                out: PathBuf::from("unused"),
                command: Vec::new(),
            };
            files += 1;
            measured += usize::from(measurement.request(&shipped().unwrap()).unwrap().is_some());
        }
        assert!(files >= 10 && measured > files / 2, "{measured} of {files}");
    }
}
