//! The ledger of one machine where the subscribers of a fan-out are spread over several.

use crate::ledger::delivery_ledger::DeliveryLedger;
use crate::ledger::fanout_event::BitSet;
use crate::ledger::{DeliveryTimes, Ledger};
use pushbench_core::record::fanout::{EventRecords, Share, TimedOutEvent};
use std::ops::Range;
use std::rc::Rc;

/// A subscriber, the index of the event that it has read, and when.
pub(super) type EarlyDelivery = (usize, Option<u64>, DeliveryTimes);

/// More are not kept: they belong to no event of the schedule.
const MOST_EARLY: usize = 1 << 16;

impl Ledger {
    /// The same where only these subscribers are on this machine. Nothing is due yet.
    pub(crate) fn with_share(self, share: Share) -> Self {
        let mut inner = self.0.into_inner();
        inner.deliveries = inner.deliveries.map(|deliveries| deliveries.with_share(share));
        Ledger(inner.into())
    }

    /// What became of each event here; empty where one machine has all subscribers.
    pub(crate) fn event_records(&self) -> EventRecords {
        let inner = self.0.borrow();
        inner.deliveries.as_ref().and_then(|d| d.event_records.clone()).unwrap_or_default()
    }

    /// An event came due that another machine publishes: its deliveries alone are awaited here. `at`: the same instant in
    /// the arm's own time.
    pub(crate) fn expect(&self, index: u64, due: u64, at: u64) {
        let mut inner = self.0.borrow_mut();
        inner.comes_due(due);
        let after = at.checked_sub(inner.rules.warmup);
        let Some(deliveries) = &mut inner.deliveries else { return };
        deliveries.begin(index, due, after);
        for (subscriber, index, times) in std::mem::take(&mut deliveries.early) {
            inner.receive(subscriber, index, times);
        }
    }
}

impl DeliveryLedger {
    /// True where a delivery is kept that came before its event was due here: the clocks of two machines differ a little,
    /// and each wakes in its own time.
    pub(super) fn keeps_until_due(&mut self, event: Option<u64>, early: EarlyDelivery) -> bool {
        let from_elsewhere = self.event_records.is_some() && !self.share.publishes();
        // After the schedule nothing comes due any more.
        let keeps = from_elsewhere
            && self.ended_at.is_none()
            && event.is_some_and(|event| event >= self.next_event())
            && self.early.len() < MOST_EARLY;
        if keeps {
            self.early.push(early);
        }
        keeps
    }

    fn with_share(mut self, share: Share) -> DeliveryLedger {
        if share == Share::ALL {
            return self;
        }
        let subscribers = self.audience.subscribers;
        let mut present = BitSet::none(subscribers);
        for number in 0..subscribers {
            match share.has(number) {
                true => present.set(number),
                false => self.count_recipient(number, |n| *n -= 1),
            }
        }
        let own = |numbers: Range<usize>| numbers.filter(|n| share.has(*n)).count() as u64;
        self.account.subscribers = own(0..subscribers);
        for apart in &mut self.account.apart {
            apart.subscribers = own(self.audience.numbers(apart.conduct));
        }
        (self.share, self.present) = (share, Rc::new(present));
        self.event_records = Some(EventRecords::default());
        self
    }

    /// Notes what is about to time out of an event, where another machine may know that it was never published.
    pub(super) fn note_timed_out(&mut self, event: u64) {
        let open = event.checked_sub(self.first).and_then(|i| self.events.get(i as usize));
        let Some(fanout_event) = open.filter(|e| e.open > 0 && self.event_records.is_some()) else {
            return;
        };
        let (measured, deliveries) = (fanout_event.after.is_some(), self.open_of(fanout_event));
        let timed_out = TimedOutEvent {
            event,
            measured,
            deliveries,
            open_at_end: self.ended_at.is_some(),
            behind_at_end: self.ended_at.is_some_and(|at| self.is_behind(fanout_event.due, at)),
            spilled: event < self.spilled_to,
        };
        self.event_records.iter_mut().for_each(|records| records.timed_out.push(timed_out));
    }
}

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;
