//! Which subscribers an event has reached: exact for every event and subscriber, in bounded memory.

use crate::record::fanout::{Deliveries, DeliveryFates};
use std::collections::{BTreeSet, VecDeque};

/// Bits of closed events that are kept so that a second delivery is told from a first one.
const REMEMBERED_BYTES: usize = 16 << 20;
/// But always this many events.
const REMEMBERED_EVENTS: usize = 256;

/// One event on its way to all subscribers.
struct Spread {
    due: u64,
    /// Due after the measured window began; `None` in the warm-up.
    after: Option<u64>,
    /// When the driver wrote it to the publisher.
    sent: Option<u64>,
    /// Subscribers that have it.
    has: Box<[u64]>,
    /// Subscribers whose delivery has another fate, while the event is open.
    fated: BTreeSet<u32>,
    /// Deliveries without a fate; 0 once the event is closed.
    open: usize,
    got: usize,
    first: u64,
    last: u64,
}

/// A delivery in time.
pub(super) struct Arrival {
    /// From due to read.
    pub took: u64,
    /// The event was due in the measured window.
    pub measured: bool,
}

/// The deliveries of one arm.
pub(super) struct Spreads {
    pub account: Deliveries,
    subscribers: usize,
    timeout: u64,
    /// Event `first + i` stands at `i`; closed ones stay for a while.
    events: VecDeque<Spread>,
    first: u64,
    /// Everything before this one is closed.
    oldest_open: u64,
    remembered: usize,
    /// For each subscriber one more than its youngest event.
    youngest: Vec<u64>,
    absent: BTreeSet<u32>,
    /// Deliveries without a fate.
    pub open: u64,
    /// What their connections have seen.
    pub held: super::Held,
}

impl Spreads {
    pub fn new(subscribers: usize, timeout: u64) -> Spreads {
        let each = subscribers.div_ceil(8) + size_of::<Spread>();
        Spreads {
            account: Deliveries::new(subscribers),
            subscribers,
            timeout,
            events: VecDeque::new(),
            first: 0,
            oldest_open: 0,
            remembered: (REMEMBERED_BYTES / each).max(REMEMBERED_EVENTS),
            youngest: vec![0; subscribers],
            absent: BTreeSet::new(),
            open: 0,
            held: super::Held::default(),
        }
    }

    /// An event's instant came; events are numbered without gaps.
    pub fn begin(&mut self, due: u64, after: Option<u64>) {
        self.fates(after).due += self.subscribers as u64;
        self.fates(after).failed += self.absent.len() as u64;
        self.fates(after).unsubscribed += self.absent.len() as u64;
        let open = self.subscribers - self.absent.len();
        self.open += open as u64;
        self.events.push_back(Spread {
            due,
            after,
            sent: None,
            has: vec![0; self.subscribers.div_ceil(64)].into(),
            fated: self.absent.clone(),
            open,
            got: 0,
            first: u64::MAX,
            last: 0,
        });
        if open == 0 {
            self.close(self.first + self.events.len() as u64 - 1);
        }
        while self.events.len() > self.remembered && self.first < self.oldest_open {
            self.events.pop_front();
            self.first += 1;
        }
    }

    /// The driver writes it to the publisher.
    pub fn sent(&mut self, event: u64, now: u64) {
        if let Some(spread) = self.at(event) {
            spread.sent = Some(now);
        }
    }

    /// The publisher has not taken the event: what is open of it fails.
    pub fn unpublished(&mut self, event: u64) {
        let Some(open) = self.at(event).map(|s| std::mem::take(&mut s.open)) else { return };
        if open > 0 {
            let after = self.at(event).and_then(|s| s.after);
            let fates = self.fates(after);
            fates.failed += open as u64;
            fates.unpublished += open as u64;
            self.open -= open as u64;
            self.close(event);
        }
    }

    /// A subscriber has read an event, or something that is none (`None`).
    pub fn received(&mut self, subscriber: usize, event: Option<u64>, at: u64) -> Option<Arrival> {
        let Some(spread) = event.and_then(|event| self.at(event)) else {
            self.account.unsolicited += 1;
            return None;
        };
        let bit = 1u64 << (subscriber % 64);
        let word = &mut spread.has[subscriber / 64];
        if *word & bit != 0 {
            self.account.duplicated += 1;
            return None;
        }
        *word |= bit;
        let late = spread.open == 0 || spread.fated.contains(&(subscriber as u32));
        let event = event.unwrap_or_default();
        self.account.read += 1;
        self.account.reordered += u64::from(self.youngest[subscriber] > event + 1);
        self.youngest[subscriber] = self.youngest[subscriber].max(event + 1);
        if late {
            self.account.late += 1;
            return None;
        }
        self.arrived(event, at)
    }

    fn arrived(&mut self, event: u64, at: u64) -> Option<Arrival> {
        let spread = self.at(event)?;
        spread.open -= 1;
        spread.got += 1;
        spread.first = spread.first.min(at);
        spread.last = spread.last.max(at);
        let (after, done, due, sent) = (spread.after, spread.open == 0, spread.due, spread.sent);
        let took = at.saturating_sub(due);
        self.open -= 1;
        self.fates(after).received += 1;
        if after.is_some() {
            self.account.delivery.record(took);
            self.account.unlagged.record(at.saturating_sub(sent.unwrap_or(due)));
        }
        if done {
            self.close(event);
        }
        Some(Arrival { took, measured: after.is_some() })
    }

    /// A subscriber is no longer there: what is open at it is lost, what comes due later fails.
    pub fn gone(&mut self, subscriber: usize) {
        if !self.absent.insert(subscriber as u32) {
            return;
        }
        for event in self.oldest_open..self.first + self.events.len() as u64 {
            let Some(spread) = self.at(event) else { continue };
            let has = spread.has[subscriber / 64] & 1 << (subscriber % 64) != 0;
            if spread.open == 0 || has || !spread.fated.insert(subscriber as u32) {
                continue;
            }
            spread.open -= 1;
            let (after, done) = (spread.after, spread.open == 0);
            self.open -= 1;
            self.fates(after).lost += 1;
            if done {
                self.close(event);
            }
        }
    }

    /// A subscriber is there again: events due from now on are due at it.
    pub fn back(&mut self, subscriber: usize) {
        self.absent.remove(&(subscriber as u32));
    }

    /// Times out what is open of events due longer ago than the time-out.
    pub fn expire(&mut self, now: u64) {
        while let Some(spread) = self.at(self.oldest_open) {
            if spread.open > 0 && spread.due.saturating_add(self.timeout) > now {
                return;
            }
            self.oldest_open += 1;
            let event = self.oldest_open - 1;
            let Some(spread) = self.at(event) else { return };
            let (open, after) = (std::mem::take(&mut spread.open), spread.after);
            if open > 0 {
                self.fates(after).timed_out += open as u64;
                self.open -= open as u64;
                self.close(event);
            }
        }
    }

    /// Deliveries of measured events without a fate.
    pub fn open_measured(&self) -> u64 {
        let from = self.oldest_open.saturating_sub(self.first) as usize;
        let measured = self.events.iter().skip(from).filter(|s| s.after.is_some());
        measured.map(|s| s.open as u64).sum()
    }

    fn close(&mut self, event: u64) {
        let (all, timeout) = (self.subscribers, self.timeout);
        let Some(spread) = self.at(event) else { return };
        spread.fated = BTreeSet::new();
        let (whole, due) = (spread.got == all, spread.due);
        let (first, last, measured) = (spread.first, spread.last, spread.after.is_some());
        if measured {
            self.account.events += 1;
            self.account.complete += u64::from(whole);
            self.account.last.record(if whole { last.saturating_sub(due) } else { timeout });
            if whole {
                self.account.skew.record(last.saturating_sub(first).max(1));
            }
        }
    }

    fn at(&mut self, event: u64) -> Option<&mut Spread> {
        self.events.get_mut(event.checked_sub(self.first)? as usize)
    }

    fn fates(&mut self, after: Option<u64>) -> &mut DeliveryFates {
        match after {
            Some(_) => &mut self.account.measured,
            None => &mut self.account.warmup,
        }
    }
}

#[cfg(test)]
#[path = "spread_tests.rs"]
mod tests;
