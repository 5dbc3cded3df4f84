//! Lines for pipes, files and CI: one for each stage.

use crate::cli::progress::state::{ArmState, State};
use pushbench_core::units;
use std::time::Instant;

/// More arms than this do not fit on a line: then only the running one is shown.
const FIT: usize = 3;

/// `[  12 s] block 3/12, about 38 s left · webhook@builtin 2000/s 118 µs / 0.94 ms`
pub fn stage(state: &State, now: Instant) -> String {
    let left = state.total.saturating_sub(state.done).as_secs();
    let passed = state.elapsed(now).as_secs();
    let arms = arms(state);
    let gap = if arms.is_empty() { "" } else { " · " };
    format!("[{passed:>4} s] {}, about {left} s left{gap}{arms}", state.stage)
}

/// Rate, p50 and p99 of every arm; empty while nothing is known.
fn arms(state: &State) -> String {
    let shown = match state.arms.len() {
        n if n > FIT => &state.arms[state.latest..=state.latest],
        _ => &state.arms[..],
    };
    let shown: Vec<String> = shown.iter().filter_map(|live| arm(live, state.turns)).collect();
    shown.join(" · ")
}

/// `webhook@builtin 2000/s 118 µs / 0.94 ms`: rate, median and p99, the latter two once enough
/// samples support them. For an arm that alternates with others, also its share of the time.
fn arm(arm: &ArmState, turns: usize) -> Option<String> {
    let figures = arm.figures();
    let rate = units::rate(arm.rate());
    let p99 = figures.p99.map_or(String::new(), |p99| format!(" / {}", units::nanos_text(p99)));
    let part = if turns > 1 { format!(" in 1/{turns} of the time,") } else { String::new() };
    Some(format!("{} {rate}{part} {}{p99}", arm.label, units::nanos_text(figures.p50?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::state::sample;
    use std::time::Duration;

    #[test]
    fn the_rate_of_an_arm_says_what_part_of_the_time_it_has() {
        let now = Instant::now();
        let mut state = sample::state(3, now);
        let line = stage(&state, now + Duration::from_secs(12));
        assert!(line.starts_with("[  12 s] block 4/12, about 48 s left · "), "{line}");
        assert!(line.contains("webhook@builtin 5000/s 15"), "{line}");
        state.turns = 2;
        let line = stage(&state, now);
        assert!(line.contains("webhook@builtin 5000/s in 1/2 of the time, 15"), "{line}");
    }
}
