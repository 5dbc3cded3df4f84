//! What is lost under faults has its reason, and the same faults cost less under a guarantee.

use crate::common::{Bench, turn};
use serde_json::Value;

/// A fan-out under these settings: the trial of each arm. What is counted is counted in an invalid one as well.
fn trials(bench: &Bench, out: &str, words: &[&str]) -> Vec<Value> {
    let short = ["run", "fanout", "--subscribers", "10", "--blocks", "1", "--duration", "1200ms"];
    let load = ["--warmup", "200ms", "--rate", "100", "--out", out, "--set", "load.timeout=4s"];
    let ended = bench.run(&[&short[..], &load, &["--set", "delivery.queue=10000"], words].concat());
    let text =
        std::fs::read_to_string(bench.path(&format!("{out}/trials.jsonl"))).unwrap_or_default();
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let trials: Vec<Value> = all.filter(|trial| trial["stage"] == "block").collect();
    assert!(trials.len() >= 3, "{}\n{}", ended.out, ended.err);
    for trial in &trials {
        let g = &trial["guarantee"];
        let n = |name: &str| g[name].as_u64().expect(name);
        let lost: u64 = reasons(trial).iter().map(|(_, n)| n).sum();
        assert_eq!(n("due"), n("delivered") + lost, "{g}");
        assert!(n("due") > 0, "{g}");
    }
    trials
}

/// The same of a run in which no delivery was left open and all receivers were back. On a machine without CPU to spare a run may
/// end before that: up to three are made.
fn finished_trials(bench: &Bench, out: &str, words: &[&str]) -> Vec<Value> {
    let finished = |trial: &Value| {
        let none_open = reasons(trial).iter().all(|(why, _)| why != "open");
        none_open && trial["guarantee"]["recovery"]["all_back_ns"].is_u64()
    };
    for attempt in 1..3 {
        let trials = trials(bench, &format!("{out}-{attempt}"), words);
        if trials.iter().all(finished) {
            return trials;
        }
        eprintln!("once more: {trials:?}");
    }
    trials(bench, &format!("{out}-3"), words)
}

/// Why deliveries were lost, as far as some were.
fn reasons(trial: &Value) -> Vec<(String, u64)> {
    let lost = trial["guarantee"]["lost"].as_object().unwrap();
    let counts = lost.iter().map(|(why, n)| (why.clone(), n.as_u64().unwrap()));
    counts.filter(|(_, n)| *n > 0).collect()
}

const EACH: [&str; 8] = [
    "--arm",
    "webhook@builtin",
    "--arm",
    "websocket@builtin",
    "--arm",
    "sse@builtin",
    "--arm",
    "long-poll@builtin",
];

const RETRYING: [&str; 6] = [
    "--set",
    "guarantee.delivery=at-least-once",
    "--set",
    "guarantee.backoff=20ms",
    "--set",
    "guarantee.backoff_max=200ms",
];

#[test]
fn at_most_once_loses_what_an_outage_meets_and_says_why() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let outage = ["--set", "faults.outage=300ms", "--set", "faults.at=300ms"];
    let backoff = ["--set", "subscribers.backoff=20ms"];
    for trial in finished_trials(&bench, "once", &[&EACH[..], &outage, &backoff].concat()) {
        let (label, known) = (&trial["label"], reasons(&trial));
        let main = if label == "webhook@builtin" { "attempts" } else { "away" };
        assert!(known.iter().any(|(why, n)| why == main && *n > 100), "{label} {known:?}");
        assert!(known.iter().all(|(why, _)| why != "unexplained"), "{label} {known:?}");
        let recovery = &trial["guarantee"]["recovery"];
        assert!(recovery["all_back_ns"].as_u64() > Some(0), "{label} {recovery}");
        assert_eq!(recovery["caught_up_ns"], Value::Null, "something never came: {recovery}");
        // Nobody has got anything in the outage.
        let ages = trial["guarantee"]["freshness"].as_array().unwrap();
        let oldest = |point: &Value| point["oldest_us"].as_u64().unwrap();
        assert!(ages.iter().any(|point| oldest(point) > 150_000), "{label} {ages:?}");
    }
    bench.nothing_left();
}

#[test]
fn what_neither_log_nor_restarted_publisher_has_is_lost_with_that_reason() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let outage = ["--set", "faults.outage=400ms", "--set", "faults.at=300ms"];
    let small = [&EACH[2..], &RETRYING, &outage, &["--set", "guarantee.log=10"]].concat();
    for trial in finished_trials(&bench, "log", &small) {
        let known = reasons(&trial);
        assert!(matches!(&known[..], [(why, n)] if why == "log" && *n > 100), "{known:?}");
    }
    let kill = ["--set", "faults.kill=true", "--set", "faults.at=300ms"];
    let kept_busy = ["--set", "faults.status.500=20%"];
    for trial in
        finished_trials(&bench, "kill", &[&EACH[..], &RETRYING, &kill, &kept_busy].concat())
    {
        let (label, known) = (&trial["label"], reasons(&trial));
        assert!(known.iter().all(|(why, _)| why == "restart"), "{label} {known:?}");
        let recovery = &trial["guarantee"]["recovery"];
        assert!(recovery["all_back_ns"].as_u64() > Some(0), "{label} {recovery}");
    }
    bench.nothing_left();
}
