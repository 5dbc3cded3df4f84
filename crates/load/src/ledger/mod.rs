//! The ledger: the outcome and the four instants of every event of one arm in one shard.
//!
//! It holds the open events only; a closed event becomes counts in histograms (law 12).

mod attempts;
mod callbacks;
mod delivery_ledger;
mod fanout;
mod fanout_event;
pub(crate) mod guarantee;
#[cfg(test)]
mod merge_tests;
pub(crate) mod recovery;
mod share;
mod state;

pub(crate) use attempts::{AttemptAccount, AttemptRules};
pub use fanout::{ConnectionTotals, DeliveryTimes};

use pushbench_core::record::account::Account;
use pushbench_core::record::fanout::Deliveries;
use pushbench_core::record::handshakes::Negotiated;
use pushbench_core::record::interval::IntervalCounts;
use pushbench_core::record::outcomes::Failure;
use pushbench_core::record::strata::Split;
use pushbench_core::record::wire::Traffic;
use pushbench_host::clock;
use state::{Entry, OpenEvents, State};
use std::cell::RefCell;

/// An event on its way: handed from the pacer through the feed to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Position in this ledger, from 0, without gaps.
    pub seq: u64,
    /// Position in the whole schedule; the event's id is made of it.
    pub index: u64,
    /// Instant it was due ([`clock::now`] ns). In a closed loop, the instant a slot requested it.
    pub due: u64,
}

/// When an event was free to go, sent and done, and since when its task knew of the answer.
#[derive(Debug, Clone, Copy)]
pub struct Instants {
    /// The slot that carries it was released, connected and writable.
    pub free: u64,
    /// Before its first write.
    pub sent: u64,
    /// Its last read returned.
    pub done: u64,
    /// The reading task was woken (the poll had returned); at most `done`.
    pub woken: u64,
    /// The event's number on its connection, from 1.
    pub nth: u64,
}

/// How a question went out whose answer comes another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendInstants {
    /// As in [`Instants`].
    pub free: u64,
    /// As in [`Instants`].
    pub sent: u64,
    /// As in [`Instants`].
    pub nth: u64,
}

/// What became of an id that is no longer open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastOutcome {
    /// It was acknowledged before: a further answer is a duplicate.
    Acknowledged,
    /// It ended otherwise (timed out, failed): a further answer is late.
    Ended,
    /// Never sent, or too old to be remembered.
    Unknown,
}

/// What a trial of one arm needs to know of its load.
#[derive(Debug, Clone)]
pub struct LedgerRules {
    /// Origin of the trial's wall clock ([`clock::now`] ns).
    pub origin: u64,
    /// Time-out counted from `due`, ns.
    pub timeout: u64,
    /// First shard-wide index and step: this shard holds `shard`, `shard + of`, …
    pub shard: u64,
    /// Number of shards.
    pub of: u64,
    /// Length of the wall clock covered by [`Peaks`](pushbench_core::record::peaks::Peaks).
    pub wall_length: u64,
    /// Length of the warm-up in the arm's own time, ns: events due in it are not measured.
    pub warmup: u64,
    /// Length of the measured window, ns.
    pub window: u64,
    /// How measured events are divided into strata.
    pub split: Option<Split>,
    /// No due instants: response and lag are not recorded.
    pub closed_loop: bool,
}

/// The ledger of one arm in one shard. Shared by the pacer and the connections of one thread.
pub struct Ledger(RefCell<OpenEvents>);

impl Ledger {
    /// An empty ledger. `tells_ids`: answers carry the event's id.
    pub fn new(rules: LedgerRules, tells_ids: bool) -> Self {
        Ledger(RefCell::new(OpenEvents::new(rules, tells_ids)))
    }

    /// Busy periods are recorded: a pilot needs them.
    pub(crate) fn record_busy_periods(&self) {
        self.0.borrow_mut().records_busy_periods = true;
    }

    /// Sets the origin of the wall clock once every shard is ready.
    pub fn begin(&self, origin: u64) {
        self.0.borrow_mut().rules.origin = origin;
        self.begin_recovery(origin);
    }

    /// From now on acknowledgements count into the window.
    pub(crate) fn start_measuring(&self) {
        self.0.borrow_mut().measuring = true;
    }

    /// The last slice is over: whatever is open now was not completed in time.
    pub(crate) fn end_of_schedule(&self) {
        let mut inner = self.0.borrow_mut();
        inner.ended = true;
        inner.account.open_at_end = inner.open_measured();
        let now = clock::now();
        let end = if inner.is_idle() { inner.busy.last_done } else { now };
        inner.end_busy_period(end, now);
        if let Some(deliveries) = &mut inner.deliveries {
            deliveries.end(now);
        }
    }

    /// Another arm's slice begins: events still open here spill into it. Each is counted once, however
    /// many slices it outlives. `longest`: the slice has cut a queue if the current busy period has lasted
    /// longer, ns; `None` where it cuts none, or in the warm-up.
    pub(crate) fn end_of_slice(&self, longest: Option<u64>) {
        let mut inner = self.0.borrow_mut();
        if !inner.is_idle() {
            let now = clock::now();
            let lasted = now.saturating_sub(inner.busy.since);
            inner.account.slices_cut += u64::from(longest.is_some_and(|longest| lasted > longest));
            inner.end_busy_period(now, now);
        }
        if inner.open_count > 0 {
            inner.account.spill += inner.open_measured_from(inner.spilled_to);
        }
        inner.spilled_to = inner.first + inner.open.len() as u64;
        inner.stale = inner.open_count;
        if let Some(deliveries) = &mut inner.deliveries {
            deliveries.end_of_slice();
        }
    }

    /// An event's instant came. `at`: the same instant in the arm's own time, which in a closed loop
    /// is the wall's.
    pub fn open(&self, index: u64, due: u64, at: Option<u64>) -> Ticket {
        let mut inner = self.0.borrow_mut();
        let seq = inner.first + inner.open.len() as u64;
        let ticket = Ticket { seq, index, due };
        inner.comes_due(due);
        let at = at.unwrap_or_else(|| due.saturating_sub(inner.rules.origin));
        let after = at.checked_sub(inner.rules.warmup);
        inner.open.push_back(Entry { ticket, state: State::Waiting, after, send_instants: None });
        inner.open_count += 1;
        inner.outcomes(after).due += 1;
        inner.interval.due += 1;
        if let Some(deliveries) = &mut inner.deliveries {
            deliveries.begin(index, due, after);
        }
        ticket
    }

    /// True until the event has its outcome.
    pub fn is_open(&self, ticket: &Ticket) -> bool {
        self.0.borrow().state(ticket.seq) != State::Closed
    }

    /// The event is about to be written.
    pub fn sent(&self, ticket: &Ticket) {
        let mut inner = self.0.borrow_mut();
        if let Some(entry) = inner.entry(ticket.seq)
            && entry.state == State::Waiting
        {
            entry.state = State::Sent;
            inner.account.sent += 1;
            if let Some(deliveries) = &mut inner.deliveries {
                deliveries.sent(ticket.seq, clock::now());
            }
        } else if let Some(attempts) = &mut inner.attempts {
            attempts.sent_again();
        }
    }

    /// A request is about to be written that may carry several events.
    pub(crate) fn posted(&self) {
        self.0.borrow_mut().account.batches += 1;
    }

    /// The event's acknowledgement was read.
    pub fn acknowledge(&self, ticket: &Ticket, at: Instants) {
        let mut inner = self.0.borrow_mut();
        if let Some(after) = inner.close(ticket, PastOutcome::Acknowledged) {
            inner.busy.last_done = at.done;
            inner.outcomes(after).acknowledged += 1;
            let at = if inner.attempts.is_some() { inner.settled(ticket, at) } else { at };
            let in_window = u64::from(inner.measuring);
            inner.account.acknowledged_in_window += in_window;
            inner.account.acknowledged_by_end += if inner.ended { 0 } else { in_window };
            if let Some(after) = after {
                inner.time(ticket, after, at);
            }
        }
    }

    /// The event failed, or one of its attempts did.
    pub fn fail(&self, ticket: &Ticket, why: Failure, message: &str) {
        self.refuse(ticket, (why, None), message);
    }

    /// The connection ended after the event was sent.
    pub fn lose(&self, ticket: &Ticket) {
        let mut inner = self.0.borrow_mut();
        if inner.is_tried_again(ticket, None) {
            return;
        }
        if let Some(after) = inner.close(ticket, PastOutcome::Ended) {
            inner.outcomes(after).lost += 1;
            inner.deliveries.iter_mut().for_each(|d| d.not_accepted(ticket.seq));
            inner.undelivered(ticket.due);
        }
    }

    /// Times out every event due longer ago than the time-out; returns how many.
    pub fn expire(&self, now: u64) -> usize {
        let mut inner = self.0.borrow_mut();
        let mut expired = 0;
        // Instants come in due order, so the expired ones are at the front.
        for i in 0..inner.open.len() {
            let Entry { ticket, state, after, .. } = inner.open[i];
            if ticket.due + inner.rules.timeout > now {
                break;
            }
            if state == State::Closed {
                continue;
            }
            expired += 1;
            inner.open[i].state = State::Closed;
            inner.closed(ticket.seq);
            inner.remember(&ticket, PastOutcome::Ended);
            let outcomes = inner.outcomes(after);
            outcomes.timed_out += 1;
            outcomes.never_sent += u64::from(state == State::Waiting);
            inner.deliveries.iter_mut().for_each(|d| d.not_accepted(ticket.seq));
            inner.undelivered(ticket.due);
        }
        inner.trim();
        let (first, open) = (inner.first, inner.open_count);
        if let Some(attempts) = &mut inner.attempts {
            attempts.note_open(first, open + expired as u64);
        }
        inner.expirations += u64::from(expired > 0);
        if let Some(deliveries) = &mut inner.deliveries {
            deliveries.expire(now);
        }
        expired
    }

    /// Changes whenever some event has timed out.
    pub fn expirations(&self) -> u64 {
        self.0.borrow().expirations
    }

    /// What became of the event with this index, which no connection is waiting for.
    pub fn past_outcome(&self, index: u64) -> PastOutcome {
        let inner = self.0.borrow();
        match inner.past_outcome[inner.slot(index)] {
            (known, past_outcome) if known == index => past_outcome,
            _ => PastOutcome::Unknown,
        }
    }

    /// Counts an answer that belongs to no open event of its connection.
    pub fn stray(&self, index: Option<u64>) {
        let past_outcome = index.map_or(PastOutcome::Unknown, |i| self.past_outcome(i));
        let mut inner = self.0.borrow_mut();
        match past_outcome {
            PastOutcome::Acknowledged => *inner.account.duplicated.get_or_insert(0) += 1,
            PastOutcome::Ended => inner.account.late += 1,
            PastOutcome::Unknown => inner.account.unsolicited += 1,
        }
    }

    /// Counts a message of the protocol that is no answer.
    pub fn other_message(&self) {
        self.0.borrow_mut().account.other_messages += 1;
    }

    /// Counts an answer that overtook an older one.
    pub fn reordered(&self) {
        *self.0.borrow_mut().account.reordered.get_or_insert(0) += 1;
    }

    /// Counts a connection that was opened.
    pub fn connected(&self) {
        let mut inner = self.0.borrow_mut();
        inner.account.connections += 1;
        let origin = inner.rules.origin;
        if let Some(attempts) = &mut inner.attempts {
            attempts.connected(clock::now(), origin);
        }
    }

    /// Counts a TLS handshake: until TCP was connected, where the driver has connected, and from then on, ns.
    pub(crate) fn handshake(&self, negotiated: &Negotiated, tcp_ns: Option<u64>, tls_ns: u64) {
        let handshakes = &mut self.0.borrow_mut().account.handshakes;
        handshakes.get_or_insert_default().count(negotiated, tcp_ns, tls_ns);
    }

    /// Counts a connection whose ends have agreed on this above TLS.
    pub(crate) fn agreed(&self, words: &str) {
        self.0.borrow_mut().account.agree(words);
    }

    /// Notes what compression, encryption and signatures took for an open event and for its answer, ns.
    pub(crate) fn layer_times(&self, ticket: &Ticket, encode: u64, decode: u64) {
        let mut inner = self.0.borrow_mut();
        if inner.entry(ticket.seq).is_some_and(|entry| entry.after.is_some()) {
            let layers = inner.account.layers.get_or_insert_default();
            layers.encode.record(encode);
            layers.decode.record(decode);
        }
    }

    /// Notes what it took to make a connection again, handshake included, ns.
    pub(crate) fn reconnected(&self, took: u64) {
        self.0.borrow_mut().account.connect.record(took);
    }

    /// Adds the bytes and segments of a connection that ended.
    pub fn traffic(&self, traffic: Traffic) {
        self.0.borrow_mut().account.traffic.add(&traffic);
    }

    /// Notes what went wrong without touching an outcome.
    pub fn fault(&self, message: &str) {
        self.0.borrow_mut().account.fault(message);
    }

    /// Notes the length of the queue.
    pub fn backlog(&self, waiting: usize) {
        let mut inner = self.0.borrow_mut();
        inner.account.backlog_peak = inner.account.backlog_peak.max(waiting as u64);
        inner.interval.backlog_peak = inner.interval.backlog_peak.max(waiting as u64);
    }

    /// Events and deliveries without an outcome.
    pub fn open_count(&self) -> u64 {
        let inner = self.0.borrow();
        inner.open_count + inner.deliveries.as_ref().map_or(0, |s| s.open)
    }

    /// Takes what the current interval has seen and begins the next one.
    pub(crate) fn take_interval(&self) -> IntervalCounts {
        std::mem::take(&mut self.0.borrow_mut().interval)
    }

    /// What the ledger holds, once nothing is open any more.
    pub fn account(&self) -> Account {
        let inner = self.0.borrow();
        let mut account = inner.account.clone();
        // Each service time was counted once, into its half of the window.
        account.halves.iter().for_each(|half| account.service.merge(half));
        account
    }

    /// What subscribers saw, in a fan-out.
    pub fn deliveries(&self) -> Option<Deliveries> {
        self.0.borrow().deliveries.as_ref().map(|s| s.account.clone())
    }
}
