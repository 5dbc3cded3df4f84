//! The percentiles of an arm from the middle to as far out as its samples support, on an axis that
//! counts nines.

use crate::compare::Trials;
use crate::compare::charts::timed::Timed;
use crate::compare::figures::FEWEST_STALLS;
use crate::stats;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::metrics::SAMPLES_BEYOND;

/// Where a curve begins: the very fastest events would widen the axis without information.
pub const FIRST: f64 = 0.1;
/// Points of a curve for each nine: a curve of straight pieces still looks round.
const STEPS_A_NINE: f64 = 14.0;
/// Percentiles that are marked and named.
const NAMED: [(f64, &str); 6] = [
    (0.5, "p50"),
    (0.9, "p90"),
    (0.99, "p99"),
    (0.999, "p99.9"),
    (0.9999, "p99.99"),
    (0.99999, "p99.999"),
];
/// Confidence of the band.
const CONFIDENCE: f64 = 0.95;

/// A percentile.
#[derive(Debug, Clone, PartialEq)]
pub struct At {
    /// −log₁₀(1 − q): 1 is p90, 2 is p99.
    pub nines: f64,
    /// `p99`, where it has a name.
    pub name: Option<&'static str>,
    /// Of all valid blocks together, ns.
    pub ns: u64,
    /// The 95 % interval of a block's own percentile; `None` where a block does not support it.
    pub band: Option<[f64; 2]>,
}

/// The percentiles of one arm; empty without valid trials, or where it fell behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// From p10 outwards, cut where too few samples or separate stalls lie beyond.
    pub points: Vec<At>,
    /// Samples of all valid blocks.
    pub count: u64,
}

/// Derives the curve of an arm.
pub fn spectrum(trials: &Trials<'_>, arm: usize, timed: Timed) -> Spectrum {
    let mine = trials.of_arm(arm);
    let fell_behind = mine.iter().filter(|t| t.judged.overloaded).count() * 2 > mine.len();
    let each = timed.of_arm(trials, arm);
    let mut all = Hist::new();
    each.iter().for_each(|hist| all.merge(hist));
    if fell_behind || all.is_empty() {
        return Spectrum { points: Vec::new(), count: all.count() };
    }
    let grid = grid(all.count());
    let values = all.quantiles(&grid.iter().map(|(q, ..)| *q).collect::<Vec<_>>());
    let stalls = |ns: u64| mine.iter().map(|t| t.account.peaks.stalls_above(ns)).sum::<usize>();
    let supported = values.iter().take_while(|ns| stalls(**ns) >= FEWEST_STALLS).count();
    let bands = bands(&each, &grid[..supported]);
    let points = grid.into_iter().zip(values).zip(bands).map(|(((_, nines, name), ns), band)| At {
        nines,
        name,
        ns,
        band,
    });
    Spectrum { points: points.collect(), count: all.count() }
}

/// Quantile, nines and name of every point of a curve of so many samples.
fn grid(count: u64) -> Vec<(f64, f64, Option<&'static str>)> {
    let beyond = |q: f64| (count as f64 * (1.0 - q)).floor() as u64;
    let last = (count as f64 / SAMPLES_BEYOND as f64).log10().max(0.0);
    let first = -(1.0 - FIRST).log10();
    let steps = ((last - first) * STEPS_A_NINE).floor().max(0.0) as usize;
    let mut grid: Vec<(f64, f64, Option<&'static str>)> = (0..=steps)
        .map(|step| first + step as f64 / STEPS_A_NINE)
        .map(|nines| (1.0 - 10f64.powf(-nines), nines, None))
        .collect();
    for (q, name) in NAMED {
        let nines = -(1.0 - q).log10();
        grid.retain(|(_, other, _)| (other - nines).abs() > 1e-6);
        grid.push((q, nines, Some(name)));
    }
    grid.retain(|(q, ..)| beyond(*q) >= SAMPLES_BEYOND);
    grid.sort_by(|a, b| a.1.total_cmp(&b.1));
    grid
}

/// The interval of each point over blocks, as long as every block supports it.
fn bands(blocks: &[&Hist], grid: &[(f64, f64, Option<&'static str>)]) -> Vec<Option<[f64; 2]>> {
    let quantiles: Vec<f64> = grid.iter().map(|(q, ..)| *q).collect();
    let each: Vec<Vec<u64>> = blocks.iter().map(|b| b.quantiles(&quantiles)).collect();
    let fewest = blocks.iter().map(|b| b.count()).min().unwrap_or(0);
    let band = |(i, q): (usize, &f64)| {
        let beyond = (fewest as f64 * (1.0 - q)).floor() as u64;
        let logs: Vec<f64> = each.iter().map(|b| (b[i].max(1) as f64).ln()).collect();
        let interval = stats::t_interval(&logs, CONFIDENCE).filter(|_| beyond >= SAMPLES_BEYOND)?;
        Some([interval.low.exp(), interval.high.exp()])
    };
    quantiles.iter().enumerate().map(band).collect()
}
