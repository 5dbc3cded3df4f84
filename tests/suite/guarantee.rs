//! What is lost under faults has its reason, and the same faults cost less under a guarantee.

use crate::common::{Bench, json, turn};
use serde_json::Value;

/// A fan-out under these settings, and its arms.
fn arms(bench: &Bench, out: &str, words: &[&str]) -> Vec<Value> {
    let short = ["run", "fanout", "--subscribers", "10", "--blocks", "1", "--duration", "1200ms"];
    let load = ["--warmup", "200ms", "--rate", "100", "--out", out, "--set", "load.timeout=4s"];
    let settings = ["--set", "delivery.queue=10000", "--set", "subscribers.backoff=20ms"];
    let retrying = words.iter().any(|word| word.starts_with("guarantee.delivery"));
    let settings = if retrying { &settings[..2] } else { &settings[..] };
    let backoff = ["--set", "guarantee.backoff=20ms", "--set", "guarantee.backoff_max=200ms"];
    let backoff = if retrying { &backoff[..] } else { &[] };
    bench.run(&[&short[..], &load, settings, backoff, words].concat()).succeeds();
    let report = json(bench, out);
    let arms = report["points"][0]["arms"].as_array().unwrap().clone();
    for arm in &arms {
        let g = &arm["guarantee"];
        let n = |name: &str| g[name].as_u64().expect(name);
        let lost: u64 = reasons(arm).iter().map(|(_, n)| n).sum();
        assert_eq!(n("due"), n("delivered") + lost, "{g}");
        assert!(n("due") > 0, "{g}");
    }
    arms
}

/// Why deliveries were lost, as far as some were.
fn reasons(arm: &Value) -> Vec<(String, u64)> {
    let lost = arm["guarantee"]["lost"].as_object().unwrap();
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

#[test]
fn at_most_once_loses_what_an_outage_meets_and_says_why() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let outage = ["--set", "faults.outage=300ms", "--set", "faults.at=300ms"];
    for arm in arms(&bench, "once", &[&EACH[..], &outage].concat()) {
        let known = reasons(&arm);
        let webhook = arm["arm"] == "webhook@builtin";
        let main = if webhook { "attempts" } else { "away" };
        assert!(known.iter().any(|(why, n)| why == main && *n > 100), "{} {known:?}", arm["arm"]);
        assert!(known.iter().all(|(why, _)| why != "unexplained"), "{} {known:?}", arm["arm"]);
        let recovery = &arm["events"]["recovery_ns"];
        assert!(recovery["all_back"].as_f64() > Some(0.0), "{recovery}");
        assert_eq!(recovery["caught_up"], Value::Null, "something never came: {recovery}");
        // Nobody has got anything for the whole outage, and everybody has later.
        let ages = arm["guarantee"]["freshness"].as_array().unwrap();
        let oldest = |point: &Value| point["oldest_us"].as_u64().unwrap();
        assert!(ages.iter().any(|point| oldest(point) > 150_000), "{ages:?}");
        assert!(ages.iter().filter(|point| oldest(point) < 100_000).count() > 2, "{ages:?}");
    }
}

#[test]
fn what_neither_log_nor_restarted_publisher_has_is_lost_with_that_reason() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let promise = ["--set", "guarantee.delivery=at-least-once"];
    let outage = ["--set", "faults.outage=400ms", "--set", "faults.at=300ms"];
    let small = [&EACH[2..], &promise, &outage, &["--set", "guarantee.log=10"]].concat();
    for arm in arms(&bench, "log", &small) {
        let known = reasons(&arm);
        assert!(matches!(&known[..], [(why, n)] if why == "log" && *n > 100), "{known:?}");
    }
    let kill = ["--set", "faults.kill=true", "--set", "faults.at=300ms"];
    let kept_busy = ["--set", "faults.status.500=20%"];
    for arm in arms(&bench, "kill", &[&EACH[..], &promise, &kill, &kept_busy].concat()) {
        let known = reasons(&arm);
        assert!(known.iter().all(|(why, _)| why == "restart"), "{} {known:?}", arm["arm"]);
        assert_eq!(arm["guarantee"]["fault"]["all_back"], 1, "{}", arm["guarantee"]["fault"]);
    }
    bench.nothing_left();
}
