//! Time against latency: how many events took how long, in each interval of a point's time.

use crate::compare::charts::time::TimeLine;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::run::{Seconds, StoredRun};
use pushbench_core::record::trial::{Stage, Trial};
use std::collections::BTreeMap;

/// Columns of the map; longer runs have wider ones.
const MOST_COLUMNS: usize = 96;
/// Rows of the map for each decade of latency.
const ROWS_A_DECADE: f64 = 8.0;
/// From these shares of a column's events on a cell is drawn darker.
pub const LEVELS: [f64; 5] = [0.0, 0.003, 0.01, 0.05, 0.2];

/// A cell with events in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// From the left.
    pub column: usize,
    /// From the shortest latency.
    pub row: usize,
    /// Index into [`LEVELS`].
    pub level: usize,
}

/// The map of one arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// The arm's place.
    pub arm: usize,
    /// Seconds of a column.
    pub column_s: f64,
    /// Columns.
    pub columns: usize,
    /// Where the lowest row begins, ns.
    pub lowest_ns: f64,
    /// How much higher each row begins than the one below.
    pub row_ratio: f64,
    /// Rows.
    pub rows: usize,
    /// Cells with events.
    pub cells: Vec<Cell>,
}

/// An arm's events by column and by the row on the grid of all latencies.
type Counts = Vec<BTreeMap<i64, u64>>;

/// The maps of a point's arms, all of the same extent; none without logs that fit the records.
pub fn heat(run: &StoredRun, point: usize, time: &TimeLine, logged: &Seconds) -> Vec<Heat> {
    let column_s = (time.seconds / MOST_COLUMNS as f64).ceil().max(1.0);
    let columns = (time.seconds / column_s).ceil() as usize;
    let maps: Vec<(usize, Counts)> = (0..run.header.points[point].arms.len())
        .filter_map(|arm| {
            let mut counts: Counts = vec![BTreeMap::new(); columns];
            for (at, hist) in seconds(run, point, arm, time, logged)? {
                if let Some(column) = counts.get_mut((at / column_s) as usize) {
                    hist.values().for_each(|(ns, n)| *column.entry(row(ns)).or_default() += n);
                }
            }
            Some((arm, counts))
        })
        .collect();
    let rows = || maps.iter().flat_map(|(_, counts)| counts).flat_map(|column| column.keys());
    let (Some(lowest), Some(highest)) = (rows().min().copied(), rows().max().copied()) else {
        return Vec::new();
    };
    let map = |(arm, counts): &(usize, Counts)| Heat {
        arm: *arm,
        column_s,
        columns,
        lowest_ns: 10f64.powf(lowest as f64 / ROWS_A_DECADE),
        row_ratio: 10f64.powf(1.0 / ROWS_A_DECADE),
        rows: (highest - lowest) as usize + 1,
        cells: counts.iter().enumerate().flat_map(|(c, rows)| cells(c, rows, lowest)).collect(),
    };
    maps.iter().map(map).collect()
}

/// The row that a latency belongs to.
fn row(ns: u64) -> i64 {
    ((ns.max(1) as f64).log10() * ROWS_A_DECADE).floor() as i64
}

fn cells(column: usize, rows: &BTreeMap<i64, u64>, lowest: i64) -> impl Iterator<Item = Cell> {
    let all: u64 = rows.values().sum();
    rows.iter().map(move |(row, n)| {
        let share = *n as f64 / all as f64;
        let level = LEVELS.iter().rposition(|from| share >= *from).unwrap_or(0);
        Cell { column, row: (row - lowest) as usize, level }
    })
}

/// An arm's logged seconds with the instants of the point's time at which they began. A log has a line
/// for each second of each trial, in the order of the records; if it has not, it is not theirs.
fn seconds<'a>(
    run: &StoredRun,
    point: usize,
    arm: usize,
    time: &TimeLine,
    logged: &'a Seconds,
) -> Option<Vec<(f64, &'a Hist)>> {
    let label = &run.header.points[point].arms[arm].label;
    let log = logged.get(label)?;
    let mine = |t: &&Trial| t.stage == Stage::Block && t.label == *label;
    let intervals =
        run.trials.iter().filter(mine).flat_map(|t| t.time_line.iter().map(move |i| (t, i)));
    let mut found = Vec::new();
    let mut lines = log.iter();
    for (trial, interval) in intervals {
        let hist = &lines.next().filter(|l| l.hist.count() == interval.acknowledged)?.hist;
        if trial.point == point {
            let from = time.origins.get(&(trial.block, trial.arm))?;
            found.push((from + interval.second as f64, hist));
        }
    }
    Some(found)
}
