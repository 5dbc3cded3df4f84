//! The built-in receiver under a guarantee and faults: how it is started, what it has counted, and its outages. Signals
//! control it, so that it is the same for every transport, and nobody on the network can.

use crate::manifest::{BUILTIN, Manifest};
use crate::process::Running;
use pushbench_core::guarantee::Guarantee;
use pushbench_core::record::guarantee::ReceiverStatus;
use pushbench_core::scenario::Faults;
use rustix::process::Signal;
use std::io;
use std::time::{Duration, Instant};

/// What makes a built-in receiver count.
const DELIVERY: &str = "--delivery";
/// It tells within this time, or not at all.
const ANSWER: Duration = Duration::from_secs(2);
/// Pause between two looks whether it has told.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

impl Manifest {
    /// The same under a guarantee, with faults planned by a seed. Another receiver than the built-in one does what it does.
    #[must_use]
    pub fn receiving(mut self, guarantee: &Guarantee, faults: &Faults, seed: u64) -> Manifest {
        let quiet = guarantee.is_default() && !faults.any();
        if self.publisher.is_some() || self.name != BUILTIN || quiet {
            return self;
        }
        let window = guarantee.window.to_string();
        let words = [DELIVERY, guarantee.delivery.name(), "--window", &window];
        let command = self.command.get_or_insert_default();
        command.extend(words.map(str::to_owned));
        if faults.at_random() {
            command.extend(["--faults".to_owned(), faults.at_receiver(seed)]);
        }
        self
    }

    /// Whether it is a receiver that counts.
    pub fn counts_events(&self) -> bool {
        let is_receiver = self.publisher.is_none() && self.name == BUILTIN;
        is_receiver && self.command.iter().flatten().any(|word| word == DELIVERY)
    }
}

impl Running {
    /// The listener of a built-in receiver is closed and its connections are reset.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn begin_outage(&self) -> io::Result<()> {
        self.signal(Signal::USR1)
    }

    /// It listens again, and tells what it has counted.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn end_outage(&self) -> io::Result<()> {
        self.signal(Signal::USR2)
    }

    /// What a built-in receiver has counted; `None` of another one.
    pub fn received(&self, manifest: &Manifest) -> Option<ReceiverStatus> {
        if !manifest.counts_events() {
            return None;
        }
        let told = || ReceiverStatus::read(&self.output_tail());
        let before = told().map_or(0, |status| status.told);
        self.end_outage().ok()?;
        let begun = Instant::now();
        while begun.elapsed() < ANSWER {
            if let Some(status) = told().filter(|status| status.told > before) {
                return Some(status);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        None
    }
}
