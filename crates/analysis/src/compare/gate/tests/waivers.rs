//! Slow-downs that are meant.

use crate::compare::gate::sample::{Recipe, recipe, settings};
use crate::compare::gate::tests::is;
use crate::compare::gate::*;

fn waiver(metric: &str, ceiling: f64, expires: &str) -> Waiver {
    Waiver {
        scenario: "gate".to_owned(),
        metric: metric.to_owned(),
        ceiling,
        expires: expires.to_owned(),
        reason: "answers are signed now".to_owned(),
    }
}

/// What a gate judges of an open load.
const OPEN: [&str; 3] = [JUDGED[0], JUDGED[1], JUDGED[3]];

fn waived(candidate: f64, waivers: Vec<Waiver>) -> Gate {
    judge(&recipe(candidate).run(), CANDIDATE, &Settings { waivers, ..settings() }, &Look::only())
}

#[test]
fn waivers_allow_up_to_their_ceiling_and_are_always_reported() {
    let all = |ceiling| OPEN.map(|m| waiver(m, ceiling, "2026-06-01")).to_vec();
    let states = |gate: &Gate| gate.waivers.iter().map(|w| w.state).collect::<Vec<_>>();
    let in_use = waived(1.1, all(0.15));
    is(&in_use, Outcome::Passed, &["only because of a waiver: service.p50"]);
    assert!(!in_use.sentence.contains("no slow-down"), "{}", in_use.sentence);
    assert_eq!(states(&in_use), [State::InUse; 3]);
    let not_needed = waived(1.0, all(0.15));
    is(&not_needed, Outcome::Passed, &["no slow-down beyond 15.0 %"]);
    assert_eq!(states(&not_needed), [State::NotNeeded; 3]);
    let exceeded = waived(1.3, all(0.15));
    is(&exceeded, Outcome::Regression, &["15 % (waiver) is allowed"]);
    assert_eq!(states(&exceeded), [State::Exceeded; 3]);
    // Another scenario's, and one of a metric that is not judged.
    let others = vec![
        Waiver { scenario: "ingest".to_owned(), ..waiver("service.p50", 9.0, "2027-01-01") },
        waiver("service.p99", 9.0, "2027-01-01"),
    ];
    let gate = waived(1.3, others);
    is(&gate, Outcome::Regression, &["service.p50"]);
    assert_eq!(states(&gate), [State::Unjudged]);
}

#[test]
fn an_expired_waiver_fails_whatever_was_measured() {
    let gate = waived(1.0, vec![waiver("service.p50", 0.5, "2026-05-31")]);
    is(&gate, Outcome::Regression, &["the waiver of service.p50 expired on 2026-05-31"]);
    assert!(!gate.wants_more(), "a longer stage does not renew it");
}

#[test]
fn a_waiver_does_not_excuse_a_dirty_null() {
    let dirty = Recipe { null: 1.1, ..recipe(1.1) }.run();
    let waivers = OPEN.map(|m| waiver(m, 0.3, "2026-12-31")).to_vec();
    let gate = judge(&dirty, CANDIDATE, &Settings { waivers, ..settings() }, &Look::only());
    is(&gate, Outcome::CannotTell, &["the null is not clean"]);
}
