//! What a path changes: round trips, losses, bit rates.

use super::claims::{FEWEST_BLOCKS, verdict, word};
use super::texts::{Stored, grid, legend, name};
use crate::common::Bench;
use crate::documents::ROOT;
use pushbench_analysis::compare::{ArmFigures, Point};
use pushbench_analysis::stats::effect::Effect;
use pushbench_core::record::trial::{Stage, Trial};
use pushbench_core::units;
use pushbench_report::table;
use std::time::Duration;

fn text(length: Duration) -> String {
    units::nanos_text(length.as_nanos() as f64)
}

fn rtt(point: &Point) -> Duration {
    point.design.path.as_ref().unwrap().rtt
}

/// A round trip is far longer than everything else in a response.
const LONG: Duration = Duration::from_millis(10);

/// How many round trips an event takes, on a new connection and on one that is kept open.
pub fn distance(run: &Stored) -> String {
    let kept = |point: &Point| point.setting["connections.lifetime"] == "unlimited";
    let head = ["round trip", "arm", "on a new connection", "on one that is kept open"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut in_round_trips: Vec<(String, [Vec<f64>; 2])> = Vec::new();
    let points = || run.report.points.iter();
    for new in points().filter(|p| !kept(p)) {
        let same = points().find(|p| kept(p) && rtt(p) == rtt(new)).unwrap();
        for (i, arm) in new.arms.iter().enumerate() {
            let trips = |arm: &ArmFigures| -> Option<f64> {
                let p50 = arm.response_ns.p50? as f64;
                (rtt(new) >= LONG).then(|| p50 / rtt(new).as_nanos() as f64)
            };
            let cell = |arm: &ArmFigures| {
                let p50 =
                    arm.response_ns.p50.map_or("–".to_owned(), |ns| units::nanos_text(ns as f64));
                trips(arm).map_or(p50.clone(), |trips| format!("{p50} ({trips:.2} round trips)"))
            };
            rows.push(vec![
                if rtt(new).is_zero() { "none".to_owned() } else { text(rtt(new)) },
                format!("`{}`", arm.arm),
                cell(arm),
                cell(&same.arms[i]),
            ]);
            if !in_round_trips.iter().any(|(known, _)| *known == arm.arm) {
                in_round_trips.push((arm.arm.clone(), Default::default()));
            }
            let (_, both) = in_round_trips.iter_mut().find(|(known, _)| *known == arm.arm).unwrap();
            both[0].extend(trips(arm));
            both[1].extend(trips(&same.arms[i]));
        }
    }
    let span = |trips: &[f64]| {
        let low = trips.iter().copied().fold(f64::INFINITY, f64::min);
        let high = trips.iter().copied().fold(0.0, f64::max);
        format!("{low:.2} to {high:.2}")
    };
    let each = |(arm, [new, kept]): &(String, [Vec<f64>; 2])| {
        format!("`{arm}` {} and {}", span(new), span(kept))
    };
    let arms: Vec<String> = in_round_trips.iter().map(each).collect();
    format!(
        "The median response in round trips, on a new connection and on one that is kept open, where a round trip takes \
         {} or longer: {} ({}).\n\n{}",
        text(LONG),
        arms.join("; "),
        run.source(),
        grid(&rows)
    )
}

/// Every arm at each setting of a sweep, with the verdict against the first one.
pub fn settings(run: &Stored, head: &[(&str, &str)], metrics: &[&str]) -> String {
    let points = &run.report.points;
    let mut rows = vec![Vec::new()];
    rows[0].extend(head.iter().map(|(_, title)| (*title).to_owned()));
    rows[0].push("arm".to_owned());
    rows[0].extend(metrics.iter().map(|metric| name(&points[0], metric)));
    for point in points {
        for (i, arm) in point.arms.iter().enumerate() {
            let shown = table::rows(point, i.max(1));
            let setting = |(key, _): &(&str, &str)| {
                let value = &point.setting[*key];
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            };
            let mut row: Vec<String> = head.iter().map(setting).collect();
            row.push(format!("`{}`", arm.arm));
            row.extend(metrics.iter().map(|metric| {
                let Some(row) = shown.iter().find(|row| row.metric == *metric) else {
                    return "–".to_owned();
                };
                let verdict = row.verdict.trim_end_matches('†').replace('*', "\\*");
                let moved = if row.notes.is_empty() { "" } else { "!" };
                match (i, verdict.as_str()) {
                    (0, _) | (_, "") => format!("{}{moved}", row.arms[i]),
                    _ => format!("{}: {verdict}{moved}", row.arms[i]),
                }
            }));
            rows.push(row);
        }
    }
    let shown = grid(&rows);
    format!(
        "Each arm, with the verdict against `{}` (path: {}; {}):\n\n{shown}\n{}",
        points[0].arms[0].arm,
        path_of(points),
        run.source(),
        legend(points, &shown)
    )
}

/// What became of the deliveries of each arm at each setting, and figures that have no verdict.
pub fn deliveries(run: &Stored, head: &[(&str, &str)], figures: &[(&str, &str)]) -> String {
    let mut rows = vec![Vec::new()];
    rows[0].extend(head.iter().map(|(_, title)| (*title).to_owned()));
    rows[0].extend(["arm", "received"].map(str::to_owned));
    rows[0].extend(figures.iter().map(|(_, title)| (*title).to_owned()));
    // Shorter silences than the longest one are not listed.
    let slowest = run.report.points.iter().filter_map(|p| p.design.rate).fold(f64::MAX, f64::min);
    for point in run.report.points.iter().filter(|p| p.design.rate == Some(slowest)) {
        for arm in &point.arms {
            let setting = |(key, _): &(&str, &str)| match (*key, &point.setting[*key]) {
                ("load.rate", rate) => text(Duration::from_secs_f64(1.0 / rate.as_f64().unwrap())),
                (_, value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            };
            let mut row: Vec<String> = head.iter().map(setting).collect();
            let fanout = arm.fanout.as_ref();
            row.push(format!("`{}`", arm.arm));
            row.push(fanout.map_or("–".to_owned(), |fanout| {
                let outcomes = &fanout.deliveries.outcomes;
                format!("{} of {}", outcomes.received, outcomes.due)
            }));
            row.extend(figures.iter().map(|(metric, _)| {
                let figure = fanout.and_then(|fanout| fanout.figure(metric));
                figure.map_or("–".to_owned(), |value| match metric.starts_with("wire.bytes") {
                    true => format!("{value:.0} B"),
                    false => units::nanos_text(value),
                })
            }));
            rows.push(row);
        }
    }
    format!(
        "Deliveries of the measured window (path: {}; {}):\n\n{}",
        path_of(&run.report.points),
        run.source(),
        grid(&rows)
    )
}

/// The matrix of `pushbench reach`: what gets through, and what cures the rest.
pub fn reach() -> String {
    let page =
        Bench::new().run(&["report", &format!("{ROOT}/results/reach"), "--format", "markdown"]).out;
    let (head, rest) = page.split_once("\n### ").unwrap();
    let sentence = head.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let sections = rest.split("\n### ").take(4).map(|section| {
        let (title, body) = section.split_once('\n').unwrap();
        format!("{title}:\n\n{}\n\n", body.trim())
    });
    format!(
        "{} (`results/reach`)\n\n{}",
        sentence.collect::<Vec<_>>().join(" "),
        sections.collect::<String>()
    )
}

/// What a setting of pings came to behind a proxy, over blocks.
struct Silence {
    /// Share of the connections that were cut, each block.
    cut: Vec<f64>,
    /// Pings came in every block.
    pinged: bool,
}

impl Silence {
    fn of(trials: &[&Trial]) -> Silence {
        let fanout = |t: &&Trial| t.fanout.clone().unwrap();
        let subscribers = |t: &Trial| t.fanout.as_ref().unwrap().deliveries.warmup.due as f64;
        let cut = |t: &&Trial| {
            (fanout(t).deliveries.turnover.map_or(0, |t| t.cut_off) as f64 / subscribers(t))
                .min(1.0)
        };
        let pinged = |t: &&Trial| fanout(t).quiet.is_some_and(|quiet| quiet.pings > 0);
        Silence { cut: trials.iter().map(cut).collect(), pinged: trials.iter().all(pinged) }
    }

    fn is_enough(&self) -> bool {
        self.cut.len() >= FEWEST_BLOCKS
    }

    fn all(&self, share: f64) -> bool {
        self.is_enough() && self.cut.iter().all(|cut| *cut == share)
    }

    /// The 95 % interval of the share.
    fn interval(&self) -> Option<[f64; 2]> {
        let first = *self.cut.first().filter(|_| self.is_enough())?;
        if self.cut.iter().all(|cut| *cut == first) {
            return Some([first, first]);
        }
        Effect::paired(&self.cut)?.interval(0.95).map(|i| [i.low, i.high])
    }

    fn text(&self) -> String {
        self.interval().map_or("not measured".to_owned(), |[low, high]| {
            let percent = |share: f64| (share.clamp(0.0, 1.0) * 100.0).round();
            match percent(low) == percent(high) {
                true => format!("{} %", percent(low)),
                false => format!("{} to {} %", percent(low), percent(high)),
            }
        })
    }
}

/// *Proxies cut silent WebSockets after 60 s*: every one without pings; contradicted where none is.
fn cuts(none: &Silence) -> Option<bool> {
    match () {
        () if none.all(1.0) => Some(true),
        () if none.all(0.0) => Some(false),
        () => None,
    }
}

/// *A ping at the same interval is the worst choice*: it is paid for, and the connection is cut all the same.
fn is_worst(half: &Silence, same: &Silence) -> Option<bool> {
    let above = same.interval().is_some_and(|[low, _]| low > 0.0);
    match () {
        () if same.all(0.0) => Some(false),
        () if half.all(0.0) && above && half.pinged && same.pinged => Some(true),
        () => None,
    }
}

/// *Proxies cut silent WebSockets after 60 s, and a ping at the same interval is the worst choice.*
pub fn silent_websockets(run: &Stored) -> String {
    let head = [
        "proxy",
        "without pings",
        "pings at half the time-out",
        "at the time-out",
        "at twice the time-out",
        "cut after the time-out",
        "worst at the time-out",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let (mut cut, mut worst) = (Vec::new(), Vec::new());
    for proxy in ["nginx-websocket", "haproxy"] {
        let [none, half, same, twice] = ["none", "1s", "2s", "4s"].map(|ping| {
            let at =
                |p: &Point| p.setting["path.via"] == proxy && p.setting["delivery.ping"] == ping;
            let point = run.report.points.iter().position(at).unwrap();
            let mine = |t: &&Trial| t.stage == Stage::Block && t.point == point && t.is_valid();
            Silence::of(&run.trials.iter().filter(mine).collect::<Vec<_>>())
        });
        cut.push(cuts(&none));
        worst.push(is_worst(&half, &same));
        let mut row = vec![proxy.to_owned()];
        row.extend([&none, &half, &same, &twice].map(Silence::text));
        row.extend(
            [cut[cut.len() - 1], worst[worst.len() - 1]].map(|tried| word(tried).to_owned()),
        );
        rows.push(row);
    }
    format!(
        "Verdict on *cut after 60 s*: **{}**. Verdict on *the same interval is the worst choice*: **{}** ({}). Share of the \
         connections that were cut during a silence of twice the time-out, 95 %:\n\n{}",
        verdict(&cut, "the proxy"),
        verdict(&worst, "the proxy"),
        run.source(),
        grid(&rows)
    )
}

#[test]
fn the_same_interval_is_worst_only_where_it_is_paid_for_and_cuts() {
    let silence = |cut: [f64; 2], pinged| Silence {
        cut: (0..8).map(|block| cut[block % 2]).collect(),
        pinged,
    };
    let (kept, all, some) =
        (silence([0.0; 2], true), silence([1.0; 2], true), silence([0.4, 0.9], true));
    assert_eq!((cuts(&all), cuts(&kept), cuts(&some)), (Some(true), Some(false), None));
    assert_eq!(is_worst(&kept, &some), Some(true));
    assert_eq!(is_worst(&kept, &kept), Some(false));
    assert_eq!(is_worst(&some, &all), None, "half of it does not keep them either");
    assert_eq!(is_worst(&kept, &silence([0.0, 0.05], true)), Some(true));
    assert_eq!(is_worst(&kept, &silence([1.0; 2], false)), None, "no ping came");
    let few = Silence { cut: vec![1.0; 7], pinged: true };
    assert_eq!((cuts(&few), is_worst(&kept, &few)), (None, None));
    assert_eq!((some.text(), all.text()), ("43 to 87 %".to_owned(), "100 %".to_owned()));
}

/// What the paths of all points have in common: their round trip.
fn path_of(points: &[Point]) -> String {
    if points.iter().any(|point| point.design.path.is_none()) {
        return "the loopback device".to_owned();
    }
    let mut trips: Vec<Duration> = points.iter().map(rtt).collect();
    trips.dedup();
    match trips[..] {
        [one] if one.is_zero() => "without delay".to_owned(),
        [one] => format!("round trip {}", text(one)),
        _ => "several round trips".to_owned(),
    }
}
