//! What the ledger of a fan-out hears of subscribers.

use crate::ledger::Ledger;
use crate::ledger::spread::Spreads;
use pushbench_core::record::fanout::Audience;
use pushbench_core::record::wire::Traffic;
use pushbench_host::clock;
use std::cell::RefCell;
use std::time::Duration;

/// What the subscribers' connections have seen until some instant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held {
    /// Open now.
    pub connections: u64,
    /// Bytes read, set-up included.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Pings read.
    pub pings: u64,
    /// Deliveries without an outcome.
    pub unsettled: u64,
}

impl Ledger {
    /// The same for a fan-out: every event is also due at these subscribers. `rests`: how long a
    /// delivery waits at most by design.
    pub fn fanning_out(self, audience: Audience, rests: Duration) -> Self {
        let mut book = self.0.into_inner();
        let rests = rests.as_nanos() as u64;
        book.spreads = Some(Spreads::new(audience, book.rules.timeout, rests));
        Ledger(RefCell::new(book))
    }

    /// A subscriber has read the event of this index, or something that is none. `done`: its last read
    /// returned; `woken`: the reading task was.
    pub fn receive(&self, subscriber: usize, index: Option<u64>, done: u64, woken: u64) {
        self.0.borrow_mut().receive(subscriber, index, done, woken);
    }

    /// A subscriber has made a request, for events or to acknowledge them. `empty`: it asked for events
    /// and got none.
    pub fn requested(&self, empty: bool) {
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

    /// A subscription was cut off by the other end.
    pub fn cut_off(&self, subscriber: usize) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.cut_off(subscriber, clock::now());
        }
    }

    /// A subscriber begins to leave.
    pub fn leaving(&self, subscriber: usize) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.leaving(subscriber, clock::now());
        }
    }

    /// A subscriber that was away is subscribed again; it had asked for it at `asked`.
    pub fn came(&self, subscriber: usize, asked: u64) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.came(subscriber, asked, clock::now());
        }
    }

    /// An attempt to subscribe again has failed.
    pub fn turned_down(&self) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.turned_down();
        }
    }

    /// Something due at a subscriber has no outcome yet.
    pub fn awaits(&self, subscriber: usize) -> bool {
        self.0.borrow().spreads.as_ref().is_some_and(|s| s.awaits(subscriber))
    }

    /// Counts a connection that carries deliveries.
    pub fn delivery_connected(&self) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.account.connections += 1;
            spreads.held.connections += 1;
        }
    }

    /// Such a connection is closed.
    pub fn delivery_closed(&self) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.held.connections -= 1;
        }
    }

    /// Such a connection has carried bytes.
    pub fn delivery_carried(&self, bytes_in: usize, bytes_out: usize) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.held.bytes_in += bytes_in as u64;
            spreads.held.bytes_out += bytes_out as u64;
        }
    }

    /// A ping came to a subscriber.
    pub fn pinged(&self) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.account.pings += 1;
        }
    }

    /// What subscribers' connections have seen until now.
    pub fn held(&self) -> Held {
        let book = self.0.borrow();
        book.spreads.as_ref().map_or_else(Held::default, |s| Held {
            pings: s.account.pings,
            unsettled: s.open,
            ..s.held
        })
    }

    /// Adds the bytes and segments of such a connection when it ends.
    pub fn delivery_traffic(&self, traffic: Traffic) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.account.traffic.add(&traffic);
        }
    }
}
