//! Where the next window of an arm is measured.

use crate::capacity::threshold::{Observation, Threshold};
use crate::stats::Interval;

/// Windows that must all hold at the highest load that can be offered before it is called the limit of the search.
pub const ENOUGH_AT_HIGHEST: usize = 10;
/// Windows that must all fail at the lowest load before the search ends without a capacity.
pub const ENOUGH_AT_LOWEST: usize = 3;
/// Factor between two loads while there is no bracket.
const STEP: f64 = 2.0;
/// Confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// The loads that a search may try.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Where it begins.
    pub start: f64,
    /// The lowest that makes sense.
    pub lowest: f64,
    /// The highest that can be offered; unknown until something else gives way.
    pub highest: Option<f64>,
    /// Loads are whole numbers.
    pub whole: bool,
}

/// What a search does next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// Measures a window at this load.
    Window(f64),
    /// The interval is narrow enough.
    Found,
    /// The highest load that can be offered holds.
    AtLeast,
    /// The lowest load fails.
    Below,
}

impl Range {
    fn clamp(&self, load: f64) -> f64 {
        let load = load.max(self.lowest).min(self.highest.unwrap_or(f64::INFINITY));
        if self.whole { load.floor().max(self.lowest) } else { load }
    }
}

/// The relative half-width of an interval.
pub fn half_width(interval: &Interval) -> f64 {
    (interval.high - interval.low) / 2.0 / interval.estimate
}

/// The windows of one arm, and what is known after them.
#[derive(Debug, Clone)]
pub struct Search {
    /// The loads it may try.
    pub range: Range,
    observed: Vec<Observation>,
    /// Loads of windows that count neither way, and whether the driver had no time left.
    not_offered: Vec<(f64, bool)>,
    threshold: Option<Threshold>,
}

impl Search {
    /// Nothing is known.
    pub fn new(range: Range) -> Search {
        Search { range, observed: Vec::new(), not_offered: Vec::new(), threshold: None }
    }

    /// Adds a window.
    pub fn add(&mut self, observed: Observation) {
        self.observed.push(observed);
        let n = self.observed.len();
        match &mut self.threshold {
            // The grid is laid anew each time the number of windows has doubled: by then it has become coarse.
            Some(threshold) if !n.is_power_of_two() => threshold.learn(&observed),
            _ => self.threshold = Threshold::of(&self.observed),
        }
    }

    /// A window of this load counts neither way: the driver had no time left, or the machine stalled.
    pub fn not_offered(&mut self, load: f64, saturated: bool) {
        self.not_offered.push((load, saturated));
    }

    /// The load above which the driver had no time left twice, or no window was valid in four, without one that
    /// counts at such a load.
    fn drivers_limit(&self) -> Option<f64> {
        let mut loads: Vec<f64> = self.not_offered.iter().map(|(load, _)| *load).collect();
        loads.sort_by(f64::total_cmp);
        let counts = |load: f64| self.observed.iter().any(|o| o.load >= load);
        let is_limit = |load: &f64| {
            let above = || self.not_offered.iter().filter(|(other, _)| other >= load);
            let saturated = above().filter(|(_, saturated)| *saturated).count();
            !counts(*load) && (saturated >= 2 || above().count() >= 4)
        };
        loads.into_iter().find(is_limit)
    }

    /// Whether the driver, and not the machine's size, bounds the loads.
    pub fn is_at_drivers_limit(&self) -> bool {
        let limit = self.drivers_limit();
        limit.is_some_and(|limit| self.range.highest.is_none_or(|highest| limit <= highest))
    }

    /// The highest load that can be offered, as far as it is known.
    pub fn highest(&self) -> Option<f64> {
        // A little below what could not be offered.
        let driver = self.drivers_limit().map(|limit| limit * 0.9);
        [driver, self.range.highest].into_iter().flatten().reduce(f64::min)
    }

    /// The windows so far.
    pub fn observed(&self) -> &[Observation] {
        &self.observed
    }

    /// The highest load that held and the lowest that did not.
    pub fn bracket(&self) -> (Option<f64>, Option<f64>) {
        let loads = |held| {
            let loads = self.observed.iter().filter(move |o| o.held() == held).map(|o| o.load);
            loads.collect::<Vec<f64>>()
        };
        (loads(true).into_iter().reduce(f64::max), loads(false).into_iter().reduce(f64::min))
    }

    /// What is known; `None` before a window has held and another has not.
    pub fn threshold(&self) -> Option<&Threshold> {
        self.threshold.as_ref()
    }

    /// What is done next. `precision`: the relative half-width of the 95 % interval that is enough.
    pub fn next(&self, precision: f64) -> Next {
        let range = Range { highest: self.highest(), ..self.range };
        let highest = range.highest.map(|highest| range.clamp(highest));
        let at = |load: f64| self.observed.iter().filter(|o| o.load == load).count();
        let Some(threshold) = &self.threshold else {
            return match self.bracket() {
                (Some(best), _) => match highest {
                    Some(highest) if best >= highest && at(best) >= ENOUGH_AT_HIGHEST => {
                        Next::AtLeast
                    }
                    _ => Next::Window(range.clamp(best * STEP)),
                },
                (None, Some(worst)) => match worst <= range.lowest && at(worst) >= ENOUGH_AT_LOWEST
                {
                    true => Next::Below,
                    false => Next::Window(range.clamp(worst / STEP)),
                },
                (None, None) => Next::Window(range.clamp(range.start)),
            };
        };
        let capacity = threshold.capacity(CONFIDENCE);
        if highest.is_some_and(|highest| capacity.low >= highest) {
            return Next::AtLeast;
        }
        match half_width(&capacity) <= precision {
            true => Next::Found,
            false => Next::Window(range.clamp(threshold.next())),
        }
    }
}
