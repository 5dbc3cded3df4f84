//! What several machines measured, merged: the events, subscribers and clocks of all.

use super::{Coordinator, RUN};
use crate::browser::missing;
use crate::common::{Bench, trials_so_far as trials};
use serde_json::Value;
use std::process::{Child, Stdio};

/// One driver has all subscribers, and both machines know the key of a signature and the token of a sender.
#[test]
fn deliveries_between_two_machines_are_signed_by_a_key_that_both_know() {
    let bench = Bench::new();
    let arms = ["--arm", "webhook+signed@builtin", "--arm", "webhook+token@builtin"];
    let more = [&arms[..], &["--set", "subscribers.count=3"]].concat();
    let coordinator = Coordinator::of("fanout", &bench, 2, 1, &more);
    let shards = coordinator.spawn(0..2);
    coordinator.succeeds(shards);
    let trials = trials(&bench.path("run"));
    assert_eq!(trials.iter().filter(|t| t["stage"] == "block").count(), 2);
    for trial in trials {
        let deliveries = &trial["fanout"]["deliveries"];
        assert!(deliveries["events"].as_u64() > Some(0), "{deliveries}");
        assert_eq!(deliveries["complete"], deliveries["events"], "{deliveries}");
    }
    let secrets = std::fs::read_to_string(bench.path("run/run.json")).unwrap();
    assert!(!secrets.contains(std::fs::read_to_string(bench.path("kept")).unwrap().trim()));
}

/// Subscribers are spread over the drivers, and what they saw together is what those of one machine see: who got each
/// event, and when the last one had it.
#[test]
fn subscribers_on_two_machines_are_those_of_one() {
    let bench = Bench::new();
    let fan_out = ["--set", "subscribers.count=7"];
    let coordinator = Coordinator::of("fanout", &bench, 3, 1, &fan_out);
    let shards = coordinator.spawn(0..3);
    coordinator.succeeds(shards);
    let alone =
        [&["run", "fanout", "--out", "alone", "--blocks", "1"], &RUN[..], &fan_out].concat();
    let alone = bench.run(&alone);
    assert_eq!(alone.code, Some(0), "{}", alone.err);
    // Nobody is late on this machine: the counts are those of the schedule.
    let of = |dir: &str| -> Vec<Value> {
        let blocks = trials(&bench.path(dir)).into_iter().filter(|t| t["stage"] == "block");
        let counts = blocks.map(|trial| {
            let deliveries = &trial["fanout"]["deliveries"];
            let names = ["subscribers", "measured", "events", "complete", "duplicated"];
            let mut counts: Value =
                names.iter().map(|name| ((*name).to_owned(), deliveries[name].clone())).collect();
            counts["label"] = trial["label"].clone();
            counts
        });
        let mut counts: Vec<Value> = counts.collect();
        counts.sort_by_key(|c| c["label"].to_string());
        counts
    };
    assert_eq!(of("run"), of("alone"));
    for trial in trials(&bench.path("run")) {
        let deliveries = &trial["fanout"]["deliveries"];
        let machines = trial["machines"].as_array().unwrap();
        let received: Vec<Option<u64>> = machines.iter().map(|m| m["received"].as_u64()).collect();
        assert!(received[0] > Some(0) && received[1] > Some(0), "{machines:?}");
        assert_eq!(received[2], None, "the targets are there");
        assert_eq!(received.iter().flatten().sum::<u64>(), deliveries["measured"]["received"]);
        // One machine publishes.
        assert_eq!((machines[0]["due"].as_u64() > Some(0), &machines[1]["due"]), (true, &0.into()));
        // The publisher counted them while all were subscribed.
        assert_eq!(
            trial["fanout"]["publisher"]["subscribers"], 7,
            "{}",
            trial["fanout"]["publisher"]
        );
        assert!(trial["fanout"]["target_memory"]["after"].as_u64() > Some(0));
    }
    let report = bench.run(&["report", "run"]);
    assert_eq!(report.code, Some(0), "{}", report.err);
    assert!(report.out.contains("deliveries"), "{}", report.out);
}

/// Every due event belongs to exactly one shard, whatever the number of shards is.
#[test]
fn a_run_on_three_machines_has_the_events_of_one_on_one_machine() {
    let bench = Bench::new();
    let coordinator = Coordinator::start(&bench, 3, 2, &[]);
    let shards = coordinator.spawn(0..3);
    coordinator.succeeds(shards);
    assert!(!bench.path("ticket").exists(), "a ticket of a run that has begun is of no use");
    let alone =
        bench.run(&[&["run", "ingest", "--out", "alone", "--blocks", "2"], &RUN[..]].concat());
    assert_eq!(alone.code, Some(0), "{}", alone.err);
    let of = |dir: &str| -> Vec<(Value, Value, Value)> {
        let blocks = trials(&bench.path(dir)).into_iter().filter(|t| t["stage"] == "block");
        let mut all: Vec<_> = blocks
            .map(|t| (t["block"].clone(), t["label"].clone(), t["events"]["due"].clone()))
            .collect();
        all.sort_by_key(|t| t.0.to_string() + t.1.as_str().unwrap());
        all
    };
    assert_eq!(of("run"), of("alone"));
    for trial in trials(&bench.path("run")) {
        let machines = trial["machines"].as_array().unwrap();
        assert_eq!(machines.len(), 3, "{machines:?}");
        let sum = |what: &str| machines.iter().filter_map(|m| m[what].as_u64()).sum::<u64>();
        assert_eq!(Some(sum("due")), trial["events"]["due"].as_u64());
        assert_eq!(Some(sum("acknowledged")), trial["events"]["acknowledged"].as_u64());
        assert!(machines.iter().filter(|m| !m["due"].is_null()).all(|m| m["margin_ns"].is_i64()));
        // All of them have the same clock here.
        for machine in machines {
            let offset = machine["clock_offset_ns"].as_i64().unwrap().unsigned_abs();
            assert!(Some(offset) <= machine["clock_uncertainty_ns"].as_u64(), "{machine}");
        }
        assert!(trial["target"]["cpu_ns"].as_u64() > Some(0));
    }
    let report = bench.run(&["report", "run"]);
    for said in ["3 machines: driver on", "rank 0", "targets on", "common origin within ±"] {
        assert!(report.out.contains(said), "no {said:?} in:\n{}", report.out);
    }
    let json: Value =
        serde_json::from_str(&bench.run(&["report", "run", "--format", "json"]).out).unwrap();
    assert_eq!(json["points"][0]["design"]["machines"].as_array().unwrap().len(), 3);
}

/// Machines whose clocks have nothing in common have a common origin: shards in time namespaces, whose clocks show 1,000 s
/// more and 2,000 s more.
#[test]
fn the_clocks_of_machines_need_not_agree() {
    let bench = Bench::new();
    let elsewhen = |seconds: &str| {
        let mut command = bench.command("unshare");
        command.args(["--map-root-user", "--time", "--monotonic", seconds, "--fork"]);
        command
    };
    let tried = elsewhen("1").arg("true").output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        return missing("no time namespaces, which unshare of util-linux makes");
    }
    let coordinator = Coordinator::of("fanout", &bench, 3, 1, &["--set", "subscribers.count=5"]);
    let shards: Vec<Child> = (0..3)
        .map(|rank| {
            let shard = coordinator.shard(rank);
            let mut command = elsewhen(&(rank * 1_000).to_string());
            command.arg(shard.get_program()).args(shard.get_args());
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    coordinator.succeeds(shards);
    for trial in trials(&bench.path("run")) {
        for (rank, machine) in trial["machines"].as_array().unwrap().iter().enumerate() {
            let offset = machine["clock_offset_ns"].as_f64().unwrap() / 1e9;
            assert!((offset - rank as f64 * 1_000.0).abs() < 0.5, "{machine}");
            // A machine under load may be late, which is no fault of its clock.
            assert!(!machine["invalid"].to_string().contains("clock"), "{machine}");
        }
        let deliveries = &trial["fanout"]["deliveries"];
        assert_eq!(deliveries["complete"], deliveries["events"], "{deliveries}");
    }
}
