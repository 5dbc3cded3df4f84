use super::*;
use crate::compare::judge::{CONFIDENCE, Values};
use crate::compare::sample;
use proptest::prelude::*;
use pushbench_core::scorecard::{Compared, Form, Measurement, Passage, Role, SCHEMA, Source};
use std::collections::BTreeMap;

fn arms() -> BTreeMap<Role, String> {
    BTreeMap::from([
        (Role::Webhook, "webhook@builtin".to_owned()),
        (Role::Websocket, "websocket@builtin".to_owned()),
    ])
}

fn measured(name: &str) -> Measurement {
    Measurement {
        name: name.to_owned(),
        conditions: format!("conditions of {name}"),
        source: Some(Source {
            dir: format!("results/{name}"),
            version: "1".to_owned(),
            began: "2026-01-01".to_owned(),
            stored: false,
            differs: Vec::new(),
        }),
        why_not: None,
        arms: arms(),
        compared: Vec::new(),
        passages: Vec::new(),
    }
}

fn card(measurements: Vec<Measurement>) -> CardRecord {
    CardRecord {
        schema: SCHEMA,
        version: "1".to_owned(),
        command: "pushbench scorecard".to_owned(),
        began: "2026-01-01".to_owned(),
        machine: BTreeMap::new(),
        webhook: "webhook@builtin".to_owned(),
        websocket: "websocket@builtin".to_owned(),
        form: Form::Short,
        took_ns: 1,
        measurements,
        ease: Vec::new(),
        complete: true,
    }
}

/// The median response at rest, for which the claim favours the WebSocket.
fn at_rest(verdict: &str, matters: bool, blocks: usize) -> CardRecord {
    let mut rest = measured("rest");
    rest.compared.push(Compared {
        metric: "response.p50".to_owned(),
        roles: [Role::Webhook, Role::Websocket],
        values: [vec![4e6; blocks], vec![2e6; blocks]],
        ratio: Some([0.5, 0.4, 0.6]),
        difference: Some([-2e6, -2.5e6, -1.5e6]),
        verdict: verdict.to_owned(),
        matters,
        why: None,
    });
    card(vec![rest])
}

fn factor(record: CardRecord, name: &str) -> Factor {
    judge(record).factors.into_iter().find(|factor| factor.factor == name).unwrap()
}

#[test]
fn an_answer_agrees_only_where_its_verdict_and_size_do() {
    for (verdict, matters, blocks, claim) in [
        ("better", true, 8, Stance::Agrees),
        ("better", false, 8, Stance::TooSmall),
        ("worse", true, 8, Stance::Disagrees),
        ("equivalent", true, 8, Stance::TooSmall),
        ("inconclusive", true, 8, Stance::CannotTell),
        // An interval of too few blocks decides nothing.
        ("inconclusive", false, 7, Stance::CannotTell),
        ("inconclusive", false, 8, Stance::TooSmall),
        ("overloaded", true, 8, Stance::CannotTell),
        ("invalid", true, 0, Stance::CannotTell),
    ] {
        let found = factor(at_rest(verdict, matters, blocks), "real-time updates");
        assert_eq!(found.because.len(), 1);
        assert_eq!(found.because[0].claim, claim, "{verdict} {matters} {blocks}");
        let whole = match claim {
            Stance::Agrees => Verdict::BorneOut,
            Stance::Disagrees | Stance::TooSmall => Verdict::Contradicted,
            Stance::CannotTell | Stance::NoClaim => Verdict::NotMeasured,
        };
        assert_eq!(found.verdict, whole, "{verdict} {matters} {blocks}");
    }
}

/// Nothing on one side and something on the other has a direction, and so has "at least this much" of the one that carries
/// more.
#[test]
fn figures_with_one_direction_are_decided() {
    let mut record = at_rest("inconclusive", true, 8);
    let found = &mut record.measurements[0].compared[0];
    found.ratio = None;
    found.values[1] = vec![0.0; 8];
    let zero = factor(record.clone(), "real-time updates");
    assert_eq!(zero.because[0].claim, Stance::Agrees, "{}", zero.because[0].sentence);
    let mut record = card(vec![measured("saturation")]);
    let limit = |label: &str| Compared {
        metric: "throughput".to_owned(),
        roles: [Role::Webhook, Role::Websocket],
        values: [vec![1e5; 8], vec![1.4e5; 8]],
        ratio: Some([1.4, 1.3, 1.5]),
        difference: Some([4e4, 3e4, 5e4]),
        verdict: "inconclusive".to_owned(),
        matters: true,
        why: Some(format!(
            "{label}: at least this much, the driver was at its limit in 7 of 8 trials"
        )),
    };
    for (label, claim) in [
        ("websocket@builtin", Stance::Disagrees),
        // The one that carries less may carry more than that.
        ("webhook@builtin", Stance::CannotTell),
    ] {
        record.measurements[0].compared = vec![limit(label)];
        assert_eq!(factor(record.clone(), "scalability").because[0].claim, claim, "{label}");
    }
}

#[test]
fn answers_that_differ_make_a_verdict_that_depends() {
    let mut record = at_rest("better", true, 8);
    let mut loaded = record.measurements[0].clone();
    loaded.name = "loaded".to_owned();
    loaded.compared[0].verdict = "worse".to_owned();
    record.measurements.push(loaded);
    let found = factor(record, "real-time updates");
    assert_eq!((found.agree, found.disagree), (1, 1));
    assert_eq!(found.verdict, Verdict::Depends);
}

#[test]
fn nothing_measured_is_no_verdict_and_says_why() {
    let mut rest = measured("rest");
    (rest.source, rest.why_not) = (None, Some("the target was gone".to_owned()));
    for found in judge(card(vec![rest])).factors {
        // Duties are a matter of rules.
        let counted = found.factor == "ease of implementation";
        let expected = if counted { Verdict::BorneOut } else { Verdict::NotMeasured };
        assert_eq!(found.verdict, expected, "{}", found.factor);
        assert_eq!(found.not_measured.is_empty(), counted, "{}", found.factor);
        if found.factor == "real-time updates" {
            let text = found.not_measured.join("\n");
            assert!(text.contains("the target was gone"), "{text}");
            assert!(text.contains("cut short"), "{text}");
        }
    }
}

#[test]
fn figures_measured_elsewhere_say_so_in_their_sentence() {
    let mut record = at_rest("better", true, 8);
    let source = record.measurements[0].source.as_mut().unwrap();
    source.differs = vec!["cpu: A, then B".to_owned()];
    let found = factor(record, "real-time updates");
    assert!(found.because[0].sentence.contains("cpu: A, then B"), "{}", found.because[0].sentence);
}

fn passes(webhook: Option<bool>, websocket: Option<bool>) -> Factor {
    let mut reach = measured("reach");
    for (role, through) in [(Role::Webhook, webhook), (Role::Websocket, websocket)] {
        reach.passages.push(Passage {
            path: "nginx".to_owned(),
            role,
            tls: false,
            through,
            survives_silence: None,
            first_event_ns: None,
            cure: through.filter(|through| !through).map(|_| "path.via=x".to_owned()),
            why: "because".to_owned(),
        });
    }
    factor(card(vec![reach]), "firewall and proxy restrictions")
}

#[test]
fn a_path_agrees_where_only_the_favoured_transport_gets_through() {
    assert_eq!(passes(Some(true), Some(false)).verdict, Verdict::BorneOut);
    assert_eq!(passes(Some(true), Some(true)).verdict, Verdict::Contradicted);
    assert_eq!(passes(Some(false), Some(true)).verdict, Verdict::Contradicted);
    assert_eq!(passes(None, Some(true)).verdict, Verdict::NotMeasured);
    assert!(passes(Some(true), Some(false)).because[0].sentence.contains("does with path.via=x"));
}

#[test]
fn duties_of_the_usual_workload_are_counted() {
    let all = judge(card(Vec::new())).duties;
    let transports: Vec<&str> = all.iter().map(|duties| duties.transport).collect();
    assert_eq!(transports, ["webhook", "websocket"]);
}

/// What a card keeps of a run is enough to derive its interval again.
#[test]
fn intervals_follow_from_the_values_of_the_blocks() {
    let run = sample::ratios(0.8, 0.5);
    let labels = run.header.points[0].arms.iter().map(|arm| arm.label.clone());
    let roles: BTreeMap<Role, String> =
        [Role::Webhook, Role::Websocket].into_iter().zip(labels).collect();
    let wanted = ["response.p50", "target_usage.cpu_ns_per_event"];
    let kept = of_run(&run, &roles, &wanted);
    assert_eq!(kept.len(), 2);
    for found in kept {
        let [baseline, candidate] = found.values.clone();
        let values = Values { baseline, candidate };
        let ratio = values.ratio(CONFIDENCE).unwrap();
        assert_eq!(found.ratio, Some([ratio.estimate, ratio.low, ratio.high]), "{}", found.metric);
    }
}

#[test]
fn a_run_counts_as_the_same_only_with_the_same_plan_and_names_another_machine() {
    let run = sample::ratios(0.8, 0.5).header;
    let mut planned = run.clone();
    planned.complete = false;
    assert_eq!(same_plan(&planned, &run), Some(Vec::new()));
    let mut other = run.clone();
    other.environment.insert("cpu".to_owned(), "another".to_owned());
    let differs = same_plan(&planned, &other).unwrap();
    assert!(differs.iter().any(|d| d.contains("another")), "{differs:?}");
    let mut unfinished = run.clone();
    unfinished.complete = false;
    assert_eq!(same_plan(&planned, &unfinished), None);
    let mut reseeded = run.clone();
    reseeded.seed += 1;
    assert_eq!(same_plan(&planned, &reseeded), None);
    let mut faster = run;
    faster.points[0].scenario.load.rate = Some(1.0);
    assert_eq!(same_plan(&planned, &faster), None);
}

proptest! {
    /// A figure moves, and its sentence with it; a claim is only borne out by answers that agree.
    #[test]
    fn sentences_and_verdicts_follow_their_figures(
        by in 0.1..0.9f64,
        verdict in prop::sample::select(vec!["better", "worse", "equivalent", "inconclusive"]),
        matters: bool,
    ) {
        let mut record = at_rest(verdict, matters, 8);
        let before = factor(record.clone(), "real-time updates").because.remove(0).sentence;
        let found = &mut record.measurements[0].compared[0];
        found.difference = found.difference.map(|all| all.map(|v| v * by));
        found.values[1].iter_mut().for_each(|v| *v *= by);
        let after = factor(record, "real-time updates");
        prop_assert_ne!(&before, &after.because[0].sentence);
        let agrees = after.because.iter().any(|line| line.claim == Stance::Agrees);
        prop_assert_eq!(after.verdict == Verdict::BorneOut, agrees);
    }
}
