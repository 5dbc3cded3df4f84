//! The scenario: flow, load, connections, payload, expectations and sweeps.
//!
//! A [`Scenario`] is always valid: it is made only by the parser in this room, which refuses bad input
//! with file, line, column, value and remedy.

pub mod content;
mod draft;
mod duplex;
pub mod expect;
mod fanout;
pub mod faults;
mod guarantee;
pub mod keys;
mod kind;
mod load;
pub mod objective;
mod parse;
pub mod path;
mod pattern;
pub mod payload;
pub mod price;
mod raw;
pub mod schema;
mod shape;
pub mod split;

pub use content::Content;
pub use duplex::Questions;
pub use fanout::{Delivering, Recipients, Subscribers};
pub use faults::Faults;
pub use load::{Override, Point, Question, ReadText, Source, load, read, shipped};
pub use path::PathSettings;
pub use price::Prices;

use crate::guarantee::Guarantee;
use crate::units::nanos;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Which way the events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// The driver sends, the target acknowledges.
    Ingest,
    /// The driver publishes, the target delivers each event to every subscriber.
    Fanout,
    /// The same with very few events: the cost of idle subscribers.
    Idle,
    /// The driver asks, the target answers.
    Duplex,
}

impl Flow {
    /// The target publishes to subscribers.
    pub fn publishes(self) -> bool {
        matches!(self, Flow::Fanout | Flow::Idle)
    }

    /// Every flow there is.
    pub const ALL: [Flow; 4] = [Flow::Ingest, Flow::Fanout, Flow::Idle, Flow::Duplex];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Flow::Ingest => "ingest",
            Flow::Fanout => "fanout",
            Flow::Idle => "idle",
            Flow::Duplex => "duplex",
        }
    }
}

/// How the due instants are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Equal gaps.
    Constant,
    /// Exponential gaps: events of many independent sources.
    Poisson,
    /// Poisson with a rate that changes linearly over the measured window, from `load.rate` on.
    Ramp {
        /// Events per second at the end of the window.
        to: f64,
    },
    /// Poisson at `load.rate` with bursts.
    Burst(Burst),
    /// No schedule: each slot sends when its last answer came (closed loop).
    Closed,
}

/// Bursts: in every cycle of the measured window a quiet part, the burst, and as long a quiet part.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Burst {
    /// The rate within a burst, in multiples of `load.rate`.
    pub factor: f64,
    /// Length of a burst.
    #[serde(with = "nanos")]
    pub length: Duration,
    /// Length of a cycle, from one burst's begin to the next one's.
    #[serde(with = "nanos")]
    pub every: Duration,
}

impl Burst {
    /// The quiet part before a cycle's burst; the one after it is as long.
    pub fn quiet(&self) -> Duration {
        (self.every - self.length) / 2
    }
}

impl Arrivals {
    /// The rate is the same all along, so that one half of the window is like the other.
    pub fn is_steady(&self) -> bool {
        !matches!(self, Arrivals::Ramp { .. } | Arrivals::Burst(_))
    }
}

/// The lifetime of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifetime {
    /// Until either side closes it.
    Unlimited,
    /// It is closed by the driver after this many events (at least 1).
    Events(u64),
}

/// `[load]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Arrival process.
    pub arrivals: Arrivals,
    /// Events per second; `None` exactly when `arrivals` is closed.
    pub rate: Option<f64>,
    /// Events due before this are sent but not measured.
    #[serde(with = "nanos")]
    pub warmup: Duration,
    /// The measured part of a trial, after the warm-up.
    #[serde(with = "nanos")]
    pub duration: Duration,
    /// An event without an answer this long after it was due is timed out.
    #[serde(with = "nanos")]
    pub timeout: Duration,
    /// Events that may wait for a connection before further ones fail.
    pub backlog: usize,
}

/// `[connections]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// Connections opened before the first event.
    pub count: usize,
    /// Unanswered events a connection may carry; over HTTP/1.1 an arm has more connections instead.
    pub in_flight: usize,
    /// Events a connection carries before the driver closes it.
    pub lifetime: Lifetime,
}

/// The key of a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// ECDSA over P-256.
    #[default]
    P256,
    /// RSA of 2,048 bits.
    Rsa2048,
}

/// `[tls]`: of arms that are measured over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSettings {
    /// The key of the run's certificate.
    pub key: KeyKind,
    /// A connection that is made again resumes the session of the one before it.
    pub resumption: bool,
}

impl Default for TlsSettings {
    fn default() -> TlsSettings {
        TlsSettings { key: KeyKind::P256, resumption: true }
    }
}

impl TlsSettings {
    fn is_default(&self) -> bool {
        *self == TlsSettings::default()
    }
}

/// `[compression]`: of permessage-deflate (RFC 7692), on arms with `+compressed`, the same in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compression {
    /// A message is compressed with what was sent before it on its connection.
    pub context_takeover: bool,
    /// Base-2 logarithm of the window's size in bytes, 9 to 15.
    pub window_bits: usize,
}

impl Default for Compression {
    fn default() -> Compression {
        Compression { context_takeover: true, window_bits: 15 }
    }
}

impl Compression {
    fn is_default(&self) -> bool {
        *self == Compression::default()
    }
}

/// `[payload]`: what one event looks like on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// A generated event of exactly this many bytes.
    Bytes(usize),
    /// The user's event (a JSON object); its `id` is replaced by the event's own.
    File {
        /// As the user wrote it.
        path: String,
        /// The object, without `id`, as compact JSON.
        json: String,
    },
}

impl Payload {
    /// The type of its events.
    pub fn kind(&self) -> String {
        match self {
            Payload::Bytes(_) => payload::KIND.to_owned(),
            Payload::File { json, .. } => {
                let event: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
                event["type"].as_str().unwrap_or(payload::KIND).to_owned()
            }
        }
    }
}

/// Which of the two block designs a run uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DesignChoice {
    /// Sliced for open loads that the pilot finds below saturation, else sequential.
    Auto,
    /// All arms alive, short slices alternate.
    Sliced,
    /// One arm alive at a time.
    Sequential,
}

/// `compare.blocks`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Blocks {
    /// So many.
    Fixed(usize),
    /// As many as the first ones say are needed.
    Auto {
        /// The slow-down that they must find with a power of 90 % (0.1 is 10 %).
        precision: f64,
    },
}

/// `[compare]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compare {
    /// Arms that are measured where none are named; those of the flow where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<String>,
    /// Blocks to run.
    pub blocks: Blocks,
    /// Block design.
    pub design: DesignChoice,
    /// Length of a slice; `None` lets the pilot decide.
    #[serde(with = "optional_nanos")]
    pub slice: Option<Duration>,
    /// Differences smaller than these are called too small to matter.
    pub matters: Matters,
}

/// `compare.matters`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matters {
    /// For every latency metric, absolute.
    #[serde(with = "nanos")]
    pub latency: Duration,
    /// For CPU per event, relative (0.05 is 5 %).
    pub cpu: f64,
    /// For throughput, relative.
    pub throughput: f64,
}

/// One line of `[expect]` or of `[objective]`: the named figure of every arm must not exceed the limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// A outcome (`lost`, `failed`, `timed_out`) or a metric of the registry (`response.p99`).
    pub what: String,
    /// Upper limit (lower where more is better), in the figure's own unit (events, ns, events/s).
    pub limit: f64,
}

/// The scenario keys in force at one point of a sweep, for example `{"load.rate": 500}`.
pub type Setting = BTreeMap<String, serde_json::Value>;

/// A valid question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Short name, used in the results directory.
    pub name: String,
    /// The question it answers, a sentence.
    pub question: String,
    /// Which way events go.
    pub flow: Flow,
    /// `[load]`
    pub load: Load,
    /// `[connections]`
    pub connections: Connections,
    /// `[payload]`
    pub payload: Payload,
    /// `payload.content`: of generated events.
    #[serde(default, skip_serializing_if = "Content::is_default")]
    pub content: Content,
    /// `payload.headers_bytes`: what requests and handshakes carry beside their own headers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub headers_bytes: usize,
    /// `[tls]`
    #[serde(default, skip_serializing_if = "TlsSettings::is_default")]
    pub tls: TlsSettings,
    /// `[compression]`
    #[serde(default, skip_serializing_if = "Compression::is_default")]
    pub compression: Compression,
    /// Who gets the events; `None` where the target takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscribers: Option<Subscribers>,
    /// `[duplex]`: how questions are answered; `None` where events are acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub questions: Option<Questions>,
    /// `[faults]`: each target is ended and restarted this long after the measured window began.
    #[serde(default, with = "optional_nanos", skip_serializing_if = "Option::is_none")]
    pub restart_after: Option<Duration>,
    /// `[faults]`: what else breaks.
    #[serde(default, skip_serializing_if = "Faults::is_default")]
    pub faults: Faults,
    /// `[guarantee]`: what a delivery promises.
    #[serde(default, skip_serializing_if = "Guarantee::is_default")]
    pub guarantee: Guarantee,
    /// `[path]`: what lies between driver and target; `None` where they share the loopback device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathSettings>,
    /// `[compare]`
    pub compare: Compare,
    /// `[expect]`
    pub expect: Vec<Expectation>,
    /// `[objective]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objective: Vec<Expectation>,
    /// `[price]`
    #[serde(default, skip_serializing_if = "Prices::is_empty")]
    pub price: Prices,
}

impl Scenario {
    /// Something of it goes by the clock on the wall, so that its trials cannot be cut into slices:
    /// the key that says so.
    pub fn lives_by_the_wall(&self) -> Option<&'static str> {
        let restarts = self.restart_after.map(|_| "faults.restart_after");
        let faults = self.faults.any().then_some("faults");
        let path = self.path.as_ref().map(|_| "path");
        restarts.or(faults).or(path).or_else(|| self.subscribers.as_ref()?.lives_by_the_wall())
    }
}

fn is_zero(bytes: &usize) -> bool {
    *bytes == 0
}

mod optional_nanos {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(value: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        value.map(|d| d.as_nanos() as u64).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_nanos))
    }
}

#[cfg(test)]
mod tests;
