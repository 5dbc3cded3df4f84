//! The article's servers, set up from nothing. Skipped where Python 3 with venv is missing, except in
//! CI, where that is a failure.

use crate::common::targets::set_up;
use crate::common::{Bench, json, turn, valid_blocks};
use crate::targets::described;
use std::process::Command;

pub fn python_is_missing() -> bool {
    let works = |args: &[&str]| {
        Command::new("python3").args(args).output().is_ok_and(|o| o.status.success())
    };
    if works(&["-c", "import venv, ensurepip"]) {
        return false;
    }
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "python3 with venv is missing: apt install python3 python3-venv"
    );
    eprintln!("skipped: python3 with venv is missing (apt install python3 python3-venv)");
    true
}

#[test]
fn flask_and_websockets_lose_nothing_and_flask_pays_for_connections() {
    if python_is_missing() {
        return;
    }
    set_up(&["webhook@flask", "websocket@websockets"].map(described));
    let _turn = turn::measuring();
    let bench = Bench::new();
    let args = ["run", "ingest", "--arm", "webhook@flask", "--arm", "websocket@websockets"];
    let more = [
        "--rate",
        "100",
        "--blocks",
        "2",
        "--duration",
        "500ms",
        "--warmup",
        "200ms",
        "--out",
        "r",
    ];
    let run = |args: &[&str]| bench.run_prepared(args);
    run(&[&args[..], &more].concat()).succeeds();
    let report = json(&bench, "r");
    let arms = &report["points"][0]["arms"];
    for arm in arms.as_array().unwrap() {
        assert_eq!(arm["events"]["acknowledged"], arm["events"]["due"], "{arm}");
        // The answers carry no id, so these are unknown, not zero.
        assert!(arm["events"]["duplicated"].is_null() && arm["events"]["reordered"].is_null());
        assert!(arm["target_usage"]["cpu_ns_per_event"].as_f64() > Some(10_000.0), "{arm}");
    }
    // Flask's own server closes after every answer.
    let per_event = |arm: usize| arms[arm]["connections"]["per_event"].as_f64().unwrap();
    assert!((0.9..1.6).contains(&per_event(0)), "{}", per_event(0));
    assert_eq!(arms[1]["connections"]["opened"], 32 * valid_blocks(&report));

    // What a first look finds out about them.
    let verified = run(&["verify", "flask", "websockets", "--format", "json"]);
    verified.succeeds();
    let found: serde_json::Value = serde_json::from_str(&verified.out).unwrap();
    let rows = found["rows"].as_array().unwrap();
    let row = |aspect: &str| rows.iter().find(|r| r["aspect"] == aspect).unwrap();
    assert_eq!(row("keep-alive")["differs"], true);
    assert_eq!(row("keep-alive")["arms"][0]["value"], "one event each");
    assert_eq!(row("malformed")["arms"][0]["value"], "refused and closed");
    assert_eq!(row("malformed")["arms"][1]["value"], "refused and closed");
    assert_eq!(row("order")["arms"][0]["known"], "unknown");

    // The second time nothing is set up.
    let again = run(&[&args[..], &more[..8], &["--out", "again"]].concat());
    again.succeeds();
    assert!(!again.err.contains("setting up"), "{}", again.err);
    bench.nothing_left();
}
