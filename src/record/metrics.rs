//! The registry of metrics: name, unit, which way is better, where it comes from. Tables, `[expect]`,
//! verdicts and the JSON all read it. A newcomer adds one entry.

use super::fanout::{KernelScope, Quiet};
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
    /// Told, not judged.
    Told,
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

/// Requests that subscribers made per delivery read; `None` where none of them makes any.
pub fn requests_per_delivery(t: &Trial) -> Option<f64> {
    let d = &t.fanout.as_ref()?.deliveries;
    per_event(d.requests, d.read_in_window).filter(|_| d.requests > 0)
}

/// Both, because loopback bills much of the receiver's network work to the sender.
pub fn total_cpu(t: &Trial) -> Option<f64> {
    Some(target_cpu(t)? + driver_cpu(t)?)
}

/// Acknowledged events per second of the arm's own time.
pub fn throughput(t: &Trial) -> Option<f64> {
    (t.window_ns > 0).then(|| t.acknowledged_by_end as f64 / (t.window_ns as f64 / 1e9))
}

/// CPU of the target's process tree per delivery read, ns.
pub fn target_cpu_per_delivery(t: &Trial) -> Option<f64> {
    per_event(t.target?.cpu_ns, t.fanout.as_ref()?.deliveries.read_in_window)
}

/// CPU of the driver per delivery read, ns.
pub fn driver_cpu_per_delivery(t: &Trial) -> Option<f64> {
    per_event(t.driver.cpu_ns, t.fanout.as_ref()?.deliveries.read_in_window)
}

/// What the target's memory grew by for a subscriber, bytes.
pub fn target_memory(t: &Trial) -> Option<f64> {
    let f = t.fanout.as_ref()?;
    f.target_memory?.each(f.deliveries.subscribers)
}

/// What the driver's memory grew by for a subscriber, bytes.
pub fn driver_memory(t: &Trial) -> Option<f64> {
    let f = t.fanout.as_ref()?;
    f.driver_memory?.each(f.deliveries.subscribers)
}

/// What kernel memory grew by for a subscriber, bytes, whoever it belongs to.
pub fn kernel_memory(t: &Trial) -> Option<f64> {
    let f = t.fanout.as_ref()?;
    f.kernel_memory?.growth.each(f.deliveries.subscribers)
}

fn own_kernel_memory(t: &Trial) -> Option<f64> {
    let own = t.fanout.as_ref()?.kernel_memory?.of == KernelScope::Target;
    kernel_memory(t).filter(|_| own)
}

/// A total of the quiet stretch by subscriber and minute.
fn quiet(t: &Trial, of: fn(&Quiet) -> Option<u64>) -> Option<f64> {
    let f = t.fanout.as_ref()?;
    let q = f.quiet.as_ref()?;
    let minutes = f.deliveries.subscribers as f64 * q.ns as f64 / 60e9;
    (minutes > 0.0).then_some(of(q)? as f64 / minutes)
}

macro_rules! latency {
    ($name:literal, $hist:ident, $q:expr, $tail:expr, $without:expr, $about:literal) => {
        Metric {
            name: $name,
            unit: Unit::Nanoseconds,
            more_is_better: false,
            subject: Subject::Event,
            family: Family::Latency { tail: $tail },
            about: $about,
            value: |t| supported_quantile(&t.$hist, $q),
            without_lag: $without,
        }
    };
    (delivery $name:literal, $q:expr, $tail:expr, $about:literal) => {
        Metric {
            without_lag: Some(|t| supported_quantile(&t.fanout.as_ref()?.deliveries.unlagged, $q)),
            ..latency!(fanout $name, delivery, $q, $tail, $about)
        }
    };
    (turnover $name:literal, $hist:ident, $q:expr, $about:literal) => {
        Metric {
            name: $name,
            unit: Unit::Nanoseconds,
            more_is_better: false,
            subject: Subject::Delivery,
            family: Family::Latency { tail: false },
            about: $about,
            value: |t| {
                let turnover = t.fanout.as_ref()?.deliveries.turnover.as_ref()?;
                supported_quantile(&turnover.$hist, $q)
            },
            without_lag: None,
        }
    };
    (fanout $name:literal, $hist:ident, $q:expr, $tail:expr, $about:literal) => {
        Metric {
            name: $name,
            unit: Unit::Nanoseconds,
            more_is_better: false,
            subject: Subject::Delivery,
            family: Family::Latency { tail: $tail },
            about: $about,
            value: |t| supported_quantile(&t.fanout.as_ref()?.deliveries.$hist, $q),
            without_lag: None,
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
        subject: Subject::Event,
        family: Family::Throughput,
        about: "acknowledged events per second; judged under closed load only",
        value: throughput,
        without_lag: None,
    },
    Metric {
        name: "target_usage.cpu_ns_per_event",
        unit: Unit::Nanoseconds,
        more_is_better: false,
        subject: Subject::Event,
        family: Family::Cpu,
        about: "CPU of the target's process tree per event",
        value: target_cpu,
        without_lag: None,
    },
    Metric {
        name: "driver_usage.cpu_ns_per_event",
        unit: Unit::Nanoseconds,
        more_is_better: false,
        subject: Subject::Event,
        family: Family::Cpu,
        about: "CPU of the driver per event, without spinning for due instants",
        value: driver_cpu,
        without_lag: None,
    },
    Metric {
        name: "total_usage.cpu_ns_per_event",
        unit: Unit::Nanoseconds,
        more_is_better: false,
        subject: Subject::Event,
        family: Family::Cpu,
        about: "CPU of target and driver together per event",
        value: total_cpu,
        without_lag: None,
    },
    Metric {
        name: "target_usage.rss_peak_bytes",
        unit: Unit::Bytes,
        more_is_better: false,
        subject: Subject::Event,
        family: Family::Told,
        about: "largest resident memory of the target's process tree",
        value: |t| Some(t.target?.end.rss_peak_bytes as f64).filter(|v| *v > 0.0),
        without_lag: None,
    },
    latency!(delivery "delivery.p50", 0.5, false, "due to read by a subscriber, median"),
    latency!(delivery "delivery.p90", 0.9, false, "due to read by a subscriber, 90th percentile"),
    latency!(delivery "delivery.p99", 0.99, true, "due to read by a subscriber, 99th percentile"),
    latency!(delivery "delivery.p99_9", 0.999, true, "due to read by a subscriber, 99.9th percentile"),
    latency!(fanout "last.p50", last, 0.5, false, "due to read by the last subscriber, median"),
    latency!(fanout "last.p90", last, 0.9, false, "due to read by the last subscriber, 90th percentile"),
    latency!(fanout "last.p99", last, 0.99, true, "due to read by the last subscriber, 99th percentile"),
    latency!(fanout "skew.p50", skew, 0.5, false, "from the first subscriber's read to the last one's, median"),
    latency!(turnover "subscribing.p50", subscribing, 0.5, "a subscriber that comes again: asking to confirmed, median"),
    latency!(turnover "subscribing.p90", subscribing, 0.9, "a subscriber that comes again: asking to confirmed, 90th percentile"),
    latency!(turnover "first_event.p50", first_event, 0.5, "a subscriber that comes again: asking to its first event, median"),
    latency!(turnover "first_event.p90", first_event, 0.9, "a subscriber that comes again: asking to its first event, 90th percentile"),
    Metric {
        name: "recovery",
        unit: Unit::Nanoseconds,
        more_is_better: false,
        subject: Subject::Delivery,
        family: Family::Latency { tail: false },
        about: "from the first subscription that was cut off until all are there again, mean",
        value: |t| t.fanout.as_ref()?.deliveries.turnover.as_ref()?.recovery.mean(),
        without_lag: None,
    },
    Metric {
        name: "target_usage.descriptors",
        unit: Unit::Count,
        more_is_better: false,
        subject: Subject::Delivery,
        family: Family::Told,
        about: "descriptors of the target's process tree at the end",
        value: |t| Some(t.target?.end.descriptors as f64).filter(|n| *n > 0.0),
        without_lag: None,
    },
    Metric {
        name: "deliveries_per_second",
        unit: Unit::PerSecond,
        more_is_better: true,
        subject: Subject::Delivery,
        family: Family::Told,
        about: "deliveries read per second",
        value: |t| {
            Some(t.fanout.as_ref()?.deliveries.read_by_end as f64 / (t.window_ns as f64 / 1e9))
        },
        without_lag: None,
    },
    Metric {
        name: "reach",
        unit: Unit::Share,
        more_is_better: true,
        subject: Subject::Delivery,
        family: Family::Told,
        about: "deliveries received, of those due",
        value: |t| t.fanout.as_ref()?.deliveries.measured.reach(),
        without_lag: None,
    },
    Metric {
        name: "target_usage.cpu_ns_per_delivery",
        unit: Unit::Nanoseconds,
        more_is_better: false,
        subject: Subject::Delivery,
        family: Family::Cpu,
        about: "CPU of the target's process tree per delivery",
        value: target_cpu_per_delivery,
        without_lag: None,
    },
    Metric {
        name: "driver_usage.cpu_ns_per_delivery",
        unit: Unit::Nanoseconds,
        more_is_better: false,
        subject: Subject::Delivery,
        family: Family::Cpu,
        about: "CPU of the driver per delivery, publishing included",
        value: driver_cpu_per_delivery,
        without_lag: None,
    },
    Metric {
        name: "total_usage.cpu_ns_per_delivery",
        unit: Unit::Nanoseconds,
        more_is_better: false,
        subject: Subject::Delivery,
        family: Family::Cpu,
        about: "CPU of target and driver together per delivery",
        value: |t| Some(target_cpu_per_delivery(t)? + driver_cpu_per_delivery(t)?),
        without_lag: None,
    },
    Metric {
        name: "target_usage.bytes_per_subscriber",
        unit: Unit::Bytes,
        more_is_better: false,
        subject: Subject::Subscriber,
        family: Family::Memory,
        about: "what the target's memory grew by for each subscriber",
        value: target_memory,
        without_lag: None,
    },
    Metric {
        name: "driver_usage.bytes_per_subscriber",
        unit: Unit::Bytes,
        more_is_better: false,
        subject: Subject::Subscriber,
        family: Family::Told,
        about: "what the driver's memory grew by for each subscriber",
        value: driver_memory,
        without_lag: None,
    },
    Metric {
        name: "target_usage.kernel_bytes_per_subscriber",
        unit: Unit::Bytes,
        more_is_better: false,
        subject: Subject::Subscriber,
        family: Family::Memory,
        about: "what the kernel's memory for the target grew by for each subscriber; not known without a memory cgroup",
        value: own_kernel_memory,
        without_lag: None,
    },
    Metric {
        name: "target_usage.cpu_ns_per_subscriber_minute",
        unit: Unit::Nanoseconds,
        more_is_better: false,
        subject: Subject::Quiet,
        family: Family::Cpu,
        about: "CPU of the target's process tree to hold a subscriber for a minute",
        value: |t| quiet(t, |q| q.target_cpu_ns),
        without_lag: None,
    },
    Metric {
        name: "driver_usage.cpu_ns_per_subscriber_minute",
        unit: Unit::Nanoseconds,
        more_is_better: false,
        subject: Subject::Quiet,
        family: Family::Cpu,
        about: "CPU of the driver to be a subscriber for a minute",
        value: |t| quiet(t, |q| Some(q.driver_cpu_ns)),
        without_lag: None,
    },
    Metric {
        name: "wire.bytes_per_subscriber_minute",
        unit: Unit::Bytes,
        more_is_better: false,
        subject: Subject::Quiet,
        family: Family::Told,
        about: "bytes inside TCP for a subscriber that gets nothing, pings included, both ways",
        value: |t| quiet(t, |q| Some(q.bytes_in + q.bytes_out)),
        without_lag: None,
    },
    Metric {
        name: "wire.requests_per_delivery",
        unit: Unit::Count,
        more_is_better: false,
        subject: Subject::Delivery,
        family: Family::Told,
        about: "requests of subscribers per delivery, for events or to acknowledge them",
        value: requests_per_delivery,
        without_lag: None,
    },
    Metric {
        name: "wire.bytes_per_delivery",
        unit: Unit::Bytes,
        more_is_better: false,
        subject: Subject::Delivery,
        family: Family::Told,
        about: "bytes inside TCP per delivery, both ways",
        value: |t| {
            let d = &t.fanout.as_ref()?.deliveries;
            per_event(d.traffic.bytes_in + d.traffic.bytes_out, d.read)
        },
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
