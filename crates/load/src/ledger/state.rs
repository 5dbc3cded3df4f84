//! What a ledger holds: the open events, and the account of the closed ones.

use crate::ledger::attempts::Attempts;
use crate::ledger::delivery_ledger::DeliveryLedger;
use crate::ledger::{DeliveryTimes, Instants, LedgerRules, PastOutcome, SendInstants, Ticket};
use pushbench_core::record::account::Account;
use pushbench_core::record::interval::IntervalCounts;
use pushbench_core::record::outcomes::Outcomes;
use std::collections::VecDeque;

/// Answers to events closed up to this many events ago are still classified as duplicated or late.
const REMEMBERED: usize = 1 << 16;

/// Room for open events at first. The queue walks through its room in a circle: more than is needed
/// would be walked out of the nearest cache.
const OPEN_AT_FIRST: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Sent,
    Closed,
}

/// An open event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub ticket: Ticket,
    pub state: State,
    /// Instant due after the measured window began, in the arm's own time; `None` in the warm-up.
    pub after: Option<u64>,
    /// How it went out, where its answer comes another way.
    pub send_instants: Option<SendInstants>,
}

/// The time for which some event or delivery has been open without a break, as in queueing theory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BusyPeriod {
    /// When its first event was due.
    pub since: u64,
    /// When the last event so far was answered, or delivered.
    pub last_done: u64,
    /// Events of it so far.
    pub events: u64,
}

/// The open events of one arm in one shard, oldest first.
pub(super) struct OpenEvents {
    pub rules: LedgerRules,
    pub account: Account,
    pub open: VecDeque<Entry>,
    pub first: u64,
    pub open_count: u64,
    /// Events before this one have been looked at when a slice ended.
    pub(crate) spilled_to: u64,
    pub(super) busy: BusyPeriod,
    pub(super) records_busy_periods: bool,
    /// Of those open, events of earlier slices: they wait for a time-out, and no queue waits for them.
    pub(super) stale: u64,
    pub past_outcome: Vec<(u64, PastOutcome)>,
    pub interval: IntervalCounts,
    pub measuring: bool,
    pub ended: bool,
    pub expirations: u64,
    /// In a fan-out: what became of the events at their subscribers.
    pub(crate) deliveries: Option<DeliveryLedger>,
    /// Where events are tried again, or something breaks.
    pub(super) attempts: Option<Box<Attempts>>,
}

impl OpenEvents {
    pub fn new(rules: LedgerRules, tells_ids: bool) -> OpenEvents {
        let account = Account::new(tells_ids, rules.wall_length, rules.split.as_ref());
        OpenEvents {
            rules,
            account,
            open: VecDeque::with_capacity(OPEN_AT_FIRST),
            first: 0,
            open_count: 0,
            spilled_to: 0,
            busy: BusyPeriod::default(),
            records_busy_periods: false,
            stale: 0,
            past_outcome: vec![(u64::MAX, PastOutcome::Unknown); REMEMBERED],
            interval: IntervalCounts::default(),
            measuring: false,
            ended: false,
            expirations: 0,
            deliveries: None,
            attempts: None,
        }
    }

    /// The outcomes an event belongs to, by its place in the window.
    pub fn outcomes(&mut self, after: Option<u64>) -> &mut Outcomes {
        match after {
            Some(_) => &mut self.account.measured,
            None => &mut self.account.warmup,
        }
    }

    /// Nothing of the current slice is open.
    pub(super) fn is_idle(&self) -> bool {
        let deliveries = self.deliveries.as_ref();
        self.open_count == self.stale && deliveries.is_none_or(|d| d.open == d.stale)
    }

    /// An open event got its outcome.
    pub(super) fn closed(&mut self, seq: u64) {
        self.open_count -= 1;
        self.stale -= u64::from(seq < self.spilled_to);
    }

    /// An event comes due: a busy period begins, unless it has begun.
    #[inline]
    pub(super) fn comes_due(&mut self, due: u64) {
        if self.is_idle() {
            let end = self.busy.last_done;
            self.end_busy_period(end, due);
        }
        self.busy.events += 1;
    }

    /// A busy period ended at `end`, and another one begins with the event due at `due`.
    pub(super) fn end_busy_period(&mut self, end: u64, due: u64) {
        let BusyPeriod { since, events, .. } = self.busy;
        if self.records_busy_periods && self.measuring && events > 0 {
            self.account.busy_periods.record_times(end.saturating_sub(since), events);
        }
        self.busy = BusyPeriod { since: due, last_done: due, events: 0 };
    }

    pub(crate) fn open_measured(&self) -> u64 {
        self.open_measured_from(self.first)
    }

    /// Of these, the ones from an event on.
    pub(crate) fn open_measured_from(&self, seq: u64) -> u64 {
        let open =
            |e: &&Entry| e.ticket.seq >= seq && e.after.is_some() && e.state != State::Closed;
        self.open.iter().filter(open).count() as u64
    }

    pub fn entry(&mut self, seq: u64) -> Option<&mut Entry> {
        let at = seq.checked_sub(self.first)?;
        self.open.get_mut(at as usize)
    }

    /// The place of the event with that index; `None` when it is another shard's.
    pub fn seq(&self, index: u64) -> Option<u64> {
        let LedgerRules { shard, of, .. } = self.rules;
        let behind = index.checked_sub(shard)?;
        (behind % of == 0).then(|| behind / of)
    }

    pub fn state(&self, seq: u64) -> State {
        seq.checked_sub(self.first)
            .and_then(|at| self.open.get(at as usize))
            .map_or(State::Closed, |e| e.state)
    }

    /// Closes an open event and gives its place in the window; `None` when it had its outcome already.
    pub fn close(&mut self, ticket: &Ticket, past_outcome: PastOutcome) -> Option<Option<u64>> {
        let entry = self.entry(ticket.seq)?;
        if entry.state == State::Closed {
            return None;
        }
        entry.state = State::Closed;
        let after = entry.after;
        self.closed(ticket.seq);
        self.remember(ticket, past_outcome);
        self.trim();
        Some(after)
    }

    pub fn trim(&mut self) {
        while self.open.front().is_some_and(|e| e.state == State::Closed) {
            self.open.pop_front();
            self.first += 1;
        }
    }

    pub fn slot(&self, index: u64) -> usize {
        let behind = index.saturating_sub(self.rules.shard);
        // A division costs as much as the rest of it, and mostly there is one shard.
        let own = if self.rules.of == 1 { behind } else { behind / self.rules.of };
        own as usize % REMEMBERED
    }

    pub(crate) fn remember(&mut self, ticket: &Ticket, past_outcome: PastOutcome) {
        let slot = self.slot(ticket.index);
        self.past_outcome[slot] = (ticket.index, past_outcome);
    }

    /// `after`: when it was due after the measured window began.
    pub fn time(&mut self, ticket: &Ticket, after: u64, at: Instants) {
        let service = at.done.saturating_sub(at.sent);
        let (a, closed) = (&mut self.account, self.rules.closed_loop);
        a.halves[usize::from(after * 2 >= self.rules.window)].record(service);
        let reading = at.done.saturating_sub(at.woken);
        if self.deliveries.is_none() {
            a.reading.record(reading);
        }
        let headline = if closed {
            service
        } else {
            let response = at.done.saturating_sub(ticket.due);
            let lag = at.sent.saturating_sub(ticket.due.max(at.free));
            a.response.record(response);
            a.lag.record(lag);
            a.unlagged.record(response.saturating_sub(lag));
            if self.deliveries.is_none() {
                a.driver_excluded.record(response.saturating_sub(lag + reading));
            }
            response
        };
        if let Some(split) = &self.rules.split {
            let stratum = &mut a.strata[split.index(after, at.nth)];
            stratum.service.record(service);
            if !closed {
                stratum.response.record(headline);
            }
        }
        // In a fan-out the headline is the delivery, not the publisher's answer.
        if self.deliveries.is_none() {
            a.peaks.record(at.done.saturating_sub(self.rules.origin), headline);
            self.interval.responses.record(headline);
        }
    }

    /// A subscriber has read an event, or something that is none.
    ///
    /// The delivery ended when it arrived: a thousand subscribers share a CPU here and wait for each other; in
    /// production each has its own.
    pub fn receive(&mut self, subscriber: usize, index: Option<u64>, times: DeliveryTimes) {
        let seq = index.and_then(|index| self.seq(index));
        let Some(deliveries) = &mut self.deliveries else { return };
        if deliveries.keeps_until_due(seq, (subscriber, index, times)) {
            return;
        }
        let before = deliveries.account.read;
        let times = times.after(deliveries.published(seq));
        let arrival = deliveries.received(subscriber, seq, times.arrived);
        self.busy.last_done = times.arrived;
        if self.measuring {
            let read = deliveries.account.read - before;
            deliveries.account.read_in_window += read;
            deliveries.account.read_by_end += if self.ended { 0 } else { read };
        }
        if let Some(arrival) = arrival.filter(|a| a.measured) {
            deliveries.account.stamped += u64::from(times.stamped);
            self.account.reading.record(times.read - times.arrived);
            self.account
                .peaks
                .record(times.arrived.saturating_sub(self.rules.origin), arrival.took);
            self.interval.responses.record(arrival.took);
        }
    }
}
