//! Which costs the bars of a flow show.

use crate::chart::bars::Bars;
use crate::chart::scale::{bytes_tick, time_tick};
use pushbench_analysis::compare::{ArmFigures, FanoutFigures, IdleFigures};
use pushbench_core::scenario::Flow;
use pushbench_core::units;

/// Those of a flow.
pub(super) fn of(flow: Flow) -> &'static [Bars] {
    match flow {
        Flow::Ingest | Flow::Duplex => &OF_EVENTS,
        Flow::Fanout => &OF_DELIVERIES,
        Flow::Idle => &OF_SILENCE,
    }
}

const OF_EVENTS: [Bars; 3] = [
    Bars {
        name: "cpu",
        title: "CPU per event: target and driver",
        about: "Solid: the target's process tree. Pale: the driver, without spinning for due instants. On loopback the kernel charges much of the receiver's network work to the sender; only the sum is unaffected.",
        axis: "CPU time per acknowledged event",
        parts: ["target", "driver"],
        of: |a| [a.target_usage.cpu_ns_per_event, a.driver_usage.cpu_ns_per_event],
        tick: time_tick,
        text: units::nanos_text,
    },
    Bars {
        name: "bytes",
        title: "Bytes per event: to the target and from it",
        about: "Solid: to the target. Pale: from the target. TCP payload bytes, without IP and TCP headers and without the setup of warm connections.",
        axis: "bytes per event sent",
        parts: ["out", "in"],
        of: |a| [a.wire.bytes_out_per_event, a.wire.bytes_in_per_event],
        tick: bytes_tick,
        text: units::bytes,
    },
    MEMORY,
];

const MEMORY: Bars = Bars {
    name: "memory",
    title: "Memory of the target",
    about: "Solid: resident at the end of the window (median of the trials). Pale: the further growth up to the largest peak.",
    axis: "resident memory of the process tree",
    parts: ["steady", "to the peak"],
    of: |a| {
        let (steady, peak) = (a.target_usage.rss_steady_bytes, a.target_usage.rss_peak_bytes);
        [steady.map(|b| b as f64), peak.zip(steady).map(|(p, s)| p.saturating_sub(s) as f64)]
    },
    tick: bytes_tick,
    text: units::bytes,
};

const OF_DELIVERIES: [Bars; 4] = [
    Bars {
        name: "cpu",
        title: "CPU per delivery: target and driver",
        about: "Solid: the publisher's process tree. Pale: the driver, which publishes and holds all subscribers, without spinning for due instants. On loopback the kernel charges much of the receiver's network work to the sender; only the sum is unaffected.",
        axis: "CPU time per delivery read",
        parts: ["target", "driver"],
        of: |a| fanout(a, |f| [f.target_cpu_ns_per_delivery, f.driver_cpu_ns_per_delivery]),
        tick: time_tick,
        text: units::nanos_text,
    },
    Bars {
        name: "bytes",
        title: "Bytes per delivery: to the subscriber and from it",
        about: "Solid: to the subscriber. Pale: from it, acknowledgements included. TCP payload bytes of the subscribers' connections, without IP and TCP headers.",
        axis: "bytes per delivery read",
        parts: ["to", "from"],
        of: |a| fanout(a, |f| [f.wire.bytes_in_per_delivery, f.wire.bytes_out_per_delivery]),
        tick: bytes_tick,
        text: units::bytes,
    },
    Bars {
        name: "memory-subscriber",
        title: "Memory per subscriber: target and driver",
        about: "Solid: growth of the publisher's memory per subscriber. Pale: of the driver's, where one arm was active at a time.",
        axis: "memory per subscriber",
        parts: ["target", "driver"],
        of: |a| fanout(a, |f| [f.target_bytes_per_subscriber, f.driver_bytes_per_subscriber]),
        tick: bytes_tick,
        text: units::bytes,
    },
    MEMORY,
];

const OF_SILENCE: [Bars; 3] = [
    Bars {
        name: "memory-subscriber",
        title: "Memory per idle subscriber: the target's and the kernel's",
        about: "Solid: growth of the target's own memory per subscriber. Pale: of kernel memory for its sockets; without a memory cgroup of the target, for both ends.",
        axis: "memory per subscriber",
        parts: ["target", "kernel"],
        of: |a| fanout(a, |f| [f.target_bytes_per_subscriber, f.kernel_bytes_per_subscriber]),
        tick: bytes_tick,
        text: units::bytes,
    },
    Bars {
        name: "cpu",
        title: "CPU per idle subscriber and minute: target and driver",
        about: "Solid: the target's process tree. Pale: the driver. Between two events, when nothing is published.",
        axis: "CPU time per subscriber and minute",
        parts: ["target", "driver"],
        of: |a| {
            quiet(a, |q| {
                [q.target_cpu_ns_per_subscriber_minute, q.driver_cpu_ns_per_subscriber_minute]
            })
        },
        tick: time_tick,
        text: units::nanos_text,
    },
    Bars {
        name: "bytes",
        title: "Bytes per idle subscriber and minute: to it and from it",
        about: "Solid: to the subscriber. Pale: from it. TCP payload bytes of pings and their answers.",
        axis: "bytes per subscriber and minute",
        parts: ["to", "from"],
        of: |a| quiet(a, |q| [q.bytes_in_per_subscriber_minute, q.bytes_out_per_subscriber_minute]),
        tick: bytes_tick,
        text: units::bytes,
    },
];

type Parts = [Option<f64>; 2];

fn fanout(a: &ArmFigures, of: impl Fn(&FanoutFigures) -> Parts) -> Parts {
    a.fanout.as_ref().map_or([None; 2], of)
}

fn quiet(a: &ArmFigures, of: impl Fn(&IdleFigures) -> Parts) -> Parts {
    a.fanout.as_ref().and_then(|f| f.idle.as_ref()).map_or([None; 2], of)
}
