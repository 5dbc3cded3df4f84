//! The one clock: `CLOCK_MONOTONIC` in nanoseconds, the clock `timerfd` is armed on.

use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static WOKEN: Cell<u64> = const { Cell::new(0) };
}

/// When the task that runs now was woken: for one that reads, the instant the poll returned.
pub fn woken() -> u64 {
    WOKEN.get()
}

/// Set before a task is polled.
pub fn set_woken(instant: u64) {
    WOKEN.set(instant);
}

/// Nanoseconds on the monotonic clock. Differences mean something, the value itself does not.
pub fn now() -> u64 {
    nanos(clock_gettime(ClockId::Monotonic))
}

/// CPU time of the calling thread in nanoseconds.
pub fn thread_cpu() -> u64 {
    nanos(clock_gettime(ClockId::ThreadCPUTime))
}

/// Sleeps the calling thread until an instant of [`now`], however often a signal interrupts it.
pub fn sleep_until(instant: u64) {
    loop {
        let left = instant.saturating_sub(now());
        if left == 0 {
            return;
        }
        std::thread::sleep(Duration::from_nanos(left));
    }
}

fn nanos(t: rustix::time::Timespec) -> u64 {
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}
