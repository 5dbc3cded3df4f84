//! One arm's figures as a structure.

use crate::compare::cost::Cost;
use crate::compare::duplex::CallbackFigures;
use crate::compare::fanout::FanoutFigures;
use crate::compare::guarantee::{GuaranteeCounts, GuaranteeFigures};
use crate::compare::layers::HandshakeFigures;
use crate::compare::path::PathFigures;
use pushbench_core::record::ease::Ease;
use pushbench_core::record::interval::Interval;
use pushbench_core::record::outcomes::Outcomes;
use serde::Serialize;

/// Figures from the merged measured windows of an arm's valid trials. What could not be measured is
/// `null`.
#[derive(Debug, Clone, Serialize)]
pub struct ArmFigures {
    /// `webhook@builtin`
    pub arm: String,
    /// Its transport.
    pub transport: String,
    /// Its target.
    pub target: String,
    /// All trials of the blocks, valid or not.
    pub trials: usize,
    /// Of these, not valid.
    pub invalid: usize,
    /// It fell behind what was offered.
    pub overloaded: bool,
    /// Its answers wait for a delayed acknowledgement: they come in two pieces, and without TCP_NODELAY
    /// Nagle's algorithm holds the second one back for 40 ms.
    pub answers_wait_for_acknowledgement: bool,
    /// The schedule's rate.
    pub offered_per_second: Option<f64>,
    /// Acknowledged events per second of the arm's own time.
    pub throughput_per_second: Option<f64>,
    /// Due to done.
    pub response_ns: Latency,
    /// Sent to done.
    pub service_ns: Latency,
    /// Encryption and signing of an event, part of both; left out where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encode_ns: Option<Latency>,
    /// Decryption of an answer, after done; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode_ns: Option<Latency>,
    /// The driver's own lateness.
    pub lag_ns: Latency,
    /// The machine's stalls next to the driver.
    pub hiccup_ns: Latency,
    /// Outcomes.
    pub events: Events,
    /// Connections.
    pub connections: Connections,
    /// Events that waited for a connection.
    pub backlog: Backlog,
    /// Connections each trial opened before its first event, and unanswered events each may carry.
    pub load: ArmLoad,
    /// The target's cost.
    pub target_usage: Usage,
    /// The driver's cost.
    pub driver_usage: Usage,
    /// The proxies on the path; left out where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<ProxyFigures>,
    /// Bytes and segments.
    pub wire: Wire,
    /// What the path did; left out where driver and target share the loopback device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathFigures>,
    /// What came to subscribers; `null` in other flows.
    pub fanout: Option<FanoutFigures>,
    /// What else became of events under a guarantee or under faults; left out without either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<GuaranteeFigures>,
    /// Answers that came by a callback; left out where they came in another way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callbacks: Option<CallbackFigures>,
    /// What went wrong, most frequent first.
    pub faults: Vec<(String, u64)>,
    /// The first against the second half of the measured window; `null` where the load itself changes.
    pub steady: Option<Steady>,
    /// Strata of events: the steps of a ramp, a burst, the age of a connection.
    pub strata: Vec<Stratum>,
    /// By age of the connection: the median response of first events over that of last ones, over
    /// blocks; `null` where events have no such strata.
    pub first_over_last: Option<Ratio>,
    /// On a ramp: the rate up to which the arm kept up, events per second, the median over blocks;
    /// `null` without a ramp.
    pub knee_per_second: Option<f64>,
    /// Every second of every valid trial.
    pub time_line: Vec<Second>,
    /// How easy its program is to write; `null` for the built-in servers.
    pub ease: Option<Ease>,
    /// What it costs at the prices of the scenario; left out without prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// A proxy on the path.
#[derive(Debug, Clone, Serialize)]
pub struct ProxyFigures {
    /// Its name.
    pub name: String,
    /// CPU of its processes per acknowledged event, or per delivery of a fan-out.
    pub cpu_ns_per_event: Option<f64>,
}

/// A distribution's figures in ns; a percentile that too few samples or too few separate stalls
/// support is `null`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Latency {
    /// Values recorded.
    pub count: u64,
    /// Mean.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<u64>,
    /// 90th percentile.
    pub p90: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
    /// 99.9th percentile.
    pub p99_9: Option<u64>,
    /// Largest.
    pub max: Option<u64>,
    /// How certain the percentiles are.
    pub intervals: Percentiles,
}

/// 95 % intervals of a block's percentiles: Student's t on their logarithms over blocks. The percentile
/// of the merged windows need not lie inside: blocks with more samples, or a longer tail, weigh more in
/// it. `null` below the blocks that a verdict needs, and where the percentile or a block's is `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Of the median.
    pub p50: Option<[f64; 2]>,
    /// Of the 90th percentile.
    pub p90: Option<[f64; 2]>,
    /// Of the 99th percentile.
    pub p99: Option<[f64; 2]>,
    /// Of the 99.9th percentile.
    pub p99_9: Option<[f64; 2]>,
}

/// Outcomes of the measured events, summed over valid trials.
#[derive(Debug, Clone, Serialize)]
pub struct Events {
    /// The exact sums.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// Second answers; `null` when answers carry no id.
    pub duplicated: Option<u64>,
    /// Overtaking answers; `null` when answers carry no id.
    pub reordered: Option<u64>,
    /// Answers after the time-out.
    pub late: u64,
    /// Messages that answered nothing.
    pub unsolicited: u64,
    /// What became of them under a guarantee or under faults; left out without either.
    #[serde(flatten)]
    pub guarantee: Option<GuaranteeCounts>,
}

/// Connections over valid trials.
#[derive(Debug, Clone, Serialize)]
pub struct Connections {
    /// All that were opened.
    pub opened: u64,
    /// Mean over trials, the warm ones included.
    pub per_trial: Option<f64>,
    /// Per event sent, the warm ones included.
    pub per_event: Option<f64>,
    /// Events that a request carried; left out where it carries one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_per_request: Option<f64>,
    /// Connections made again for an event, after the warm ones.
    pub reconnects: u64,
    /// What each of these took, handshake included.
    pub connect_ns: Latency,
    /// TLS handshakes; left out without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshakes: Option<HandshakeFigures>,
}

/// The queue of events that waited for a connection, over valid trials.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Backlog {
    /// Longest of any trial.
    pub peak: Option<u64>,
    /// Bursts that ended within a measured window.
    pub bursts: u64,
    /// Of these, bursts after which the queue was not empty before the next burst or the end of the window.
    pub undrained: u64,
    /// Median over bursts: from a burst's end to the first event that found no queue, ns. One that
    /// did not drain counts as longer than all others.
    pub drain_ns: Option<u64>,
}

/// A ratio with its interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ratio {
    /// Geometric mean over blocks.
    pub ratio: f64,
    /// Its 95 % interval.
    pub ci95: [f64; 2],
}

/// Whether the measured window was of one piece: median service times of its halves.
#[derive(Debug, Clone, Serialize)]
pub struct Steady {
    /// Of the first half, ns.
    pub(crate) first_half_p50_ns: Option<u64>,
    /// Of the second half, ns.
    pub(crate) second_half_p50_ns: Option<u64>,
    /// The second over the first, over blocks; `null` of too few.
    pub(crate) second_over_first: Option<Ratio>,
    /// When the first half was slower beyond doubt: the warm-up to try, ns.
    pub(crate) warmup_to_try_ns: Option<u64>,
}

/// One stratum of the measured events.
#[derive(Debug, Clone, Serialize)]
pub struct Stratum {
    /// What they have in common.
    pub name: String,
    /// Due to done.
    pub response_ns: Latency,
    /// Sent to done.
    pub service_ns: Latency,
}

/// A second of a trial.
#[derive(Debug, Clone, Serialize)]
pub struct Second {
    /// The trial's block.
    pub block: usize,
    /// What it brought; times in ns.
    #[serde(flatten)]
    pub interval: Interval,
}

/// What an arm was given.
#[derive(Debug, Clone, Serialize)]
pub struct ArmLoad {
    /// Warm connections a trial.
    pub connections: u64,
    /// Unanswered events a connection may carry.
    pub in_flight: usize,
}

/// CPU and memory of one side.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Usage {
    /// CPU per acknowledged event, ns.
    pub cpu_ns_per_event: Option<f64>,
    /// Largest resident memory of any trial.
    pub rss_peak_bytes: Option<u64>,
    /// Median over trials of the resident memory at the end of the window.
    pub rss_steady_bytes: Option<u64>,
    /// Largest number of threads at the end of a window.
    pub threads: Option<u64>,
    /// Largest number of open descriptors at the end of a window.
    pub descriptors: Option<u64>,
    /// Voluntary and involuntary context switches per acknowledged event.
    pub context_switches_per_event: Option<f64>,
    /// Busiest shard's share of its CPU (driver only), median over trials.
    pub busy: Option<f64>,
    /// Trials in which the busiest shard had no time left (driver only).
    #[serde(skip_serializing_if = "is_zero")]
    pub trials_at_limit: usize,
    /// Trials that these figures are of.
    #[serde(skip)]
    pub trials: usize,
}

/// Bytes inside TCP per event sent; segments from the pilot with a realistic segment size.
#[derive(Debug, Clone, Serialize)]
pub struct Wire {
    /// To the target.
    pub bytes_out_per_event: Option<f64>,
    /// From it.
    pub bytes_in_per_event: Option<f64>,
    /// Both ways, acknowledgements included.
    pub segments_per_event: Option<f64>,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}
