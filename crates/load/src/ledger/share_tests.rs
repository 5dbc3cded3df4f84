//! Subscribers on several machines, merged, are those of one machine that has all.

use crate::ledger::{DeliveryTimes, Ledger, LedgerRules};
use proptest::prelude::*;
use pushbench_core::record::fanout;
use pushbench_core::record::fanout::{Audience, Deliveries, Mix, Share};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::outcomes::Failure;
use std::time::Duration;

const MS: u64 = 1_000_000;
const TIMEOUT: u64 = 100 * MS;

/// An event: whether the publisher takes it, and when each subscriber gets it, ns after it was due; not at all where it is
/// too late.
type Event = (bool, Vec<u64>);

fn begun(audience: Audience, share: Share) -> Ledger {
    let rules = LedgerRules {
        origin: 0,
        timeout: TIMEOUT,
        shard: 0,
        of: 1,
        wall_length: 10_000 * MS,
        warmup: 30 * MS,
        window: 10_000 * MS,
        split: None,
        closed_loop: false,
    };
    let ledger = Ledger::new(rules, true).with_subscribers(audience, Duration::ZERO);
    let ledger = ledger.with_share(share);
    ledger.start_measuring();
    ledger
}

fn run(audience: Audience, share: Share, events: &[Event]) -> Ledger {
    let ledger = begun(audience, share);
    for (index, (taken, delays)) in events.iter().enumerate() {
        let due = index as u64 * 10 * MS;
        match share.publishes() {
            true => {
                let ticket = ledger.open(index as u64, due, Some(due));
                if !taken {
                    ledger.fail(&ticket, Failure::WrongAnswer, "503");
                }
            }
            false => ledger.expect(index as u64, due, due),
        }
        for number in share.numbers(audience.subscribers).filter(|_| *taken) {
            let wanted = audience.mix.is_none_or(|mix| mix.wants(number, mix.kind(index as u64)));
            let alone = !audience.one_each || audience.recipient(index as u64) == number;
            let stuck = audience.conduct(number) == fanout::Conduct::Stuck;
            if delays[number] < TIMEOUT && wanted && alone && !stuck {
                let arrived = due + delays[number];
                let times = DeliveryTimes { read: arrived, arrived, stamped: true };
                ledger.receive(number, Some(index as u64), times);
            }
        }
    }
    ledger.end_of_slice(None);
    ledger.end_of_schedule();
    ledger.expire(u64::MAX);
    ledger
}

/// A machine that does not publish may read an event before its own clock says that it is due.
#[test]
fn a_delivery_that_is_early_here_waits_for_its_event() {
    let ledger = begun(Audience::all(2), Share { machine: 1, of: 2 });
    let times = |at| DeliveryTimes { read: at, arrived: at, stamped: true };
    ledger.receive(1, Some(0), times(38 * MS));
    assert_eq!(ledger.deliveries().unwrap().read, 0);
    ledger.expect(0, 40 * MS, 40 * MS);
    ledger.receive(1, Some(1), times(49 * MS));
    ledger.end_of_schedule();
    ledger.receive(1, Some(2), times(59 * MS));
    let deliveries = ledger.deliveries().unwrap();
    assert_eq!((deliveries.read, deliveries.measured.received), (1, 1));
    assert_eq!((deliveries.delivery.quantile(1.0), deliveries.unsolicited), (Some(0), 2));
    assert_eq!(ledger.event_records().reached[0].got, 1);
}

/// Without what only the subscribers of the machine that publishes tell.
fn text(deliveries: &Deliveries) -> String {
    serde_json::to_string(&Deliveries { unlagged: Hist::new(), ..deliveries.clone() }).unwrap()
}

proptest! {
    #[test]
    fn subscribers_of_several_machines_are_those_of_one(
        (subscribers, stuck, one_each, typed, machines) in
            (2..9usize, 0..2usize, any::<bool>(), any::<bool>(), 1..5usize),
        events in prop::collection::vec(
            (prop::bool::weighted(0.9), prop::collection::vec(1..150 * MS, 9)),
            1..40,
        ),
    ) {
        let mix = (typed && !one_each).then_some(Mix { types: 3, wants: 2 });
        let audience = Audience { subscribers, stuck, one_each, mix, ..Audience::default() };
        let of = machines.min(subscribers);
        let whole = run(audience, Share::ALL, &events).deliveries().unwrap();
        let parts: Vec<_> = (0..of)
            .map(|machine| {
                let ledger = run(audience, Share { machine, of }, &events);
                (ledger.deliveries().unwrap(), ledger.event_records())
            })
            .collect();
        let merged = fanout::merged(parts, TIMEOUT, one_each).unwrap();
        prop_assert_eq!(text(&merged), text(&whole));
        for (_, outcomes) in merged.all_outcomes() {
            prop_assert!(outcomes.sums_are_exact());
        }
    }
}
