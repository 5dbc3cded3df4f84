//! Who is to get the events, and how they behave.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How a subscriber behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conduct {
    /// Takes each event as soon as it can.
    Healthy,
    /// Takes a while for each event, one after the other, before it acknowledges it.
    Slow,
    /// Subscribes, accepts, and takes no event.
    Stuck,
}

/// Every conduct; each stands at its own number.
pub const CONDUCTS: [Conduct; 3] = [Conduct::Healthy, Conduct::Slow, Conduct::Stuck];

impl Conduct {
    /// As it stands in tables.
    pub fn name(self) -> &'static str {
        match self {
            Conduct::Healthy => "healthy",
            Conduct::Slow => "slow",
            Conduct::Stuck => "stuck",
        }
    }
}

/// Who is to get the events of a fan-out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Audience {
    /// Subscribers in all.
    pub subscribers: usize,
    /// Of these, slow ones.
    pub slow: usize,
    /// Of these, stuck ones.
    pub stuck: usize,
    /// Each event goes to one of them, in turn, not to all.
    pub one_each: bool,
    /// Which types of events there are, where they are distinguished.
    pub mix: Option<Mix>,
}

/// Types of events: each event is of the next one, and each subscriber wants so many of them, from its
/// own number on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// How many there are, at least 1.
    pub types: usize,
    /// How many of them a subscriber wants, at most all.
    pub wants: usize,
}

impl Mix {
    /// The type of event `index`, from 0.
    pub fn kind(&self, index: u64) -> usize {
        (index % self.types as u64) as usize
    }

    /// The types that a subscriber wants.
    pub fn wanted(&self, subscriber: usize) -> impl Iterator<Item = usize> + use<> {
        let types = self.types;
        (0..self.wants).map(move |n| (subscriber + n) % types)
    }

    /// A subscriber wants events of that type.
    pub fn wants(&self, subscriber: usize, kind: usize) -> bool {
        let behind = (kind + self.types - subscriber % self.types) % self.types;
        behind < self.wants
    }
}

impl Audience {
    /// All of them healthy, each event for all.
    pub fn all(subscribers: usize) -> Audience {
        Audience { subscribers, ..Audience::default() }
    }

    /// The numbers of those who behave so. The healthy ones come last: who holds up a publisher that
    /// serves its subscribers in turn is served before them, where it harms them most.
    pub fn numbers(&self, conduct: Conduct) -> Range<usize> {
        let unhealthy = self.slow + self.stuck;
        match conduct {
            Conduct::Slow => 0..self.slow,
            Conduct::Stuck => self.slow..unhealthy,
            Conduct::Healthy => unhealthy..self.subscribers,
        }
    }

    /// How a subscriber behaves.
    pub fn conduct(&self, number: usize) -> Conduct {
        match number {
            n if n < self.slow => Conduct::Slow,
            n if n < self.slow + self.stuck => Conduct::Stuck,
            _ => Conduct::Healthy,
        }
    }

    /// The one subscriber that event `index` is for, where each goes to one.
    pub fn recipient(&self, index: u64) -> usize {
        (index % self.subscribers.max(1) as u64) as usize
    }
}
