//! Keys of what a delivery promises, and of what breaks.

use crate::guarantee::{Jitter, Promise};
use crate::scenario::keys::{ANY_LENGTH, Field, Key, SOME_LENGTH, key};
use crate::scenario::kind::{OneOf, Percent, Switch, Whole};

pub(super) static KEYS: &[Key] = &[
    key!(
        swept "guarantee.delivery",
        "how often an event reaches the application; more than at most once: a webhook is sent again, a subscriber of another transport resumes; exactly once: the receiver also removes what it has already",
        OneOf(&[
            ("at-most-once", Promise::AtMostOnce),
            ("at-least-once", Promise::AtLeastOnce),
            ("exactly-once", Promise::ExactlyOnce),
        ]),
        |d| &mut d.guarantee.delivery
    ),
    key!(
        swept "guarantee.ordered",
        "a webhook publisher holds the next event back until the one before has been acknowledged or given up; over the other transports a subscriber gets its events in order in any case",
        Switch,
        |d| &mut d.guarantee.ordered
    ),
    key!(
        swept "guarantee.durable",
        "the built-in publisher acknowledges an event when it is on disk, and keeps its log over a restart",
        Switch,
        |d| &mut d.guarantee.durable
    ),
    key!(
        swept "guarantee.backoff",
        "pause before the second attempt of a webhook, or before a subscriber connects again; it doubles with every failed attempt",
        SOME_LENGTH,
        |d| &mut d.guarantee.backoff
    ),
    key!(
        swept "guarantee.backoff_max",
        "longest pause between two attempts",
        SOME_LENGTH,
        |d| &mut d.guarantee.backoff_max
    ),
    key!(
        swept "guarantee.jitter",
        "how a pause is randomised: not at all, its second half, or all of it; pauses of subscribers are seeded",
        OneOf(&[("none", Jitter::None), ("equal", Jitter::Equal), ("full", Jitter::Full)]),
        |d| &mut d.guarantee.jitter
    ),
    key!(
        swept "guarantee.attempts",
        "attempts for a delivery by webhook, or failed attempts to connect in a row, before it is given up",
        Whole(1, 1_000),
        |d| &mut d.guarantee.attempts
    ),
    key!(
        swept "guarantee.log",
        "events that the built-in publisher keeps for subscribers that resume",
        Whole(1, 10_000_000),
        |d| &mut d.guarantee.log
    ),
    key!(
        swept "guarantee.window",
        "ids that a receiver remembers to recognise events that it has already",
        Whole(1, 10_000_000),
        |d| &mut d.guarantee.window
    ),
    key!(
        swept "faults.at",
        "when the outage, the cut or the kill begins, after the measured window began",
        ANY_LENGTH,
        |d| &mut d.faults.at
    ),
    key!(
        swept "faults.outage",
        "receivers are down for this long: their connections are reset, and new ones refused",
        ANY_LENGTH,
        |d| &mut d.faults.outage
    ),
    key!(
        swept "faults.cut",
        "the connections of all subscribers are reset at once",
        Switch,
        |d| &mut d.faults.cut
    ),
    key!(
        swept "faults.kill",
        "the target is killed (SIGKILL) and started anew on its port",
        Switch,
        |d| &mut d.faults.kill
    ),
    key!(
        swept "faults.refuse",
        "share of the connections that a receiver resets before anything is sent (seeded)",
        Percent(50),
        |d| &mut d.faults.refuse
    ),
    key!(
        swept "faults.reset",
        "share of the deliveries at which a receiver resets the connection before it has processed them (seeded)",
        Percent(50),
        |d| &mut d.faults.reset
    ),
    key!(
        swept "faults.status.500",
        "share of the deliveries that a receiver refuses with a 500; over a stream it closes the connection without an acknowledgement (seeded)",
        Percent(50),
        |d| &mut d.faults.status_500
    ),
    key!(
        swept "faults.status.503",
        "the same with a 503 and Retry-After; over a stream the receiver stays away for that long",
        Percent(50),
        |d| &mut d.faults.status_503
    ),
    key!(
        swept "faults.status.429",
        "the same with a 429 and Retry-After",
        Percent(50),
        |d| &mut d.faults.status_429
    ),
    key!(
        swept "faults.retry_after",
        "what Retry-After says, in whole seconds",
        ANY_LENGTH,
        |d| &mut d.faults.retry_after
    ),
    key!(
        swept "faults.lost_acks",
        "share of the deliveries that are processed and whose acknowledgement is lost with the connection (seeded)",
        Percent(50),
        |d| &mut d.faults.lost_acks
    ),
    key!(
        swept "faults.poison",
        "receivers that refuse everything with a 500, the first ones",
        Whole(0, 1_000_000),
        |d| &mut d.faults.poison
    ),
];
