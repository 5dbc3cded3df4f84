//! `pushbench report --format html` and `svg` of the committed runs: sizes, references, what is refused.

use crate::common::Bench;
use std::path::Path;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results");

fn dir(run: &str) -> String {
    format!("{RESULTS}/{run}")
}

/// The text of every attribute of this name.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(start.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn pages_are_small_whole_and_lead_to_their_records() {
    let bench = Bench::new();
    for (run, most) in [
        ("readme-ingest", 500_000),
        ("connections-4000", 500_000),
        ("steady-memory", 500_000),
        // Four settings each: a fifth of what twenty may have, which is 2 MB.
        ("in-flight-sweep", 400_000),
        ("short-lived-connections", 400_000),
        ("all-targets", 2_000_000),
    ] {
        bench.run(&["report", &dir(run), "--format", "html", "--output", "page.html"]).succeeds();
        let html = std::fs::read_to_string(bench.path("page.html")).unwrap();
        assert!(html.len() < most, "{run}: {} bytes", html.len());
        assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>"));
        assert!(!html.contains("NaN"), "{run}");
        let here = Path::new(&bench.path("page.html")).parent().unwrap().to_owned();
        let links = attributes(&html, "href");
        let files: Vec<&&str> = links.iter().filter(|href| !href.starts_with('#')).collect();
        assert!(files.len() >= 2, "{run}: {files:?}");
        for file in files {
            assert!(here.join(file).exists(), "{run}: {file}");
        }
    }
}

#[test]
fn the_same_records_give_the_same_page() {
    let bench = Bench::new();
    let page = || bench.run(&["report", &dir("readme-ingest"), "--format", "html"]).out;
    let first = page();
    let text = bench.run(&["report", &dir("readme-ingest")]).out;
    let (_, verdict) = text.split_once("\nwebsocket@builtin answers ").unwrap();
    let (figure, _) = verdict.split_once(" sooner at the median").unwrap();
    let sentence = format!("websocket@builtin answers {} sooner", figure.replace(' ', "\u{a0}"));
    assert!(first.contains(&sentence), "{sentence}");
    assert_eq!(first, page());
}

#[test]
fn several_directories_are_one_page() {
    let bench = Bench::new();
    let dirs = [dir("readme-ingest"), dir("steady-memory")];
    let page = bench.run(&["report", &dirs[0], &dirs[1]]);
    page.succeeds();
    assert!(page.out.contains("<h1>2 runs</h1>") && page.out.contains("id=\"run2-verdict\""));
    bench
        .run(&["report", &dirs[0], &dirs[1], "--format", "json"])
        .fails(64, &["--format json shows one run", "--format html"]);
    bench.run(&["report"]).fails(64, &["<DIR>"]);
}

#[test]
fn any_chart_is_a_file_by_its_name() {
    let bench = Bench::new();
    let run = dir("readme-ingest");
    let svg = |more: &[&str]| bench.run(&[&["report", &run, "--format", "svg"], more].concat());
    svg(&["--chart", "spectrum", "--output", "s.svg"]).succeeds();
    let text = std::fs::read_to_string(bench.path("s.svg")).unwrap();
    let tree = roxmltree::Document::parse(&text).unwrap();
    assert!(
        tree.descendants()
            .filter(|n| n.has_tag_name("path") || n.tag_name().name() == "path")
            .count()
            > 40
    );
    svg(&[]).fails(64, &["which chart?", "--chart", "spectrum", "forest"]);
    svg(&["--chart", "spectrun"]).fails(64, &["spectrun", "did you mean \"spectrum\""]);
    bench.run(&["report", &run, "--chart", "forest"]).fails(64, &["add --format svg"]);
    let sweep = dir("in-flight-sweep");
    let chart = ["report", &sweep, "--format", "svg", "--chart", "sweep-throughput"];
    assert!(bench.run(&chart).out.starts_with("<svg role=\"img\""));
}

#[test]
fn a_newer_schema_is_refused_with_both_versions() {
    let bench = Bench::new();
    let text = std::fs::read_to_string(format!("{}/run.json", dir("readme-ingest"))).unwrap();
    bench.write("new/run.json", &text.replacen("\"schema\": 1", "\"schema\": 2", 1));
    bench.write("new/trials.jsonl", "");
    bench
        .run(&["report", "new", "--format", "html", "--output", "page.html"])
        .fails(64, &["has schema 2", "reads schema 1"]);
    assert!(!bench.path("page.html").exists());
}

#[test]
fn a_run_that_was_killed_is_a_page_that_says_so() {
    let bench = Bench::new();
    let read =
        |file: &str| std::fs::read_to_string(format!("{}/{file}", dir("readme-ingest"))).unwrap();
    let mut run: serde_json::Value = serde_json::from_str(&read("run.json")).unwrap();
    run["complete"] = false.into();
    // Records are counted at the end of a run.
    run.as_object_mut().unwrap().remove("records");
    bench.write("cut/run.json", &run.to_string());
    let trials = read("trials.jsonl");
    bench.write("cut/trials.jsonl", &trials[..trials.len() / 2]);
    let page = bench.run(&["report", "cut", "--format", "html"]);
    page.succeeds();
    assert!(page.out.contains("the run was cut short"), "on top");
}
