//! What encryption and authentication cost, and the verdicts on published claims, by the rules that their pages
//! state.

use super::texts::{Stored, grid, legend};
use pushbench_analysis::compare::{Comparison, Point};
use pushbench_core::units;
use pushbench_report::table;

/// Valid blocks without which nothing is judged.
pub(super) const FEWEST_BLOCKS: usize = 8;

/// What each layer costs each transport.
pub fn layers(run: &Stored) -> String {
    const METRICS: [&str; 3] =
        ["response.p50", "target_usage.cpu_ns_per_event", "driver_usage.cpu_ns_per_event"];
    let point = &run.report.points[0];
    let head = [
        "layers",
        "added to",
        "response p50",
        "target CPU/event",
        "driver CPU/event",
        "bytes/event",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for layer in &point.layers {
        let cell = |metric: &str| {
            let found = layer.comparisons.iter().find(|c| c.metric == metric).unwrap();
            format!(
                "{}: {}",
                table::difference(found),
                table::verdict(found).trim_end_matches('†').replace('*', "\\*")
            )
        };
        let mut row = vec![format!("`{}`", layer.layers), format!("`{}`", layer.baseline)];
        row.extend(METRICS.map(cell));
        row.push(layer.bytes_per_event.map_or("–".to_owned(), |bytes| format!("{bytes:+.0}")));
        rows.push(row);
    }
    let shown = grid(&rows);
    format!(
        "What an arm with these layers differs in from the same arm without ({}):\n\n{shown}\n{}",
        run.source(),
        legend(&run.report.points, &shown)
    )
}

/// After how many events a connection has paid for its handshake, at each setting.
pub fn cold(run: &Stored) -> String {
    let head = [
        "arm",
        "handshakes",
        "key",
        "CPU of opening a connection, both sides",
        "events that cost as much",
        "pays less than 5 % from",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for point in &run.report.points {
        let setting = |key: &str| point.setting.get(key).unwrap();
        let resumed = setting("tls.resumption").as_bool().unwrap();
        for cost in &point.openings {
            let events = cost.events.zip(cost.events_ci95);
            rows.push(vec![
                format!("`{}`", cost.arm),
                if resumed { "resumed" } else { "full" }.to_owned(),
                setting("tls.key").as_str().unwrap().to_owned(),
                units::nanos_text(cost.cpu_ns),
                events.map_or("cannot tell".to_owned(), |(n, [low, high])| {
                    format!("{n:.1} [{low:.1}, {high:.1}]")
                }),
                cost.paid_from
                    .map_or("cannot tell".to_owned(), |n| format!("{} events", units::count(n))),
            ]);
        }
    }
    format!("What it costs to open a connection ({}):\n\n{}", run.source(), grid(&rows))
}

/// The 95 % interval of a CPU ratio at one point; `None` without enough blocks.
pub(super) fn ratio(point: &Point, candidate: &str, metric: &str) -> Option<[f64; 2]> {
    let of = |c: &&Comparison| c.candidate == candidate && c.metric == metric;
    let found = point.comparisons.iter().find(of)?;
    found.ci95.filter(|_| point.design.blocks_valid >= FEWEST_BLOCKS)
}

/// Borne out, contradicted, or neither.
pub(super) fn of_interval(interval: Option<[f64; 2]>, above: f64, below: f64) -> Option<bool> {
    match interval {
        Some([low, _]) if low > above => Some(true),
        Some([_, high]) if high < below => Some(false),
        _ => None,
    }
}

/// The verdict on a claim that was tried in several ways.
pub(super) fn verdict(tried: &[Option<bool>], on: &str) -> String {
    let (yes, no) = (tried.contains(&Some(true)), tried.contains(&Some(false)));
    match (yes, no) {
        (true, true) => format!("depends on {on}"),
        _ if tried.contains(&None) => "cannot tell".to_owned(),
        (true, false) => "holds".to_owned(),
        _ => "does not".to_owned(),
    }
}

pub(super) fn word(tried: Option<bool>) -> &'static str {
    match tried {
        Some(true) => "borne out",
        Some(false) => "contradicted",
        None => "cannot tell",
    }
}

pub(super) fn interval(found: Option<[f64; 2]>) -> String {
    found.map_or("not measured".to_owned(), |[low, high]| format!("×{low:.2} to ×{high:.2}"))
}

/// *HMAC signatures become the bottleneck of webhooks.*
pub fn hmac(run: &Stored) -> String {
    let mut rows =
        vec![["size", "target CPU, signed over plain, 95 %", ""].map(str::to_owned).to_vec()];
    let mut tried = Vec::new();
    for point in &run.report.points {
        let found = ratio(point, "webhook+signed@builtin", "target_usage.cpu_ns_per_event");
        tried.push(of_interval(found, 2.0, 1.5));
        let bytes = units::bytes(point.design.payload_bytes as f64);
        rows.push(vec![bytes, interval(found), word(*tried.last().unwrap()).to_owned()]);
    }
    format!(
        "Verdict: **{}** ({}).\n\n{}",
        verdict(&tried, "the size of the event"),
        run.source(),
        grid(&rows)
    )
}

/// *TLS handshakes dominate short connections, and resumption mends it.*
pub fn handshakes(run: &Stored) -> String {
    let total = |key: &str, resumption: bool| {
        let wanted = |p: &&Point| {
            p.setting.get("connections.lifetime") == Some(&1.into())
                && p.setting.get("tls.key") == Some(&key.into())
                && p.setting.get("tls.resumption") == Some(&resumption.into())
        };
        let point = run.report.points.iter().find(wanted).unwrap();
        ratio(point, "webhook+tls@builtin", "total_usage.cpu_ns_per_event")
    };
    let head = [
        "key",
        "full over plain, 95 %",
        "handshakes dominate",
        "resumed over plain, 95 %",
        "left by resumption",
        "resumption mends it",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let (mut dominate, mut mend) = (Vec::new(), Vec::new());
    for key in ["p256", "rsa2048"] {
        let (full, resumed) = (total(key, false), total(key, true));
        // From the ends that speak most for the claim to those that speak most against it.
        let left = full.zip(resumed).map(|(full, resumed)| {
            [(resumed[0] - 1.0) / (full[1] - 1.0), (resumed[1] - 1.0) / (full[0] - 1.0)]
        });
        dominate.push(of_interval(full, 2.0, 1.5));
        mend.push(of_interval(left, 0.5, 0.25).map(|much_is_left| !much_is_left));
        let share = |[low, high]: [f64; 2]| format!("{:.0} to {:.0} %", low * 100.0, high * 100.0);
        rows.push(vec![
            key.to_owned(),
            interval(full),
            word(dominate[dominate.len() - 1]).to_owned(),
            interval(resumed),
            left.map_or("not measured".to_owned(), share),
            word(mend[mend.len() - 1]).to_owned(),
        ]);
    }
    format!(
        "Verdict on *handshakes dominate*: **{}**. Verdict on *resumption mends it*: **{}** ({}).\n\n{}",
        verdict(&dominate, "the key"),
        verdict(&mend, "the key"),
        run.source(),
        grid(&rows)
    )
}

#[test]
fn a_claim_is_judged_by_its_rule() {
    for (interval, expected) in [
        (Some([2.1, 2.5]), Some(true)),
        (Some([1.9, 2.5]), None),
        (Some([1.2, 1.4]), Some(false)),
        (Some([1.2, 1.6]), None),
        (None, None),
    ] {
        assert_eq!(of_interval(interval, 2.0, 1.5), expected);
    }
    let (yes, no) = (Some(true), Some(false));
    for (tried, expected) in [
        (vec![yes, yes], "holds"),
        (vec![no, no], "does not"),
        (vec![yes, no], "depends on the key"),
        (vec![yes, None], "cannot tell"),
        (vec![no, None], "cannot tell"),
        (vec![None], "cannot tell"),
    ] {
        assert_eq!(verdict(&tried, "the key"), expected);
    }
}
