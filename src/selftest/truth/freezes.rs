//! A target that is stopped for a second, beside what theory says of everybody's response.

use crate::selftest::Lab;
use crate::selftest::freeze::{Apart, stopped};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::truth::Frozen;
use pushbench_core::transport::Transport;

pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Frozen>> {
    [Transport::Webhook, Transport::Websocket].into_iter().map(|t| frozen(lab, t)).collect()
}

fn frozen(lab: &Lab<'_>, transport: Transport) -> Result<Frozen> {
    let stopped = stopped(lab, transport)?.map_err(|line| {
        Error::harness(format!(
            "{}: {}, and not {}: try again on a quieter machine",
            line.what, line.measured, line.theory
        ))
    })?;
    let trial = &stopped.trial;
    let apart = Apart::of(&trial.account.response, &stopped.theory);
    Ok(Frozen {
        transport: transport.name().to_owned(),
        late: apart.late,
        p90_ns: apart.p90,
        max_ns: apart.max,
        distance: apart.distance,
        missing: trial.account.measured.due - trial.account.measured.acknowledged,
    })
}
