//! The shape of a load while its keys are being applied: the arrival process and what belongs to it.

use crate::scenario::draft::Wrong;
use crate::scenario::{Arrivals, Burst};
use std::time::Duration;

/// A burst in multiples of the ordinary rate, where none is given.
const FACTOR: f64 = 10.0;
/// Its length, where none is given.
const LENGTH: Duration = Duration::from_secs(1);
/// Its cycle, where none is given: the queue it left has as long to drain.
const EVERY: Duration = Duration::from_secs(3);

/// `load.arrivals`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    Constant,
    Poisson,
    Ramp,
    Burst,
    Closed,
}

/// What belongs to one process only; unset keys have their defaults at the end.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    pub ramp_to: Option<f64>,
    pub factor: Option<f64>,
    pub length: Option<Duration>,
    pub every: Option<Duration>,
}

impl Shape {
    /// The arrivals of a process over a window, or the key that is wrong and why.
    pub fn arrivals(&self, process: Process, window: Duration) -> Result<Arrivals, Wrong> {
        self.belongs(process)?;
        Ok(match process {
            Process::Constant => Arrivals::Constant,
            Process::Poisson => Arrivals::Poisson,
            Process::Closed => Arrivals::Closed,
            Process::Ramp => {
                let why = "missing: write the rate at the end, for example 5000";
                let missing = || Wrong::new("load.ramp_to", why);
                Arrivals::Ramp { to: self.ramp_to.ok_or_else(missing)? }
            }
            Process::Burst => Arrivals::Burst(self.burst(window)?),
        })
    }

    /// The highest rate of a load that begins with `rate`.
    pub fn peak(&self, rate: f64) -> f64 {
        let ramp = self.ramp_to.unwrap_or(rate);
        ramp.max(rate * self.factor.unwrap_or(1.0))
    }

    fn belongs(&self, process: Process) -> Result<(), Wrong> {
        let given = [
            ("load.ramp_to", self.ramp_to.is_some(), Process::Ramp, "ramp"),
            ("load.burst_factor", self.factor.is_some(), Process::Burst, "burst"),
            ("load.burst_length", self.length.is_some(), Process::Burst, "burst"),
            ("load.burst_every", self.every.is_some(), Process::Burst, "burst"),
        ];
        match given.into_iter().find(|(_, given, owner, _)| *given && *owner != process) {
            None => Ok(()),
            Some((key, _, _, name)) => {
                let why =
                    format!("it belongs to load.arrivals = \"{name}\": leave out one of the two");
                Err(Wrong::new(key, why).against("load.arrivals"))
            }
        }
    }

    fn burst(&self, window: Duration) -> Result<Burst, Wrong> {
        let factor = self.factor.unwrap_or(FACTOR);
        let (length, every) = (self.length.unwrap_or(LENGTH), self.every.unwrap_or(EVERY));
        if length >= every {
            let why = format!(
                "{length:?}: a burst must be shorter than its cycle of {every:?}: write less"
            );
            return Err(Wrong::new("load.burst_length", why).against("load.burst_every"));
        }
        if every > window {
            let why = format!(
                "{every:?}: no whole cycle fits into load.duration, {window:?}: write at most that"
            );
            return Err(Wrong::new("load.burst_every", why).against("load.duration"));
        }
        Ok(Burst { factor, length, every })
    }

    /// The command line selects another arrival process: keys of the file's process are dropped.
    pub(crate) fn forget(&mut self) {
        *self = Shape::default();
    }
}
