use super::*;
use crate::ledger::LedgerRules;
use pushbench_core::record::fanout::Audience;
use pushbench_core::record::guarantee::GuaranteeRecord;
use std::time::Duration;

const EVENTS: u64 = 200;

/// Receivers of events that are all due by now, in a runtime.
fn receivers(guarantee: Guarantee, faults: Faults, subscribers: usize) -> (Receivers, Rc<Ledger>) {
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
    let recovery = RecoveryRules { window: 0, fault: None, receivers_connect: true };
    let ledger = Ledger::new(rules, true)
        .with_subscribers(Audience::all(subscribers), Duration::ZERO)
        .under_guarantee(guarantee.retries(), recovery, 100);
    let begun = clock::now();
    ledger.begin(begun - EVENTS);
    (0..EVENTS).for_each(|index| {
        ledger.open(index, begun - EVENTS + index, Some(index));
    });
    let (settings, ledger) =
        (Subscribers { count: subscribers, ..Subscribers::default() }, Rc::new(ledger));
    let conditions =
        DeliveryConditions { guarantee, faults, resumes: true, recovery, window_ns: 0 };
    (Receivers::new(&conditions, (&settings, 7), &ledger).unwrap(), ledger)
}

fn in_runtime<T>(work: impl FnOnce() -> T) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io().build().unwrap().block_on(async { work() })
}

fn words(resumed: bool, from: Option<u64>, last: u64, publisher: &str) -> Vec<u8> {
    let id = |index: u64| format!("{index:016x}");
    let words = serde_json::json!({
        "subscriber": 7, "resumed": resumed, "from": from.map(id), "last": id(last), "publisher": publisher,
    });
    words.to_string().into_bytes()
}

/// A publisher with a log delivers all events, again after each fault, to receivers that resume or, `acknowledged`, are
/// sent again what they have not acknowledged.
fn deliver(promise: Promise, faults: Faults) -> (GuaranteeRecord, usize) {
    let guarantee = Guarantee { delivery: promise, attempts: 1000, ..Guarantee::default() };
    in_runtime(|| {
        let (receivers, ledger) = receivers(guarantee, faults, 4);
        let mut arrivals = 0;
        for number in 0..4 {
            receivers.confirm(number, &words(false, None, 0, "a")).unwrap();
            let mut next = 0;
            while next < EVENTS {
                let times = DeliveryTimes::handled(clock::now());
                arrivals += 1;
                if receivers.arrive((number, Some(next)), times, None) == Verdict::Acknowledge {
                    assert_eq!(receivers.cursor(number), Some(format!("{next:016x}")));
                    next += 1;
                    continue;
                }
                assert!(receivers.take_planned(number) && !receivers.take_planned(number));
                assert!(receivers.pause(number).is_some());
                receivers.begin_attempt(number);
                let after = receivers.cursor(number).unwrap();
                next = u64::from_str_radix(&after, 16).unwrap() + u64::from(next > 0);
                receivers.confirm(number, &words(true, Some(next), EVENTS - 1, "a")).unwrap();
            }
        }
        (ledger.guarantee_record().unwrap(), arrivals)
    })
}

#[test]
fn each_event_is_handed_over_once_however_often_it_comes() {
    let faults = Faults { reset: 0.1, status_500: 0.1, lost_acks: 0.2, ..Faults::default() };
    let due = 4 * EVENTS;
    let (record, arrivals) = deliver(Promise::ExactlyOnce, faults.clone());
    assert_eq!((record.due, record.delivered, record.delivered_once), (due, due, due));
    assert_eq!((record.duplicates_to_application, record.out_of_order), (0, 0));
    assert!(record.duplicates_on_wire >= record.lost_acks && record.lost_acks > 0, "{record:?}");
    assert_eq!(record.attempts, arrivals as u64);
    assert_eq!(due + record.met_by_fault + record.lost_acks, record.attempts);
    let (again, _) = deliver(Promise::AtLeastOnce, faults);
    let of = |r: &GuaranteeRecord| (r.met_by_fault, r.lost_acks, r.attempts, r.duplicates_on_wire);
    assert_eq!(of(&record), of(&again), "the plan is the same");
    assert_eq!(again.delivered, due);
    // A lost acknowledgement brings an event to the application again, unless its next arrival is met by a fault.
    assert!(again.duplicates_to_application > 0 && again.delivered_once < due, "{again:?}");
}

#[test]
fn what_a_publisher_cannot_replay_is_lost_with_its_reason_and_the_rest_is_not() {
    let guarantee = Guarantee { delivery: Promise::AtLeastOnce, ..Guarantee::default() };
    let arrives = |receivers: &Receivers, number: usize, index: u64| {
        let times = DeliveryTimes::handled(clock::now());
        let verdict = receivers.arrive((number, Some(index)), times, None);
        assert_eq!(verdict, Verdict::Acknowledge);
    };
    in_runtime(|| {
        let (receivers, ledger) = receivers(guarantee, Faults::default(), 4);
        for number in 0..4 {
            receivers.confirm(number, &words(false, None, 0, "a")).unwrap();
            (0..10).for_each(|index| arrives(&receivers, number, index));
            receivers.begin_attempt(number);
        }
        assert_eq!(receivers.cursor(0), Some(format!("{:016x}", 9)));
        receivers.confirm(0, &words(true, Some(10), 199, "a")).unwrap();
        receivers.confirm(1, &words(false, Some(30), 199, "a")).unwrap();
        receivers.confirm(2, &words(true, Some(20), 199, "b")).unwrap();
        receivers.confirm(3, &words(false, None, 250, "b")).unwrap();
        assert_eq!(receivers.cursor(3), Some(format!("{:016x}", 250)), "nothing is replayed");
        for (number, first) in [(0, 10), (1, 30), (2, 20)] {
            (first..EVENTS).for_each(|index| arrives(&receivers, number, index));
        }
        assert_eq!(ledger.totals().unsettled, 0);
        let record = ledger.guarantee_record().unwrap();
        assert_eq!((record.lost.log, record.lost.restart), (20, 10 + EVENTS - 10));
        assert_eq!(record.lost.sum(), record.lost.log + record.lost.restart);
        let wrong = receivers.confirm(0, b"{\"subscriber\":7}");
        assert!(
            matches!(&wrong, Err(Fault::Protocol(why)) if why.contains("resumed")),
            "{wrong:?}"
        );
    });
}

#[test]
fn a_receiver_that_refuses_all_it_gets_gives_up_and_one_that_acknowledges_begins_anew() {
    let guarantee =
        Guarantee { delivery: Promise::AtLeastOnce, attempts: 4, ..Guarantee::default() };
    let faults = Faults { poison: 1, status_503: 0.0, ..Faults::default() };
    in_runtime(|| {
        let (receivers, _) = receivers(guarantee, faults, 2);
        let mut pauses = [0; 2];
        for (number, pauses) in pauses.iter_mut().enumerate() {
            receivers.confirm(number, &words(false, None, 0, "a")).unwrap();
            while *pauses < 20 {
                // Being connected alone is no progress where something is replayed.
                receivers.confirm(number, &words(true, Some(0), 1, "a")).unwrap();
                receivers.arrive((number, Some(0)), DeliveryTimes::handled(clock::now()), None);
                if receivers.pause(number).is_none() {
                    break;
                }
                *pauses += 1;
            }
        }
        assert_eq!(pauses, [3, 20]);
    });
}
