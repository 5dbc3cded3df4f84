//! How true the instrument's figures are, measured: `pushbench selftest --truth`.

mod delays;
mod differences;
mod freezes;
mod lags;
mod limits;
mod minimal_loop;
mod queues;
mod shards;
mod shares;

use crate::selftest::CONNECTIONS;
use crate::selftest::{SelfTestContext, load};
use pushbench_analysis::stats::median;
use pushbench_core::cpu_list::Cpus;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::accuracy::{SCHEMA, Truth};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::{Arrivals, Load};
use pushbench_core::transport::Carrier;
use pushbench_faults::exact_target::{Account, AccountFile, Service};
use pushbench_load::trial_group::TrialArm;
use pushbench_sut::manifest::Manifest;
use std::collections::BTreeMap;
use std::time::Duration;

/// Trials behind each figure: a stall of the machine spoils one of them.
const TRIALS: usize = 3;

/// What the command knows and the self-test does not.
pub struct RunContext {
    /// What was typed.
    pub command: String,
    /// The machine.
    pub machine: BTreeMap<String, String>,
}

/// Measures all of it; `say` receives the name of each step.
pub fn measure(
    context: &SelfTestContext<'_>,
    run_context: RunContext,
    say: &mut dyn FnMut(&str),
) -> Result<Truth> {
    if !context.placement.apart() {
        return Err(Error::usage(
            "selftest --truth needs separate CPUs for the driver and for the target, which never sleeps: \
             write for example --cpus driver=1,target=0",
        ));
    }
    let began = jiff::Timestamp::now().to_string();
    say("lag against a spin loop");
    let lags = lags::measure(context)?;
    say("responses against known delays");
    let delays = delays::measure(context)?;
    say("known differences between two targets");
    let differences = differences::measure(context)?;
    say("a target with a known tail");
    let tails = differences::tails(context)?;
    say("one server with a queue");
    let queues = queues::measure(context)?;
    say("the driver's share of a latency");
    let shares = shares::measure(context)?;
    say("the highest rate at which the driver is accurate");
    let limits = limits::measure(context)?;
    say("two shards compared with one");
    let shards = shards::measure(context)?;
    say("a target that is stopped for 1 s");
    let freezes = freezes::measure(context)?;
    Ok(Truth {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: run_context.command,
        began,
        seed: context.seed,
        machine: run_context.machine,
        cpus: [&context.placement.driver, &context.placement.target]
            .map(|cpus| Cpus(cpus).to_string()),
        trials: TRIALS,
        delays,
        freezes,
        lags,
        shares,
        limits,
        shards,
        queues,
        differences,
        tails,
    })
}

/// The context of another trial, with another schedule.
fn of_trial<'a>(context: &SelfTestContext<'a>, trial: usize) -> SelfTestContext<'a> {
    SelfTestContext { seed: context.seed + trial as u64, ..*context }
}

fn open(rate: f64, warmup_ms: u64, measured_ms: u64) -> Load {
    load(Arrivals::Poisson, Some(rate), warmup_ms, measured_ms)
}

/// A trial of an exact target, and the target's account.
fn exact(
    context: &SelfTestContext<'_>,
    carrier: Carrier,
    delay: Duration,
    slots: usize,
    load: Load,
) -> Result<(Trial, Account)> {
    let account_file = AccountFile::new()?;
    let trial_arm = exact_arm(&account_file, context, carrier, delay, slots);
    let trial = context.measure_one(&context.group(vec![trial_arm], load, None))?;
    Ok((trial, account_file.account()?))
}

/// The events a second that the driver brings to an exact target in a closed loop.
fn capacity(trial: &Trial) -> f64 {
    trial.account.measured.acknowledged as f64 / (trial.window_ns as f64 / 1e9)
}

/// A quantile as a number; 0 of nothing.
fn at(hist: &Hist, q: f64) -> f64 {
    hist.quantile(q).unwrap_or(0) as f64
}

fn middle(values: impl IntoIterator<Item = f64>) -> f64 {
    median(&values.into_iter().collect::<Vec<_>>()).unwrap_or(f64::NAN)
}

/// The exact target as the only arm of a trial group, with room for so many unanswered events.
fn exact_arm(
    account_file: &AccountFile,
    context: &SelfTestContext<'_>,
    carrier: Carrier,
    delay: Duration,
    slots: usize,
) -> TrialArm {
    let plain = context.trial_arm(0, carrier.transport(), None);
    let at_least = slots.min(CONNECTIONS);
    let (connections, in_flight) = plain.spec.slots(false, at_least, slots.div_ceil(at_least));
    TrialArm {
        label: format!("{}@exact", carrier.name()),
        manifest: exact_manifest(account_file, carrier, delay),
        connections,
        in_flight,
        ..plain
    }
}

fn exact_manifest(account_file: &AccountFile, carrier: Carrier, delay: Duration) -> Manifest {
    let service = Service::Delay(delay.as_nanos() as u64);
    Manifest::this_program("exact", carrier.transport(), account_file.arguments(carrier, service))
}
