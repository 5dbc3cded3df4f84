//! What was lost, what came twice, and how long it took until all was well: the rows and tables of runs under a guarantee or
//! under faults.

use crate::fanout::Line;
use crate::notes;
use crate::table;
use crate::table::{NONE, cpu};
use pushbench_analysis::compare::guarantee::{FaultFigures, GuaranteeCounts};
use pushbench_analysis::compare::{ArmFigures, Design, GuaranteeFigures, Point};
use pushbench_core::record::metrics;
use pushbench_core::record::metrics::Family;
use pushbench_core::units;

/// The rows of every such table.
const LINES: [Line; 5] = [
    ("lost for good", "lost_share", lost),
    ("came twice (removed by the receiver)", "duplicates_per_delivery", |a| {
        of(a, |_, c| match (c.duplicates_on_wire, c.duplicates_to_application) {
            (Some(all), Some(seen)) => format!("{} ({})", count(all), count(all - seen)),
            _ => NONE.to_owned(),
        })
    }),
    ("came twice to the application", "", |a| of(a, |_, c| known(c.duplicates_to_application))),
    ("came out of order", "out_of_order_share", |a| of(a, |_, c| known(c.out_of_order))),
    ("attempts/delivery", "attempts_per_delivery", attempts),
];

/// The rows after a fault that was planned at an instant.
const AFTER: [Line; 4] = [
    ("events flow again after", "recovery.first_event", |a| {
        after(a, "recovery.first_event", |f| f.flowed_again)
    }),
    ("all caught up after", "recovery.caught_up", |a| {
        after(a, "recovery.caught_up", |f| f.caught_up)
    }),
    ("all receivers back after", "recovery.all_back", |a| {
        after(a, "recovery.all_back", |f| f.all_back)
    }),
    ("target CPU of the recovery", "recovery.cpu", |a| of(a, |g, _| cpu(g.figure("recovery.cpu")))),
];

type Shown = fn(&GuaranteeFigures) -> bool;

/// Rows that are shown where an arm has something to show.
const FURTHER: [(Line, Shown); 5] = [
    (("events not accepted", "", |a| of(a, |g, _| count(g.not_accepted))), |g| g.not_accepted > 0),
    (
        ("most outstanding at a time", "backlog.peak", |a| {
            of(a, |g, _| {
                let bytes = units::bytes(g.backlog_peak_bytes as f64);
                format!("{} · {bytes}", count(g.backlog_peak))
            })
        }),
        |g| g.fault.is_some() || g.met_by_fault > 0,
    ),
    (
        ("most connections/s · refused", "connections.peak", |a| {
            of(a, |g, _| {
                let (peak, refused) = (g.connections_per_second_peak, g.connections_refused);
                format!("{} · {}", count(peak), count(refused))
            })
        }),
        |g| g.fault.is_some() || g.connections_refused > 0,
    ),
    (
        ("held back for order · events", "held", |a| {
            of(a, |g, _| format!("{} · {}", cpu(g.figure("held")), count(g.held_events)))
        }),
        |g| g.held_events > 0,
    ),
    (
        ("sync of the store · longest", "sync", |a| {
            of(a, |g, _| {
                let longest = g.sync.map(|sync| sync.longest_ns as f64);
                format!("{} · {}", cpu(g.figure("sync")), cpu(longest))
            })
        }),
        |g| g.sync.is_some(),
    ),
];

fn of(arm: &ArmFigures, cell: impl Fn(&GuaranteeFigures, &GuaranteeCounts) -> String) -> String {
    arm.guarantee.as_ref().map_or(NONE.into(), |g| cell(g, &g.counts))
}

fn count(n: u64) -> String {
    units::count(n as f64)
}

fn known(n: Option<u64>) -> String {
    n.map_or(NONE.to_owned(), count)
}

fn lost(arm: &ArmFigures) -> String {
    of(arm, |g, c| format!("{} of {}", count(c.lost_for_good), count(g.due)))
}

fn attempts(arm: &ArmFigures) -> String {
    of(arm, |g, c| {
        let least = if g.attempts_are_counted { "" } else { "at least " };
        match g.due {
            0 => NONE.into(),
            due => format!("{least}{:.2}", c.attempts as f64 / due as f64),
        }
    })
}

/// A time after the end of the fault with its interval; where a block has none, in how many there was one.
fn after(arm: &ArmFigures, metric: &str, known: fn(&FaultFigures) -> usize) -> String {
    of(arm, |g, _| {
        let Some(fault) = &g.fault else { return NONE.into() };
        match g.over_blocks.iter().find(|o| o.metric == metric) {
            None => format!("in {} of {} blocks", known(fault), fault.blocks),
            // A time, not a difference: it has no sign.
            Some(o) => match o.ci95 {
                Some(interval) => units::nanos_interval(o.estimate, interval).replace('+', ""),
                None => units::nanos_text(o.estimate),
            },
        }
    })
}

/// Counts may be 0, and a ratio of theirs says little: `+1.55 % [+1.52, +1.58]` of the deliveries, `−0.10 [−0.11, −0.09]`
/// attempts for each of them. `None` of other metrics.
pub(super) fn difference(metric: &str, difference: f64, interval: [f64; 2]) -> Option<String> {
    let metric = metrics::named(metric).filter(|m| m.family == Family::Counted)?;
    let (scale, unit) =
        if metric.name == "attempts_per_delivery" { (1.0, "") } else { (100.0, " %") };
    let written = |value: f64| {
        let sign = if value < 0.0 { "−" } else { "+" };
        format!("{sign}{:.2}", value.abs() * scale)
    };
    let [low, high] = interval.map(written);
    Some(format!("{}{unit} [{low}, {high}]", written(difference)))
}

/// What its rows call a metric.
pub(super) fn name_of(metric: &str) -> Option<&'static str> {
    let further = FURTHER.iter().map(|(line, _)| line);
    LINES.iter().chain(&AFTER).chain(further).find(|(_, m, _)| *m == metric).map(|(name, ..)| *name)
}

/// The rows of a point; none without a guarantee and faults.
pub(super) fn lines(arms: &[ArmFigures]) -> Vec<Line> {
    let any = |shown: Shown| arms.iter().filter_map(|a| a.guarantee.as_ref()).any(shown);
    let mut lines = Vec::new();
    if any(|_| true) {
        lines.extend(LINES);
    }
    if any(|g| g.fault.is_some()) {
        lines.extend(AFTER);
    }
    lines.extend(FURTHER.iter().filter(|(_, shown)| any(*shown)).map(|(line, _)| *line));
    lines
}

/// The same for many arms, a column each; empty without a guarantee and faults.
pub(super) fn overview(point: &Point) -> Vec<Vec<String>> {
    let lines = lines(&point.arms);
    if lines.is_empty() {
        return Vec::new();
    }
    let name = |a: &ArmFigures| notes::marked(&a.arm, &notes::of_arm(point, &a.arm));
    let head = std::iter::once(String::new()).chain(point.arms.iter().map(name)).collect();
    let row = |(name, _, cell): Line| {
        std::iter::once(name.to_owned()).chain(point.arms.iter().map(cell)).collect()
    };
    std::iter::once(head).chain(lines.into_iter().map(row)).collect()
}

/// One line a setting and arm, without what only the setting's own table needs; empty without a guarantee and faults.
pub(super) fn sweep(points: &[Point]) -> Vec<Vec<String>> {
    let all: Vec<ArmFigures> = points.iter().flat_map(|p| p.arms.clone()).collect();
    let mut lines = lines(&all);
    lines.retain(|(_, metric, _)| !["recovery.cpu", "backlog.peak"].contains(metric));
    if lines.is_empty() {
        return Vec::new();
    }
    let names = ["setting", "arm"].into_iter().chain(lines.iter().map(|(name, ..)| *name));
    let mut grid = vec![names.map(str::to_owned).collect::<Vec<_>>()];
    for point in points {
        let line = |a: &ArmFigures| {
            let name = notes::marked(&a.arm, &notes::of_arm(point, &a.arm));
            let cells = lines.iter().map(|(_, _, cell)| cell(a));
            [table::setting(point), name].into_iter().chain(cells).collect()
        };
        grid.extend(point.arms.iter().map(line));
    }
    grid
}

/// The age of the newest event over time as a terminal shows it, a line an arm and one with the fault; empty where there is
/// none.
pub(super) fn spark(point: &Point) -> Vec<String> {
    const COLUMNS: usize = 48;
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let arms: Vec<(&ArmFigures, &GuaranteeFigures)> =
        point.arms.iter().filter_map(|a| Some((a, a.guarantee.as_ref()?))).collect();
    let fault = arms.iter().find_map(|(_, g)| g.fault);
    let all = || arms.iter().flat_map(|(_, g)| &g.freshness);
    let (Some(fault), Some(end)) = (fault, all().map(|f| f.at_ms).max().filter(|end| *end > 0))
    else {
        return Vec::new();
    };
    let oldest = all().map(|f| f.median_us).max().unwrap_or(0).max(1);
    let column = |ms: f64| ((ms / f64::from(end + 1)) * COLUMNS as f64) as usize;
    let time = |ms: u32| units::nanos_text(f64::from(ms) * 1e6);
    let mut lines = vec![format!(
        "age of the newest event over {}, up to {} (median over receivers; ▒ marks the fault)",
        time(end),
        units::nanos_text(f64::from(oldest) * 1e3)
    )];
    for (arm, g) in &arms {
        let mut highest = [None; COLUMNS];
        for f in &g.freshness {
            let at = &mut highest[column(f64::from(f.at_ms))];
            *at = (*at).max(Some(f.median_us));
        }
        let level = |us: u32| LEVELS[(u64::from(us) * 7 / u64::from(oldest)) as usize];
        let mut last = ' ';
        let drawn = highest.map(|us| {
            last = us.map_or(last, level);
            last
        });
        lines.push(format!("{}  {}", drawn.iter().collect::<String>(), arm.arm));
    }
    let [from, to] = [fault.at_ns, fault.at_ns + fault.ns].map(|ns| column(ns as f64 / 1e6));
    let drawn = (0..COLUMNS).map(|c| if (from..=to).contains(&c) { '▒' } else { '─' });
    lines.push(format!("{}  fault", drawn.collect::<String>()));
    lines
}

/// ` · at least once, … · receivers down for 2.00 s after 1.00 s`: what is promised and what breaks.
pub(super) fn words(design: &Design) -> String {
    let promise = (!design.guarantee.is_default()).then(|| design.guarantee.words());
    let faults = design.faults.any().then(|| design.faults.words());
    promise.into_iter().chain(faults).map(|words| format!(" · {words}")).collect()
}
