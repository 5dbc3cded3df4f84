//! The registry of metrics: name, unit, which way is better, where it comes from. Tables, `[expect]`,
//! verdicts and the JSON all read it. A newcomer adds one entry to its list.

mod registry;
mod values;

pub use registry::METRICS;
pub use values::{
    driver_cpu, driver_cpu_per_delivery, driver_memory, kernel_memory, requests_per_delivery,
    target_cpu, target_cpu_per_delivery, target_memory, throughput, total_cpu,
};

use crate::record::histogram::Hist;
use crate::record::trial::Trial;

/// What a metric is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Events per second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// A part of a whole, 0 to 1.
    Share,
    /// A plain number.
    Count,
}

impl Unit {
    /// As in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "ns",
            Unit::PerSecond => "events/s",
            Unit::Bytes => "bytes",
            Unit::Share => "share",
            Unit::Count => "count",
        }
    }
}

/// Which metrics are decided alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A latency: never compared when an arm is overloaded; must stand without the lag, too.
    Latency {
        /// Beyond the 95th percentile: wider region of equivalence.
        tail: bool,
    },
    /// CPU per event.
    Cpu,
    /// Completed events per second; judged under closed load only.
    Throughput,
    /// Memory per subscriber.
    Memory,
    /// Counts per delivery, which may be 0. Half a count is added before they are compared, so that they have a ratio
    /// (Haldane 1956, Anscombe 1956).
    Counted,
    /// Reported, not judged.
    Reported,
}

/// What a metric is about, hence the flows in which there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Events that the target takes.
    Event,
    /// Deliveries to subscribers.
    Delivery,
    /// Subscribers, whether or not anything is delivered.
    Subscriber,
    /// Subscribers while nothing is published.
    Quiet,
    /// What became of events under a guarantee or under faults.
    Guarantee,
}

/// One metric.
pub struct Metric {
    /// `response.p99`
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Whether more is better.
    pub more_is_better: bool,
    /// What it is about.
    pub subject: Subject,
    /// How it is decided.
    pub family: Family,
    /// What it is.
    pub about: &'static str,
    /// Its value in one trial; `None` when it could not be measured.
    pub value: fn(&Trial) -> Option<f64>,
    /// The same without the driver's own lag and late reading, where they enter.
    pub without_lag: Option<fn(&Trial) -> Option<f64>>,
}

/// A p99.9 is judged from this many events a trial on: a hundred samples beyond it. Fewer say more of
/// the stalls they met than of the arm.
const EVENTS_OF_A_FAR_TAIL: u64 = 100_000;

/// Shorter times after a fault are not told apart.
const SHORTEST_RECOVERY_NS: f64 = 1_000.0;

impl Metric {
    /// Its value in one trial as it is compared.
    pub fn compared(&self, trial: &Trial) -> Option<f64> {
        let value = (self.value)(trial)?;
        Some(match (self.family, self.subject, &trial.guarantee) {
            (Family::Counted, _, Some(record)) => {
                (value * record.due as f64 + 0.5) / (record.due + 1) as f64
            }
            // Nothing may be outstanding when a fault ends.
            (Family::Latency { .. }, Subject::Guarantee, _) => value.max(SHORTEST_RECOVERY_NS),
            _ => value,
        })
    }

    /// Events that each trial must have before this metric is judged.
    pub fn events_to_judge(&self) -> u64 {
        if self.name.ends_with("p99_9") { EVENTS_OF_A_FAR_TAIL } else { 0 }
    }
}

/// A percentile needs this many samples beyond it (law 7).
pub const SAMPLES_BEYOND: u64 = 10;

/// The value at a quantile, if enough samples lie beyond it.
pub fn supported_quantile(hist: &Hist, q: f64) -> Option<f64> {
    let beyond = (hist.count() as f64 * (1.0 - q)).floor() as u64;
    (beyond >= SAMPLES_BEYOND).then(|| hist.quantile(q).map(|v| v as f64))?
}

/// The metrics whose differences the number of blocks is planned for: medians, throughput and the
/// target's CPU. Tails vary too much from block to block for any practical number of blocks.
pub const PLANNED: [&str; 4] =
    ["response.p50", "service.p50", "throughput", "target_usage.cpu_ns_per_event"];

/// What `pushbench gate --judge instructions` judges. No trial of a run has it, so it is not in the registry.
pub static INSTRUCTIONS: Metric = Metric {
    name: "instructions_per_event",
    unit: Unit::Count,
    more_is_better: false,
    subject: Subject::Event,
    family: Family::Counted,
    about: "instructions that the target executes in user space for an event",
    value: |_| None,
    without_lag: None,
};

/// The metric of that name.
pub fn named(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|m| m.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        let mut h = Hist::new();
        for i in 0..999 {
            h.record(i);
        }
        assert_eq!(supported_quantile(&h, 0.99), None);
        h.record(999);
        assert!(supported_quantile(&h, 0.99).is_some());
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = METRICS.iter().map(|m| m.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
    }
}
