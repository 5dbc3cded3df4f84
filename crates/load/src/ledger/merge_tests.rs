//! Shards merged are one shard that has all of it.

use super::{Instants, Ledger, LedgerRules};
use proptest::prelude::*;
use pushbench_core::record::account::Account;
use pushbench_core::record::outcomes::Failure;
use pushbench_core::record::strata::Split;
use pushbench_host::clock;

const SECOND: u64 = 1_000_000_000;

fn rules(shard: u64, of: u64, closed_loop: bool) -> LedgerRules {
    LedgerRules {
        origin: SECOND,
        timeout: 3 * SECOND,
        shard,
        of,
        wall_length: SECOND,
        warmup: SECOND / 4,
        window: SECOND * 3 / 4,
        split: Some(Split::Use { bounds: vec![1, 10] }),
        closed_loop,
    }
}

/// What happens to an event: when it is due, what becomes of it, how long each step takes.
#[derive(Debug, Clone)]
struct Event {
    due: u64,
    outcome: u8,
    steps: [u64; 4],
    nth: u64,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let steps = prop::array::uniform4(prop_oneof![0..2_000u64, 0..40_000_000u64]);
    let event = (0..SECOND, 0..8u8, steps, 1..20u64).prop_map(|(due, outcome, steps, nth)| Event {
        due,
        outcome,
        steps,
        nth,
    });
    prop::collection::vec(event, 1..200).prop_map(|mut events| {
        events.sort_by_key(|e| e.due);
        events
    })
}

#[test]
fn an_event_spills_once_however_many_slices_it_outlives() {
    let rules = rules(0, 1, false);
    let origin = rules.origin;
    let ledger = Ledger::new(rules, true);
    for round in 0..5u64 {
        ledger.open(round, origin + round, Some(SECOND + round));
        ledger.end_of_slice(None);
        ledger.end_of_slice(None);
    }
    assert_eq!((ledger.account().spill, ledger.account().measured.due), (5, 5));
}

#[test]
fn a_busy_period_lasts_until_nothing_is_open_and_a_slice_that_ends_in_a_long_one_cuts_it() {
    let ledger = Ledger::new(rules(0, 1, false), true);
    ledger.record_busy_periods();
    ledger.start_measuring();
    let begin = clock::now();
    let open = |index, due| ledger.open(index, begin + due, Some(SECOND / 2));
    let done = |ticket, done| {
        let (free, sent, done) = (begin, begin, begin + done);
        ledger.acknowledge(&ticket, Instants { free, sent, done, woken: done, nth: 1 });
    };
    // Two that overlap, answered in the other order; then one alone.
    let (first, second) = (open(0, 0), open(1, 300));
    done(second, 500);
    done(first, 900);
    ledger.end_of_slice(Some(0)); // nothing is open
    done(open(2, 2_000), 2_100);
    let third = open(3, 3_000);
    let periods = ledger.account().busy_periods;
    assert_eq!(periods.values().collect::<Vec<_>>(), [(100, 1), (900, 2)]);
    while clock::now() < begin + 4_000 {}
    ledger.end_of_slice(Some(500));
    assert_eq!(ledger.account().slices_cut, 1);
    // It goes on waiting, for its time-out perhaps; the slices after it have no queue.
    ledger.end_of_slice(Some(0));
    done(open(4, 6_000), 6_200);
    ledger.end_of_slice(Some(0));
    assert_eq!(ledger.account().slices_cut, 1);
    // What is open at the end has lasted until then.
    open(5, 7_000);
    done(third, 7_000);
    ledger.end_of_schedule();
    let periods = ledger.account().busy_periods;
    assert_eq!(periods.count(), 6);
    assert_eq!(periods.values().filter(|(ns, _)| *ns == 200).count(), 1);
}

/// What a shard's ledger leaves of its events: those whose index is its own.
fn account(events: &[Event], shard: u64, of: u64, closed: bool) -> Account {
    let rules = rules(shard, of, closed);
    let origin = rules.origin;
    let ledger = Ledger::new(rules, true);
    ledger.start_measuring();
    ledger.connected();
    let mut open = Vec::new();
    for (index, event) in (0..).zip(events).filter(|(index, _)| index % of == shard) {
        let ticket = ledger.open(index, origin + event.due, Some(event.due));
        if event.outcome > 0 {
            ledger.sent(&ticket);
        }
        open.push((ticket, event));
    }
    // What is answered before the schedule ends, and what only in the drain.
    for ended in [false, true] {
        for (ticket, event) in open.iter().filter(|(_, e)| (e.outcome > 4) == ended) {
            let [free, sent, woken, done] = event.steps;
            let sent = ticket.due + free + sent;
            let at = Instants {
                free: ticket.due + free,
                sent,
                woken: sent + woken,
                done: sent + woken + done,
                nth: event.nth,
            };
            match event.outcome {
                0 => ledger.fail(ticket, Failure::Backlog, "backlog full"),
                1 => ledger.lose(ticket),
                2 => {} // times out
                3 => ledger.fail(ticket, Failure::WrongAnswer, "503"),
                _ => ledger.acknowledge(ticket, at),
            }
            if event.outcome == 7 {
                ledger.stray(Some(ticket.index)); // answered twice
            }
        }
        if !ended {
            ledger.end_of_slice(None);
            ledger.end_of_schedule();
        }
    }
    ledger.expire(u64::MAX);
    ledger.account()
}

/// All that is summed; a field that is added must be thought of here.
fn comparable(account: Account) -> impl PartialEq + std::fmt::Debug {
    let Account {
        measured,
        warmup,
        response,
        unlagged,
        driver_excluded,
        service,
        halves,
        strata,
        lag,
        reading,
        peaks,
        duplicated,
        reordered,
        late,
        unsolicited,
        other_messages,
        sent,
        batches,
        acknowledged_in_window,
        connections: _, // every shard has its own
        connect,
        open_at_end,
        acknowledged_by_end,
        spill,
        busy_periods: _, // each shard sees those of its own events
        slices_cut: _,   // of the shard with most
        backlog_peak,
        traffic,
        faults,
        callbacks: _,  // merged by their own rule
        handshakes: _, // likewise
        agreed: _,     // likewise
        layers: _,     // likewise
    } = account;
    let [first, second] = halves;
    let times =
        [response, unlagged, driver_excluded, service, lag, reading, connect, first, second];
    let counts = [late, unsolicited, sent, acknowledged_in_window, acknowledged_by_end];
    let open = [open_at_end, spill, backlog_peak, other_messages, batches];
    let ids = (duplicated, reordered);
    ((measured, warmup, faults), (times, strata, peaks), (counts, open, ids, traffic))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn shards_merged_are_one_shard_that_has_all_of_it(events in events(), of in 1..6u64, closed: bool) {
        let whole = account(&events, 0, 1, closed);
        let mut merged = account(&events, 0, of, closed);
        (1..of).for_each(|shard| merged.merge(&account(&events, shard, of, closed)));
        prop_assert_eq!(merged.connections, of);
        prop_assert!(whole.measured.sums_are_exact() && whole.warmup.sums_are_exact());
        prop_assert_eq!(comparable(merged), comparable(whole));
    }
}
