use super::*;
use pushbench_core::record::fanout::Mix;

const MS: u64 = 1_000_000;

fn deliveries(subscribers: usize) -> DeliveryLedger {
    DeliveryLedger::new(Audience::all(subscribers), 100 * MS, 0)
}

fn exact(s: &DeliveryLedger) {
    for (name, outcomes) in s.account.all_outcomes() {
        assert!(outcomes.sums_are_exact(), "{name}: {outcomes:?}");
    }
}

#[test]
fn each_subscriber_of_each_event_has_one_fate() {
    let mut s = deliveries(70);
    s.begin(0, 0, Some(0));
    s.sent(0, 2 * MS);
    for subscriber in 0..70 {
        let at = 10 * MS + subscriber as u64 * MS / 10;
        assert!(s.received(subscriber, Some(0), at).unwrap().measured);
    }
    exact(&s);
    let a = &s.account;
    assert_eq!((a.measured.received, a.complete, a.events, s.open), (70, 1, 1, 0));
    assert_eq!((a.last.count(), a.skew.count()), (1, 1));
    let close = |hist: &pushbench_core::record::histogram::Hist, wanted: u64| {
        let measured = hist.quantile(0.5).unwrap();
        assert!(measured.abs_diff(wanted) <= wanted / 500, "{measured} for {wanted}");
    };
    close(&a.last, 16_900_000);
    close(&a.skew, 6_900_000);
    assert_eq!(a.unlagged.max().unwrap() / 100_000, 149);
}

#[test]
fn a_dropped_a_doubled_and_a_swapped_delivery_are_each_seen_once() {
    let mut s = deliveries(3);
    (0..4).for_each(|n| s.begin(n, n * MS, Some(n)));
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
fn what_waits_by_design_is_not_behind() {
    let mut s = DeliveryLedger::new(Audience::all(3), 100 * MS, 10 * MS);
    (0..4).for_each(|n| s.begin(n, n * 5 * MS, Some(n)));
    s.received(0, Some(0), 6 * MS);
    s.end(16 * MS);
    let a = &s.account;
    assert_eq!((a.open_at_end, a.behind_at_end), (11, 5), "those due until 6 ms are");
}

#[test]
fn who_is_cut_off_loses_what_is_open_and_fails_what_comes() {
    let mut s = deliveries(2);
    s.begin(0, 0, None);
    s.begin(1, MS, Some(0));
    s.received(0, Some(0), 2 * MS);
    s.cut_off(0, 2 * MS);
    s.cut_off(0, 2 * MS);
    s.begin(2, 2 * MS, Some(1));
    s.subscribed(0, 2 * MS, 3 * MS);
    s.begin(3, 3 * MS, Some(2));
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
    let mut s = deliveries(5);
    s.begin(0, 0, Some(0));
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
    let mut s = deliveries(1);
    s.remembered = 4;
    s.begin(0, 0, Some(0));
    for event in 1..10 {
        s.begin(event, MS, Some(event));
        s.received(0, Some(event), 2 * MS);
    }
    assert_eq!(s.events.len(), 10, "the oldest is open");
    s.received(0, Some(0), 3 * MS);
    s.expire(4 * MS);
    s.begin(10, 4 * MS, Some(10));
    assert_eq!(s.events.len(), 4);
    s.received(0, Some(2), 5 * MS);
    assert_eq!((s.account.unsolicited, s.account.duplicated), (1, 0));
    s.expire(u64::MAX);
    exact(&s);
}

#[test]
fn the_unhealthy_are_counted_apart() {
    let audience = Audience { slow: 1, stuck: 2, ..Audience::all(6) };
    let mut s = DeliveryLedger::new(audience, 100 * MS, 0);
    s.begin(0, 0, Some(0));
    for healthy in 3..6 {
        assert!(s.received(healthy, Some(0), MS).unwrap().measured);
    }
    assert!(!s.received(0, Some(0), 50 * MS).unwrap().measured);
    assert_eq!((s.open, s.open_measured()), (2, 0), "the stuck ones are nobody's spill");
    s.begin(1, MS, Some(MS));
    s.unpublished(1);
    s.expire(100 * MS);
    exact(&s);
    let a = &s.account;
    assert_eq!((a.measured.due, a.measured.received, a.measured.unpublished), (6, 3, 3));
    let (slow, stuck) = (&a.apart[0], &a.apart[1]);
    assert_eq!((slow.measured.due, slow.measured.received, slow.delivery.count()), (2, 1, 1));
    assert_eq!((stuck.measured.due, stuck.measured.timed_out, stuck.subscribers), (4, 2, 2));
    // The event was whole when the last healthy one had it, whatever the others do.
    assert_eq!((a.complete, a.delivery.count(), a.last.count()), (1, 3, 2));
    assert!(a.last.quantile(0.01).unwrap() < 2 * MS && s.open == 0);
}

#[test]
fn an_event_is_due_at_those_who_were_there_when_it_came_due() {
    let mut s = deliveries(3);
    s.begin(0, 0, Some(0));
    s.leaving(1, MS);
    s.leaving(1, MS);
    assert!(s.awaits(1), "it takes what is on its way to it before it goes");
    s.begin(1, 2 * MS, Some(2));
    s.received(1, Some(0), 3 * MS);
    // Published while it was leaving: read, and not due.
    assert!(s.received(1, Some(1), 3 * MS).is_none() && !s.awaits(1));
    s.subscribed(1, 4 * MS, 6 * MS);
    s.begin(2, 7 * MS, Some(7));
    for (subscriber, event) in [(0, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2), (2, 2)] {
        s.received(subscriber, Some(event), 9 * MS);
    }
    exact(&s);
    let a = &s.account;
    assert_eq!((a.measured.due, a.measured.received, a.complete, s.open), (8, 8, 3, 0));
    let t = a.turnover.as_ref().unwrap();
    assert_eq!((t.left, t.came, t.cut_off, a.undue, a.duplicated), (1, 1, 0, 1, 0));
    assert_eq!(t.subscribing.max().unwrap() / MS, 2);
    assert_eq!((t.first_event.count(), t.first_event.max().unwrap() / MS), (1, 5));
    assert!(t.recovery.is_empty());
}

#[test]
fn all_are_there_again_when_the_last_one_is() {
    let mut s = deliveries(3);
    (0..3).for_each(|n| s.cut_off(n, 10 * MS + n as u64));
    s.begin(0, 11 * MS, Some(0));
    s.subscribed(2, 12 * MS, 13 * MS);
    s.leaving(1, 14 * MS);
    s.subscription_failed();
    s.subscribed(0, 15 * MS, 20 * MS);
    exact(&s);
    assert_eq!((s.account.measured.due, s.account.measured.unsubscribed), (3, 3));
    let t = s.account.turnover.as_ref().unwrap();
    assert_eq!((t.cut_off, t.came, t.left, t.refused), (3, 2, 1, 1));
    assert_eq!((t.recovery.count(), t.recovery.max().unwrap() / MS), (1, 10));
}

#[test]
fn an_event_is_due_at_those_who_want_its_type() {
    let mix = Some(Mix { types: 3, wants: 2 });
    let mut s = DeliveryLedger::new(Audience { mix, stuck: 1, ..Audience::all(4) }, 100 * MS, 0);
    // Types 0, 1, 2, 0, 1, 2; subscriber n wants the types n and n + 1, the first one takes nothing.
    (0..3).for_each(|n| s.begin(n, n * MS, Some(n)));
    s.cut_off(2, 3 * MS);
    s.begin(3, 3 * MS, Some(3));
    s.leaving(1, 4 * MS);
    (4..6).for_each(|n| s.begin(n, n * MS, Some(n)));
    for event in 0..6 {
        // Nothing is filtered: every event comes to everybody.
        for subscriber in 1..4 {
            s.received(subscriber, Some(event), 9 * MS);
        }
    }
    s.expire(200 * MS);
    exact(&s);
    let a = &s.account;
    // Healthy, by event: 2 and 3; 1 and 3; 1 and 2; 2 and 3; 3 (1 has left); 2 (the same).
    assert_eq!((a.measured.due, a.measured.received), (10, 6));
    // Subscriber 2 was cut off with the events 0 and 2 open, and failed for 3 and 5.
    assert_eq!((a.measured.lost, a.measured.unsubscribed, a.late), (2, 2, 4));
    assert_eq!((a.apart[0].measured.due, a.apart[0].measured.timed_out), (4, 4));
    // One event in three is not wanted by each; what 1 wanted and missed as it left is something else.
    assert_eq!((a.unwanted, a.undue, a.duplicated, s.open), (Some(6), 2, 0, 0));
}

#[test]
fn who_wants_what_agrees_from_both_sides() {
    for (types, wants) in [(1, 1), (4, 1), (4, 3), (4, 4), (7, 2)] {
        let mix = Mix { types, wants };
        for subscriber in 0..20 {
            let wanted: BTreeSet<usize> = mix.wanted(subscriber).collect();
            assert_eq!(wanted.len(), wants);
            for index in 0..20 {
                let kind = mix.kind(index);
                assert_eq!(mix.wants(subscriber, kind), wanted.contains(&kind));
            }
        }
    }
}

#[test]
fn an_event_for_one_is_due_there_only() {
    let audience = Audience { one_each: true, ..Audience::all(3) };
    let mut s = DeliveryLedger::new(audience, 100 * MS, 0);
    s.leaving(2, 0);
    (0..4).for_each(|n| s.begin(n, n * MS, Some(n)));
    for (subscriber, event) in [(0, 0), (1, 1), (0, 1), (0, 3)] {
        s.received(subscriber, Some(event), 5 * MS);
    }
    exact(&s);
    let a = &s.account;
    assert_eq!((a.measured.due, a.measured.received, a.undue, s.open), (3, 3, 1, 0));
    assert_eq!((a.events, a.complete, a.skew.count(), a.last.count()), (3, 3, 0, 0));
}

#[test]
fn a_delivery_spills_once_however_many_slices_it_outlives() {
    let mut s = deliveries(3);
    s.begin(0, 0, Some(0));
    (0..4).for_each(|_| s.end_of_slice());
    assert_eq!(s.account.spill, 3);
    s.begin(1, 5 * MS, Some(5));
    let _ = s.received(0, Some(1), 6 * MS);
    (0..4).for_each(|_| s.end_of_slice());
    assert_eq!(s.account.spill, 5, "the two that are new and open");
}

#[test]
fn events_flow_again_with_the_first_one_that_was_due_after_the_disruption() {
    let mut s = deliveries(3);
    (0..3).for_each(|n| s.begin(n, n * 10 * MS, Some(n)));
    s.disrupted(15 * MS);
    // On its way since before the disruption.
    for subscriber in 0..3 {
        s.received(subscriber, Some(1), 16 * MS);
    }
    s.received(0, Some(2), 40 * MS);
    s.cut_off(1, 50 * MS);
    s.subscribed(1, 60 * MS, 61 * MS);
    s.begin(3, 62 * MS, Some(3));
    s.received(1, Some(3), 65 * MS);
    s.received(0, Some(3), 66 * MS);
    let resumption = s.account.resumption.clone().unwrap();
    let times: Vec<u64> = resumption.took.values().map(|(ns, _)| ns / MS).collect();
    assert_eq!((times, resumption.subscribers), (vec![25, 50], 3));
    assert_eq!((resumption.never(), resumption.mean()), (1, None), "a mean of two would flatter");
    let first_event = &s.account.turnover.as_ref().unwrap().first_event;
    assert_eq!((first_event.count(), first_event.max().unwrap() / MS), (1, 5));
    s.received(2, Some(3), 67 * MS);
    assert_eq!(s.account.resumption.unwrap().mean().unwrap() as u64 / MS, 42);
}
