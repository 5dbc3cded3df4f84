//! The ledger's records of subscribers in a fan-out.

use crate::ledger::Ledger;
use crate::ledger::delivery_ledger::{Awaiting, DeliveryLedger};
use pushbench_core::record::fanout::{Audience, Resumption, Turnover};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::wire::Traffic;
use pushbench_host::clock;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// When a delivery was read, and when it could have been.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryTimes {
    /// Its last read returned.
    pub read: u64,
    /// Its last byte had arrived, with what was read together with it; at most `read`.
    pub arrived: u64,
    /// The kernel says so. Otherwise it is the instant at which the reading task was woken.
    pub stamped: bool,
}

impl DeliveryTimes {
    /// Those of a slow subscriber's delivery, which counts when it is handled.
    pub fn handled(now: u64) -> DeliveryTimes {
        DeliveryTimes { read: now, arrived: now, stamped: false }
    }

    /// Nothing arrives before it is published. Such an instant is not the delivery's; its read is.
    pub(super) fn after(self, published: u64) -> DeliveryTimes {
        match self.arrived >= published {
            true => self,
            false => DeliveryTimes::handled(self.read),
        }
    }
}

/// What the subscribers' connections have seen until some instant.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionTotals {
    /// Open now.
    pub connections: u64,
    /// Bytes read, set-up included.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Pings read.
    pub pings: u64,
    /// Reads that brought something.
    pub reads: u64,
    /// Requests made since measuring began.
    pub requests: u64,
    /// Deliveries without an outcome.
    pub unsettled: u64,
}

impl Ledger {
    /// The same for a fan-out: every event is also due at these subscribers. `max_polling_delay`: how long a
    /// delivery waits at most by design.
    pub(crate) fn with_subscribers(self, audience: Audience, max_polling_delay: Duration) -> Self {
        let mut inner = self.0.into_inner();
        let max_polling_delay = max_polling_delay.as_nanos() as u64;
        inner.deliveries =
            Some(DeliveryLedger::new(audience, inner.rules.timeout, max_polling_delay));
        Ledger(RefCell::new(inner))
    }

    /// A subscriber has read the event of this index, or something that is none.
    pub fn receive(&self, subscriber: usize, index: Option<u64>, times: DeliveryTimes) {
        self.0.borrow_mut().receive(subscriber, index, times);
    }

    /// A subscriber has made a request, for events or to acknowledge them. `empty`: it requested events
    /// and got none.
    pub(crate) fn requested(&self, empty: bool) {
        let mut inner = self.0.borrow_mut();
        let measuring = u64::from(inner.measuring);
        if let Some(deliveries) = &mut inner.deliveries {
            deliveries.account.requests += measuring;
            deliveries.account.empty += measuring * u64::from(empty);
        }
    }

    /// Events are due at a subscriber of that number.
    pub(crate) fn has_subscriber(&self, number: usize) -> bool {
        let inner = self.0.borrow();
        let here = |s: &DeliveryLedger| number < s.audience.subscribers && s.share.has(number);
        inner.deliveries.as_ref().is_some_and(here)
    }

    /// A subscription was cut off by the other end.
    pub fn cut_off(&self, subscriber: usize) {
        if let Some(deliveries) = &mut self.0.borrow_mut().deliveries {
            deliveries.cut_off(subscriber, clock::now());
        }
    }

    /// A subscriber knows that its connection has ended, so long after something had come to it last, ns.
    pub(crate) fn noticed(&self, took: u64) {
        if let Some(deliveries) = &mut self.0.borrow_mut().deliveries {
            deliveries.turnover().noticed.record(took);
        }
    }

    /// A subscriber begins to leave.
    pub fn leaving(&self, subscriber: usize) {
        if let Some(deliveries) = &mut self.0.borrow_mut().deliveries {
            deliveries.leaving(subscriber, clock::now());
        }
    }

    /// A subscriber that was away is subscribed again; it sent the request at `requested_at`.
    pub fn subscribed(&self, subscriber: usize, requested_at: u64) {
        if let Some(deliveries) = &mut self.0.borrow_mut().deliveries {
            deliveries.subscribed(subscriber, requested_at, clock::now());
        }
    }

    /// An attempt to subscribe again has failed.
    pub(crate) fn subscription_failed(&self) {
        if let Some(deliveries) = &mut self.0.borrow_mut().deliveries {
            deliveries.subscription_failed();
        }
    }

    /// The path is disrupted now.
    pub(crate) fn disrupted(&self) {
        if let Some(deliveries) = &mut self.0.borrow_mut().deliveries {
            deliveries.disrupted(clock::now());
        }
    }

    /// Something due at a subscriber has no outcome yet.
    pub(crate) fn awaits(&self, subscriber: usize) -> bool {
        self.0.borrow().deliveries.as_ref().is_some_and(|s| s.awaits(subscriber))
    }

    /// Counts a connection that carries deliveries.
    pub(crate) fn delivery_connected(&self) {
        if let Some(deliveries) = &mut self.0.borrow_mut().deliveries {
            deliveries.account.connections += 1;
            deliveries.totals.connections += 1;
        }
        self.note_connected();
    }

    /// Such a connection is closed.
    pub(crate) fn delivery_closed(&self) {
        if let Some(deliveries) = &mut self.0.borrow_mut().deliveries {
            deliveries.totals.connections -= 1;
        }
    }

    /// Such a connection has carried bytes.
    pub(crate) fn delivery_carried(&self, bytes_in: usize, bytes_out: usize) {
        if let Some(deliveries) = &mut self.0.borrow_mut().deliveries {
            deliveries.totals.reads += u64::from(bytes_in > 0);
            deliveries.totals.bytes_in += bytes_in as u64;
            deliveries.totals.bytes_out += bytes_out as u64;
        }
    }

    /// A ping came to a subscriber.
    pub fn pinged(&self) {
        if let Some(deliveries) = &mut self.0.borrow_mut().deliveries {
            deliveries.account.pings += 1;
        }
    }

    /// What subscribers' connections have seen until now.
    pub fn totals(&self) -> ConnectionTotals {
        let inner = self.0.borrow();
        inner.deliveries.as_ref().map_or_else(ConnectionTotals::default, |s| ConnectionTotals {
            pings: s.account.pings,
            requests: s.account.requests,
            unsettled: s.open,
            ..s.totals
        })
    }

    /// Adds the bytes and segments of such a connection when it ends.
    pub(crate) fn delivery_traffic(&self, traffic: Traffic) {
        if let Some(deliveries) = &mut self.0.borrow_mut().deliveries {
            deliveries.account.traffic.add(&traffic);
        }
    }
}

impl DeliveryLedger {
    /// A subscription was cut off: what is open at it is lost, what comes due until it is back fails.
    pub fn cut_off(&mut self, subscriber: usize, now: u64) {
        self.await_no_first_event(subscriber);
        self.guarantee.iter_mut().for_each(|guarantee| guarantee.recovery.cut_off(now));
        if self.keeps() {
            self.turnover().cut_off += 1;
            return;
        }
        self.begin_gap(subscriber, now);
        // One that is leaving only loses what is on its way.
        if self.present.has(subscriber) && self.cut_off_subscribers.insert(subscriber as u32) {
            if self.cut_off_subscribers.len() == 1 {
                self.cut_off_at = now;
            }
            self.turnover().cut_off += 1;
        }
        self.lose(subscriber, u64::MAX);
    }

    /// A subscriber begins to leave: events due from now on are not due at it.
    pub fn leaving(&mut self, subscriber: usize, now: u64) {
        if !self.present.has(subscriber) {
            return;
        }
        Rc::make_mut(&mut self.present).clear(subscriber);
        self.count_recipient(subscriber, |n| *n -= 1);
        self.turnover().left += 1;
        self.await_no_first_event(subscriber);
        self.record_recovery(subscriber, now);
    }

    /// A subscriber's subscription was confirmed `now`: events due from now on are due at it. It had
    /// sent the request at `requested_at`.
    pub fn subscribed(&mut self, subscriber: usize, requested_at: u64, now: u64) {
        if !self.present.has(subscriber) {
            Rc::make_mut(&mut self.present).set(subscriber);
            self.count_recipient(subscriber, |n| *n += 1);
        }
        self.end_gap(subscriber, now);
        let turnover = self.turnover();
        turnover.came += 1;
        turnover.subscribing.record(now.saturating_sub(requested_at));
        let awaiting = self.awaiting_first_event.entry(subscriber as u32).or_default();
        awaiting.requested_at = Some(requested_at);
        self.record_recovery(subscriber, now);
    }

    fn await_no_first_event(&mut self, subscriber: usize) {
        if let Some(awaiting) = self.awaiting_first_event.get_mut(&(subscriber as u32)) {
            awaiting.requested_at = None;
        }
    }

    /// The path is disrupted: each subscriber waits for an event that comes due from now on.
    pub(super) fn disrupted(&mut self, now: u64) {
        let present = (0..self.audience.subscribers).filter(|n| self.present.has(*n));
        let subscribers: Vec<usize> = present.collect();
        for subscriber in &subscribers {
            let awaiting = self.awaiting_first_event.entry(*subscriber as u32).or_default();
            awaiting.disrupted_at = Some(now);
        }
        let subscribers = subscribers.len() as u64;
        self.account.resumption = Some(Resumption { subscribers, took: Hist::new() });
    }

    /// A subscriber has read an event that it may have waited for.
    pub(super) fn first_event(
        &mut self,
        subscriber: usize,
        awaiting: Awaiting,
        event: u64,
        at: u64,
    ) {
        if let Some(requested_at) = awaiting.requested_at {
            self.turnover().first_event.record(at.saturating_sub(requested_at));
        }
        let Some(disrupted_at) = awaiting.disrupted_at else { return };
        let due = self.at(event).map_or(0, |fanout_event| fanout_event.due);
        if due < disrupted_at {
            let awaiting = Awaiting { requested_at: None, ..awaiting };
            self.awaiting_first_event.insert(subscriber as u32, awaiting);
        } else if let Some(resumption) = &mut self.account.resumption {
            resumption.took.record(at.saturating_sub(disrupted_at));
        }
    }

    fn record_recovery(&mut self, subscriber: usize, now: u64) {
        if self.cut_off_subscribers.remove(&(subscriber as u32))
            && self.cut_off_subscribers.is_empty()
        {
            let took = now.saturating_sub(self.cut_off_at);
            self.turnover().recovery.record(took);
        }
    }

    /// An attempt to subscribe has failed.
    pub(crate) fn subscription_failed(&mut self) {
        self.turnover().refused += 1;
    }

    pub(super) fn turnover(&mut self) -> &mut Turnover {
        self.account.turnover.get_or_insert_default()
    }
}
