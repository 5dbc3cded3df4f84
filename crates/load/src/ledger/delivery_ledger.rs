//! Which subscribers an event has reached: exact for every event and subscriber, in bounded memory.
//!
//! An event is due at every subscriber that was there when it came due: its subscription had been
//! confirmed before, and it had not begun to leave. One whose subscription was cut off by the other end
//! counts as there: what it misses until it is back has failed.

use crate::ledger::fanout_event::{BitSet, EventRecipients, FanoutEvent};
use crate::ledger::guarantee::GuaranteeLedger;
use crate::ledger::share::EarlyDelivery;
use pushbench_core::record::fanout::{
    Audience, CONDUCTS, Conduct, Deliveries, DeliveryOutcomes, EventReach, EventRecords, Share,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// Bits of closed events that are kept so that a second delivery is distinguished from a first one.
const REMEMBERED_BYTES: usize = 16 << 20;
/// But always this many events.
const REMEMBERED_EVENTS: usize = 256;

/// A delivery in time.
pub(super) struct Arrival {
    /// From due to read.
    pub took: u64,
    /// The event was due in the measured window, and the subscriber is a healthy one.
    pub measured: bool,
}

/// What a subscriber waits for its first event after.
#[derive(Default)]
pub(super) struct Awaiting {
    /// Its request to subscribe.
    pub requested_at: Option<u64>,
    /// A pause or a change of address of the path.
    pub disrupted_at: Option<u64>,
}

/// The deliveries of one arm.
pub(super) struct DeliveryLedger {
    pub account: Deliveries,
    /// What the merge needs of each event, where subscribers are spread over several machines.
    pub(super) event_records: Option<EventRecords>,
    /// What came from a machine that publishes before this one knew that it was due.
    pub(super) early: Vec<EarlyDelivery>,
    pub(super) audience: Audience,
    /// Who of them is on this machine.
    pub(super) share: Share,
    timeout: u64,
    /// How long a delivery waits at most by design, ns.
    max_polling_delay: u64,
    /// Event `first + i` is at `i`; closed ones stay for a while.
    pub(super) events: VecDeque<FanoutEvent>,
    pub(super) first: u64,
    /// Everything before this one is closed.
    oldest_open: u64,
    /// Deliveries of events before this one have been looked at when a slice ended.
    pub(super) spilled_to: u64,
    /// When the schedule ended.
    pub(super) ended_at: Option<u64>,
    remembered: usize,
    /// For each subscriber one more than its youngest event.
    newest: Vec<u64>,
    /// Subscribers that events come due at …
    pub(super) present: Rc<BitSet>,
    /// … and how many of each conduct there are for each type of events.
    pub(super) recipient_counts: Vec<[u64; CONDUCTS.len()]>,
    /// Of these, the ones whose subscription was cut off.
    pub(super) cut_off_subscribers: BTreeSet<u32>,
    /// When the first of them was cut off.
    pub(super) cut_off_at: u64,
    /// Those that wait for their first event.
    pub(super) awaiting_first_event: BTreeMap<u32, Awaiting>,
    /// Deliveries without an outcome.
    pub open: u64,
    /// Of these, deliveries of earlier slices.
    pub(super) stale: u64,
    /// What their connections have seen.
    pub totals: crate::ledger::ConnectionTotals,
    /// Where there is one, or faults.
    pub(super) guarantee: Option<Box<GuaranteeLedger>>,
}

impl DeliveryLedger {
    pub fn new(audience: Audience, timeout: u64, max_polling_delay: u64) -> DeliveryLedger {
        let n = audience.subscribers;
        let mut deliveries = DeliveryLedger {
            account: Deliveries::new(&audience),
            event_records: None,
            early: Vec::new(),
            share: Share::ALL,
            timeout,
            max_polling_delay,
            events: VecDeque::new(),
            first: 0,
            oldest_open: 0,
            spilled_to: 0,
            ended_at: None,
            remembered: (REMEMBERED_BYTES / (n.div_ceil(8) + size_of::<FanoutEvent>()))
                .max(REMEMBERED_EVENTS),
            newest: vec![0; n],
            present: Rc::new(BitSet::all(n)),
            recipient_counts: vec![[0; CONDUCTS.len()]; audience.mix.map_or(1, |mix| mix.types)],
            cut_off_subscribers: BTreeSet::new(),
            cut_off_at: 0,
            awaiting_first_event: BTreeMap::new(),
            open: 0,
            stale: 0,
            totals: crate::ledger::ConnectionTotals::default(),
            guarantee: None,
            audience,
        };
        (0..n).for_each(|subscriber| deliveries.count_recipient(subscriber, |n| *n += 1));
        deliveries
    }

    /// Counts a subscriber in or out, for each type that it wants.
    pub(super) fn count_recipient(&mut self, subscriber: usize, count: impl Fn(&mut u64)) {
        let conduct = self.audience.conduct(subscriber) as usize;
        match self.audience.mix {
            None => count(&mut self.recipient_counts[0][conduct]),
            Some(mix) => {
                mix.wanted(subscriber).for_each(|k| count(&mut self.recipient_counts[k][conduct]))
            }
        }
    }

    /// An event's instant came; events are numbered without gaps. `index`: its place in the schedule.
    pub fn begin(&mut self, index: u64, due: u64, after: Option<u64>) {
        let (recipients, recipient_counts) = self.recipients_of(index);
        let mut fanout_event = FanoutEvent {
            due,
            after,
            sent: None,
            recipients,
            has: BitSet::none(self.audience.subscribers),
            settled: BTreeSet::new(),
            open: recipient_counts.iter().sum::<u64>() as usize,
            healthy: recipient_counts[Conduct::Healthy as usize] as usize,
            got: 0,
            first: u64::MAX,
            last: 0,
        };
        for (conduct, recipient_counts) in CONDUCTS.into_iter().zip(recipient_counts) {
            self.account.outcomes(conduct, after.is_some()).due += recipient_counts;
        }
        for &cut_off in &self.cut_off_subscribers {
            if !fanout_event.is_due_at(cut_off as usize) {
                continue;
            }
            let conduct = self.audience.conduct(cut_off as usize);
            let outcomes = self.account.outcomes(conduct, after.is_some());
            outcomes.failed += 1;
            outcomes.unsubscribed += 1;
            fanout_event.settled.insert(cut_off);
        }
        fanout_event.open -= fanout_event.settled.len();
        self.open += fanout_event.open as u64;
        if let Some(guarantee) = &mut self.guarantee {
            guarantee.begin(recipient_counts.iter().sum(), self.open);
        }
        let closed = fanout_event.open == 0;
        self.events.push_back(fanout_event);
        if closed {
            self.close(self.first + self.events.len() as u64 - 1);
        }
        while self.events.len() > self.remembered && self.first < self.oldest_open {
            let forgotten = self.events.pop_front();
            if let Some((guarantee, event)) = self.guarantee.as_mut().zip(forgotten.as_ref()) {
                guarantee.settle(self.first, event);
            }
            self.first += 1;
        }
    }

    /// Whom an event that comes due now is due at, and how many of each conduct they are.
    fn recipients_of(&self, index: u64) -> (EventRecipients, [u64; CONDUCTS.len()]) {
        if !self.audience.one_each {
            let there = self.present.clone();
            return match self.audience.mix {
                None => (EventRecipients::All(there), self.recipient_counts[0]),
                Some(mix) => {
                    let kind = mix.kind(index);
                    (EventRecipients::ByType(there, mix, kind), self.recipient_counts[kind])
                }
            };
        }
        let one = self.audience.recipient(index);
        let one = self.present.has(one).then_some(one);
        let conduct = one.map(|one| self.audience.conduct(one));
        (EventRecipients::One(one), CONDUCTS.map(|c| u64::from(Some(c) == conduct)))
    }

    /// The driver writes it to the publisher.
    pub fn sent(&mut self, event: u64, now: u64) {
        if let Some(fanout_event) = self.at(event) {
            fanout_event.sent = Some(now);
        }
    }

    /// When the driver wrote it, or else when it was due; 0 for something that is no event.
    pub fn published(&mut self, event: Option<u64>) -> u64 {
        event.and_then(|event| self.at(event)).map_or(0, |e| e.sent.unwrap_or(e.due))
    }

    /// The publisher has not taken the event: what is open of it fails.
    pub fn unpublished(&mut self, event: u64) {
        self.not_accepted(event);
        self.event_records.iter_mut().for_each(|records| records.unpublished.push(event));
        self.end_open(event, |outcomes, n| {
            outcomes.failed += n;
            outcomes.unpublished += n;
        });
    }

    /// Gives what is open of an event its outcome.
    fn end_open(&mut self, event: u64, outcome: impl Fn(&mut DeliveryOutcomes, u64)) {
        let Some(fanout_event) =
            event.checked_sub(self.first).and_then(|i| self.events.get(i as usize))
        else {
            return;
        };
        if fanout_event.open == 0 {
            return;
        }
        let (open, measured) = (self.open_of(fanout_event), fanout_event.after.is_some());
        for (conduct, n) in CONDUCTS.into_iter().zip(open) {
            outcome(self.account.outcomes(conduct, measured), n);
            self.closed(event, n);
        }
        if let Some(fanout_event) = self.at(event) {
            fanout_event.open = 0;
        }
        self.close(event);
    }

    /// A subscriber has read an event, or something that is none (`None`).
    pub fn received(&mut self, subscriber: usize, event: Option<u64>, at: u64) -> Option<Arrival> {
        let Some(fanout_event) = event.and_then(|event| self.at(event)) else {
            self.account.unsolicited += 1;
            return None;
        };
        if !fanout_event.is_due_at(subscriber) {
            let wanted = fanout_event.is_wanted_by(subscriber);
            match &mut self.account.unwanted {
                Some(unwanted) if !wanted => *unwanted += 1,
                _ => self.account.undue += 1,
            }
            return None;
        }
        if fanout_event.has.has(subscriber) {
            self.account.duplicated += 1;
            return None;
        }
        let late = !fanout_event.awaits(subscriber);
        fanout_event.has.set(subscriber);
        let event = event.unwrap_or_default();
        self.account.read += 1;
        self.account.reordered += u64::from(self.newest[subscriber] > event + 1);
        self.newest[subscriber] = self.newest[subscriber].max(event + 1);
        if let Some(awaiting) = self.awaiting_first_event.remove(&(subscriber as u32)) {
            self.first_event(subscriber, awaiting, event, at);
        }
        if late {
            self.account.late += 1;
            return None;
        }
        self.arrived(subscriber, event, at)
    }

    fn arrived(&mut self, subscriber: usize, event: u64, at: u64) -> Option<Arrival> {
        let conduct = self.audience.conduct(subscriber);
        let healthy = conduct == Conduct::Healthy;
        let fanout_event = self.at(event)?;
        fanout_event.open -= 1;
        if healthy {
            fanout_event.got += 1;
            fanout_event.first = fanout_event.first.min(at);
            fanout_event.last = fanout_event.last.max(at);
        }
        let (measured, done) = (fanout_event.after.is_some(), fanout_event.open == 0);
        let (took, sent) =
            (at.saturating_sub(fanout_event.due), fanout_event.sent.unwrap_or(fanout_event.due));
        self.closed(event, 1);
        self.account.outcomes(conduct, measured).received += 1;
        if measured && healthy {
            self.account.delivery.record(took);
            self.account.unlagged.record(at.saturating_sub(sent));
        } else if measured
            && let Some(apart) = self.account.apart.iter_mut().find(|a| a.conduct == conduct)
        {
            apart.delivery.record(took);
        }
        if done {
            self.close(event);
        }
        Some(Arrival { took, measured: measured && healthy })
    }

    /// What is open at a subscriber is lost, of the events before one.
    pub fn lose(&mut self, subscriber: usize, before: u64) {
        let conduct = self.audience.conduct(subscriber);
        for event in self.oldest_open..self.next_event().min(before) {
            let Some(fanout_event) = self.at(event).filter(|s| s.awaits(subscriber)) else {
                continue;
            };
            fanout_event.settled.insert(subscriber as u32);
            fanout_event.open -= 1;
            let (measured, done) = (fanout_event.after.is_some(), fanout_event.open == 0);
            self.closed(event, 1);
            self.account.outcomes(conduct, measured).lost += 1;
            if done {
                self.close(event);
            }
        }
    }

    /// Something due at a subscriber has no outcome yet.
    pub(crate) fn awaits(&self, subscriber: usize) -> bool {
        let from = self.oldest_open.saturating_sub(self.first) as usize;
        self.events.iter().skip(from).any(|fanout_event| fanout_event.awaits(subscriber))
    }

    /// Times out what is open of events due longer ago than the time-out.
    pub fn expire(&mut self, now: u64) {
        while let Some(fanout_event) = self.at(self.oldest_open) {
            if fanout_event.open > 0 && fanout_event.due.saturating_add(self.timeout) > now {
                return;
            }
            self.note_timed_out(self.oldest_open);
            self.end_open(self.oldest_open, |outcomes, n| outcomes.timed_out += n);
            self.oldest_open += 1;
        }
    }

    /// The schedule ends: whatever is open now was not delivered in time.
    pub fn end(&mut self, now: u64) {
        self.ended_at = Some(now);
        self.account.unsolicited += std::mem::take(&mut self.early).len() as u64;
        self.account.open_at_end = self.open_measured();
        self.account.behind_at_end =
            self.open_of_due_by(now.saturating_sub(self.max_polling_delay));
    }

    /// Another arm's slice begins: open deliveries spill into it, each counted once.
    pub(crate) fn end_of_slice(&mut self) {
        self.account.spill += self.open_from(self.spilled_to, u64::MAX);
        self.spilled_to = self.first + self.events.len() as u64;
        self.stale = self.open;
    }

    /// Open deliveries of an event got their outcome.
    fn closed(&mut self, event: u64, n: u64) {
        self.open -= n;
        self.stale -= if event < self.spilled_to { n } else { 0 };
    }

    /// Deliveries of measured events to healthy subscribers without an outcome.
    pub(crate) fn open_measured(&self) -> u64 {
        self.open_of_due_by(u64::MAX)
    }

    /// An event that is due then should have been delivered at an instant.
    pub(super) fn is_behind(&self, due: u64, at: u64) -> bool {
        due <= at.saturating_sub(self.max_polling_delay)
    }

    fn open_of_due_by(&self, instant: u64) -> u64 {
        self.open_from(0, instant)
    }

    /// The same of events from one on, due by an instant.
    fn open_from(&self, event: u64, instant: u64) -> u64 {
        let from = self.oldest_open.max(event).saturating_sub(self.first) as usize;
        let events = self.events.iter().skip(from).take_while(|s| s.due <= instant);
        let measured = events.filter(|s| s.after.is_some());
        measured.map(|s| self.open_of(s)[Conduct::Healthy as usize]).sum()
    }

    /// What is open of an event at those of each conduct.
    pub(super) fn open_of(&self, fanout_event: &FanoutEvent) -> [u64; CONDUCTS.len()] {
        let mut open = [fanout_event.open as u64, 0, 0];
        for conduct in [Conduct::Slow, Conduct::Stuck] {
            let theirs = self.audience.numbers(conduct).filter(|s| fanout_event.awaits(*s)).count();
            open[conduct as usize] = theirs as u64;
            open[Conduct::Healthy as usize] -= theirs as u64;
        }
        open
    }

    fn close(&mut self, event: u64) {
        let (timeout, one_each) = (self.timeout, self.audience.one_each);
        let Some(fanout_event) = self.at(event) else { return };
        fanout_event.settled = BTreeSet::new();
        if fanout_event.after.is_none() || fanout_event.healthy == 0 {
            return;
        }
        let due = fanout_event.due;
        let reach = EventReach {
            event,
            due: fanout_event.healthy as u64,
            got: fanout_event.got as u64,
            first: fanout_event.first.saturating_sub(due),
            last: fanout_event.last.saturating_sub(due),
        };
        match &mut self.event_records {
            Some(records) => records.reached.push(reach),
            None => self.account.reached(&reach, timeout, one_each),
        }
    }

    pub(super) fn at(&mut self, event: u64) -> Option<&mut FanoutEvent> {
        self.events.get_mut(event.checked_sub(self.first)? as usize)
    }
}

#[cfg(test)]
#[path = "delivery_ledger_tests.rs"]
mod tests;
