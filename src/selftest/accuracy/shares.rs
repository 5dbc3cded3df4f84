//! The driver's share of a latency: tcp compared with a minimal loop.

use crate::selftest::accuracy::{
    AccountFile, TRIALS, at, exact_arm, middle, minimal_loop, of_trial,
};
use crate::selftest::{SelfTestContext, load};
use pushbench_core::error::Result;
use pushbench_core::record::accuracy::Share;
use pushbench_core::scenario::Arrivals;
use pushbench_core::transport::Carrier;
use pushbench_load::trial_group::TrialArm;
use std::time::Duration;

const IN_FLIGHT: [usize; 4] = [1, 4, 16, 64];
const WARMUP_MS: u64 = 100;
const MEASURED_MS: u64 = 500;

pub(super) fn measure(context: &SelfTestContext<'_>) -> Result<Vec<Share>> {
    IN_FLIGHT.into_iter().map(|in_flight| share(context, in_flight)).collect()
}

/// One connection an event: what the default scenario has.
fn share(context: &SelfTestContext<'_>, in_flight: usize) -> Result<Share> {
    let (warmup, measured) = (Duration::from_millis(WARMUP_MS), Duration::from_millis(MEASURED_MS));
    let mut pairs = Vec::new();
    for trial in 0..TRIALS {
        let context = of_trial(context, trial);
        let minimal_loop = minimal_loop::service(&context, in_flight, warmup, measured)?;
        let load = load(Arrivals::Closed, None, WARMUP_MS, MEASURED_MS);
        let account_file = AccountFile::new()?;
        let trial_arm = exact_arm(&account_file, &context, Carrier::Tcp, Duration::ZERO, in_flight);
        let trial_arm = TrialArm { connections: in_flight, in_flight: 1, ..trial_arm };
        let trial = context.measure_one(&context.group(vec![trial_arm], load, None))?;
        pairs.push((at(&trial.account.service, 0.5), at(&minimal_loop, 0.5)));
    }
    Ok(Share {
        in_flight,
        reported_ns: middle(pairs.iter().map(|p| p.0)),
        bare_ns: middle(pairs.iter().map(|p| p.1)),
        own_share: middle(
            pairs.iter().map(|(reported, minimal_loop)| (reported - minimal_loop) / reported),
        ),
    })
}
