//! The load at which a stated share of windows holds: Bayesian adaptive estimation of a threshold, as psychometric
//! functions are estimated (Watson & Pelli 1983, QUEST; Kontsevich & Tyler 1999, the Ψ method).
//!
//! The margin of a window is the logarithm of its worst figure over the figure's limit: it holds up to 0. Near the limit
//! the margin at the load `x` is normal with the mean `s · (ln x − μ)` and the deviation `τ`; of a margin further away
//! only its side is used (Tobin 1958: a censored regression), because a latency does not grow evenly up to its limit.
//! With the probability `λ` a disturbance breaks the window, whatever the load. A window at `x` therefore holds with the
//! probability `(1 − λ) · Φ(s (μ − ln x) / τ)`. The posterior of the four unknowns is computed on a grid; its prior is
//! flat in `μ`, `ln s` and `ln τ`.

use crate::stats::Interval;
use statrs::function::erf::{erfc, erfc_inv};
use std::f64::consts::{PI, SQRT_2};

/// The share of windows that must hold at the capacity.
pub const HOLDS: f64 = 0.9;

/// A margin within this is used as it is, ln 2: figures between half and twice the limit.
const NEAR: f64 = std::f64::consts::LN_2;
/// How much the figure grows with the load (percent for a percent): lowest and highest, and how many on the grid.
const SLOPES: (f64, f64, usize) = (0.5, 150.0, 15);
/// How gradual the change is, `τ / s`, likewise.
const WIDTHS: (f64, f64, usize) = (0.004, 0.6, 20);
/// Shares of windows that break at any load, with their prior weights.
const LAPSES: [(f64, f64); 3] = [(0.0, 0.6), (0.02, 0.25), (0.05, 0.15)];
/// Values of `μ` on the grid.
const MU_STEPS: usize = 64;
/// How far the grid reaches beyond the loads that were tried, as a logarithm.
const BEYOND: f64 = 0.7;
/// Loads among which the next one is chosen.
const CANDIDATES: usize = 24;
/// Cells with less than this part of the weight change nothing that is printed.
const NEGLIGIBLE: f64 = 1e-7;

/// What a window at a load came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// The load.
    pub load: f64,
    /// Logarithm of the worst figure over its limit; infinite where a line that is no figure with a ratio failed.
    pub margin: f64,
}

impl Observation {
    /// Every line of the objective held.
    pub fn held(&self) -> bool {
        self.margin <= 0.0
    }
}

/// One combination of the unknowns.
#[derive(Debug, Clone, Copy)]
struct Cell {
    mu: f64,
    slope: f64,
    deviation: f64,
    lapse: f64,
    weight: f64,
}

impl Cell {
    /// The probability that a window holds at a load, given as its logarithm.
    fn holds(&self, ln_load: f64) -> f64 {
        (1.0 - self.lapse) * normal(self.slope * (self.mu - ln_load) / self.deviation)
    }

    /// The logarithm of the load at which [`HOLDS`] of the windows hold.
    fn ln_capacity(&self) -> f64 {
        let z = -SQRT_2 * erfc_inv(2.0 * HOLDS / (1.0 - self.lapse));
        self.mu - self.deviation / self.slope * z
    }

    fn likelihood(&self, ln_load: f64, margin: f64) -> f64 {
        let mean = self.slope * (ln_load - self.mu);
        let z = |margin: f64| (margin - mean) / self.deviation;
        // A broken window is anywhere beyond the limit: a quarter of them near it.
        let (by_load, broken) = if margin < -NEAR {
            (normal(z(-NEAR)), 0.0)
        } else if margin > NEAR {
            (normal(-z(NEAR)), 0.75)
        } else {
            let density = (-z(margin).powi(2) / 2.0).exp() / (self.deviation * (2.0 * PI).sqrt());
            (density, if margin > 0.0 { 0.25 / NEAR } else { 0.0 })
        };
        (1.0 - self.lapse) * by_load + self.lapse * broken
    }
}

/// Values with equal ratios.
fn logarithmic((low, high, count): (f64, f64, usize)) -> impl Iterator<Item = f64> {
    let ratio = (high / low).powf(1.0 / (count - 1) as f64);
    (0..count).map(move |n| low * ratio.powi(n as i32))
}

/// The standard normal distribution function.
fn normal(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// What is known after some windows.
#[derive(Debug, Clone)]
pub struct Threshold {
    cells: Vec<Cell>,
}

impl Threshold {
    /// `None` until a window has held and another has not: before that there is no bracket.
    pub fn of(observed: &[Observation]) -> Option<Threshold> {
        if observed.iter().all(Observation::held) || !observed.iter().any(Observation::held) {
            return None;
        }
        let ln = |o: &Observation| o.load.ln();
        let low = observed.iter().map(ln).fold(f64::INFINITY, f64::min) - BEYOND;
        let high = observed.iter().map(ln).fold(f64::NEG_INFINITY, f64::max) + BEYOND;
        let mut threshold = Threshold::between(low, high);
        observed.iter().for_each(|o| threshold.learn(o));
        // Once more where the weight is, so that the steps of the grid are small against the interval.
        let step = (high - low) / (MU_STEPS - 1) as f64;
        let heavy = || threshold.cells.iter().filter(|c| c.weight > NEGLIGIBLE).map(|c| c.mu);
        let low = heavy().fold(f64::INFINITY, f64::min) - step;
        let high = heavy().fold(f64::NEG_INFINITY, f64::max) + step;
        let mut fine = Threshold::between(low, high);
        observed.iter().for_each(|o| fine.learn(o));
        Some(fine)
    }

    fn between(low: f64, high: f64) -> Threshold {
        let step = (high - low) / (MU_STEPS - 1) as f64;
        let mut cells = Vec::new();
        for n in 0..MU_STEPS {
            for slope in logarithmic(SLOPES) {
                for width in logarithmic(WIDTHS) {
                    for (lapse, weight) in LAPSES {
                        let mu = low + step * n as f64;
                        cells.push(Cell { mu, slope, deviation: slope * width, lapse, weight });
                    }
                }
            }
        }
        Threshold { cells }
    }

    /// Adds a window.
    pub fn learn(&mut self, observed: &Observation) {
        let ln_load = observed.load.ln();
        for cell in &mut self.cells {
            if cell.weight > 0.0 {
                cell.weight *= cell.likelihood(ln_load, observed.margin).max(1e-12);
            }
        }
        let sum: f64 = self.cells.iter().map(|c| c.weight).sum();
        for cell in &mut self.cells {
            cell.weight = if cell.weight > sum * 1e-15 { cell.weight / sum } else { 0.0 };
        }
    }

    fn heavy(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| cell.weight > NEGLIGIBLE)
    }

    /// A quantity of each cell with the cell's weight, rising.
    fn weighted(&self, of: impl Fn(&Cell) -> f64) -> Vec<(f64, f64)> {
        let mut all: Vec<(f64, f64)> = self.heavy().map(|cell| (of(cell), cell.weight)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all
    }

    /// The load at which [`HOLDS`] of the windows hold: its median, and the interval that holds it with this
    /// probability.
    pub fn capacity(&self, confidence: f64) -> Interval {
        interval(&self.weighted(Cell::ln_capacity), confidence).map(f64::exp)
    }

    /// The probability that a window at this load holds: its median, and an interval.
    pub fn holds(&self, load: f64, confidence: f64) -> Interval {
        interval(&self.weighted(|cell| cell.holds(load.ln())), confidence)
    }

    /// The load whose window is expected to leave the smallest variance of the capacity's logarithm.
    pub fn next(&self) -> f64 {
        let all = self.weighted(Cell::ln_capacity);
        let width: f64 = self.heavy().map(|c| c.deviation / c.slope * c.weight).sum();
        // A window that surely holds or surely fails tells nothing, so the width of the change is added.
        let low = quantile(&all, 0.02) - 0.5 * width.min(0.5);
        let high = quantile(&all, 0.98) + 1.5 * width.min(0.5);
        let step = (high - low) / (CANDIDATES - 1) as f64;
        let cells: Vec<(&Cell, f64)> = self.heavy().map(|c| (c, c.ln_capacity())).collect();
        let expected = |ln_load: f64| {
            // Weight, first and second moment of the capacity's logarithm if the window holds, and if it does not.
            let (mut held, mut failed) = ([0.0; 3], [0.0; 3]);
            for (cell, capacity) in &cells {
                let p = cell.holds(ln_load) * cell.weight;
                for (moments, w) in [(&mut held, p), (&mut failed, cell.weight - p)] {
                    moments[0] += w;
                    moments[1] += w * capacity;
                    moments[2] += w * capacity * capacity;
                }
            }
            let spread = |[w, first, second]: [f64; 3]| {
                if w > 0.0 { second - first * first / w } else { 0.0 }
            };
            spread(held) + spread(failed)
        };
        let loads = (0..CANDIDATES).map(|n| low + step * n as f64);
        let best =
            loads.map(|ln_load| (expected(ln_load), ln_load)).min_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or(high, |(_, ln_load)| ln_load).exp()
    }

    /// The ratio of another capacity to this one: its median, and the interval that holds it with this probability.
    /// The two were measured in windows of their own.
    pub fn ratio(&self, other: &Threshold, confidence: f64) -> Interval {
        const POINTS: usize = 200;
        let points = |threshold: &Threshold| {
            let all = threshold.weighted(Cell::ln_capacity);
            (0..POINTS)
                .map(|n| quantile(&all, (n as f64 + 0.5) / POINTS as f64))
                .collect::<Vec<_>>()
        };
        let (mine, theirs) = (points(self), points(other));
        let mut all: Vec<(f64, f64)> =
            mine.iter().flat_map(|a| theirs.iter().map(move |b| (b - a, 1.0))).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        interval(&all, confidence).map(f64::exp)
    }
}

/// The median and the interval of this probability, of weighted values that rise.
fn interval(rising: &[(f64, f64)], confidence: f64) -> Interval {
    let tail = (1.0 - confidence) / 2.0;
    Interval {
        estimate: quantile(rising, 0.5),
        low: quantile(rising, tail),
        high: quantile(rising, 1.0 - tail),
    }
}

/// The value below which this part of the weight lies, of rising values.
fn quantile(rising: &[(f64, f64)], q: f64) -> f64 {
    let total: f64 = rising.iter().map(|(_, weight)| weight).sum();
    let mut below = 0.0;
    for (value, weight) in rising {
        below += weight;
        if below >= q * total {
            return *value;
        }
    }
    rising.last().map_or(f64::NAN, |(value, _)| *value)
}
