//! The truth page, and the instrument that says by itself where it is not to be trusted.

use crate::common::{Bench, PUSHBENCH};
use serde_json::Value;

/// A described target that is this program's exact one.
fn exact(bench: &Bench) {
    bench.write(
        "pushbench.toml",
        &format!(
            "[target.exact.tcp]\ncommand = [\"{PUSHBENCH}\", \"__exact\", \"tcp\", \"0\", \"account.json\", \
             \"127.0.0.1:{{port}}\"]\nurl = \"tcp://127.0.0.1:{{port}}\"\nready = \"line:listening on\"\nmatch = \"id\"\n"
        ),
    );
}

#[test]
fn an_exact_target_holds_events_and_leaves_an_account() {
    let bench = Bench::new();
    exact(&bench);
    let ended = bench.run(&[
        "run",
        "ingest",
        "--arm",
        "tcp@exact",
        "--rate",
        "500",
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
    let account: Value =
        serde_json::from_str(&std::fs::read_to_string(bench.path("account.json")).unwrap())
            .unwrap();
    assert!(account["held"].is_string(), "{account}");
    bench.nothing_left();
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
