//! After how many events a connection has paid for being opened: from a sweep over `connections.lifetime`.

use crate::compare::{FEWEST_BLOCKS, Report, Trials};
use crate::stats::Interval;
use crate::stats::effect::Effect;
use pushbench_core::record::metrics;
use pushbench_core::record::run::StoredRun;
use pushbench_core::scenario::{Lifetime, Setting};
use pushbench_core::units;
use serde::Serialize;

const KEY: &str = "connections.lifetime";
/// What the opening of its connection may add to an event until it counts as paid: the share of CPU below which no
/// choice should hang on a difference.
const PAID: f64 = 0.05;
const CONFIDENCE: f64 = 0.95;

/// What it costs an arm to open a connection, CPU of both sides together.
#[derive(Debug, Clone, Serialize)]
pub struct OpeningCost {
    /// The arm.
    pub arm: String,
    /// For one connection, ns.
    pub cpu_ns: f64,
    /// Its 95 % interval.
    pub cpu_ns_ci95: [f64; 2],
    /// As many events over an open connection cost as much; `null` where the interval contains 0.
    pub events: Option<f64>,
    /// Its 95 % interval.
    pub events_ci95: Option<[f64; 2]>,
    /// A connection that carries this many events or more pays less than 5 % for being opened.
    pub paid_from: Option<f64>,
    /// Its 95 % interval.
    pub paid_from_ci95: Option<[f64; 2]>,
}

/// Adds the costs of each arm with TLS to the point whose connections have no limit. A connection that carries L
/// events costs c + H / L an event: H and c follow from the shortest lifetime and from none.
pub(super) fn add(run: &StoredRun, report: &mut Report) {
    let points = &run.header.points;
    let lifetime = |i: usize| match points[i].scenario.connections.lifetime {
        Lifetime::Events(n) => n,
        Lifetime::Unlimited => u64::MAX,
    };
    for unlimited in (0..points.len()).filter(|i| lifetime(*i) == u64::MAX) {
        let others = others(&points[unlimited].setting);
        let same =
            |i: &usize| lifetime(*i) < u64::MAX && self::others(&points[*i].setting) == others;
        let shortest = (0..points.len()).filter(same).min_by_key(|i| lifetime(*i));
        let Some(shortest) = shortest else { continue };
        let both = [Trials::of(run, shortest), Trials::of(run, unlimited)];
        for (arm, header) in points[unlimited].arms.iter().enumerate() {
            let Some(found) = cost(&both, (arm, &header.label), lifetime(shortest)) else {
                continue;
            };
            let point = &mut report.points[unlimited];
            point.sentences.push(sentence(&found));
            point.openings.push(found);
        }
    }
}

/// A setting without the lifetime of connections.
fn others(setting: &Setting) -> Setting {
    setting.iter().filter(|(key, _)| *key != KEY).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn cost(
    [short, long]: &[Trials<'_>; 2],
    (arm, label): (usize, &str),
    lifetime: u64,
) -> Option<OpeningCost> {
    let values = |trials: &Trials<'_>| -> Option<Vec<f64>> {
        let mine = trials.of_arm(arm);
        let tls = mine.iter().all(|t| t.account.handshakes.is_some());
        let enough = tls && mine.len() >= FEWEST_BLOCKS;
        let cpu: Option<Vec<f64>> = mine.iter().map(|t| metrics::total_cpu(t)).collect();
        cpu.filter(|_| enough)
    };
    let (short, long) = (values(short)?, values(long)?);
    let each = Effect::paired(&long)?.estimate;
    let opening = Effect::unpaired(&long, &short)?.interval(CONFIDENCE)?;
    let opening = opening.map(|ns| ns * lifetime as f64);
    let events = (opening.low > 0.0).then(|| opening.map(|ns| ns / each));
    let paid = events.map(|events| events.map(|n| (n / PAID).ceil()));
    let bounds = |i: Interval| [i.low, i.high];
    Some(OpeningCost {
        arm: label.to_owned(),
        cpu_ns: opening.estimate,
        cpu_ns_ci95: bounds(opening),
        events: events.map(|i| i.estimate),
        events_ci95: events.map(bounds),
        paid_from: paid.map(|i| i.estimate),
        paid_from_ci95: paid.map(bounds),
    })
}

fn sentence(cost: &OpeningCost) -> String {
    let arm = &cost.arm;
    let number = |n: f64| if n < 100.0 { format!("{n:.1}") } else { units::count(n) };
    let (Some(events), Some([low, high])) = (cost.events, cost.events_ci95) else {
        return format!("{arm}: cannot tell what it costs to open a connection.");
    };
    format!(
        "{arm}: opening a connection costs {} of CPU on both sides together, as much as {} events [{}, {}]; a \
         connection that carries {} events or more pays less than 5 % for it.",
        units::nanos_text(cost.cpu_ns),
        number(events),
        number(low),
        number(high),
        units::count(cost.paid_from.unwrap_or_default()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{compare, sample};
    use pushbench_core::record::handshakes::{Handshakes, Negotiated};

    /// Ten blocks whose events cost 50 µs each, and 300 µs for each connection.
    #[test]
    fn a_known_cost_is_found() {
        let mut run = sample::ratios(1.0, 1.0);
        let negotiated = Negotiated { resumed: false, words: String::new() };
        let (point, trials) = (run.header.points[0].clone(), run.trials.clone());
        run.header.points.clear();
        run.trials.clear();
        for (index, lifetime) in [Lifetime::Events(10), Lifetime::Unlimited].into_iter().enumerate()
        {
            let mut point = point.clone();
            point.scenario.connections.lifetime = lifetime;
            point.setting.insert(KEY.to_owned(), index.into());
            run.header.points.push(point);
            for trial in &trials {
                let mut trial = trial.clone();
                trial.point = index;
                trial.account.handshakes.get_or_insert_with(Handshakes::default).count(
                    &negotiated,
                    None,
                    1,
                );
                let events = trial.account.acknowledged_in_window.max(1);
                let each = if index == 0 { 80_000 } else { 50_000 } + trial.block as u64;
                trial.driver.cpu_ns = events * each;
                trial.target.as_mut().unwrap().cpu_ns = 0;
                run.trials.push(trial);
            }
        }
        let report = compare(&run);
        let found = &report.points[1].openings[0];
        assert!((found.cpu_ns - 300_000.0).abs() < 3_000.0, "{found:?}");
        assert!((found.events.unwrap() - 6.0).abs() < 0.1, "{found:?}");
        assert!((found.paid_from.unwrap() - 120.0).abs() < 2.0, "{found:?}");
        assert!(report.points[0].openings.is_empty());
        run.trials.retain(|t| t.block < 7);
        assert!(compare(&run).points[1].openings.is_empty(), "too few blocks");
    }
}
