//! Fan-out, end to end: real publishers, real subscribers, every delivery accounted for.

use crate::common::{Bench, json, turn, valid_blocks};
use serde_json::Value;

/// A fan-out as short as it can be.
fn fanout<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let short = ["run", "fanout", "--subscribers", "20", "--blocks", "2", "--duration", "500ms"];
    [&short[..], &["--warmup", "200ms", "--rate", "40"], more].concat()
}

const ALL: [&str; 6] =
    ["--arm", "webhook@builtin", "--arm", "websocket@builtin", "--arm", "tcp@builtin"];

/// What must hold of every arm, whatever happened.
fn adds_up(arm: &Value) {
    let f = &arm["fanout"];
    let n = |name: &str| f["deliveries"][name].as_u64().expect(name);
    assert_eq!(n("due"), n("received") + n("failed") + n("timed_out") + n("lost"), "{f}");
    assert_eq!(n("due"), f["events"].as_u64().unwrap() * f["subscribers"].as_u64().unwrap(), "{f}");
    assert_eq!(f["events"], arm["events"]["due"], "every event is due at every subscriber");
}

#[test]
fn every_subscriber_gets_every_event_over_each_transport() {
    let _turn = turn::measuring();
    let bench = Bench::with_its_own_program();
    let ended = bench.run(&fanout(&[&ALL[..], &["--out", "r"]].concat()));
    ended.succeeds();
    for text in
        ["20 subscribers, acknowledged by id", "last subscriber p50", "due / received / lost"]
    {
        assert!(ended.out.contains(text), "no {text:?} in {}", ended.out);
    }
    let report = json(&bench, "r");
    let arms = report["points"][0]["arms"].as_array().unwrap();
    assert_eq!(arms.len(), 3);
    let mut segments = Vec::new();
    for arm in arms {
        adds_up(arm);
        let f = &arm["fanout"];
        assert_eq!((&f["reach"], &f["complete"]), (&1.0.into(), &f["events"]), "{f}");
        assert_eq!(
            (&f["deliveries"]["duplicated"], &f["deliveries"]["reordered"]),
            (&0.into(), &0.into())
        );
        let subscribers = 20 * valid_blocks(&report);
        assert_eq!(f["connections"], subscribers, "one a subscriber in each block: {f}");
        assert!(f["target_bytes_per_subscriber"].as_f64() > Some(0.0), "{f}");
        assert!(f["target_cpu_ns_per_delivery"].as_f64() > Some(0.0), "{f}");
        assert!(f["wire"]["bytes_in_per_delivery"].as_f64() > Some(512.0), "{f}");
        // They come from the pilot, which may be invalid on a busy machine.
        segments.extend(f["wire"]["segments_per_delivery"].as_f64());
        // The publisher's own account says the same as the subscribers'.
        let p = &f["publisher"];
        assert_eq!((&p["acknowledged"], &p["open"]), (&p["queued"], &0.into()), "{f}");
        assert_eq!(p["complete"], p["published"], "{f}");
        // The fewest are those of the shortest schedule.
        let fewest = p["least_acknowledged"].as_u64().unwrap();
        assert!(fewest > 0 && fewest * subscribers <= p["acknowledged"].as_u64().unwrap(), "{f}");
    }
    assert!(!segments.is_empty() && segments.iter().all(|n| *n >= 1.0), "{segments:?}");
    let metrics: Vec<&str> = report["points"][0]["comparisons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["metric"].as_str().unwrap())
        .collect();
    assert!(metrics.contains(&"delivery.p50") && !metrics.contains(&"response.p50"), "{metrics:?}");
    for format in ["text", "markdown"] {
        bench.run(&["report", "r", "--format", format]).succeeds();
    }
    bench.nothing_left();
}

#[test]
fn four_arms_stand_in_one_table() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let arms = [&ALL[..], &["--arm", "websocket@builtin"]].concat();
    let ended = bench.run(&fanout(&[&arms[..], &["--out", "r"]].concat()));
    ended.succeeds();
    for text in ["by delivery.p50", "memory/subscriber", "websocket@builtin#2"] {
        assert!(ended.out.contains(text), "no {text:?} in {}", ended.out);
    }
}

#[test]
fn a_broadcast_that_nobody_acknowledges_sends_nothing_back() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let more = ["--set", "delivery.acknowledged=false", "--out", "r"];
    bench.run(&fanout(&[&ALL[2..], &more].concat())).succeeds();
    let report = json(&bench, "r");
    for arm in report["points"][0]["arms"].as_array().unwrap() {
        adds_up(arm);
        let f = &arm["fanout"];
        assert_eq!((&f["acknowledged"], &f["reach"]), (&false.into(), &1.0.into()));
        assert_eq!(f["wire"]["bytes_out_per_delivery"], 0.0, "{f}");
        let p = &f["publisher"];
        assert_eq!((&p["acknowledged"], &p["written"]), (&0.into(), &p["queued"]), "{f}");
    }
}

#[test]
fn more_subscribers_than_fit_are_refused_with_the_number_that_does() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let args = ["run", "fanout", "--subscribers", "9000", "--out", "r"];
    let ended = bench.run_limited("ulimit -n 300", &args);
    ended.fails(64, &["9000 subscribers", "file descriptors", "--subscribers 232", "ulimit -Hn"]);
    assert!(!bench.path("r").exists(), "something was begun");
    // That number is no guess: it runs.
    let few = ["run", "fanout", "--subscribers", "232", "--blocks", "2", "--duration", "500ms"];
    let few = [&few[..], &["--warmup", "200ms", "--rate", "10", "--out", "r"]].concat();
    bench.run_limited("ulimit -n 300", &few).succeeds();
    let report = json(&bench, "r");
    for arm in report["points"][0]["arms"].as_array().unwrap() {
        assert_eq!(arm["fanout"]["reach"], 1.0, "{arm}");
    }
}

#[test]
fn expectations_speak_of_deliveries() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let text = "question = \"?\"\nflow = \"fanout\"\n[load]\narrivals = \"constant\"\nrate = 40\n\
        duration = \"300ms\"\nwarmup = \"100ms\"\n[connections]\ncount = 2\n[subscribers]\ncount = 5\n\
        [compare]\nblocks = 2\n[expect]\n";
    for (line, code) in [
        ("lost = 0\nduplicated = 0\noverflowed = 0\nreach = 1\n", 0),
        ("\"delivery.p50\" = \"1us\"\n", 1),
        ("\"last.p99\" = \"1s\"\n", 2),
    ] {
        bench.write("e.toml", &format!("{text}{line}"));
        let ended = bench.run(&["run", "e.toml"]);
        assert_eq!(ended.code, Some(code), "{line}{}{}", ended.out, ended.err);
    }
}
