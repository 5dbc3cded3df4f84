use super::*;
use crate::compare::sample;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::path::PacketCounts;
use pushbench_load::cpu_account::CpuAccount;

fn reasons(trial: &Trial) -> Vec<String> {
    miscounts(trial).into_iter().chain(driver_faults(trial)).collect()
}

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
        assert!(reasons.len() == 1 && reasons[0].starts_with("driver saturated"), "{reasons:?}");
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
            let mut hist = Hist::new();
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

/// A trial that kept up, over a path whose packets arrived this late.
fn over_a_path(late: u64) -> Trial {
    let mut trial = behind(30, 5, 320, 0);
    trial.account.open_at_end = 0;
    let mut path = PathRecord { read: 205, handed_over: 4, ignored: 1, ..PathRecord::default() };
    path.to_target = PacketCounts { entered: 110, delivered: 100, lost: 10, ..path.to_target };
    path.to_driver = PacketCounts {
        entered: 90,
        delivered: 80,
        under_way: 4,
        queue_full: 3,
        cut: 3,
        ..path.to_driver
    };
    path.lateness.record(late);
    trial.path = Some(path);
    trial
}

#[test]
fn packets_of_a_path_are_counted_once_or_the_trial_is_void() {
    let after = |change: fn(&mut PathRecord)| {
        let mut trial = over_a_path(1_000);
        change(trial.path.as_mut().unwrap());
        reasons(&trial)
    };
    assert_eq!(after(|_| {}), Vec::<String>::new());
    for odd in [
        after(|p| p.to_target.delivered += 1),
        after(|p| p.to_driver.under_way -= 1),
        after(|p| p.read += 1),
    ] {
        assert!(
            odd.len() == 1 && odd[0].starts_with("packets of the path do not add up"),
            "{odd:?}"
        );
    }
    for dropped in [
        after(|p| p.not_read = 1),
        after(|p| (p.to_target.not_taken, p.to_target.delivered) = (1, 99)),
    ] {
        assert!(
            dropped.len() == 1 && dropped[0].contains("outside of the path's link"),
            "{dropped:?}"
        );
    }
}

#[test]
fn a_router_that_is_late_or_leaves_the_driver_no_time_voids_the_block() {
    let mut late = over_a_path(LAG_FLOOR_NS * 4);
    late.account.response = Hist::new();
    late.account.response.record(4_000_000);
    late.hiccup.record(60_000);
    let found = reasons(&late);
    assert!(found.len() == 1, "{found:?}");
    assert!(
        found[0].starts_with("router too late: twice its median lateness is 1600 µs"),
        "{found:?}"
    );
    // A tenth of a long response.
    late.account.response = Hist::new();
    late.account.response.record(20_000_000);
    assert_eq!(reasons(&late), Vec::<String>::new());

    let mut busy = over_a_path(1_000);
    let together = |trial: &mut Trial, driver: f64, router: f64| {
        trial.driver.busy = driver;
        trial.path.as_mut().unwrap().busy = router;
        (reasons(trial), trial.is_at_drivers_limit())
    };
    assert_eq!(together(&mut busy, 0.4, 0.29), (Vec::new(), false));
    let expected = "driver saturated: busy for 40 % of its available time, and the router of the path for 31 % of it; together 70 % are allowed";
    assert_eq!(together(&mut busy, 0.4, 0.31), (vec![expected.to_owned()], true));
    // A closed loop says so instead.
    busy.offered_per_second = None;
    assert_eq!(together(&mut busy, 0.4, 0.31), (Vec::new(), true));
}

#[test]
fn what_a_planned_fault_leaves_behind_is_a_result() {
    let broken = |trial: Trial| {
        let mut run = sample::outage(sample::ratios(1.0, 1.0));
        Trial { guarantee: run.trials.swap_remove(0).guarantee, ..trial }
    };
    // Half of it was open at the end of the schedule, and the driver was not idle.
    let trial = broken(behind(290, 60, 10, 0));
    assert_eq!(reasons(&trial), Vec::<String>::new());
    assert!(!is_overloaded(&trial));
    let mut busy = trial.clone();
    busy.target.as_mut().unwrap().cpu_ns = busy.window_ns;
    assert!(is_overloaded(&busy), "a target that worked all the time is");
    let without = Trial { guarantee: None, ..trial.clone() };
    assert!(!reasons(&without).is_empty() || is_overloaded(&without));
    let mut unheard = trial.clone();
    unheard.account.measured.acknowledged = 0;
    unheard.account.measured.failed = unheard.account.measured.due;
    unheard.account.measured.wrong_answer = unheard.account.measured.due;
    assert_eq!(reasons(&unheard), Vec::<String>::new());
    assert!(!reasons(&broken(behind(348, 0, 1, 0))).is_empty(), "the driver's own fault remains");
    let mut late = trial;
    for _ in 0..late.account.lag.count() * 2 {
        late.account.lag.record(LAG_FLOOR_NS * 2);
    }
    assert!(reasons(&late)[0].starts_with("driver too late"));
}

#[test]
fn every_delivery_is_delivered_or_lost() {
    let mut trial = sample::outage(sample::ratios(1.0, 1.0)).trials.swap_remove(1);
    assert_eq!(reasons(&trial), Vec::<String>::new());
    trial.guarantee.as_mut().unwrap().lost.unexplained += 1;
    let found = reasons(&trial);
    assert!(found.len() == 1 && found[0].starts_with("deliveries do not add up"), "{found:?}");
}
