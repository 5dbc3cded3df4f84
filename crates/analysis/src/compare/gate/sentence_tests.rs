//! The closing sentence over the whole table of verdicts: whatever it claims is looked up in the
//! intervals, not in the outcomes.

use crate::compare::gate::draft::{Draft, Subject};
use crate::compare::gate::evidence::Evidence;
use crate::compare::gate::sample::settings;
use crate::compare::gate::*;
use crate::stats::effect::Effect;
use pushbench_core::record::metrics;

/// Every kind of line there is, by its interval, its null, its margin and its waiver.
fn kinds(metric: &'static str) -> Vec<Line> {
    let metric = metrics::named(metric).unwrap();
    let effect = |estimate: f64, error: f64| Effect { estimate, error, freedom: 11.0 };
    let nulls = [Some(effect(0.0, 0.005)), Some(effect(0.06, 0.005)), None];
    let noisy: Vec<margin::Null> = (0..30)
        .map(|n| margin::Null { log_ratio: f64::from(n % 7 - 3) / 10.0, blocks: 12 })
        .collect();
    let margins = [Margin::of(metric.name, &[]), Margin::of(metric.name, &noisy)];
    let waiver = Waiver {
        scenario: "gate".to_owned(),
        metric: metric.name.to_owned(),
        ceiling: 0.15,
        expires: "2027-01-01".to_owned(),
        reason: "meant".to_owned(),
    };
    let mut all = Vec::new();
    for estimate in [-0.2, 0.0, 0.04, 0.06, 0.1, 0.3] {
        for error in [0.001, 0.01, 0.05] {
            for null in nulls {
                for margin in &margins {
                    // 100 ns and 10 µs: too little time to count, and enough.
                    for (base, waiver) in [(100.0, None), (10_000.0, None), (1e4, Some(&waiver))] {
                        let evidence = Evidence {
                            blocks: 12,
                            slow_down: Some(effect(estimate, error)),
                            difference: Some(effect(estimate * base, error * base)),
                            null,
                            ..Evidence::default()
                        };
                        let subject = Subject {
                            setting: pushbench_core::scenario::Setting::new(),
                            transport: "webhook".to_owned(),
                            metric,
                            margin,
                            design: None,
                            waiver,
                        };
                        let draft = Draft::new(subject, evidence);
                        all.extend(judge::lines(vec![draft], &settings(), &Look::only()));
                    }
                }
            }
        }
    }
    all
}

fn exact(base: f64, candidate: f64, outcome: Outcome) -> Exact {
    Exact {
        setting: pushbench_core::scenario::Setting::new(),
        transport: "webhook".to_owned(),
        what: "failed",
        base: Some(base),
        candidate: Some(candidate),
        null: Some(base),
        outcome,
        why: (outcome != Outcome::Passed).then(|| "so it is".to_owned()),
        decisive: false,
    }
}

fn gate(lines: Vec<Line>, exact: Vec<Exact>, advisory: Option<Vec<String>>) -> Gate {
    let mut gate = Gate { stage: 2, lines, exact, advisory, ..Gate::without_records("gate") };
    gate.verdict = judge::verdict(&gate);
    if gate.advisory.is_some() && gate.verdict == Outcome::Regression {
        gate.verdict = Outcome::CannotTell;
    }
    gate.sentence = sentence::closing(&gate);
    gate
}

/// The names in the claim that begins like this, and what stands between.
fn claim<'a>(text: &'a str, begins: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let text = text.split(" The null is").next()?;
    let rest = &text[text.find(begins)? + begins.len()..];
    let rest = rest.split(';').next()?.trim_end_matches('.');
    let (between, names) = rest.split_once(" in ").or(rest.split_once(": "))?;
    Some((between.trim(), names.split(", ").collect()))
}

fn clean(line: &Line) -> bool {
    let limit = 1.05;
    line.null.as_ref().is_some_and(|n| n.ci95[0] > 1.0 / limit && n.ci95[1] < limit)
}

/// Whatever a sentence claims must stand in the figures of the gate.
fn claims_hold(gate: &Gate) {
    let text = gate.sentence.as_str();
    let of = |name: &str| gate.lines.iter().find(|l| l.metric == name).unwrap();
    if let Some((share, names)) = claim(text, "no slow-down beyond ") {
        let limit = 1.0 + share.trim_end_matches(" %").parse::<f64>().unwrap() / 100.0;
        for line in names.into_iter().map(of) {
            assert!(line.upper.unwrap() <= limit && clean(line), "{text}\n{line:?}");
        }
    }
    if let Some((_, names)) = claim(text, "no slow-down by as much as --min-difference") {
        for line in names.into_iter().map(of) {
            assert!(line.difference.unwrap()[1] < 500.0 && clean(line), "{text}\n{line:?}");
        }
    }
    if let Some((_, names)) = claim(text, "only because of a waiver") {
        for line in names.into_iter().map(of) {
            assert!(line.waived && line.upper.unwrap() < 1.15 && clean(line), "{text}\n{line:?}");
        }
    }
    if text.contains("no more failures") {
        assert!(gate.exact.iter().all(|e| e.candidate <= e.base), "{text}");
    }
    for line in &gate.lines {
        let slower = text.contains(&format!("{} of webhook is worse by +", line.metric));
        let certain = line.adjusted_low.is_some_and(|low| low > line.limit())
            && line.difference.is_some_and(|d| d[0] > 500.0);
        let beyond = line.null.as_ref().is_some_and(|null| {
            let reach = null.ci95[1].max(1.0 / null.ci95[0]);
            line.adjusted_low.is_some_and(|low| low > line.limit() * reach)
        });
        assert!(!slower || certain && (clean(line) || beyond), "{text}\n{line:?}");
        let open = text.starts_with("CANNOT TELL") && line.outcome == Outcome::CannotTell;
        assert!(text.contains(line.metric) || !(open || text.starts_with("PASSED")), "{text}");
    }
    // Nothing passes beside a line that does not, and nothing fails without one that does.
    let bad = |o: Outcome| matches!(o, Outcome::Regression | Outcome::CannotTell);
    if text.starts_with("PASSED") {
        assert!(!gate.outcomes().any(bad), "{text}");
        assert!(gate.lines.iter().any(|l| l.outcome != Outcome::NotQualified), "{text}");
    }
    let fails = gate.outcomes().any(|o| o == Outcome::Regression);
    assert_eq!(text.starts_with("FAILED"), fails && gate.advisory.is_none(), "{text}");
    assert_eq!(text.contains("advice"), gate.advisory.is_some(), "{text}");
}

#[test]
fn it_never_claims_what_the_intervals_do_not_support() {
    let (first, second) = (kinds("service.p50"), kinds("response.p50"));
    let outcomes = |lines: &[Line], o| lines.iter().any(|l| l.outcome == o);
    for o in [
        Outcome::Passed,
        Outcome::Waived,
        Outcome::Regression,
        Outcome::CannotTell,
        Outcome::NotQualified,
    ] {
        assert!(outcomes(&first, o), "no line of {o:?}: the table has a hole");
    }
    let counts = [
        exact(0.0, 0.0, Outcome::Passed),
        exact(5.0, 6.0, Outcome::Passed),
        exact(0.0, 1.0, Outcome::Regression),
        exact(1.0, 1.0, Outcome::CannotTell),
    ];
    let advisory = [None, Some(vec!["cpu: A, then B".to_owned()])];
    // Every kind of line with every kind of count; beside it each outcome of another metric.
    for (n, line) in first.iter().enumerate() {
        for count in &counts {
            for advisory in &advisory {
                let beside = second[(n * 7) % second.len()].clone();
                claims_hold(&gate(vec![line.clone()], vec![count.clone()], advisory.clone()));
                let lines = vec![line.clone(), beside];
                claims_hold(&gate(lines, vec![count.clone()], advisory.clone()));
            }
        }
    }
}

#[test]
fn over_a_sweep_it_stays_a_sentence() {
    let slow = kinds("service.p50").into_iter().find(|l| l.outcome == Outcome::Regression).unwrap();
    let text = gate(vec![slow; 300], Vec::new(), None).sentence;
    assert!(text.ends_with("; and 294 more."), "{text}");
    assert!(text.len() < 2_000);
}
