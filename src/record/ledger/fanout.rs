//! What the ledger of a fan-out hears of subscribers.

use super::Ledger;
use super::spread::Spreads;
use crate::record::wire::Traffic;
use std::cell::RefCell;
use std::time::Duration;

impl Ledger {
    /// The same for a fan-out: every event is also due at each of these subscribers. `rests`: how long a
    /// delivery waits at most by design.
    pub fn fanning_out(self, subscribers: usize, rests: Duration) -> Self {
        let mut book = self.0.into_inner();
        let rests = rests.as_nanos() as u64;
        book.spreads = Some(Spreads::new(subscribers, book.rules.timeout, rests));
        Ledger(RefCell::new(book))
    }

    /// A subscriber has read the event of this index, or something that is none. `done`: its last read
    /// returned; `woken`: the reading task was.
    pub fn receive(&self, subscriber: usize, index: Option<u64>, done: u64, woken: u64) {
        self.0.borrow_mut().receive(subscriber, index, done, woken);
    }

    /// A subscriber has made a request, for events or to acknowledge them. `empty`: it asked for events
    /// and got none.
    pub fn asked(&self, empty: bool) {
        let mut book = self.0.borrow_mut();
        let measuring = u64::from(book.measuring);
        if let Some(spreads) = &mut book.spreads {
            spreads.account.requests += measuring;
            spreads.account.empty += measuring * u64::from(empty);
        }
    }

    /// Events are due at a subscriber of that number.
    pub fn has_subscriber(&self, number: usize) -> bool {
        let book = self.0.borrow();
        book.spreads.as_ref().is_some_and(|s| (number as u64) < s.account.subscribers)
    }

    /// A subscriber's connection has ended.
    pub fn gone(&self, subscriber: usize) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.gone(subscriber);
        }
    }

    /// A subscriber that had gone is subscribed again.
    pub fn back(&self, subscriber: usize) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.back(subscriber);
        }
    }

    /// Counts a connection that carries deliveries.
    pub fn delivery_connected(&self) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.account.connections += 1;
        }
    }

    /// Adds the bytes and segments of such a connection when it ends.
    pub fn delivery_traffic(&self, traffic: Traffic) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.account.traffic.add(&traffic);
        }
    }
}
