use crate::compare::expect::Outcome;
use crate::compare::parity::{Known, Property};
use crate::compare::sample::{outage, ratios};
use crate::compare::{Comparison, Point, Verdict, compare};
use pushbench_core::guarantee::Promise;
use pushbench_core::record::guarantee::{GuaranteeRecord, LossReasons};
use pushbench_core::record::run::StoredRun;
use pushbench_core::scenario::Expectation;

/// A run with an outage, after something was done to the record of each trial: arm, block, record.
fn with(change: impl Fn(usize, usize, &mut GuaranteeRecord)) -> StoredRun {
    let mut run = outage(ratios(1.0, 1.0));
    for trial in &mut run.trials {
        change(trial.arm, trial.block, trial.guarantee.as_mut().unwrap());
    }
    run
}

fn point(run: &StoredRun) -> Point {
    compare(run).points.remove(0)
}

fn of<'a>(point: &'a Point, metric: &str) -> Option<&'a Comparison> {
    point.comparisons.iter().find(|c| c.metric == metric)
}

/// Loses so many deliveries of this record for a reason.
fn lose(record: &mut GuaranteeRecord, lost: LossReasons) {
    record.lost = lost;
    record.delivered = record.due - lost.sum();
    record.delivered_once = record.delivered;
}

#[test]
fn a_run_without_a_guarantee_and_faults_has_none_of_it() {
    let run = ratios(1.0, 1.0);
    let json = serde_json::to_string(&compare(&run)).unwrap();
    for word in ["delivered_once", "recovery", "guarantee", "\"faults\":{", "lost_share"] {
        assert!(!json.contains(word), "{word}");
    }
}

#[test]
fn zero_against_some_is_claimed_and_zero_against_zero_is_not_compared() {
    let point = point(&outage(ratios(1.0, 1.0)));
    let lost = of(&point, "lost_share").unwrap();
    assert_eq!(lost.verdict, Verdict::Worse, "{lost:?}");
    assert!(lost.difference.unwrap() > 0.014 && lost.matters, "{lost:?}");
    assert_eq!(of(&point, "out_of_order_share").unwrap().verdict, Verdict::Better);
    let equal = with(|_, _, record| {
        lose(record, LossReasons::default());
        record.out_of_order = 0;
    });
    let point = self::point(&equal);
    assert!(of(&point, "lost_share").is_none() && of(&point, "out_of_order_share").is_none());
    let text = point.sentences.join(" ");
    assert!(text.contains("0 of 240k deliveries were lost for good"), "{text}");
    assert!(!text.contains("never") && !text.contains("no difference in loss"), "{text}");
}

#[test]
fn a_recovery_that_one_block_lacks_has_no_figure_and_no_verdict() {
    let all = point(&outage(ratios(1.0, 1.0)));
    assert_eq!(of(&all, "recovery.first_event").unwrap().verdict, Verdict::Worse);
    let lacking = with(|arm, block, record| {
        if (arm, block) == (1, 3) {
            record.recovery.as_mut().unwrap().first_event_ns = None;
        }
    });
    let point = point(&lacking);
    let c = of(&point, "recovery.first_event").unwrap();
    assert_eq!(c.verdict, Verdict::Inconclusive);
    assert_eq!(c.why.as_deref(), Some("not measured in every block"));
    assert_eq!(point.arms[1].events.guarantee.as_ref().unwrap().recovery_ns.first_event, None);
    let text = point.sentences.join(" ");
    assert!(text.contains("events flowed again in 11 of 12 blocks"), "{text}");
    assert!(text.contains("cannot tell: the first event after the fault"), "{text}");
}

#[test]
fn attempts_that_the_publisher_does_not_count_are_not_compared_with_those_that_it_does() {
    let c = point(&outage(ratios(1.0, 1.0)));
    assert_eq!(of(&c, "attempts_per_delivery").unwrap().verdict, Verdict::Inconclusive);
    let counted = with(|arm, _, record| {
        record.attempts_are_counted = true;
        record.attempts += arm as u64 * record.due;
    });
    let c = point(&counted);
    assert_eq!(of(&c, "attempts_per_delivery").unwrap().verdict, Verdict::Worse);
}

#[test]
fn losses_are_noted_with_their_reason() {
    let mut run = with(|arm, _, record| {
        let lost = LossReasons { restart: 5, unexplained: 1, ..LossReasons::default() };
        lose(record, if arm == 1 { lost } else { LossReasons::default() });
    });
    let notes = |run: &StoredRun| -> Vec<String> {
        let notes = point(run).validity.notes.into_iter();
        notes.filter(|n| n.text.contains("deliveries were lost")).map(|n| n.text).collect()
    };
    let found = notes(&run);
    assert!(found.iter().all(|n| n.starts_with("websocket@builtin: ")), "{found:?}");
    assert!(found[0].contains("12 of 240k deliveries were lost for no known reason"), "{found:?}");
    assert!(found[1].contains("60 of 240k") && found[1].contains("not durable"), "{found:?}");
    assert!(point(&run).validity.ok, "a loss is a result");
    run.header.points[0].scenario.guarantee.durable = true;
    assert_eq!(notes(&run).len(), 1, "a durable publisher's loss has another cause");
}

#[test]
fn limits_of_losses_and_duplicates_are_judged() {
    let mut run = outage(ratios(1.0, 1.0));
    let limit = |what: &str, limit| Expectation { what: what.to_owned(), limit };
    run.header.points[0].scenario.expect = vec![
        limit("lost_for_good", 0.0),
        limit("duplicates_to_application", 0.0),
        limit("recovery.first_event", 1e9),
    ];
    let outcomes = |run: &StoredRun| -> Vec<Outcome> {
        point(run).expectations.iter().map(|e| e.outcome).collect()
    };
    use Outcome::{CannotTell, Failed, Met};
    assert_eq!(outcomes(&run), [Met, Failed, Met, Met, Met, Met]);
    run.trials.iter_mut().for_each(|t| t.guarantee = None);
    assert!(outcomes(&run).iter().all(|o| *o == CannotTell));
}

#[test]
fn a_promise_is_tested_where_faults_put_it_to_the_test() {
    let cell = |run: &StoredRun, property: &str, arm: usize| -> Property {
        let rows = point(run).parity.rows;
        rows.into_iter().find(|r| r.property == property).unwrap().arms.swap_remove(arm)
    };
    let run = outage(ratios(1.0, 1.0));
    let [kept, broken] = [0, 1].map(|arm| cell(&run, "delivery", arm));
    assert_eq!((kept.value.as_str(), kept.known), ("exactly once", Known::Tested));
    assert_eq!(broken.value, "exactly once: 3720 lost, 0 twice");
    let removed = cell(&run, "deduplication", 1);
    assert_eq!((removed.value.as_str(), removed.known), ("by id, the last 100000", Known::Tested));
    let mut quiet = with(|_, _, record| {
        (record.recovery, record.met_by_fault) = (None, 0);
    });
    quiet.header.points[0].scenario.faults = Default::default();
    assert_eq!(cell(&quiet, "delivery", 0).known, Known::Declared, "nothing broke");
    quiet.trials.iter_mut().for_each(|t| t.in_force = None);
    assert_eq!(cell(&quiet, "delivery", 0).known, Known::Unknown, "a foreign program says nothing");
    let mut foreign = run.clone();
    foreign.trials.iter_mut().for_each(|t| t.in_force = None);
    assert_eq!(cell(&foreign, "delivery", 0).known, Known::Tested, "it is seen from outside");
    let at_most_once = {
        let mut run = with(|_, _, record| record.duplicates_to_application = 1);
        run.header.points[0].scenario.guarantee.delivery = Promise::AtMostOnce;
        cell(&run, "delivery", 0)
    };
    assert_eq!(at_most_once.value, "at most once: 0 lost, 12 twice");
}
