//! What a delivery promises: one policy that driver, publisher and subscriber read alike, and the state machines that keep
//! it, without clock or socket.

pub mod backoff;
pub mod deduplicator;
pub mod delivery_queue;
pub mod replay_log;
#[cfg(test)]
mod simulation;

use crate::units;
use crate::units::nanos;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often an event reaches the application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// One attempt: what fails is lost.
    #[default]
    AtMostOnce,
    /// A sender tries again, or a receiver resumes: an event may come twice.
    AtLeastOnce,
    /// The same, and the receiver removes what it has already.
    ExactlyOnce,
}

impl Promise {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Promise::AtMostOnce => "at-most-once",
            Promise::AtLeastOnce => "at-least-once",
            Promise::ExactlyOnce => "exactly-once",
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Promise::AtMostOnce => "at most once",
            Promise::AtLeastOnce => "at least once",
            Promise::ExactlyOnce => "exactly once",
        }
    }
}

/// How a pause before another attempt is randomised.
/// Source of the terms: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Jitter {
    /// Not at all.
    None,
    /// Half of it is fixed, half uniformly distributed.
    Equal,
    /// Uniformly distributed from zero.
    #[default]
    Full,
}

impl Jitter {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Jitter::None => "none",
            Jitter::Equal => "equal",
            Jitter::Full => "full",
        }
    }
}

/// `[guarantee]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarantee {
    /// How often an event reaches the application.
    pub delivery: Promise,
    /// Each subscriber gets its events in the order in which they were published.
    pub ordered: bool,
    /// The publisher acknowledges an event when it is on disk.
    pub durable: bool,
    /// The pause before the second attempt; it doubles with every further one.
    #[serde(with = "nanos")]
    pub backoff: Duration,
    /// The longest pause.
    #[serde(with = "nanos")]
    pub backoff_max: Duration,
    /// How a pause is randomised.
    pub jitter: Jitter,
    /// Attempts for a delivery by webhook, or at a connection, before it is given up.
    pub attempts: usize,
    /// Events that the publisher keeps for replay.
    pub log: usize,
    /// Ids that a receiver remembers to recognise events that it has already.
    pub window: usize,
}

impl Default for Guarantee {
    fn default() -> Guarantee {
        Guarantee {
            delivery: Promise::AtMostOnce,
            ordered: false,
            durable: false,
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            jitter: Jitter::Full,
            attempts: 10,
            log: 10_000,
            window: 100_000,
        }
    }
}

impl Guarantee {
    /// What failed is tried again.
    pub fn retries(&self) -> bool {
        self.delivery != Promise::AtMostOnce
    }

    /// The receiver removes what it has already.
    pub fn deduplicates(&self) -> bool {
        self.delivery == Promise::ExactlyOnce
    }

    /// Nothing is promised that is not promised by default.
    pub fn is_default(&self) -> bool {
        *self == Guarantee::default()
    }

    /// `at least once, ordered, durable, back-off 100 ms to 10 s with full jitter, 10 attempts`
    pub fn words(&self) -> String {
        let mut words = vec![self.delivery.words().to_owned()];
        words.extend(self.ordered.then(|| "ordered".to_owned()));
        words.extend(self.durable.then(|| "durable".to_owned()));
        if self.retries() {
            let time = |length: Duration| units::nanos_text(length.as_nanos() as f64);
            let (first, most) = (time(self.backoff), time(self.backoff_max));
            let jitter = match self.jitter {
                Jitter::None => "without jitter".to_owned(),
                jitter => format!("with {} jitter", jitter.name()),
            };
            words.push(format!("back-off {first} to {most} {jitter}"));
            words.push(format!("{} attempts", self.attempts));
        }
        words.join(", ")
    }
}
