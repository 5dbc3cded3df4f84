//! `[subscribers]` and `[delivery]`: which subscribers receive the events of a target, how they behave, and how the
//! built-in publisher delivers to them.

use crate::record::fanout::{Audience, Mix};
use crate::scenario::draft::Wrong;
use crate::scenario::{optional_nanos, payload};
use crate::units::nanos;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[subscribers]` and `[delivery]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribers {
    /// How many there are.
    pub count: usize,
    /// Each acknowledges every event by its id, and the publisher records it.
    pub acknowledged: bool,
    /// Who gets an event.
    pub to: Recipients,
    /// Types of events, each event of the next one; `None` when there is one.
    #[serde(default)]
    pub types: Option<usize>,
    /// How many of them a subscriber wants; all when `None`.
    #[serde(default)]
    pub wants: Option<usize>,
    /// The publisher filters by type: a subscriber asks for what it wants, else for everything.
    #[serde(default = "filtered")]
    pub filter: bool,
    /// Of `count`, those that take `slow_by` for each event.
    pub slow: usize,
    /// What a slow one takes for an event before it acknowledges it and takes up the next one.
    #[serde(with = "nanos")]
    pub slow_by: Duration,
    /// Of `count`, those that take no event.
    pub stuck: usize,
    /// They come and go: mean time until one leaves; `None` when they stay.
    #[serde(with = "optional_nanos")]
    pub stay: Option<Duration>,
    /// How long one that has left stays away.
    #[serde(with = "nanos")]
    pub away: Duration,
    /// Longest pause before the first attempt to subscribe again, where the publisher has cut a
    /// subscription off; `None` when it is not tried.
    #[serde(with = "optional_nanos")]
    pub backoff: Option<Duration>,
    /// A subscriber to whom nothing has come for so long takes its connection for dead; never when `None`.
    #[serde(default, with = "optional_nanos", skip_serializing_if = "Option::is_none")]
    pub dead_after: Option<Duration>,
    /// Who polls does it this often.
    #[serde(with = "nanos")]
    pub poll_interval: Duration,
    /// A long-poll's request is held for so long while there is no event.
    #[serde(with = "nanos")]
    pub long_poll_hold: Duration,
    /// How the built-in publisher delivers.
    pub publisher: Delivering,
}

fn filtered() -> bool {
    true
}

/// Who gets an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipients {
    /// Every subscriber.
    All,
    /// One subscriber, each in its turn.
    One,
}

/// How the built-in publisher delivers; its own default where a key is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivering {
    /// Unsettled events a subscriber may have.
    pub queue: Option<usize>,
    /// From the write of a delivery to its acknowledgement.
    #[serde(with = "optional_nanos")]
    pub timeout: Option<Duration>,
    /// A webhook's kept connection is closed after it was idle for so long.
    #[serde(with = "optional_nanos")]
    pub keep_alive: Option<Duration>,
    /// Between two pings to a subscriber that holds a WebSocket, which has to answer before the next.
    #[serde(with = "optional_nanos")]
    pub ping: Option<Duration>,
}

impl Default for Subscribers {
    fn default() -> Subscribers {
        Subscribers {
            count: 100,
            acknowledged: true,
            to: Recipients::All,
            types: None,
            wants: None,
            filter: filtered(),
            slow: 0,
            slow_by: Duration::from_millis(50),
            stuck: 0,
            stay: None,
            away: Duration::from_millis(500),
            backoff: None,
            dead_after: None,
            poll_interval: Duration::from_secs(1),
            // Below the 30 s and more after which proxies and clients give a request up.
            long_poll_hold: Duration::from_secs(25),
            publisher: Delivering::default(),
        }
    }
}

impl Subscribers {
    /// Who is to get the events.
    pub fn audience(&self) -> Audience {
        let one_each = self.to == Recipients::One;
        let (subscribers, mix) = (self.count, self.mix());
        Audience { subscribers, slow: self.slow, stuck: self.stuck, one_each, mix }
    }

    /// The types and the subscribers that want them, where there are several.
    fn mix(&self) -> Option<Mix> {
        let types = self.types?;
        Some(Mix { types, wants: self.wants.unwrap_or(types) })
    }

    /// Types of events there are, where events of this type are published; `peer-*` stands for all
    /// that begin so.
    pub fn types(&self, kind: String) -> Vec<String> {
        match (self.to, self.types) {
            (Recipients::One, _) => vec![format!("{}*", payload::PEER)],
            (Recipients::All, Some(_)) => vec![format!("{}*", payload::KINDS)],
            (Recipients::All, None) => vec![kind],
        }
    }

    /// The types that a subscriber asks for; none means all.
    pub fn wanted(&self, number: usize) -> Vec<String> {
        match (self.to, self.mix()) {
            (Recipients::One, _) => vec![payload::peer(number)],
            (Recipients::All, Some(mix)) if self.filter => {
                mix.wanted(number).map(payload::kind).collect()
            }
            (Recipients::All, _) => Vec::new(),
        }
    }

    /// Something of it goes by the clock on the wall, so that its trials cannot be cut into slices.
    pub(super) fn lives_by_the_wall(&self) -> Option<&'static str> {
        let publisher = &self.publisher;
        self.unsteady().or_else(|| {
            [
                ("delivery.keep_alive", publisher.keep_alive.is_some()),
                ("delivery.ping", publisher.ping.is_some()),
                ("delivery.dead_after", self.dead_after.is_some()),
            ]
            .into_iter()
            .find_map(|(key, set)| set.then_some(key))
        })
    }

    /// A key by which not all of them hold still, if any was given.
    pub(super) fn unsteady(&self) -> Option<&'static str> {
        [
            ("subscribers.stay", self.stay.is_some()),
            ("subscribers.slow", self.slow > 0),
            ("subscribers.stuck", self.stuck > 0),
        ]
        .into_iter()
        .find_map(|(key, set)| set.then_some(key))
    }

    /// A key of it that was given beside the number and the acknowledgement, if any was.
    pub(super) fn given(&self) -> Option<&'static str> {
        [
            ("delivery.to", self.to != Recipients::All),
            ("payload.types", self.types.is_some()),
            ("subscribers.wants", self.wants.is_some()),
            ("delivery.filter", !self.filter),
            ("delivery.queue", self.publisher.queue.is_some()),
            ("delivery.timeout", self.publisher.timeout.is_some()),
            ("subscribers.backoff", self.backoff.is_some()),
        ]
        .into_iter()
        .find_map(|(key, given)| given.then_some(key))
        .or_else(|| self.lives_by_the_wall())
    }

    /// `bytes`: of an event, where they are given; `file`: it is read from one.
    pub(super) fn check(&self, file: bool, bytes: Option<usize>) -> Result<(), Wrong> {
        let unhealthy = self.slow + self.stuck;
        if unhealthy >= self.count {
            let key = if self.stuck > 0 { "subscribers.stuck" } else { "subscribers.slow" };
            let why = format!(
                "slow and stuck subscribers count towards the {} subscribers, and {unhealthy} leave no healthy one: write fewer, or raise subscribers.count",
                self.count
            );
            return Err(Wrong::new(key, why).against("subscribers.count"));
        }
        if self.dead_after.is_some() && self.backoff.is_none() {
            let why =
                "a subscriber would not subscribe again: add subscribers.backoff, or leave it out";
            return Err(Wrong::new("delivery.dead_after", why).against("subscribers.backoff"));
        }
        self.check_types(file, bytes)?;
        if self.to == Recipients::One && file {
            let why = "events for one subscriber carry its name as their type, and a file has its own type: write payload.bytes";
            return Err(Wrong::new("payload.file", why).against("delivery.to"));
        }
        let least = payload::MIN_BYTES - payload::KIND.len() + payload::peer(0).len();
        if let (Recipients::One, Some(bytes)) = (self.to, bytes.filter(|bytes| *bytes < least)) {
            let why = format!(
                "{bytes}: the type names the subscriber an event is for: write {least} or more"
            );
            return Err(Wrong::new("payload.bytes", why).against("delivery.to"));
        }
        Ok(())
    }

    /// What there is to say about types needs several of them, and events that can be given one.
    fn check_types(&self, file: bool, bytes: Option<usize>) -> Result<(), Wrong> {
        let Some(types) = self.types else {
            let needs =
                [("subscribers.wants", self.wants.is_some()), ("delivery.filter", !self.filter)];
            return match needs.into_iter().find(|(_, given)| *given) {
                Some((key, _)) => {
                    let why = "all events have one type: add payload.types, or leave it out";
                    Err(Wrong::new(key, why))
                }
                None => Ok(()),
            };
        };
        if let Some(wants) = self.wants.filter(|wants| *wants > types) {
            let why = format!("{wants}: there are {types} types: write at most {types}");
            return Err(Wrong::new("subscribers.wants", why).against("payload.types"));
        }
        if self.to == Recipients::One {
            let why = "events for one subscriber carry its name as their type: leave it out";
            return Err(Wrong::new("payload.types", why).against("delivery.to"));
        }
        if file {
            let why = "a file has a type of its own: write payload.bytes, or leave it out";
            return Err(Wrong::new("payload.types", why).against("payload.file"));
        }
        let least = payload::MIN_BYTES - payload::KIND.len() + payload::kind(0).len();
        match bytes.filter(|bytes| *bytes < least) {
            Some(bytes) => {
                let why = format!("{bytes}: the type contains a number: write {least} or more");
                Err(Wrong::new("payload.bytes", why).against("payload.types"))
            }
            None => Ok(()),
        }
    }
}
