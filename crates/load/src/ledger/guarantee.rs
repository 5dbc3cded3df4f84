//! What became of each delivery under a guarantee or under faults.
//!
//! A delivery that never came is explained when its event is forgotten, at the latest at the end: until then it may come.

use crate::ledger::delivery_ledger::DeliveryLedger;
use crate::ledger::fanout_event::FanoutEvent;
use crate::ledger::recovery::{RecoveryRules, RecoveryTracker};
use crate::ledger::state::OpenEvents;
use crate::ledger::{DeliveryTimes, Ledger};
use pushbench_core::record::guarantee::GuaranteeRecord;
use pushbench_host::clock;
use std::collections::{BTreeSet, VecDeque};

/// What a subscriber did with an event that came to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handling {
    /// A planned fault met it before it was processed.
    MetByFault,
    /// It had processed it before, and removed it.
    Removed,
    /// It handed it to the application.
    Handed,
}

/// Why a subscriber does not get events any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LossReason {
    /// All attempts have failed.
    Attempts,
    /// They fell out of the publisher's log.
    Log,
    /// The publisher was restarted.
    Restart,
    /// It was not connected, and they were not kept.
    Away,
}

/// Events up to some place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Before {
    /// Before this one, by its index.
    Event(u64),
    /// Those due by this instant.
    Instant(u64),
}

/// Events that a subscriber does not get any more.
#[derive(Debug, Clone, Copy)]
struct Gap {
    from: u64,
    to: u64,
    why: LossReason,
}

/// The deliveries of one event.
#[derive(Debug, Default)]
struct Tracked {
    due: u64,
    delivered: u64,
    /// The publisher did not accept it.
    refused: bool,
    /// Subscribers whose application got it more than once.
    again: BTreeSet<u32>,
    /// When the last subscriber got it so far.
    last: u64,
}

/// The deliveries of one arm under a guarantee or under faults.
#[derive(Debug)]
pub(super) struct GuaranteeLedger {
    /// What failed is tried again.
    retries: bool,
    event_bytes: u64,
    record: GuaranteeRecord,
    pub(super) recovery: RecoveryTracker,
    /// Of the delivery ledger's events.
    events: VecDeque<Tracked>,
    /// Of each subscriber.
    gaps: Vec<Vec<Gap>>,
}

impl GuaranteeLedger {
    /// An event comes due at so many; `open`: deliveries without an outcome, those among them.
    pub fn begin(&mut self, due: u64, open: u64) {
        self.events.push_back(Tracked { due, ..Tracked::default() });
        self.record.backlog_peak = self.record.backlog_peak.max(open);
    }

    /// The oldest event is forgotten: what has not come of it does not come.
    pub fn settle(&mut self, seq: u64, of: &FanoutEvent) {
        let Some(event) = self.events.pop_front() else { return };
        if event.refused {
            self.record.not_accepted += 1;
            return;
        }
        let complete = event.delivered == event.due;
        self.record.due += event.due;
        self.record.delivered += event.delivered;
        self.record.delivered_once += event.delivered - event.again.len() as u64;
        self.recovery.settled(of.due, complete, event.last);
        if complete {
            return;
        }
        let lost = &mut self.record.lost;
        let missing = |s: &usize| of.is_due_at(*s) && !of.has.has(*s);
        for subscriber in (0..self.gaps.len()).filter(missing) {
            let holds = |gap: &&Gap| (gap.from..gap.to).contains(&seq);
            *match self.gaps[subscriber].iter().find(holds).map(|gap| gap.why) {
                Some(LossReason::Attempts) => &mut lost.attempts,
                Some(LossReason::Log) => &mut lost.log,
                Some(LossReason::Restart) => &mut lost.restart,
                Some(LossReason::Away) => &mut lost.away,
                None => &mut lost.unexplained,
            } += 1;
        }
    }
}

impl DeliveryLedger {
    /// The next event that comes due.
    pub(super) fn next_event(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Where an event is among those that are remembered, and when it was due.
    fn place(&self, event: u64) -> Option<(usize, u64)> {
        let place = event.checked_sub(self.first)? as usize;
        Some((place, self.events.get(place)?.due))
    }

    /// As far as its client knows, the publisher has not accepted an event.
    pub(super) fn not_accepted(&mut self, event: u64) {
        let place = self.place(event);
        let event =
            self.guarantee.as_mut().zip(place).and_then(|(g, (at, _))| g.events.get_mut(at));
        event.into_iter().for_each(|event| event.refused = true);
    }

    /// What is not delivered is kept by the publisher, or tried again.
    pub(super) fn keeps(&self) -> bool {
        self.guarantee.as_ref().is_some_and(|guarantee| guarantee.retries)
    }

    /// A subscription was cut off, and nothing is kept for it.
    pub(super) fn begin_gap(&mut self, subscriber: usize, now: u64) {
        let next = self.next_event();
        let Some(guarantee) = &mut self.guarantee else { return };
        let gaps = &mut guarantee.gaps[subscriber];
        let restarts = guarantee.recovery.fault().is_some_and(|f| f.restarts && now >= f.begin);
        let known = gaps.iter().any(|gap| gap.why == LossReason::Restart);
        let why = if restarts && !known { LossReason::Restart } else { LossReason::Attempts };
        gaps.push(Gap { from: 0, to: next, why });
        gaps.push(Gap { from: next, to: u64::MAX, why: LossReason::Away });
    }

    /// A subscription was confirmed: it misses nothing from now on.
    pub(super) fn end_gap(&mut self, subscriber: usize, now: u64) {
        let next = self.next_event();
        let Some(guarantee) = &mut self.guarantee else { return };
        let open = guarantee.gaps[subscriber].iter_mut().filter(|gap| gap.to == u64::MAX);
        open.for_each(|gap| gap.to = next);
        guarantee.recovery.subscribed(subscriber, now);
    }

    fn lost_for_good(&mut self, subscriber: usize, before: Before, why: LossReason) {
        let to = match before {
            Before::Event(seq) => seq,
            Before::Instant(instant) => {
                self.first + self.events.partition_point(|event| event.due <= instant) as u64
            }
        };
        if let Some(guarantee) = &mut self.guarantee {
            guarantee.gaps[subscriber].push(Gap { from: 0, to, why });
        }
        self.lose(subscriber, to);
    }

    fn gave_up(&mut self, subscriber: usize) {
        self.lost_for_good(subscriber, Before::Event(u64::MAX), LossReason::Attempts);
        self.cut_off_subscribers.insert(subscriber as u32);
    }

    /// The whole record: nothing is counted any more.
    fn end_guarantee(&mut self) -> Option<GuaranteeRecord> {
        let mut guarantee = self.guarantee.take()?;
        (self.first..).zip(&self.events).for_each(|(seq, event)| guarantee.settle(seq, event));
        let GuaranteeLedger { record, recovery, event_bytes, .. } = *guarantee;
        Some(GuaranteeRecord {
            backlog_peak_bytes: record.backlog_peak * event_bytes,
            recovery: recovery.record(),
            connections_per_second_peak: recovery.connections_per_second_peak,
            freshness: recovery.freshness,
            ..record
        })
    }
}

impl OpenEvents {
    /// First deliveries, duplicates and deliveries behind younger ones so far.
    fn received(&self) -> (u64, u64, u64) {
        let of = |d: &DeliveryLedger| (d.account.read, d.account.duplicated, d.account.reordered);
        self.deliveries.as_ref().map_or((0, 0, 0), of)
    }

    fn arrived(
        &mut self,
        (subscriber, index): (usize, Option<u64>),
        times: DeliveryTimes,
        opened: u64,
        handling: Handling,
    ) {
        let before = self.received();
        if handling == Handling::Handed {
            self.receive(subscriber, index, times);
        }
        let after = self.received();
        let seq = index.and_then(|index| self.seq(index));
        let Some(deliveries) = &mut self.deliveries else { return };
        let known = seq.and_then(|seq| deliveries.place(seq));
        let processed = |(place, _): (usize, u64)| {
            deliveries.events.get(place).is_some_and(|event| event.has.has(subscriber))
        };
        let processed = known.is_some_and(processed);
        let Some(guarantee) = &mut deliveries.guarantee else { return };
        guarantee.record.attempts += 1;
        match handling {
            Handling::MetByFault => {
                guarantee.record.met_by_fault += 1;
                guarantee.record.duplicates_on_wire += u64::from(processed);
            }
            Handling::Removed => guarantee.record.duplicates_on_wire += 1,
            Handling::Handed => {
                let again = after.1 - before.1;
                guarantee.record.duplicates_on_wire += again;
                guarantee.record.duplicates_to_application += again;
                guarantee.record.out_of_order += after.2 - before.2;
                let Some((place, due)) = known else { return };
                let Some(event) = guarantee.events.get_mut(place) else { return };
                if again > 0 {
                    event.again.insert(subscriber as u32);
                }
                if after.0 > before.0 {
                    event.delivered += 1;
                    event.last = event.last.max(times.arrived);
                    guarantee.recovery.delivered(subscriber, times.arrived, due, opened);
                }
            }
        }
    }
}

impl Ledger {
    /// The same for a fan-out under a guarantee or under faults. `retries`: what failed is tried again.
    pub(crate) fn under_guarantee(
        self,
        retries: bool,
        rules: RecoveryRules,
        event_bytes: usize,
    ) -> Self {
        self.with_deliveries(|deliveries| {
            let receivers = deliveries.audience.subscribers;
            deliveries.guarantee = Some(Box::new(GuaranteeLedger {
                retries,
                event_bytes: event_bytes as u64,
                record: GuaranteeRecord::default(),
                recovery: RecoveryTracker::new(rules, receivers),
                events: VecDeque::new(),
                gaps: vec![Vec::new(); receivers],
            }));
        });
        self
    }

    fn with_deliveries(&self, act: impl FnOnce(&mut DeliveryLedger)) {
        if let Some(deliveries) = &mut self.0.borrow_mut().deliveries {
            act(deliveries);
        }
    }

    fn with_guarantee(&self, act: impl FnOnce(&mut GuaranteeLedger)) {
        self.with_deliveries(|d| {
            d.guarantee.as_deref_mut().map(act);
        });
    }

    /// The origin of the wall clock is known.
    pub(super) fn begin_recovery(&self, origin: u64) {
        self.with_guarantee(|guarantee| guarantee.recovery.origin = origin);
    }

    /// An event came to a subscriber, on a connection that was opened then.
    pub(crate) fn arrived(
        &self,
        delivery: (usize, Option<u64>),
        times: DeliveryTimes,
        opened: u64,
        handling: Handling,
    ) {
        self.0.borrow_mut().arrived(delivery, times, opened, handling);
    }

    /// A planned fault suppresses the acknowledgement of an event that was processed.
    pub(crate) fn lost_ack(&self) {
        self.with_guarantee(|guarantee| guarantee.record.lost_acks += 1);
    }

    /// An attempt to connect has failed, or was refused.
    pub(crate) fn receiver_refused(&self) {
        self.with_guarantee(|guarantee| guarantee.record.connections_refused += 1);
    }

    /// A connection that carries deliveries was opened.
    pub(super) fn note_connected(&self) {
        self.with_guarantee(|guarantee| guarantee.recovery.connected(clock::now()));
    }

    /// What a subscriber has not got of these events is lost for good.
    pub(crate) fn lost_for_good(&self, subscriber: usize, before: Before, why: LossReason) {
        self.with_deliveries(|deliveries| deliveries.lost_for_good(subscriber, before, why));
    }

    /// A subscriber gives up: it gets nothing any more.
    pub(crate) fn gave_up(&self, subscriber: usize) {
        self.with_deliveries(|deliveries| deliveries.gave_up(subscriber));
    }

    /// Notes how old the newest event of each receiver is; `planned`: the instant at which it should be looked at.
    pub(crate) fn sample_freshness(&self, planned: u64) {
        self.with_guarantee(|guarantee| {
            guarantee.recovery.sample_freshness(planned, clock::now());
        });
    }

    /// What became of deliveries under a guarantee or under faults, once nothing comes any more.
    pub(crate) fn guarantee_record(&self) -> Option<GuaranteeRecord> {
        self.0.borrow_mut().deliveries.as_mut()?.end_guarantee()
    }
}

#[cfg(test)]
#[path = "guarantee_tests.rs"]
mod tests;
