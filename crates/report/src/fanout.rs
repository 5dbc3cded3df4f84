//! The rows of a fan-out's table.

use crate::table::{NONE, cpu, time};
use pushbench_analysis::compare::conduct::ApartFigures;
use pushbench_analysis::compare::{ArmFigures, FanoutFigures};
use pushbench_core::record::fanout::{Conduct, DeliveryOutcomes, PublisherStatus};
use pushbench_core::units;

/// What is shown, the metric it is compared by, and the cell of an arm.
pub(super) type Line = (&'static str, &'static str, fn(&ArmFigures) -> String);

/// The rows of every table.
pub(super) const LINES: [Line; 17] = [
    ("delivery p50", "delivery.p50", |a| of(a, |f| time(f.delivery_ns.p50))),
    ("delivery p99", "delivery.p99", |a| of(a, |f| time(f.delivery_ns.p99))),
    ("last subscriber p50", "last.p50", |a| of(a, |f| time(f.last_ns.p50))),
    ("last subscriber p90", "last.p90", |a| of(a, |f| time(f.last_ns.p90))),
    ("first to last subscriber p50", "skew.p50", |a| of(a, |f| time(f.skew_ns.p50))),
    ("deliveries/s", "", |a| of(a, |f| number(f.deliveries_per_second))),
    ("target CPU/delivery", "target_usage.cpu_ns_per_delivery", |a| {
        of(a, |f| cpu(f.target_cpu_ns_per_delivery))
    }),
    ("driver CPU/delivery", "driver_usage.cpu_ns_per_delivery", |a| {
        of(a, |f| cpu(f.driver_cpu_ns_per_delivery))
    }),
    ("total CPU/delivery", "total_usage.cpu_ns_per_delivery", |a| {
        of(a, |f| cpu(f.figure("total_usage.cpu_ns_per_delivery")))
    }),
    ("bytes/delivery to + from", "", |a| of(a, bytes)),
    ("segments/delivery", "", |a| {
        of(a, |f| f.wire.segments_per_delivery.map_or(NONE.into(), |n| format!("{n:.2}")))
    }),
    ("target memory/subscriber", "target_usage.bytes_per_subscriber", |a| {
        of(a, |f| size(f.target_bytes_per_subscriber))
    }),
    ("driver memory/subscriber", "", |a| of(a, |f| size(f.driver_bytes_per_subscriber))),
    ("time to subscribe", "", |a| of(a, |f| cpu(f.subscribe_ns_each))),
    ("due / received / lost", "", |a| of(a, outcomes)),
    ("reach", "reach", |a| of(a, reach)),
    ("duplicated / reordered", "", |a| {
        of(a, |f| format!("{} / {}", f.deliveries.duplicated, f.deliveries.reordered))
    }),
];

/// A row for what not every fan-out has: shown where an arm has something to show.
pub(super) type Further = (&'static str, &'static str, fn(&FanoutFigures) -> Option<String>);

/// For transports with requests of subscribers.
pub(super) const REQUESTS: &str = "requests/delivery (empty)";

/// The rows below [`LINES`].
pub(super) const FURTHER: [Further; 21] = [
    (REQUESTS, "wire.requests_per_delivery", requests),
    ("unwanted (share of all)", "", |f| {
        let (d, unwanted) = (&f.deliveries, f.deliveries.unwanted?);
        let read = d.read + unwanted;
        Some(format!("{} / {}", units::count(unwanted as f64), units::count(read as f64)))
    }),
    ("slow: delivery p50", "", |f| apart(f, Conduct::Slow, |a| time(a.delivery_ns.p50))),
    ("slow: due / received / lost", "", |f| apart(f, Conduct::Slow, |a| sums(&a.deliveries))),
    ("stuck: due / received / lost", "", |f| apart(f, Conduct::Stuck, |a| sums(&a.deliveries))),
    ("longest queue", "", |f| {
        f.apart.first()?;
        Some(units::count(f.publisher?.longest_queue as f64))
    }),
    ("rejected / timed out", "", |f| {
        f.apart.first()?;
        let publisher = f.publisher?;
        Some(format!(
            "{} / {}",
            units::count(publisher.overflowed as f64),
            units::count(publisher.timed_out as f64)
        ))
    }),
    ("target memory growth", "", |f| {
        f.apart.first()?;
        f.upkeep.grew_bytes.map(units::bytes)
    }),
    ("left / disconnected / joined", "", |f| {
        let t = f.turnover.as_ref()?;
        let count = |n: u64| units::count(n as f64);
        Some(format!("{} / {} / {}", count(t.left), count(t.cut_off), count(t.came)))
    }),
    ("attempts refused", "", |f| Some(units::count(f.turnover.as_ref()?.refused as f64))),
    ("resubscribing p50", "subscribing.p50", |f| {
        Some(time(f.turnover.as_ref()?.subscribing_ns.p50))
    }),
    ("resubscribing p90", "subscribing.p90", |f| {
        Some(time(f.turnover.as_ref()?.subscribing_ns.p90))
    }),
    ("time to first event p50", "first_event.p50", |f| {
        Some(time(f.turnover.as_ref()?.first_event_ns.p50))
    }),
    ("target down", "", |f| Some(units::nanos_text(f.upkeep.down_ns?))),
    ("time until all were back", "recovery", |f| {
        Some(units::nanos_text(f.turnover.as_ref()?.recovery_ns.mean?))
    }),
    ("subscriber knows after", "noticed.subscriber", |f| {
        Some(units::nanos_text(f.figure("noticed.subscriber")?))
    }),
    ("publisher knows after", "noticed.publisher", |f| {
        Some(units::nanos_text(f.figure("noticed.publisher")?))
    }),
    ("events flow again after", "resumption", |f| {
        let resumption = f.resumption.as_ref()?;
        Some(match resumption.ns {
            Some(ns) => units::nanos_text(ns),
            None => format!("never for {} of {}", resumption.never, resumption.subscribers),
        })
    }),
    ("read while joining or leaving", "", |f| {
        f.turnover.as_ref()?;
        Some(units::count(f.deliveries.undue as f64))
    }),
    ("target descriptors", "target_usage.descriptors", |f| {
        upkeep(f)?;
        f.upkeep.descriptors.map(units::count)
    }),
    ("pings / idle closed", "", |f| {
        let publisher = upkeep(f)?;
        Some(format!(
            "{} / {}",
            units::count(publisher.pings as f64),
            units::count(publisher.idle_closed as f64)
        ))
    }),
];

/// What its rows call a metric.
pub(super) fn name_of(metric: &str) -> Option<&'static str> {
    let lines = LINES.iter().map(|(name, m, _)| (*name, *m));
    let all = lines.chain(FURTHER.iter().map(|(name, m, _)| (*name, *m)));
    all.filter(|(_, m)| *m == metric).map(|(name, _)| name).next()
}

/// The publisher's counts, where it manages idle connections.
fn upkeep(f: &FanoutFigures) -> Option<PublisherStatus> {
    f.publisher.filter(|publisher| publisher.pings + publisher.idle_closed > 0)
}

fn apart(
    f: &FanoutFigures,
    conduct: Conduct,
    cell: impl Fn(&ApartFigures) -> String,
) -> Option<String> {
    f.apart.iter().find(|a| a.conduct == conduct).map(cell)
}

/// Rows that say nothing where each event goes to one subscriber.
pub(super) fn of_many(metric: &str) -> bool {
    metric.starts_with("last.") || metric.starts_with("skew.")
}

/// The further rows of a point, with the cells of its arms.
pub(super) fn further(arms: &[ArmFigures]) -> Vec<(&'static str, &'static str, Vec<String>)> {
    let row = |(name, metric, cell): &Further| {
        let cells: Vec<Option<String>> =
            arms.iter().map(|a| a.fanout.as_ref().and_then(cell)).collect();
        let shown = |cell: Option<String>| cell.unwrap_or_else(|| NONE.to_owned());
        let any = cells.iter().any(Option::is_some);
        any.then(|| (*name, *metric, cells.into_iter().map(shown).collect()))
    };
    FURTHER.iter().filter_map(row).collect()
}

/// `10.2 (90 %)`: of so many requests a delivery this part brought nothing.
pub(super) fn requests(f: &FanoutFigures) -> Option<String> {
    let requests = f.requests.as_ref()?;
    Some(format!("{:.2} ({:.0} %)", requests.per_delivery?, requests.empty * 100.0))
}

pub(super) fn of(arm: &ArmFigures, cell: impl Fn(&FanoutFigures) -> String) -> String {
    arm.fanout.as_ref().map_or(NONE.into(), cell)
}

fn number(value: Option<f64>) -> String {
    value.map_or(NONE.into(), units::count)
}

pub(super) fn size(value: Option<f64>) -> String {
    value.map_or(NONE.into(), units::bytes)
}

fn bytes(f: &FanoutFigures) -> String {
    match (f.wire.bytes_in_per_delivery, f.wire.bytes_out_per_delivery) {
        (Some(to), Some(from)) => format!("{to:.0} + {from:.0}"),
        _ => NONE.into(),
    }
}

/// The part of what was due that arrived.
fn reach(f: &FanoutFigures) -> String {
    // Not "100.00 %" of what is not whole.
    f.reach.map_or(NONE.into(), |r| format!("{:.2} %", (r * 1e4).floor() / 1e2))
}

pub(super) fn outcomes(f: &FanoutFigures) -> String {
    sums(&f.deliveries.outcomes)
}

fn sums(d: &DeliveryOutcomes) -> String {
    let count = |n| units::count(n as f64);
    let mut text = format!("{}/{}/{}", count(d.due), count(d.received), count(d.lost));
    if d.failed + d.timed_out > 0 {
        text.push_str(&format!(" +{} failed +{} timed out", count(d.failed), count(d.timed_out)));
    }
    text
}

/// A line an arm, for tables of many arms: headings first.
pub(super) const OVERVIEW: [&str; 7] = [
    "delivery p50",
    "p99",
    "last subscriber p50",
    "target CPU/delivery",
    "memory/subscriber",
    "reach",
    "bytes/delivery",
];

/// The cells under [`OVERVIEW`].
pub(super) fn overview(a: &ArmFigures) -> [String; 7] {
    let late = |ns: Option<u64>| if a.overloaded { NONE.to_owned() } else { time(ns) };
    [
        of(a, |f| late(f.delivery_ns.p50)),
        of(a, |f| late(f.delivery_ns.p99)),
        of(a, |f| late(f.last_ns.p50)),
        of(a, |f| cpu(f.target_cpu_ns_per_delivery)),
        of(a, |f| size(f.target_bytes_per_subscriber)),
        of(a, reach),
        of(a, |f| number(f.figure("wire.bytes_per_delivery"))),
    ]
}
