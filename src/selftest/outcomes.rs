//! Faulty targets: every event has the outcome that theory gives it, and no other.

use crate::selftest::{Line, SelfTestContext, load};
use pushbench_core::error::Result;
use pushbench_core::event::Matching;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::Arrivals;
use pushbench_core::transport::CARRIERS;
use pushbench_faults;
use pushbench_faults::Tally;
use pushbench_faults::counts::{Case, Counts};
use pushbench_faults::server_fault::ServerFault;
use pushbench_load::trial_group::TrialArm;
use pushbench_sut::manifest::Manifest;
use std::time::Duration;

pub(crate) const ABOUT: &str = "targets that do not answer, answer twice, answer with a wrong id, or close during an answer, \
     each for every fifth event: the counts of the record match the prediction";

const FAULTS: [ServerFault; 4] =
    [ServerFault::Silence, ServerFault::Twice, ServerFault::WrongId, ServerFault::Half];
/// Slow enough that an event whose connection is not stuck never waits.
const RATE: f64 = 200.0;
const WARMUP_MS: u64 = 50;
const MEASURED_MS: u64 = 150;
/// A stall of the machine this long would time out events that the target answers.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The transports take turns, so that they wait for their time-outs together.
const SLICE: Duration = Duration::from_millis(10);

pub fn run(context: &SelfTestContext<'_>) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for fault in FAULTS {
        let arms = CARRIERS.iter().enumerate();
        let arms = arms.map(|(i, _)| trial_arm(context, i, fault)).collect();
        let mut load = load(Arrivals::Constant, Some(RATE), WARMUP_MS, MEASURED_MS);
        load.timeout = TIMEOUT;
        let events = RATE as u64 * (WARMUP_MS + MEASURED_MS) / 1_000;
        let trials = context.measure(&context.group(arms, load, Some(SLICE)))?;
        lines.extend(trials.iter().map(|trial| line(fault, events, trial)));
    }
    Ok(lines)
}

fn trial_arm(context: &SelfTestContext<'_>, arm: usize, fault: ServerFault) -> TrialArm {
    let carrier = CARRIERS[arm];
    let words = [pushbench_faults::SUBCOMMAND, carrier.name(), fault.name(), "127.0.0.1:{port}"];
    let words = words.map(str::to_owned).to_vec();
    TrialArm {
        label: format!("{}@{}", carrier.name(), fault.name()),
        manifest: Manifest::this_program(fault.name(), carrier.transport(), words),
        ..context.trial_arm(arm, carrier.transport(), None)
    }
}

fn line(fault: ServerFault, events: u64, trial: &Trial) -> Line {
    let carrier = CARRIERS[trial.arm];
    let case = Case { fault, carrier, matching: Matching::Id };
    let (counted, theory) = (Counts::of(trial), case.theory(events, &Tally::default()));
    Line {
        what: format!("{}: the target {}", carrier.name(), fault.about()),
        measured: counted.to_string(),
        theory: theory.to_string(),
        ok: counted == theory,
    }
}
