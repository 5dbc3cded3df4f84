//! A handler that waits a known time.

use crate::selftest::{Line, SelfTestContext, load, unusable};
use pushbench_core::error::Result;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::Arrivals;
use pushbench_core::transport::Transport;
use pushbench_core::units::nanos_text;
use std::time::Duration;

pub(crate) const ABOUT: &str =
    "a handler that waits 20 ms: the response time is 20 ms longer than without the wait";

const DELAY: Duration = Duration::from_millis(20);
/// A timer of an idle virtual machine fires some 60 µs late, on a busy one later.
const ALLOWED_NS: f64 = 500_000.0;
/// 32 connections carry 1,600 events a second of 20 ms: far from queueing.
const RATE: f64 = 200.0;

pub fn run(context: &SelfTestContext<'_>) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for transport in [Transport::Webhook, Transport::Websocket, Transport::Tcp] {
        let (floor, delayed) =
            (trial(context, transport, None)?, trial(context, transport, Some(DELAY))?);
        let name = transport.name();
        if let Some(line) = unusable(name, &floor).or_else(|| unusable(name, &delayed)) {
            lines.push(line);
            continue;
        }
        let p50 = |t: &Trial| t.account.response.quantile(0.5).unwrap_or(0) as f64;
        let expected = p50(&floor) + DELAY.as_nanos() as f64;
        lines.push(Line {
            what: format!("{name}: response p50"),
            measured: nanos_text(p50(&delayed)),
            theory: format!("20 ms + {} ± {}", nanos_text(p50(&floor)), nanos_text(ALLOWED_NS)),
            ok: (p50(&delayed) - expected).abs() <= ALLOWED_NS,
        });
    }
    Ok(lines)
}

fn trial(
    context: &SelfTestContext<'_>,
    transport: Transport,
    delay: Option<Duration>,
) -> Result<Trial> {
    let trial_arm = context.trial_arm(0, transport, delay);
    let load = load(Arrivals::Constant, Some(RATE), 200, 1_000);
    context.measure_one(&context.group(vec![trial_arm], load, None))
}
