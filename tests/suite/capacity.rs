//! `pushbench capacity`, end to end: what is refused, a server whose capacity is bounded by construction, a target that
//! dies of its load, and a search that is interrupted.

use crate::common::{Bench, PUSHBENCH, ended, eventually, signal, turn};
use rustix::process::Signal;
use serde_json::Value;
use std::process::Stdio;

const USAGE: i32 = 64;

#[test]
fn what_cannot_be_searched_is_refused_before_anything_starts() {
    let bench = Bench::new();
    let ramp = ["ingest", "--set", "load.arrivals=ramp", "--set", "load.ramp_to=4000"];
    let mine = "flow = \"ingest\"\n[load]\nrate = 100\n[objective]\n\"response.p99\" = \"fast\"\n";
    bench.write("mine.toml", mine);
    let late = ["ingest", "--objective", "response.p99<=9s"];
    for (args, texts) in [
        (
            &["--of", "load.rates"][..],
            &["--of load.rates", "did you mean \"load.rate\"", "payload.bytes"][..],
        ),
        (
            &["--of", "subscribers.count"],
            &["the flow ingest has no subscribers", "capacity fanout"],
        ),
        (&["--objective", "response.p99"], &["FIGURE<=LIMIT", "response.p99<=50ms"]),
        (&["--objective", "respons.p99<=5ms"], &["did you mean \"response.p99\""]),
        (&["--objective", "response.p99>=5ms"], &["from the other side", "response.p99<=5ms"]),
        (&["--objective", "acknowledged<=99%"], &["from the other side", "acknowledged>=99%"]),
        (&["--objective", "acknowledged>=101%"], &["101%", "at most 100%"]),
        (
            &["--objective", "response.p99<=5ms", "--objective", "response.p99<=50ms"],
            &["has a limit already", "leave one of them out"],
        ),
        (&["--objective", "delivery.p99<=5ms"], &["the flow ingest has no such figure"]),
        (&late, &["load.timeout = 5", "--set load.timeout=18000ms"]),
        (&["saturate"], &["a closed loop", "--set load.arrivals=poisson"]),
        (
            &["rate-sweep", "--of", "payload.bytes"],
            &["several values of load.rate", "--set load.rate=VALUE"],
        ),
        (&ramp, &["no single rate", "load.arrivals=poisson"]),
        (&["mine.toml"], &["mine.toml:5:", "fast"]),
        (&["--precision", "90%"], &["0.5% to 50%"]),
        (&["--window", "1ms"], &["100ms or more"]),
        (&["--at-most", "5s"], &["--at-most 5.00 s", "needs 42.0 s for 2 arms", "--at-most 42s"]),
        (&["--start", "0"], &["--start 0", "1 or more"]),
        (&["--arm", "websocket@nosuch"], &["nosuch"]),
    ] {
        bench.run(&[&["capacity"], args].concat()).fails(USAGE, texts);
        assert!(!bench.path("results").exists(), "{args:?} has made a directory");
    }
    bench.nothing_left();
}

/// A target of this command, and words that search its capacity quickly.
fn searched(bench: &Bench, command: &str, more: &[&str]) -> Vec<String> {
    bench.write(
        "pushbench.toml",
        &format!(
            "[target.mine.webhook]\ncommand = \"{command}\"\nurl = \"http://127.0.0.1:{{port}}/webhook\"\n"
        ),
    );
    let words = [
        "capacity",
        "--arm",
        "webhook@mine",
        "--window",
        "400ms",
        "--out",
        "c",
        "--format",
        "json",
    ];
    words.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

fn search(bench: &Bench, command: &str, more: &[&str]) -> crate::common::Ended {
    let words = searched(bench, command, more);
    bench.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_server_that_sleeps_for_10_ms_an_event_carries_less_than_100_a_second() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let command = format!("{PUSHBENCH} serve webhook --listen 127.0.0.1:{{port}} --delay 10ms");
    let more = [
        "--set",
        "connections.count=1",
        "--start",
        "20",
        "--at-most",
        "25s",
        "--precision",
        "15%",
        "--objective",
        "response.p90<=150ms",
        "--objective",
        "acknowledged>=99%",
    ];
    let found = || {
        let ended = search(&bench, &command, &more);
        ended.succeeds();
        bench.nothing_left();
        let result: Value = serde_json::from_str(&ended.out).unwrap();
        (ended, result)
    };
    let drains = |result: &Value| {
        let overload = &result["arms"][0]["overload"];
        overload["drained_ns"].is_u64() || !overload["void"].is_null()
    };
    // Where the machine stands still after the burst, its queue does not drain in time.
    let (mut ended, mut result) = found();
    for _ in 1..3 {
        if !drains(&result) {
            std::fs::remove_dir_all(bench.path("c")).unwrap();
            (ended, result) = found();
        }
    }
    assert_eq!((&result["schema"], &result["of"]), (&1.into(), &"load.rate".into()));
    assert_eq!(result["objective"]["response.p90"], "150 ms", "{}", result["objective"]);
    let arm = &result["arms"][0];
    let highest = arm["highest"].as_f64().unwrap();
    assert!(20.0 < highest && highest < 100.0, "{arm}");
    let (low, high) = (arm["ci95"][0].as_f64().unwrap(), arm["ci95"][1].as_f64().unwrap());
    assert!(low < highest && highest < high, "{arm}");
    assert_eq!(arm["at_least"], false, "{arm}");
    // It sleeps: neither its CPU nor the driver gives way.
    let limit = arm["limited_by"].as_str().unwrap();
    assert!(["response.p90", "timeout", "backlog"].contains(&limit), "{arm}");
    assert_eq!(result["complete"], true);
    assert!(drains(&result), "{}", arm["overload"]);
    // Shown again, digit for digit.
    for (format, stored) in [("json", Some(&ended.out)), ("text", None), ("markdown", None)] {
        let again = bench.run(&["report", "c", "--format", format]);
        again.succeeds();
        stored.into_iter().for_each(|text| assert_eq!(again.out, *text));
        assert!(again.out.contains("webhook@mine"), "{}", again.out);
    }
    let page = std::fs::read_to_string(bench.path("c/capacity.html")).unwrap();
    assert_eq!(bench.run(&["report", "c", "--format", "html"]).out, page);
    bench.run(&["report", "c", "--format", "csv"]).fails(USAGE, &["text, json, markdown and html"]);
    bench.run(&["compare", "c", "c"]).fails(USAGE, &["a search for capacities"]);
    let trials = std::fs::read_to_string(bench.path("c/trials.jsonl")).unwrap();
    assert_eq!(trials.lines().count(), result["record"]["windows"].as_array().unwrap().len());
}

#[test]
fn a_promise_that_the_lowest_load_breaks_has_no_capacity() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let command = format!("{PUSHBENCH} serve webhook --listen 127.0.0.1:{{port}} --delay 300ms");
    let more = [
        "--set",
        "connections.count=1",
        "--start",
        "20",
        "--at-most",
        "40s",
        "--objective",
        "response.p50<=100ms",
    ];
    let ended = search(&bench, &command, &more);
    assert_eq!(ended.code, Some(1), "{}\n{}", ended.out, ended.err);
    let result: Value = serde_json::from_str(&ended.out).unwrap();
    let arm = &result["arms"][0];
    assert_eq!((&arm["highest"], &arm["ending"]), (&Value::Null, &"below".into()), "{arm}");
    bench.nothing_left();
}

#[test]
fn a_search_that_is_interrupted_keeps_its_bracket_and_leaves_nothing() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let command = format!("{PUSHBENCH} serve webhook --listen 127.0.0.1:{{port}} --delay 10ms");
    let words = searched(&bench, &command, &["--set", "connections.count=1", "--start", "20"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = bench.pushbench(&words);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let stored = || {
        let text = std::fs::read_to_string(bench.path("c/capacity.json")).unwrap_or_default();
        serde_json::from_str::<Value>(&text).unwrap_or_default()
    };
    eventually("two windows", || stored()["windows"].as_array().is_some_and(|w| w.len() >= 2));
    signal(&child, Signal::INT);
    let ended = ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{}\n{}", ended.out, ended.err);
    bench.nothing_left();
    assert_eq!(stored()["complete"], false);
    let result: Value = serde_json::from_str(&ended.out).unwrap();
    assert!(result["arms"][0]["bracket"].as_array().unwrap().iter().any(Value::is_f64), "{result}");
    let shown = bench.run(&["report", "c"]);
    shown.succeeds();
    assert!(shown.out.contains("ended before it was finished"), "{}", shown.out);
}
