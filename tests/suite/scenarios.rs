//! Every shipped scenario runs, in a short form, on every transport of the built-in servers; those in which something
//! breaks are in `every_fault.rs`.

use crate::common::{Bench, json, turn};
use serde_json::Value;

const ARMS: [&str; 6] =
    ["--arm", "webhook@builtin", "--arm", "websocket@builtin", "--arm", "tcp@builtin"];
/// A machine that stalls may void a block, and then another takes its place.
const BRIEF: [&str; 4] = ["--blocks", "1", "--warmup", "100ms"];

/// Runs a scenario briefly; every event must be acknowledged. Gives what was printed and the report.
fn brief(bench: &Bench, scenario: &str, more: &[&str]) -> (String, Value) {
    brief_of(bench, scenario, &[&ARMS, more].concat())
}

/// The same with the scenario's own arms, where no others are given.
fn brief_of(bench: &Bench, scenario: &str, more: &[&str]) -> (String, Value) {
    let ended = bench.measure(scenario, &[&["run", scenario][..], &BRIEF, more].concat());
    ended.succeeds();
    let report = json(bench, scenario);
    for point in report["points"].as_array().unwrap() {
        for arm in point["arms"].as_array().unwrap() {
            let events = &arm["events"];
            assert!(events["due"].as_u64() > Some(0), "{scenario}: {arm}");
            assert_eq!(events["acknowledged"], events["due"], "{scenario}: {arm}");
            assert!(!arm["time_line"].as_array().unwrap().is_empty(), "{scenario}: {arm}");
        }
    }
    (ended.out, report)
}

/// Whether there can be a path here: CI must have one.
fn namespaces() -> bool {
    match pushbench_path::namespace::Namespace::new() {
        Ok(_) => true,
        Err(why) => {
            assert!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("skipped: {why}");
            false
        }
    }
}

fn arms(point: &Value) -> &Vec<Value> {
    point["arms"].as_array().unwrap()
}

/// The axis of a sweep stands in the table, one line a value and arm.
fn shows_axis(out: &str, key: &str, values: &[&str]) {
    for value in values {
        let setting = format!("{key} = {value} ");
        let lines = out.lines().filter(|l| format!("{l} ").starts_with(&setting)).count();
        assert_eq!(lines, 3, "{setting}: {out}");
    }
}

#[test]
fn no_scenario_is_left_out_here() {
    let mut shipped: Vec<&str> =
        pushbench_core::scenario::shipped().map(|(name, _)| name).collect();
    shipped.sort_unstable();
    let here = "ablation burst churn cold-start compression connection-sweep distance duplex \
                fanout filter gate guarantees headers http2 idle idle-cutoff in-flight-sweep \
                ingest loss lost-acks narrow ordered outage payload-sweep poison proxied ramp \
                rate-sweep reconnect-storm restart-publisher roaming saturate \
                short-lived-connections signed-against-token slow-subscriber sparse tls-cold";
    assert_eq!(shipped, here.split(' ').collect::<Vec<_>>());
}

#[test]
fn ingest_gate_saturate_and_rate_sweep() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    brief(&bench, "ingest", &["--rate", "300", "--duration", "200ms"]);
    brief(&bench, "gate", &["--rate", "300", "--duration", "200ms"]);
    brief(&bench, "saturate", &["--duration", "100ms", "--connections", "4"]);
    let (out, _) = brief(&bench, "rate-sweep", &["--duration", "200ms"]);
    shows_axis(&out, "load.rate", &["500", "1000", "2000", "4000"]);
}

#[test]
fn in_flight_sweep_says_what_http_was_given_instead() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let (out, report) = brief(&bench, "in-flight-sweep", &["--duration", "100ms"]);
    shows_axis(&out, "connections.in_flight", &["1", "4", "16", "64"]);
    let last = &arms(&report["points"][3])[..];
    assert_eq!(last[0]["load"], serde_json::json!({"connections": 128, "in_flight": 1}));
    assert_eq!(last[1]["load"], serde_json::json!({"connections": 2, "in_flight": 64}));
    let note = "128 × 1 (connections × events in flight on each), instead of 2 × 64";
    assert!(out.contains(note), "{out}");
}

#[test]
fn payload_sweep_sends_what_it_says() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let (out, report) = brief(&bench, "payload-sweep", &["--duration", "200ms"]);
    shows_axis(&out, "payload.bytes", &["64", "512", "4KiB", "32KiB", "256KiB", "1MiB"]);
    for (point, bytes) in [(0, 64.0), (5, 1048576.0)] {
        for arm in arms(&report["points"][point]) {
            let sent = arm["wire"]["bytes_out_per_event"].as_f64().unwrap();
            assert!(sent > bytes && sent < bytes + 200.0, "{bytes}: {sent}");
        }
    }
}

#[test]
fn connection_sweep_opens_them_all() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    // 4,000 connections to each of three arms need more descriptors than some machines allow.
    let scenario =
        pushbench_core::scenario::shipped().find(|(n, _)| *n == "connection-sweep").unwrap().1;
    bench.write("connection-sweep.toml", &scenario.replace("1000, 4000]", "300]"));
    assert!(scenario.contains("1000, 4000]"), "{scenario}");
    let args = ["run", "connection-sweep.toml", "--out", "r"];
    let more = ["--duration", "200ms", "--rate", "300"];
    let ended = bench.run(&[&args[..], &more, &ARMS, &BRIEF].concat());
    ended.succeeds();
    shows_axis(&ended.out, "connections.count", &["1", "10", "100", "300"]);
    for arm in arms(&json(&bench, "r")["points"][3]) {
        assert_eq!(arm["connections"]["per_trial"], 300.0, "{arm}");
        assert_eq!(arm["events"]["acknowledged"], arm["events"]["due"]);
    }
}

#[test]
fn short_lived_connections_pay_for_their_handshakes() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let (out, report) =
        brief(&bench, "short-lived-connections", &["--duration", "200ms", "--rate", "500"]);
    shows_axis(&out, "connections.lifetime", &["1", "10", "100", "unlimited"]);
    assert!(out.contains("reconnects"), "{out}");
    for arm in arms(&report["points"][0]) {
        // The 32 warm ones carry an event each; every other event needs a connection of its own.
        let c = &arm["connections"];
        assert_eq!(c["per_event"], 1.0, "{arm}");
        let warm = c["opened"].as_f64().unwrap() / c["per_trial"].as_f64().unwrap() * 32.0;
        let opened = c["reconnects"].as_f64().unwrap() + warm;
        assert_eq!(c["opened"].as_f64(), Some(opened), "{arm}");
        assert!(arm["connections"]["connect_ns"]["p50"].as_u64() > Some(0), "{arm}");
    }
    for arm in arms(&report["points"][3]) {
        assert_eq!(arm["connections"]["reconnects"], 0);
    }
}

#[test]
fn http2_has_as_many_events_in_flight_in_every_arm() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let (_, report) = brief_of(&bench, "http2", &["--duration", "200ms", "--rate", "500"]);
    let last = &arms(&report["points"][3])[..];
    let slots = [(1, 64), (64, 1), (1, 64), (4, 16), (1, 64)];
    assert_eq!(last.len(), slots.len());
    for (arm, (connections, in_flight)) in last.iter().zip(slots) {
        let wanted = serde_json::json!({ "connections": connections, "in_flight": in_flight });
        assert_eq!(arm["load"], wanted, "{}", arm["arm"]);
    }
}

#[test]
fn distance_loss_and_narrow_cross_a_path() {
    if !namespaces() {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    // Few of the measured events find a connection that was made before the first one.
    let args = ["--set", "path.rtt=30ms", "--connections", "4", "--rate", "13", "--duration", "3s"];
    let trips = |arm: &Value| arm["response_ns"]["p50"].as_f64().unwrap() / 30e6;
    // A round trip takes no less than was asked for.
    let wrong = |report: &Value| -> Vec<String> {
        let points = report["points"].as_array().unwrap().iter();
        let bounds = points.zip([[2.0, 4.0], [1.0, 1.0]]);
        let each =
            bounds.flat_map(|(point, bounds)| arms(point).iter().map(move |arm| (arm, bounds)));
        let outside =
            each.filter(|(arm, [least, most])| !(least * 0.95..most + 0.9).contains(&trips(arm)));
        outside.map(|(arm, _)| format!("{}: {}", arm["arm"], trips(arm))).collect()
    };
    // On a busy machine it may take longer: one of three runs must not.
    let (out, report) = (0..2)
        .map(|_| brief_of(&bench, "distance", &args))
        .find(|(_, report)| {
            wrong(report).is_empty() || std::fs::remove_dir_all(bench.path("distance")).is_err()
        })
        .unwrap_or_else(|| brief_of(&bench, "distance", &args));
    assert_eq!(wrong(&report), Vec::<String>::new());
    assert!(
        out.contains("path: round trip 30.0 ms, no TLS")
            || out.contains("path: round trip 30.0 ms, TLS"),
        "{out}"
    );
    assert!(!out.contains("Not tested here: network delay"), "{out}");
    let (out, _) = brief_of(&bench, "loss", &["--set", "path.loss=3%", "--duration", "500ms"]);
    assert!(out.contains("round trip 40.0 ms, 3 % loss"), "{out}");
    let narrow = ["--set", "path.rate=10 Mbit/s", "--set", "payload.headers_bytes=500"];
    let (out, _) = brief_of(&bench, "narrow", &[&narrow[..], &["--duration", "500ms"]].concat());
    assert!(out.contains("round trip 40.0 ms, 10 Mbit/s"), "{out}");
}

#[test]
fn ablation_puts_each_layer_beside_the_same_arm_without_it() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let (out, report) = brief_of(&bench, "ablation", &["--duration", "300ms"]);
    let layers = report["points"][0]["layers"].as_array().unwrap();
    let pairs: Vec<String> = layers
        .iter()
        .map(|l| format!("{} {}", l["layers"], l["baseline"]).replace('"', ""))
        .collect();
    let mut expected = Vec::new();
    for transport in ["webhook", "websocket"] {
        for layer in ["+token", "+signed", "+tls", "+tls+signed"] {
            expected.push(format!("{layer} {transport}@builtin"));
        }
    }
    assert_eq!(pairs, expected);
    for layer in layers {
        // A token is part of a WebSocket's handshake alone.
        let bytes = layer["bytes_per_event"].as_f64().unwrap();
        let once = layer["candidate"] == "websocket+token@builtin";
        assert!(if once { bytes.abs() < 1.0 } else { bytes > 20.0 }, "{layer}");
        assert!(layer["comparisons"].as_array().unwrap().len() > 5, "{layer}");
    }
    assert!(out.contains("added to"), "{out}");
}

#[test]
fn a_connection_that_is_made_again_resumes_where_it_may() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let more = ["--duration", "300ms", "--rate", "200"];
    let fixed = ["--set", "tls.key=p256", "--set", "connections.lifetime=1"];
    let (_, report) = brief_of(&bench, "tls-cold", &[&more[..], &fixed].concat());
    for point in report["points"].as_array().unwrap() {
        let setting = &point["setting"];
        for arm in arms(point) {
            let c = &arm["connections"];
            let Some(found) = c["handshakes"].as_object() else {
                assert_eq!(arm["arm"], "webhook@builtin");
                continue;
            };
            let count = |kind: &str| found[kind].as_u64().unwrap();
            assert_eq!(c["opened"].as_u64(), Some(count("full") + count("resumed")), "{arm}");
            // The first connection of each of two slots has no session.
            let full =
                if setting["tls.resumption"] == true { 2 } else { c["opened"].as_u64().unwrap() };
            assert_eq!(count("full"), full, "{setting}: {arm}");
            assert!(arm["encode_ns"]["count"].as_u64() > Some(0), "{arm}");
            assert!(c["reconnects"].as_u64() > Some(20), "{arm}");
        }
    }
}

#[test]
fn cold_start_tells_first_events_from_later_ones() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let (out, report) = brief(&bench, "cold-start", &["--rate", "1000", "--duration", "1s"]);
    assert!(out.contains("event 100"), "{out}");
    for arm in arms(&report["points"][0]) {
        let strata = arm["strata"].as_array().unwrap();
        let counts: Vec<u64> =
            strata.iter().map(|s| s["response_ns"]["count"].as_u64().unwrap()).collect();
        assert_eq!(counts.iter().sum::<u64>(), arm["events"]["due"].as_u64().unwrap());
        // One in a hundred is the first of its connection, one the last; each of the 8 connections
        // may be anywhere in its life when the window opens and closes.
        let [first, _, _, last] = counts[..] else { panic!("{counts:?}") };
        let events = counts.iter().sum::<u64>();
        let near = |n: u64| n.abs_diff(events / 100) <= 16;
        assert!(near(first) && near(last) && first > 0, "{counts:?}");
    }
}

#[test]
fn burst_shows_what_waited_and_when_it_was_over() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let more = ["--rate", "200", "--duration", "1s", "--set", "load.burst_every=1s"];
    let (out, report) =
        brief(&bench, "burst", &[&more[..], &["--set", "load.burst_length=300ms"]].concat());
    for text in ["backlog peak", "time to drain", "burst, 2000/s", "after, 200/s"] {
        assert!(out.contains(text), "no {text} in {out}");
    }
    for arm in arms(&report["points"][0]) {
        let backlog = &arm["backlog"];
        assert_eq!(
            backlog["bursts"],
            arm["trials"].as_u64().unwrap() - arm["invalid"].as_u64().unwrap()
        );
        // A machine that stalls in the quiet time after the burst may not let it drain; that is said.
        assert_eq!(backlog["drain_ns"].is_u64(), backlog["undrained"] == 0, "{backlog}");
        let counts = arm["strata"].as_array().unwrap();
        let count = |i: usize| counts[i]["response_ns"]["count"].as_f64().unwrap();
        // Of a cycle's events 600 are due in the burst and 70 on either side of it.
        assert!(count(1) > 5.0 * count(0) && count(1) > 5.0 * count(2), "{arm}");
    }
}

#[test]
fn ramp_has_steps_and_a_knee() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let more = ["--rate", "200", "--duration", "1s", "--set", "load.ramp_to=1200"];
    let (out, report) = brief(&bench, "ramp", &more);
    assert!(out.contains("200/s to 300/s") && out.contains("kept up to"), "{out}");
    let point = &report["points"][0];
    assert_eq!(point["setting"], serde_json::json!({}));
    for arm in arms(point) {
        assert_eq!(arm["strata"].as_array().unwrap().len(), 10);
        assert!(arm["knee_per_second"].as_f64() >= Some(300.0), "{arm}");
        assert_eq!(arm["offered_per_second"], 700.0);
    }
}

#[test]
fn fanout_reaches_everybody() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let few = ["--subscribers", "10", "--rate", "100", "--duration", "500ms"];
    let (out, report) = brief(&bench, "fanout", &few);
    assert!(out.contains("10 subscribers, acknowledged by id"), "{out}");
    for arm in arms(&report["points"][0]) {
        assert_eq!(arm["fanout"]["reach"], 1.0, "{arm}");
    }
}

#[test]
fn duplex_answers_every_question() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let (out, report) = brief(&bench, "duplex", &["--rate", "200", "--duration", "300ms"]);
    assert!(out.contains("answers of 512 B"), "{out}");
    for arm in arms(&report["points"][0]) {
        assert!(arm["wire"]["bytes_in_per_event"].as_f64() > Some(512.0), "{arm}");
    }
}

#[test]
fn filter_delivers_what_is_wanted_and_counts_what_is_not() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let few = ["--subscribers", "12", "--duration", "500ms"];
    let (out, report) = brief(&bench, "filter", &few);
    assert!(out.contains("filtered by the publisher") && out.contains("not filtered"), "{out}");
    for (point, filtered) in [(0, true), (1, false)] {
        for arm in arms(&report["points"][point]) {
            assert_eq!(arm["fanout"]["reach"], 1.0, "{arm}");
            assert_eq!(arm["fanout"]["deliveries"]["unwanted"] == 0, filtered, "{arm}");
        }
    }
}

#[test]
fn idle_shows_what_holding_costs() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let few = ["--set", "subscribers.count=20", "--rate", "0.5"];
    let (out, report) = brief(&bench, "idle", &[&few[..], &["--duration", "2s"]].concat());
    assert!(out.contains("target CPU/subscriber·min"), "{out}");
    for arm in arms(&report["points"][0]) {
        assert_eq!(arm["fanout"]["reach"], 1.0, "{arm}");
        assert_eq!(arm["fanout"]["idle"]["connections_per_subscriber"], 1.0, "{arm}");
    }
}
