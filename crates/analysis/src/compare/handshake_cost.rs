//! After how many events a connection has paid for being opened: from a sweep over `connections.lifetime`.

use crate::compare::{FEWEST_BLOCKS, Report, Trials};
use crate::stats::effect::Effect;
use pushbench_core::record::metrics;
use pushbench_core::record::run::StoredRun;
use pushbench_core::scenario::{Lifetime, Setting};
use pushbench_core::units;

const KEY: &str = "connections.lifetime";
/// What the opening of its connection may add to an event until it counts as paid: the share of CPU below which no
/// choice should hang on a difference.
const PAID: f64 = 0.05;
const CONFIDENCE: f64 = 0.95;

/// Adds a sentence for each arm with TLS to the point whose connections have no limit. A connection that
/// carries L events costs c + H / L an event: H and c follow from the shortest lifetime and from none.
pub(super) fn add(run: &StoredRun, report: &mut Report) {
    for unlimited in 0..run.header.points.len() {
        let point = &run.header.points[unlimited];
        if point.scenario.connections.lifetime != Lifetime::Unlimited {
            continue;
        }
        let lifetime = |i: &usize| match run.header.points[*i].scenario.connections.lifetime {
            Lifetime::Events(n) => n,
            Lifetime::Unlimited => u64::MAX,
        };
        let same = |i: &usize| {
            others(&run.header.points[*i].setting) == others(&point.setting)
                && lifetime(i) < u64::MAX
        };
        let Some(shortest) = (0..run.header.points.len()).filter(same).min_by_key(lifetime) else {
            continue;
        };
        let both = [Trials::of(run, shortest), Trials::of(run, unlimited)];
        for (arm, header) in point.arms.iter().enumerate() {
            let sentence = cost(&both, arm, lifetime(&shortest) as f64);
            let text = sentence.map(|words| format!("{}: {words}", header.label));
            report.points[unlimited].sentences.extend(text);
        }
    }
}

/// A setting without the lifetime of connections.
fn others(setting: &Setting) -> Setting {
    setting.iter().filter(|(key, _)| *key != KEY).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn events_text(n: f64) -> String {
    if n < 100.0 { format!("{n:.1}") } else { units::count(n) }
}

fn cost([short, long]: &[Trials<'_>; 2], arm: usize, events: f64) -> Option<String> {
    let values = |trials: &Trials<'_>| -> Option<Vec<f64>> {
        let mine = trials.of_arm(arm);
        let tls = mine.iter().all(|t| t.account.handshakes.is_some());
        let enough = tls && mine.len() >= FEWEST_BLOCKS;
        let cpu: Option<Vec<f64>> = mine.iter().map(|t| metrics::total_cpu(t)).collect();
        cpu.filter(|_| enough)
    };
    let (short, long) = (values(short)?, values(long)?);
    let each = Effect::paired(&long)?.estimate;
    let opening = Effect::unpaired(&long, &short)?.interval(CONFIDENCE)?.map(|ns| ns * events);
    if opening.low <= 0.0 {
        return Some("cannot tell what it costs to open a connection".to_owned());
    }
    let in_events = opening.map(|ns| ns / each);
    let paid = in_events.map(|n| n / PAID);
    Some(format!(
        "opening a connection costs {} of CPU on both sides together, as much as {} events [{}, {}]; a \
         connection that carries {} events [{}, {}] or more pays less than 5 % for it",
        units::nanos_text(opening.estimate),
        events_text(in_events.estimate),
        events_text(in_events.low),
        events_text(in_events.high),
        units::count(paid.estimate.ceil()),
        units::count(paid.low.ceil()),
        units::count(paid.high.ceil()),
    ))
}
