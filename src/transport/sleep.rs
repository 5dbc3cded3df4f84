//! Waiting for an instant, exactly: tokio's own timer wakes on a 1 ms grid, too coarse for a schedule
//! and for a handler with a known delay.

use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;

/// A `timerfd` on the monotonic clock.
pub struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    /// A timer that is not armed; needs a tokio runtime with I/O.
    pub fn new() -> io::Result<Timer> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // SAFETY: the timer owns its descriptor, which stays open and the same until it is dropped.
        let registered = unsafe { AsyncFd::register(fd) };
        Ok(Timer(registered.map_err(io::Error::from)?))
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
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::ABSTIME, &spec)?;
        Ok(())
    }

    /// Ready once the armed instant has come.
    pub fn poll_fired(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            let mut expirations = [0u8; 8];
            let read = guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut expirations)?));
            match read {
                Ok(result) => return Poll::Ready(result.map(drop)),
                Err(_would_block) => {}
            }
        }
    }

    /// Waits until an instant.
    pub async fn until(&self, instant: u64) -> io::Result<()> {
        self.arm(instant)?;
        std::future::poll_fn(|cx| self.poll_fired(cx)).await
    }
}
