//! Keys of what comes to subscribers, of answers, and of faults.

use crate::scenario::keys::{ANY_LENGTH, Field, Key, SOME_LENGTH, key};
use crate::scenario::kind::{Length, OneOf, Optional, Or, Size, Switch, Whole};
use crate::scenario::{Recipients, payload};
use std::time::Duration;

/// Timers of servers have a grid of 1 ms.
const PUBLISHER_LENGTH: Length = Length(Duration::from_millis(1));
/// Pings closer than this would take a machine's stall for a dead subscriber.
const PING_LENGTH: Length = Length(Duration::from_secs(1));
/// Who asks more often than this asks all the time.
const POLL_INTERVAL: Length = Length(Duration::from_millis(1));

pub(super) static KEYS: &[Key] = &[
    key!(
        swept "subscribers.wants",
        "number of payload.types that a subscriber wants, counted from its own number; all when left out",
        Optional(Whole(1, 100)),
        |d| &mut d.fanout.wants
    ),
    key!(
        swept "delivery.filter",
        "the publisher filters by type; when false, subscribers subscribe to every type and also receive events they do not want",
        Switch,
        |d| &mut d.fanout.filter
    ),
    key!(
        swept "subscribers.count",
        "in a fan-out: subscribers that every event is delivered to; 100 when left out",
        Optional(Whole(1, 1_000_000)),
        |d| &mut d.subscribers
    ),
    key!(
        fixed "delivery.acknowledged",
        "in a fan-out: each subscriber acknowledges every event and the publisher records it; true when left out",
        Optional(Switch),
        |d| &mut d.acknowledged
    ),
    key!(
        swept "delivery.ping",
        "interval of the built-in publisher's pings to a WebSocket subscriber, which must answer before the next ping, and of its comments to one over sse; none when left out",
        Or("none", PING_LENGTH),
        |d| &mut d.fanout.publisher.ping
    ),
    key!(
        swept "delivery.dead_after",
        "a subscriber that holds a connection and receives nothing for this long, pings included, takes it for dead and subscribes again as subscribers.backoff says, or repeats its request over poll and long-poll; never when left out",
        Or("never", PING_LENGTH),
        |d| &mut d.fanout.dead_after
    ),
    key!(
        fixed "delivery.to",
        "in a fan-out: receivers of an event, all subscribers or one, in turn",
        OneOf(&[("all", Recipients::All), ("one", Recipients::One)]),
        |d| &mut d.fanout.to
    ),
    key!(
        fixed "delivery.queue",
        "unsettled events allowed per subscriber at the built-in publisher, which rejects further ones",
        Optional(Whole(1, 1_000_000)),
        |d| &mut d.fanout.publisher.queue
    ),
    key!(
        fixed "delivery.timeout",
        "the built-in publisher gives up a delivery that is not acknowledged within this time after its write",
        Optional(PUBLISHER_LENGTH),
        |d| &mut d.fanout.publisher.timeout
    ),
    key!(
        fixed "delivery.keep_alive",
        "the built-in publisher closes a webhook's kept-alive connection after it was idle for this long",
        Optional(PUBLISHER_LENGTH),
        |d| &mut d.fanout.publisher.keep_alive
    ),
    key!(
        swept "subscribers.slow",
        "number of slow subscribers",
        Whole(0, 1_000_000),
        |d| &mut d.fanout.slow
    ),
    key!(
        swept "subscribers.slow_by",
        "time a slow subscriber spends on an event before it acknowledges it and reads the next one",
        SOME_LENGTH,
        |d| &mut d.fanout.slow_by
    ),
    key!(
        swept "subscribers.stuck",
        "number of stuck subscribers, which accept connections and never read or answer",
        Whole(0, 1_000_000),
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
        "a disconnected subscriber subscribes again after a random delay of up to this long, doubled at each failed attempt (seeded)",
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
        "in a duplex: time the built-in server needs for an answer",
        ANY_LENGTH,
        |d| &mut d.questions.takes
    ),
    key!(
        fixed "faults.restart_after",
        "each target is stopped and restarted on its port this long after the measured window began",
        Optional(ANY_LENGTH),
        |d| &mut d.restart_after
    ),
    key!(
        swept "delivery.poll_interval",
        "in a fan-out over poll: interval of a subscriber's requests, shorter than load.timeout; 1s when left out",
        Optional(POLL_INTERVAL),
        |d| &mut d.poll_interval
    ),
    key!(
        fixed "delivery.long_poll_hold",
        "in a fan-out over long-poll: how long a request is held while there is no event; 25s when left out",
        Optional(POLL_INTERVAL),
        |d| &mut d.long_poll_hold
    ),
];
