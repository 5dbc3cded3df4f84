//! Stored runs: two side by side, one run again, and what is refused or said of those that are damaged, newer,
//! or not to be had here.

use crate::common::{Bench, short};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const USAGE: i32 = 64;
const STORED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/readme-ingest");

/// The committed run in the bench, changed.
fn changed(bench: &Bench, name: &str, change: impl FnOnce(&mut Value)) {
    let text = std::fs::read_to_string(Path::new(STORED).join("run.json")).unwrap();
    let mut run: Value = serde_json::from_str(&text).unwrap();
    // As of before, without a count of its records.
    run.as_object_mut().unwrap().remove("records");
    change(&mut run);
    bench.write(&format!("{name}/run.json"), &run.to_string());
    let trials = std::fs::read_to_string(Path::new(STORED).join("trials.jsonl")).unwrap();
    bench.write(&format!("{name}/trials.jsonl"), &trials);
}

#[test]
fn two_runs_stand_side_by_side_and_what_differs_is_named() {
    let bench = Bench::new();
    let same = bench.run(&["compare", STORED, STORED]);
    same.succeeds();
    assert!(same.out.contains("These runs may be compared"), "{}", same.out);
    assert!(same.out.contains("within") && !same.out.contains("outside"), "{}", same.out);

    changed(&bench, "other", |run| {
        run["environment"]["cpu"] = "<i>another</i> \u{202e}CPU".into();
        run["points"][0]["scenario"]["payload"] = json!({"bytes": 600});
        run["seed"] = 8.into();
    });
    let differ = bench.run(&["compare", STORED, "other"]);
    differ.succeeds();
    for text in [
        "These runs may NOT be compared like for like",
        "seed: 7, then 8",
        "payload.bytes: 512, then 600",
        "then <i>another</i> [U+202E]CPU",
    ] {
        assert!(differ.out.contains(text), "no {text:?} in {}", differ.out);
    }
    let first = differ.out.find("NOT be compared").unwrap();
    assert!(first < differ.out.find("response.p50").unwrap(), "said first: {}", differ.out);
    let markdown = bench.run(&["compare", STORED, "other", "--format", "markdown"]);
    markdown.succeeds();
    assert!(
        markdown.out.contains("&lt;i&gt;") && !markdown.out.contains("<i>"),
        "{}",
        markdown.out
    );

    let file = bench.path("both.json");
    let args = ["compare", STORED, "other", "--format", "json", "--output"];
    bench.run(&[&args[..], &[file.to_str().unwrap()]].concat()).succeeds();
    let both: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!((&both["schema"], &both["comparable"]), (&1.into(), &false.into()));
    let verdicts = &both["verdicts"];
    assert!(verdicts["of"].as_u64() > Some(4) && verdicts["agree"] == verdicts["of"], "{verdicts}");
    assert!(differ.out.contains("\nVerdicts: 10 of 10 agree"), "{}", differ.out);
    let figures = both["points"][0]["figures"].as_array().unwrap();
    assert!(
        figures.len() > 15 && figures.iter().all(|f| f["change"] == 1.0 && f["within"] == true)
    );
}

#[test]
fn runs_without_anything_in_common_are_told_what_is_missing() {
    let bench = Bench::new();
    changed(&bench, "other", |run| {
        for arm in run["points"][0]["arms"].as_array_mut().unwrap() {
            arm["label"] = format!("{}#2", arm["label"].as_str().unwrap()).into();
        }
    });
    let texts =
        ["nothing in common to compare", "webhook@builtin#2", "no arm has a valid block in both"];
    bench.run(&["compare", STORED, "other"]).fails(USAGE, &texts);
    let sweep = concat!(env!("CARGO_MANIFEST_DIR"), "/results/in-flight-sweep");
    let texts = ["scenario: ingest, then in-flight-sweep", "no setting is in both"];
    bench.run(&["compare", STORED, sweep]).fails(USAGE, &texts);
    bench.run(&["compare", STORED, "."]).fails(USAGE, &["not a results directory"]);
    bench.run(&["compare", STORED]).fails(USAGE, &["<SECOND>"]);
    let texts = ["no such format (did you mean \"text\"?)", "text, json, markdown"];
    bench.run(&["compare", STORED, STORED, "--format", "txt"]).fails(USAGE, &texts);
}

#[test]
fn a_run_is_reproduced_and_shown_beside_the_stored_one() {
    let bench = Bench::new();
    // A design that does not depend on the pilots.
    let fixed = ["--seed", "11", "--payload", "100", "--set", "compare.design=sequential"];
    bench.run(&short(&[&fixed[..], &["--out", "first"]].concat())).succeeds();
    let again = bench.run(&["reproduce", "first", "--out", "again"]);
    again.succeeds();
    assert!(again.out.contains("\nVerdicts: "), "{}", again.out);
    assert!(again.err.contains("Verdicts "), "{}", again.err);
    assert!(again.out.contains("These runs may be compared"), "{}", again.out);
    assert!(again.out.contains("websocket@builtin / webhook@builtin"), "{}", again.out);
    let run = |dir: &str| -> Value {
        let text = std::fs::read_to_string(bench.path(dir).join("run.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let (first, second) = (run("first"), run("again"));
    for part in ["points", "seed", "scenario", "question", "placement"] {
        assert_eq!(first[part], second[part], "{part}");
    }
    assert_eq!(second["command"], json!(["pushbench", "reproduce", "first", "--out", "again"]));
    // The count at the end is that of the file, so that one record less is noticed.
    let records =
        std::fs::read_to_string(bench.path("first/trials.jsonl")).unwrap().lines().count();
    assert_eq!(first["records"]["count"], records);
    assert!(!bench.run(&["report", "first"]).out.contains("RECORDS DIFFER"));
    // The same seed gives the same events in every block that both have; a voided one is replaced.
    let due = |dir: &str| -> BTreeMap<(u64, u64), Value> {
        let text = std::fs::read_to_string(bench.path(dir).join("trials.jsonl")).unwrap();
        let trials = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let blocks = trials.filter(|t| t["stage"] == "block");
        let number = |t: &Value, name: &str| t[name].as_u64().unwrap();
        blocks
            .map(|t| ((number(&t, "block"), number(&t, "arm")), t["events"]["due"].clone()))
            .collect()
    };
    let (first, second) = (due("first"), due("again"));
    assert!(first.len() >= 4 && second.len() >= 4);
    for (trial, events) in first.iter().filter(|(trial, _)| second.contains_key(trial)) {
        assert_eq!(events, &second[trial], "block and arm {trial:?}");
    }
    let texts = ["again already exists", "--out"];
    bench.run(&["reproduce", "first", "--out", "again"]).fails(USAGE, &texts);
    bench.nothing_left();
}

#[test]
fn what_cannot_be_reproduced_is_refused_before_anything_starts() {
    let bench = Bench::new();
    changed(&bench, "mine", |run| {
        let arm = &mut run["points"][0]["arms"][1];
        (arm["label"], arm["target"]) = ("websocket@mine".into(), "mine".into());
        arm["command"] = json!(["node", "my server.js"]);
    });
    let texts = [
        "mine cannot be reproduced here",
        "websocket@mine is missing",
        "started as `node 'my server.js'`",
        "[target.mine.websocket]",
        "pushbench init",
    ];
    bench.run(&["reproduce", "mine", "--out", "new"]).fails(USAGE, &texts);
    changed(&bench, "empty", |run| run["points"] = json!([]));
    bench.run(&["reproduce", "empty", "--out", "new"]).fails(USAGE, &["empty has no plan"]);
    assert!(!bench.path("new").exists());
}

#[test]
fn a_newer_schema_is_refused_with_both_versions() {
    let bench = Bench::new();
    changed(&bench, "newer", |run| {
        run["schema"] = 99.into();
        run["pushbench"] = "7.8.9".into();
    });
    let own = format!("this is pushbench {}, which reads schema 1", env!("CARGO_PKG_VERSION"));
    let texts = ["schema 99", "pushbench 7.8.9", &own, "use the version that wrote it"];
    for args in [
        &["report", "newer"][..],
        &["report", "newer", "--format", "junit"],
        &["compare", STORED, "newer"],
        &["compare", "newer", STORED],
        &["reproduce", "newer"],
    ] {
        bench.run(args).fails(USAGE, &texts);
    }
    assert!(!bench.path("results").exists());
}

/// The first so many records of a run, whole lines.
fn cut(bench: &Bench, dir: &str, records: usize) {
    let path = bench.path(dir).join("trials.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').take(records).collect();
    std::fs::write(&path, lines.concat()).unwrap();
}

#[test]
fn records_that_are_missing_are_said_first_in_every_format() {
    let bench = Bench::new();
    // A run of before, which has no count of its records, is held against its plan.
    changed(&bench, "former", |_| {});
    cut(&bench, "former", 20);
    // One that has a count: whatever the blocks look like.
    changed(&bench, "counted", |run| {
        run["records"] = json!({"count": 27, "sha256": "0".repeat(64)});
    });
    for (dir, what) in [
        ("former", "holds 9 valid blocks, 12 were planned"),
        ("counted", "holds 26 records, run.json counted 27 at the end of the run: 1 is missing"),
    ] {
        let report = bench.run(&["report", dir]);
        report.succeeds();
        let top = report.out.lines().nth(1).unwrap();
        assert!(top.starts_with("RECORDS DIFFER: ") && top.contains(what), "{}", report.out);
        let message = |format: &str| {
            let ended = bench.run(&["report", dir, "--format", format]);
            ended.succeeds();
            assert!(ended.err.contains("RECORDS DIFFER"), "{format}: {}", ended.err);
            ended.out
        };
        let report: Value = serde_json::from_str(&message("json")).unwrap();
        assert_eq!(report["complete"], false);
        assert!(report["records_differ"][0].as_str().unwrap().contains(what), "{report}");
        for format in ["markdown", "junit", "gobench", "html"] {
            assert!(message(format).contains(what), "{format}");
        }
        message("csv");
        for args in [["compare", STORED, dir], ["compare", dir, STORED]] {
            let both = bench.run(&args);
            both.succeeds();
            let start = format!("RECORDS DIFFER in {dir}: ");
            assert!(both.out.starts_with(&start) && both.out.contains(what), "{}", both.out);
            assert!(both.out.contains("may NOT be compared"), "{}", both.out);
            let args = [&args[..], &["--format", "json"]].concat();
            let both: Value = serde_json::from_str(&bench.run(&args).out).unwrap();
            assert_eq!(both["comparable"], false);
        }
    }
}

#[test]
fn a_directory_cut_in_the_middle_of_a_line_is_read_up_to_there() {
    let bench = Bench::new();
    changed(&bench, "cut", |_| {});
    let path = bench.path("cut/trials.jsonl");
    let text = std::fs::read(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 1000]).unwrap();
    let report = bench.run(&["report", "cut"]);
    report.succeeds();
    let lines: Vec<&str> = report.out.lines().collect();
    assert!(lines[1].starts_with("INCOMPLETE"), "on top: {}", report.out);
    assert!(report.out.contains("ends in the middle of a line"), "{}", report.out);
    assert!(report.out.contains("blocks 11/11 valid"), "{}", report.out);
    for format in ["json", "markdown", "csv", "junit", "bencher", "gobench"] {
        let rendered = bench.run(&["report", "cut", "--format", format]);
        rendered.succeeds();
        assert!(rendered.err.contains("INCOMPLETE"), "{format}: {}", rendered.err);
    }
    // Cut elsewhere it is damaged, and the place is named.
    let middle = [&text[..200], b"\n", &text[300..]].concat();
    std::fs::write(&path, middle).unwrap();
    bench.run(&["report", "cut"]).fails(USAGE, &["trials.jsonl:1: damaged"]);
}

#[test]
fn outputs_are_written_whole_and_where_they_belong() {
    let bench = Bench::new();
    for format in ["hgrm", "hlog", "github-action-benchmark"] {
        let again = format!("--format {format} --output {format}");
        bench.run(&["report", STORED, "--format", format]).fails(USAGE, &["several files", &again]);
        let file = bench.write("file", "mine");
        let args = ["report", STORED, "--format", format, "--output", "file"];
        bench.run(&args).fails(USAGE, &["is not a directory", "name a directory"]);
        assert_eq!(std::fs::read_to_string(file).unwrap(), "mine");
        bench.run(&["report", STORED, "--format", format, "--output", "a/b"]).succeeds();
    }
    let names: Vec<String> = std::fs::read_dir(bench.path("a/b"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 4 + 3 + 2, "no half-written file is left: {names:?}");
    let args = ["report", STORED, "--format", "csv", "--output", "a"];
    bench.run(&args).fails(USAGE, &["is a directory", "--output a/trials.csv"]);
    bench.run(&["report", STORED, "--format", "csv", "--output", "file"]).succeeds();
    assert!(std::fs::read_to_string(bench.path("file")).unwrap().starts_with("scenario,"));
    // What has no valid block has no distribution.
    changed(&bench, "nothing", |_| {});
    bench.write("nothing/trials.jsonl", "");
    let args = ["report", "nothing", "--format", "hgrm", "--output", "h"];
    bench.run(&args).fails(USAGE, &["no block is valid"]);
    let tracker = bench.run(&["report", "nothing", "--format", "bencher"]);
    tracker.succeeds();
    assert!(
        tracker.out.trim() == "{}" && tracker.err.contains("no block is valid"),
        "{}",
        tracker.err
    );
}

#[test]
fn formats_are_listed_and_completed_with_what_they_are() {
    let bench = Bench::new();
    let list = bench.run(&["list", "formats"]);
    let zsh = bench.run(&["completions", "zsh"]);
    for name in ["csv", "hgrm", "hlog", "junit", "github-action-benchmark", "bencher", "gobench"] {
        let line = list.out.lines().find(|l| l.split_whitespace().next() == Some(name));
        assert!(line.unwrap().split_whitespace().count() > 4, "{}", list.out);
        assert!(zsh.out.contains(&format!("{name}\\:\"")), "no {name} in the completions of zsh");
    }
    let texts = ["--sort applies to tables", "--format text"];
    bench.run(&["report", ".", "--sort", "throughput", "--format", "csv"]).fails(USAGE, &texts);
}
