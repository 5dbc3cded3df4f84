//! One event of a fan-out: the subscribers it is due at, and those that have received it.

use pushbench_core::record::fanout::Mix;
use std::collections::BTreeSet;
use std::rc::Rc;

/// The subscribers that an event is due at.
pub(super) enum EventRecipients {
    /// All subscribers that were present; events share the set until it changes.
    All(Rc<BitSet>),
    /// Of these, the ones who want its type.
    ByType(Rc<BitSet>, Mix, usize),
    /// One subscriber, if it was there.
    One(Option<usize>),
}

/// One event on its way to its subscribers.
pub(super) struct FanoutEvent {
    pub due: u64,
    /// Due after the measured window began; `None` in the warm-up.
    pub after: Option<u64>,
    /// When the driver wrote it to the publisher.
    pub sent: Option<u64>,
    pub recipients: EventRecipients,
    /// Subscribers that have it.
    pub has: BitSet,
    /// Subscribers whose delivery has another outcome, while the event is open.
    pub settled: BTreeSet<u32>,
    /// Deliveries without an outcome; 0 once the event is closed.
    pub open: usize,
    /// Healthy subscribers it is due at, and those that got it in time, the first and the last when.
    pub healthy: usize,
    pub got: usize,
    pub first: u64,
    pub last: u64,
}

impl FanoutEvent {
    pub fn is_due_at(&self, subscriber: usize) -> bool {
        match &self.recipients {
            EventRecipients::All(there) => there.has(subscriber),
            EventRecipients::ByType(there, ..) => {
                there.has(subscriber) && self.is_wanted_by(subscriber)
            }
            EventRecipients::One(one) => *one == Some(subscriber),
        }
    }

    pub fn is_wanted_by(&self, subscriber: usize) -> bool {
        match &self.recipients {
            EventRecipients::ByType(_, mix, kind) => mix.wants(subscriber, *kind),
            EventRecipients::All(_) | EventRecipients::One(_) => true,
        }
    }

    /// Its delivery to a subscriber has no outcome yet.
    pub fn awaits(&self, subscriber: usize) -> bool {
        self.open > 0
            && self.is_due_at(subscriber)
            && !self.has.has(subscriber)
            && !self.settled.contains(&(subscriber as u32))
    }
}

/// One bit a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BitSet(Box<[u64]>);

impl BitSet {
    /// Nobody of `n`.
    pub fn none(n: usize) -> BitSet {
        BitSet(vec![0; n.div_ceil(64)].into())
    }

    /// Everybody of `n`.
    pub fn all(n: usize) -> BitSet {
        let mut bits = BitSet::none(n);
        (0..n).for_each(|i| bits.set(i));
        bits
    }

    pub fn has(&self, i: usize) -> bool {
        self.0.get(i / 64).is_some_and(|word| word & 1 << (i % 64) != 0)
    }

    pub fn set(&mut self, i: usize) {
        self.0[i / 64] |= 1 << (i % 64);
    }

    pub fn clear(&mut self, i: usize) {
        self.0[i / 64] &= !(1 << (i % 64));
    }
}
