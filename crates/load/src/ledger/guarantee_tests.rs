use super::*;
use crate::ledger::recovery::FaultPeriod;
use crate::ledger::{LedgerRules, Ticket};
use proptest::prelude::*;
use pushbench_core::record::fanout::Audience;
use pushbench_core::record::guarantee::LossReasons;
use pushbench_core::record::outcomes::Failure;
use std::collections::BTreeMap;
use std::time::Duration;

const ORIGIN: u64 = 1_000_000;
/// An event is due every so many ns.
const STEP: u64 = 1_000;

fn ledger(subscribers: usize, retries: bool) -> Ledger {
    let rules = LedgerRules {
        origin: 0,
        timeout: u64::MAX / 2,
        shard: 0,
        of: 1,
        wall_length: 1_000_000_000,
        warmup: 0,
        window: 1_000_000_000,
        split: None,
        closed_loop: false,
    };
    let fault = FaultPeriod { begin: 5_000, end: 5_000, ends_connections: true, restarts: true };
    let recovery = RecoveryRules { window: 0, fault: Some(fault), receivers_connect: true };
    let ledger = Ledger::new(rules, true)
        .with_subscribers(Audience::all(subscribers), Duration::ZERO)
        .under_guarantee(retries, recovery, 100);
    ledger.begin(ORIGIN);
    ledger
}

fn open(ledger: &Ledger, index: u64) -> Ticket {
    ledger.open(index, ORIGIN + index * STEP, Some(index * STEP))
}

fn open_all(ledger: &Ledger, count: u64) {
    (0..count).for_each(|index| {
        open(ledger, index);
    });
}

fn arrives(ledger: &Ledger, subscriber: usize, index: u64, handling: Handling) {
    let times = DeliveryTimes::handled(ORIGIN + 100_000);
    ledger.arrived((subscriber, Some(index)), times, ORIGIN, handling);
}

fn cut_off(ledger: &Ledger, subscriber: usize, now: u64) {
    ledger.with_deliveries(|deliveries| deliveries.cut_off(subscriber, now));
}

fn subscribed(ledger: &Ledger, subscriber: usize, now: u64) {
    ledger.with_deliveries(|deliveries| deliveries.subscribed(subscriber, now, now));
}

fn exact(ledger: &Ledger) {
    for (name, outcomes) in ledger.deliveries().unwrap().all_outcomes() {
        assert!(outcomes.sums_are_exact(), "{name}: {outcomes:?}");
    }
}

#[test]
fn under_a_guarantee_a_subscriber_that_is_cut_off_loses_nothing() {
    let ledger = ledger(2, true);
    open_all(&ledger, 2);
    cut_off(&ledger, 0, ORIGIN + 1_500);
    open(&ledger, 2);
    subscribed(&ledger, 0, ORIGIN + 2_500);
    for (subscriber, index) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
        arrives(&ledger, subscriber, index, Handling::Handed);
    }
    let deliveries = ledger.deliveries().unwrap();
    assert_eq!((deliveries.measured.received, deliveries.measured.failed), (6, 0));
    assert_eq!(deliveries.turnover.as_ref().unwrap().cut_off, 1);
    exact(&ledger);
    let record = ledger.guarantee_record().unwrap();
    assert_eq!((record.due, record.delivered, record.delivered_once), (6, 6, 6));
    assert_eq!((record.lost.sum(), record.backlog_peak, record.backlog_peak_bytes), (0, 6, 600));
}

#[test]
fn without_one_what_is_open_and_what_comes_meanwhile_is_lost_with_its_reason() {
    let ledger = ledger(1, false);
    open_all(&ledger, 2);
    cut_off(&ledger, 0, ORIGIN + 1_500);
    open(&ledger, 2);
    subscribed(&ledger, 0, ORIGIN + 2_500);
    open(&ledger, 3);
    arrives(&ledger, 0, 3, Handling::Handed);
    // The publisher is killed: the only receiver's first cut-off since is the restart's.
    open(&ledger, 4);
    cut_off(&ledger, 0, ORIGIN + 5_500);
    exact(&ledger);
    let record = ledger.guarantee_record().unwrap();
    let lost = LossReasons { attempts: 2, away: 1, restart: 1, ..LossReasons::default() };
    assert_eq!((record.due, record.delivered, record.lost), (5, 1, lost));
}

#[test]
fn a_publisher_that_cannot_replay_settles_what_is_older_and_no_more() {
    let ledger = ledger(1, true);
    open_all(&ledger, 6);
    arrives(&ledger, 0, 0, Handling::Handed);
    ledger.lost_for_good(0, Before::Event(3), LossReason::Log);
    assert_eq!(ledger.totals().unsettled, 3);
    // It came nevertheless.
    arrives(&ledger, 0, 2, Handling::Handed);
    ledger.lost_for_good(0, Before::Instant(ORIGIN + 3 * STEP), LossReason::Restart);
    ledger.gave_up(0);
    open(&ledger, 6);
    assert_eq!(ledger.totals().unsettled, 0, "nothing comes any more");
    exact(&ledger);
    let record = ledger.guarantee_record().unwrap();
    let lost = LossReasons { log: 1, restart: 1, attempts: 3, ..LossReasons::default() };
    assert_eq!((record.due, record.delivered, record.lost), (7, 2, lost));
}

#[test]
fn what_the_publisher_did_not_accept_is_not_due() {
    let ledger = ledger(3, true);
    let tickets: Vec<Ticket> = (0..4).map(|index| open(&ledger, index)).collect();
    ledger.sent(&tickets[1]);
    ledger.lose(&tickets[1]);
    ledger.fail(&tickets[2], Failure::Backlog, "full");
    // Its answer was lost, its deliveries were not.
    arrives(&ledger, 0, 1, Handling::Handed);
    arrives(&ledger, 0, 3, Handling::Handed);
    ledger.expire(u64::MAX);
    let record = ledger.guarantee_record().unwrap();
    assert_eq!((record.not_accepted, record.due), (4, 0), "no answer in time is none");
    let accepted = self::ledger(3, true);
    let ticket = open(&accepted, 0);
    open(&accepted, 1);
    accepted.fail(&ticket, Failure::Backlog, "full");
    arrives(&accepted, 1, 1, Handling::Handed);
    let record = accepted.guarantee_record().unwrap();
    assert_eq!((record.not_accepted, record.due, record.delivered), (1, 3, 1));
    assert_eq!(record.lost, LossReasons { unexplained: 2, ..LossReasons::default() });
}

/// What may happen to a ledger.
#[derive(Debug, Clone)]
enum Step {
    Open,
    Refuse(u64),
    Arrive(usize, u64, u8),
    CutOff(usize),
    Subscribe(usize),
    Lose(usize, u64),
    GiveUp(usize),
    Expire(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Open),
        1 => (0_u64..40).prop_map(Step::Refuse),
        12 => (0_usize..4, 0_u64..40, 0_u8..6).prop_map(|(s, e, how)| Step::Arrive(s, e, how)),
        2 => (0_usize..4).prop_map(Step::CutOff),
        2 => (0_usize..4).prop_map(Step::Subscribe),
        1 => (0_usize..4, 0_u64..40).prop_map(|(s, e)| Step::Lose(s, e)),
        1 => (0_usize..40).prop_map(|n| if n < 4 { Step::GiveUp(n) } else { Step::Open }),
        1 => (0_u64..40).prop_map(Step::Expire),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The naive oracle keeps a list of all that arrived.
    #[test]
    fn every_delivery_due_was_made_or_lost_for_one_reason(
        steps in proptest::collection::vec(step(), 0..120),
        retries: bool,
    ) {
        let ledger = ledger(4, retries);
        let mut tickets: Vec<Option<Ticket>> = Vec::new();
        let mut refused: Vec<bool> = Vec::new();
        let mut arrived: Vec<(usize, u64)> = Vec::new();
        let (mut met, mut removed) = (0, 0);
        for step in steps {
            let now = ORIGIN + tickets.len() as u64 * STEP;
            match step {
                Step::Open => {
                    tickets.push(Some(open(&ledger, tickets.len() as u64)));
                    refused.push(false);
                }
                Step::Refuse(event) => {
                    if let Some(ticket) = tickets.get_mut(event as usize).and_then(Option::take) {
                        ledger.sent(&ticket);
                        match event % 2 {
                            0 => ledger.lose(&ticket),
                            _ => ledger.fail(&ticket, Failure::Backlog, "full"),
                        }
                        refused[event as usize] = true;
                    }
                }
                Step::Arrive(subscriber, event, how) => {
                    let known = event < tickets.len() as u64;
                    let already = arrived.contains(&(subscriber, event));
                    match how {
                        0 => {
                            met += 1;
                            removed += u64::from(already);
                            arrives(&ledger, subscriber, event, Handling::MetByFault);
                        }
                        1 if already => {
                            removed += 1;
                            arrives(&ledger, subscriber, event, Handling::Removed);
                        }
                        _ => {
                            arrives(&ledger, subscriber, event, Handling::Handed);
                            arrived.extend(known.then_some((subscriber, event)));
                        }
                    }
                }
                Step::CutOff(subscriber) => cut_off(&ledger, subscriber, now),
                Step::Subscribe(subscriber) => subscribed(&ledger, subscriber, now),
                Step::Lose(subscriber, event) => {
                    ledger.lost_for_good(subscriber, Before::Event(event), LossReason::Log);
                }
                Step::GiveUp(subscriber) => ledger.gave_up(subscriber),
                Step::Expire(event) => {
                    let due = ORIGIN + event * STEP;
                    ledger.with_deliveries(|d| d.expire(due + u64::MAX / 2));
                }
            }
            exact_sums(&ledger)?;
        }
        ledger.with_deliveries(|d| d.expire(u64::MAX));
        exact_sums(&ledger)?;
        prop_assert_eq!(ledger.totals().unsettled, 0);
        let accepted = |event: u64| !refused[event as usize];
        let mut copies: BTreeMap<(usize, u64), u64> = BTreeMap::new();
        arrived.iter().for_each(|delivery| *copies.entry(*delivery).or_default() += 1);
        let due = refused.iter().filter(|refused| !**refused).count() as u64 * 4;
        let delivered = copies.keys().filter(|(_, event)| accepted(*event)).count() as u64;
        let once = copies.iter().filter(|((_, event), n)| accepted(*event) && **n == 1).count();
        let duplicates: u64 = copies.values().map(|n| n - 1).sum();
        let behind = |(i, (subscriber, event)): (usize, &(usize, u64))| {
            let before = &arrived[..i];
            !before.contains(&(*subscriber, *event))
                && before.iter().any(|(s, e)| s == subscriber && e > event)
        };
        let out_of_order = arrived.iter().enumerate().filter(|item| behind(*item)).count() as u64;
        let record = ledger.guarantee_record().unwrap();
        prop_assert_eq!(record.due, due);
        prop_assert_eq!(record.due, record.delivered + record.lost.sum());
        prop_assert_eq!((record.delivered, record.delivered_once), (delivered, once as u64));
        prop_assert_eq!(record.duplicates_to_application, duplicates);
        prop_assert_eq!(record.duplicates_on_wire, duplicates + removed);
        prop_assert_eq!((record.met_by_fault, record.out_of_order), (met, out_of_order));
        let not_accepted = refused.iter().filter(|refused| **refused).count() as u64;
        prop_assert_eq!(record.not_accepted, not_accepted);
    }
}

fn exact_sums(ledger: &Ledger) -> Result<(), TestCaseError> {
    let mut open = 0;
    for (name, outcomes) in ledger.deliveries().unwrap().all_outcomes() {
        let settled = outcomes.received + outcomes.failed + outcomes.timed_out + outcomes.lost;
        prop_assert!(settled <= outcomes.due, "{}: {:?}", name, outcomes);
        open += outcomes.due - settled;
    }
    prop_assert_eq!(ledger.totals().unsettled, open);
    Ok(())
}
