//! Keys of the scenario itself, the load, its connections and its events.

use crate::scenario::keys::{ANY_LENGTH, Field, Key, SOME_LENGTH, key};
use crate::scenario::kind::{Length, Name, Number, OneOf, Optional, Or, Size, Switch, Text, Whole};
use crate::scenario::shape::Process;
use crate::scenario::{Content, Flow, KeyKind, payload};
use std::time::Duration;

/// More events a second than any schedule in whole nanoseconds can keep apart on one machine.
const RATE: Optional<Number> =
    Optional(Number { unit: "events per second", zero: false, most: 5e6 });
/// A measured window shorter than this holds no interval worth a line.
const WINDOW_LENGTH: Length = Length(Duration::from_millis(100));

pub(super) static KEYS: &[Key] = &[
    key!(fixed "name", "short name; part of the name of the results directory", Name(64), |d| &mut d.name),
    key!(fixed "question", "the question the scenario answers", Text, |d| &mut d.question),
    key!(
        fixed "flow",
        "direction of the events",
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
        "rate at the end of a ramp, which starts at load.rate",
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
        "time from the start of one burst to the start of the next",
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
        Whole(1, 100_000_000),
        |d| &mut d.backlog
    ),
    key!(
        swept "connections.count",
        "connections opened before the first event",
        Whole(1, 1_000_000),
        |d| &mut d.count
    ),
    key!(
        swept "connections.in_flight",
        "unanswered events a connection may carry",
        Whole(1, 65_536),
        |d| &mut d.in_flight
    ),
    key!(
        swept "connections.lifetime",
        "events a connection carries before it is closed",
        Or("unlimited", Whole(1, 1_000_000_000)),
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
        swept "payload.content",
        "what the data of a generated event is made of, which decides how far it is compressed",
        OneOf(&[
            ("padding", Content::Padding),
            ("random", Content::Random),
            ("events", Content::Events),
            ("repeats", Content::Repeats),
        ]),
        |d| &mut d.content
    ),
    key!(
        swept "payload.headers_bytes",
        "further headers of each webhook request, or of the handshake of a WebSocket",
        Size { least: 0, most: payload::MOST_HEADERS_BYTES },
        |d| &mut d.headers_bytes
    ),
    key!(
        swept "payload.types",
        "in a fan-out: number of types of generated events, used in turn",
        Optional(Whole(1, 100)),
        |d| &mut d.fanout.types
    ),
    key!(
        swept "tls.key",
        "key of the run's certificate, for arms with +tls",
        OneOf(&[("p256", KeyKind::P256), ("rsa2048", KeyKind::Rsa2048)]),
        |d| &mut d.tls.key
    ),
    key!(
        swept "tls.resumption",
        "a TLS connection that is made again resumes the session of the connection before it",
        Switch,
        |d| &mut d.tls.resumption
    ),
    key!(
        swept "compression.context_takeover",
        "for +compressed on a WebSocket: a message is compressed with what was sent before it",
        Switch,
        |d| &mut d.compression.context_takeover
    ),
    key!(
        swept "compression.window_bits",
        "for +compressed on a WebSocket: base-2 logarithm of the window's size in bytes",
        Whole(9, 15),
        |d| &mut d.compression.window_bits
    ),
];
