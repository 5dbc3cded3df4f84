//! What the connections of a faulty server share: its fault and the exact tally of what it did.

use crate::server_fault::ServerFault;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a server really did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections accepted.
    pub connections: u64,
    /// WebSocket handshakes requested.
    pub handshakes: u64,
    /// Of them, turned down or never answered.
    pub failed_handshakes: u64,
    /// Connections on which an event came.
    pub used: u64,
    /// Of them, closed when it came.
    pub hung_up: u64,
    /// Events read.
    pub events: u64,
    /// Of them, struck by the fault.
    pub affected: u64,
    /// Proper answers given in time.
    pub answered: u64,
    /// Proper answers given after the time-out.
    pub late: u64,
    /// Events left unread until the peer had closed.
    pub unread_events: u64,
}

/// A running server, seen from its connections.
pub(super) struct Site {
    pub fault: ServerFault,
    tally: Mutex<Tally>,
    ended: AtomicBool,
}

impl Site {
    pub fn new(fault: ServerFault) -> Site {
        Site { fault, tally: Mutex::default(), ended: AtomicBool::new(false) }
    }

    /// Changes or reads the tally.
    pub fn tally<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        // A count stays a count when another connection's thread has panicked.
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Nobody will come any more.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}
