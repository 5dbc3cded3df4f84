//! The one clock: `CLOCK_MONOTONIC` in nanoseconds, the clock `timerfd` is armed on.

use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static WOKEN: Cell<u64> = const { Cell::new(0) };
}

/// When the task that runs now was woken: for one that reads, the instant the poll returned.
#[inline]
pub fn woken() -> u64 {
    WOKEN.get()
}

/// Set before a task is polled.
#[inline]
pub fn set_woken(instant: u64) {
    WOKEN.set(instant);
}

/// Nanoseconds on the monotonic clock. Differences mean something, the value itself does not.
#[inline]
pub fn now() -> u64 {
    nanos(clock_gettime(ClockId::Monotonic))
}

/// Now, and the instant of [`now`] at which the clock of the kernel's receive timestamps (`CLOCK_REALTIME`) showed
/// `stamp`; `None` where it has not shown it yet, because it was set back meanwhile.
///
/// Both clocks run at one rate, adjusted together, and differ by a constant until the time of day is set. Reading both
/// here limits a step to what is on its way at that moment. Monotonic is read last: the instant is never too early, and
/// too late by the time between the two reads at most.
#[inline]
pub fn dated(stamp: u64) -> (u64, Option<u64>) {
    let real = nanos(clock_gettime(ClockId::Realtime));
    let now = now();
    (now, real.checked_sub(stamp).map(|ago| now.saturating_sub(ago)))
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

#[inline]
fn nanos(t: rustix::time::Timespec) -> u64 {
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_of_the_other_clock_comes_back_as_the_instant_it_was_taken() {
        for _ in 0..100 {
            let before = now();
            let stamp = nanos(clock_gettime(ClockId::Realtime));
            let after = now();
            while now() < after + 100_000 {}
            let converting = now();
            let (read, instant) = dated(stamp);
            let instant = instant.expect("it was taken before");
            // Each clock is cut to whole nanoseconds by itself.
            assert!(instant + 2 >= before && instant <= after + (read - converting) + 2);
        }
    }

    #[test]
    fn a_stamp_that_lies_ahead_dates_nothing() {
        let ahead = nanos(clock_gettime(ClockId::Realtime)) + 60_000_000_000;
        assert_eq!(dated(ahead).1, None);
    }
}
