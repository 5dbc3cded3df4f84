//! Deliveries dropped, doubled, swapped and late: each seen exactly.

use super::*;

const MS: u64 = 1_000_000;

fn spreads(subscribers: usize) -> Spreads {
    Spreads::new(subscribers, 100 * MS)
}

fn exact(s: &Spreads) {
    assert!(s.account.measured.sums_are_exact(), "{:?}", s.account.measured);
    assert!(s.account.warmup.sums_are_exact(), "{:?}", s.account.warmup);
}

#[test]
fn each_subscriber_of_each_event_has_one_fate() {
    let mut s = spreads(70);
    s.begin(0, Some(0));
    s.sent(0, 2 * MS);
    for subscriber in 0..70 {
        let at = 10 * MS + subscriber as u64 * MS / 10;
        assert!(s.received(subscriber, Some(0), at).unwrap().measured);
    }
    exact(&s);
    let a = &s.account;
    assert_eq!((a.measured.received, a.complete, a.events, s.open), (70, 1, 1, 0));
    assert_eq!((a.last.count(), a.skew.count()), (1, 1));
    let close = |hist: &crate::record::histogram::Hist, wanted: u64| {
        let seen = hist.quantile(0.5).unwrap();
        assert!(seen.abs_diff(wanted) <= wanted / 500, "{seen} for {wanted}");
    };
    close(&a.last, 16_900_000);
    close(&a.skew, 6_900_000);
    assert_eq!(a.unlagged.max().unwrap() / 100_000, 149);
}

#[test]
fn a_dropped_a_doubled_and_a_swapped_delivery_are_each_seen_once() {
    let mut s = spreads(3);
    (0..4).for_each(|n| s.begin(n * MS, Some(n)));
    let order = [[0, 1, 2, 3], [0, 2, 1, 3], [0, 1, 1, 3]];
    for (subscriber, events) in order.iter().enumerate() {
        for event in events {
            s.received(subscriber, Some(*event), 10 * MS);
        }
    }
    s.received(1, None, 10 * MS);
    s.received(1, Some(77), 10 * MS);
    s.expire(103 * MS);
    exact(&s);
    let a = &s.account;
    assert_eq!((a.measured.due, a.measured.received, a.measured.timed_out), (12, 11, 1));
    assert_eq!((a.duplicated, a.reordered, a.unsolicited, a.late), (1, 1, 2, 0));
    assert_eq!((a.complete, a.events, a.last.max().unwrap() / MS), (3, 4, 100));
    // What comes after its time-out is late, and a second one a duplicate.
    s.received(2, Some(2), 200 * MS);
    s.received(2, Some(2), 200 * MS);
    assert_eq!((s.account.late, s.account.duplicated, s.account.reordered), (1, 2, 2));
    exact(&s);
}

#[test]
fn who_leaves_loses_what_is_open_and_fails_what_comes() {
    let mut s = spreads(2);
    s.begin(0, None);
    s.begin(MS, Some(0));
    s.received(0, Some(0), 2 * MS);
    s.gone(0);
    s.gone(0);
    s.begin(2 * MS, Some(1));
    s.back(0);
    s.begin(3 * MS, Some(2));
    for event in 0..4 {
        s.received(1, Some(event), 4 * MS);
    }
    s.received(0, Some(1), 4 * MS);
    s.received(0, Some(3), 4 * MS);
    exact(&s);
    let (a, open) = (&s.account, s.open);
    assert_eq!((a.warmup.received, a.warmup.lost), (2, 0));
    assert_eq!((a.measured.lost, a.measured.unsubscribed, a.measured.received), (1, 1, 4));
    assert_eq!((a.late, open), (1, 0));
}

#[test]
fn an_event_that_was_not_taken_fails_everywhere() {
    let mut s = spreads(5);
    s.begin(0, Some(0));
    s.received(4, Some(0), MS);
    s.unpublished(0);
    s.unpublished(0);
    s.expire(u64::MAX);
    exact(&s);
    assert_eq!((s.account.measured.unpublished, s.account.measured.received), (4, 1));
    assert_eq!((s.open, s.open_measured()), (0, 0));
}

#[test]
fn closed_events_are_forgotten_in_the_end_and_open_ones_never() {
    let mut s = spreads(1);
    s.remembered = 4;
    s.begin(0, Some(0));
    for event in 1..10 {
        s.begin(MS, Some(event));
        s.received(0, Some(event), 2 * MS);
    }
    assert_eq!(s.events.len(), 10, "the oldest is open");
    s.received(0, Some(0), 3 * MS);
    s.expire(4 * MS);
    s.begin(4 * MS, Some(10));
    assert_eq!(s.events.len(), 4);
    s.received(0, Some(2), 5 * MS);
    assert_eq!((s.account.unsolicited, s.account.duplicated), (1, 0));
    s.expire(u64::MAX);
    exact(&s);
}
