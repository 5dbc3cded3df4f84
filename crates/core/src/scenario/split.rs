//! How a scenario's measured events are divided into strata: the steps of a ramp, a burst and what is around
//! it, the first events of a connection and the later ones.

use crate::record::strata::Split;
use crate::scenario::{Arrivals, Burst, Lifetime, Scenario};
use crate::units;
use std::time::Duration;

/// Steps of a ramp: fine enough to see a knee, each with enough events for a p99.
const RAMP_STEPS: u64 = 10;

/// The split of a scenario; none where all events are alike.
pub fn of(scenario: &Scenario) -> Option<Split> {
    let ns = |d: Duration| d.as_nanos() as u64;
    match (scenario.load.arrivals, scenario.connections.lifetime) {
        (Arrivals::Ramp { .. }, _) => {
            let window = ns(scenario.load.duration);
            let bounds_ns = (1..RAMP_STEPS).map(|step| window * step / RAMP_STEPS).collect();
            Some(Split::Phase { period_ns: u64::MAX, bounds_ns })
        }
        (Arrivals::Burst(burst), _) => {
            let (before, after) = (ns(burst.quiet()), ns(burst.quiet() + burst.length));
            Some(Split::Phase { period_ns: ns(burst.every), bounds_ns: vec![before, after] })
        }
        (_, Lifetime::Events(events)) if events > 1 => Some(Split::Use { bounds: uses(events) }),
        _ => None,
    }
}

/// The first event, those up to the tenth, up to the hundredth …, and the last one by itself.
fn uses(lifetime: u64) -> Vec<u64> {
    let mut bounds: Vec<u64> = std::iter::successors(Some(1u64), |n| n.checked_mul(10))
        .take_while(|n| *n < lifetime)
        .collect();
    if lifetime - 1 > bounds[bounds.len() - 1] {
        bounds.push(lifetime - 1);
    }
    bounds
}

/// What the strata of [`of`] are called, in their order.
pub fn names(scenario: &Scenario) -> Vec<String> {
    match (of(scenario), scenario.load.arrivals) {
        (None, _) => Vec::new(),
        (Some(Split::Use { bounds }), _) => use_names(&bounds),
        (Some(_), Arrivals::Burst(burst)) => burst_names(scenario.load.rate.unwrap_or(0.0), &burst),
        (Some(_), _) => {
            let step = |(low, high)| format!("{} to {}", units::rate(low), units::rate(high));
            ramp_steps(scenario).into_iter().map(step).collect()
        }
    }
}

/// The rates at the begin and the end of each step of a ramp; none of another load.
pub fn ramp_steps(scenario: &Scenario) -> Vec<(f64, f64)> {
    let (Arrivals::Ramp { to }, Some(from)) = (scenario.load.arrivals, scenario.load.rate) else {
        return Vec::new();
    };
    let rate = |step: u64| from + (to - from) * step as f64 / RAMP_STEPS as f64;
    (0..RAMP_STEPS).map(|step| (rate(step), rate(step + 1))).collect()
}

fn burst_names(rate: f64, burst: &Burst) -> Vec<String> {
    let quiet = units::rate(rate);
    vec![
        format!("before, {quiet}"),
        format!("burst, {}", units::rate(rate * burst.factor)),
        format!("after, {quiet}"),
    ]
}

fn use_names(bounds: &[u64]) -> Vec<String> {
    let mut low = 1;
    let mut names = Vec::new();
    for &bound in bounds {
        names.push(if low == bound {
            format!("event {low}")
        } else {
            format!("events {low}–{bound}")
        });
        low = bound + 1;
    }
    names.push(format!("event {low}"));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_event_of_a_connection_stand_alone() {
        assert_eq!(uses(100), [1, 10, 99]);
        assert_eq!(use_names(&uses(100)), ["event 1", "events 2–10", "events 11–99", "event 100"]);
        assert_eq!(uses(2), [1]);
        assert_eq!(use_names(&uses(2)), ["event 1", "event 2"]);
        assert_eq!(uses(11), [1, 10]);
        assert_eq!(uses(3), [1, 2]);
    }
}
