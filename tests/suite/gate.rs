//! The gate end to end: real servers, known slow-downs, and everything that may go wrong.

use crate::common::{Bench, Ended, PUSHBENCH, ended, eventually, signal, turn};
use serde_json::{Value, json};
use std::path::Path;

/// A load that is as short as a verdict allows.
const QUICK: [&str; 12] = [
    "--blocks",
    "8",
    "--at-most",
    "20s",
    "--set",
    "load.duration=100ms",
    "--set",
    "load.warmup=20ms",
    "--set",
    "load.rate=300",
    "--set",
    "connections.count=4",
];
pub const SERVER: &str = "pushbench serve webhook --listen 127.0.0.1:{port}";
/// A server whose CPU an event is known to a few per cent, and another that takes a quarter more.
const WORKING: &str = "pushbench serve webhook --listen 127.0.0.1:{port} --work 500us";
const SLOWER: &str = "pushbench serve webhook --listen 127.0.0.1:{port} --work 650us";
/// What can be told of those on a machine that is busy with something else: the CPU that an event takes,
/// which is work for the most part, however often it is interrupted. A stall of a quarter of a second is no
/// overload, for so many connections are free.
const STEADY: [&str; 14] = [
    "--judge",
    "target_usage.cpu_ns_per_event",
    "--blocks",
    "8",
    "--at-most",
    "40s",
    "--set",
    "load.duration=200ms",
    "--set",
    "load.warmup=20ms",
    "--set",
    "load.rate=600",
    "--set",
    "connections.count=160",
];

pub fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["gate"].iter().chain(more).chain(&QUICK).copied().collect()
}

fn gate(bench: &Bench, more: &[&str]) -> Ended {
    bench.run(&args(more))
}

pub fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Changes one value of a JSON file.
fn edit(path: &Path, pointer: &str, value: Value) {
    let mut all = read(path);
    *all.pointer_mut(pointer).unwrap() = value;
    std::fs::write(path, all.to_string()).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in ["run.json", "trials.jsonl"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

#[track_caller]
pub fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

/// A gate of what can be told dependably.
fn steady(bench: &Bench, more: &[&str]) -> Ended {
    bench.run(&[&["gate"], &STEADY[..], more].concat())
}

#[test]
fn a_slower_candidate_fails_and_its_record_says_the_same_again() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let dir = "g";
    let first = steady(&bench, &["--base", WORKING, "--candidate", SLOWER, "--out", dir]);
    assert_eq!(first.code, Some(1), "{}\n{}", first.out, first.err);
    let failed = "FAILED: target_usage.cpu_ns_per_event of webhook is worse by +2";
    says(&first.out, &[failed, "where 5 % is allowed", "REGRESSION"]);
    let again = |format: &str| {
        let ended = bench.run(&["report", dir, "--format", format]);
        ended.succeeds();
        ended.out
    };
    assert_eq!(again("text"), first.out, "the record says the same as the end of the gate");
    for format in ["text", "json", "markdown"] {
        assert_eq!(again(format), again(format), "{format}");
    }
    assert_eq!(
        again("markdown"),
        std::fs::read_to_string(bench.path(&format!("{dir}/report.md"))).unwrap()
    );
    let json: Value = serde_json::from_str(&again("json")).unwrap();
    let last = json["stages"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["verdict"], &last["schema"]), (&json!("regression"), &json!(1)));
    bench.run(&["report", dir, "--format", "jsn"]).fails(64, &["did you mean \"json\""]);

    github(&bench, dir);
    against(&bench, dir);
    bench.nothing_left();
}

/// What a step wrote into its summary before stays.
fn github(bench: &Bench, dir: &str) {
    let summary = bench.write("summary.md", "before\n");
    let mut command = bench.pushbench(&["report", dir, "--format", "github"]);
    let result = ended(command.env("GITHUB_STEP_SUMMARY", &summary).output().unwrap());
    result.succeeds();
    assert!(
        result.out.starts_with("::error title=pushbench gate failed::FAILED: "),
        "{}",
        result.out
    );
    assert_eq!(result.out.lines().count(), 1);
    let written = std::fs::read_to_string(summary).unwrap();
    assert!(written.starts_with("before\n### pushbench gate: gate\n"), "{written}");
    says(&written, &["| margin |", "| REGRESSION |"]);
}

/// The base of that gate, held against later.
fn against(bench: &Bench, dir: &str) {
    let beside = |dirs: &[&str], out: &str| {
        let args = ["--candidate", SLOWER, "--blocks", "8", "--out", out];
        bench.run(&[&["gate", "--against"][..], dirs, &args, &STEADY[..2]].concat())
    };
    let against = |dir: &str, out: &str| beside(&[dir], out);
    let (kept, same) = ("same", against(dir, "same"));
    assert_eq!(same.code, Some(2), "{}\n{}", same.out, same.err);
    says(&same.out, &["advice, not a verdict (1 stored run, 5 of this machine are needed"]);
    says(&same.out, &[&format!("webhook@base of {dir}/blocks")]);
    // The stored run is kept beside the verdict: it may go.
    let stored = bench.path(&format!("{dir}/blocks"));
    copy(&stored, &bench.path("elsewhere"));
    copy(&stored, &bench.path("damaged"));
    copy(&stored, &bench.path("newer"));
    // Five runs of this machine say how much runs differ.
    let five = ["1", "2", "3", "4", "5"];
    five.iter().for_each(|run| copy(&stored, &bench.path(run)));
    beside(&["1", "1"], "twice").fails(64, &["--against 1: it is named twice"]);
    edit(&bench.path("5/run.json"), "/points/0/scenario/load/rate", json!(601.0));
    beside(&five, "other").fails(64, &["--against 5: its scenario is not that of 1"]);
    copy(&stored, &bench.path("5"));
    let judged = beside(&five, "judged");
    // Where the pilot has chosen another length of slices than then it is advice.
    match judged.out.contains("advice") {
        true => says(&judged.out, &["advice, not a verdict (blocks: ", "would fail"]),
        false => assert_eq!(judged.code, Some(1), "{}\n{}", judged.out, judged.err),
    }
    says(&judged.out, &["webhook@base of 5 runs"]);
    std::fs::remove_dir_all(bench.path(dir)).unwrap();
    five.iter().for_each(|run| std::fs::remove_dir_all(bench.path(run)).unwrap());
    for (kept, ended) in [(kept, &same), ("judged", &judged)] {
        assert_eq!(bench.run(&["report", kept]).out, ended.out);
    }

    // On another machine, and killed while it wrote: read up to there.
    edit(&bench.path("elsewhere/run.json"), "/environment/cpu", json!("Another <b>CPU</b>"));
    let trials = bench.path("elsewhere/trials.jsonl");
    let text = std::fs::read_to_string(&trials).unwrap();
    std::fs::write(&trials, &text[..text.len() - 40]).unwrap();
    let listens_elsewhere = against("elsewhere", "advice");
    assert_eq!(
        listens_elsewhere.code,
        Some(2),
        "{}\n{}",
        listens_elsewhere.out,
        listens_elsewhere.err
    );
    let advice = ["advice, not a verdict", "cpu: Another <b>CPU</b>, then "];
    says(&listens_elsewhere.out, &[&advice[..], &["a stored run is incomplete"]].concat());

    edit(&bench.path("newer/run.json"), "/schema", json!(999));
    against("newer", "n")
        .fails(64, &["newer/run.json", "schema 999", "use the version that wrote"]);
    // Damaged in the middle: nobody knows what else is.
    let damaged = text.replacen("\"stage\"", "\"sta", 1);
    std::fs::write(bench.path("damaged/trials.jsonl"), damaged).unwrap();
    against("damaged", "d").fails(64, &["damaged/trials.jsonl:1", "damaged"]);
}

#[test]
fn the_last_look_comes_when_the_time_is_used_up() {
    let bench = Bench::new();
    let args = ["gate", "--base", "builtin", "--candidate", "builtin", "--out", "g"];
    let ended = bench.run(&[&args[..], &QUICK[..2], &["--at-most", "1s"], &QUICK[4..]].concat());
    assert!(matches!(ended.code, Some(0..=2)), "{}\n{}", ended.out, ended.err);
    let looks = read(&bench.path("g/blocks/looks.json"));
    let look = json!([{ "number": 1, "planned": 1, "share": 1.0, "last": true, "begun": [8] }]);
    assert_eq!((&looks["looks"], &looks["ended"]), (&look, &json!(true)));
    says(&ended.out, &["look 1 of 1: 8/8 blocks"]);
    if ended.code == Some(2) {
        says(&ended.out, &["The time is used up (--at-most 1s) after 8 blocks"]);
    }
}

/// Each start of this server is another build: none to one millisecond of work, which it has the time for.
#[test]
fn an_instrument_that_differs_from_itself_cannot_tell() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let script = format!(
        "#!/bin/sh\nwork=$(od -An -N1 -tu1 /dev/urandom)\nexec {PUSHBENCH} serve webhook --listen \
         127.0.0.1:$1 --work $((work * 4))us\n"
    );
    let server = bench.executable("moody", &script);
    let command = format!("{} {{port}}", server.display());
    let summary = bench.path("summary.md");
    let args = ["gate", "--base", &command, "--candidate", &command, "--format", "github"];
    let mut gate = bench.pushbench(&[&args[..], &STEADY].concat());
    let result = ended(gate.env("GITHUB_STEP_SUMMARY", &summary).output().unwrap());
    assert_eq!(result.code, Some(2), "{}\n{}", result.out, result.err);
    says(&result.out, &["::warning title=pushbench gate cannot tell::", "the null is not clean"]);
    says(&std::fs::read_to_string(summary).unwrap(), &["look 1 of ", ": 8/", "cannot tell"]);
    bench.nothing_left();
}

#[test]
fn what_cannot_be_gated_is_refused_before_anything_starts() {
    let bench = Bench::new();
    bench.write("nulls.json", "{\"schema\":9,\"entries\":[]}");
    bench.write("broken.json", "{");
    let both = ["--base", "builtin", "--candidate", "builtin"];
    let with = |more: &[&'static str]| [&both[..], more].concat();
    for (args, texts) in [
        (vec!["--candidate", "builtin"], &["--base"][..]),
        (vec!["--base", "./x", "--candidate", "builtin"], &["--base", "{port}", "list targets"]),
        (vec!["--base", "builtin", "--candidate", "./x 'y {port}"], &["--candidate", "quote"]),
        (vec!["--base", "builtn", "--candidate", "builtin"], &["did you mean \"builtin\""]),
        (with(&["--blocks", "7"]), &["--blocks 7", "write --blocks 8 or more"]),
        (with(&["--at-most", "0s"]), &["--at-most 0s", "--at-most 5m"]),
        (with(&["--transport", "webhok"]), &["did you mean \"webhook\""]),
        (with(&["--ratio"]), &["--ratio needs two transports"]),
        (with(&["--judge", "servce.p50"]), &["did you mean \"service.p50\""]),
        (with(&["--judge", "throughput"]), &["an open load fixes the throughput"]),
        (with(&["--format", "githb"]), &["did you mean \"github\""]),
        (with(&["--match", "name"]), &["--match name", "order"]),
        (with(&["--path", "/x"]), &["--path applies to commands"]),
        (with(&["--match", "order"]), &["--match applies to commands"]),
        (with(&["--waivers", "none.toml"]), &["none.toml"]),
        (with(&["--scenario", "gat"]), &["did you mean \"gate\""]),
        (vec!["--against", "nowhere", "--candidate", "builtin"], &["not a results directory"]),
        (vec!["--against", "x", "--base", "builtin", "--candidate", "builtin"], &["--against"]),
        (vec!["--against", "x", "--candidate", "builtin", "--seed", "3"], &["leave out", "--seed"]),
        (vec!["--against", "x", "--candidate", "builtin", "--set", "load.rate=9"], &["--set"]),
        (
            vec!["--against", "x", "--candidate", "builtin", "--transport", "tcp,webhook"],
            &["one transport"],
        ),
    ] {
        bench.run(&[&["gate"], &args[..]].concat()).fails(64, texts);
    }
    let waiver = "[[waiver]]\nscenario = \"gate\"\nmetric = \"service.p5\"\nceiling = \"5%\"\n\
                  expires = \"2026-01-01\"\nreason = \"x\"\n";
    let waivers = bench.write("waivers.toml", waiver);
    let gate = bench.run(&[&["gate"], &both[..]].concat());
    gate.fails(64, &["waivers.toml:3:10", "did you mean \"service.p50\""]);
    std::fs::remove_file(waivers).unwrap();
    for (file, texts) in [
        ("nulls.json", &["nulls.json", "schema 9", "pushbench qualify"][..]),
        ("broken.json", &["broken.json"]),
        ("none.json", &["none.json"]),
    ] {
        bench.run(&[&["gate"], &both[..], &["--nulls", file]].concat()).fails(64, texts);
    }
    for (args, texts) in [
        (&["--blocks", "7"][..], &["--blocks 7"][..]),
        (&["--gates", "2", "--injected", "3"], &["at most as many injected"]),
        (&["--transport", "webhook,tcp"], &["one transport at a time"]),
        (&["--scenario", "rate-sweep"], &["a sweep cannot be qualified"]),
        (&["--nulls", "broken.json"], &["broken.json"]),
        (&["--out", "."], &["does not contain a qualification"]),
    ] {
        bench.run(&[&["qualify"], args].concat()).fails(64, texts);
    }
    assert!(!bench.path("results").exists(), "something was begun");
    bench.nothing_left();
}

/// The gate's record says what ended it, and nothing was measured.
fn only_why_is_kept(bench: &Bench) {
    for gate in std::fs::read_dir(bench.path("results")).unwrap().flatten() {
        let kept = read(&gate.path().join("gate.json"));
        assert_eq!(kept["ended"]["failure"]["exit_code"], 3, "{kept}");
        assert!(!gate.path().join("blocks").exists(), "nothing was measured");
    }
}

#[test]
fn a_command_that_does_not_start_ends_it() {
    let bench = Bench::new();
    let fails = |candidate: &str, texts: &[&str]| {
        gate(&bench, &["--base", SERVER, "--candidate", candidate]).fails(3, texts);
    };
    fails("./none {port}", &["./none"]);
    fails("false {port}", &["before it was ready", "exited"]);
    only_why_is_kept(&bench);
    bench.nothing_left();
}

#[test]
fn what_serves_something_else_is_not_timed() {
    let bench = Bench::new();
    let does = |fault: &str| format!("pushbench __faulty webhook {fault} 127.0.0.1:{{port}}");
    let (base, candidate) = (does("honest"), does("twice"));
    let ended = gate(&bench, &["--base", &base, "--candidate", &candidate]);
    ended.fails(
        3,
        &["webhook@candidate handles events differently from webhook@base", "exactly once"],
    );
    only_why_is_kept(&bench);
    bench.nothing_left();
}

#[test]
fn qualify_goes_on_where_it_was_killed_and_the_gate_takes_its_nulls() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let args = ["qualify", "--gates", "2", "--injected", "1", "--out", "q"];
    let args = [&args[..], &STEADY[..2], &QUICK].concat();
    let mut child = bench.pushbench(&args).spawn().unwrap();
    let first = bench.path("q/gate-01/run.json");
    let looks = bench.path("q/gate-01/looks.json");
    let finished = || looks.exists() && read(&looks)["ended"] == true;
    eventually("the first gate", finished);
    signal(&child, rustix::process::Signal::KILL);
    assert_eq!(child.wait().unwrap().code(), None);
    bench.nothing_left();
    bench.run(&[&args[..], &["--seed", "9"]].concat()).fails(64, &["started with other options"]);

    let started = || read(&first)["started"].clone();
    let before = (started(), read(&bench.path("q/calibration/run.json"))["started"].clone());
    let resumed = bench.run(&args);
    resumed.succeeds();
    let after = (started(), read(&bench.path("q/calibration/run.json"))["started"].clone());
    assert_eq!(before, after, "what was finished was run again");
    says(&resumed.out, &["false alarms among equal builds", "+10 % found", "95 % interval"]);
    assert_eq!(bench.run(&["report", "q"]).out, resumed.out);
    let json = bench.run(&["report", "q", "--format", "json"]);
    let all: Value = serde_json::from_str(&json.out).unwrap();
    // Two equal ones, and two slower ones in one of the gates.
    assert_eq!(all["gates"].as_array().unwrap().len(), 4);

    let file = bench.path("pushbench-nulls.json");
    let nulls = read(&file);
    let of = |metric: &str| {
        let entries = nulls["entries"].as_array().unwrap();
        entries.iter().find(|e| e["metric"] == metric).unwrap()["log_ratios"].clone()
    };
    assert_eq!(of("target_usage.cpu_ns_per_event").as_array().unwrap().len(), 2);

    // Two are too few, and two copies of one build pass; with many wide ones no time can be judged here.
    let gate =
        |out: &str| steady(&bench, &["--base", WORKING, "--candidate", WORKING, "--out", out]);
    let few = gate("few");
    few.succeeds();
    says(&few.err, &["pushbench-nulls.json: 2 nulls of this kind", "20 are needed"]);
    says(&few.out, &["PASSED", "null [95 %]", "5 % (2 nulls are too few)"]);
    let mut wide = nulls.clone();
    for entry in wide["entries"].as_array_mut().unwrap() {
        entry["log_ratios"] = (0..24).map(|n| f64::from(n % 7 - 3) / 10.0).collect();
    }
    std::fs::write(&file, wide.to_string()).unwrap();
    let many = gate("many");
    assert_eq!(many.code, Some(2), "{}\n{}", many.out, many.err);
    says(&many.out, &["(24 nulls)", "not qualified", "no requested metric can be judged"]);
    // Where nothing else was left open, more blocks would not change that.
    let result = bench.run(&["report", "many", "--format", "json"]).out;
    let looks = serde_json::from_str::<Value>(&result).unwrap()["stages"].clone();
    let counted = |e: &Value| e["outcome"] == "passed";
    if looks[0]["exact"].as_array().unwrap().iter().all(counted) {
        assert_eq!(looks.as_array().unwrap().len(), 1, "{result}");
    }
    bench.nothing_left();
}
