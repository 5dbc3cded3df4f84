//! The list.

use crate::record::guarantee::GuaranteeRecord;
use crate::record::histogram::Hist;
use crate::record::metrics::values::{
    driver_cpu, driver_cpu_per_delivery, driver_memory, own_kernel_memory, per_event, quiet,
    requests_per_delivery, target_cpu, target_cpu_per_delivery, target_memory, throughput,
    total_cpu,
};
use crate::record::metrics::{Family, Metric, Subject, Unit, supported_quantile};
use crate::record::trial::Trial;

/// A metric where less is better, and in which the driver has no part of its own.
const fn less(
    name: &'static str,
    unit: Unit,
    subject: Subject,
    family: Family,
    about: &'static str,
    value: fn(&Trial) -> Option<f64>,
) -> Metric {
    Metric { name, unit, more_is_better: false, subject, family, about, value, without_lag: None }
}

/// A metric where more is better.
const fn more(
    name: &'static str,
    unit: Unit,
    subject: Subject,
    family: Family,
    about: &'static str,
    value: fn(&Trial) -> Option<f64>,
) -> Metric {
    Metric { more_is_better: true, ..less(name, unit, subject, family, about, value) }
}

/// A count for each delivery that is due under a guarantee or under faults.
fn per_due(record: &GuaranteeRecord, count: u64) -> Option<f64> {
    per_event(count, record.due)
}

/// A metric of what became of events under a guarantee or under faults; of `after` once the planned fault has ended.
macro_rules! under {
    (guarantee $name:literal, $unit:ident, $family:expr, $about:literal, $of:expr) => {
        less($name, Unit::$unit, Subject::Guarantee, $family, $about, |t| {
            let of: fn(&GuaranteeRecord) -> Option<f64> = $of;
            of(t.guarantee.as_ref()?)
        })
    };
    (after $name:literal, $family:expr, $field:ident, $about:literal) => {
        under!(guarantee $name, Nanoseconds, $family, $about, |g| Some(g.recovery?.$field? as f64))
    };
}

/// Responses without lag and late reading; in runs of older versions without lag.
fn without_driver(t: &Trial) -> &Hist {
    let account = &t.account;
    if account.driver_excluded.is_empty() { &account.unlagged } else { &account.driver_excluded }
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
            value: |t| supported_quantile(&t.account.$hist, $q),
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
        latency!($name, response, $q, $tail, Some(|t| supported_quantile(without_driver(t), $q)), $about)
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
    more(
        "throughput",
        Unit::PerSecond,
        Subject::Event,
        Family::Throughput,
        "acknowledged events per second; judged under closed load only",
        throughput,
    ),
    less(
        "target_usage.cpu_ns_per_event",
        Unit::Nanoseconds,
        Subject::Event,
        Family::Cpu,
        "CPU of the target's process tree per event",
        target_cpu,
    ),
    less(
        "driver_usage.cpu_ns_per_event",
        Unit::Nanoseconds,
        Subject::Event,
        Family::Cpu,
        "CPU of the driver per event, without spinning for due instants",
        driver_cpu,
    ),
    less(
        "total_usage.cpu_ns_per_event",
        Unit::Nanoseconds,
        Subject::Event,
        Family::Cpu,
        "CPU of target and driver together per event",
        total_cpu,
    ),
    less(
        "target_usage.rss_peak_bytes",
        Unit::Bytes,
        Subject::Event,
        Family::Reported,
        "largest resident memory of the target's process tree",
        |t| Some(t.target?.end.rss_peak_bytes as f64).filter(|v| *v > 0.0),
    ),
    latency!(delivery "delivery.p50", 0.5, false, "due to read by a subscriber, median"),
    latency!(delivery "delivery.p90", 0.9, false, "due to read by a subscriber, 90th percentile"),
    latency!(delivery "delivery.p99", 0.99, true, "due to read by a subscriber, 99th percentile"),
    latency!(delivery "delivery.p99_9", 0.999, true, "due to read by a subscriber, 99.9th percentile"),
    latency!(fanout "last.p50", last, 0.5, false, "due to read by the last subscriber, median"),
    latency!(fanout "last.p90", last, 0.9, false, "due to read by the last subscriber, 90th percentile"),
    latency!(fanout "last.p99", last, 0.99, true, "due to read by the last subscriber, 99th percentile"),
    latency!(fanout "skew.p50", skew, 0.5, false, "from the first subscriber's read to the last one's, median"),
    latency!(turnover "subscribing.p50", subscribing, 0.5, "a returning subscriber: request to confirmation, median"),
    latency!(turnover "subscribing.p90", subscribing, 0.9, "a returning subscriber: request to confirmation, 90th percentile"),
    latency!(turnover "first_event.p50", first_event, 0.5, "a returning subscriber: request to its first event, median"),
    latency!(turnover "first_event.p90", first_event, 0.9, "a returning subscriber: request to its first event, 90th percentile"),
    less(
        "recovery",
        Unit::Nanoseconds,
        Subject::Delivery,
        Family::Latency { tail: false },
        "from the first dropped subscription until all subscribers are back, mean",
        |t| t.fanout.as_ref()?.deliveries.turnover.as_ref()?.recovery.mean(),
    ),
    less(
        "noticed.subscriber",
        Unit::Nanoseconds,
        Subject::Delivery,
        Family::Reported,
        "from the last bytes that came on a subscriber's connection until the subscriber knew that it had ended, mean",
        |t| t.fanout.as_ref()?.deliveries.turnover.as_ref()?.noticed.mean(),
    ),
    less(
        "noticed.publisher",
        Unit::Nanoseconds,
        Subject::Delivery,
        Family::Reported,
        "from the last bytes that came from a subscriber until the built-in publisher took it for dead, mean",
        |t| t.fanout.as_ref()?.publisher?.silence_before_gone(),
    ),
    less(
        "resumption",
        Unit::Nanoseconds,
        Subject::Delivery,
        Family::Reported,
        "from a pause or a change of address of the path until a subscriber reads an event that was due after it, mean; unknown if any got none",
        |t| t.fanout.as_ref()?.deliveries.resumption.as_ref()?.mean(),
    ),
    less(
        "target_usage.descriptors",
        Unit::Count,
        Subject::Delivery,
        Family::Reported,
        "descriptors of the target's process tree at the end",
        |t| Some(t.target?.end.descriptors as f64).filter(|n| *n > 0.0),
    ),
    more(
        "deliveries_per_second",
        Unit::PerSecond,
        Subject::Delivery,
        Family::Reported,
        "deliveries read per second",
        |t| Some(t.fanout.as_ref()?.deliveries.read_by_end as f64 / (t.window_ns as f64 / 1e9)),
    ),
    more(
        "reach",
        Unit::Share,
        Subject::Delivery,
        Family::Reported,
        "share of due deliveries that were received",
        |t| t.fanout.as_ref()?.deliveries.measured.reach(),
    ),
    less(
        "target_usage.cpu_ns_per_delivery",
        Unit::Nanoseconds,
        Subject::Delivery,
        Family::Cpu,
        "CPU of the target's process tree per delivery",
        target_cpu_per_delivery,
    ),
    less(
        "driver_usage.cpu_ns_per_delivery",
        Unit::Nanoseconds,
        Subject::Delivery,
        Family::Cpu,
        "CPU of the driver per delivery, publishing included",
        driver_cpu_per_delivery,
    ),
    less(
        "total_usage.cpu_ns_per_delivery",
        Unit::Nanoseconds,
        Subject::Delivery,
        Family::Cpu,
        "CPU of target and driver together per delivery",
        |t| Some(target_cpu_per_delivery(t)? + driver_cpu_per_delivery(t)?),
    ),
    less(
        "target_usage.bytes_per_subscriber",
        Unit::Bytes,
        Subject::Subscriber,
        Family::Memory,
        "growth of the target's memory per subscriber",
        target_memory,
    ),
    less(
        "driver_usage.bytes_per_subscriber",
        Unit::Bytes,
        Subject::Subscriber,
        Family::Reported,
        "growth of the driver's memory per subscriber",
        driver_memory,
    ),
    less(
        "target_usage.kernel_bytes_per_subscriber",
        Unit::Bytes,
        Subject::Subscriber,
        Family::Memory,
        "growth of kernel memory charged to the target per subscriber; unknown without a memory cgroup",
        own_kernel_memory,
    ),
    less(
        "target_usage.cpu_ns_per_subscriber_minute",
        Unit::Nanoseconds,
        Subject::Quiet,
        Family::Cpu,
        "CPU of the target's process tree per idle subscriber and minute",
        |t| quiet(t, |q| q.target_cpu_ns),
    ),
    less(
        "driver_usage.cpu_ns_per_subscriber_minute",
        Unit::Nanoseconds,
        Subject::Quiet,
        Family::Cpu,
        "CPU of the driver per idle subscriber and minute",
        |t| quiet(t, |q| Some(q.driver_cpu_ns)),
    ),
    less(
        "wire.bytes_per_subscriber_minute",
        Unit::Bytes,
        Subject::Quiet,
        Family::Reported,
        "TCP payload bytes per idle subscriber and minute, both directions, pings included",
        |t| quiet(t, |q| Some(q.bytes_in + q.bytes_out)),
    ),
    less(
        "wire.requests_per_delivery",
        Unit::Count,
        Subject::Delivery,
        Family::Reported,
        "requests of subscribers per delivery, to fetch events or to acknowledge them",
        requests_per_delivery,
    ),
    less(
        "wire.bytes_per_delivery",
        Unit::Bytes,
        Subject::Delivery,
        Family::Reported,
        "TCP payload bytes per delivery, both directions",
        |t| {
            let d = &t.fanout.as_ref()?.deliveries;
            per_event(d.traffic.bytes_in + d.traffic.bytes_out, d.read)
        },
    ),
    under!(guarantee "lost_share", Share, Family::Counted, "share of due deliveries that never reached the application", |g| per_due(g, g.lost.sum())),
    under!(guarantee "duplicates_per_delivery", Count, Family::Counted, "arrivals of events that their receiver had already, per due delivery", |g| per_due(g, g.duplicates_on_wire).filter(|_| !g.arrivals_are_unknown)),
    under!(guarantee "out_of_order_share", Share, Family::Counted, "share of due deliveries that came behind a younger event", |g| per_due(g, g.out_of_order).filter(|_| !g.arrivals_are_unknown)),
    under!(guarantee "attempts_per_delivery", Count, Family::Counted, "attempts per due delivery; unknown where the publisher does not count them", |g| per_due(g, g.attempts).filter(|_| g.attempts_are_counted)),
    under!(after "recovery.first_event", Family::Latency { tail: false }, first_event_ns, "from the end of the planned fault to the first event that a receiver got"),
    under!(after "recovery.caught_up", Family::Latency { tail: false }, caught_up_ns, "from the end of the planned fault until no delivery that was due before it was outstanding; unknown if one was lost"),
    under!(after "recovery.all_back", Family::Latency { tail: false }, all_back_ns, "from the end of the planned fault until all receivers were back; unknown if one was not"),
    under!(after "recovery.cpu", Family::Reported, cpu_ns, "CPU of the target from the begin of the planned fault until all was caught up and all receivers were back, beyond what it used before in the same time"),
    under!(guarantee "backlog.peak", Count, Family::Reported, "most deliveries outstanding at a time", |g| Some(g.backlog_peak as f64)),
    under!(guarantee "backlog.peak_bytes", Bytes, Family::Reported, "bytes of the events of these deliveries", |g| Some(g.backlog_peak_bytes as f64)),
    under!(guarantee "connections.peak", Count, Family::Reported, "most connections opened per second, from the busiest 100 ms", |g| Some(g.connections_per_second_peak as f64)),
    under!(guarantee "held", Nanoseconds, Family::Reported, "time that an event waited behind one that was being tried again, mean over those that waited", |g| per_event(g.held_ns, g.held_events)),
    under!(guarantee "sync", Nanoseconds, Family::Reported, "a sync of the publisher's store, mean", |g| per_event(g.sync?.total_ns, g.sync?.count)),
];
