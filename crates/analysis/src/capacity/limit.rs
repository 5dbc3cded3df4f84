//! What gave way first.

use crate::capacity::search::Search;
use crate::capacity::value_text;
use crate::capacity::window::{broken, observation};
use pushbench_core::capacity::{CapacityRecord, Window};
use pushbench_core::remedy::more_of;

/// A target that uses this part of its CPUs has none left.
const CPU_LIMIT: f64 = 0.85;
/// A queue of the path that drops this part of the packets is full.
const PATH_LIMIT: f64 = 0.01;
/// A window is near the capacity up to this factor above it.
const NEAR: f64 = 1.3;

/// A limit and the evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// In a word or two.
    pub word: String,
    /// The evidence.
    pub why: String,
}

/// What gave way at the capacity of an arm; `None` when nothing is known.
pub fn of(
    record: &CapacityRecord,
    arm: usize,
    highest: Option<f64>,
    at_least: bool,
    search: &Search,
) -> Option<Limit> {
    let limit = |word: &str, why: String| Some(Limit { word: word.to_owned(), why });
    if at_least {
        let fits = record.fits.as_ref().filter(|(fits, _)| search.range.highest == Some(*fits));
        return match (search.highest(), fits) {
            (Some(load), Some((_, short))) if !search.is_at_drivers_limit() => {
                let why = match short.starts_with("the largest ") {
                    true => format!("{short} is {load:.0}: the target may carry more"),
                    false => format!(
                        "no more than {load:.0} fit this machine for want of {short}: the target may carry more; {}",
                        more_of(short)
                    ),
                };
                limit(short, why)
            }
            (Some(load), _) => {
                let void = |w: &&Window| w.arm == arm && w.load >= load && w.void.is_some();
                let voids = record.windows.iter().filter(void);
                let first = voids.min_by(|a, b| a.load.total_cmp(&b.load))?;
                let why = first.void.clone().unwrap_or_default();
                limit("driver", format!("{:.0} could not be offered: {why}", first.load))
            }
            (None, _) => None,
        };
    }
    let failed = |w: &&Window| {
        w.arm == arm && observation(w, &record.scenario.objective).is_some_and(|o| !o.held())
    };
    let mut failed: Vec<&Window> = record.windows.iter().filter(failed).collect();
    failed.sort_by(|a, b| a.load.total_cmp(&b.load));
    // The lowest of the loads that failed; the first steps of a bracket may be far above the capacity.
    let near: Vec<&Window> = failed
        .iter()
        .copied()
        .filter(|w| highest.is_none_or(|highest| w.load <= highest * NEAR))
        .collect();
    let (near, place) = match near.is_empty() {
        false => (near, " near it"),
        true => (failed.into_iter().take(3).collect(), " above it"),
    };
    let count = near.len();
    let most = |is: &dyn Fn(&Window) -> bool| {
        count > 0 && near.iter().filter(|w| is(w)).count() * 2 > count
    };
    let middle = |of: &dyn Fn(&Window) -> f64| {
        let mut values: Vec<f64> = near.iter().map(|w| of(w)).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let at = match count {
        1 => format!("in the window that failed{place}"),
        _ => format!("in {count} windows that failed{place}"),
    };
    let cpus = record.placement.get("target").map_or(1, Vec::len).max(1) as f64;
    if most(&|w| w.died.is_some()) {
        let why = near.iter().find_map(|w| w.died.clone()).unwrap_or_default();
        return limit("target died", why);
    }
    let fault = |word: &str| {
        let word = word.to_owned();
        move |w: &Window| w.fault.as_ref().is_some_and(|f| f.contains(&word))
    };
    if most(&fault("Too many open files")) {
        return limit(
            "descriptors",
            format!("{at}: too many open files; raise the hard limit (ulimit -Hn)"),
        );
    }
    if most(&|w| w.queue_full > PATH_LIMIT) {
        let dropped = middle(&|w| w.queue_full) * 100.0;
        return limit(
            "path rate",
            format!("{at} the full queue of the path dropped {dropped:.0} % of the packets"),
        );
    }
    if most(&|w| w.target_cpus.is_some_and(|used| used > cpus * CPU_LIMIT)) {
        let used = middle(&|w| w.target_cpus.unwrap_or(0.0));
        return limit(
            "target cpu",
            format!("{at} the target used {} of its CPU time", part_of_all(used / cpus)),
        );
    }
    let lines = &record.scenario.objective;
    let memory = lines.iter().find(|line| line.what.contains("memory"));
    if let Some(line) = memory.filter(|line| most(&|w| broken(w, lines) == [line.what.as_str()])) {
        return limit("memory", format!("{at} only {} did not hold", line.what));
    }
    if most(&|w| w.outcomes.backlog_full > 0) {
        return limit(
            "backlog",
            format!("{at} events were turned away because load.backlog was full"),
        );
    }
    if most(&|w| w.outcomes.timed_out * 100 > w.outcomes.due) {
        return limit("timeout", format!("{at} more than 1 % of what was due timed out"));
    }
    let line = lines
        .iter()
        .enumerate()
        .find(|(_, line)| most(&|w| broken(w, lines).contains(&line.what.as_str())))?;
    let (index, line) = line;
    let used = middle(&|w| w.target_cpus.unwrap_or(0.0));
    let value = middle(&|w| w.values[index].unwrap_or(f64::INFINITY));
    let value =
        if value.is_finite() { value_text(&line.what, value) } else { "without bound".to_owned() };
    limit(
        &line.what,
        format!(
            "{at} {} was {value} at the median, and the target used {} of its CPU time",
            line.what,
            part_of_all(used / cpus)
        ),
    )
}

/// The kernel does a part of a target's work on other CPUs, so that it may use more than its own have.
fn part_of_all(share: f64) -> String {
    if share < 0.995 { format!("{:.0} %", share * 100.0) } else { "all".to_owned() }
}
