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
/// Hours of a month, as invoices have it.
const HOURS: f64 = 730.0;
/// From so many events a second to each of few receivers on, many are under way at once.
const DEEP: f64 = 500.0;
const FEW: u64 = 10;
/// Fewer subscribers say nothing of the memory of one.
const FEWEST_SUBSCRIBERS: u64 = 50;

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
    let cpu = |transport| figure(known, transport, workload, &evidence::CPU);
    // A poll costs what a request of a long poll does, and each event in its answer what one in a stream does.
    let parts = |events: f64| match transport {
        Transport::Poll => vec![(cpu(Transport::LongPoll), upkeep), (cpu(Transport::Sse), events)],
        other => vec![(cpu(other), events + upkeep)],
    };
    let sum = |events: f64, of: &dyn Fn(&Figure) -> Option<f64>| -> Option<f64> {
        let part = |(figure, times): &(Option<&Figure>, f64)| Some(of((*figure)?)? * times / 1e9);
        parts(events).iter().map(part).sum()
    };
    let end = |events: f64, n: usize| sum(events, &|figure| figure.ci95.map(|ends| ends[n]));
    let held = match transport {
        // It acknowledges on a second connection.
        Transport::Sse if workload.promise != Promise::AtMostOnce => 2,
        Transport::Websocket | Transport::Sse | Transport::LongPoll => 1,
        _ => 0,
    };
    let memory = figure(known, transport, workload, &[evidence::MEMORY]);
    let age = age(transport, workload, known);
    let memory = memory.filter(|_| held > 0).map(|f| f.value * workload.count as f64);
    let dir = |figure: &Figure| known.runs[figure.run].dir.clone();
    let usual = workload.deliveries();
    let month = |cpus: Option<f64>| month(workload, cpus?, memory);
    Cost {
        transport: transport.name(),
        cpus: sum(burst, &|figure| Some(figure.value)),
        cpus_ci95: end(burst, 0).zip(end(burst, 1)).map(|(low, high)| [low, high]),
        month: month(sum(usual, &|figure| Some(figure.value))),
        month_ci95: month(end(usual, 0)).zip(month(end(usual, 1))).map(|(low, high)| [low, high]),
        upkeep,
        connections: workload.count * held,
        memory_bytes: memory,
        age_ns: age.map(|(ns, _)| ns),
        age_run: age.map(|(_, figure)| dir(figure)),
        run: parts(burst).first().and_then(|(figure, _)| figure.map(dir)),
    }
}

/// What a month costs by the workload's prices: the CPUs of both sides on average, the memory of the sender for open
/// connections, and the bytes of the events. `None` without prices.
fn month(workload: &Workload, cpus: f64, memory: Option<f64>) -> Option<f64> {
    let prices = &workload.prices;
    let gib = |bytes: f64| bytes / (1u64 << 30) as f64;
    let sent = workload.deliveries() * workload.payload_bytes as f64 * HOURS * 3600.0;
    let parts = [
        prices.core_hour.map(|price| cpus * HOURS * price),
        prices.gib_hour.map(|price| gib(memory.unwrap_or(0.0)) * HOURS * price),
        prices.egress_gib.map(|price| gib(sent) * price),
    ];
    (!prices.is_empty()).then(|| parts.into_iter().flatten().sum())
}

/// How old an event is when it arrives, ns, and the figure behind it: the way, and 99 % of what the programs took.
fn age<'a>(
    transport: Transport,
    workload: &Workload,
    known: &'a Evidence,
) -> Option<(f64, &'a Figure)> {
    let rtt = rtt(workload).as_nanos() as f64;
    let new = workload.deliveries_each() < KEPT_ALIVE;
    let handshakes = if workload.tls { 2.0 } else { 1.0 };
    let (measured, way) = match transport {
        Transport::Webhook if new => (transport, rtt * (handshakes + 0.5)),
        Transport::LongPoll => (transport, rtt * 1.5),
        Transport::Poll => (Transport::LongPoll, poll_interval(workload) * 1e9 + rtt),
        _ => (transport, rtt * 0.5),
    };
    let figure = figure(known, measured, workload, &evidence::P99)?;
    Some((figure.value + way, figure))
}

/// The figure at the nearest setting, those of this machine first, and means without an interval last.
pub(super) fn figure<'a>(
    known: &'a Evidence,
    transport: Transport,
    workload: &Workload,
    metrics: &[&str],
) -> Option<&'a Figure> {
    // What a subscriber costs is known of fan-outs alone.
    let of_events = [evidence::CPU, evidence::P99, evidence::P50].iter();
    let of_events = of_events.flatten().any(|metric| metrics.contains(metric));
    let deep = of_events && is_deep(workload);
    let acknowledged = workload.promise != Promise::AtMostOnce;
    let each = workload.deliveries_each() * workload.burst_factor;
    let away = |figure: &Figure| {
        let setting = &figure.setting;
        let factor = |a: f64, b: f64| (a / b.max(1e-9)).ln().abs();
        let elsewhere = if known.runs[figure.run].own { 0.0 } else { 1e3 };
        let uncertain = if figure.ci95.is_none() { 2e3 } else { 0.0 };
        let other_end = if setting.acknowledged == acknowledged { 0.0 } else { 50.0 };
        elsewhere
            + uncertain
            + other_end
            + factor(workload.count as f64, setting.receivers as f64)
            + factor(workload.payload_bytes as f64, setting.payload_bytes as f64)
            + setting.rate.map_or(1.0, |rate| factor(each, rate) / 10.0)
    };
    // The growth of a process with few subscribers is not theirs.
    let fewest = if metrics.contains(&evidence::MEMORY) { FEWEST_SUBSCRIBERS } else { 0 };
    // One receiver with many events under way is another load than subscribers with one each.
    let mine = known.figures.iter().filter(|f| {
        f.transport == transport.name()
            && metrics.contains(&f.metric.as_str())
            && f.setting.deep == deep
            && f.setting.receivers >= fewest
    });
    mine.min_by(|a, b| away(a).total_cmp(&away(b)))
}

/// Events in flight to a receiver, on average: as many connections a webhook keeps busy (Little's law, with the median
/// for the mean).
pub(super) fn in_flight(workload: &Workload, known: &Evidence) -> Option<f64> {
    Some(workload.deliveries_each() * turn_ns(workload, known)? / 1e9)
}

/// The time that an event takes a webhook's connection, at the median, ns.
pub(super) fn turn_ns(workload: &Workload, known: &Evidence) -> Option<f64> {
    let p50 = figure(known, Transport::Webhook, workload, &evidence::P50)?.value;
    Some(rtt(workload).as_nanos() as f64 + p50)
}
