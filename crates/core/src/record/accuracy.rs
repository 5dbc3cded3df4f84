//! How true the instrument's figures are on a machine, as measured by `pushbench selftest --truth`.
//!
//! Times are ns, rates events a second.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the file.
pub const SCHEMA: u32 = 1;

/// All that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Of the program.
    pub version: String,
    /// What was typed.
    pub command: String,
    /// When it began, UTC.
    pub began: String,
    /// Seed of the schedules.
    pub seed: u64,
    /// The machine.
    pub machine: BTreeMap<String, String>,
    /// CPUs of the driver and of the target, in words.
    pub cpus: [String; 2],
    /// Trials behind each figure that is a median over trials.
    pub trials: usize,
    /// Responses against known delays.
    pub delays: Vec<Delayed>,
    /// Responses against a target that was stopped.
    pub freezes: Vec<Frozen>,
    /// The driver's lag against a spin loop.
    pub lags: Vec<Lagging>,
    /// What part of a latency is the driver's own.
    pub shares: Vec<Share>,
    /// Up to which rate the driver is to be trusted.
    pub limits: Vec<Limit>,
    /// The driver as two shards and as one; none in pages of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<Sharded>,
    /// Responses of a server with a queue; none in pages of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<Queued>,
    /// Known differences between two targets; none in pages of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// A target that answers one event in twenty late; none in pages of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tails: Vec<Tail>,
}

/// A response and the time that the target really delayed the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delayed {
    /// By which transport.
    pub transport: String,
    /// Events a second.
    pub rate: f64,
    /// The requested delay of the target, ns.
    pub delay_ns: u64,
    /// Median response that the driver reports.
    pub reported_ns: f64,
    /// Median time from the target's read to its write, by its own clock.
    pub held_ns: f64,
    /// `reported − held`: the transport, the kernel and the driver.
    pub beside_ns: f64,
    /// `beside` less that of no delay in the same round: what the driver adds or hides because there
    /// is something to wait for.
    pub error_ns: f64,
    /// The same of the 99th percentiles, machine included.
    pub beside_p99_ns: f64,
    /// Trials that the instrument itself called invalid; their figures are in the medians.
    pub invalid: usize,
}

/// A target that was frozen for a known time, and the expected figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frozen {
    /// By which transport.
    pub transport: String,
    /// Part of the responses over 10 ms: measured, computed.
    pub late: [f64; 2],
    /// 90th percentile: measured, computed.
    pub p90_ns: [u64; 2],
    /// Largest response: measured, computed.
    pub max_ns: [u64; 2],
    /// Largest distance between measured and computed distribution of late responses.
    pub distance: f64,
    /// Events that were not acknowledged.
    pub missing: u64,
}

/// The driver's lag and that of a loop that only reads the clock, on the same CPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lagging {
    /// Events a second.
    pub rate: f64,
    /// Lateness of the loop at the same instants: median and 99th percentile.
    pub spin_ns: [u64; 2],
    /// Lag of the driver: median and 99th percentile.
    pub lag_ns: [u64; 2],
    /// 99th percentile of the hiccup meter meanwhile.
    pub hiccup_p99_ns: u64,
}

/// A latency of the floor transport, by the driver and by a minimal loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Unanswered events at any time.
    pub in_flight: usize,
    /// Median service time that the driver reports.
    pub reported_ns: f64,
    /// Median that a loop sees which does nothing but write and read the same bytes.
    pub bare_ns: f64,
    /// `(reported − bare) / reported`, the median over trials.
    pub own_share: f64,
}

/// Rising rates, and whether the driver reports itself valid at each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// By which transport.
    pub transport: String,
    /// What the driver manages in a closed loop.
    pub capacity: f64,
    /// Rates from the lowest to the highest.
    pub rungs: Vec<Rung>,
    /// The highest rate up to which most trials of every rung were valid.
    pub trusted_up_to: Option<f64>,
    /// The lowest rate from which on most trials of every rung were invalid, by the driver's doing.
    pub mistrusted_from: Option<f64>,
}

/// The driver as two shards and as one, in a closed loop. Of each pair that of one comes first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sharded {
    /// By which transport.
    pub transport: String,
    /// Rounds of one and two, by turns; all figures are medians over them.
    pub rounds: usize,
    /// CPUs of the shards, in words.
    pub driver: [String; 2],
    /// CPUs of the target, in words.
    pub target: String,
    /// Two shards had a CPU each. Otherwise they shared one, and their throughput shows no gain.
    pub apart: bool,
    /// Events a second.
    pub per_second: [f64; 2],
    /// That of two shards over that of one, round by round.
    pub per_second_ratio: f64,
    /// CPU of the driver an event.
    pub cpu_ns: [f64; 2],
    /// That of two shards over that of one, round by round.
    pub cpu_ratio: f64,
    /// Part of its CPUs that the target used while two shards drove it.
    pub target_busy: f64,
}

/// The server of [`Queued`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Server {
    /// It spins for a constant time.
    Spinning,
    /// It sleeps for a constant time.
    Sleeping,
    /// It sleeps for exponential times.
    Exponential,
}

/// Responses of a server that serves one event after the other, in the design that a run chooses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// By which transport.
    pub transport: String,
    /// What the server does for each event.
    pub server: Server,
    /// Median time that an event takes of the server by its own clock.
    pub busy_ns: f64,
    /// Events a second.
    pub rate: f64,
    /// `rate` times the mean of that time: more than 1 is an overload.
    pub utilisation: f64,
    /// Some of the blocks were sliced.
    pub sliced: bool,
    /// Valid trials.
    pub trials: usize,
    /// Trials of blocks that were not valid; their figures are in none of these.
    pub left_out: usize,
    /// p50, p90 and p99 that the driver reports.
    pub reported_ns: [f64; 3],
    /// The same of Lindley's recursion over the schedule and the times that the server logged.
    pub computed_ns: [f64; 3],
    /// 99th percentile of the hiccup meter meanwhile.
    pub hiccup_p99_ns: f64,
    /// Mean response: reported, by the formula.
    pub mean_ns: [f64; 2],
    /// Root mean square deviation from the formula of a simulated instrument without any error, with as many
    /// trials of the same length.
    pub deviation_ns: f64,
}

/// Two targets that hold events for known times, compared as a run compares arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// By which transport.
    pub transport: String,
    /// How much longer one of them was to hold events.
    pub wanted_ns: u64,
    /// How much longer it held them: difference of the medians by the clocks of the targets, mean over blocks.
    pub known_ns: f64,
    /// The difference of `response.p50` that the run reports.
    pub reported_ns: f64,
    /// Its 95 % interval.
    pub interval_ns: [f64; 2],
    /// Blocks behind it.
    pub blocks: usize,
    /// Blocks that were not valid, or in which the machine stalled.
    pub left_out: usize,
}

/// A target that holds one event in twenty for longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// By which transport.
    pub transport: String,
    /// 99th percentile of the response: reported, by the clock of the target.
    pub p99_ns: [f64; 2],
    /// Part of the responses over 10 ms: reported, exact.
    pub beyond: [f64; 2],
    /// Trials behind it.
    pub trials: usize,
    /// Trials that were not valid, or in which the machine stalled.
    pub left_out: usize,
}

/// One rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// Events a second.
    pub rate: f64,
    /// Trials in which the instrument did not call itself late or saturated.
    pub trusted: usize,
    /// Medians over trials: response, lag, late reading.
    pub response_ns: f64,
    /// Median lag.
    pub lag_ns: f64,
    /// Median late reading.
    pub reading_ns: f64,
    /// How busy the driver was ([`crate::record::trial::DriverUsage::busy`]).
    pub busy: f64,
    /// The driver's reason in the last trial, where it was invalid.
    pub said: Option<String>,
}
