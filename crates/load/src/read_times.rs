//! When a connection was last read, and when a write began that is awaited.

use crate::ledger::DeliveryTimes;
use pushbench_host::clock;
use std::cell::Cell;

/// Instants of the last read, and of a write that is awaited, shared with the later owner of the stream.
#[derive(Debug, Default)]
pub struct ReadTimes {
    read: Cell<u64>,
    woken: Cell<u64>,
    /// Of a delivery: `woken` is the instant at which it arrived.
    stamped: Cell<bool>,
    /// When the first write since [`ReadTimes::await_write`] began; [`AWAITED`] until then, and 0 where nobody
    /// asked.
    written: Cell<u64>,
    /// The connection is reset when it is dropped.
    reset: Cell<bool>,
}

/// No instant: the next write is awaited.
const AWAITED: u64 = 1;

impl ReadTimes {
    /// When the last read that brought bytes returned.
    pub fn read(&self) -> u64 {
        self.read.get()
    }

    /// The connection was opened now, which the peer has answered.
    pub(crate) fn opened(&self) {
        self.read.set(clock::now());
    }

    /// The connection is reset when it is dropped, instead of closed.
    pub(crate) fn reset_when_dropped(&self) {
        self.reset.set(true);
    }

    /// Whether it is.
    pub(crate) fn is_reset(&self) -> bool {
        self.reset.get()
    }

    /// A read that is no delivery's has brought bytes now.
    #[inline]
    pub(crate) fn answered(&self) {
        self.read.set(clock::now());
        self.woken.set(clock::woken());
    }

    /// When the task that did it was woken.
    pub fn woken(&self) -> u64 {
        self.woken.get()
    }

    /// The beginning of the next write is noted.
    pub(crate) fn await_write(&self) {
        self.written.set(AWAITED);
    }

    /// When the write that was awaited began; `None` before.
    pub(crate) fn written(&self) -> Option<u64> {
        Some(self.written.get()).filter(|at| *at > AWAITED)
    }

    #[inline]
    pub(crate) fn writing(&self) {
        if self.written.get() == AWAITED {
            self.written.set(clock::now());
        }
    }

    /// A delivery was read now. It had arrived when the kernel says; where it does not say, when the task was woken;
    /// and where it names an instant that has not come, now.
    pub(crate) fn arrived(&self, stamp: Option<u64>) {
        let (read, arrived) = match stamp.map(clock::dated) {
            Some((read, arrived)) => (read, arrived),
            None => (clock::now(), Some(clock::woken())),
        };
        self.read.set(read);
        self.woken.set(arrived.unwrap_or(read));
        self.stamped.set(stamp.is_some() && arrived.is_some());
    }

    /// Those of a delivery that was read last.
    pub fn delivery(&self) -> DeliveryTimes {
        let (read, stamped) = (self.read.get(), self.stamped.get());
        DeliveryTimes { read, arrived: self.woken.get().min(read), stamped }
    }
}
