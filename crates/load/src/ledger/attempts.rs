//! Attempts of events under a guarantee: what failed is sent again after its pause, until the event times out or its attempts
//! are exhausted. And how a planned fault was recovered from.

use crate::feed::EventQueue;
use crate::ledger::state::{OpenEvents, State};
use crate::ledger::{Instants, Ledger, PastOutcome, Ticket};
use pushbench_core::guarantee::Guarantee;
use pushbench_core::guarantee::backoff::Backoff;
use pushbench_core::record::guarantee::Recovery;
use pushbench_core::record::outcomes::Failure;
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use tokio::sync::Notify;

/// Connections are counted for so long, ns …
const INTERVAL_NS: u64 = 100_000_000;
/// … which is that part of a second.
const INTERVALS_PER_SECOND: u64 = 10;

/// What is promised to events, and what breaks.
#[derive(Debug, Clone)]
pub(crate) struct AttemptRules {
    pub guarantee: Guarantee,
    /// Of the pauses.
    pub seed: u64,
    /// When the planned fault begins, ns after the origin, and how long it lasts.
    pub fault: Option<(u64, u64)>,
    /// All connections are reset when it begins.
    pub cuts: bool,
    /// Something breaks, planned at an instant or at random.
    pub breaks: bool,
    /// A connection carries many events: it is made again after a pause, and what was open on it is sent again at once. Else
    /// each event has its own pause.
    pub pipelined: bool,
    /// Connections of this shard.
    pub slots: usize,
}

/// The counts of a shard.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AttemptAccount {
    /// Attempts beside the first one of each event: events written again, and connections refused for one.
    pub again: u64,
    /// Events of which all attempts failed.
    pub exhausted: u64,
    /// Most events without an outcome.
    pub open_peak: u64,
    /// Most connections that were opened in an interval, per second.
    pub connections_peak: u64,
    /// Attempts to connect that failed.
    pub connections_refused: u64,
    /// After the planned fault.
    pub recovery: Option<Recovery>,
}

impl AttemptAccount {
    /// Adds another shard. Peaks are added: they may have come at the same time.
    pub fn merge(&mut self, other: &AttemptAccount) {
        self.again += other.again;
        self.exhausted += other.exhausted;
        self.open_peak += other.open_peak;
        self.connections_peak += other.connections_peak;
        self.connections_refused += other.connections_refused;
        if let (Some(mine), Some(theirs)) = (&mut self.recovery, &other.recovery) {
            let first = [mine.first_event_ns, theirs.first_event_ns];
            mine.first_event_ns = first.into_iter().flatten().min();
            let last = |a: Option<u64>, b: Option<u64>| Some(a?.max(b?));
            mine.caught_up_ns = last(mine.caught_up_ns, theirs.caught_up_ns);
            mine.all_back_ns = last(mine.all_back_ns, theirs.all_back_ns);
        }
    }
}

/// An event of which an attempt failed.
struct Retried {
    backoff: Backoff,
    /// When its latest pause is over.
    ready: u64,
}

/// The attempts of one arm in one shard.
pub(super) struct Attempts {
    rules: AttemptRules,
    account: AttemptAccount,
    retried: HashMap<u64, Retried>,
    /// Ends of pauses, and whose.
    waiting: BinaryHeap<Reverse<(u64, u64)>>,
    changed: Rc<Notify>,
    /// Begin of the current interval, and connections opened in it.
    opened: (u64, u64),
    /// Slots whose connection was made again since the planned fault began.
    back: BTreeSet<usize>,
    /// It has met a connection or an attempt. The planned instant is a little earlier.
    has_hit: bool,
    /// An event that was due before its end was never delivered.
    undelivered: bool,
    /// The target wants the next connection no sooner than after this, ns.
    stay_away: Option<u64>,
}

impl Attempts {
    fn new(rules: AttemptRules) -> Attempts {
        let recovery =
            rules.fault.map(|(_, fault_ns)| Recovery { fault_ns, ..Recovery::default() });
        Attempts {
            rules,
            account: AttemptAccount { recovery, ..AttemptAccount::default() },
            retried: HashMap::new(),
            waiting: BinaryHeap::new(),
            changed: Rc::default(),
            opened: (0, 0),
            back: BTreeSet::new(),
            has_hit: false,
            undelivered: false,
            stay_away: None,
        }
    }

    /// When the planned fault ends, ns after the origin.
    fn end(&self) -> u64 {
        self.rules.fault.map_or(u64::MAX, |(at, lasts)| at + lasts)
    }

    /// The end of the event's next pause; `None` when it had its last attempt.
    fn next(&mut self, ticket: &Ticket, retry_after: Option<u64>, now: u64) -> Option<u64> {
        let AttemptRules { guarantee, seed, pipelined, .. } = &self.rules;
        let first = || Backoff::new(guarantee, *seed, ticket.index);
        let retried = self
            .retried
            .entry(ticket.seq)
            .or_insert_with(|| Retried { backoff: first(), ready: now });
        let pause = retried.backoff.failed(retry_after)?;
        retried.ready = now + if *pipelined { 0 } else { pause };
        Some(retried.ready)
    }

    /// Forgets the events before this one, and notes how many are open.
    pub fn note_open(&mut self, first: u64, open: u64) {
        self.retried.retain(|seq, _| *seq >= first);
        self.account.open_peak = self.account.open_peak.max(open);
    }

    /// A connection was opened, or an attempt failed, so long after the origin, ns.
    fn note_hit(&mut self, since: u64) {
        self.has_hit |= self.rules.fault.is_some_and(|(at, _)| since >= at);
    }

    /// A connection was opened.
    pub fn connected(&mut self, now: u64, origin: u64) {
        // The warm ones are opened before.
        let Some(since) = now.checked_sub(origin).filter(|_| origin != 0) else { return };
        self.note_hit(since);
        let begin = since - since % INTERVAL_NS;
        let before = if self.opened.0 == begin { self.opened.1 } else { 0 };
        self.opened = (begin, before + 1);
        let peak = (before + 1) * INTERVALS_PER_SECOND;
        self.account.connections_peak = self.account.connections_peak.max(peak);
    }

    /// An event was written that had been written before, or no connection could be made for it.
    pub fn sent_again(&mut self) {
        self.account.again += 1;
    }
}

impl OpenEvents {
    /// An attempt failed: true when the event is tried again.
    #[cold]
    pub fn is_tried_again(&mut self, ticket: &Ticket, retry_after: Option<u64>) -> bool {
        let (open, first) = (self.open_count, self.first);
        let (now, origin) = (clock::now(), self.rules.origin);
        let is_open = self.state(ticket.seq) != State::Closed;
        let Some(attempts) = self.attempts.as_mut().filter(|_| is_open) else { return false };
        attempts.note_open(first, open);
        attempts.note_hit(now.saturating_sub(origin));
        if !attempts.rules.guarantee.retries() {
            attempts.account.exhausted += 1;
            return false;
        }
        let Some(ready) = attempts.next(ticket, retry_after, now) else {
            attempts.account.exhausted += 1;
            return false;
        };
        attempts.waiting.push(Reverse((ready, ticket.seq)));
        attempts.changed.notify_one();
        true
    }

    /// An event has its outcome, and was not acknowledged.
    pub fn undelivered(&mut self, due: u64) {
        if let Some(attempts) = &mut self.attempts {
            attempts.undelivered |= due < self.rules.origin.saturating_add(attempts.end());
        }
    }

    /// An event was acknowledged: its instants, of which the last pause is the slot's no more than the event's.
    #[cold]
    pub fn settled(&mut self, ticket: &Ticket, mut at: Instants) -> Instants {
        let origin = self.rules.origin;
        let oldest = self.open.front().map(|entry| entry.ticket.due.saturating_sub(origin));
        let Some(attempts) = &mut self.attempts else { return at };
        if let Some(retried) = attempts.retried.remove(&ticket.seq) {
            at.free = at.free.max(retried.ready);
        }
        let (end, done) = (attempts.end(), at.done.saturating_sub(origin));
        if done >= end
            && attempts.has_hit
            && let Some(recovery) = &mut attempts.account.recovery
        {
            recovery.first_event_ns.get_or_insert(done - end);
            if oldest.is_none_or(|due| due >= end) && !attempts.undelivered {
                recovery.caught_up_ns.get_or_insert(done - end);
            }
            if !attempts.rules.pipelined {
                recovery.all_back_ns = recovery.first_event_ns;
            }
        }
        at
    }
}

impl Ledger {
    /// The same where events are tried again, or something breaks.
    #[must_use]
    pub(crate) fn with_attempts(self, rules: AttemptRules) -> Ledger {
        self.0.borrow_mut().attempts = Some(Box::new(Attempts::new(rules)));
        self
    }

    /// The event failed, or one of its attempts did. The target may want the next attempt no sooner than after so many ns.
    pub(crate) fn refuse(
        &self,
        ticket: &Ticket,
        (why, retry_after): (Failure, Option<u64>),
        message: &str,
    ) {
        let mut inner = self.0.borrow_mut();
        if let Some(attempts) = inner.attempts.as_mut().filter(|_| why == Failure::Refused) {
            attempts.account.connections_refused += 1;
            attempts.sent_again();
        }
        if why != Failure::Backlog && inner.is_tried_again(ticket, retry_after) {
            inner.account.fault(message);
            return;
        }
        drop(inner);
        self.give_up(ticket, why, message);
    }

    /// The event failed, and there is no further attempt.
    pub(crate) fn give_up(&self, ticket: &Ticket, why: Failure, message: &str) {
        let mut inner = self.0.borrow_mut();
        if let Some(after) = inner.close(ticket, PastOutcome::Ended) {
            inner.outcomes(after).fail(why);
            inner.account.fault(message);
            if let Some(deliveries) = &mut inner.deliveries {
                deliveries.unpublished(ticket.seq);
            }
            inner.undelivered(ticket.due);
        }
    }

    /// What the attempts came to.
    pub(crate) fn attempts(&self) -> Option<AttemptAccount> {
        let inner = self.0.borrow();
        let attempts = inner.attempts.as_ref()?;
        let (open, mut account) = (inner.open_count, attempts.account);
        account.open_peak = account.open_peak.max(open);
        if let (Some(recovery), true) = (&mut account.recovery, attempts.undelivered) {
            recovery.caught_up_ns = None;
        }
        Some(account)
    }

    /// All connections are reset when the planned fault begins, this long after the origin, ns.
    pub(crate) fn is_cut_at(&self) -> Option<u64> {
        let inner = self.0.borrow();
        let AttemptRules { fault, cuts, .. } = inner.attempts.as_ref()?.rules;
        fault.filter(|_| cuts).map(|(at, _)| at)
    }

    /// Something breaks as planned: it says nothing about the target's settings.
    pub(crate) fn breaks(&self) -> bool {
        self.0.borrow().attempts.as_ref().is_some_and(|attempts| attempts.rules.breaks)
    }

    /// The pauses between attempts at the connection of a slot, where a pause is the connection's.
    pub(crate) fn reconnect_backoff(&self, slot: usize) -> Option<Backoff> {
        let inner = self.0.borrow();
        let AttemptRules { guarantee, seed, pipelined, .. } = &inner.attempts.as_ref()?.rules;
        let number = inner.rules.shard + inner.rules.of * slot as u64;
        (*pipelined && guarantee.retries()).then(|| Backoff::new(guarantee, !*seed, number))
    }

    /// The target wants the next connection no sooner than after this, ns.
    pub(crate) fn stay_away(&self, pause: u64) {
        if let Some(attempts) = &mut self.0.borrow_mut().attempts {
            attempts.stay_away = Some(pause);
        }
    }

    pub(crate) fn take_stay_away(&self) -> Option<u64> {
        self.0.borrow_mut().attempts.as_mut()?.stay_away.take()
    }

    /// An attempt at a connection failed.
    pub(crate) fn event_connection_refused(&self) {
        if let Some(attempts) = &mut self.0.borrow_mut().attempts {
            attempts.account.connections_refused += 1;
        }
    }

    /// The connection of a slot was made again.
    pub(crate) fn back(&self, slot: usize) {
        let mut inner = self.0.borrow_mut();
        let since = clock::now().saturating_sub(inner.rules.origin);
        let Some(attempts) = &mut inner.attempts else { return };
        let (end, slots) = (attempts.end(), attempts.rules.slots);
        let has_begun = attempts.rules.fault.is_some_and(|(at, _)| since >= at);
        if !has_begun || !attempts.back.insert(slot) || attempts.back.len() < slots {
            return;
        }
        if let Some(recovery) = &mut attempts.account.recovery {
            recovery.all_back_ns = Some(since.saturating_sub(end));
        }
    }

    /// The next event whose pause is over, or when the next one's will be.
    fn next_again(&self, now: u64) -> Result<Ticket, Option<u64>> {
        let mut inner = self.0.borrow_mut();
        loop {
            let Some(attempts) = &mut inner.attempts else { return Err(None) };
            let Some(Reverse((ready, seq))) = attempts.waiting.peek().copied() else {
                return Err(None);
            };
            if ready > now {
                return Err(Some(ready));
            }
            attempts.waiting.pop();
            // It may have timed out meanwhile.
            if let Some(entry) = inner.entry(seq).filter(|entry| entry.state != State::Closed) {
                return Ok(entry.ticket);
            }
        }
    }

    /// Puts events whose pause is over back into the feed.
    pub(crate) async fn send_again(&self, queue: &EventQueue) -> io::Result<Infallible> {
        let changed = self.0.borrow().attempts.as_ref().map(|a| a.changed.clone());
        let (changed, timer) = (changed.unwrap_or_default(), Timer::new()?);
        loop {
            match self.next_again(clock::now()) {
                Ok(ticket) => queue.put_again(ticket),
                Err(None) => changed.notified().await,
                Err(Some(ready)) => tokio::select! {
                    fired = timer.until(ready) => fired?,
                    () = changed.notified() => {}
                },
            }
        }
    }
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
