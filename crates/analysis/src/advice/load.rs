//! What a workload takes of a transport: measured costs of an event, times what the workload has of them.

use crate::advice::{Cost, evidence};
use pushbench_core::evidence::{Evidence, Figure};
use pushbench_core::guarantee::Promise;
use pushbench_core::transport::Transport;
use pushbench_core::workload::{Place, Workload};
use std::time::Duration;

/// The idle cut-off of many proxies and load balancers.
pub(super) const DEFAULT_CUTOFF: Duration = Duration::from_secs(60);
/// A server answers a long poll without an event after this, so that proxies do not cut it off.
const HOLD_S: f64 = 30.0;
/// Poll so often: the rest of the freshness is for the way and a late answer.
const POLL_SHARE: f64 = 2.0 / 3.0;
/// A connection that carries fewer events a second is opened anew for each: servers close idle ones after a minute.
const KEPT_ALIVE: f64 = 1.0 / 60.0;
/// From so many events a second to each of few receivers on, many are under way at once.
const DEEP: f64 = 500.0;
const FEW: u64 = 10;

/// The round trip, by the workload, or else by where the receivers are; an assumption is no longer than a quarter of the
/// freshness, so that it alone excludes nothing.
pub(super) fn rtt(workload: &Workload) -> Duration {
    let usual = match workload.place {
        Place::SameNetwork => Duration::from_micros(200),
        _ => Duration::from_millis(50),
    };
    workload.rtt.unwrap_or(usual.min(workload.freshness / 4))
}

/// The time between two polls, seconds.
pub(super) fn poll_interval(workload: &Workload) -> f64 {
    workload.freshness.as_secs_f64() * POLL_SHARE
}

/// Requests and pings a second that keep all receivers current.
pub(super) fn upkeep(transport: Transport, workload: &Workload) -> f64 {
    let cutoff = workload.idle_cutoff.unwrap_or(DEFAULT_CUTOFF).as_secs_f64();
    let count = workload.count as f64;
    match transport {
        Transport::Websocket | Transport::Sse => count * 2.0 / cutoff,
        Transport::LongPoll => count / HOLD_S.min(cutoff / 2.0),
        Transport::Poll => count / poll_interval(workload),
        Transport::Webhook | Transport::Tcp => 0.0,
    }
}

/// Many events are under way to one receiver at once.
pub(super) fn is_deep(workload: &Workload) -> bool {
    workload.count <= FEW && workload.deliveries_each() * workload.burst_factor >= DEEP
}

/// What it takes of a transport.
pub(super) fn of(transport: Transport, workload: &Workload, known: &Evidence) -> Cost {
    let upkeep = upkeep(transport, workload);
    let burst = workload.deliveries() * workload.burst_factor;
    // A poll brings what has come since the last one: requests cost, however many events they bring.
    let (measured, times) = match transport {
        Transport::Poll => (Transport::LongPoll, upkeep),
        other => (other, burst + upkeep),
    };
    let cpu = figure(known, measured, workload, &evidence::CPU);
    let cpus = |ns: f64| ns * times / 1e9;
    let held = match transport {
        // It acknowledges on a second connection.
        Transport::Sse if workload.promise != Promise::AtMostOnce => 2,
        Transport::Websocket | Transport::Sse | Transport::LongPoll => 1,
        _ => 0,
    };
    let connections = workload.count * held;
    let memory = figure(known, transport, workload, &[evidence::MEMORY]);
    Cost {
        transport: transport.name(),
        cpus: cpu.map(|f| cpus(f.value)),
        cpus_ci95: cpu.and_then(|f| f.ci95).map(|ends| ends.map(cpus)),
        upkeep,
        connections,
        memory_bytes: memory.filter(|_| held > 0).map(|f| f.value * workload.count as f64),
        age_ns: age(transport, workload, known),
        run: cpu.map(|f| known.runs[f.run].dir.clone()),
    }
}

/// How old an event is when it arrives, ns: the way, and 99 % of what the programs took.
fn age(transport: Transport, workload: &Workload, known: &Evidence) -> Option<f64> {
    let rtt = rtt(workload).as_nanos() as f64;
    let new = workload.deliveries_each() < KEPT_ALIVE;
    let handshakes = if workload.tls { 2.0 } else { 1.0 };
    let (measured, way) = match transport {
        Transport::Webhook if new => (transport, rtt * (handshakes + 0.5)),
        Transport::LongPoll => (transport, rtt * 1.5),
        Transport::Poll => (Transport::LongPoll, poll_interval(workload) * 1e9 + rtt),
        _ => (transport, rtt * 0.5),
    };
    Some(figure(known, measured, workload, &evidence::P99)?.value + way)
}

/// The figure at the nearest setting, those of this machine first.
pub(super) fn figure<'a>(
    known: &'a Evidence,
    transport: Transport,
    workload: &Workload,
    metrics: &[&str],
) -> Option<&'a Figure> {
    // What a subscriber costs is known of fan-outs alone.
    let of_events = metrics.iter().any(|m| [evidence::CPU[0], evidence::P99[0]].contains(m));
    let deep = of_events && is_deep(workload);
    let receivers = if deep { 1.0 } else { workload.count.max(2) as f64 };
    let away = |figure: &Figure| {
        let setting = &figure.setting;
        let factor = |a: f64, b: f64| (a / b).ln().abs();
        let acknowledged = workload.promise != Promise::AtMostOnce;
        let less = if setting.acknowledged == acknowledged { 0.0 } else { 50.0 };
        let elsewhere = if known.runs[figure.run].own { 0.0 } else { 1e3 };
        let bytes = setting.payload_bytes.max(1) as f64;
        less + elsewhere
            + factor(receivers, setting.receivers.max(1) as f64)
            + factor(workload.payload_bytes as f64, bytes)
    };
    // One receiver with many events under way is another load than many receivers with one each.
    let mine = known.figures.iter().filter(|f| {
        f.transport == transport.name()
            && metrics.contains(&f.metric.as_str())
            && (f.setting.receivers == 1) == deep
    });
    mine.min_by(|a, b| away(a).total_cmp(&away(b)))
}

/// Events that are under way to a receiver at once in a burst: as many connections take a webhook's (Little's law).
pub(super) fn under_way(workload: &Workload, known: &Evidence) -> Option<f64> {
    Some(workload.deliveries_each() * workload.burst_factor * turn_ns(workload, known)? / 1e9)
}

/// The time that an ordered receiver is busy with an event over a webhook: the next one waits for its answer, ns.
pub(super) fn turn_ns(workload: &Workload, known: &Evidence) -> Option<f64> {
    let p99 = figure(known, Transport::Webhook, workload, &evidence::P99)?.value;
    Some(rtt(workload).as_nanos() as f64 + p99)
}
