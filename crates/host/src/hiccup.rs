//! The hiccup meter: a thread next to the driver that sleeps a millisecond at a time and records how
//! late it wakes. It measures the machine, not the transports.

use crate::clock;
use pushbench_core::record::histogram::Hist;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Grid of the meter: 1 kHz.
const STEP_NS: u64 = 1_000_000;

/// A running meter.
pub struct Hiccups {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Stalls>,
}

/// What a meter measured.
#[derive(Debug, Clone, Default)]
pub struct Stalls {
    /// One histogram an arm, of the parts of the window in which the arm had its slices.
    pub hists: Vec<Hist>,
    /// The longest time for which the meter, and with it the driver, did not run, from its start to its
    /// end, ns.
    pub pause_ns: u64,
}

/// What the meter covers.
pub struct Span<F> {
    /// First instant measured ([`clock::now`] ns).
    pub from: u64,
    /// Whose slice an instant belongs to; `None` past the end.
    pub owner: F,
    /// Arms in the block.
    pub arms: usize,
}

impl Hiccups {
    /// Starts a meter; `prepare` places its thread.
    pub fn start<F: Fn(u64) -> Option<usize> + Send + 'static>(
        span: Span<F>,
        prepare: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Hiccups> {
        let stop = Arc::new(AtomicBool::new(false));
        let stop_flag = stop.clone();
        let thread = std::thread::Builder::new().name("hiccups".to_owned()).spawn(move || {
            prepare();
            measure(&span, &stop_flag)
        })?;
        Ok(Hiccups { stop, thread })
    }

    /// Ends it.
    pub fn finish(self) -> Stalls {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn measure<F: Fn(u64) -> Option<usize>>(span: &Span<F>, stop: &AtomicBool) -> Stalls {
    let mut stalls = Stalls { hists: vec![Hist::new(); span.arms], pause_ns: 0 };
    let mut next = Some(span.from);
    loop {
        // Short sleeps only: the meter must end soon after the stop flag is set.
        let longest = clock::now() + 20 * STEP_NS;
        let wait_until = next.map_or(longest, |next| next.min(longest));
        clock::sleep_until(wait_until);
        let now = clock::now();
        stalls.pause_ns = stalls.pause_ns.max(now.saturating_sub(wait_until));
        if stop.load(Ordering::Relaxed) {
            return stalls;
        }
        // Grid points missed during a stall count too: each was due, and each is late.
        while let Some(at) = next.filter(|at| *at <= now) {
            next = (span.owner)(at).map(|arm| {
                stalls.hists[arm].record((now - at).max(1));
                at + STEP_NS
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_outside_of_the_window_is_measured_too_and_is_no_stall_of_it() {
        // Nobody owns an instant: the window is over before it began.
        let span = Span { from: clock::now(), owner: |_| None, arms: 1 };
        let stopped = || std::thread::sleep(std::time::Duration::from_millis(30));
        // The thread is held up after its first instant was set, as a stopped process is.
        let meter = Hiccups::start(span, stopped).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(80));
        let stalls = meter.finish();
        assert!(stalls.hists[0].is_empty());
        assert!(stalls.pause_ns >= 29_000_000, "{}", stalls.pause_ns);
    }
}
