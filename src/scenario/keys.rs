//! The registry of scenario keys: the one place that knows what a key takes. Files, `--set`, the named
//! options, sweeps and the schema all go through it. A newcomer adds one entry.

use super::draft::Draft;
use super::kind::{
    Count, Kind, Length, Name, Number, OneOf, Optional, Or, Percent, Size, Switch, Text, UpTo,
};
use super::raw::Raw;
use super::shape::Process;
use super::{DesignChoice, Flow, Recipients, payload};
use serde_json::Value as Json;
use std::path::PathBuf;
use std::time::Duration;

/// One key.
pub struct Key {
    /// `load.rate`
    pub path: &'static str,
    /// What it is.
    pub about: &'static str,
    /// May stand in `[sweep]`.
    pub sweepable: bool,
    setting: &'static dyn Setting,
}

impl Key {
    /// What it takes, in words.
    pub fn takes(&self) -> String {
        self.setting.takes()
    }

    /// Reads a value into its place, or says what is wrong with it.
    pub fn apply(&self, draft: &mut Draft, raw: &Raw) -> Result<(), String> {
        self.setting.apply(draft, raw)
    }

    /// The JSON Schema of its values.
    pub fn schema(&self) -> Json {
        self.setting.schema()
    }

    /// What holds when it is left out, as it would stand in a file.
    pub fn default(&self) -> Option<Json> {
        self.setting.written(&mut Draft::new(PathBuf::new()))
    }
}

/// A kind of value and its place in a draft.
struct Field<K: Kind> {
    kind: K,
    place: fn(&mut Draft) -> &mut K::Value,
}

/// A [`Field`] of any kind.
trait Setting: Sync {
    fn takes(&self) -> String;
    fn apply(&self, draft: &mut Draft, raw: &Raw) -> Result<(), String>;
    fn schema(&self) -> Json;
    fn written(&self, draft: &mut Draft) -> Option<Json>;
}

impl<K: Kind> Setting for Field<K> {
    fn takes(&self) -> String {
        self.kind.takes()
    }

    fn apply(&self, draft: &mut Draft, raw: &Raw) -> Result<(), String> {
        *(self.place)(draft) = self.kind.read(raw)?;
        Ok(())
    }

    fn schema(&self) -> Json {
        self.kind.schema()
    }

    fn written(&self, draft: &mut Draft) -> Option<Json> {
        self.kind.written((self.place)(draft))
    }
}

/// `fixed` keys have one value, `swept` ones may stand in `[sweep]`, too.
macro_rules! key {
    (fixed $($entry:tt)*) => { key!(false, $($entry)*) };
    (swept $($entry:tt)*) => { key!(true, $($entry)*) };
    ($sweepable:literal, $path:literal, $about:literal, $kind:expr, $place:expr) => {
        Key {
            path: $path,
            about: $about,
            sweepable: $sweepable,
            setting: &Field { kind: $kind, place: $place },
        }
    };
}

/// More events a second than any schedule in whole nanoseconds can keep apart on one machine.
const RATE: Optional<Number> =
    Optional(Number { unit: "events per second", zero: false, most: 5e6 });
/// A duration that may be zero.
const ANY_LENGTH: Length = Length(Duration::ZERO);
/// A duration that may not.
const SOME_LENGTH: Length = Length(Duration::from_nanos(1));
/// Timers of servers have a grid of 1 ms.
const PUBLISHER_LENGTH: Length = Length(Duration::from_millis(1));
/// A measured window shorter than this holds no interval worth a line.
const WINDOW_LENGTH: Length = Length(Duration::from_millis(100));
/// Pings closer than this would take a machine's stall for a dead subscriber.
const PING_LENGTH: Length = Length(Duration::from_secs(1));
/// Below this a slice holds hardly an event.
const SLICE_LENGTH: Length = Length(Duration::from_millis(1));

/// Who asks more often than this asks all the time.
const POLL_INTERVAL: Length = Length(Duration::from_millis(1));

/// Every key, `expect.*` apart.
pub static KEYS: &[Key] = &[
    key!(fixed "name", "short name; it stands in the results directory", Name(64), |d| &mut d.name),
    key!(fixed "question", "the question the scenario answers", Text, |d| &mut d.question),
    key!(
        fixed "flow",
        "which way events go",
        OneOf(&[
            ("ingest", Flow::Ingest),
            ("fanout", Flow::Fanout),
            ("idle", Flow::Idle),
            ("duplex", Flow::Duplex),
        ]),
        |d| &mut d.flow
    ),
    key!(
        fixed "load.arrivals",
        "how due instants are distributed",
        OneOf(&[
            ("constant", Process::Constant),
            ("poisson", Process::Poisson),
            ("ramp", Process::Ramp),
            ("burst", Process::Burst),
            ("closed", Process::Closed),
        ]),
        |d| &mut d.arrivals
    ),
    key!(
        swept "load.rate",
        "rate of an open load",
        RATE,
        |d| &mut d.rate
    ),
    key!(
        swept "load.ramp_to",
        "rate at the end of a ramp, which begins with load.rate",
        RATE,
        |d| &mut d.shape.ramp_to
    ),
    key!(
        swept "load.burst_factor",
        "rate within a burst",
        Optional(Number { unit: "multiples of load.rate", zero: false, most: 1e3 }),
        |d| &mut d.shape.factor
    ),
    key!(
        swept "load.burst_length",
        "length of a burst",
        Optional(SOME_LENGTH),
        |d| &mut d.shape.length
    ),
    key!(
        swept "load.burst_every",
        "from one burst's begin to the next one's",
        Optional(SOME_LENGTH),
        |d| &mut d.shape.every
    ),
    key!(
        swept "load.warmup",
        "events due before it are sent but not measured",
        ANY_LENGTH,
        |d| &mut d.warmup
    ),
    key!(swept "load.duration", "measured part of a trial", WINDOW_LENGTH, |d| &mut d.duration),
    key!(
        swept "load.timeout",
        "an event unanswered this long after it was due is timed out",
        SOME_LENGTH,
        |d| &mut d.timeout
    ),
    key!(
        swept "load.backlog",
        "events that may wait for a connection; further ones fail",
        Count(100_000_000),
        |d| &mut d.backlog
    ),
    key!(
        swept "connections.count",
        "connections opened before the first event",
        Count(1_000_000),
        |d| &mut d.count
    ),
    key!(
        swept "connections.in_flight",
        "unanswered events a connection may carry",
        Count(65_536),
        |d| &mut d.in_flight
    ),
    key!(
        swept "connections.lifetime",
        "events a connection carries before it is closed",
        Or("unlimited", Count(1_000_000_000)),
        |d| &mut d.lifetime
    ),
    key!(
        swept "payload.bytes",
        "size of a generated event; the smallest has no data",
        Optional(Size { least: payload::MIN_BYTES, most: payload::MAX_BYTES }),
        |d| &mut d.bytes
    ),
    key!(
        fixed "payload.file",
        "path of a JSON object sent as the event; its id is replaced",
        Optional(Text),
        |d| &mut d.file
    ),
    key!(
        swept "payload.types",
        "in a fan-out: types of generated events, each event of the next one",
        Optional(Count(100)),
        |d| &mut d.fanout.types
    ),
    key!(
        swept "subscribers.wants",
        "of payload.types, those that a subscriber wants, from its own number on; all when left out",
        Optional(Count(100)),
        |d| &mut d.fanout.wants
    ),
    key!(
        swept "delivery.filter",
        "the publisher filters by type; when false subscribers ask for every type, and what they do not want comes, too",
        Switch,
        |d| &mut d.fanout.filter
    ),
    key!(
        swept "subscribers.count",
        "in a fan-out: subscribers that every event is delivered to; 100 when left out",
        Optional(Count(1_000_000)),
        |d| &mut d.subscribers
    ),
    key!(
        fixed "delivery.acknowledged",
        "in a fan-out: each subscriber acknowledges every event and the publisher records it; true when left out",
        Optional(Switch),
        |d| &mut d.acknowledged
    ),
    key!(
        fixed "delivery.ping",
        "how often the built-in publisher pings a WebSocket subscriber, which has to answer before the next; none when left out",
        Or("none", PING_LENGTH),
        |d| &mut d.fanout.publisher.ping
    ),
    key!(
        fixed "delivery.to",
        "in a fan-out: who gets an event, all subscribers or one, each in its turn",
        OneOf(&[("all", Recipients::All), ("one", Recipients::One)]),
        |d| &mut d.fanout.to
    ),
    key!(
        fixed "delivery.queue",
        "unsettled events a subscriber may have at the built-in publisher, which turns further ones away for it",
        Optional(Count(1_000_000)),
        |d| &mut d.fanout.publisher.queue
    ),
    key!(
        fixed "delivery.timeout",
        "the built-in publisher gives a delivery up that is not acknowledged so long after its write",
        Optional(PUBLISHER_LENGTH),
        |d| &mut d.fanout.publisher.timeout
    ),
    key!(
        fixed "delivery.keep_alive",
        "a webhook's kept connection is closed by the built-in publisher when it was idle for so long",
        Optional(PUBLISHER_LENGTH),
        |d| &mut d.fanout.publisher.keep_alive
    ),
    key!(
        swept "subscribers.slow",
        "of the subscribers, slow ones",
        UpTo(1_000_000),
        |d| &mut d.fanout.slow
    ),
    key!(
        swept "subscribers.slow_by",
        "what a slow subscriber takes for an event before it acknowledges it and takes up the next one",
        SOME_LENGTH,
        |d| &mut d.fanout.slow_by
    ),
    key!(
        swept "subscribers.stuck",
        "of the subscribers, those that accept and never read nor answer",
        UpTo(1_000_000),
        |d| &mut d.fanout.stuck
    ),
    key!(
        swept "subscribers.stay",
        "subscribers come and go: mean time until one leaves (exponential, seeded)",
        Optional(PUBLISHER_LENGTH),
        |d| &mut d.fanout.stay
    ),
    key!(
        swept "subscribers.away",
        "how long a subscriber that has left stays away",
        ANY_LENGTH,
        |d| &mut d.fanout.away
    ),
    key!(
        swept "subscribers.backoff",
        "a subscriber that was cut off subscribes again after up to so long, doubled at each failed attempt (seeded)",
        Optional(SOME_LENGTH),
        |d| &mut d.fanout.backoff
    ),
    key!(
        fixed "duplex.answer_bytes",
        "in a duplex: size of the built-in server's answer",
        Size { least: payload::LEAST_ANSWER, most: payload::MAX_BYTES },
        |d| &mut d.questions.answer_bytes
    ),
    key!(
        fixed "duplex.takes",
        "in a duplex: how long the built-in server takes to have an answer",
        ANY_LENGTH,
        |d| &mut d.questions.takes
    ),
    key!(
        fixed "faults.restart_after",
        "each target is ended and started anew on its port so long after the measured window began",
        Optional(ANY_LENGTH),
        |d| &mut d.restart_after
    ),
    key!(
        swept "delivery.poll_interval",
        "in a fan-out over poll: from one request of a subscriber to its next one, shorter than load.timeout; 1s when left out",
        Optional(POLL_INTERVAL),
        |d| &mut d.poll_interval
    ),
    key!(
        fixed "delivery.long_poll_hold",
        "in a fan-out over long-poll: how long a request is held while there is no event; 25s when left out",
        Optional(POLL_INTERVAL),
        |d| &mut d.long_poll_hold
    ),
    key!(
        fixed "compare.blocks",
        "blocks to run; auto: as many as compare.precision needs, by the deviation of the first ones",
        Or("auto", Count(10_000)),
        |d| &mut d.blocks
    ),
    key!(
        fixed "compare.precision",
        "the slow-down of a median, of throughput or of the target's CPU that blocks = \"auto\" finds nine times in ten",
        Optional(Percent(100)),
        |d| &mut d.precision
    ),
    key!(
        fixed "compare.design",
        "how the arms of a block alternate",
        OneOf(&[
            ("auto", DesignChoice::Auto),
            ("sliced", DesignChoice::Sliced),
            ("sequential", DesignChoice::Sequential),
        ]),
        |d| &mut d.design
    ),
    key!(
        fixed "compare.slice",
        "length of a slice",
        Or("auto", SLICE_LENGTH),
        |d| &mut d.slice
    ),
    key!(
        fixed "compare.matters.latency",
        "smaller latency differences do not matter",
        ANY_LENGTH,
        |d| &mut d.matters.latency
    ),
    key!(
        fixed "compare.matters.cpu",
        "smaller CPU differences do not matter",
        Percent(100),
        |d| &mut d.matters.cpu
    ),
    key!(
        fixed "compare.matters.throughput",
        "smaller throughput differences do not matter",
        Percent(100),
        |d| &mut d.matters.throughput
    ),
];

/// The key of that path.
pub fn named(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.path == path)
}

/// All paths, for suggestions.
pub fn paths() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|k| k.path)
}
