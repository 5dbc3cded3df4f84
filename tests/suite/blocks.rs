//! How many blocks a run has: too few, replaced ones, and a number that it finds itself.

use crate::common::{Bench, Ended, PUSHBENCH, json};
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

/// Runs four blocks against a target that goes through this at its fourth start: the first look, the pilot and the first
/// block need one each.
fn with_a_fourth_start(bench: &Bench, fourth: &str) -> (Ended, Value) {
    let server = format!("{PUSHBENCH} serve webhook --listen 127.0.0.1:$1");
    let script = format!(
        "#!/bin/sh\necho x >> starts\nif [ $(wc -l < starts) -eq 4 ]; then {}; exit 7; fi\nexec {server}\n",
        fourth.replace("SERVER", &server)
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
    // 1: the scenario expects that nothing is lost, and an event on its way to a dead target is.
    assert!(matches!(ended.code, Some(0 | 1)), "{}\n{}", ended.out, ended.err);
    let report = json(bench, "r");
    let point = report["points"][0].clone();
    assert_eq!(point["design"]["blocks_planned"], 4);
    assert_eq!(point["design"]["blocks_valid"], 4, "{}\n{}", ended.out, ended.err);
    assert_eq!(point["validity"]["ok"], false);
    bench.nothing_left();
    (ended, point)
}

#[test]
fn a_voided_block_is_kept_shown_and_replaced() {
    let bench = Bench::new();
    let (ended, point) = with_a_fourth_start(&bench, "SERVER & sleep 0.5; kill -9 $!");
    // A block whose target dies before it is ready has no trial.
    let arm = &point["arms"][0];
    let voided = arm["invalid"].as_u64().unwrap();
    let failed = ended.out.matches(" could not be measured: ").count() as u64;
    assert!(voided + failed >= 1, "{}\n{}", ended.out, ended.err);
    // A block may be void for what befell the other arm.
    assert!(arm["trials"].as_u64() >= Some(4 + voided), "{arm}");
    if voided > 0 {
        assert!(ended.out.contains("webhook@t: 1 invalid: target "), "{}", ended.out);
    }
}

/// It has no trial, and is in the record nevertheless.
#[test]
fn a_block_whose_target_does_not_start_is_counted_shown_and_replaced() {
    let bench = Bench::new();
    let (ended, point) = with_a_fourth_start(&bench, "echo no luck today >&2");
    assert!(ended.err.contains("block 2 of the plan is void: "), "{}", ended.err);
    for said in ["block 2 could not be measured: target t exited with code 7", "no luck today"] {
        assert!(ended.out.contains(said), "{}", ended.out);
    }
    let run = point["validity"]["trust"]["blocks_run"].as_u64();
    let recorded = point["design"]["blocks_run"].as_u64().unwrap();
    assert_eq!(run, Some(recorded + 1), "{point}");
    let header: Value =
        serde_json::from_str(&std::fs::read_to_string(bench.path("r/run.json")).unwrap()).unwrap();
    let failed = &header["points"][0]["failed_blocks"][0];
    assert_eq!((&failed["block"], &failed["arm"]), (&1.into(), &0.into()));
    assert!(failed["reason"].as_str().unwrap().contains("no luck today"), "{failed}");
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
