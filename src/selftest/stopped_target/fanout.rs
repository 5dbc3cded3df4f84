//! A publisher stopped for a second: every subscriber waits for its end.

use crate::selftest::stopped_target::{computed, distribution};
use crate::selftest::{Line, SelfTestContext, load, unusable};
use pushbench_analysis::stats::queue::Stop;
use pushbench_core::error::Result;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::{Arrivals, Subscribers};
use pushbench_core::transport::Transport;
use pushbench_load::trial_group::{Freeze, TrialArm};
use pushbench_sut::manifest::{BuiltinOptions, Manifest};
use pushbench_sut::publisher::{PublishOptions, new_token};

/// Far below what a publisher delivers, so that nothing but the stop queues.
const SUBSCRIBERS: usize = 8;
const RATE: f64 = 50.0;
const WARMUP_MS: u64 = 300;
const MEASURED_MS: u64 = 3_000;
/// The stop begins this long after the warm-up.
const STOP_AFTER_NS: u64 = 1_000_000_000;
const STOP_NS: u64 = 1_000_000_000;
/// A stall of the machine of 100 ms makes 3.3 % of 3 s late that theory has in time.
const ALLOWED_GAP: f64 = 0.05;

pub(super) fn freeze(context: &SelfTestContext<'_>, transport: Transport) -> Result<Vec<Line>> {
    let name = format!("{}, publishing", transport.name());
    let load = load(Arrivals::Constant, Some(RATE), WARMUP_MS, MEASURED_MS);
    let from = load.warmup.as_nanos() as u64 + STOP_AFTER_NS;
    let mut group = context.group(vec![trial_arm(context, transport)?], load.clone(), None);
    group.freeze = Some(Freeze { at: from, length: STOP_NS });
    let trial = context.measure_one(&group)?;
    if let Some(line) = unusable(&name, &trial) {
        return Ok(vec![line]);
    }
    let Some(fanout) = &trial.fanout else { return Ok(Vec::new()) };
    let delivery = &fanout.deliveries.delivery;
    // Half of the deliveries outside the stop take less.
    let undisturbed = 0.5 * (1.0 - STOP_NS as f64 / load.duration.as_nanos() as f64);
    let stop = Stop {
        from,
        until: from + STOP_NS,
        service_ns: delivery.quantile(undisturbed).unwrap_or(0),
        // One connection publishes what has queued, one event after the other, and finds the publisher
        // awake, as hardly another event does.
        drain_gap_ns: trial.account.service.quantile(0.1).unwrap_or(0),
    };
    let theory = computed(&load, context.seed, &stop);
    let mut lines = distribution(&name, "deliveries", delivery, &theory, ALLOWED_GAP);
    lines.push(no_faults(&name, &trial, theory.len()));
    Ok(lines)
}

fn trial_arm(context: &SelfTestContext<'_>, transport: Transport) -> Result<TrialArm> {
    let subscribers = Subscribers { count: SUBSCRIBERS, ..Subscribers::default() };
    let publish = PublishOptions {
        poll_interval: subscribers.poll_interval,
        long_poll_hold: subscribers.long_poll_hold,
        ..PublishOptions::new(vec!["event".to_owned()], new_token()?)
    };
    let threads = context.placement.target.len();
    let options = BuiltinOptions { threads, publish: Some(publish), ..BuiltinOptions::default() };
    let plain = context.trial_arm(0, transport, None);
    Ok(TrialArm {
        manifest: Manifest::builtin(&plain.spec, &options),
        // Events are published in their order, however they have queued.
        connections: 1,
        subscribers: Some(subscribers),
        ..plain
    })
}

/// A stop delays, and does nothing else.
fn no_faults(name: &str, trial: &Trial, events: usize) -> Line {
    let amiss = trial.fanout.as_ref().map(|fanout| {
        let d = &fanout.deliveries;
        let unread = d.measured.due - d.measured.received;
        unread + d.duplicated + d.reordered + d.unsolicited
    });
    let due = trial.fanout.as_ref().map_or(0, |f| f.deliveries.measured.due);
    Line {
        what: format!("{name}: deliveries missing, duplicated or out of order"),
        measured: amiss.map_or("unknown".to_owned(), |n| format!("{n} of {due}")),
        theory: format!("0 of {}", events * SUBSCRIBERS),
        ok: amiss == Some(0) && due == (events * SUBSCRIBERS) as u64,
    }
}
