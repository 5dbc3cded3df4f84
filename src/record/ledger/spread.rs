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
    /// How long a delivery waits at most by design, ns.
    rests: u64,
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
}

impl Spreads {
    pub fn new(subscribers: usize, timeout: u64, rests: u64) -> Spreads {
        let each = subscribers.div_ceil(8) + size_of::<Spread>();
        Spreads {
            account: Deliveries::new(subscribers),
            subscribers,
            timeout,
            rests,
            events: VecDeque::new(),
            first: 0,
            oldest_open: 0,
            remembered: (REMEMBERED_BYTES / each).max(REMEMBERED_EVENTS),
            youngest: vec![0; subscribers],
            absent: BTreeSet::new(),
            open: 0,
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

    /// The schedule ends: whatever is open now was not delivered in time.
    pub fn end(&mut self, now: u64) {
        self.account.open_at_end = self.open_measured();
        self.account.behind_at_end = self.open_of_due_by(now.saturating_sub(self.rests));
    }

    /// Deliveries of measured events without a fate.
    pub fn open_measured(&self) -> u64 {
        self.open_of_due_by(u64::MAX)
    }

    fn open_of_due_by(&self, instant: u64) -> u64 {
        let from = self.oldest_open.saturating_sub(self.first) as usize;
        let events = self.events.iter().skip(from).take_while(|s| s.due <= instant);
        events.filter(|s| s.after.is_some()).map(|s| s.open as u64).sum()
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
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn spreads(subscribers: usize) -> Spreads {
        Spreads::new(subscribers, 100 * MS, 0)
    }

    fn exact(s: &Spreads) {
        assert!(s.account.measured.sums_are_exact(), "{:?}", s.account.measured);
        assert!(s.account.warmup.sums_are_exact(), "{:?}", s.account.warmup);
    }

    #[test]
    fn each_subscriber_of_each_event_has_one_fate() {
        let mut s = spreads(70);
        s.begin(0, Some(0));
        s.sent(0, 2 * MS);
        for subscriber in 0..70 {
            let at = 10 * MS + subscriber as u64 * MS / 10;
            assert!(s.received(subscriber, Some(0), at).unwrap().measured);
        }
        exact(&s);
        let a = &s.account;
        assert_eq!((a.measured.received, a.complete, a.events, s.open), (70, 1, 1, 0));
        assert_eq!((a.last.count(), a.skew.count()), (1, 1));
        let close = |hist: &crate::record::histogram::Hist, wanted: u64| {
            let seen = hist.quantile(0.5).unwrap();
            assert!(seen.abs_diff(wanted) <= wanted / 500, "{seen} for {wanted}");
        };
        close(&a.last, 16_900_000);
        close(&a.skew, 6_900_000);
        assert_eq!(a.unlagged.max().unwrap() / 100_000, 149);
    }

    #[test]
    fn a_dropped_a_doubled_and_a_swapped_delivery_are_each_seen_once() {
        let mut s = spreads(3);
        (0..4).for_each(|n| s.begin(n * MS, Some(n)));
        let order = [[0, 1, 2, 3], [0, 2, 1, 3], [0, 1, 1, 3]];
        for (subscriber, events) in order.iter().enumerate() {
            for event in events {
                s.received(subscriber, Some(*event), 10 * MS);
            }
        }
        s.received(1, None, 10 * MS);
        s.received(1, Some(77), 10 * MS);
        s.expire(103 * MS);
        exact(&s);
        let a = &s.account;
        assert_eq!((a.measured.due, a.measured.received, a.measured.timed_out), (12, 11, 1));
        assert_eq!((a.duplicated, a.reordered, a.unsolicited, a.late), (1, 1, 2, 0));
        assert_eq!((a.complete, a.events, a.last.max().unwrap() / MS), (3, 4, 100));
        // What comes after its time-out is late, and a second one a duplicate.
        s.received(2, Some(2), 200 * MS);
        s.received(2, Some(2), 200 * MS);
        assert_eq!((s.account.late, s.account.duplicated, s.account.reordered), (1, 2, 2));
        exact(&s);
    }

    #[test]
    fn what_waits_by_design_is_not_behind() {
        let mut s = Spreads::new(3, 100 * MS, 10 * MS);
        (0..4).for_each(|n| s.begin(n * 5 * MS, Some(n)));
        s.received(0, Some(0), 6 * MS);
        s.end(16 * MS);
        let a = &s.account;
        assert_eq!((a.open_at_end, a.behind_at_end), (11, 5), "those due until 6 ms are");
    }

    #[test]
    fn who_leaves_loses_what_is_open_and_fails_what_comes() {
        let mut s = spreads(2);
        s.begin(0, None);
        s.begin(MS, Some(0));
        s.received(0, Some(0), 2 * MS);
        s.gone(0);
        s.gone(0);
        s.begin(2 * MS, Some(1));
        s.back(0);
        s.begin(3 * MS, Some(2));
        for event in 0..4 {
            s.received(1, Some(event), 4 * MS);
        }
        s.received(0, Some(1), 4 * MS);
        s.received(0, Some(3), 4 * MS);
        exact(&s);
        let (a, open) = (&s.account, s.open);
        assert_eq!((a.warmup.received, a.warmup.lost), (2, 0));
        assert_eq!((a.measured.lost, a.measured.unsubscribed, a.measured.received), (1, 1, 4));
        assert_eq!((a.late, open), (1, 0));
    }

    #[test]
    fn an_event_that_was_not_taken_fails_everywhere() {
        let mut s = spreads(5);
        s.begin(0, Some(0));
        s.received(4, Some(0), MS);
        s.unpublished(0);
        s.unpublished(0);
        s.expire(u64::MAX);
        exact(&s);
        assert_eq!((s.account.measured.unpublished, s.account.measured.received), (4, 1));
        assert_eq!((s.open, s.open_measured()), (0, 0));
    }

    #[test]
    fn closed_events_are_forgotten_in_the_end_and_open_ones_never() {
        let mut s = spreads(1);
        s.remembered = 4;
        s.begin(0, Some(0));
        for event in 1..10 {
            s.begin(MS, Some(event));
            s.received(0, Some(event), 2 * MS);
        }
        assert_eq!(s.events.len(), 10, "the oldest is open");
        s.received(0, Some(0), 3 * MS);
        s.expire(4 * MS);
        s.begin(4 * MS, Some(10));
        assert_eq!(s.events.len(), 4);
        s.received(0, Some(2), 5 * MS);
        assert_eq!((s.account.unsolicited, s.account.duplicated), (1, 0));
        s.expire(u64::MAX);
        exact(&s);
    }
}
