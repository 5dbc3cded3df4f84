//! Exactly once under each planned fault over each transport: what the publisher accepted reaches each application, and no
//! event twice. `PUSHBENCH_FAULT_SEEDS=5` runs five seeds of each instead of one of a few.

use crate::common::{Bench, json, turn};

/// Each fault with its keys.
const FAULTS: [(&str, &[&str]); 10] = [
    ("outage", &["faults.outage=400ms", "faults.at=300ms"]),
    ("cut", &["faults.cut=true", "faults.at=300ms"]),
    ("killed publisher", &["faults.kill=true", "faults.at=300ms", "guarantee.durable=true"]),
    ("resets", &["faults.reset=3%"]),
    ("refused connections", &["faults.refuse=20%", "faults.reset=2%"]),
    ("500", &["faults.status.500=3%"]),
    ("503", &["faults.status.503=1%", "faults.retry_after=1s"]),
    ("429", &["faults.status.429=1%", "faults.retry_after=1s"]),
    ("lost acknowledgements", &["faults.lost_acks=5%"]),
    (
        "everything at random, ordered",
        &[
            "faults.reset=2%",
            "faults.status.500=2%",
            "faults.lost_acks=2%",
            "faults.refuse=5%",
            "guarantee.ordered=true",
        ],
    ),
];

const SCENARIO: &str = r#"
name = "every-fault"
question = "Does exactly once hold?"
flow = "fanout"
[guarantee]
delivery = "exactly-once"
backoff = "20ms"
backoff_max = "200ms"
attempts = 200
[load]
arrivals = "constant"
rate = 100
warmup = "200ms"
duration = "1500ms"
timeout = "20s"
[connections]
count = 2
in_flight = 1
[subscribers]
count = 8
[delivery]
acknowledged = true
queue = 10000
timeout = "5s"
poll_interval = "50ms"
long_poll_hold = "1s"
[payload]
bytes = 256
[compare]
blocks = 1
arms = "webhook@builtin websocket@builtin sse@builtin long-poll@builtin"
matters = { latency = "1ms", cpu = "5%" }
"#;

/// Faults that the suite tries with one seed.
const USUAL: [&str; 3] = ["outage", "killed publisher", "everything at random, ordered"];

#[test]
fn exactly_once_holds_under_each_fault_over_each_transport() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    bench.write("every-fault.toml", SCENARIO);
    let seeds: Option<u64> =
        std::env::var("PUSHBENCH_FAULT_SEEDS").ok().map(|n| n.parse().unwrap());
    for (name, keys) in FAULTS {
        if seeds.is_none() && !USUAL.contains(&name) {
            continue;
        }
        for seed in 1..=seeds.unwrap_or(1) {
            let (out, number) = (format!("{}-{seed}", name.replace(' ', "-")), seed.to_string());
            let mut words = vec!["run", "every-fault.toml", "--out", &out, "--seed", &number];
            keys.iter().for_each(|key| words.extend(["--set", key]));
            let ended = bench.run(&words);
            ended.succeeds();
            let report = json(&bench, &out);
            for arm in report["points"][0]["arms"].as_array().unwrap() {
                let (counts, due) = (&arm["events"], &arm["guarantee"]["due"]);
                let (arm, due) = (&arm["arm"], due.as_u64().unwrap());
                let count = |key: &str| counts[key].as_u64().unwrap();
                let what = format!("{name}, seed {seed}, {arm}: {counts}\n{}", ended.out);
                // How long a publisher takes to start again depends on the machine: then only what it had accepted
                // before counts, at eight subscribers.
                let least = if name == "killed publisher" { 8 * 20 } else { 1000 };
                assert!(due > least, "{what}");
                assert_eq!(count("lost_for_good"), 0, "{what}");
                assert_eq!(count("delivered_once"), due, "{what}");
                assert_eq!(count("duplicates_to_application"), 0, "{what}");
                if keys.iter().any(|key| key.starts_with("faults.lost_acks")) {
                    assert!(count("duplicates_on_wire") > 0, "{what}");
                }
                if keys.contains(&"guarantee.ordered=true") {
                    assert_eq!(count("out_of_order"), 0, "{what}");
                }
                println!("{name}, seed {seed}, {arm}: {} of {}", counts["delivered_once"], due);
            }
        }
    }
    bench.nothing_left();
}

/// Keys that make a scenario brief.
const BRIEF: [(&str, &[&str]); 7] = [
    ("outage", &["faults.at=100ms", "faults.outage=200ms", "load.duration=800ms"]),
    ("lost-acks", &["load.duration=500ms", "faults.lost_acks=5%"]),
    ("restart-publisher", &["faults.at=200ms", "load.duration=1s", "faults.status.503=0%"]),
    // More often than the scenario: a busy host lets a virtual CPU that idles for long work slowly at first.
    (
        "reconnect-storm",
        &["subscribers.count=30", "load.rate=60", "faults.at=300ms", "load.duration=1200ms"],
    ),
    ("poison", &["load.duration=500ms", "load.timeout=1s"]),
    ("ordered", &["load.duration=500ms"]),
    ("guarantees", &["load.duration=300ms"]),
];

#[test]
fn each_scenario_in_which_something_breaks_counts_every_delivery() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    for (scenario, keys) in BRIEF {
        let mut words = vec!["run", scenario, "--blocks", "1", "--warmup", "100ms"];
        keys.iter().for_each(|key| words.extend(["--set", key]));
        let ended = bench.measure(scenario, &words);
        ended.succeeds();
        let report = json(&bench, scenario);
        for point in report["points"].as_array().unwrap() {
            for arm in point["arms"].as_array().unwrap() {
                // At most once and nothing that breaks: there is nothing to be counted.
                let Some(figures) = arm["guarantee"].as_object() else { continue };
                let count = |key: &str| figures[key].as_u64().unwrap();
                let lost = arm["events"]["lost_for_good"].as_u64().unwrap();
                assert!(count("due") > 0, "{scenario}: {arm}");
                assert_eq!(count("due"), count("delivered") + lost, "{scenario}: {arm}");
                assert_eq!(figures["lost"]["unexplained"], 0, "{scenario}: {arm}");
            }
        }
    }
    bench.nothing_left();
}
