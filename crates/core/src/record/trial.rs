//! One trial's complete record: one line of `trials.jsonl`.

use crate::record::account::Account;
use crate::record::effective_config::EffectiveConfig;
use crate::record::fanout::Fanout;
use crate::record::guarantee::GuaranteeRecord;
use crate::record::histogram::Hist;
use crate::record::interval::Interval;
use crate::record::path::PathRecord;
use crate::record::strata::Split;
use crate::record::usage::Reading;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a trial was run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Before the blocks, with a realistic segment size: finds the slice length and the segments per
    /// event. Its times are not compared.
    Pilot,
    /// Part of a block.
    Block,
}

/// Which design the trial's block had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum TrialDesign {
    /// Slices of this many ns, alternating with the other arms'.
    Sliced {
        /// Length of a slice.
        slice_ns: u64,
    },
    /// Alone.
    Sequential,
}

impl TrialDesign {
    /// `sliced` or `sequential`.
    pub fn name(self) -> &'static str {
        match self {
            TrialDesign::Sliced { .. } => "sliced",
            TrialDesign::Sequential => "sequential",
        }
    }
}

/// A driver thread that works for more of its time than this has none left: in open loop it cannot
/// promise to be on time, in closed loop it was the limit.
pub const DRIVER_LIMIT: f64 = 0.90;

/// Where there is a path, its router uses the driver's CPUs, and a packet that waits for one is late: the busiest
/// thread of the driver and the router together may work for this part of the time.
pub const PATH_LIMIT: f64 = 0.70;

/// A driver that did not run for more than this part of the measured time at one go measured the pause,
/// whatever the arm did. Machines that stall as they usually do stay far below it.
pub const PAUSE_SHARE: f64 = 0.05;
/// … and for more than this, ns: short windows of a busy machine are not void for its usual stalls.
pub(crate) const SHORTEST_PAUSE_NS: u64 = 100_000_000;

/// What the driver's threads did in the measured window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DriverUsage {
    /// Without the time spent spinning for a due instant, ns.
    pub cpu_ns: u64,
    /// Spent spinning, ns.
    pub spin_ns: u64,
    /// Busiest shard: its work over work and idle time (spinning, asleep by choice), 0 to 1. Time in
    /// which others had its CPU is neither. In runs of older versions: its work over the wall time.
    pub busy: f64,
    /// Asleep because there was nothing to do, ns; unknown in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asleep_ns: Option<u64>,
    /// Ready to run while others had the CPU, ns; unknown there, too, and where the kernel does not
    /// tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_ns: Option<u64>,
    /// Longest time for which the driver's process did not run, from the first event to the last
    /// outcome, ns: it was stopped, or the machine was. Unknown in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_ns: Option<u64>,
    /// Peak resident memory; unknown while arms share the driver (sliced).
    pub rss_peak_bytes: Option<u64>,
}

/// What one of several machines contributed to a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineTrial {
    /// From 0.
    pub rank: usize,
    /// Its events, due in the measured window; `None` of the target's machine.
    pub due: Option<u64>,
    /// Those that were acknowledged.
    pub acknowledged: Option<u64>,
    /// In a fan-out: deliveries of measured events that its subscribers received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// What its driver did.
    pub driver: Option<DriverUsage>,
    /// Time the hypervisor took, ns.
    pub steal_ns: u64,
    /// Its longest stall, ns.
    pub pause_ns: u64,
    /// Its clock less the coordinator's, ns.
    pub clock_offset_ns: i64,
    /// The offset is wrong by no more during the trial, ns: half of the round trip in which it was found, and its drift.
    pub clock_uncertainty_ns: u64,
    /// How long before the origin it knew it, ns; negative where it was late. `None` of the target's machine.
    pub margin_ns: Option<i64>,
    /// Why its part is not valid.
    pub invalid: Vec<String>,
}

/// What the target spent in the measured window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetUsage {
    /// CPU of the process tree, ns.
    pub cpu_ns: u64,
    /// Voluntary context switches.
    pub voluntary_switches: u64,
    /// Involuntary ones.
    pub involuntary_switches: u64,
    /// At the end of the window: memory, threads, descriptors, processes.
    pub end: Reading,
}

impl DriverUsage {
    /// True when the busiest thread had no time left.
    pub fn is_saturated(&self) -> bool {
        self.busy > DRIVER_LIMIT
    }
}

impl TargetUsage {
    /// Adds what the same target spends in its next life.
    pub fn and(self, next: TargetUsage) -> TargetUsage {
        let rss_peak_bytes = self.end.rss_peak_bytes.max(next.end.rss_peak_bytes);
        TargetUsage {
            cpu_ns: self.cpu_ns + next.cpu_ns,
            voluntary_switches: self.voluntary_switches + next.voluntary_switches,
            involuntary_switches: self.involuntary_switches + next.involuntary_switches,
            end: Reading { rss_peak_bytes, ..next.end },
        }
    }
}

/// The record of one arm in one block. Times are ns, counts are events unless named otherwise.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trial {
    /// Index of the sweep's point.
    pub point: usize,
    /// What it was run for.
    pub stage: Stage,
    /// Index of the block.
    pub block: usize,
    /// Index of the arm.
    pub arm: usize,
    /// The arm by name.
    pub label: String,
    /// Place within the block (sequential), from 0.
    pub position: usize,
    /// Block design.
    pub design: TrialDesign,
    /// When it began, UTC.
    pub started: String,
    /// Length of the measured window in the arm's own time, ns.
    pub window_ns: u64,
    /// Length of the measured window on the wall, ns.
    pub wall_ns: u64,
    /// Events per second that the schedule offers; `None` in a closed loop.
    pub offered_per_second: Option<f64>,
    /// What the ledger counted and timed, all shards together.
    #[serde(flatten)]
    pub account: Account,
    /// For each burst of the load the time from its end to the first event that found no queue, ns;
    /// `None` when the queue outlived the window or the next burst.
    pub drained_ns: Vec<Option<u64>>,
    /// Connections opened before the first event.
    pub warm_connections: u64,
    /// Unanswered events all connections together could hold.
    pub slots: u64,
    /// The split of measured events into strata, where there is one.
    pub split: Option<Split>,
    /// Lateness of the 1 kHz meter beside the driver.
    pub hiccup: Hist,
    /// Each second of the wall clock, warm-up included.
    pub time_line: Vec<Interval>,
    /// Cap of the segment size, where one was set.
    pub max_segment: Option<u32>,
    /// The target's; `None` when pushbench did not start it.
    pub target: Option<TargetUsage>,
    /// The driver's.
    pub driver: DriverUsage,
    /// Time the hypervisor took from the CPUs in use during the block, ns.
    pub steal_ns: u64,
    /// Other runs of pushbench that measured on the same CPUs when the block began or ended; 0 in runs of
    /// older versions, which did not look.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other_runs: u64,
    /// The configuration reported by a built-in server.
    pub in_force: Option<EffectiveConfig>,
    /// What came to subscribers; `None` in other flows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fanout: Option<Fanout>,
    /// How long the target was down when it was ended and restarted; `None` when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_ns: Option<u64>,
    /// What the path did; nothing where driver and target share the loopback device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRecord>,
    /// What became of events under a guarantee or under faults; nothing without either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<GuaranteeRecord>,
    /// What each machine contributed, by rank; empty where that was this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<MachineTrial>,
    /// What is decided from the rest.
    #[serde(flatten)]
    pub judged: Judged,
}

/// Whether a trial may be averaged and its target kept up; empty until it is judged.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Judged {
    /// Why the trial is not valid; empty when it is.
    pub invalid: Vec<String>,
    /// True when the target itself could not keep up.
    pub overloaded: bool,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Trial {
    /// When it began, after 1970.
    pub fn began(&self) -> Duration {
        let began: jiff::Timestamp = self.started.parse().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Duration::try_from(began.as_duration()).unwrap_or_default()
    }

    /// How long the driver did not run, ns, where that is longer than may be averaged.
    pub fn paused_ns(&self) -> Option<u64> {
        let allowed = SHORTEST_PAUSE_NS.max((self.wall_ns as f64 * PAUSE_SHARE) as u64);
        self.driver.pause_ns.filter(|pause| *pause > allowed)
    }

    /// True when the driver's busiest thread, with the router of a path, had no time left.
    pub fn is_at_drivers_limit(&self) -> bool {
        let path = self.path.as_ref();
        self.driver.is_saturated() || path.is_some_and(|p| self.driver.busy + p.busy > PATH_LIMIT)
    }

    /// True when the trial may be averaged.
    pub fn is_valid(&self) -> bool {
        self.judged.invalid.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// What is stored is written again; later versions may add a key within a table, and a histogram may be packed
    /// by another version of the library.
    fn holds(written: &Value, stored: &Value) -> bool {
        match (written, stored) {
            (Value::Object(written), Value::Object(stored)) => {
                stored.iter().all(|(key, value)| written.get(key).is_some_and(|w| holds(w, value)))
            }
            (Value::Array(written), Value::Array(stored)) => {
                written.len() == stored.len()
                    && written.iter().zip(stored).all(|(w, s)| holds(w, s))
            }
            (Value::String(written), Value::String(stored)) if written != stored => {
                let hist = serde_json::from_value::<Hist>(stored.clone().into());
                hist.is_ok_and(|hist| serde_json::to_value(hist).unwrap() == *written)
            }
            _ => written == stored,
        }
    }

    #[test]
    fn stored_records_are_written_as_they_were_read() {
        let results = concat!(env!("CARGO_MANIFEST_DIR"), "/../../results");
        let runs = std::fs::read_dir(results).unwrap().flatten();
        let texts =
            runs.filter_map(|r| std::fs::read_to_string(r.path().join("trials.jsonl")).ok());
        let mut read = 0;
        for text in texts {
            // Packing histograms again takes time: one line in seven has every arm.
            for line in text.lines().step_by(7) {
                let stored: Value = serde_json::from_str(line).unwrap();
                let trial: Trial = serde_json::from_str(line).unwrap();
                let written = serde_json::to_value(trial).unwrap();
                assert!(holds(&written, &stored), "{line}");
                assert!(written.as_object().unwrap().keys().eq(stored.as_object().unwrap().keys()));
                read += 1;
            }
        }
        assert!(read > 80, "{read}");
    }
}
