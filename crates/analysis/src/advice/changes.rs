//! What would change an advice: the nearest other recommendation over one key at a time.

use crate::advice::choice::{Chosen, choose};
use crate::advice::{Change, TRANSPORTS, constraints, either, evidence, load, recommendation};
use pushbench_core::evidence::Evidence;
use pushbench_core::units::span_text;
use pushbench_core::workload::{Place, Workload};

/// The steps in which a key is changed, each a factor.
const FACTORS: [f64; 10] = [2.0, 4.0, 10.0, 30.0, 100.0, 300.0, 1e3, 1e4, 1e5, 1e6];

/// Keys that are varied.
const KEYS: [&str; 4] = ["events.rate", "events.burst_factor", "receivers.count", "need.freshness"];
/// Halvings of the step in which a recommendation changes; what is left of a factor of ten is 4 %.
const HALVINGS: usize = 6;
/// A figure at less than this times another load was measured at it.
const THERE: f64 = 1.5;

/// A change, with the workload at it.
pub(super) struct At {
    /// What is printed of it.
    pub change: Change,
    /// The workload with that value.
    pub workload: Workload,
    /// How far the value is, as a factor of at least 1.
    pub factor: f64,
}

/// The first value of each key, up and down, at which something else is recommended.
pub(super) fn changes(workload: &Workload, known: &Evidence) -> Vec<At> {
    let own = choose(workload, known);
    // What was assumed stays as it is when something else changes.
    let workload = &Workload { rtt: Some(load::rtt(workload)), ..workload.clone() };
    let differs = |factor: f64, key| {
        let (other, value) = scaled(workload, key, factor)?;
        let chosen = choose(&other, known);
        let same = chosen.pick == own.pick && chosen.does_not_matter == own.does_not_matter;
        Some((!same).then_some((other, value, chosen)))
    };
    let mut found = Vec::new();
    for key in KEYS {
        for up in [true, false] {
            let power = |factor: f64| if up { factor } else { 1.0 / factor };
            let mut same = 1.0;
            let first = FACTORS.into_iter().find_map(|factor| {
                let other = differs(power(factor), key).flatten();
                if other.is_none() {
                    same = factor;
                }
                other.map(|other| (factor, other))
            });
            let Some((mut factor, mut there)) = first else { continue };
            for _ in 0..HALVINGS {
                let middle = (same * factor).sqrt();
                match differs(power(middle), key) {
                    Some(Some(other)) => (factor, there) = (middle, other),
                    Some(None) => same = middle,
                    None => break,
                }
            }
            let (workload, at, chosen) = there;
            let measured = key != "need.freshness" && is_measured(&workload, &own, known);
            let change = Change { key, at, to: either(&chosen), measured };
            found.push(At { change, workload, factor });
        }
    }
    found
}

/// What is recommended was measured here at this load.
fn is_measured(workload: &Workload, own: &Chosen, known: &Evidence) -> bool {
    let near = |a: f64, b: f64| (a / b).ln().abs() < THERE.ln();
    let burst = workload.deliveries() * workload.burst_factor;
    own.pick.iter().all(|transport| {
        load::figure(known, *transport, workload, &evidence::CPU).is_some_and(|figure| {
            let setting = &figure.setting;
            known.runs[figure.run].own
                && near(workload.count as f64, setting.receivers as f64)
                && setting.rate.is_some_and(|r| near(burst, r * setting.receivers as f64))
        })
    })
}

/// The nearest change of the load, which a measurement can look at.
pub(super) fn nearest_load(workload: &Workload, known: &Evidence) -> Option<Workload> {
    let loads = changes(workload, known).into_iter().filter(|at| at.change.key != "need.freshness");
    loads.min_by(|a, b| a.factor.total_cmp(&b.factor)).map(|at| at.workload)
}

/// The workload with one key multiplied; `None` beyond what makes sense.
fn scaled(workload: &Workload, key: &str, factor: f64) -> Option<(Workload, serde_json::Value)> {
    let mut other = workload.clone();
    let value = match key {
        "events.rate" => {
            other.rate = two_digits(workload.rate * factor);
            (other.rate < 1e7).then(|| serde_json::json!(other.rate))
        }
        "events.burst_factor" => {
            other.burst_factor = two_digits(workload.burst_factor * factor);
            (1.0..1e6).contains(&other.burst_factor).then(|| serde_json::json!(other.burst_factor))
        }
        "receivers.count" => {
            let count = two_digits(workload.count as f64 * factor).round();
            other.count = count as u64;
            other.split = workload.split.map(|(public, _)| {
                let part = (public as f64 / workload.count as f64 * count).round() as u64;
                (part, other.count.saturating_sub(part))
            });
            (1.0..1e8).contains(&count).then(|| serde_json::json!(other.count))
        }
        _ => {
            let ns = two_digits(workload.freshness.as_nanos() as f64 * factor);
            other.freshness = std::time::Duration::from_nanos(ns as u64);
            let text = span_text(ns);
            (1e6..1e15).contains(&ns).then(|| serde_json::json!(text))
        }
    }?;
    Some((other, value))
}

/// The next value of two digits that is not below this one.
fn two_digits_up(value: f64) -> f64 {
    let unit = 10f64.powf(value.log10().floor() - 1.0);
    (value / unit).ceil() * unit
}

fn two_digits(value: f64) -> f64 {
    let unit = 10f64.powf(value.log10().floor() - 1.0);
    (value / unit).round() * unit
}

/// The first single change, in the order in which people would make them, that lets a transport satisfy the workload.
pub(super) fn nearest(workload: &Workload, evidence: &Evidence) -> Option<Change> {
    use pushbench_core::workload::{Direction, Proxy};
    use std::time::Duration;
    let with = |change: &dyn Fn(&mut Workload)| {
        let mut other = workload.clone();
        change(&mut other);
        other
    };
    let mut tries: Vec<(&'static str, serde_json::Value, Workload)> = Vec::new();
    let workload = &Workload { rtt: Some(load::rtt(workload)), ..workload.clone() };
    let possible = TRANSPORTS
        .into_iter()
        .filter(|t| constraints::impossible(*t, workload, evidence).is_none());
    let ages = possible.filter_map(|t| load::of(t, workload, evidence).age_ns);
    let youngest = ages.fold(f64::INFINITY, f64::min);
    for ns in [two_digits_up(youngest), 1e9, 5e9, 60e9, 900e9] {
        if ns.is_finite() && ns > workload.freshness.as_nanos() as f64 {
            let longer = Duration::from_nanos(ns as u64);
            let text = span_text(ns);
            tries.push(("need.freshness", text.into(), with(&|w| w.freshness = longer)));
        }
    }
    if workload.direction == Direction::Both {
        let one_way = with(&|w| w.direction = Direction::OneWay);
        tries.push(("need.direction", "one-way".into(), one_way));
    }
    tries.push(("receivers.proxy", "none".into(), with(&|w| w.proxy = Proxy::None)));
    tries.push((
        "receivers.where",
        "public-server".into(),
        with(&|w| {
            w.place = Place::PublicServer;
            w.split = None;
        }),
    ));
    tries.into_iter().find_map(|(key, at, other)| {
        let chosen = choose(&other, evidence);
        (!chosen.pick.is_empty()).then(|| Change {
            key,
            at,
            to: recommendation(&chosen.pick),
            measured: false,
        })
    })
}
