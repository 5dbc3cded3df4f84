//! What part of a latency is the driver's own: the floor transport beside the barest loop.

use crate::selftest::truth::{Place, TRIALS, at, bare, exact_member, middle, of_trial};
use crate::selftest::{Lab, load};
use pushbench_core::error::Result;
use pushbench_core::record::truth::Share;
use pushbench_core::scenario::Arrivals;
use pushbench_core::transport::Carrier;
use pushbench_load::trial_group::TrialArm;
use std::time::Duration;

const IN_FLIGHT: [usize; 4] = [1, 4, 16, 64];
const WARMUP_MS: u64 = 100;
const MEASURED_MS: u64 = 500;

pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Share>> {
    IN_FLIGHT.into_iter().map(|in_flight| share(lab, in_flight)).collect()
}

/// One connection an event: what the default scenario has.
fn share(lab: &Lab<'_>, in_flight: usize) -> Result<Share> {
    let (warmup, measured) = (Duration::from_millis(WARMUP_MS), Duration::from_millis(MEASURED_MS));
    let mut pairs = Vec::new();
    for trial in 0..TRIALS {
        let lab = of_trial(lab, trial);
        let bare = bare::service(&lab, in_flight, warmup, measured)?;
        let load = load(Arrivals::Closed, None, WARMUP_MS, MEASURED_MS);
        let place = Place::new()?;
        let trial_arm = exact_member(&place, &lab, Carrier::Tcp, Duration::ZERO, in_flight);
        let trial_arm = TrialArm { connections: in_flight, in_flight: 1, ..trial_arm };
        let trial = lab.measure_one(&lab.group(vec![trial_arm], load, None))?;
        pairs.push((at(&trial.account.service, 0.5), at(&bare, 0.5)));
    }
    Ok(Share {
        in_flight,
        reported_ns: middle(pairs.iter().map(|p| p.0)),
        bare_ns: middle(pairs.iter().map(|p| p.1)),
        own_share: middle(pairs.iter().map(|(reported, bare)| (reported - bare) / reported)),
    })
}
