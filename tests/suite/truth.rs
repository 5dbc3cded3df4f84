//! The truth page, and the instrument that says by itself where it is not to be trusted.

use crate::common::{Bench, PUSHBENCH};
use serde_json::Value;

/// A described target that is this program's exact one.
fn exact(bench: &Bench, service: &str) {
    bench.write(
        "pushbench.toml",
        &format!(
            "[target.exact.tcp]\ncommand = [\"{PUSHBENCH}\", \"__exact\", \"tcp\", \"{service}\", \"account.json\", \
             \"127.0.0.1:{{port}}\"]\nurl = \"tcp://127.0.0.1:{{port}}\"\nready = \"line:listening on\"\nmatch = \"id\"\n"
        ),
    );
}

/// A run of one block at this rate: the last trial, and the account of its target.
fn run(bench: &Bench, rate: &str) -> (Value, Value) {
    let ended = bench.run(&[
        "run",
        "ingest",
        "--arm",
        "tcp@exact",
        "--rate",
        rate,
        "--blocks",
        "1",
        "--duration",
        "300ms",
        "--warmup",
        "100ms",
        "--out",
        "run",
    ]);
    let trials = std::fs::read_to_string(bench.path("run/trials.jsonl")).unwrap();
    let trial: Value = serde_json::from_str(trials.lines().last().unwrap()).unwrap();
    assert_eq!(trial["events"]["acknowledged"], trial["events"]["due"], "{}", ended.err);
    // The first look and the pilot have targets of their own.
    let account = std::fs::read_to_string(bench.path("account.json.2")).unwrap();
    bench.nothing_left();
    (trial, serde_json::from_str(&account).unwrap())
}

#[test]
fn an_exact_target_holds_events_and_leaves_an_account() {
    let bench = Bench::new();
    exact(&bench, "0");
    let (_, account) = run(&bench, "500");
    assert!(account["held"].is_string(), "{account}");
    assert_eq!(account["log"], Value::Array(Vec::new()));
}

#[test]
fn an_exact_server_serves_one_event_after_the_other_and_logs_each() {
    let bench = Bench::new();
    exact(&bench, "sleep:1000000");
    let (trial, account) = run(&bench, "700");
    let log = account["log"].as_array().unwrap();
    let events = |part: &str| trial[part]["due"].as_u64().unwrap();
    let at = |served: &Value, instant: &str| served[instant].as_u64().unwrap();
    let mut indices: Vec<u64> = log.iter().map(|served| at(served, "index")).collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..events("events") + events("warmup")).collect::<Vec<_>>());
    for pair in log.windows(2) {
        assert!(at(&pair[0], "free") <= at(&pair[1], "start"), "{pair:?}");
        assert!(at(&pair[1], "start") + 1_000_000 <= at(&pair[1], "end"), "{pair:?}");
        assert!(at(&pair[1], "end") <= at(&pair[1], "free"), "{pair:?}");
    }
    // Some event found a queue.
    assert!(log.windows(2).any(|pair| pair[0]["free"] == pair[1]["start"]));
}

#[test]
fn a_truth_page_is_shown_again_without_measuring() {
    let bench = Bench::new();
    let stored = concat!(env!("CARGO_MANIFEST_DIR"), "/results/truth");
    let page = std::fs::read_to_string(format!("{stored}/report.md")).unwrap();
    let ended = bench.run(&["report", stored]);
    ended.succeeds();
    assert_eq!(ended.out, page);
    let json = bench.run(&["report", stored, "--format", "json"]);
    json.succeeds();
    assert_eq!(json.out, std::fs::read_to_string(format!("{stored}/truth.json")).unwrap());
    let csv = bench.run(&["report", stored, "--format", "csv"]);
    assert_eq!(csv.code, Some(64), "{}", csv.err);
}
