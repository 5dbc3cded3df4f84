//! Events one after the other over one connection: the same for every target, however long it takes.

use crate::verify::known_events::{EventTally, Plan, send_one_by_one};
use crate::verify::probe_connection::ProbeTarget;
use crate::verify::{
    ProbeResult, Subject, VerifyContext, http2, probe_one, tcp, webhook, websocket,
};
use pushbench_core::error::{Error, Result};
use pushbench_core::transport::Carrier;
use pushbench_sut::process::Running;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Behind the last answer, and in front of the first where answers are matched by order.
const QUIET: Duration = Duration::from_millis(20);

/// Sends so many events, each after the acknowledgement of the one before, and returns how long they took.
///
/// # Errors
/// An event is not acknowledged within `time_limit`, or the target ends.
pub fn closed_loop(
    subject: &Subject<'_>,
    running: &mut Running,
    context: &VerifyContext<'_>,
    events: usize,
    time_limit: Duration,
) -> Result<Duration> {
    let subject = Subject { authentication: None, batches: false, ..*subject };
    let plan = Plan { events, budget: Duration::MAX, time_limit, quiet: QUIET };
    let seen = RefCell::new((Duration::ZERO, String::new()));
    let found = probe_one(&subject, running, context, |target| {
        target.extend_time_limit(time_limit);
        let began = Instant::now();
        let tally = send(target, &plan);
        let why = tally.unacknowledged.as_ref().map(ToString::to_string).unwrap_or_default();
        seen.replace((began.elapsed(), why));
        ProbeResult { tally, list: Vec::new() }
    })?;
    let (took, why) = seen.into_inner();
    match (found.failure, found.acknowledged) {
        (Some(failure), _) => Err(Error::target(failure)),
        (None, acknowledged) if acknowledged < events => Err(Error::target(format!(
            "{}: event {} of {events} was not acknowledged: {why}",
            subject.label,
            acknowledged + 1
        ))),
        (None, _) => Ok(took),
    }
}

fn send(target: &ProbeTarget<'_>, plan: &Plan) -> EventTally {
    match target.carrier {
        Carrier::Webhook if target.http2 => send_one_by_one::<http2::Http2>(target, plan),
        Carrier::Webhook => send_one_by_one::<webhook::Webhook>(target, plan),
        Carrier::Websocket => send_one_by_one::<websocket::Websocket>(target, plan),
        Carrier::Tcp => send_one_by_one::<tcp::Tcp>(target, plan),
    }
}
