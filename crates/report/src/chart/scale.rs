//! From values to places on the paper, and where an axis has its ticks.

use pushbench_core::units;

/// How values are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Equal differences are equally long.
    Linear,
    /// Equal ratios are equally long.
    Log,
}

/// One axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// How values are spread.
    pub kind: Kind,
    /// Smallest and largest value.
    pub domain: (f64, f64),
    /// Where they lie.
    pub range: (f64, f64),
}

/// Steps of a decade at which an axis is cut.
const NICE: [f64; 3] = [1.0, 2.0, 5.0];
/// An axis of more decades than this has a tick at each decade only.
const FEW_DECADES: f64 = 2.6;

impl Scale {
    /// A logarithmic axis over these values, from and to round numbers. Values of 0 and less have no
    /// place on it.
    pub fn log(values: impl IntoIterator<Item = f64>, range: (f64, f64)) -> Scale {
        let positive = values.into_iter().filter(|v| v.is_finite() && *v > 0.0);
        let (low, high) = extent(positive).unwrap_or((1.0, 10.0));
        let (low, high) = (nice_below(low), nice_above(high));
        let high = if high <= low { nice_above(low * 1.5) } else { high };
        Scale { kind: Kind::Log, domain: (low, high), range }
    }

    /// A linear axis from 0.
    pub(crate) fn from_zero(values: impl IntoIterator<Item = f64>, range: (f64, f64)) -> Scale {
        let finite = values.into_iter().filter(|v| v.is_finite());
        let high = extent(finite).map_or(0.0, |(_, high)| high).max(0.0);
        let high = if high > 0.0 { high } else { 1.0 };
        let step = step(high, 5);
        Scale { kind: Kind::Linear, domain: (0.0, (high / step).ceil() * step), range }
    }

    /// Exactly this.
    pub fn of(kind: Kind, domain: (f64, f64), range: (f64, f64)) -> Scale {
        Scale { kind, domain, range }
    }

    /// Where a value lies; what is outside lies at the edge.
    pub fn place(&self, value: f64) -> f64 {
        let (low, high) = self.domain;
        let value = value.clamp(low, high);
        let share = match self.kind {
            Kind::Linear => (value - low) / (high - low),
            Kind::Log => (value / low).ln() / (high / low).ln(),
        };
        self.range.0 + share * (self.range.1 - self.range.0)
    }

    /// Round values within the axis, about `about` of them.
    pub fn ticks(&self, about: usize) -> Vec<f64> {
        let (low, high) = self.domain;
        let decades = (high / low).log10();
        match self.kind {
            Kind::Log if decades < 0.7 => linear_ticks(low, high, about),
            Kind::Log => {
                let every = (decades / about as f64).ceil().max(1.0) as usize;
                let ticks = log_ticks(low, high, decades <= FEW_DECADES, every);
                // Few decades at a wide step may hold one tick, from which no scale can be read.
                if ticks.len() < 2 { log_ticks(low, high, false, 1) } else { ticks }
            }
            Kind::Linear => linear_ticks(low, high, about),
        }
    }
}

fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((low.min(v), high.max(v))),
    })
}

fn decade(value: f64) -> f64 {
    10f64.powf(value.log10().floor())
}

fn nice_below(value: f64) -> f64 {
    let decade = decade(value);
    let step = NICE.iter().rev().find(|n| *n * decade <= value * (1.0 + 1e-9));
    step.unwrap_or(&1.0) * decade
}

fn nice_above(value: f64) -> f64 {
    let decade = decade(value);
    NICE.iter().map(|n| n * decade).find(|v| *v >= value * (1.0 - 1e-9)).unwrap_or(10.0 * decade)
}

/// A round step that cuts this length into about so many pieces.
fn step(length: f64, pieces: usize) -> f64 {
    nice_above(length / pieces.max(1) as f64)
}

fn linear_ticks(low: f64, high: f64, about: usize) -> Vec<f64> {
    let step = step(high - low, about);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|n| n as f64 * step).collect()
}

fn log_ticks(low: f64, high: f64, fine: bool, every: usize) -> Vec<f64> {
    let first = low.log10().floor() as i32;
    let last = high.log10().ceil() as i32;
    let steps: &[f64] = if fine { &NICE } else { &NICE[..1] };
    let all =
        (first..=last).step_by(every).flat_map(|e| steps.iter().map(move |n| n * 10f64.powi(e)));
    all.filter(|v| *v >= low * (1.0 - 1e-9) && *v <= high * (1.0 + 1e-9)).collect()
}

/// A number without needless zeros, in at most three significant digits.
pub fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A tick in nanoseconds: `500 µs`, `1 ms`.
pub(crate) fn time_tick(ns: f64) -> String {
    trimmed(&units::nanos_text(ns))
}

/// A tick in events a second: `20k/s`.
pub(crate) fn rate_tick(per_second: f64) -> String {
    let text = units::count(per_second);
    let cut = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    format!("{}{}/s", zeros(&text[..cut]), &text[cut..])
}

/// A tick in bytes.
pub(crate) fn bytes_tick(bytes: f64) -> String {
    trimmed(&units::bytes(bytes))
}

/// A number and its unit without trailing zeros.
fn trimmed(text: &str) -> String {
    match text.split_once(' ') {
        Some((number, unit)) => format!("{} {unit}", zeros(number)),
        None => zeros(text).to_owned(),
    }
}

fn zeros(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(ticks: &[f64]) -> Vec<String> {
        ticks.iter().map(|t| time_tick(*t)).collect()
    }

    #[test]
    fn a_log_axis_begins_and_ends_at_round_values() {
        let s = Scale::log([84_800.0, 1_300_000.0], (0.0, 100.0));
        assert_eq!(s.domain, (50_000.0, 2_000_000.0));
        assert_eq!(shown(&s.ticks(6)), ["50 µs", "100 µs", "200 µs", "500 µs", "1 ms", "2 ms"]);
        assert!((s.place(316_227.766) - 50.0).abs() < 0.01, "{}", s.place(316_227.766));
        let wide = Scale::log([1e3, 9e9], (0.0, 1.0));
        assert_eq!(shown(&wide.ticks(8))[..3], ["1 µs", "10 µs", "100 µs"]);
        assert_eq!(shown(&wide.ticks(4)), ["1 µs", "100 µs", "10 ms", "1 s"]);
    }

    #[test]
    fn a_linear_axis_begins_at_zero() {
        let s = Scale::from_zero([26_000.0, 266_000.0], (100.0, 0.0));
        assert_eq!(s.domain, (0.0, 300_000.0));
        assert_eq!(s.ticks(3), [0.0, 100_000.0, 200_000.0, 300_000.0]);
        assert_eq!((s.place(0.0), s.place(300_000.0)), (100.0, 0.0));
    }

    #[test]
    fn nothing_and_a_single_value_still_make_an_axis() {
        for s in [
            Scale::log([], (0.0, 1.0)),
            Scale::log([0.0, -3.0, f64::NAN], (0.0, 1.0)),
            Scale::log([100.0], (0.0, 1.0)),
            Scale::from_zero([], (0.0, 1.0)),
            Scale::from_zero([0.0, f64::INFINITY], (0.0, 1.0)),
        ] {
            assert!(s.domain.1 > s.domain.0, "{s:?}");
            assert!(s.ticks(5).len() >= 2, "{s:?}");
        }
    }

    #[test]
    fn ticks_have_no_needless_zeros() {
        assert_eq!(rate_tick(20_000.0), "20k/s");
        assert_eq!(rate_tick(500.0), "500/s");
        assert_eq!(bytes_tick(1536.0), "1.5 KiB");
        assert_eq!(
            [short(1.0), short(0.85), short(1.05), short(20.0)],
            ["1", "0.85", "1.05", "20"]
        );
    }

    proptest! {
        #[test]
        fn every_value_has_a_place_and_ticks_lie_within(
            values in proptest::collection::vec(1e-3f64..1e12, 1..20),
            about in 2..9usize,
        ) {
            for s in [Scale::log(values.clone(), (10.0, 90.0)), Scale::from_zero(values.clone(), (10.0, 90.0))] {
                for v in &values {
                    prop_assert!(s.domain.0 <= *v * 1.000001 && *v <= s.domain.1 * 1.000001);
                    prop_assert!((10.0..=90.0).contains(&s.place(*v)));
                }
                let ticks = s.ticks(about);
                prop_assert!(ticks.len() >= 2 && ticks.len() <= 3 * about + 3, "{s:?} {ticks:?}");
                prop_assert!(ticks.windows(2).all(|w| w[0] < w[1]));
                prop_assert!(ticks.iter().all(|t| (9.9..=90.1).contains(&s.place(*t))));
            }
        }
    }
}
