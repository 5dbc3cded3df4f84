//! Idle subscribers, end to end: what is measured while nothing happens, and what is not claimed.

use crate::common::{Bench, json, turn};
use serde_json::Value;

/// A quiet stretch of 1.4 s, in which each WebSocket is pinged at least once.
fn idle<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let short = ["run", "idle", "--subscribers", "40", "--warmup", "500ms", "--rate", "0.5"];
    let short = [&short[..], &["--duration", "2s", "--set", "delivery.ping=1s"]].concat();
    [&short[..], more].concat()
}

fn arm<'a>(report: &'a Value, name: &str) -> &'a Value {
    let arms = report["points"][0]["arms"].as_array().unwrap();
    &arms.iter().find(|a| a["arm"] == name).unwrap_or_else(|| panic!("no {name}"))["fanout"]
}

#[test]
fn holding_costs_what_the_transport_holds() {
    let _turn = turn::measuring();
    let bench = Bench::with_its_own_program();
    let ended = bench.run(&idle(&["--out", "r"]));
    ended.succeeds();
    for text in ["40 subscribers", "WebSockets pinged every", "kernel memory/subscriber", "pings"] {
        assert!(ended.out.contains(text), "no {text:?} in {}", ended.out);
    }
    let report = json(&bench, "r");
    let [kept, closing, websocket] =
        ["webhook@builtin", "webhook@builtin-close", "websocket@builtin"].map(|a| arm(&report, a));
    for f in [kept, closing, websocket] {
        assert_eq!((&f["reach"], &f["events"]), (&1.0.into(), &1.into()), "{f}");
        assert!(f["target_bytes_per_subscriber"].as_f64() > Some(0.0), "{f}");
        let idle = &f["idle"];
        assert!(idle["quiet_ns"].as_u64() > Some(1_000_000_000), "{f}");
        assert!(idle["target_cpu_ns_per_subscriber_minute"].is_number(), "{f}");
        assert!(idle["driver_cpu_ns_per_subscriber_minute"].as_f64() > Some(0.0), "{f}");
        // Kernel memory is somebody's, or not told at all.
        assert_eq!(f["kernel_bytes_per_subscriber"].is_null(), f["kernel_scope"].is_null(), "{f}");
    }
    let connections = |f: &Value| f["idle"]["connections_per_subscriber"].as_f64();
    assert_eq!(
        (connections(kept), connections(closing), connections(websocket)),
        (Some(1.0), Some(0.0), Some(1.0))
    );
    // An event before the stretch and one behind it: a connection for both, or one for each.
    let opened = |f: &Value| f["connections"].as_u64();
    assert_eq!((opened(kept), opened(closing)), (Some(40), Some(80)));
    let status = |f: &Value, what: &str| f["publisher"][what].as_u64().unwrap();
    for f in [kept, closing] {
        assert_eq!(
            (status(f, "pings"), &f["idle"]["pings_per_subscriber_minute"]),
            (0, &0.0.into())
        );
        assert_eq!(f["idle"]["bytes_in_per_subscriber_minute"], 0.0, "{f}");
    }
    // A ping has two bytes, its masked answer six.
    let rate = |what: &str| websocket["idle"][what].as_f64().unwrap();
    let pings = rate("pings_per_subscriber_minute");
    assert!(pings > 0.0, "{websocket}");
    let per_ping = |what| rate(what) / pings;
    assert!((per_ping("bytes_in_per_subscriber_minute") - 2.0).abs() < 0.1, "{websocket}");
    assert!((per_ping("bytes_out_per_subscriber_minute") - 6.0).abs() < 0.5, "{websocket}");
    let (pings, pongs) = (status(websocket, "pings"), status(websocket, "pongs"));
    assert!(pings >= 40 && pongs <= pings && pings - pongs <= 40, "{pings} and {pongs}");
    bench.nothing_left();
}

#[test]
fn kernel_memory_is_the_targets_own_or_it_is_said_why_not() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let ended = bench.run(&idle(&["--arm", "websocket@builtin", "--out", "r"]));
    ended.succeeds();
    let report = json(&bench, "r");
    let f = arm(&report, "websocket@builtin");
    let notes = report["points"][0]["validity"]["notes"].to_string();
    match f["kernel_scope"].as_str() {
        Some("target") => assert!(f["kernel_bytes_per_subscriber"].as_f64() > Some(100.0), "{f}"),
        Some("machine") => assert!(notes.contains("includes both ends"), "{notes}"),
        _ => assert!(notes.contains("cannot be told"), "{notes}"),
    }
    assert_eq!(f["kernel_scope"] == "target", !notes.contains("kernel memory"), "{notes}");
}

#[test]
fn more_subscribers_than_descriptors_are_refused_with_the_number_that_fits() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let ended = bench.run_limited("ulimit -n 300", &["run", "idle", "--out", "r"]);
    ended.fails(64, &["1000 subscribers", "file descriptors", "--subscribers 235"]);
    assert!(!bench.path("r").exists(), "something was begun");
    // That number is no guess: it runs, on each transport.
    let fits = idle(&["--arm", "webhook@builtin", "--arm", "websocket@builtin", "--out", "r"]);
    let fits = fits.iter().map(|a| if *a == "40" { "235" } else { a }).collect::<Vec<_>>();
    bench.run_limited("ulimit -n 300", &fits).succeeds();
    let report = json(&bench, "r");
    for name in ["webhook@builtin", "websocket@builtin"] {
        assert_eq!(arm(&report, name)["reach"], 1.0);
    }
}

#[test]
fn what_makes_no_quiet_stretch_is_refused() {
    let bench = Bench::new();
    for (args, texts) in [
        (&["--rate", "10"][..], &["--rate 10", "at least 700ms after the warm-up"][..]),
        (&["--rate", "0.001"], &["--rate 0.001", "0.25"]),
        (&["--set", "load.arrivals=poisson"], &["constant"]),
        (&["--set", "compare.design=sliced"], &["sequential"]),
        (&["--set", "delivery.ping=10ms"], &["delivery.ping", "at least 1s"]),
        (&["--set", "subscribers.stuck=1"], &["subscribers.stuck", "leave it out"]),
        (&["--set", "subscribers.stay=1s"], &["subscribers.stay", "leave it out"]),
        (&["--set", "faults.restart_after=1s"], &["faults.restart_after", "leave it out"]),
        (&["--arm", "websocket@builtin-close"], &["webhook@builtin-close", "websocket@builtin"]),
    ] {
        bench.run(&[&["run", "idle", "--out", "r"], args].concat()).fails(64, texts);
    }
    bench.run(&["run", "--arm", "webhook@builtin-close"]).fails(64, &["fanout and idle"]);
    bench.run(&["run", "--set", "delivery.ping=5s"]).fails(64, &["delivery.ping", "idle"]);
    bench
        .run(&["serve", "webhook", "--publisher", "--ping", "5ms"])
        .fails(64, &["--ping", "at least 1s"]);
    assert!(!bench.path("r").exists(), "something was begun");
}
