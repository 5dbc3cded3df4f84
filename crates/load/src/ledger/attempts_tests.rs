use super::*;
use crate::ledger::LedgerRules;
use proptest::prelude::*;
use pushbench_core::guarantee::{Jitter, Promise};
use pushbench_core::record::outcomes::{Failure, Outcomes};
use std::collections::VecDeque;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

fn ledger(guarantee: Guarantee, pipelined: bool, fault: Option<(u64, u64)>) -> Ledger {
    let rules = LedgerRules {
        origin: 0,
        timeout: SECOND,
        shard: 0,
        of: 1,
        wall_length: SECOND,
        warmup: 0,
        window: SECOND,
        split: None,
        closed_loop: false,
    };
    let attempts =
        AttemptRules { guarantee, seed: 7, fault, cuts: false, breaks: true, pipelined, slots: 2 };
    Ledger::new(rules, true).with_attempts(attempts)
}

fn policy(attempts: usize) -> Guarantee {
    Guarantee {
        delivery: Promise::AtLeastOnce,
        attempts,
        jitter: Jitter::None,
        backoff: Duration::from_nanos(100),
        ..Guarantee::default()
    }
}

fn acknowledge(ledger: &Ledger, ticket: &Ticket, sent: u64, done: u64) {
    ledger.acknowledge(ticket, Instants { free: 0, sent, done, woken: done, nth: 1 });
}

#[derive(Debug, Clone)]
enum Step {
    Open,
    Send,
    Fail(usize),
    Lose(usize),
    Acknowledge(usize),
    PausesEnd,
    TimeOut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Open),
        6 => Just(Step::Send),
        3 => any::<usize>().prop_map(Step::Fail),
        3 => any::<usize>().prop_map(Step::Lose),
        2 => any::<usize>().prop_map(Step::Acknowledge),
        3 => Just(Step::PausesEnd),
        1 => Just(Step::TimeOut),
    ]
}

proptest! {
    // A ledger has a megabyte to remember ids.
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every event has one outcome, and as many attempts as a naive account of them.
    #[test]
    fn attempts_agree_with_a_naive_account(
        attempts in 1_usize..4,
        pipelined: bool,
        steps in proptest::collection::vec(step(), 0..400),
    ) {
        let ledger = ledger(policy(attempts), pipelined, None);
        let (mut feed, mut in_flight, mut pausing) = (VecDeque::new(), Vec::new(), BTreeSet::new());
        let (mut failures, mut outcomes, mut exhausted, mut sent) =
            (Vec::new(), Outcomes::default(), 0, 0);
        for step in steps.into_iter().chain([Step::TimeOut]) {
            let mut taken = |at: usize| match in_flight.len() {
                0 => None,
                length => Some(in_flight.swap_remove(at % length)),
            };
            match step {
                Step::Open => {
                    feed.push_back(ledger.open(failures.len() as u64, 0, None));
                    failures.push(0);
                    outcomes.due += 1;
                }
                Step::Send => if let Some(ticket) = feed.pop_front() {
                    ledger.sent(&ticket);
                    sent += 1;
                    in_flight.push(ticket);
                }
                Step::Acknowledge(at) => if let Some(ticket) = taken(at) {
                    acknowledge(&ledger, &ticket, 1, 2);
                    outcomes.acknowledged += 1;
                }
                Step::Fail(at) | Step::Lose(at) => if let Some(ticket) = taken(at) {
                    let failed = matches!(step, Step::Fail(_));
                    match failed {
                        true => ledger.fail(&ticket, Failure::WrongAnswer, "503"),
                        false => ledger.lose(&ticket),
                    }
                    failures[ticket.seq as usize] += 1;
                    if failures[ticket.seq as usize] < attempts {
                        pausing.insert(ticket.seq);
                    } else {
                        exhausted += 1;
                        match failed {
                            true => outcomes.fail(Failure::WrongAnswer),
                            false => outcomes.lost += 1,
                        }
                    }
                }
                Step::PausesEnd => {
                    let again = std::iter::from_fn(|| ledger.next_again(u64::MAX).ok());
                    let again: Vec<Ticket> = again.collect();
                    let seqs: BTreeSet<u64> = again.iter().map(|ticket| ticket.seq).collect();
                    prop_assert_eq!(again.len(), pausing.len(), "each once");
                    prop_assert_eq!(&seqs, &pausing);
                    pausing.clear();
                    feed.extend(again);
                }
                Step::TimeOut => {
                    let open = feed.len() + in_flight.len() + pausing.len();
                    prop_assert_eq!(ledger.expire(u64::MAX), open);
                    outcomes.timed_out += open as u64;
                    feed.clear();
                    in_flight.clear();
                    pausing.clear();
                }
            }
            prop_assert_eq!(ledger.next_again(0).is_err(), true, "no pause is over at once");
        }
        let account = ledger.account();
        let mut all = account.measured;
        all.add(&account.warmup);
        prop_assert!(all.sums_are_exact());
        prop_assert_eq!(Outcomes { never_sent: 0, ..all }, outcomes);
        let counted = ledger.attempts().unwrap();
        prop_assert_eq!((account.sent + counted.again, counted.exhausted), (sent, exhausted));
    }
}

#[test]
fn a_pause_is_no_lag_of_the_driver_and_part_of_the_response() {
    for (pipelined, longest) in [(false, 2 * SECOND), (true, 0)] {
        let guarantee = Guarantee { backoff: Duration::from_secs(2), ..policy(3) };
        let ledger = ledger(guarantee, pipelined, None);
        let due = clock::now();
        let ticket = ledger.open(0, due, Some(0));
        ledger.start_measuring();
        ledger.sent(&ticket);
        ledger.lose(&ticket);
        let ready = match ledger.next_again(due) {
            Err(Some(ready)) => ready,
            other => panic!("{other:?}"),
        };
        assert!(ready >= due + longest && ready < due + longest + SECOND, "{}", ready - due);
        assert_eq!(ledger.next_again(ready), Ok(ticket));
        ledger.sent(&ticket);
        acknowledge(&ledger, &ticket, ready + 5, ready + 9);
        let account = ledger.account();
        assert_eq!(account.lag.quantile(1.0), Some(5));
        let response = account.response.quantile(1.0).unwrap();
        assert!(response >= ready + 9 - due, "{response}");
    }
}

#[test]
fn a_target_that_asks_for_patience_gets_it() {
    let ledger = ledger(policy(3), false, None);
    let ticket = ledger.open(0, 0, None);
    let now = clock::now();
    ledger.refuse(&ticket, (Failure::WrongAnswer, Some(3 * SECOND)), "503");
    assert!(matches!(ledger.next_again(now), Err(Some(ready)) if ready >= now + 3 * SECOND));
}

#[test]
fn recovery_begins_with_the_end_of_the_fault() {
    let ledger = ledger(policy(3), true, Some((100, 50)));
    let tickets: Vec<Ticket> = [90, 140, 160].map(|due| ledger.open(due, due, Some(due))).into();
    acknowledge(&ledger, &tickets[0], 91, 95);
    let early = ledger.open(4, 151, Some(151));
    acknowledge(&ledger, &early, 152, 153);
    assert_eq!(
        ledger.attempts().unwrap().recovery.unwrap().first_event_ns,
        None,
        "nothing has failed"
    );
    ledger.lose(&tickets[1]);
    acknowledge(&ledger, &tickets[2], 161, 170);
    acknowledge(&ledger, &tickets[1], 161, 190);
    let recovery = ledger.attempts().unwrap().recovery.unwrap();
    assert_eq!((recovery.first_event_ns, recovery.caught_up_ns), (Some(20), Some(40)));
    assert_eq!(recovery.all_back_ns, None);
    ledger.back(0);
    ledger.back(0);
    assert_eq!(ledger.attempts().unwrap().recovery.unwrap().all_back_ns, None, "one of two");
    ledger.back(1);
    assert!(ledger.attempts().unwrap().recovery.unwrap().all_back_ns.is_some());
}

#[test]
fn nothing_is_caught_up_with_when_an_event_of_the_fault_was_never_delivered() {
    let ledger = ledger(Guarantee::default(), false, Some((100, 50)));
    let tickets = [110, 120].map(|due| ledger.open(due, due, Some(due)));
    ledger.lose(&tickets[0]);
    acknowledge(&ledger, &tickets[1], 161, 170);
    let recovery = ledger.attempts().unwrap().recovery.unwrap();
    assert_eq!((recovery.first_event_ns, recovery.caught_up_ns), (Some(20), None));
    assert_eq!(ledger.account().measured.lost, 1, "at most once there is one attempt");
}
