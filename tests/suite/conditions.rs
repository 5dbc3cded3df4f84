//! What a run says of the conditions under which it measured: a paused driver, other runs, one CPU for both
//! sides, and servers that look overloaded and are not.

use crate::common::{Bench, Ended, ended, eventually, json, signal, turn, waits};
use rustix::process::Signal;
use std::process::Child;

/// Starts a run of two arms and waits until its pilots are stored; the servers of those.
fn started(bench: &Bench, out: &str, more: &[&str]) -> (Child, Vec<u32>) {
    let args = ["run", "--arm", "webhook@builtin", "--arm", "websocket@builtin", "--out", out];
    let load = ["--rate", "300", "--warmup", "100ms"];
    let child = bench.pushbench(&[&args[..], &load, more].concat()).spawn().unwrap();
    let trials = bench.path(out).join("trials.jsonl");
    let mut of_pilots = vec![];
    eventually("both pilots", || {
        let servers = bench.servers();
        let stored = std::fs::read_to_string(&trials).is_ok_and(|text| text.lines().count() >= 2);
        if !stored {
            of_pilots.extend(servers);
        }
        stored
    });
    (child, of_pilots)
}

fn end(child: Child) -> Ended {
    ended(child.wait_with_output().unwrap())
}

#[test]
fn a_stopped_driver_voids_the_block_and_blames_no_arm() {
    let _turn = turn::measuring();
    for design in ["compare.design=sliced", "compare.design=sequential"] {
        let bench = Bench::judging_lateness();
        let more = ["--duration", "1500ms", "--blocks", "1", "--set", design];
        let (child, of_pilots) = started(&bench, "r", &more);
        // The warm-up has 30 events, a trial 480.
        eventually("events of the first block", || {
            bench.servers().iter().any(|pid| !of_pilots.contains(pid) && waits(*pid) > 100)
        });
        signal(&child, Signal::STOP);
        std::thread::sleep(std::time::Duration::from_millis(1000));
        signal(&child, Signal::CONT);
        let ended = end(child);
        let message = ended.out + &ended.err;
        assert!(message.contains("driver stopped continuously for"), "{design}: {message}");
        assert!(
            !message.contains("overloaded") && !message.contains("still open"),
            "{design}: {message}"
        );
    }
}

#[test]
fn two_runs_at_once_name_each_other() {
    let bench = Bench::new();
    let more = ["--duration", "1s", "--blocks", "1"];
    let first = started(&bench, "first", &more);
    let second = started(&bench, "second", &more);
    for ((child, _), out) in [(first, "first"), (second, "second")] {
        let ended = end(child);
        let trust = &json(&bench, out)["points"][0]["validity"]["trust"];
        // At the latest the pilots of the second were beside a block of the first.
        assert!(trust["blocks_beside_other_runs"].as_u64().unwrap() > 0, "{trust} {}", ended.out);
        assert!(ended.out.contains("other runs active in "), "{}", ended.out);
    }
}
