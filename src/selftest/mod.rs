//! The instrument checks itself (law 9): each check does something known to a target and compares what
//! was measured with theory.

pub mod accuracy;
mod agree;
pub mod capacity;
mod delay;
mod deliveries;
mod exact_run;
mod guarantee;
mod outcomes;
mod pacing;
mod path;
mod queue;
mod stopped_target;

use pushbench_analysis::validity;
use pushbench_core::arm::ArmSpec;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::guarantee::Guarantee;
use pushbench_core::plan::Slices;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::{Stage, Trial, TrialDesign};
use pushbench_core::scenario::{Arrivals, Faults, Lifetime, Load, Payload};
use pushbench_core::transport::Transport;
use pushbench_host::cpus::Placement;
use pushbench_load::block;
use pushbench_load::trial_group::{ExecutionContext, TrialArm, TrialGroup, TrialObserver};
use pushbench_sut::manifest::{BUILTIN, BuiltinOptions, Manifest};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Size of the events of every check: that of the default scenario.
const EVENT_BYTES: usize = 512;
/// Connections of every check.
const CONNECTIONS: usize = 32;

/// A figure and its theoretical value.
#[derive(Debug, Clone)]
pub struct Line {
    /// What was looked at.
    pub what: String,
    /// What was measured.
    pub measured: String,
    /// The theoretical value, with the allowed deviation.
    pub theory: String,
    /// Whether they agree.
    pub ok: bool,
}

/// A check.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name for `--only`.
    pub name: &'static str,
    /// What it does and expects.
    pub about: &'static str,
    /// It takes minutes: only `--only` runs it.
    pub long: bool,
    run: fn(&SelfTestContext<'_>) -> Result<Vec<Line>>,
}

/// All checks.
pub(crate) const CHECKS: [Check; 10] = [
    Check { name: "freeze", about: stopped_target::ABOUT, long: false, run: stopped_target::run },
    Check { name: "delay", about: delay::ABOUT, long: false, run: delay::run },
    Check { name: "agree", about: agree::ABOUT, long: false, run: agree::run },
    Check { name: "pacing", about: pacing::ABOUT, long: false, run: pacing::run },
    Check { name: "queue", about: queue::ABOUT, long: false, run: queue::run },
    Check { name: "outcomes", about: outcomes::ABOUT, long: false, run: outcomes::run },
    Check { name: "deliveries", about: deliveries::ABOUT, long: false, run: deliveries::run },
    Check { name: "guarantee", about: guarantee::ABOUT, long: false, run: guarantee::run },
    Check { name: "path", about: path::ABOUT, long: false, run: path::run },
    Check { name: "capacity", about: capacity::ABOUT, long: true, run: capacity::run },
];

impl Check {
    /// Whether `--only` accepts this name; `fates` is the former name of `outcomes`.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || (self.name, name) == ("outcomes", "fates")
    }

    /// Runs it. An error means that it could not be run, not that it failed.
    pub fn run(&self, context: &SelfTestContext<'_>) -> Result<Vec<Line>> {
        (self.run)(context)
    }
}

/// The parameters of all checks.
pub struct SelfTestContext<'a> {
    /// Which CPUs.
    pub placement: &'a Placement,
    /// Set when the user wants to stop.
    pub interrupt: &'a AtomicBool,
    /// Seed of the schedules.
    pub seed: u64,
    /// Searches of the check `capacity`.
    pub searches: usize,
}

struct NoObserver;

impl TrialObserver for NoObserver {
    fn second(&mut self, _arm: usize, _responses: &Hist) {}
    fn tick(&mut self) {}
}

impl SelfTestContext<'_> {
    fn trial_arm(&self, arm: usize, transport: Transport, delay: Option<Duration>) -> TrialArm {
        let threads = self.placement.target.len();
        let options = BuiltinOptions { threads, delay, ..BuiltinOptions::default() };
        let spec = ArmSpec::plain(transport, BUILTIN);
        TrialArm {
            arm,
            label: spec.to_string(),
            manifest: Manifest::builtin(&spec, &options),
            spec,
            connections: CONNECTIONS,
            in_flight: 1,
            subscribers: None,
        }
    }

    /// A trial group of one arm after its warm-up, or of several in slices.
    fn group(&self, arms: Vec<TrialArm>, load: Load, slice: Option<Duration>) -> TrialGroup {
        let length = (load.warmup + load.duration).as_nanos() as u64;
        let (slices, design) = match slice {
            None => (Slices::alone(length), TrialDesign::Sequential),
            Some(slice) => {
                let slice_ns = slice.as_nanos() as u64;
                let slices = Slices::new(arms.len(), slice_ns, length, self.seed);
                (slices, TrialDesign::Sliced { slice_ns })
            }
        };
        TrialGroup {
            arms,
            load,
            slices: Arc::new(slices),
            seed: self.seed,
            template: Template::new(&Payload::Bytes(EVENT_BYTES)),
            lifetime: Lifetime::Unlimited,
            max_segment: None,
            place: (0, 0, 0),
            split: None,
            stage: Stage::Block,
            design,
            freeze: None,
            connect_limit: None,
            idle: false,
            path: None,
            tolerates_connect_failures: false,
            restart_after: None,
            guarantee: Guarantee::default(),
            faults: Faults::default(),
        }
    }

    fn measure(&self, group: &TrialGroup) -> Result<Vec<Trial>> {
        let context = ExecutionContext::here(self.placement, self.interrupt);
        let mut finished = block::run(group, &context, &mut NoObserver)?;
        finished.iter_mut().for_each(|f| validity::judge(&mut f.trial, f.ended.as_deref()));
        Ok(finished.into_iter().map(|f| f.trial).collect())
    }

    /// The only trial of a trial group of one arm.
    fn measure_one(&self, group: &TrialGroup) -> Result<Trial> {
        let mut trials = self.measure(group)?;
        trials
            .pop()
            .ok_or_else(|| Error::harness("a trial group returned no record: please report it"))
    }
}

fn load(arrivals: Arrivals, rate: Option<f64>, warmup_ms: u64, duration_ms: u64) -> Load {
    Load {
        arrivals,
        rate,
        warmup: Duration::from_millis(warmup_ms),
        duration: Duration::from_millis(duration_ms),
        timeout: Duration::from_secs(10),
        backlog: 100_000,
    }
}

/// A line with the reason if a trial cannot be used.
fn unusable(what: &str, trial: &Trial) -> Option<Line> {
    let reason = trial.judged.invalid.first()?;
    Some(Line {
        what: what.to_owned(),
        measured: reason.clone(),
        theory: "a valid trial".to_owned(),
        ok: false,
    })
}
