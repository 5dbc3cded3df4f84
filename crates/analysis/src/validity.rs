//! When a trial may be averaged, and when its target could not keep up.

use crate::compare::guarantee::is_broken;
use crate::stats;
use pushbench_core::plan::SLICES_TO_EMPTY_IN;
use pushbench_core::record::fanout::Deliveries;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::path::PathRecord;
use pushbench_core::record::trial::{
    Judged, MachineTrial, PATH_LIMIT, PAUSE_SHARE, Trial, TrialDesign,
};
use pushbench_core::units::nanos_text;

/// Median lag and late reading together may be this part of the median response (law 2) …
const LAG_SHARE: f64 = 0.10;
/// … or up to this, which is the instrument's own noise …
const LAG_FLOOR_NS: u64 = 200_000;
/// … but never more than this part: then the response is mostly the driver's. What a claim needs is stricter,
/// and depends on the difference that is claimed (`compare::decide`).
const MOST_OF_RESPONSE: f64 = 0.5;
/// An arm that did not complete this part of what was offered, through its own doing, is overloaded.
const COMPLETED_SHARE: f64 = 0.99;

/// A driver less at work than this was held up by its target, however much was offered.
const HELD_UP: f64 = 0.5;

/// A target that uses more than this part of one core for the whole window has no time left.
const SATURATED: f64 = 0.90;

/// Of a fan-out that keeps up, at most so many events are on their way when the schedule ends.
const EVENTS_IN_THE_AIR: u64 = 4;

/// A block is void if certainly more than this part of an arm's slices cut a queue. Of M/D/1 and M/M/1 queues at 50 to
/// 95 % utilisation, simulated, slices change the mean response by more than 11 % only beyond it.
const CUT_SHARE: f64 = 0.05;
/// Confidence of that: a stall of the machine at the end of one slice of few is none.
const CUT_CONFIDENCE: f64 = 0.95;

/// Why the slices of a block are no design for this arm; `None` if its queue empties within a slice.
pub fn cut_queue(trial: &Trial) -> Option<String> {
    let TrialDesign::Sliced { slice_ns } = trial.design else { return None };
    let (cut, slices) = (trial.account.slices_cut, trial.window_ns.div_ceil(slice_ns));
    let share = stats::exact_binomial(cut, slices, CUT_CONFIDENCE);
    (share.low > CUT_SHARE).then(|| {
        format!(
            "{CUT_QUEUE} of {}: at the end of more than {:.0} % of them, events had been open without a break for more than \
             {}",
            trial.label,
            CUT_SHARE * 100.0,
            nanos_text((slice_ns / SLICES_TO_EMPTY_IN) as f64)
        )
    })
}

/// The reason where the schedule has no event in the measured part.
const NOTHING_DUE: &str = "no event was due: make load.duration longer, or load.arrivals constant";
/// The reason where subscribers received nothing.
pub(crate) const NOTHING_DELIVERED: &str = "no event was delivered";
/// The reason where the target acknowledged nothing.
pub(crate) const NOTHING_ACKNOWLEDGED: &str = "no event was acknowledged";

/// How the reason begins where slices cut a queue.
pub const CUT_QUEUE: &str = "slices cut the queue";

/// Decides of a new record whether it is valid and whether its target fell behind. `ended`: how the target
/// ended, where it should not have.
pub fn judge(trial: &mut Trial, ended: Option<&str>) {
    judge_counts(trial, ended);
    // Of several machines each is judged by itself: what one did late may disappear among what others did in time.
    let of_one = |machine: &MachineTrial| {
        let rank = machine.rank;
        machine.invalid.iter().map(move |why| format!("rank {rank}: {why}")).collect::<Vec<_>>()
    };
    let faults: Vec<String> = trial.machines.iter().flat_map(of_one).collect();
    // What all together did late is then said already.
    let faults = if faults.is_empty() { driver_faults(trial) } else { faults };
    trial.judged.invalid.extend(faults);
}

/// The same, however late the driver and the router were: enough where only counts are looked at.
pub fn judge_counts(trial: &mut Trial, ended: Option<&str>) {
    let stopped = is_stopped_by_proxies(trial);
    let overloaded = ended.is_none() && !stopped && is_overloaded(trial);
    let ended = ended.map(|how| format!("target {how}"));
    let invalid = ended.into_iter().chain(miscounts(trial)).collect();
    trial.judged = Judged { invalid, overloaded };
}

/// Nothing got through the proxies of the path, which worked to the end: that is what was to be found out.
pub fn is_stopped_by_proxies(trial: &Trial) -> bool {
    let Some(path) = trial.path.as_ref().filter(|path| !path.proxies.is_empty()) else {
        return false;
    };
    let got_through = match &trial.fanout {
        Some(fanout) => fanout.deliveries.measured.received + fanout.deliveries.warmup.received,
        None => trial.account.measured.acknowledged + trial.account.warmup.acknowledged,
    };
    got_through == 0 && path.proxies.iter().all(|proxy| proxy.ended.is_none())
}

/// Why what a trial counted cannot be right, its target's end apart; empty when it can.
fn miscounts(trial: &Trial) -> Vec<String> {
    let mut reasons = Vec::new();
    for (name, outcomes) in
        [("measured", &trial.account.measured), ("warm-up", &trial.account.warmup)]
    {
        if !outcomes.sums_are_exact() {
            reasons.push(format!("outcomes of the {name} events do not add up: {outcomes:?}"));
        }
    }
    if let Some(fanout) = &trial.fanout {
        let deliveries = &fanout.deliveries;
        for (name, outcomes) in deliveries.all_outcomes() {
            if !outcomes.sums_are_exact() {
                reasons
                    .push(format!("outcomes of the {name} deliveries do not add up: {outcomes:?}"));
            }
        }
        // A path may let nothing more through after the warm-up: that is a result.
        let was_open = trial.path.is_some() && deliveries.warmup.received > 0;
        let is_a_result = was_open || is_stopped_by_proxies(trial) || is_broken(trial);
        if deliveries.measured.received == 0 && !is_a_result {
            reasons.push(NOTHING_DELIVERED.to_owned());
        }
        if let Some(quiet) = fanout.quiet.filter(|q| q.unsettled > 0) {
            reasons.push(format!(
                "not idle: {} deliveries of the warm-up were still open shortly before the next event; lower load.rate",
                quiet.unsettled
            ));
        }
    }
    if let Some(g) = &trial.guarantee
        && (g.due != g.delivered + g.lost.sum() || g.delivered_once > g.delivered)
    {
        reasons.push(format!(
            "deliveries do not add up: {} were due, {} were delivered ({} of them once), {} lost for good",
            g.due,
            g.delivered,
            g.delivered_once,
            g.lost.sum()
        ));
    }
    let is_a_result = is_stopped_by_proxies(trial) || is_broken(trial);
    if trial.account.measured.due == 0 && !is_a_result {
        reasons.retain(|why| why != NOTHING_DELIVERED);
        reasons.push(NOTHING_DUE.to_owned());
    } else if trial.account.measured.acknowledged == 0 && !is_a_result {
        reasons.push(NOTHING_ACKNOWLEDGED.to_owned());
    }
    reasons.extend(trial.path.as_ref().and_then(lost_count));
    for proxy in trial.path.iter().flat_map(|path| &path.proxies) {
        reasons.extend(proxy.ended.as_ref().map(|how| format!("proxy {} {how}", proxy.name)));
    }
    reasons
}

/// Why the packets of a path do not add up, or more were dropped than its settings say; `None` if all is well.
fn lost_count(path: &PathRecord) -> Option<String> {
    if !path.sums_are_exact() {
        return Some(format!("packets of the path do not add up: {}", path.counts_text()));
    }
    let taken = path.directions().iter().all(|d| d.not_taken == 0);
    (path.not_read > 0 || !taken).then(|| {
        format!(
            "packets were dropped outside of the path's link, whose settings say what is lost: {}; lower the rate, or use fewer connections",
            path.counts_text()
        )
    })
}

/// The router is late by more than the lag of the driver may be. A packet there and one back make an answer.
fn late_router(trial: &Trial, budget: u64) -> Option<String> {
    let late = trial.path.as_ref()?.lateness.quantile(0.5).unwrap_or(0) * 2;
    (late > budget).then(|| {
        let [late, budget, stalls] =
            [late, budget, trial.hiccup.quantile(0.5).unwrap_or(0)].map(|ns| ns / 1000);
        format!(
            "router too late: twice its median lateness is {late} µs, at most {budget} µs are allowed; the hiccup meter was {stalls} µs late"
        )
    })
}

/// What the driver itself did wrong: it did not run, was late, or had no time left. None asks why: a target
/// that is slow leaves the driver asleep, whoever is at its limit never sleeps.
pub(crate) fn driver_faults(trial: &Trial) -> Vec<String> {
    faults_beside(trial, headline(trial).quantile(0.5).unwrap_or(0))
}

/// The distribution that a trial is about.
pub fn headline(trial: &Trial) -> &Hist {
    trial.fanout.as_ref().map_or(&trial.account.response, |f| &f.deliveries.delivery)
}

/// The same of the part of one machine of several. `response`: the median of all of them, ns.
pub fn faults_beside(trial: &Trial, response: u64) -> Vec<String> {
    let mut reasons = Vec::new();
    reasons.extend(trial.paused_ns().map(|pause| {
        format!(
            "driver stopped continuously for {} in a measured window of {} (up to {:.0} % of it is allowed): its process or this machine was paused",
            nanos_text(pause as f64),
            nanos_text(trial.wall_ns as f64),
            PAUSE_SHARE * 100.0
        )
    }));
    // An idle flow compares the cost of the idle interval, which the lateness of its one event does not affect.
    if trial.fanout.as_ref().is_some_and(|f| f.quiet.is_some()) {
        return reasons;
    }
    // Nothing was answered: there is no time that lateness could affect.
    if is_stopped_by_proxies(trial) {
        return reasons;
    }
    if trial.offered_per_second.is_none() {
        return reasons; // a closed loop is allowed to be driver-bound: it says so instead
    }
    let noise = LAG_FLOOR_NS.min((response as f64 * MOST_OF_RESPONSE) as u64);
    let budget = noise.max((response as f64 * LAG_SHARE) as u64);
    reasons.extend(late_router(trial, budget));
    let lag = trial.account.lag.quantile(0.5).unwrap_or(0);
    // A delivery ends when it arrives, or else at the poll: late reading is not in it.
    let reading = trial.fanout.is_none().then(|| trial.account.reading.quantile(0.5).unwrap_or(0));
    if lag + reading.unwrap_or(0) > budget {
        let micros = |ns: u64| ns / 1000;
        let reading =
            reading.map_or(String::new(), |ns| format!(" and late reading {} µs", micros(ns)));
        reasons.push(format!(
            "driver too late: median lag {} µs{reading}, at most {} µs are allowed",
            micros(lag),
            micros(budget)
        ));
    }
    reasons.extend(saturated(trial));
    reasons
}

/// Whether the driver had no time left, or would have had none had its target been faster.
pub(crate) fn saturated(trial: &Trial) -> Option<String> {
    let beyond = beyond_the_driver(trial);
    if !trial.is_at_drivers_limit() && !beyond {
        return None;
    }
    let busy = trial.driver.busy * 100.0;
    let mut reason = format!("driver saturated: busy for {busy:.0} % of its available time");
    if let Some(path) = &trial.path {
        reason += &format!(
            ", and the router of the path for {:.0} % of it; together {:.0} % are allowed",
            path.busy * 100.0,
            PATH_LIMIT * 100.0
        );
    }
    if beyond {
        let completed = completed_share(trial) * 100.0;
        reason += &format!(", which completed {completed:.0} % of the offered load");
    }
    let waited = trial.driver.waited_ns.unwrap_or(0);
    if waited > trial.window_ns / 100 {
        reason += &format!("; other processes used its CPU for {}", nanos_text(waited as f64));
    }
    Some(reason)
}

/// True when the driver fell behind with its target and, at the pace at which it did what it did, could
/// not have done all of it in the time it had. So whether the target held it up for a while decides nothing.
fn beyond_the_driver(trial: &Trial) -> bool {
    let busy = trial.driver.busy;
    // What a planned fault left behind was not held up by the driver.
    !is_broken(trial) && falls_behind(trial) && busy > HELD_UP && busy > completed_share(trial)
}

/// The part of what was offered that was completed before the schedule ended.
fn completed_share(trial: &Trial) -> f64 {
    match &trial.fanout {
        Some(f) => f.deliveries.read_by_end as f64 / f.deliveries.measured.due.max(1) as f64,
        None => trial.account.acknowledged_by_end as f64 / trial.account.measured.due.max(1) as f64,
    }
}

/// True when the target itself fell behind an open load: over 1 % of what was offered queued, was turned
/// away or timed out. An event that was answered wrongly or lost with its connection is a failure and says
/// nothing of a queue; what a driver at fault missed says nothing of the target.
pub(crate) fn is_overloaded(trial: &Trial) -> bool {
    if trial.offered_per_second.is_none() || trial.account.measured.due == 0 {
        return false;
    }
    // A planned fault leaves events behind, however fast the target is.
    let by_itself = !is_broken(trial) || target_is_saturated(trial);
    by_itself && falls_behind(trial) && driver_faults(trial).is_empty()
}

fn falls_behind(trial: &Trial) -> bool {
    if let Some(fanout) = &trial.fanout {
        return fans_out_behind(&fanout.deliveries);
    }
    let e = &trial.account.measured;
    let unfinished = trial.account.open_at_end.max(e.timed_out + e.backlog_full) as f64;
    let behind = unfinished > e.due as f64 * (1.0 - COMPLETED_SHARE);
    let queued = trial.account.open_at_end > trial.slots || e.never_sent > 0 || e.backlog_full > 0;
    behind && (queued || e.timed_out > 0 && (trial.account.late > 0 || target_is_saturated(trial)))
}

/// True when the target worked for nearly all of the window, by the CPU time of one core.
fn target_is_saturated(trial: &Trial) -> bool {
    trial.target.is_some_and(|t| t.cpu_ns as f64 > trial.window_ns as f64 * SATURATED)
}

/// The same for deliveries: behind are those of more than a few events, not of the youngest ones only.
fn fans_out_behind(d: &Deliveries) -> bool {
    let outcomes = &d.measured;
    let unfinished = d.behind_at_end.max(outcomes.timed_out) as f64;
    let behind = unfinished > outcomes.due as f64 * (1.0 - COMPLETED_SHARE);
    behind && (d.behind_at_end > d.subscribers * EVENTS_IN_THE_AIR || outcomes.timed_out > 0)
}

#[cfg(test)]
#[path = "validity_tests.rs"]
mod tests;
