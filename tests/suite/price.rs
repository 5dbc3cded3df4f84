//! A stored run is priced afterwards: its bill follows from its own figures, which stay what they were.

use crate::common::Bench;
use serde_json::Value;

const INGEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/readme-ingest");
const IDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/idle");
const USAGE: i32 = 64;
const GIB: f64 = (1u64 << 30) as f64;

fn report(bench: &Bench, dir: &str, prices: &[&str]) -> Value {
    let mut args = vec!["report", dir, "--format", "json"];
    prices.iter().for_each(|price| args.extend(["--price", price]));
    let ended = bench.run(&args);
    ended.succeeds();
    serde_json::from_str(&ended.out).unwrap()
}

fn part(arm: &Value, name: &str) -> f64 {
    let parts = arm["cost"]["parts"].as_array().unwrap();
    parts.iter().find(|p| p["part"] == name).unwrap()["cost"].as_f64().unwrap()
}

#[track_caller]
fn near(value: f64, expected: f64, within: f64) {
    assert!((value / expected - 1.0).abs() < within, "{value} for {expected}");
}

#[test]
fn the_bill_of_a_stored_run_follows_from_its_own_figures() {
    let bench = Bench::new();
    let prices = ["core_hour=0.04", "gib_hour=0.005", "egress_gib=0.09"];
    let priced = report(&bench, INGEST, &prices);
    for arm in priced["points"][0]["arms"].as_array().unwrap() {
        let cost = &arm["cost"];
        let figure = |of: &str, name: &str| arm[of][name].as_f64().unwrap();
        let cpu = figure("target_usage", "cpu_ns_per_event") * 1e6 / 3.6e12 * 0.04;
        near(part(arm, "cpu"), cpu, 0.01); // the figure merges the windows of all blocks
        // Of both directions' segments the target sends some.
        let bytes = figure("wire", "bytes_in_per_event");
        let segments = figure("wire", "segments_per_event");
        let egress = |headers: f64| (bytes + headers) * 1e6 / GIB * 0.09;
        let sent = part(arm, "egress");
        assert!(sent > egress(40.0 * 0.5) && sent < egress(40.0 * segments), "{cost}");
        let total = cost["total"].as_f64().unwrap();
        let sum = ["cpu", "memory", "egress"].map(|name| part(arm, name)).iter().sum();
        near(total, sum, 1e-12);
        let [low, high] = [0, 1].map(|i| cost["ci95"][i].as_f64().unwrap());
        assert!(low < total && total < high, "{cost}");
    }
    let ratio = &priced["points"][0]["arms"][1]["cost"]["over_first"]["ratio"];
    let of = |arm: usize| priced["points"][0]["arms"][arm]["cost"]["total"].as_f64().unwrap();
    near(ratio.as_f64().unwrap(), of(1) / of(0), 0.01);
    // Nothing else changes, and without prices nothing is said of cost.
    let mut stripped = priced;
    for point in stripped["points"].as_array_mut().unwrap() {
        point.as_object_mut().unwrap().remove("prices").unwrap();
        for arm in point["arms"].as_array_mut().unwrap() {
            arm.as_object_mut().unwrap().remove("cost").unwrap();
        }
    }
    assert!(stripped == report(&bench, INGEST, &[]));
}

#[test]
fn a_month_of_idle_subscribers_is_their_memory_for_730_hours() {
    let bench = Bench::new();
    let priced = report(&bench, IDLE, &["gib_hour=0.005", "currency=EUR"]);
    for point in priced["points"].as_array().unwrap() {
        assert_eq!(point["prices"]["currency"], "EUR");
        for arm in point["arms"].as_array().unwrap() {
            let fanout = &arm["fanout"];
            let count = fanout["subscribers"].as_f64().unwrap();
            assert_eq!(arm["cost"]["subscribers"].as_f64(), Some(count));
            let held = |of: &str| fanout[of].as_f64().unwrap() * count / GIB * 730.0 * 0.005;
            let (user, kernel) =
                (held("target_bytes_per_subscriber"), held("kernel_bytes_per_subscriber"));
            near(part(arm, "memory"), user, 1e-9);
            near(arm["cost"]["total"].as_f64().unwrap(), user + kernel, 1e-9);
            assert!(arm["cost"]["ci95"].is_null()); // one block
        }
    }
}

#[test]
fn every_format_says_that_prices_are_an_example() {
    let bench = Bench::new();
    for (format, says) in [
        ("text", "example prices, replace them with yours in USD: 0.04 a core-hour"),
        ("markdown", "example prices"),
        ("html", "example prices"),
        ("csv", ",example"),
        ("json", "\"example\":true"),
    ] {
        let priced = bench.run(&["report", INGEST, "--price", "example", "--format", format]);
        priced.succeeds();
        assert!(priced.out.contains(says), "{format}: {}", priced.out);
        let own = bench.run(&["report", INGEST, "--price", "core_hour=1", "--format", format]);
        own.succeeds();
        assert!(!own.out.contains(says), "{format}");
    }
}

#[test]
fn what_cannot_be_priced_is_refused() {
    let bench = Bench::new();
    let refused = |args: &[&str], says: &[&str]| {
        bench.run(&[&["report"], args].concat()).fails(USAGE, says);
    };
    refused(&[INGEST, "--price", "core_hour=-1"], &["price.core_hour", "neither negative"]);
    refused(&[INGEST, "--price", "core_hours=1"], &["did you mean \"price.core_hour\"?"]);
    refused(&[INGEST, "--price", "exampel"], &["did you mean \"example\"?"]);
    let format = [INGEST, "--price", "example", "--format", "junit"];
    refused(&format, &["junit shows no cost", "--format text"]);
    let gate = concat!(env!("CARGO_MANIFEST_DIR"), "/results/gate-20us");
    refused(&[gate, "--price", "example"], &["is the directory of a gate"]);
    let file = bench.write("own.toml", "[load]\nrate = 5\n[price]\ncore_hour = \"dear\"\n");
    let check = bench.run(&["check", file.to_str().unwrap()]);
    check.fails(USAGE, &["own.toml:4", "price.core_hour", "a price, 0 or more"]);
}
