//! When a trial may be averaged, and when its target could not keep up.

use crate::record::fanout::Deliveries;
use crate::record::trial::Trial;

/// Median lag or late reading up to this is the instrument's own noise (law 2).
const LAG_FLOOR_NS: u64 = 200_000;
/// Above the floor, this part of the median response is allowed.
const LAG_SHARE: f64 = 0.10;
/// In open loop a driver busier than this cannot promise to be on time.
pub const DRIVER_BUSY: f64 = 0.90;
/// An arm that did not complete this part of what was offered, through its own doing, is overloaded.
const COMPLETED_SHARE: f64 = 0.99;

/// Of a fan-out that keeps up, at most so many events are on their way when the schedule ends.
const EVENTS_IN_THE_AIR: u64 = 4;

/// Why a trial is not valid; empty when it is. `died`: how its target ended, if it did.
pub fn reasons(trial: &Trial, died: Option<&str>) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(how) = died {
        reasons.push(format!("target {how}"));
    }
    for (name, fates) in [("measured", &trial.events), ("warm-up", &trial.warmup)] {
        if !fates.sums_are_exact() {
            reasons.push(format!("fates of the {name} events do not add up: {fates:?}"));
        }
    }
    if let Some(fanout) = &trial.fanout {
        let deliveries = &fanout.deliveries;
        for (name, fates) in deliveries.all_fates() {
            if !fates.sums_are_exact() {
                reasons.push(format!("fates of the {name} deliveries do not add up: {fates:?}"));
            }
        }
        if deliveries.measured.received == 0 {
            reasons.push("no event was delivered".to_owned());
        }
        if let Some(quiet) = fanout.quiet.filter(|q| q.unsettled > 0) {
            reasons.push(format!(
                "not quiet: {} deliveries of the warm-up were still on their way shortly before the next event; \
                 lower load.rate",
                quiet.unsettled
            ));
        }
    }
    if trial.events.acknowledged == 0 {
        reasons.push("no event was acknowledged".to_owned());
    }
    // An idle flow compares what the quiet stretch cost; its one event's lateness says nothing of that.
    if trial.fanout.as_ref().is_some_and(|f| f.quiet.is_some()) {
        return reasons;
    }
    if trial.offered_per_second.is_none() {
        return reasons; // a closed loop is allowed to be driver-bound: it says so instead
    }
    let headline = trial.fanout.as_ref().map_or(&trial.response, |f| &f.deliveries.delivery);
    let response = headline.quantile(0.5).unwrap_or(0);
    let budget = LAG_FLOOR_NS.max((response as f64 * LAG_SHARE) as u64);
    // A delivery ends when the poll returns, so late reading is not in it.
    let late = trial.fanout.is_none().then_some(("late reading", &trial.reading));
    for (name, hist) in [("lag", &trial.lag)].into_iter().chain(late) {
        let median = hist.quantile(0.5).unwrap_or(0);
        if median > budget {
            reasons.push(format!(
                "driver too late: median {name} {} µs, allowed {} µs",
                median / 1000,
                budget / 1000
            ));
        }
    }
    if trial.driver.busy > DRIVER_BUSY {
        reasons.push(format!("driver saturated: {:.0} % of its CPU", trial.driver.busy * 100.0));
    }
    reasons
}

/// True when the target itself fell behind an open load: it completed under 99 % of what was offered
/// in time, and events were queueing, timing out or turned away rather than merely in the air.
pub fn is_overloaded(trial: &Trial) -> bool {
    if trial.offered_per_second.is_none() || trial.events.due == 0 {
        return false;
    }
    if let Some(fanout) = &trial.fanout {
        return fans_out_behind(&fanout.deliveries);
    }
    let e = &trial.events;
    let unfinished = trial.open_at_end.max(e.due - e.acknowledged) as f64;
    let behind = unfinished > e.due as f64 * (1.0 - COMPLETED_SHARE);
    behind && (trial.open_at_end > trial.slots || e.timed_out > 0 || e.backlog_full > 0)
}

/// The same for deliveries: behind are those of more than a few events, not of the youngest ones only.
fn fans_out_behind(d: &Deliveries) -> bool {
    let fates = &d.measured;
    let unfinished = d.behind_at_end.max(fates.due - fates.received) as f64;
    let behind = unfinished > fates.due as f64 * (1.0 - COMPLETED_SHARE);
    behind && (d.behind_at_end > d.subscribers * EVENTS_IN_THE_AIR || fates.timed_out > 0)
}
