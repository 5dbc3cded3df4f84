//! Waiting for an instant, exactly: tokio's own timer wakes on a 1 ms grid, too coarse for a schedule
//! and for a handler with a known delay.

use crate::clock;
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;

/// A `timerfd` on the monotonic clock.
pub struct Timer {
    fd: AsyncFd<OwnedFd>,
    /// Not for other threads, but servers move theirs between them.
    armed: AtomicU64,
}

impl Timer {
    /// A timer that is not armed; needs a tokio runtime with I/O.
    pub fn new() -> io::Result<Timer> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // SAFETY: the timer owns its descriptor, which stays open and the same until it is dropped.
        let registered = unsafe { AsyncFd::register(fd) };
        Ok(Timer { fd: registered.map_err(io::Error::from)?, armed: AtomicU64::new(u64::MAX) })
    }

    /// Arms it for an instant of the monotonic clock in ns; one in the past fires at once.
    pub fn arm(&self, instant: u64) -> io::Result<()> {
        let instant = instant.max(1); // zero would disarm it
        let value = Timespec {
            tv_sec: (instant / 1_000_000_000) as i64,
            tv_nsec: (instant % 1_000_000_000) as _,
        };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = Itimerspec { it_interval: never, it_value: value };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &spec)?;
        self.armed.store(instant, Ordering::Relaxed);
        Ok(())
    }

    /// Ready once the armed instant has come.
    pub fn poll_fired(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Arming it again discards earlier expirations, and the clock shows which instant has passed: reading
        // the number of expirations would be two more system calls a wait.
        loop {
            ready!(self.fd.poll_read_ready(cx))?.clear_ready();
            if clock::now() >= self.armed.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Waits until an instant.
    pub async fn until(&self, instant: u64) -> io::Result<()> {
        self.arm(instant)?;
        std::future::poll_fn(|cx| self.poll_fired(cx)).await
    }
}
