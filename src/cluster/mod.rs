//! One run on several machines: a coordinator, and shards that connect to it. A shard drives a part of the schedule, or
//! starts the targets.

mod clocks;
pub mod coordinator;
mod coordinator_link;
pub mod engine;
mod merge;
pub mod protocol;
pub mod rank;
pub mod rendezvous;
pub mod shard;
pub mod ticket;
mod waiting;

use crate::run;
use pushbench_core::arm::ArmOption;
use pushbench_core::error::{Error, Result};
use pushbench_core::scenario::{Arrivals, Flow};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Between two looks whether the user wants to stop, or somebody has said something.
const STEP: Duration = Duration::from_millis(20);

/// Refuses what several machines cannot measure together. Starts nothing.
pub fn check(request: &run::Request) -> Result<()> {
    let refused = |what: &str, instead: &str| {
        Err(Error::usage(format!("{what} is measured on one machine only: {instead}")))
    };
    for point in &request.question.points {
        let scenario = &point.scenario;
        if scenario.path.is_some() {
            return refused("[path]", "leave it out; the network between the machines is the path");
        }
        if !matches!(scenario.flow, Flow::Ingest | Flow::Fanout) {
            return refused(
                &format!("the flow {}", scenario.flow.name()),
                "write a scenario whose flow is ingest or fanout",
            );
        }
        if scenario.subscribers.is_some() && scenario.load.arrivals == Arrivals::Closed {
            return refused(
                "a closed loop with subscribers",
                "give it load.rate: every machine has to know when an event is due",
            );
        }
        if scenario.faults.any()
            || !scenario.guarantee.is_default()
            || scenario.restart_after.is_some()
        {
            return refused("[guarantee] and [faults]", "leave them out");
        }
    }
    for arm in &request.arms {
        if arm.spec.has(ArmOption::Tls) {
            return refused(
                &format!("--arm {}: +tls", arm.label),
                "the certificate of a run is for the machine that makes it",
            );
        }
        if arm.manifest.command.is_none() {
            return refused(
                &format!("--arm {}: a server that is running already", arm.label),
                "give it a command, so that the target's machine starts it",
            );
        }
        // Whether it can be told an address; which one is known to its machine.
        arm.manifest.clone().at_host(Ipv4Addr::LOCALHOST.into())?;
        if arm.manifest.match_left_out {
            return Err(Error::usage(format!(
                "--arm {}: write match in its description: on several machines it is not found out",
                arm.label
            )));
        }
    }
    Ok(())
}
