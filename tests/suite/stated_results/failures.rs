//! What becomes of events when something breaks, under each promise.

use super::claims::{FEWEST_BLOCKS, of_interval, verdict, word};
use super::texts::{Stored, grid};
use pushbench_analysis::compare::Point;
use pushbench_analysis::stats::effect::Effect;
use pushbench_core::record::guarantee::GuaranteeRecord;
use pushbench_core::record::trial::{Stage, Trial};
use pushbench_core::units;

/// The valid trials of an arm at a point, in the order of blocks.
fn trials<'a>(run: &'a Stored, point: usize, arm: &str) -> Vec<&'a Trial> {
    let mine =
        |t: &&Trial| t.stage == Stage::Block && t.point == point && t.label == arm && t.is_valid();
    let mut found: Vec<&Trial> = run.trials.iter().filter(mine).collect();
    found.sort_by_key(|trial| trial.block);
    found
}

/// A share of the deliveries in each block.
struct Share(Vec<f64>);

impl Share {
    fn of(trials: &[&Trial], count: impl Fn(&GuaranteeRecord) -> u64) -> Share {
        let records = trials.iter().map(|trial| trial.guarantee.as_ref().unwrap());
        Share(records.map(|record| count(record) as f64 / record.due.max(1) as f64).collect())
    }

    /// There in every block, absent in every block, or neither.
    fn is_there(&self) -> Option<bool> {
        match () {
            () if self.0.len() < FEWEST_BLOCKS => None,
            () if self.0.iter().all(|share| *share > 0.0) => Some(true),
            () if self.0.iter().all(|share| *share == 0.0) => Some(false),
            () => None,
        }
    }

    fn text(&self) -> String {
        let (low, high) = (
            self.0.iter().copied().fold(f64::INFINITY, f64::min),
            self.0.iter().copied().fold(0.0, f64::max),
        );
        match high == 0.0 {
            true => "0 %".to_owned(),
            false if low == high => format!("{:.2} %", low * 100.0),
            false => format!("{:.2} to {:.2} %", low * 100.0, high * 100.0),
        }
    }
}

/// Whether a defect belongs to the transport that the claim names. `found`: for each promise, whether it is there over that
/// transport and over the other one.
fn of_transport(found: &[[Option<bool>; 2]]) -> &'static str {
    if found.iter().flatten().any(Option::is_none) {
        return "cannot tell";
    }
    let (yes, no) = (Some(true), Some(false));
    let there = |[named, other]: &[Option<bool>; 2]| *named == yes || *other == yes;
    match () {
        () if found.iter().all(|[named, _]| *named == no) => "does not",
        () if found.iter().filter(|both| there(both)).all(|both| *both == [yes, no]) => "holds",
        () if found.iter().all(|[named, other]| named == other) => "depends on the promise",
        () => "depends on promise and transport",
    }
}

/// *Webhooks come twice and out of order, WebSockets lose what was sent while away.*
pub fn twice_or_lost(run: &Stored) -> String {
    type Count = fn(&GuaranteeRecord) -> u64;
    const ARMS: [&str; 2] = ["webhook@builtin", "websocket@builtin"];
    const DEFECTS: [(&str, Count); 3] = [
        ("twice to the application", |record| record.duplicates_to_application),
        ("behind a younger event", |record| record.out_of_order),
        ("lost for good", |record| record.lost.sum()),
    ];
    let head = ["promise", "arm"].into_iter().chain(DEFECTS.map(|(name, _)| name));
    let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
    let mut found = [Vec::new(), Vec::new(), Vec::new()];
    for (i, point) in run.report.points.iter().enumerate() {
        let promise = point.setting["guarantee.delivery"].as_str().unwrap().replace('-', " ");
        let shares =
            ARMS.map(|arm| DEFECTS.map(|(_, count)| Share::of(&trials(run, i, arm), count)));
        for (arm, shares) in ARMS.iter().zip(&shares) {
            let mut row = vec![promise.clone(), format!("`{arm}`")];
            row.extend(shares.iter().map(Share::text));
            rows.push(row);
        }
        for (defect, found) in found.iter_mut().enumerate() {
            found.push([0, 1].map(|arm: usize| shares[arm][defect].is_there()));
        }
    }
    let exchanged: Vec<_> = found[2].iter().map(|[webhook, socket]| [*socket, *webhook]).collect();
    format!(
        "Verdict on *webhooks come twice*: **{}**. Verdict on *webhooks come out of order*: **{}**. Verdict on *WebSockets lose \
         events*: **{}** ({}). Shares of the deliveries that the publisher accepted, least and most over blocks:\n\n{}",
        of_transport(&found[0]),
        of_transport(&found[1]),
        of_transport(&exchanged),
        run.source(),
        grid(&rows)
    )
}

/// The 95 % interval of the ratio of a figure to another one of the same block.
fn paired(numerators: &[f64], denominators: &[f64]) -> Option<[f64; 2]> {
    let pairs = numerators.iter().zip(denominators);
    let logs: Vec<f64> = pairs.map(|(a, b)| (a / b).ln()).collect();
    if logs.len() < FEWEST_BLOCKS || logs.iter().any(|log| !log.is_finite()) {
        return None;
    }
    Effect::paired(&logs)?.interval(0.95).map(|i| [i.low.exp(), i.high.exp()])
}

fn at<'a>(point: &'a Point, key: &str) -> &'a str {
    point.setting[key].as_str().unwrap()
}

/// *Jitter cuts a reconnect storm by up to 90 %.*
pub fn jitter(run: &Stored) -> String {
    let peaks = |backoff: &str, jitter: &str| -> Vec<f64> {
        let wanted = |p: &Point| {
            at(p, "guarantee.backoff") == backoff && at(p, "guarantee.jitter") == jitter
        };
        let point = run.report.points.iter().position(wanted).unwrap();
        let records = trials(run, point, "websocket@builtin").into_iter();
        records.map(|t| t.guarantee.as_ref().unwrap().connections_per_second_peak as f64).collect()
    };
    let head =
        ["pause", "no jitter", "equal", "full", "reduction by full jitter, 95 %", "up to 90 %"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut tried = Vec::new();
    for backoff in ["500ms", "5s"] {
        let [none, equal, full] = ["none", "equal", "full"].map(|jitter| peaks(backoff, jitter));
        let left = paired(&full, &none);
        let reduction = left.map(|[low, high]| [1.0 - high, 1.0 - low]);
        let reaches = |[low, high]: [f64; 2]| match () {
            () if low > 0.0 && high >= 0.9 => Some(true),
            () if high < 0.9 => Some(false),
            () => None,
        };
        tried.push(reduction.and_then(reaches));
        let median = |values: &[f64]| {
            let mid = pushbench_analysis::stats::median(values);
            mid.map_or("–".to_owned(), |n| format!("{}/s", units::count(n)))
        };
        let shown = |[low, high]: [f64; 2]| format!("{:.0} to {:.0} %", low * 100.0, high * 100.0);
        rows.push(vec![
            backoff.to_owned(),
            median(&none),
            median(&equal),
            median(&full),
            reduction.map_or("not measured".to_owned(), shown),
            word(tried[tried.len() - 1]).to_owned(),
        ]);
    }
    format!(
        "Verdict: **{}** ({}). Connections at the peak, counted over 100 ms, medians of blocks:\n\n{}",
        verdict(&tried, "the pause"),
        run.source(),
        grid(&rows)
    )
}

/// *One slow endpoint stalls a webhook sender.*
pub fn slow_endpoint(run: &Stored) -> String {
    let p99 = |point: usize, arm: &str| -> Vec<f64> {
        let found = trials(run, point, arm).into_iter();
        let delivery = |t: &Trial| t.fanout.as_ref()?.deliveries.delivery.quantile(0.99);
        found.filter_map(|t| delivery(t).map(|ns| ns as f64)).collect()
    };
    let stuck = |n: u64| {
        let wanted = |p: &Point| p.setting["subscribers.stuck"].as_u64() == Some(n);
        run.report.points.iter().position(wanted).unwrap()
    };
    let head =
        ["publisher", "p99 at the others, none silent", "one silent", "ratio, 95 %", "stalls"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut tried = Vec::new();
    for arm in run.report.points[0].arms.iter().map(|arm| &arm.arm) {
        let [none, one] = [0, 1].map(|n| p99(stuck(n), arm));
        let ratio = paired(&one, &none);
        tried.push(of_interval(ratio, 2.0, 2.0));
        let median = |values: &[f64]| {
            let mid = pushbench_analysis::stats::median(values);
            mid.map_or("–".to_owned(), units::nanos_text)
        };
        rows.push(vec![
            format!("`{arm}`"),
            median(&none),
            median(&one),
            ratio.map_or("not measured".to_owned(), |[low, high]| {
                format!("×{low:.2} to ×{high:.2}")
            }),
            word(tried[tried.len() - 1]).to_owned(),
        ]);
    }
    format!("Verdict: **{}** ({}).\n\n{}", verdict(&tried, "the sender"), run.source(), grid(&rows))
}

#[test]
fn a_defect_belongs_to_a_transport_or_to_the_promise() {
    let (yes, no) = (Some(true), Some(false));
    for (found, expected) in [
        (vec![[no, no], [yes, no], [no, no]], "holds"),
        (vec![[no, no], [yes, yes], [no, no]], "depends on the promise"),
        (vec![[no, yes], [no, no]], "does not"),
        (vec![[yes, no], [yes, yes]], "depends on promise and transport"),
        (vec![[yes, no], [None, no]], "cannot tell"),
    ] {
        assert_eq!(of_transport(&found), expected, "{found:?}");
    }
    let share = |values: [f64; 2]| Share((0..8).map(|block| values[block % 2]).collect());
    assert_eq!(share([0.1, 0.2]).is_there(), Some(true));
    assert_eq!(share([0.0, 0.0]).is_there(), Some(false));
    assert_eq!(share([0.0, 0.2]).is_there(), None);
    assert_eq!(Share(vec![0.0; 7]).is_there(), None, "too few blocks");
    assert_eq!(paired(&[2.0; 7], &[1.0; 7]), None);
    let [low, high] = paired(&[2.0, 2.1, 1.9, 2.0, 2.0, 2.1, 1.9, 2.0], &[1.0; 8]).unwrap();
    assert!(1.9 < low && low < 2.0 && 2.0 < high && high < 2.1, "{low} {high}");
}
