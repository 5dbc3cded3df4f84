//! What is out of the question, and by which key of the workload.

use crate::advice::{Excluded, TRANSPORTS, load};
use pushbench_core::evidence::{Evidence, Passage};
use pushbench_core::reach::ReachPath;
use pushbench_core::transport::Transport;
use pushbench_core::units::span_text;
use pushbench_core::workload::{Place, Proxy, Workload};

/// A function that polls is started by a timer; those start once a minute at most.
const TIMER_NS: f64 = 60e9;
/// An ordered receiver that is busy for a larger part of the time falls behind.
const BUSY: f64 = 0.8;

/// Everything that is excluded. Mixed receivers are two workloads.
pub(super) fn excluded(workload: &Workload, known: &Evidence) -> Vec<Excluded> {
    let reason = |transport| {
        impossible(transport, workload, known)
            .or_else(|| by_freshness(transport, workload, known))
            .or_else(|| by_order(transport, workload, known))
    };
    TRANSPORTS.into_iter().filter_map(reason).collect()
}

/// Why it cannot work, however fast it is.
pub(super) fn impossible(
    transport: Transport,
    workload: &Workload,
    known: &Evidence,
) -> Option<Excluded> {
    by_place(transport, workload, known).or_else(|| by_proxy(transport, workload, known))
}

fn rule(transport: Transport, key: &'static str, because: impl Into<String>) -> Option<Excluded> {
    Some(Excluded { transport: transport.name(), because: because.into(), key, run: None })
}

fn by_place(transport: Transport, workload: &Workload, known: &Evidence) -> Option<Excluded> {
    let key = "receivers.where";
    let freshness = workload.freshness.as_nanos() as f64;
    match (workload.place, transport) {
        (Place::Browser, Transport::Webhook) => {
            rule(transport, key, "a web page accepts no connections")
        }
        (Place::BehindNat, Transport::Webhook) => {
            let shown = by_path("receiver-behind-nat", transport, workload, known, key);
            shown.or_else(|| {
                rule(transport, key, "a receiver behind NAT cannot be reached from outside")
            })
        }
        (Place::Function, Transport::Websocket | Transport::Sse | Transport::LongPoll) => rule(
            transport,
            key,
            "a function runs while it handles a request: it holds no connection between events",
        ),
        (Place::Function, Transport::Poll) if freshness * 2.0 / 3.0 < TIMER_NS => rule(
            transport,
            key,
            "a function that polls is started by a timer, at most once a minute, and events may not be that old",
        ),
        _ => None,
    }
}

fn by_proxy(transport: Transport, workload: &Workload, known: &Evidence) -> Option<Excluded> {
    let key = "receivers.proxy";
    let path = match workload.proxy {
        Proxy::None => return None,
        Proxy::TlsInspectingNoUpgrade if transport == Transport::Websocket => {
            return rule(transport, key, "the proxy does not upgrade a connection to WebSocket");
        }
        Proxy::TlsInspecting | Proxy::TlsInspectingNoUpgrade => "tls-inspection",
        Proxy::ForwardConnect => "forward-proxy",
        Proxy::ForwardNoConnect => "forward-proxy-no-connect",
        Proxy::Nginx => "nginx",
        Proxy::NginxWebsocket => "nginx-websocket",
        Proxy::Haproxy => "haproxy",
    };
    by_path(path, transport, workload, known, key)
}

fn by_path(
    path: &str,
    transport: Transport,
    workload: &Workload,
    known: &Evidence,
    key: &'static str,
) -> Option<Excluded> {
    let passage = passage(path, transport, workload, known)?;
    let about = ReachPath::named(path).map_or(path, |path| path.about);
    let cure = passage.cure.as_ref().filter(|cure| cure.starts_with("path."));
    let cure = cure.map_or(String::new(), |cure| format!("; with {cure} they do"));
    (passage.through == Some(false)).then(|| Excluded {
        transport: transport.name(),
        because: format!("events do not arrive where {about}{cure}"),
        key,
        run: Some(known.runs[passage.run].dir.clone()),
    })
}

/// What was found of a transport on a path.
pub(super) fn passage<'a>(
    path: &str,
    transport: Transport,
    workload: &Workload,
    known: &'a Evidence,
) -> Option<&'a Passage> {
    let mut mine = known.passages.iter();
    mine.find(|p| p.path == path && p.transport == transport.name() && p.tls == workload.tls)
}

fn by_freshness(transport: Transport, workload: &Workload, known: &Evidence) -> Option<Excluded> {
    let cost = load::of(transport, workload, known);
    let (age, limit) = (cost.age_ns?, workload.freshness.as_nanos() as f64);
    if age <= limit {
        return None;
    }
    Some(Excluded {
        transport: transport.name(),
        because: format!(
            "an event is up to {} old when it arrives, and may be {} old",
            span_text(age),
            span_text(limit)
        ),
        key: "need.freshness",
        run: cost.age_run,
    })
}

/// A webhook keeps the order of a receiver's events by sending the next one after the answer to the last.
fn by_order(transport: Transport, workload: &Workload, known: &Evidence) -> Option<Excluded> {
    let turn = load::turn_ns(workload, known)?;
    let rate = workload.deliveries_each() * workload.burst_factor;
    if transport != Transport::Webhook || !workload.ordered || rate * turn / 1e9 <= BUSY {
        return None;
    }
    rule(
        transport,
        "need.ordered",
        format!(
            "in order, an event waits for the answer to the one before, {}: that allows {:.0} events a second to a receiver, and {rate:.0} come in a burst",
            span_text(turn),
            1e9 / turn * BUSY
        ),
    )
}
