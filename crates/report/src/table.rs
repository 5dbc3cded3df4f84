//! The rows of a point's table as text cells: shared by the formats for people.

use crate::visible::line;
use crate::{certainty, duplex, fanout, guarantee, idle, notes, path};
use pushbench_analysis::compare::{
    ArmFigures, Comparison, HandshakeFigures, Latency, Point, Report, Verdict,
};
use pushbench_core::scenario::{Flow, Recipients, Setting};
use pushbench_core::units;

/// A row: its name, a cell per arm, and for two arms the difference and the verdict.
pub struct Row {
    /// What it shows.
    pub name: &'static str,
    /// The metric it is compared by; empty where it is only reported.
    pub metric: &'static str,
    /// One cell an arm.
    pub arms: Vec<String>,
    /// The comparison with the second arm, where there is one.
    pub difference: String,
    /// Its verdict in words.
    pub verdict: String,
    /// The numbers of the notes that can move its figures.
    pub notes: Vec<usize>,
}

pub(super) const NONE: &str = "–";

/// The rows of a point, compared with arm `candidate`.
pub fn rows(point: &Point, candidate: usize) -> Vec<Row> {
    let closed = point.design.rate.is_none();
    let lines: &[fanout::Line] = match point.design.flow {
        Flow::Ingest | Flow::Duplex => &[],
        Flow::Fanout => &fanout::LINES,
        Flow::Idle => &idle::LINES,
    };
    let mut rows = Vec::new();
    let mut push = |name, metric: &'static str, cell: fn(&ArmFigures) -> String| {
        let c = comparison(point, candidate, metric);
        rows.push(Row {
            name,
            metric,
            arms: point.arms.iter().map(cell).collect(),
            difference: c.map(difference).unwrap_or_default(),
            verdict: c.map(verdict).unwrap_or_default(),
            notes: notes::of_row(point, candidate, metric),
        });
    };
    guarantee::lines(&point.arms).into_iter().for_each(|(name, of, cell)| push(name, of, cell));
    if let Some(subscribers) = &point.design.subscribers {
        let one = subscribers.to == Recipients::One;
        let lines = lines.iter().filter(|(_, metric, _)| !(one && fanout::of_many(metric)));
        let lines = lines.chain(handshakes(&point.arms)).copied().chain(path::lines(point));
        lines.for_each(|(name, metric, cell)| push(name, metric, cell));
        if point.arms.iter().any(|a| !a.proxies.is_empty()) {
            push("proxy CPU/delivery", "", proxies);
        }
        for (name, metric, arms) in fanout::further(&point.arms) {
            let c = comparison(point, candidate, metric);
            let (difference, verdict) =
                (c.map(difference).unwrap_or_default(), c.map(verdict).unwrap_or_default());
            let notes = notes::of_row(point, candidate, metric);
            rows.push(Row { name, metric, arms, difference, verdict, notes });
        }
        return rows;
    }
    if point.design.flow == Flow::Duplex {
        let shown: Vec<&ArmFigures> =
            [point.arms.first(), point.arms.get(candidate)].into_iter().flatten().collect();
        let lines = duplex::lines(&shown).chain(handshakes(&point.arms)).copied();
        lines.chain(path::lines(point)).for_each(|(name, metric, cell)| push(name, metric, cell));
        if shown.iter().any(|a| !a.proxies.is_empty()) {
            push("proxy CPU/question", "", proxies);
        }
        return rows;
    }
    if closed {
        push("throughput", "throughput", |a| {
            a.throughput_per_second.map_or(NONE.into(), units::rate)
        });
    } else {
        push("response p50", "response.p50", |a| time(a.response_ns.p50));
        push("response p99", "response.p99", |a| time(a.response_ns.p99));
    }
    push("service p50", "service.p50", |a| time(a.service_ns.p50));
    if closed {
        push("service p99", "service.p99", |a| time(a.service_ns.p99));
    }
    push("target CPU/event", "target_usage.cpu_ns_per_event", |a| {
        cpu(a.target_usage.cpu_ns_per_event)
    });
    push("driver CPU/event", "driver_usage.cpu_ns_per_event", |a| {
        cpu(a.driver_usage.cpu_ns_per_event)
    });
    push("total CPU/event", "total_usage.cpu_ns_per_event", together);
    if point.arms.iter().any(|a| !a.proxies.is_empty()) {
        push("proxy CPU/event", "", proxies);
    }
    push("bytes/event out+in", "", bytes_per_event);
    push("target memory peak", "", |a| {
        a.target_usage.rss_peak_bytes.map_or(NONE.into(), |b| units::bytes(b as f64))
    });
    push("connections opened", "", connections);
    let arms = &point.arms;
    if arms.iter().any(|a| a.connections.events_per_request.is_some()) {
        push("events/request", "", |a| {
            a.connections.events_per_request.map_or(NONE.into(), |n| format!("{n:.2}"))
        });
    }
    if arms.iter().any(|a| a.connections.reconnects > 0) {
        push("reconnects · time p50", "", reconnects);
    }
    let lines = handshakes(arms).iter().copied().chain(path::lines(point));
    lines.for_each(|(name, metric, cell)| push(name, metric, cell));
    if arms.iter().any(|a| a.encode_ns.is_some()) {
        push("encode · decode p50", "", |a| {
            let p50 = |times: &Option<Latency>| time(times.as_ref().and_then(|t| t.p50));
            format!("{} · {}", p50(&a.encode_ns), p50(&a.decode_ns))
        });
    }
    let queued = |a: &ArmFigures| {
        let slots = a.load.connections * a.load.in_flight as u64;
        a.backlog.bursts > 0 || a.backlog.peak.is_some_and(|peak| peak > slots)
    };
    if arms.iter().any(queued) {
        push("backlog peak", "", |a| {
            a.backlog.peak.map_or(NONE.into(), |p| units::count(p as f64))
        });
    }
    if arms.iter().any(|a| a.backlog.bursts > 0) {
        push("time to drain a burst", "", |a| time(a.backlog.drain_ns));
    }
    push("due / ack / lost", "", outcomes);
    let shown = [arms.first(), arms.get(candidate)];
    if shown.iter().flatten().any(|a| a.ease.is_some()) {
        push("lines of code", "", lines_of_code);
        push("packages direct / all", "", packages);
        push("duties in the code", "", duties);
    }
    if let [alone] = &arms[..] {
        rows.iter_mut().for_each(|row| certainty::add_interval(row, alone));
    }
    rows
}

/// The rows of TLS handshakes, where an arm has any.
fn handshakes(arms: &[ArmFigures]) -> &'static [fanout::Line] {
    const LINES: [fanout::Line; 2] = [
        ("TLS handshakes of all blocks full + resumed", "", |a| {
            let counts = |h: &HandshakeFigures| format!("{} + {}", h.full, h.resumed);
            a.connections.handshakes.as_ref().map_or(NONE.into(), counts)
        }),
        ("time of a TLS handshake full / resumed", "", |a| {
            let p50s = |h: &HandshakeFigures| {
                format!("{} / {}", time(h.full_ns.p50), time(h.resumed_ns.p50))
            };
            a.connections.handshakes.as_ref().map_or(NONE.into(), p50s)
        }),
    ];
    if arms.iter().any(|a| a.connections.handshakes.is_some()) { &LINES } else { &[] }
}

pub(super) fn comparison<'a>(
    point: &'a Point,
    candidate: usize,
    metric: &str,
) -> Option<&'a Comparison> {
    let name = &point.arms.get(candidate)?.arm;
    point.comparisons.iter().find(|c| &c.candidate == name && c.metric == metric)
}

pub(super) fn time(ns: Option<u64>) -> String {
    ns.map_or(NONE.into(), |v| units::nanos_text(v as f64))
}

pub(super) fn cpu(ns: Option<f64>) -> String {
    ns.map_or(NONE.into(), units::nanos_text)
}

/// Of one proxy its CPU, of several each with its name.
fn proxies(a: &ArmFigures) -> String {
    match &a.proxies[..] {
        [] => NONE.into(),
        [one] => cpu(one.cpu_ns_per_event),
        all => {
            let each = all.iter().map(|p| format!("{} {}", p.name, cpu(p.cpu_ns_per_event)));
            each.collect::<Vec<_>>().join(" + ")
        }
    }
}

pub(super) fn together(a: &ArmFigures) -> String {
    let both = a.target_usage.cpu_ns_per_event.zip(a.driver_usage.cpu_ns_per_event);
    cpu(both.map(|(t, d)| t + d))
}

pub(super) fn bytes_per_event(a: &ArmFigures) -> String {
    match (a.wire.bytes_out_per_event, a.wire.bytes_in_per_event) {
        (Some(out), Some(back)) => format!("{out:.0} + {back:.0}"),
        _ => NONE.into(),
    }
}

/// Per event where events pay for them, else per trial.
pub(super) fn connections(a: &ArmFigures) -> String {
    // A few reconnects are incidental; as many as there were connections are systematic.
    let systematic = 2.0 * a.load.connections as f64;
    match (a.connections.per_event, a.connections.per_trial) {
        (Some(per_event), Some(opened)) if opened >= systematic => {
            format!("{per_event:.2} per event")
        }
        (_, Some(opened)) => format!("{opened:.0}"),
        _ => NONE.into(),
    }
}

fn reconnects(a: &ArmFigures) -> String {
    match (a.connections.reconnects, a.connections.connect_ns.p50) {
        (0, _) => "0".to_owned(),
        (n, p50) => format!("{} · {}", units::count(n as f64), time(p50)),
    }
}

/// The strata: a heading, and a row per stratum with a cell per arm; empty where there are none.
pub fn strata(point: &Point) -> Vec<Vec<String>> {
    let Some(first) = point.arms.iter().find(|a| !a.strata.is_empty()) else {
        return Vec::new();
    };
    let closed = point.design.rate.is_none();
    let what = if closed { "service p50 / p99" } else { "response p50 / p99" };
    let kind = if closed { "service" } else { "response" };
    let moving = ["p50", "p99"].map(|p| of_any(point, &format!("{kind}.{p}")));
    let mut moving = moving.concat();
    moving.sort_unstable();
    moving.dedup();
    let mut grid = vec![vec![notes::marked(what, &moving)]];
    grid[0].extend(point.arms.iter().map(|a| a.arm.clone()));
    for (i, stratum) in first.strata.iter().enumerate() {
        let cell = |a: &ArmFigures| match a.strata.get(i) {
            None => NONE.to_owned(),
            Some(s) => {
                let l = if closed { &s.service_ns } else { &s.response_ns };
                format!("{} / {}", time(l.p50), time(l.p99))
            }
        };
        let mut row = vec![stratum.name.clone()];
        row.extend(point.arms.iter().map(cell));
        grid.push(row);
    }
    grid
}

/// The numbers of the notes that can move a metric of any arm.
fn of_any(point: &Point, metric: &str) -> Vec<usize> {
    let arms: Vec<&str> = point.arms.iter().map(|a| a.arm.as_str()).collect();
    point.validity.moving(&arms, metric)
}

pub(super) fn lines_of_code(a: &ArmFigures) -> String {
    a.ease.as_ref().and_then(|e| e.lines_of_code).map_or(NONE.into(), |n| n.to_string())
}

pub(super) fn packages(a: &ArmFigures) -> String {
    let Some(counted) = a.ease.as_ref().and_then(|e| e.dependencies) else { return NONE.into() };
    let direct = counted.direct.map_or(NONE.into(), |n| n.to_string());
    format!("{direct} / {}", counted.all)
}

pub(super) fn duties(a: &ArmFigures) -> String {
    match a.ease.as_ref().and_then(|e| e.duties.as_deref()) {
        None => NONE.into(),
        Some([]) => "none".into(),
        Some(duties) => duties.iter().map(|d| d.name()).collect::<Vec<_>>().join(", "),
    }
}

pub(super) fn outcomes(a: &ArmFigures) -> String {
    let f = &a.events.outcomes;
    let count = |n| units::count(n as f64);
    let mut text = format!("{}/{}/{}", count(f.due), count(f.acknowledged), count(f.lost));
    if f.failed + f.timed_out > 0 {
        text.push_str(&format!(" +{} failed +{} timed out", count(f.failed), count(f.timed_out)));
    }
    text
}

/// `−21 µs [−25, −17]`, or the ratio where a difference has no scale of its own.
pub fn difference(c: &Comparison) -> String {
    if let (Some(d), Some(ci)) = (c.difference, c.difference_ci95)
        && let Some(text) = guarantee::difference(c.metric, d, ci)
    {
        return text;
    }
    let absolute = ["p50", "p9", "recovery."].iter().any(|of| c.metric.contains(of));
    if absolute && let (Some(d), Some(ci)) = (c.difference, c.difference_ci95) {
        return units::nanos_interval(d, ci);
    }
    match (c.ratio, c.ci95) {
        (Some(r), Some([low, high])) => format!("×{r:.2} [{low:.2}, {high:.2}]"),
        _ => NONE.into(),
    }
}

/// The difference; of blocks too few for an interval the ratio alone, for what claims nothing by it.
pub fn measured(c: &Comparison) -> String {
    match (c.ci95, c.measured()) {
        (None, Some(ratio)) => units::ratio(ratio),
        _ => difference(c),
    }
}

/// The verdict in words; a star marks a difference too small to matter, a dagger one
/// that is withheld.
pub fn verdict(c: &Comparison) -> String {
    let star = if c.matters { "" } else { "*" };
    match c.verdict {
        Verdict::Better => format!("better{star}"),
        Verdict::Worse => format!("worse{star}"),
        Verdict::Equivalent => "equivalent".into(),
        Verdict::Inconclusive if c.withheld().is_some() => "cannot tell†".into(),
        Verdict::Inconclusive => "cannot tell".into(),
        Verdict::Overloaded => "overloaded".into(),
        Verdict::Invalid => "invalid".into(),
    }
}

/// A metric as the tables of a flow call it.
pub(crate) fn metric_name(flow: Flow, metric: &'static str) -> &'static str {
    let name = match flow {
        // The total has one name in every flow.
        _ if metric.starts_with("total_usage") => None,
        Flow::Ingest => None,
        Flow::Duplex => duplex::name_of(metric),
        Flow::Fanout | Flow::Idle => fanout::name_of(metric).or_else(|| idle::name_of(metric)),
    };
    name.unwrap_or(match metric {
        "response.p50" => "response p50",
        "response.p90" => "response p90",
        "response.p99" => "response p99",
        "response.p99_9" => "response p99.9",
        "service.p50" => "service p50",
        "service.p90" => "service p90",
        "service.p99" => "service p99",
        "delivery.p90" => "delivery p90",
        "delivery.p99_9" => "delivery p99.9",
        "last.p99" => "last subscriber p99",
        "first_event.p90" => "time to first event p90",
        "target_usage.cpu_ns_per_event" => "target CPU/event",
        "driver_usage.cpu_ns_per_event" => "driver CPU/event",
        "total_usage.cpu_ns_per_event" if flow == Flow::Duplex => "total CPU/question",
        "total_usage.cpu_ns_per_event" => "total CPU/event",
        "total_usage.cpu_ns_per_delivery" => "total CPU/delivery",
        "wire.bytes_per_delivery" => "bytes/delivery",
        "wire.bytes_per_subscriber_minute" => "bytes/subscriber·min",
        other => guarantee::name_of(other).unwrap_or(other),
    })
}

/// The warning above a run that was cut short or whose records were altered.
pub fn incomplete(report: &Report) -> Option<String> {
    if !report.records_differ.is_empty() {
        let differ = report.records_differ.join("; ");
        return Some(format!(
            "RECORDS DIFFER: {differ}: the figures below are not those of the run as it was measured"
        ));
    }
    let why = report.failure.as_ref().map(|why| format!(" ({})", line(why))).unwrap_or_default();
    let text = format!("INCOMPLETE: the run was cut short{why}; the finished part is below");
    (!report.complete).then_some(text)
}

/// An arm as other tools know it from run to run: `ingest load.rate = 500 webhook@builtin`.
pub fn benchmark(report: &Report, point: &Point, arm: &str) -> String {
    let setting = setting(point);
    let gap = if setting.is_empty() { "" } else { " " };
    format!("{} {setting}{gap}{arm}", report.scenario)
}

/// How a setting reads where there is little room: `rate = 500`.
pub(super) fn short_setting(point: &Point) -> String {
    let short = point.setting.iter().map(|(key, value)| {
        let last = key.rsplit('.').next().unwrap_or(key);
        (last.to_owned(), value.clone())
    });
    keys(&short.collect())
}

/// How a setting of a sweep reads: `load.rate = 500`.
pub fn setting(point: &Point) -> String {
    keys(&point.setting)
}

/// The same of keys alone.
pub fn keys(setting: &Setting) -> String {
    let pair = |(key, value): (&String, &serde_json::Value)| match value {
        serde_json::Value::String(text) => format!("{key} = {text}"),
        value => format!("{key} = {value}"),
    };
    setting.iter().map(pair).collect::<Vec<_>>().join(", ")
}
