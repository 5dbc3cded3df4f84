//! The record of `pushbench capacity`: the windows that were measured at each load, and what a load is.
//!
//! Times are ns. A window is one trial: fresh target, fresh connections, a warm-up, and a measured part of the stated
//! length.

use crate::record::outcomes::Outcomes;
use crate::scenario::Scenario;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the file.
pub const SCHEMA: u32 = 1;

/// A key whose highest value can be searched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dimension {
    /// The scenario key.
    pub key: &'static str,
    /// What a value is counted in.
    pub unit: &'static str,
    /// Values are whole numbers.
    pub whole: bool,
    /// The lowest value that is tried.
    pub lowest: f64,
}

/// Every one there is.
pub const DIMENSIONS: [Dimension; 4] = [
    Dimension { key: "load.rate", unit: "events/s", whole: false, lowest: 1.0 },
    Dimension { key: "subscribers.count", unit: "subscribers", whole: true, lowest: 1.0 },
    Dimension { key: "connections.count", unit: "connections", whole: true, lowest: 1.0 },
    Dimension { key: "payload.bytes", unit: "bytes an event", whole: true, lowest: 64.0 },
];

impl Dimension {
    /// The dimension of that key.
    pub fn named(key: &str) -> Option<&'static Dimension> {
        DIMENSIONS.iter().find(|dimension| dimension.key == key)
    }

    /// A load as the key takes it.
    pub fn value(&self, load: f64) -> String {
        if self.whole { format!("{load:.0}") } else { format!("{load}") }
    }
}

/// A search: its circumstances and its windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityRecord {
    /// [`SCHEMA`]
    pub schema: u32,
    /// Version of pushbench.
    pub version: String,
    /// The command line.
    pub command: String,
    /// When it began, UTC.
    pub began: String,
    /// The machine.
    pub machine: BTreeMap<String, String>,
    /// CPUs of driver and target.
    pub placement: BTreeMap<String, Vec<usize>>,
    /// The scenario without the load that is searched; its objective is the promise.
    pub scenario: Scenario,
    /// The key that is searched.
    pub of: String,
    /// Length of the measured part of a window.
    pub window_ns: u64,
    /// Relative half-width of an interval at which the search of an arm ends.
    pub precision: f64,
    /// The search ends after this.
    pub at_most_ns: u64,
    /// The arms; the first is the baseline.
    pub arms: Vec<String>,
    /// The load that the search began with.
    pub start: f64,
    /// The highest load that fits this machine, and what is short beyond it.
    pub fits: Option<(f64, String)>,
    /// The windows in the order in which they were measured.
    pub windows: Vec<Window>,
    /// How each arm came back after an overload.
    pub overloads: Vec<Overload>,
    /// Every search came to its end.
    pub complete: bool,
    /// Why it ended otherwise.
    pub failure: Option<String>,
}

/// What one window showed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Index of the arm.
    pub arm: usize,
    /// The load.
    pub load: f64,
    /// When it began, from the start of the search.
    pub began_ns: u64,
    /// The value of each line of the objective; `None` where it is beyond every limit, because too much of what was due
    /// had no answer, or where it was not measured.
    pub values: Vec<Option<f64>>,
    /// Why the window counts neither way: the driver or the machine was at fault.
    pub void: Option<String>,
    /// The driver had no time left.
    pub driver_saturated: bool,
    /// How the target ended, or why it could not be measured at this load.
    pub died: Option<String>,
    /// What became of the events due, of a fan-out of the deliveries.
    pub outcomes: Outcomes,
    /// Events that waited for a connection, at most.
    pub backlog_peak: u64,
    /// CPUs that the target used, of those it has.
    pub target_cpus: Option<f64>,
    /// Part of its time that the busiest thread of the driver worked.
    pub driver_busy: f64,
    /// Resident memory of the target at the end, bytes.
    pub target_bytes: Option<u64>,
    /// Memory by which the target grew for its subscribers, bytes.
    pub grown_bytes: Option<u64>,
    /// Part of the packets that a full queue of the path dropped.
    pub queue_full: f64,
    /// The most frequent fault.
    pub fault: Option<String>,
}

/// A burst above the capacity, and how long its queue took to drain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overload {
    /// Index of the arm.
    pub arm: usize,
    /// The load before and after the burst.
    pub load: f64,
    /// The load in the burst, as a multiple.
    pub factor: f64,
    /// Length of the burst.
    pub length_ns: u64,
    /// From its end until an event found no queue; `None` when the queue outlived the window.
    pub drained_ns: Option<u64>,
    /// How long was waited.
    pub waited_ns: u64,
    /// Why it could not be measured.
    pub void: Option<String>,
}
