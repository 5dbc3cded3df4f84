//! The open events of one connection that can hold many: which slots are free since when, and which
//! answer belongs to which event.

use crate::connect_config::ConnectConfig;
use crate::feed::Feed;
use crate::io::Stamps;
use crate::ledger::{Instants, Ledger, Ticket};
use pushbench_core::event::Matched;
use pushbench_host::clock;
use pushbench_wire::fault::Fault;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll};

struct Flying {
    ticket: Ticket,
    free: u64,
    sent: u64,
    nth: u64,
}

/// A connection's window.
pub struct Window {
    ledger: Rc<Ledger>,
    matched: Matched,
    flying: VecDeque<Flying>,
    /// Instants the free slots were released, oldest first.
    free: VecDeque<u64>,
    /// Since when the socket takes bytes.
    writable: u64,
    carried: u64,
    left: u64,
    expirations: u64,
}

impl Window {
    /// The window of a connection that is open and writable now.
    pub fn new(connect_config: &ConnectConfig) -> Window {
        let now = clock::now();
        Window {
            ledger: connect_config.ledger.clone(),
            matched: connect_config.matched.clone(),
            flying: VecDeque::with_capacity(connect_config.in_flight),
            free: std::iter::repeat_n(now, connect_config.in_flight).collect(),
            writable: now,
            carried: 0,
            left: connect_config.left(0),
            expirations: connect_config.ledger.expirations(),
        }
    }

    /// No open events.
    pub fn is_empty(&self) -> bool {
        self.flying.is_empty()
    }

    /// The connection's lifetime is over: it takes no further event.
    pub fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Bytes that had been waiting were written: the socket takes further ones from now on.
    pub fn writable_again(&mut self) {
        self.writable = clock::now();
    }

    /// Takes the next event if a slot is free, and stamps it as sent: write it at once.
    pub fn take(&mut self, feed: &Feed, cx: &Context<'_>) -> Poll<Option<Ticket>> {
        if self.left == 0 || self.free.is_empty() {
            return Poll::Pending;
        }
        let Poll::Ready(next) = feed.poll_next(cx) else {
            return Poll::Pending;
        };
        let Some(ticket) = next else {
            return Poll::Ready(None);
        };
        let free = self.free.pop_front().unwrap_or(self.writable);
        self.left -= 1;
        self.carried += 1;
        self.ledger.sent(&ticket);
        self.flying.push_back(Flying {
            ticket,
            free: free.max(self.writable),
            sent: clock::now(),
            nth: self.carried,
        });
        Poll::Ready(Some(ticket))
    }

    /// An answer was read.
    pub fn answer(&mut self, answer: &[u8], stamps: &Stamps) {
        let at = match &self.matched {
            Matched::ByOrder => (!self.flying.is_empty()).then_some(0),
            by_id => {
                let index = by_id.index(answer);
                let at = index.and_then(|i| self.flying.iter().position(|f| f.ticket.index == i));
                if at.is_none() {
                    self.ledger.stray(index);
                    return;
                }
                at
            }
        };
        let Some(flying) = at.and_then(|at| {
            if at > 0 {
                self.ledger.reordered();
            }
            self.flying.remove(at)
        }) else {
            self.ledger.stray(None);
            return;
        };
        let instants = Instants {
            free: flying.free,
            sent: flying.sent,
            done: stamps.read(),
            woken: stamps.woken(),
            nth: flying.nth,
        };
        self.ledger.acknowledge(&flying.ticket, instants);
        self.free.push_back(stamps.read());
    }

    /// Frees the slots of events that have timed out. Matched by order a late answer would be taken
    /// for that of the next event, so the connection is given up.
    pub fn drop_expired(&mut self) -> Result<(), Fault> {
        let expirations = self.ledger.expirations();
        if std::mem::replace(&mut self.expirations, expirations) == expirations {
            return Ok(());
        }
        let before = self.flying.len();
        let ledger = &self.ledger;
        self.flying.retain(|f| ledger.is_open(&f.ticket));
        let freed = before - self.flying.len();
        if freed > 0 {
            if self.matched == Matched::ByOrder {
                return Err(Fault::TimedOut);
            }
            self.free.extend(std::iter::repeat_n(clock::now(), freed));
        }
        Ok(())
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        for flying in &self.flying {
            self.ledger.lose(&flying.ticket);
        }
    }
}
