//! What the ledger of a fan-out hears of subscribers.

use crate::ledger::Ledger;
use crate::ledger::spread::Spreads;
use pushbench_core::record::fanout::{Audience, Turnover};
use pushbench_core::record::wire::Traffic;
use pushbench_host::clock;
use std::cell::RefCell;
use std::rc::Rc;
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
    pub(crate) fn fanning_out(self, audience: Audience, rests: Duration) -> Self {
        let mut inner = self.0.into_inner();
        let rests = rests.as_nanos() as u64;
        inner.spreads = Some(Spreads::new(audience, inner.rules.timeout, rests));
        Ledger(RefCell::new(inner))
    }

    /// A subscriber has read the event of this index, or something that is none. `done`: its last read
    /// returned; `woken`: the reading task was.
    pub fn receive(&self, subscriber: usize, index: Option<u64>, done: u64, woken: u64) {
        self.0.borrow_mut().receive(subscriber, index, done, woken);
    }

    /// A subscriber has made a request, for events or to acknowledge them. `empty`: it asked for events
    /// and got none.
    pub(crate) fn requested(&self, empty: bool) {
        let mut inner = self.0.borrow_mut();
        let measuring = u64::from(inner.measuring);
        if let Some(spreads) = &mut inner.spreads {
            spreads.account.requests += measuring;
            spreads.account.empty += measuring * u64::from(empty);
        }
    }

    /// Events are due at a subscriber of that number.
    pub(crate) fn has_subscriber(&self, number: usize) -> bool {
        let inner = self.0.borrow();
        inner.spreads.as_ref().is_some_and(|s| (number as u64) < s.account.subscribers)
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
    pub(crate) fn turned_down(&self) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.turned_down();
        }
    }

    /// Something due at a subscriber has no outcome yet.
    pub(crate) fn awaits(&self, subscriber: usize) -> bool {
        self.0.borrow().spreads.as_ref().is_some_and(|s| s.awaits(subscriber))
    }

    /// Counts a connection that carries deliveries.
    pub(crate) fn delivery_connected(&self) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.account.connections += 1;
            spreads.held.connections += 1;
        }
    }

    /// Such a connection is closed.
    pub(crate) fn delivery_closed(&self) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.held.connections -= 1;
        }
    }

    /// Such a connection has carried bytes.
    pub(crate) fn delivery_carried(&self, bytes_in: usize, bytes_out: usize) {
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
        let inner = self.0.borrow();
        inner.spreads.as_ref().map_or_else(Held::default, |s| Held {
            pings: s.account.pings,
            unsettled: s.open,
            ..s.held
        })
    }

    /// Adds the bytes and segments of such a connection when it ends.
    pub(crate) fn delivery_traffic(&self, traffic: Traffic) {
        if let Some(spreads) = &mut self.0.borrow_mut().spreads {
            spreads.account.traffic.add(&traffic);
        }
    }
}

impl Spreads {
    /// A subscription was cut off: what is open at it is lost, what comes due until it is back fails.
    pub fn cut_off(&mut self, subscriber: usize, now: u64) {
        self.newcomers.remove(&(subscriber as u32));
        // One that is leaving only loses what is on its way.
        if self.present.has(subscriber) && self.absent.insert(subscriber as u32) {
            if self.absent.len() == 1 {
                self.cut_off_at = now;
            }
            self.turnover().cut_off += 1;
        }
        self.lose(subscriber);
    }

    /// A subscriber begins to leave: events due from now on are not due at it.
    pub fn leaving(&mut self, subscriber: usize, now: u64) {
        if !self.present.has(subscriber) {
            return;
        }
        Rc::make_mut(&mut self.present).clear(subscriber);
        self.count_here(subscriber, |n| *n -= 1);
        self.turnover().left += 1;
        self.newcomers.remove(&(subscriber as u32));
        self.there_again(subscriber, now);
    }

    /// A subscriber's subscription was confirmed `now`: events due from now on are due at it. It had
    /// asked for it at `asked`.
    pub fn came(&mut self, subscriber: usize, asked: u64, now: u64) {
        if !self.present.has(subscriber) {
            Rc::make_mut(&mut self.present).set(subscriber);
            self.count_here(subscriber, |n| *n += 1);
        }
        let turnover = self.turnover();
        turnover.came += 1;
        turnover.subscribing.record(now.saturating_sub(asked));
        self.newcomers.insert(subscriber as u32, asked);
        self.there_again(subscriber, now);
    }

    fn there_again(&mut self, subscriber: usize, now: u64) {
        if self.absent.remove(&(subscriber as u32)) && self.absent.is_empty() {
            let took = now.saturating_sub(self.cut_off_at);
            self.turnover().recovery.record(took);
        }
    }

    /// An attempt to subscribe has failed.
    pub(crate) fn turned_down(&mut self) {
        self.turnover().refused += 1;
    }

    pub(super) fn turnover(&mut self) -> &mut Turnover {
        self.account.turnover.get_or_insert_default()
    }
}

/// One bit a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    /// Nobody of `n`.
    pub fn none(n: usize) -> Bits {
        Bits(vec![0; n.div_ceil(64)].into())
    }

    /// Everybody of `n`.
    pub fn all(n: usize) -> Bits {
        let mut bits = Bits::none(n);
        (0..n).for_each(|i| bits.set(i));
        bits
    }

    pub fn has(&self, i: usize) -> bool {
        self.0.get(i / 64).is_some_and(|word| word & 1 << (i % 64) != 0)
    }

    pub fn set(&mut self, i: usize) {
        self.0[i / 64] |= 1 << (i % 64);
    }

    pub fn clear(&mut self, i: usize) {
        self.0[i / 64] &= !(1 << (i % 64));
    }
}
