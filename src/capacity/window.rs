//! One window: a trial of one arm at one load.

use crate::capacity::{OVERLOAD, Request};
use crate::run::{self, Progress, point};
use pushbench_analysis::capacity::window::of_trial;
use pushbench_core::capacity::{Overload, Window};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::{Arrivals, Burst, Override, Scenario, objective};
use pushbench_load::trial_group::{ExecutionContext, FinishedTrial};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A window and the record of its trial, where the target let it be measured.
pub struct Evidence {
    /// What it showed.
    pub window: Window,
    /// The record.
    pub trial: Option<Trial>,
}

/// An event without an answer is given up after this multiple of the largest limit …
const GIVE_UP: u32 = 4;
/// … and after this at the least.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// Measures a window. An error is an interruption or a failure of the instrument.
pub(super) fn measure(
    request: &Request,
    arm: usize,
    load: f64,
    round: u64,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<Evidence> {
    let value = request.dimension.value(load);
    let key = request.dimension.key;
    let searched = Override {
        key: key.to_owned(),
        value: value.clone(),
        origin: format!("--of {key} at {value}"),
    };
    let overrides = [&request.overrides[..], &[searched]].concat();
    let question = pushbench_host::input::scenario(&request.scenario, &overrides)?;
    let Some(point) = question.points.first() else {
        return Err(Error::harness("a scenario without a point: please report it"));
    };
    let own = &request.question.points[0].scenario;
    let mut scenario = point.scenario.clone();
    scenario.load.warmup = own.load.warmup;
    scenario.load.duration = own.load.duration;
    scenario.load.timeout = timeout(own);
    let window = Window { arm, load, ..Window::default() };
    match run(request, arm, scenario, round, interrupt, progress) {
        Ok(finished) => {
            let seen = of_trial(&finished.trial, &own.objective);
            let window = Window { arm, load, ..seen };
            Ok(Evidence { window, trial: Some(finished.trial) })
        }
        Err(Error::Target { why, .. }) => {
            Ok(Evidence { window: Window { died: Some(why), ..window }, trial: None })
        }
        Err(e) => Err(e),
    }
}

/// Waiting longer for an answer that comes too late anyway would only make the search longer.
fn timeout(scenario: &Scenario) -> Duration {
    let times = scenario.objective.iter().filter(|line| objective::is_latency(&line.what));
    let largest = times.map(|line| line.limit as u64).max().unwrap_or(0);
    let enough = (Duration::from_nanos(largest) * GIVE_UP).max(SHORTEST_TIMEOUT);
    scenario.load.timeout.min(enough)
}

/// Measures how the queue of a burst drains.
pub(super) fn overload(
    request: &Request,
    arm: usize,
    load: f64,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<Overload> {
    let (factor, windows, _) = OVERLOAD;
    let mut scenario = request.question.points[0].scenario.clone();
    let window = scenario.load.duration;
    let length = window.mul_f64(windows);
    let every = length + window * 2;
    scenario.load.arrivals = Arrivals::Burst(Burst { factor, length, every });
    scenario.load.rate = Some(load);
    scenario.load.duration = every;
    scenario.load.timeout = timeout(&scenario);
    let overload = Overload {
        arm,
        load,
        factor,
        length_ns: length.as_nanos() as u64,
        drained_ns: None,
        waited_ns: window.as_nanos() as u64,
        void: None,
    };
    Ok(match run(request, arm, scenario, 0, interrupt, progress) {
        Ok(finished) => Overload {
            drained_ns: finished.trial.drained_ns.first().copied().flatten(),
            void: finished.trial.judged.invalid.first().cloned(),
            ..overload
        },
        Err(Error::Target { why, .. }) => Overload { void: Some(why), ..overload },
        Err(e) => return Err(e),
    })
}

fn run(
    request: &Request,
    arm: usize,
    scenario: Scenario,
    round: u64,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<FinishedTrial> {
    let mut question = request.question.clone();
    question.points[0].scenario = scenario;
    let request = run::Request {
        question,
        arms: vec![request.arms[arm].clone()],
        seed: request.seed + round,
        placement: request.placement.clone(),
        out: request.out.clone(),
        command: Vec::new(),
    };
    run::check(&request)?;
    let context = ExecutionContext::here(&request.placement, interrupt);
    point::measure_alone(&request, round as usize, &context, progress)
}
