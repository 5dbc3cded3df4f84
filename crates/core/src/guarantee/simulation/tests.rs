use super::ledger::Account;
use super::{Bug, check};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Schedules that are run by default.
const SCHEDULES: u64 = 40_000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: write a whole number")))
}

/// Runs schedules 0, 1, … on all CPUs, and adds up what they came to under each promise; the first that breaks a law
/// ends it.
fn run(schedules: u64, bug: Option<Bug>) -> Result<[Account; 3], (u64, String)> {
    let (next, first_broken) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let (sum, broken) = (Mutex::new(<[Account; 3]>::default()), Mutex::new(None));
    let work = || {
        let mut accounts = <[Account; 3]>::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= schedules || seed > first_broken.load(Ordering::Relaxed) {
                let mut sum = sum.lock().unwrap();
                break sum.iter_mut().zip(&accounts).for_each(|(sum, account)| sum.add(account));
            }
            let checked = std::panic::catch_unwind(|| check(seed, bug, false));
            let law = match checked {
                Ok(ledger) => {
                    accounts[ledger.guarantee.delivery as usize].add(&ledger.account);
                    ledger.broken
                }
                Err(_) => Some("it panics".to_owned()),
            };
            if let Some(law) = law {
                let mut broken = broken.lock().unwrap();
                if first_broken.fetch_min(seed, Ordering::Relaxed) > seed {
                    *broken = Some((seed, law));
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    match broken.into_inner().unwrap() {
        Some(broken) => Err(broken),
        None => Ok(sum.into_inner().unwrap()),
    }
}

#[test]
fn no_schedule_breaks_a_law() {
    if let Some(seed) = number("PUSHBENCH_SIMULATED_SEED") {
        let ledger = check(seed, None, true);
        println!("{:#?}", ledger.account);
        assert_eq!(ledger.broken, None, "schedule {seed}");
        return;
    }
    let schedules = number("PUSHBENCH_SIMULATED_SCHEDULES").unwrap_or(SCHEDULES);
    let accounts = run(schedules, None).unwrap_or_else(|(seed, law)| {
        panic!("schedule {seed}: {law}\nPUSHBENCH_SIMULATED_SEED={seed} reproduces it and shows its steps")
    });
    println!("{accounts:#?}");
    if schedules < SCHEDULES {
        return;
    }
    // Whatever can happen has happened.
    let [at_most_once, at_least_once, exactly_once] = accounts;
    assert!(at_least_once.repeated > 0 && exactly_once.removed > 0 && exactly_once.repeated > 0);
    assert_eq!((at_most_once.repeated, at_least_once.removed), (0, 0));
    for account in [at_least_once, exactly_once] {
        assert!(account.lost.iter().all(|n| *n > 0) && account.delivered > account.due / 10 * 8);
    }
}

/// Each bug with the number of schedules within which it is found.
const BUGS: [(Bug, u64); 21] = [
    (Bug::AcknowledgesBeforeProcessing, 500),
    (Bug::RemembersBeforeProcessing, 500),
    (Bug::NoDeduplication, 500),
    (Bug::OneAttemptTooMany, 500),
    (Bug::PausesTooShort, 500),
    (Bug::RetryAfterIgnored, 500),
    (Bug::OrderNotKept, 500),
    (Bug::RetriesEndSilently, 500),
    (Bug::GoneForgetsTheOthers, 500),
    (Bug::OverflowIsSilent, 500),
    (Bug::BackoffIsShared, 500),
    (Bug::AnswersBeforeCommit, 500),
    (Bug::RestartForgetsUnsettled, 500),
    (Bug::RestartReversesUnsettled, 500),
    (Bug::ResumesFromReceived, 500),
    (Bug::ReplayOffByOne, 500),
    (Bug::GapAfterReplay, 500),
    (Bug::IncompleteNotTold, 500),
    (Bug::RestartForgetsTrimmed, 5000),
    (Bug::SamePublisherAfterLoss, 500),
    (Bug::ConnectingIsSuccess, 500),
];

#[test]
fn each_bug_put_in_on_purpose_is_found() {
    for (bug, within) in BUGS {
        let found = run(within, Some(bug));
        let (seed, law) = found.expect_err(&format!("{bug:?} is not found in {within} schedules"));
        assert_eq!(check(seed, Some(bug), false).broken, Some(law), "{bug:?}: it is reproduced");
        assert_eq!(
            check(seed, None, false).broken,
            None,
            "{bug:?}: it is the bug that breaks a law"
        );
    }
}
