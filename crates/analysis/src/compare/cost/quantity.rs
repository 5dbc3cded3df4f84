//! How much of what has a price a trial used.

use crate::compare::cost::Of;
use crate::compare::figures::per;
use pushbench_core::record::fanout::{Deliveries, Fanout, KernelScope, Quiet};
use pushbench_core::record::trial::Trial;
use pushbench_core::record::wire::Traffic;
use pushbench_core::scenario::Prices;
use pushbench_core::transport::Transport;
use serde::Serialize;

/// IPv4 and TCP headers of a segment without options, bytes.
const HEADERS: f64 = 40.0;
const GIB: f64 = (1u64 << 30) as f64;
const HOUR_NS: f64 = 3_600e9;
const MINUTE_NS: f64 = 60e9;
const MILLION: f64 = 1e6;
/// A month.
const HOURS: f64 = 730.0;

/// What is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// CPU time of the target.
    Cpu,
    /// User memory of the target.
    Memory,
    /// Kernel memory of the target, of idle subscribers.
    KernelMemory,
    /// Bytes that the target sends, with TCP/IP headers.
    Egress,
    /// HTTP requests, whoever makes them.
    Requests,
    /// Time that connections are open.
    ConnectionMinutes,
    /// Messages over connections that stay open, both ways.
    Messages,
}

use Part::{ConnectionMinutes, Cpu, Egress, KernelMemory, Memory, Messages, Requests};

impl Part {
    /// What a bill may contain.
    pub(super) fn of(of: Of) -> &'static [Part] {
        match of {
            Of::IdleMonth => {
                &[Cpu, Memory, KernelMemory, Egress, Requests, ConnectionMinutes, Messages]
            }
            _ => &[Cpu, Memory, Egress, Requests, ConnectionMinutes, Messages],
        }
    }

    /// What it is counted in.
    pub fn unit(self) -> &'static str {
        match self {
            Cpu => "core-hours",
            Memory | KernelMemory => "GiB-hours",
            Egress => "GiB",
            Requests => "million requests",
            ConnectionMinutes => "million connection-minutes",
            Messages => "million messages",
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Cpu => "CPU",
            Memory => "memory",
            KernelMemory => "kernel memory",
            Egress => "egress",
            Requests => "requests",
            ConnectionMinutes => "connection-minutes",
            Messages => "messages",
        }
    }

    /// The price of a unit.
    pub(super) fn price(self, prices: &Prices) -> Option<f64> {
        match self {
            Cpu => prices.core_hour,
            Memory | KernelMemory => prices.gib_hour,
            Egress => prices.egress_gib,
            Requests => prices.request_million,
            ConnectionMinutes => prices.connection_minute_million,
            Messages => prices.message_million,
        }
    }

    /// The units that a trial used for a million events or deliveries, or that its subscribers would use in a month;
    /// `None` where that was not measured. `pilot`: the arm's, for segments.
    pub(super) fn quantity(
        self,
        of: Of,
        transport: &str,
        trial: &Trial,
        pilot: Option<&Trial>,
    ) -> Option<f64> {
        let transport = Transport::named(transport)?;
        match of {
            Of::MillionEvents => Some(MILLION * self.of_event(transport, trial, pilot)?),
            Of::MillionDeliveries => Some(MILLION * self.of_delivery(transport, trial, pilot)?),
            Of::IdleMonth => self.of_month(transport, trial),
        }
    }

    /// Of an acknowledged event.
    fn of_event(self, transport: Transport, t: &Trial, pilot: Option<&Trial>) -> Option<f64> {
        let account = &t.account;
        let each = |total: u64| per(total, acknowledged(t));
        let callbacks = if account.callbacks.is_some() { acknowledged(t) } else { 0 };
        match self {
            Cpu => Some(per(t.target?.cpu_ns, account.acknowledged_in_window)? / HOUR_NS),
            Memory => resident(t, account.acknowledged_by_end),
            Egress => {
                let of_pilot = |p: &Trial| per(p.account.traffic.segments_in, acknowledged(p));
                let segments = segments(&account.traffic, acknowledged(t), t, pilot, of_pilot)?;
                Some((each(account.traffic.bytes_in)? + segments * HEADERS) / GIB)
            }
            // A batch is one request; the events of others are one each.
            Requests if transport == Transport::Webhook => {
                let sent = if account.batches > 0 { account.batches } else { account.sent };
                Some(each(sent + callbacks)? / MILLION)
            }
            Messages if stays_open(transport) => {
                Some(each(account.sent + acknowledged(t))? / MILLION)
            }
            ConnectionMinutes if stays_open(transport) => {
                open(t.warm_connections, t, account.acknowledged_by_end)
            }
            KernelMemory | Requests | Messages | ConnectionMinutes => Some(0.0),
        }
    }

    /// Of a delivery that was read.
    fn of_delivery(self, transport: Transport, t: &Trial, pilot: Option<&Trial>) -> Option<f64> {
        let fanout = t.fanout.as_ref()?;
        let d = &fanout.deliveries;
        let acknowledged = if fanout.acknowledged { d.read } else { 0 };
        match self {
            Cpu => Some(per(t.target?.cpu_ns, d.read_in_window)? / HOUR_NS),
            Memory => resident(t, d.read_by_end),
            Egress => {
                let of_pilot = |p: &Trial| {
                    let d = &p.fanout.as_ref()?.deliveries;
                    per(d.traffic.segments_in, d.read)
                };
                let segments = segments(&d.traffic, d.read, t, pilot, of_pilot)?;
                Some((per(d.traffic.bytes_in, d.read)? + segments * HEADERS) / GIB)
            }
            Requests if transport == Transport::Webhook => {
                Some(per(attempts(fanout), d.read)? / MILLION)
            }
            Requests => Some(per(d.requests, d.read_in_window)? / MILLION),
            Messages => match transport {
                Transport::Websocket | Transport::Tcp => {
                    Some(per(attempts(fanout) + acknowledged, d.read)? / MILLION)
                }
                Transport::Sse => Some(per(attempts(fanout), d.read)? / MILLION),
                _ => Some(0.0),
            },
            ConnectionMinutes if stays_open(transport) => open(d.subscribers, t, d.read_by_end),
            KernelMemory | ConnectionMinutes => Some(0.0),
        }
    }

    /// Of a month of all subscribers, from the quiet period.
    fn of_month(self, transport: Transport, t: &Trial) -> Option<f64> {
        let fanout = t.fanout.as_ref()?;
        let (quiet, d) = (fanout.quiet.as_ref()?, &fanout.deliveries);
        let periods = (quiet.ns > 0).then(|| HOURS * HOUR_NS / quiet.ns as f64)?;
        let held = |bytes_each: f64| bytes_each * d.subscribers as f64 / GIB * HOURS;
        match self {
            Cpu => Some(quiet.target_cpu_ns? as f64 * periods / HOUR_NS),
            Memory => Some(held(fanout.target_memory?.each(d.subscribers)?)),
            KernelMemory => {
                let kernel = fanout.kernel_memory.filter(|k| k.of == KernelScope::Target)?;
                Some(held(kernel.growth.each(d.subscribers)?))
            }
            Egress => {
                let segments = quiet_segments(transport, quiet)? as f64;
                Some((quiet.bytes_in as f64 + segments * HEADERS) * periods / GIB)
            }
            Requests => Some(quiet_requests(transport, quiet)? as f64 * periods / MILLION),
            ConnectionMinutes if stays_open(transport) => {
                let open = quiet.connections.min(d.subscribers) as f64;
                Some(open * HOURS * 60.0 / MILLION)
            }
            // Nothing is published.
            Messages | ConnectionMinutes => Some(0.0),
        }
    }
}

/// A service that has a price by connection holds these open.
fn stays_open(transport: Transport) -> bool {
    matches!(transport, Transport::Websocket | Transport::Tcp | Transport::Sse)
}

fn acknowledged(t: &Trial) -> u64 {
    t.account.measured.acknowledged + t.account.warmup.acknowledged
}

/// Deliveries that were tried, which are requests or messages; a publisher that was restarted or is not ours does not
/// tell of all.
fn attempts(fanout: &Fanout) -> u64 {
    let Deliveries { read, .. } = fanout.deliveries;
    fanout.publisher.map_or(read, |publisher| publisher.attempts.max(read))
}

/// Resident memory for the time between two of so many, GiB-hours.
fn resident(t: &Trial, number: u64) -> Option<f64> {
    let bytes = Some(t.target?.end.rss_bytes).filter(|bytes| *bytes > 0)?;
    Some(bytes as f64 / GIB * per(t.window_ns, number)? / HOUR_NS)
}

/// Open connections for the time between two of so many, million minutes.
fn open(connections: u64, t: &Trial, number: u64) -> Option<f64> {
    Some(connections as f64 * per(t.window_ns, number)? / MINUTE_NS / MILLION)
}

/// Segments that the target sends for one of so many: on a path those of the trial itself, else of the pilot, whose
/// segments have a realistic size.
fn segments(
    own: &Traffic,
    number: u64,
    trial: &Trial,
    pilot: Option<&Trial>,
    of_pilot: impl Fn(&Trial) -> Option<f64>,
) -> Option<f64> {
    let pilot = pilot.filter(|p| p.max_segment.is_some() && p.is_valid());
    match trial.path {
        Some(_) => per(own.segments_in, number),
        None => of_pilot(pilot?),
    }
    .filter(|segments| *segments > 0.0)
}

/// Segments that the target sends in a quiet period: messages are short and far apart, so each has a segment, and what
/// answers a ping is acknowledged by another.
fn quiet_segments(transport: Transport, quiet: &Quiet) -> Option<u64> {
    match quiet.reads {
        Some(reads) => Some(reads + quiet.pings),
        None if quiet.bytes_in == 0 => Some(0),
        None => (transport == Transport::Websocket).then_some(2 * quiet.pings),
    }
}

fn quiet_requests(transport: Transport, quiet: &Quiet) -> Option<u64> {
    let asks = matches!(transport, Transport::LongPoll | Transport::Poll);
    quiet.requests.or((!asks).then_some(0))
}
