//! What HTTP/2, batches, compression and headers change, and the verdicts on published claims about them, by the
//! rules that their pages state.

use super::claims::{FEWEST_BLOCKS, interval, of_interval, ratio, verdict, word};
use super::texts::{Stored, grid, legend};
use pushbench_analysis::compare::{Comparison, Point};
use pushbench_analysis::stats::effect::Effect;
use pushbench_core::record::trial::{Stage, Trial};
use pushbench_core::units;
use pushbench_report::table;
use std::collections::BTreeMap;

const P50: &str = "response.p50";
const CPU: &str = "total_usage.cpu_ns_per_event";
/// Bytes of the acknowledgement of an event, `{"id":"…"}`.
const ACKNOWLEDGEMENT: f64 = 25.0;
/// Two medians are the same within this, ns.
const SAME_NS: f64 = 20_000.0;
/// … and the CPU of two arms within this.
const SAME_CPU: f64 = 1.05;

fn in_flight(point: &Point) -> u64 {
    point.setting.get("connections.in_flight").and_then(|n| n.as_u64()).unwrap()
}

fn found<'a>(point: &'a Point, candidate: &str, metric: &str) -> &'a Comparison {
    let of = |c: &&Comparison| c.candidate == candidate && c.metric == metric;
    point.comparisons.iter().find(of).unwrap()
}

/// The 95 % interval of a difference of medians, ns.
fn difference(point: &Point, candidate: &str) -> Option<[f64; 2]> {
    found(point, candidate, P50)
        .difference_ci95
        .filter(|_| point.design.blocks_valid >= FEWEST_BLOCKS)
}

/// Whether HTTP/2 is as a WebSocket at one depth: as soon, and as cheap.
fn vanishes(later: Option<[f64; 2]>, cpu: Option<[f64; 2]>) -> Option<bool> {
    let ([low, high], [cheap, dear]) = (later?, cpu?);
    let beyond = |low: f64, high: f64, limit: f64| low > limit || high < -limit;
    let (ln_cheap, ln_dear, limit) = (cheap.ln(), dear.ln(), SAME_CPU.ln());
    match () {
        () if beyond(low, high, SAME_NS) || beyond(ln_cheap, ln_dear, limit) => Some(false),
        () if low.abs().max(high.abs()) <= SAME_NS
            && ln_cheap.abs().max(ln_dear.abs()) <= limit =>
        {
            Some(true)
        }
        () => None,
    }
}

/// The lowest and the highest bound of several intervals, as far as there are any.
fn reach(intervals: &[Option<[f64; 2]>]) -> Option<[f64; 2]> {
    let all: Option<Vec<[f64; 2]>> = intervals.iter().copied().collect();
    let all = all.filter(|all| !all.is_empty())?;
    let low = all.iter().map(|i| i[0]).fold(f64::INFINITY, f64::min);
    let high = all.iter().map(|i| i[1]).fold(f64::NEG_INFINITY, f64::max);
    Some([low, high])
}

/// Would HTTP/2 do it, too?
pub fn http2(run: &Stored) -> String {
    const H2: &str = "webhook+h2@builtin";
    let points = &run.report.points;
    let later: Vec<_> = points.iter().map(|p| difference(p, H2)).collect();
    let cpu: Vec<_> = points.iter().map(|p| ratio(p, H2, CPU)).collect();
    let tried: Vec<_> = later.iter().zip(&cpu).map(|(l, c)| vanishes(*l, *c)).collect();
    let answer = match verdict(&tried, "the events in flight").as_str() {
        "holds" => "Yes".to_owned(),
        "does not" => "No".to_owned(),
        other => other[..1].to_uppercase() + &other[1..],
    };
    let depths: Vec<String> = points.iter().map(|p| in_flight(p).to_string()).collect();
    let how = match (reach(&later), reach(&cpu)) {
        (Some([low, high]), Some([cheap, dear])) => {
            let span = |low: f64, high: f64| {
                format!("{} to {}", units::nanos_text(low), units::nanos_text(high))
            };
            let soon = match () {
                () if low > 0.0 => format!("{} later than", span(low, high)),
                () if high < 0.0 => format!("{} sooner than", span(-high, -low)),
                () => format!(
                    "from {} sooner to {} later than",
                    units::nanos_text(-low),
                    units::nanos_text(high)
                ),
            };
            format!(
                ": the median response over one HTTP/2 connection comes {soon} over one WebSocket, and an event takes \
                 ×{cheap:.2} to ×{dear:.2} of its CPU at both ends (the 95 % intervals with {} and {} events in flight)",
                depths[..depths.len() - 1].join(", "),
                depths[depths.len() - 1]
            )
        }
        _ => String::new(),
    };
    let mut rows = vec![
        ["in flight", "arm", "connections", "response p50", "CPU at both ends", "driver busy"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for point in points {
        for arm in &point.arms {
            let cell = |metric: &str| match arm.arm == point.arms[0].arm {
                true => "the baseline".to_owned(),
                false => {
                    let c = found(point, &arm.arm, metric);
                    let verdict = table::verdict(c).trim_end_matches('†').replace('*', "\\*");
                    format!("{}: {verdict}", table::difference(c))
                }
            };
            rows.push(vec![
                in_flight(point).to_string(),
                format!("`{}`", arm.arm),
                arm.load.connections.to_string(),
                cell(P50),
                cell(CPU),
                arm.driver_usage
                    .busy
                    .map_or("–".to_owned(), |busy| format!("{:.0} %", busy * 100.0)),
            ]);
        }
    }
    let shown = grid(&rows);
    format!(
        "Would HTTP/2 do it, too? **{answer}**{how} ({}).\n\n{shown}\n{}",
        run.source(),
        legend(points, &shown)
    )
}

/// *HTTP/2 makes the difference vanish*, and *HTTP/2 is many times slower*.
pub fn claim_http2(run: &Stored) -> String {
    const H2: &str = "webhook+h2@builtin";
    let head = [
        "in flight",
        "later than a WebSocket, 95 %",
        "CPU over a WebSocket's, 95 %",
        "the difference vanishes",
        "response over HTTP/1.1's, 95 %",
        "many times slower",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let (mut vanish, mut slow) = (Vec::new(), Vec::new());
    for point in &run.report.points {
        let (later, cpu) = (difference(point, H2), ratio(point, H2, CPU));
        let layer = point.layers.iter().find(|l| l.candidate == H2).unwrap();
        let of_http1 = layer.comparisons.iter().find(|c| c.metric == P50).unwrap();
        let of_http1 = of_http1.ci95.filter(|_| point.design.blocks_valid >= FEWEST_BLOCKS);
        vanish.push(vanishes(later, cpu));
        slow.push(of_interval(of_http1, 10.0, 2.0));
        let span = |[low, high]: [f64; 2]| {
            let sign = |ns: f64| {
                format!("{}{}", if ns < 0.0 { "−" } else { "+" }, units::nanos_text(ns.abs()))
            };
            format!("{} to {}", sign(low), sign(high))
        };
        rows.push(vec![
            in_flight(point).to_string(),
            later.map_or("not measured".to_owned(), span),
            interval(cpu),
            word(vanish[vanish.len() - 1]).to_owned(),
            interval(of_http1),
            word(slow[slow.len() - 1]).to_owned(),
        ]);
    }
    format!(
        "Verdict on *HTTP/2 makes the difference vanish*: **{}**. Verdict on *HTTP/2 is many times slower*: **{}** ({}).\n\n{}",
        verdict(&vanish, "the events in flight"),
        verdict(&slow, "the events in flight"),
        run.source(),
        grid(&rows)
    )
}

/// *A WebSocket carries 8 to 20 times what HTTP carries.*
pub fn throughput() -> String {
    const TARGET: &str = "target_usage.cpu_ns_per_event";
    let head = [
        "server",
        "in flight",
        "WebSocket over HTTP/1.1, 95 %",
        "",
        "HTTP/2 over HTTP/1.1",
        "batches over HTTP/1.1",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut tried = Vec::new();
    let mut source = String::new();
    for server in ["builtin", "express"] {
        let run = Stored::with_baseline("websocket-throughput", &format!("webhook@{server}"));
        for point in &run.report.points {
            // A core carries the more events the less CPU each takes.
            let carried = |left: &str| {
                ratio(point, &format!("{left}@{server}"), TARGET)
                    .map(|[low, high]| [1.0 / high, 1.0 / low])
            };
            tried.push(of_interval(carried("websocket"), 8.0, 8.0));
            let other = |left: &str| match server {
                "builtin" => interval(carried(left)),
                _ => "–".to_owned(),
            };
            rows.push(vec![
                server.to_owned(),
                in_flight(point).to_string(),
                interval(carried("websocket")),
                word(tried[tried.len() - 1]).to_owned(),
                other("webhook+h2"),
                other("webhook+batch=64"),
            ]);
        }
        source = run.source();
    }
    format!(
        "Verdict: **{}** ({source}). How many events a core of the server carries:\n\n{}",
        verdict(&tried, "the server and the events in flight"),
        grid(&rows)
    )
}

/// *An HTTP request costs 700 to 900 bytes, a frame 2 to 14.*
pub fn bytes(run: &Stored) -> String {
    let head = [
        "headers added",
        "`webhook`",
        "700 to 900 bytes",
        "`webhook+h2`",
        "`websocket`, two frames",
        "2 to 14 bytes",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let (mut requests, mut frames) = (Vec::new(), Vec::new());
    for point in &run.report.points {
        let overhead = |left: &str| {
            let arm = point.arms.iter().find(|a| a.arm == format!("{left}@builtin")).unwrap();
            let both = arm.wire.bytes_out_per_event.unwrap() + arm.wire.bytes_in_per_event.unwrap();
            both - point.design.payload_bytes as f64 - ACKNOWLEDGEMENT
        };
        let within = |bytes: f64, low: f64, high: f64| Some((low..=high).contains(&bytes));
        let [request, http2, frame] = ["webhook", "webhook+h2", "websocket"].map(overhead);
        requests.push(within(request, 700.0, 900.0));
        frames.push(within(frame, 4.0, 28.0));
        rows.push(vec![
            format!("{} B", point.setting["payload.headers_bytes"]),
            format!("{request:.0} B"),
            word(requests[requests.len() - 1]).to_owned(),
            format!("{http2:.0} B"),
            format!("{frame:.0} B"),
            word(frames[frames.len() - 1]).to_owned(),
        ]);
    }
    format!(
        "Verdict on *700 to 900 bytes*: **{}**. Verdict on *2 to 14 bytes*: **{}** ({}). Bytes inside TCP of each \
         event, both ways, without the event and its acknowledgement:\n\n{}",
        verdict(&requests, "the headers"),
        verdict(&frames, "the headers"),
        run.source(),
        grid(&rows)
    )
}

/// *A WebSocket costs up to 320 KiB with compression.*
pub fn memory(run: &Stored) -> String {
    const KIB: f64 = 1024.0;
    let counts: Vec<f64> = run
        .report
        .points
        .iter()
        .map(|p| p.setting["connections.count"].as_f64().unwrap())
        .collect();
    let slope = |label: &str| -> Option<[f64; 2]> {
        let at = |point: usize| -> BTreeMap<usize, f64> {
            let mine = run.trials.iter().filter(|t| {
                t.stage == Stage::Block && t.point == point && t.label == label && t.is_valid()
            });
            let peak = |t: &Trial| Some((t.block, t.target?.end.rss_peak_bytes as f64));
            mine.filter_map(peak).collect()
        };
        let (few, many) = (at(0), at(1));
        let each = |(block, bytes): (&usize, &f64)| {
            Some((many.get(block)? - bytes) / (counts[1] - counts[0]) / KIB)
        };
        let slopes: Vec<f64> = few.iter().filter_map(each).collect();
        let found = Effect::paired(&slopes).filter(|_| slopes.len() >= FEWEST_BLOCKS)?;
        found.interval(0.95).map(|i| [i.low, i.high])
    };
    let shown = |found: Option<[f64; 2]>| {
        found.map_or("not measured".to_owned(), |[low, high]| format!("{low:.0} to {high:.0} KiB"))
    };
    let head = ["server", "without compression, 95 %", "with permessage-deflate, 95 %", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut tried = Vec::new();
    for server in ["builtin", "websockets", "ws"] {
        let compressed = slope(&format!("websocket+compressed@{server}"));
        tried.push(compressed.and_then(|[low, high]| match () {
            () if low >= 250.0 && high <= 390.0 => Some(true),
            () if high < 250.0 || low > 390.0 => Some(false),
            () => None,
        }));
        rows.push(vec![
            server.to_owned(),
            shown(slope(&format!("websocket@{server}"))),
            shown(compressed),
            word(tried[tried.len() - 1]).to_owned(),
        ]);
    }
    format!(
        "Verdict: **{}** ({}). Memory of the target for each connection:\n\n{}",
        verdict(&tried, "the server"),
        run.source(),
        grid(&rows)
    )
}

#[test]
fn http2_is_as_a_websocket_only_where_neither_time_nor_cpu_differs() {
    let (same, later, open) = ([-5e3, 15e3], [21e3, 40e3], [10e3, 30e3]);
    let (cheap, dear) = ([0.98, 1.04], [1.2, 1.4]);
    for (time, cpu, expected) in [
        (Some(same), Some(cheap), Some(true)),
        (Some(later), Some(cheap), Some(false)),
        (Some(same), Some(dear), Some(false)),
        (Some([-40e3, -21e3]), Some(cheap), Some(false)),
        (Some(open), Some(cheap), None),
        (Some(same), Some([0.9, 1.1]), None),
        (None, Some(cheap), None),
    ] {
        assert_eq!(vanishes(time, cpu), expected, "{time:?} {cpu:?}");
    }
}
