//! How many blocks a run has: too few, replaced ones, and a number that it finds itself.

use crate::common::{Bench, PUSHBENCH, json};
use serde_json::Value;

fn verdicts(report: &Value) -> Vec<(&str, &str)> {
    let comparisons = report["points"][0]["comparisons"].as_array().unwrap();
    comparisons
        .iter()
        .map(|c| (c["verdict"].as_str().unwrap(), c["why"].as_str().unwrap_or_default()))
        .collect()
}

#[test]
fn fewer_blocks_than_a_verdict_needs_are_run_and_claim_nothing() {
    let bench = Bench::new();
    let ended = bench.run(&crate::common::short(&["--out", "r"]));
    ended.succeeds();
    let report = json(&bench, "r");
    for (verdict, why) in verdicts(&report) {
        assert_eq!((verdict, why), ("inconclusive", "2 valid blocks, 8 are needed"));
    }
    assert!(ended.out.contains("no difference can be claimed"), "{}", ended.out);
    assert!(ended.out.contains("at least 8 are needed for a claim"), "{}", ended.out);
}

#[test]
fn a_voided_block_is_kept_shown_and_replaced() {
    let bench = Bench::new();
    // Started for the first look, for the pilot and for each block; in the second block it dies.
    let server = format!("{PUSHBENCH} serve webhook --listen 127.0.0.1:$1");
    let script = format!(
        "#!/bin/sh\necho x >> starts\nif [ $(wc -l < starts) -eq 4 ]; then {server} & sleep 0.5; kill -9 $!; exit 7; fi\nexec {server}\n"
    );
    let program = bench.executable("server.sh", &script);
    let program = program.display();
    bench.write(
        "pushbench.toml",
        &format!("[target.t.webhook]\ncommand = [\"{program}\", \"{{port}}\"]\nurl = \"http://127.0.0.1:{{port}}/webhook\"\nmatch = \"id\"\n"),
    );
    let args = ["run", "--arm", "webhook@t", "--arm", "websocket@builtin", "--rate", "300"];
    let more = ["--blocks", "4", "--duration", "600ms", "--warmup", "200ms", "--out", "r"];
    let ended = bench.run(&[&args[..], &more].concat());
    // 1: the scenario expects that nothing is lost, and an event on its way to the dead target is.
    assert!(matches!(ended.code, Some(0 | 1)), "{}\n{}", ended.out, ended.err);
    let report = json(&bench, "r");
    let (point, arm) = (&report["points"][0], &report["points"][0]["arms"][0]);
    assert_eq!(point["design"]["blocks_planned"], 4);
    assert_eq!(point["design"]["blocks_valid"], 4, "{}\n{}", ended.out, ended.err);
    // A block whose target dies before it is ready has no trial, and is told as it happens.
    let voided = arm["invalid"].as_u64().unwrap();
    assert!(voided >= 1 || ended.err.contains("is void"), "{}\n{}", ended.out, ended.err);
    // A block may be void for what befell the other arm.
    assert!(arm["trials"].as_u64() >= Some(4 + voided), "{arm}");
    if voided > 0 {
        assert!(ended.out.contains("webhook@t: 1 invalid: target "), "{}", ended.out);
        assert_eq!(point["validity"]["ok"], false);
    }
    bench.nothing_left();
}

#[test]
fn blocks_auto_fixes_its_number_after_eight() {
    let bench = Bench::new();
    // Looking for a doubling, so that the first blocks are about enough on any machine.
    let args = ["run", "--blocks", "auto", "--set", "compare.precision=100%", "--rate", "300"];
    let more = ["--duration", "200ms", "--warmup", "100ms", "--out", "r"];
    let ended = bench.run(&[&args[..], &more].concat());
    ended.succeeds();
    for text in ["from block to block", "nine times in ten"] {
        assert!(ended.err.contains(text), "{}", ended.err);
    }
    let report = json(&bench, "r");
    let design = &report["points"][0]["design"];
    let sizing = &design["sizing"];
    let blocks = sizing["blocks"].as_u64().unwrap();
    assert!((8..=40).contains(&blocks), "{sizing}");
    assert_eq!((&sizing["seen"], &design["blocks_planned"]), (&8.into(), &blocks.into()));
    assert!(sizing["deviation"].as_f64() > Some(0.0) && sizing["metric"].is_string(), "{sizing}");
    assert!(blocks < 40 || sizing["finds"].as_f64() > Some(0.0), "{sizing}");
    assert_eq!(design["blocks_valid"], blocks);
    // The record says what was asked for and what was found.
    let header: Value =
        serde_json::from_str(&std::fs::read_to_string(bench.path("r/run.json")).unwrap()).unwrap();
    assert_eq!(header["points"][0]["scenario"]["compare"]["blocks"]["precision"], 1.0);
    assert_eq!(&header["points"][0]["sizing"], sizing);
}

#[test]
fn a_precision_needs_blocks_that_may_follow_it() {
    let bench = Bench::new();
    bench.run(&["run", "--set", "compare.precision=5%"]).fails(
        64,
        &["--set compare.precision=5%", "compare.blocks = \"auto\"", "scenarios/ingest.toml:"],
    );
    bench.run(&["run", "--blocks", "automatic"]).fails(64, &["--blocks automatic", "\"auto\""]);
}
