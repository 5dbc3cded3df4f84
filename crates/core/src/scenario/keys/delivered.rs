//! Keys of what comes to subscribers, of answers, and of faults.

use crate::scenario::keys::{ANY_LENGTH, Field, Key, SOME_LENGTH, key};
use crate::scenario::kind::{Count, Length, OneOf, Optional, Or, Size, Switch, UpTo};
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
];
