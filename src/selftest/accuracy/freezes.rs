//! Response times with a target that is stopped for a second, compared with theory.

use crate::selftest::SelfTestContext;
use crate::selftest::stopped_target::{DistributionDifference, stopped};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::accuracy::Frozen;
use pushbench_core::transport::Transport;

pub(super) fn measure(context: &SelfTestContext<'_>) -> Result<Vec<Frozen>> {
    [Transport::Webhook, Transport::Websocket].into_iter().map(|t| frozen(context, t)).collect()
}

fn frozen(context: &SelfTestContext<'_>, transport: Transport) -> Result<Frozen> {
    let stopped = stopped(context, transport)?.map_err(|line| {
        Error::harness(format!(
            "{}: {} instead of {}: try again on a machine with less load",
            line.what, line.measured, line.theory
        ))
    })?;
    let trial = &stopped.trial;
    let difference = DistributionDifference::of(&trial.account.response, &stopped.theory);
    Ok(Frozen {
        transport: transport.name().to_owned(),
        late: difference.late,
        p90_ns: difference.p90,
        max_ns: difference.max,
        distance: difference.distance,
        missing: trial.account.measured.due - trial.account.measured.acknowledged,
    })
}
