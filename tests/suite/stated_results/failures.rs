//! What becomes of events when something breaks, under each promise.

use super::claims::{FEWEST_BLOCKS, of_interval, verdict, word};
use super::texts::{Stored, grid};
use pushbench_analysis::compare::guarantee::{GuaranteeCounts, RecoveryTimes};
use pushbench_analysis::compare::{ArmFigures, Point};
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

fn setting(point: &Point, key: &str) -> String {
    let value = &point.setting[key];
    value.as_str().map_or_else(|| value.to_string(), |text| text.replace('-', " "))
}

fn time(ns: Option<f64>) -> String {
    ns.map_or("–".to_owned(), units::nanos_text)
}

/// What is shown of an arm.
type Column = (&'static str, fn(&ArmFigures) -> String);

/// The columns of a table of what became of events.
const COLUMNS: [Column; 8] = [
    ("lost for good", |arm| {
        let (counts, of) = (arm.events.guarantee.as_ref(), arm.guarantee.as_ref());
        counts
            .zip(of)
            .map_or("–".to_owned(), |(c, of)| format!("{} of {}", c.lost_for_good, of.due))
    }),
    ("came twice, removed", |arm| {
        count(arm, |c| Some(c.duplicates_on_wire? - c.duplicates_to_application?))
    }),
    ("twice to the application", |arm| count(arm, |c| c.duplicates_to_application)),
    ("out of order", |arm| count(arm, |c| c.out_of_order)),
    ("attempts a delivery", |arm| {
        let (counts, of) = (arm.events.guarantee.as_ref(), arm.guarantee.as_ref());
        counts.zip(of).map_or("–".to_owned(), |(c, of)| {
            format!("{:.3}", c.attempts as f64 / of.due.max(1) as f64)
        })
    }),
    ("first event after", |arm| recovery(arm, |r| r.first_event)),
    ("all caught up after", |arm| recovery(arm, |r| r.caught_up)),
    ("all back after", |arm| recovery(arm, |r| r.all_back)),
];

fn count(arm: &ArmFigures, of: impl Fn(&GuaranteeCounts) -> Option<u64>) -> String {
    arm.events.guarantee.as_ref().and_then(of).map_or("–".to_owned(), |n| n.to_string())
}

fn recovery(arm: &ArmFigures, of: impl Fn(&RecoveryTimes) -> Option<f64>) -> String {
    time(arm.events.guarantee.as_ref().and_then(|counts| of(&counts.recovery_ns)))
}

/// What became of the events of each arm at each setting. `head`: swept keys with their titles.
pub fn outcomes(run: &Stored, head: &[(&str, &str)]) -> String {
    let points = &run.report.points;
    let cells = |arm: &ArmFigures| COLUMNS.map(|(_, cell)| cell(arm));
    let all: Vec<[String; 8]> = points.iter().flat_map(|p| p.arms.iter().map(cells)).collect();
    // A column that says nothing of any arm is left out.
    let says = |column: &usize| all.iter().any(|row| !["–", "0"].contains(&row[*column].as_str()));
    let shown: Vec<usize> = (0..COLUMNS.len()).filter(says).collect();
    let titles = head.iter().map(|(_, title)| *title).chain(["arm"]);
    let titles = titles.chain(shown.iter().map(|column| COLUMNS[*column].0));
    let mut rows = vec![titles.map(str::to_owned).collect::<Vec<_>>()];
    for point in points {
        for arm in &point.arms {
            let mut row: Vec<String> = head.iter().map(|(key, _)| setting(point, key)).collect();
            row.push(format!("`{}`", arm.arm));
            let cells = cells(arm);
            row.extend(shown.iter().map(|column| cells[*column].clone()));
            rows.push(row);
        }
    }
    let design = &points[0].design;
    let faults = match design.faults.words() {
        words if words.is_empty() => String::new(),
        words => format!("{words}; "),
    };
    format!("Deliveries of all valid trials ({faults}{}):\n\n{}", run.source(), grid(&rows))
}

/// The connections of a reconnect storm at its peak, and when all were back.
pub fn storm(run: &Stored) -> String {
    let head =
        ["subscribers", "jitter", "arm", "connections at the peak", "refused", "all back after"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for point in &run.report.points {
        for arm in &point.arms {
            let Some(figures) = &arm.guarantee else { continue };
            rows.push(vec![
                setting(point, "subscribers.count"),
                setting(point, "guarantee.jitter"),
                format!("`{}`", arm.arm),
                format!("{}/s", units::count(figures.connections_per_second_peak as f64)),
                units::count(figures.connections_refused as f64),
                recovery(arm, |r| r.all_back),
            ]);
        }
    }
    format!("All connections were reset at the same instant ({}):\n\n{}", run.source(), grid(&rows))
}

/// Under which promise which transport needs what, from three runs.
pub fn promises() -> String {
    let [outage, lost_acks, restart] =
        ["outage", "twice-or-lost", "restart-publisher"].map(Stored::of);
    let point = |run: &'static str,
                 of: &Stored,
                 key: &str,
                 value: &str|
     -> Vec<(String, GuaranteeCounts, u64)> {
        let wanted = |p: &&Point| setting(p, key) == value;
        let found =
            of.report.points.iter().find(wanted).unwrap_or_else(|| panic!("{run}: {value}"));
        let arms = found.arms.iter().filter(|arm| ARMS.iter().any(|(name, _)| *name == arm.arm));
        arms.map(|arm| {
            let counts = arm.events.guarantee.clone().unwrap();
            (arm.arm.clone(), counts, arm.guarantee.as_ref().unwrap().due)
        })
        .collect()
    };
    const ARMS: [(&str, &str); 2] =
        [("webhook@builtin", "webhook"), ("websocket@builtin", "WebSocket")];
    let each = |found: &[(String, GuaranteeCounts, u64)],
                text: &dyn Fn(&GuaranteeCounts, u64) -> String| {
        let one = |(arm, name): &(&str, &str)| {
            let (_, counts, due) = found.iter().find(|(found, ..)| found == arm).unwrap();
            format!("{name} {}", text(counts, *due))
        };
        ARMS.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let lost = |c: &GuaranteeCounts, due: u64| match c.lost_for_good {
        0 => format!("0 of {due}"),
        n => format!("{:.1} %", n as f64 / due as f64 * 100.0),
    };
    let most_once = point("outage", &outage, "guarantee.delivery", "at most once");
    let once = point("outage", &outage, "guarantee.delivery", "exactly once");
    let twice = point("twice-or-lost", &lost_acks, "guarantee.delivery", "at least once");
    let removed = point("twice-or-lost", &lost_acks, "guarantee.delivery", "exactly once");
    let volatile = point("restart-publisher", &restart, "guarantee.durable", "false");
    let durable = point("restart-publisher", &restart, "guarantee.durable", "true");
    let to_application = |c: &GuaranteeCounts, due: u64| {
        let twice = c.duplicates_to_application.expect("the receiver tells");
        format!("{:.2} %", twice as f64 / due as f64 * 100.0)
    };
    let stated = format!(
        "Receivers were down for a second ({}). *At most once* lost {}. *Exactly once* needs retries by \
         webhook, a log and resumption over WebSocket, and receivers that remember ids over both: lost {}; \
         everything was caught up after {}. When acknowledgements were lost ({}), *at least once* brought \
         twice to the application: {}; *exactly once* {}. When the publisher was killed ({}), *exactly once* \
         lost {} without a store, and {} with one.",
        outage.source(),
        each(&most_once, &lost),
        each(&once, &lost),
        each(&once, &|c, _| time(c.recovery_ns.caught_up)),
        lost_acks.source(),
        each(&twice, &to_application),
        each(&removed, &|c, due| match c.duplicates_to_application {
            Some(0) => format!("0 of {due}"),
            _ => to_application(c, due),
        }),
        restart.source(),
        each(&volatile, &lost),
        each(&durable, &lost),
    );
    stated.split_whitespace().collect::<Vec<_>>().join(" ")
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
