//! When a trial may be averaged, and when its target could not keep up.

use crate::stats;
use pushbench_core::plan::SLICES_TO_EMPTY_IN;
use pushbench_core::record::fanout::Deliveries;
use pushbench_core::record::trial::{Judged, PAUSE_SHARE, Trial, TrialDesign};
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

/// How the reason begins where slices cut a queue.
pub const CUT_QUEUE: &str = "slices cut the queue";

/// Decides of a new record whether it is valid and whether its target fell behind. `ended`: how the target
/// ended, where it should not have.
pub fn judge(trial: &mut Trial, ended: Option<&str>) {
    let overloaded = ended.is_none() && is_overloaded(trial);
    let ended = ended.map(|how| format!("target {how}"));
    trial.judged =
        Judged { invalid: ended.into_iter().chain(reasons(trial)).collect(), overloaded };
}

/// Why a trial is not valid, its target's end apart; empty when it is.
fn reasons(trial: &Trial) -> Vec<String> {
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
        if deliveries.measured.received == 0 {
            reasons.push("no event was delivered".to_owned());
        }
        if let Some(quiet) = fanout.quiet.filter(|q| q.unsettled > 0) {
            reasons.push(format!(
                "not idle: {} deliveries of the warm-up were still open shortly before the next event; lower load.rate",
                quiet.unsettled
            ));
        }
    }
    if trial.account.measured.acknowledged == 0 {
        reasons.push("no event was acknowledged".to_owned());
    }
    reasons.extend(driver_faults(trial));
    reasons
}

/// What the driver itself did wrong: it did not run, was late, or had no time left. None asks why: a target
/// that is slow leaves the driver asleep, whoever is at its limit never sleeps.
pub(crate) fn driver_faults(trial: &Trial) -> Vec<String> {
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
    if trial.offered_per_second.is_none() {
        return reasons; // a closed loop is allowed to be driver-bound: it says so instead
    }
    let headline =
        trial.fanout.as_ref().map_or(&trial.account.response, |f| &f.deliveries.delivery);
    let response = headline.quantile(0.5).unwrap_or(0);
    let noise = LAG_FLOOR_NS.min((response as f64 * MOST_OF_RESPONSE) as u64);
    let budget = noise.max((response as f64 * LAG_SHARE) as u64);
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
    if !trial.driver.is_saturated() && !beyond {
        return None;
    }
    let busy = trial.driver.busy * 100.0;
    let mut reason = format!("driver saturated: busy for {busy:.0} % of its available time");
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
    falls_behind(trial) && busy > HELD_UP && busy > completed_share(trial)
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
    falls_behind(trial) && driver_faults(trial).is_empty()
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
mod tests {
    use super::*;
    use crate::compare::sample;
    use pushbench_load::cpu_account::CpuAccount;

    /// A trial of 350 ms that completed half of what it was offered, and what the driver's thread did
    /// meanwhile, in ms.
    fn behind(cpu: u64, spun: u64, parked: u64, waited: u64) -> Trial {
        let ms = |n: u64| n * 1_000_000;
        let usage = CpuAccount {
            wall: ms(350),
            cpu: ms(cpu),
            spun: ms(spun),
            parked: ms(parked),
            waited: ms(waited),
        };
        let mut trial = sample::ratios(1.0, 1.0).trials.swap_remove(0);
        trial.window_ns = usage.wall;
        trial.account.open_at_end = trial.account.measured.due / 2;
        trial.account.acknowledged_by_end = trial.account.measured.due / 2;
        trial.driver.busy = usage.busy();
        trial.driver.waited_ns = Some(usage.waited);
        trial
    }

    #[test]
    fn a_driver_without_a_moment_to_spare_is_at_fault_and_not_the_target() {
        for (trial, expected) in [
            (behind(348, 0, 1, 0), "for 100 % of its available time"),
            // Others had its CPU: 86 % of it are all that it got.
            (
                behind(300, 0, 2, 47),
                "for 99 % of its available time, which completed 50 % of the offered load; other processes used its CPU for 47.0 ms",
            ),
            (behind(170, 1, 4, 170), "other processes used its CPU for 170 ms"),
        ] {
            let reasons = reasons(&trial);
            assert!(
                reasons.len() == 1 && reasons[0].starts_with("driver saturated"),
                "{reasons:?}"
            );
            assert!(reasons[0].contains(expected), "{reasons:?}");
            assert!(!is_overloaded(&trial));
        }
    }

    #[test]
    fn a_target_that_is_slow_leaves_the_driver_time_whatever_others_take() {
        for trial in [
            behind(30, 5, 320, 0),
            behind(345, 320, 0, 0),
            behind(175, 160, 0, 170),
            // Ready, and kept off its CPU each time that it wakes.
            behind(20, 5, 340, 315),
        ] {
            assert_eq!(reasons(&trial), Vec::<String>::new());
            assert!(is_overloaded(&trial));
        }
    }

    #[test]
    fn who_was_held_up_for_a_while_is_asked_whether_it_could_have_done_all_of_it() {
        // The target stood still for 50 of 350 ms.
        let mut trial = behind(300, 0, 50, 0);
        let offered = trial.account.measured.due;
        let part = |share: f64| (offered as f64 * share) as u64;
        trial.account.acknowledged_by_end = part(0.8);
        let expected = "driver saturated: busy for 86 % of its available time, which completed 80 % of the offered load";
        assert_eq!(reasons(&trial), [expected]);
        assert!(!is_overloaded(&trial));
        trial.account.acknowledged_by_end = part(0.9); // 1.05 of it without the stall
        assert_eq!(reasons(&trial), Vec::<String>::new());
        assert!(is_overloaded(&trial));
        // Who keeps up has done all of it.
        (trial.account.acknowledged_by_end, trial.account.open_at_end) = (part(0.8), 0);
        assert_eq!(reasons(&trial), Vec::<String>::new());
    }

    #[test]
    fn time_taken_away_voids_nothing_by_itself() {
        let mut trial = behind(20, 5, 340, 315);
        trial.account.open_at_end = 0;
        assert_eq!(reasons(&trial), Vec::<String>::new());
        assert!(!is_overloaded(&trial));
    }

    #[test]
    fn a_driver_that_is_late_says_nothing_of_the_target() {
        let mut trial = behind(30, 5, 320, 0);
        for _ in 0..trial.account.lag.count() * 2 {
            trial.account.lag.record(LAG_FLOOR_NS * 2);
        }
        assert!(driver_faults(&trial)[0].starts_with("driver too late: median lag"));
        assert!(!is_overloaded(&trial));
    }

    #[test]
    fn slices_that_cut_a_queue_are_no_design_and_one_stall_is_no_queue() {
        let mut trial = behind(30, 5, 320, 0);
        trial.design = TrialDesign::Sliced { slice_ns: 10_000_000 };
        trial.window_ns = 1_500_000_000;
        let mut cut = |slices: u64| {
            trial.account.slices_cut = slices;
            cut_queue(&trial)
        };
        assert_eq!(cut(13), None, "9 % of 150 slices may be 5 %");
        let why = cut(14).unwrap();
        assert!(why.starts_with(CUT_QUEUE) && why.contains("more than 5 % of them"), "{why}");
        assert!(why.contains("without a break for more than 5.00 ms"), "{why}");
        trial.window_ns = 190_000_000;
        trial.account.slices_cut = 2;
        assert_eq!(cut_queue(&trial), None);
        trial.design = TrialDesign::Sequential;
        trial.account.slices_cut = 19;
        assert_eq!(cut_queue(&trial), None);
    }

    #[test]
    fn a_response_that_is_mostly_the_drivers_own_is_not_averaged() {
        let with = |lag: u64, reading: u64| {
            let mut trial = behind(30, 5, 320, 0);
            trial.account.open_at_end = 0;
            let median = |ns: u64| {
                let mut hist = pushbench_core::record::histogram::Hist::new();
                hist.record(ns);
                hist
            };
            trial.account.response = median(90_000);
            (trial.account.lag, trial.account.reading) = (median(lag), median(reading));
            reasons(&trial)
        };
        assert_eq!(with(20_000, 20_000), Vec::<String>::new());
        assert_eq!(
            with(30_000, 20_000),
            ["driver too late: median lag 30 µs and late reading 20 µs, at most 45 µs are allowed"]
        );
    }

    #[test]
    fn failures_losses_and_missing_answers_are_no_overload() {
        let offered = behind(30, 5, 320, 0).account.measured.due;
        let after = |change: fn(&mut Trial, u64)| {
            let mut trial = behind(30, 5, 320, 0);
            trial.account.open_at_end = 0;
            change(&mut trial, offered);
            trial.account.measured.acknowledged = offered
                - trial.account.measured.failed
                - trial.account.measured.lost
                - trial.account.measured.timed_out;
            assert!(trial.account.measured.sums_are_exact());
            trial
        };
        // Each of them with a moment in which one event timed out.
        for no_queue in [
            after(|t, due| {
                (t.account.measured.failed, t.account.measured.wrong_answer) = (due / 10, due / 10);
                (t.account.measured.lost, t.account.measured.timed_out) = (due / 17, 1);
            }),
            after(|t, due| {
                (t.account.measured.failed, t.account.measured.refused) = (due / 2, due / 2)
            }),
            after(|t, due| t.account.measured.timed_out = due / 20),
        ] {
            assert!(!is_overloaded(&no_queue), "{:?}", no_queue.account.measured);
        }
        for queue in [
            after(|t, due| t.account.open_at_end = due / 10),
            after(|t, due| {
                (t.account.measured.timed_out, t.account.measured.never_sent) = (due / 20, 1)
            }),
            after(|t, due| (t.account.measured.timed_out, t.account.late) = (due / 20, 1)),
            after(|t, due| {
                (t.account.measured.failed, t.account.measured.backlog_full) = (due / 20, due / 20)
            }),
            after(|t, due| {
                t.account.measured.timed_out = due / 20;
                t.target.as_mut().unwrap().cpu_ns = t.window_ns;
            }),
        ] {
            assert!(is_overloaded(&queue), "{:?}", queue.account.measured);
        }
    }

    #[test]
    fn a_pause_of_the_driver_voids_the_block_and_blames_no_target() {
        let mut trial = behind(30, 5, 320, 0);
        let paused = |trial: &mut Trial, pause: u64| {
            trial.driver.pause_ns = Some(pause);
            (reasons(trial), is_overloaded(trial))
        };
        trial.wall_ns = 4_000_000_000;
        assert_eq!(paused(&mut trial, 200_000_000), (Vec::new(), true), "5 % are allowed");
        let (reasons_of, overloaded) = paused(&mut trial, 3_000_000_000);
        assert_eq!(
            reasons_of,
            [
                "driver stopped continuously for 3.00 s in a measured window of 4.00 s (up to 5 % of it is \
                 allowed): its process or this machine was paused"
            ]
        );
        assert!(!overloaded);
        // A short window has its usual stalls.
        trial.wall_ns = 300_000_000;
        assert_eq!(paused(&mut trial, 100_000_000).0, Vec::<String>::new());
        assert_eq!(paused(&mut trial, 100_000_001).0.len(), 1);
        trial.offered_per_second = None;
        assert_eq!(paused(&mut trial, 200_000_000).0.len(), 1, "a closed loop, too");
    }

    #[test]
    fn a_closed_loop_may_be_at_its_limit() {
        let mut trial = behind(348, 0, 1, 0);
        trial.offered_per_second = None;
        assert_eq!(reasons(&trial), Vec::<String>::new());
    }
}
