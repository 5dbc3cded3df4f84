//! The hiccup meter: a thread that sleeps a millisecond at a time beside the driver and records how
//! late it wakes. What it sees is the machine, not the transports.

use super::clock;
use super::histogram::Hist;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Grid of the meter: 1 kHz.
const STEP_NS: u64 = 1_000_000;

/// A running meter.
pub struct Hiccups {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Hist>>,
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
        let seen = stop.clone();
        let thread = std::thread::Builder::new().name("hiccups".to_owned()).spawn(move || {
            prepare();
            measure(&span, &seen)
        })?;
        Ok(Hiccups { stop, thread })
    }

    /// Ends it: one histogram an arm, of the stretches in which the arm had its slices.
    pub fn finish(self) -> Vec<Hist> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn measure<F: Fn(u64) -> Option<usize>>(span: &Span<F>, stop: &AtomicBool) -> Vec<Hist> {
    let mut hists = vec![Hist::new(); span.arms];
    let mut next = span.from;
    loop {
        // Short sleeps only: the meter must end soon when it is told to.
        let wait_until = next.min(clock::now() + 20 * STEP_NS);
        clock::sleep_until(wait_until);
        if stop.load(Ordering::Relaxed) {
            return hists;
        }
        let now = clock::now();
        // Grid points missed during a stall count too: each was due, and each is late.
        while next <= now {
            let Some(arm) = (span.owner)(next) else {
                return hists;
            };
            hists[arm].record((now - next).max(1));
            next += STEP_NS;
        }
    }
}
