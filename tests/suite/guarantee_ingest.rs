//! A guarantee and faults where the target takes events: nothing is lost, and nothing comes twice to the application.

use crate::common::{Bench, PUSHBENCH};
use serde_json::Value;

/// The records of all blocks.
fn trials(bench: &Bench, dir: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(bench.path(dir).join("trials.jsonl")).unwrap();
    let trials = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    trials.filter(|trial| trial["stage"] == "block").collect()
}

/// Runs blocks of an ingest with these settings; its records.
fn run(bench: &Bench, arms: &[&str], set: &[&str]) -> Vec<Value> {
    let mut args = vec!["run", "ingest", "--out", "r", "--blocks", "1", "--rate", "200"];
    args.extend(["--warmup", "200ms", "--duration", "1s", "--connections", "4"]);
    args.extend(arms.iter().flat_map(|arm| ["--arm", arm]));
    args.extend(set.iter().flat_map(|set| ["--set", set]));
    let run = bench.run(&args);
    assert!(run.code == Some(0) || run.code == Some(2), "{}\n{}", run.out, run.err);
    let trials = trials(bench, "r");
    assert!(trials.len() >= arms.len(), "{}\n{}", run.out, run.err);
    for trial in &trials {
        for events in [&trial["events"], &trial["warmup"]] {
            let n = |key: &str| events[key].as_u64().unwrap();
            assert_eq!(n("due"), n("acknowledged") + n("failed") + n("timed_out") + n("lost"));
        }
    }
    trials
}

#[test]
fn exactly_once_holds_over_resets_refusals_and_lost_acknowledgements() {
    let bench = Bench::new();
    let set = [
        "guarantee.delivery=exactly-once",
        "guarantee.backoff=5ms",
        "faults.reset=5%",
        "faults.lost_acks=5%",
        "faults.status.503=1%",
        "faults.refuse=5%",
    ];
    for trial in run(&bench, &["webhook@builtin", "websocket@builtin"], &set) {
        let guarantee = &trial["guarantee"];
        let n = |key: &str| guarantee[key].as_u64().unwrap_or_else(|| panic!("{key}: {trial}"));
        assert!(n("due") > 100, "{guarantee}");
        assert_eq!((n("delivered"), n("delivered_once")), (n("due"), n("due")), "{guarantee}");
        assert_eq!(n("duplicates_to_application"), 0, "{guarantee}");
        assert!(n("duplicates_on_wire") > 0 && n("lost_acks") > 0, "{guarantee}");
        assert!(n("met_by_fault") > 0 && n("attempts") > n("due"), "{guarantee}");
    }
    bench.nothing_left();
}

#[test]
fn what_is_due_in_an_outage_is_delivered_when_it_is_over() {
    let bench = Bench::new();
    let server = format!("{PUSHBENCH} serve webhook --listen 127.0.0.1:{{port}}");
    let target = "url = \"http://127.0.0.1:{port}/webhook\"\nmatch = \"id\"";
    bench.write("pushbench.toml", &format!("[target.t.webhook]\ncommand = {server:?}\n{target}\n"));
    let set = [
        "guarantee.delivery=exactly-once",
        "guarantee.backoff=20ms",
        "faults.at=200ms",
        "faults.outage=300ms",
    ];
    let arms = ["webhook@builtin", "websocket@builtin", "tcp@builtin", "webhook@t"];
    for trial in run(&bench, &arms, &set) {
        let guarantee = &trial["guarantee"];
        let n = |key: &str| guarantee[key].as_u64().unwrap_or_else(|| panic!("{key}: {trial}"));
        assert_eq!((n("delivered"), n("delivered_once")), (n("due"), n("due")), "{guarantee}");
        assert!(n("connections_refused") > 0 && n("backlog_peak") > 0, "{guarantee}");
        assert_eq!(guarantee["recovery"]["fault_ns"], 300_000_000, "{guarantee}");
        for time in ["first_event_ns", "caught_up_ns"] {
            assert!(guarantee["recovery"][time].is_u64(), "{time}: {trial}");
        }
        // The one that is not built in is killed, started again, and tells nothing.
        let foreign = trial["label"] == "webhook@t";
        assert_eq!(guarantee["arrivals_are_unknown"] == true, foreign, "{guarantee}");
        assert_eq!(trial["down_ns"].is_u64(), foreign, "{trial}");
    }
    let text = bench.run(&["report", "r"]).out;
    assert!(text.contains("the receiver does not tell"), "{text}");
    let refused = ["run", "ingest", "--arm", "webhook@t", "--set", "faults.reset=1%"];
    bench.run(&refused).fails(64, &["--arm webhook@t: faults.reset", "--arm webhook@builtin"]);
    bench.nothing_left();
}
