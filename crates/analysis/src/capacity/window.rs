//! What the record of a trial says of a window.

use crate::capacity::threshold::Observation;
use crate::validity::{NOTHING_ACKNOWLEDGED, NOTHING_DELIVERED};
use pushbench_core::capacity::Window;
use pushbench_core::record::account::OTHER_FAULTS;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::metrics;
use pushbench_core::record::outcomes::Outcomes;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::{Expectation, objective};
use pushbench_core::units::nanos_text;

/// A machine that stalls for this part of a limit breaks it together with what the target takes.
const STALLED: f64 = 0.5;

/// The window of a judged trial.
pub fn of_trial(trial: &Trial, objective: &[Expectation]) -> Window {
    let faults = trial.account.faults.iter().filter(|(message, _)| *message != OTHER_FAULTS);
    let outcomes = outcomes(trial);
    // A target that answers nothing of what was due does not keep its promise: that makes no window void.
    let silent = |why: &&String| {
        outcomes.due > 0 && [NOTHING_DELIVERED, NOTHING_ACKNOWLEDGED].contains(&why.as_str())
    };
    let invalid = trial.judged.invalid.iter().find(|why| !silent(why)).cloned();
    // A target that ended is what the search looks for; the driver and the machine are not.
    let ended = invalid.clone().filter(|why| why.starts_with("target "));
    let packets = trial.path.as_ref().map(|path| (path.to_target, path.to_driver));
    let queue_full = packets.map_or(0.0, |(there, back)| {
        (there.queue_full + back.queue_full) as f64 / (there.entered + back.entered).max(1) as f64
    });
    let values: Vec<Option<f64>> = objective.iter().map(|line| value(trial, &line.what)).collect();
    let void = invalid.filter(|_| ended.is_none()).or_else(|| stalled(trial, objective, &values));
    let grown = trial.fanout.as_ref().and_then(|fanout| fanout.target_memory);
    Window {
        values,
        void,
        driver_saturated: trial.is_at_drivers_limit(),
        died: ended,
        outcomes,
        backlog_peak: trial.account.backlog_peak,
        target_cpus: trial.target.map(|target| target.cpu_ns as f64 / trial.wall_ns.max(1) as f64),
        driver_busy: trial.driver.busy,
        target_bytes: trial.target.map(|target| target.end.rss_bytes),
        grown_bytes: grown.map(|grown| grown.after.saturating_sub(grown.before)),
        queue_full,
        fault: faults.max_by_key(|(_, n)| **n).map(|(message, n)| format!("{n}× {message}")),
        ..Window::default()
    }
}

/// Why a window counts neither way in which only times did not hold: the machine stalled for a good part of a limit.
fn stalled(trial: &Trial, objective: &[Expectation], values: &[Option<f64>]) -> Option<String> {
    let broken = objective.iter().zip(values).filter(|(line, value)| margin(line, **value) > 0.0);
    let reasons = broken.map(|(line, _)| {
        let stall = trial.hiccup.quantile(quantile_of(&line.what)?)? as f64;
        (objective::is_latency(&line.what) && stall >= line.limit * STALLED).then(|| {
            format!(
                "this machine stalled: its hiccup meter was {} late at the percentile of {}, whose limit is {}",
                nanos_text(stall),
                line.what,
                nanos_text(line.limit)
            )
        })
    });
    reasons.collect::<Option<Vec<String>>>()?.into_iter().next()
}

/// `response.p99`: 0.99.
fn quantile_of(what: &str) -> Option<f64> {
    let (_, digits) = what.rsplit_once(".p")?;
    format!("0.{}", digits.replace('_', "")).parse().ok()
}

/// Of the events, or of the deliveries of a fan-out.
fn outcomes(trial: &Trial) -> Outcomes {
    match &trial.fanout {
        None => trial.account.measured,
        Some(fanout) => {
            let d = fanout.deliveries.measured;
            Outcomes {
                due: d.due,
                acknowledged: d.received,
                failed: d.failed,
                timed_out: d.timed_out,
                lost: d.lost,
                ..Outcomes::default()
            }
        }
    }
}

/// The value of a line in a trial. A percentile is taken over all that was due: what was not answered took longer than
/// any limit.
fn value(trial: &Trial, what: &str) -> Option<f64> {
    let events = trial.account.measured;
    let share = |part: u64, due: u64| (due > 0).then(|| part as f64 / due as f64);
    let quantile = quantile_of(what);
    let over = |hist: &Hist, due: u64, q: f64| {
        let rank = (q * due as f64).ceil().max(1.0);
        let known = hist.count() as f64;
        (rank <= known).then(|| hist.quantile(rank / known).map(|ns| ns as f64))?
    };
    match (what, quantile) {
        ("acknowledged", _) => share(events.acknowledged, events.due),
        ("reach", _) => {
            let deliveries = trial.fanout.as_ref()?.deliveries.measured;
            share(deliveries.received, deliveries.due)
        }
        (name, Some(q)) if name.starts_with("response.p") => {
            over(&trial.account.response, events.due, q)
        }
        (name, Some(q)) if name.starts_with("service.p") => {
            over(&trial.account.service, events.due, q)
        }
        (name, Some(q)) if name.starts_with("delivery.p") => {
            let deliveries = &trial.fanout.as_ref()?.deliveries;
            over(&deliveries.delivery, deliveries.measured.due, q)
        }
        (name, _) => (metrics::named(name)?.value)(trial),
    }
}

/// What a search learns from a window; nothing from one that counts neither way.
pub fn observation(window: &Window, objective: &[Expectation]) -> Option<Observation> {
    if window.died.is_some() {
        return Some(Observation { load: window.load, margin: f64::INFINITY });
    }
    if window.void.is_some() {
        return None;
    }
    let margins = objective.iter().zip(&window.values).map(|(line, value)| margin(line, *value));
    Some(Observation { load: window.load, margin: margins.fold(f64::NEG_INFINITY, f64::max) })
}

/// The logarithm of a value over its limit, up to 0 where the line holds. A share has no ratio that means anything: it
/// holds or does not.
fn margin(line: &Expectation, value: Option<f64>) -> f64 {
    let Some(value) = value else { return f64::INFINITY };
    let more = objective::more_is_better(&line.what);
    let holds = if more { value >= line.limit } else { value <= line.limit };
    match holds {
        _ if objective::is_latency(&line.what) && value > 0.0 && line.limit > 0.0 => {
            (value / line.limit).ln()
        }
        true => f64::NEG_INFINITY,
        false => f64::INFINITY,
    }
}

/// The lines of the objective that did not hold in a window.
pub fn broken<'a>(window: &Window, objective: &'a [Expectation]) -> Vec<&'a str> {
    let pairs = objective.iter().zip(&window.values);
    pairs
        .filter(|(line, value)| margin(line, **value) > 0.0)
        .map(|(line, _)| line.what.as_str())
        .collect()
}

/// A figure of the objective that a window which counts does not have, and that is no percentile of what was due.
pub fn unmeasured<'a>(window: &Window, objective: &'a [Expectation]) -> Option<&'a str> {
    let counts = window.void.is_none() && window.died.is_none();
    let of_due = |what: &str| {
        let counted = ["acknowledged", "reach"].contains(&what);
        let names = ["response.p", "service.p", "delivery.p"];
        counted || names.iter().any(|name| what.starts_with(name))
    };
    let mut pairs = objective.iter().zip(&window.values).filter(|_| counts);
    pairs
        .find(|(line, value)| value.is_none() && !of_due(&line.what))
        .map(|(line, _)| line.what.as_str())
}

/// What a window came to, in words.
pub fn outcome(window: &Window, objective: &[Expectation]) -> String {
    match (&window.void, &window.died) {
        (_, Some(why)) => format!("fails: {why}"),
        (Some(why), None) => format!("does not count: {why}"),
        (None, None) => match broken(window, objective) {
            broken if broken.is_empty() => "holds".to_owned(),
            broken => format!("fails: {}", broken.join(", ")),
        },
    }
}
