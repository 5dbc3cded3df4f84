//! The index of a directory tree: what is listed, what is said of the rest, and what is refused.

use crate::common::Bench;
use serde_json::Value;
use std::path::Path;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results");

/// A committed record in the bench; its raw files are not copied.
pub fn place(bench: &Bench, run: &str, name: &str) {
    let (from, to) = (Path::new(RESULTS).join(run), bench.path(name));
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            let inner = entry.file_name().into_string().unwrap();
            place(bench, &format!("{run}/{inner}"), &format!("{name}/{inner}"));
        } else {
            std::os::unix::fs::symlink(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// The committed run of the README, as if it had begun on another day.
pub fn begun(bench: &Bench, name: &str, day: usize) {
    let read = |file: &str| std::fs::read_to_string(format!("{RESULTS}/readme-ingest/{file}"));
    let mut run: Value = serde_json::from_str(&read("run.json").unwrap()).unwrap();
    run["started"] = format!("2026-01-{day:02}T10:30:00Z").into();
    bench.write(&format!("{name}/run.json"), &run.to_string());
    bench.write(&format!("{name}/trials.jsonl"), &read("trials.jsonl").unwrap());
}

fn index(bench: &Bench, dir: &str) -> Value {
    let ended = bench.run(&["report", dir, "--format", "json"]);
    ended.succeeds();
    serde_json::from_str(&ended.out).unwrap()
}

#[test]
fn every_kind_of_record_is_listed_with_its_page() {
    let bench = Bench::new();
    for (from, to) in [
        ("readme-ingest", "all/readme"),
        ("gate-20us", "all/deep/gate"),
        ("capacity-article", "all/capacity"),
        ("reach", "all/reach"),
        ("scorecard/builtin", "all/card"),
        ("truth", "all/truth"),
    ] {
        place(&bench, from, to);
    }
    let all = index(&bench, "all");
    let kinds: Vec<&str> = all["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["record"]["kind"].as_str().unwrap())
        .collect();
    for kind in ["run", "gate", "capacity", "reach", "scorecard", "accuracy"] {
        assert_eq!(kinds.iter().filter(|k| **k == kind).count(), 1, "{kind} in {kinds:?}");
    }
    assert_eq!(all["not_shown"], serde_json::json!([]));

    let page = bench.run(&["report", "all", "--output", "pages/index.html"]);
    page.fails(3, &["pages/index.html"]);
    bench.run(&["report", "all", "--output", "index.html"]).succeeds();
    let html = std::fs::read_to_string(bench.path("index.html")).unwrap();
    for href in ["all/readme/report.html", "all/deep/gate/report.html", "all/truth/report.md"] {
        assert!(html.contains(&format!("href=\"{href}\"")), "{href}");
        assert!(bench.path(href).exists());
    }
    let command = "pushbench report all/capacity --format html --output all/capacity/capacity.html";
    assert!(html.contains(command), "no page of the search");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    // The files are links to committed ones: the page is made elsewhere.
    bench.run(&[&words[..4], &["--output", "capacity.html"]].concat()).succeeds();
}

#[test]
fn what_the_report_says_of_a_run_stands_in_its_row() {
    let bench = Bench::new();
    place(&bench, "readme-ingest", "all/one");
    let report = bench.run(&["report", "all/one", "--format", "json"]).out;
    let report: Value = serde_json::from_str(&report).unwrap();
    let all = index(&bench, "all");
    assert_eq!(all["entries"][0]["record"]["verdict"], report["points"][0]["sentences"]);
    assert_eq!(all["histories"][0]["lines"], serde_json::json!([]), "one run is no line");
}

#[test]
fn comparable_runs_make_a_line_and_others_do_not() {
    let bench = Bench::new();
    for (name, day) in [("all/b", 2), ("all/a", 1), ("all/c", 3)] {
        begun(&bench, name, day);
    }
    let text = std::fs::read_to_string(bench.path("all/c/run.json")).unwrap();
    bench.write("all/c/run.json", &text.replace("\"cpus\":\"2\"", "\"cpus\":\"4\""));
    let all = index(&bench, "all");
    let lines = all["histories"].as_array().unwrap();
    assert_eq!(lines[0]["directories"], serde_json::json!(["a", "b"]));
    assert_eq!(lines[1]["directories"], serde_json::json!(["c"]));
    assert_eq!(lines[1]["differs"][0]["what"], "cpus");
    let compared = bench.run(&["compare", "all/a", "all/b", "--format", "json"]).out;
    let compared: Value = serde_json::from_str(&compared).unwrap();
    let figure = compared["points"][0]["figures"].as_array().unwrap();
    let figure = figure.iter().find(|f| f["metric"] == "response.p50").unwrap();
    assert_eq!(lines[0]["lines"][0]["curves"][0]["values"][0], figure["first"]);
}

#[test]
fn what_cannot_be_read_is_listed_and_stops_nothing() {
    let bench = Bench::new();
    place(&bench, "readme-ingest", "all/good");
    let text = std::fs::read_to_string(format!("{RESULTS}/readme-ingest/run.json")).unwrap();
    bench.write("all/newer/run.json", &text.replacen("\"schema\": 1", "\"schema\": 2", 1));
    bench.write("all/broken/run.json", &text[..300]);
    bench.write("all/headless/trials.jsonl", "{}\n");
    bench.write("all/lineless/run.json", &text);
    bench.write("all/torn/run.json", &text);
    bench.write("all/torn/trials.jsonl", "{\"point\": x}\n");
    bench.write("all/torn-gate/gate.json", "{");
    bench.write("all/photos/2026/a.jpg", "");
    bench.write("all/notes.md", "");
    std::fs::create_dir(bench.path("all/empty")).unwrap();
    std::os::unix::fs::symlink(bench.path("all"), bench.path("all/loop")).unwrap();
    let all = index(&bench, "all");
    assert_eq!(all["entries"].as_array().unwrap().len(), 1);
    let why = |directory: &str| {
        let mut lines = all["not_shown"].as_array().unwrap().iter();
        let line = lines.find(|line| line["directory"] == directory);
        line.unwrap_or_else(|| panic!("no {directory} in {all:#}"))["why"].as_str().unwrap()
    };
    for (directory, text) in [
        ("newer", "has schema 2"),
        ("broken", "run.json is damaged"),
        ("headless", "is not a results directory"),
        ("lineless", "trials.jsonl"),
        ("torn", "trials.jsonl:1: damaged"),
        ("torn-gate", "gate.json is damaged"),
        ("photos", "no record of pushbench"),
        ("empty", "it is empty"),
        (".", "notes.md"),
        ("loop", "a link to a directory, which is not followed"),
    ] {
        assert!(why(directory).contains(text), "{directory}: {}", why(directory));
    }
    assert_eq!(all["not_shown"].as_array().unwrap().len(), 10, "{all:#}");
}

#[test]
fn an_index_may_lie_within_its_tree_and_is_the_same_each_time() {
    let bench = Bench::new();
    place(&bench, "readme-ingest", "all/one");
    let write = || {
        bench.run(&["report", "all/", "--output", "all/index.html"]).succeeds();
        std::fs::read_to_string(bench.path("all/index.html")).unwrap()
    };
    let first = write();
    assert!(first.contains("href=\"one/report.html\"") && !first.contains("index.html:"));
    assert_eq!(first, write());
}

#[test]
fn what_makes_no_sense_of_a_tree_is_refused() {
    let bench = Bench::new();
    place(&bench, "readme-ingest", "all/one");
    std::fs::create_dir_all(bench.path("none/below")).unwrap();
    let report = |more: &[&str]| bench.run(&[&["report"], more].concat());
    let texts = ["none holds no run", "pushbench run ingest --out none/first"];
    report(&["none", "--output", "index.html"]).fails(64, &texts);
    assert!(!bench.path("index.html").exists());
    for (option, value) in
        [("--price", "core_hour=1"), ("--sort", "response.p50"), ("--chart", "forest")]
    {
        let texts = [option, "all is a directory of runs", "leave out"];
        report(&["all", option, value]).fails(64, &texts);
    }
    let texts = ["--format csv: a directory of runs has the formats text, json, markdown and html"];
    report(&["all", "--format", "csv"]).fails(64, &texts);
    report(&["all", "--format", "github"]).fails(64, &["a directory of runs has the formats"]);
    report(&["all", "--output", "all"]).fails(64, &["--output all/index.html"]);
    report(&["nowhere"]).fails(64, &["nowhere is not a results directory"]);
    let text = report(&["all"]);
    text.succeeds();
    assert!(text.out.starts_with("all: 1 run\n"), "{}", text.out);
}
