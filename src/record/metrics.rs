//! The registry of metrics: name, unit, which way is better, where it comes from. Tables, `[expect]`,
//! verdicts and the JSON all read it. A newcomer adds one entry.

use super::histogram::Hist;
use super::trial::Trial;

/// What a metric is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Events per second.
    PerSecond,
    /// Bytes.
    Bytes,
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
    /// Told, not judged.
    Told,
}

/// One metric.
pub struct Metric {
    /// `response.p99`
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Whether more is better.
    pub more_is_better: bool,
    /// How it is decided.
    pub family: Family,
    /// What it is.
    pub about: &'static str,
    /// Its value in one trial; `None` when it could not be measured.
    pub value: fn(&Trial) -> Option<f64>,
    /// The same without the driver's own lag, where lag enters.
    pub without_lag: Option<fn(&Trial) -> Option<f64>>,
}

/// A p99.9 is judged from this many events a trial on: a hundred samples beyond it. Fewer say more of
/// the stalls they met than of the arm.
const EVENTS_OF_A_FAR_TAIL: u64 = 100_000;

impl Metric {
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

fn per_event(total: u64, events: u64) -> Option<f64> {
    (events > 0).then(|| total as f64 / events as f64)
}

/// CPU of the target's process tree per acknowledged event, ns.
pub fn target_cpu(t: &Trial) -> Option<f64> {
    per_event(t.target?.cpu_ns, t.acknowledged_in_window)
}

/// CPU of the driver's threads per acknowledged event, without spinning, ns.
pub fn driver_cpu(t: &Trial) -> Option<f64> {
    per_event(t.driver.cpu_ns, t.acknowledged_in_window)
}

/// Both, because loopback bills much of the receiver's network work to the sender.
pub fn total_cpu(t: &Trial) -> Option<f64> {
    Some(target_cpu(t)? + driver_cpu(t)?)
}

/// Acknowledged events per second of the arm's own time.
pub fn throughput(t: &Trial) -> Option<f64> {
    (t.window_ns > 0).then(|| t.acknowledged_by_end as f64 / (t.window_ns as f64 / 1e9))
}

macro_rules! latency {
    ($name:literal, $hist:ident, $q:expr, $tail:expr, $without:expr, $about:literal) => {
        Metric {
            name: $name,
            unit: Unit::Nanoseconds,
            more_is_better: false,
            family: Family::Latency { tail: $tail },
            about: $about,
            value: |t| supported_quantile(&t.$hist, $q),
            without_lag: $without,
        }
    };
    (response $name:literal, $q:expr, $tail:expr, $about:literal) => {
        latency!($name, response, $q, $tail, Some(|t| supported_quantile(&t.unlagged, $q)), $about)
    };
    (service $name:literal, $q:expr, $tail:expr, $about:literal) => {
        latency!($name, service, $q, $tail, None, $about)
    };
}

/// Every metric that is compared.
pub static METRICS: &[Metric] = &[
    latency!(response "response.p50", 0.5, false, "due to answered, median"),
    latency!(response "response.p90", 0.9, false, "due to answered, 90th percentile"),
    latency!(response "response.p99", 0.99, true, "due to answered, 99th percentile"),
    latency!(response "response.p99_9", 0.999, true, "due to answered, 99.9th percentile"),
    latency!(service "service.p50", 0.5, false, "sent to answered, median"),
    latency!(service "service.p90", 0.9, false, "sent to answered, 90th percentile"),
    latency!(service "service.p99", 0.99, true, "sent to answered, 99th percentile"),
    Metric {
        name: "throughput",
        unit: Unit::PerSecond,
        more_is_better: true,
        family: Family::Throughput,
        about: "acknowledged events per second; judged under closed load only",
        value: throughput,
        without_lag: None,
    },
    Metric {
        name: "target_usage.cpu_ns_per_event",
        unit: Unit::Nanoseconds,
        more_is_better: false,
        family: Family::Cpu,
        about: "CPU of the target's process tree per event",
        value: target_cpu,
        without_lag: None,
    },
    Metric {
        name: "driver_usage.cpu_ns_per_event",
        unit: Unit::Nanoseconds,
        more_is_better: false,
        family: Family::Cpu,
        about: "CPU of the driver per event, without spinning for due instants",
        value: driver_cpu,
        without_lag: None,
    },
    Metric {
        name: "total_usage.cpu_ns_per_event",
        unit: Unit::Nanoseconds,
        more_is_better: false,
        family: Family::Cpu,
        about: "CPU of target and driver together per event",
        value: total_cpu,
        without_lag: None,
    },
    Metric {
        name: "target_usage.rss_peak_bytes",
        unit: Unit::Bytes,
        more_is_better: false,
        family: Family::Told,
        about: "largest resident memory of the target's process tree",
        value: |t| Some(t.target?.end.rss_peak_bytes as f64).filter(|v| *v > 0.0),
        without_lag: None,
    },
];

/// The metrics whose differences the number of blocks is planned for: medians, throughput and the
/// target's CPU. Tails vary too much from block to block for any number that somebody would wait for.
pub const PLANNED: [&str; 4] =
    ["response.p50", "service.p50", "throughput", "target_usage.cpu_ns_per_event"];

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
