//! How a run shows that it goes on: on a pseudo-terminal, on a pipe, as JSON lines.

use crate::common::terminal::Terminal;
use crate::common::{Bench, eventually, json, short, signal};
use rustix::process::Signal;
use serde_json::Value;

/// Blocks that are short, and so many that a ratio is shown before the end.
const BLOCKS: [&str; 12] = [
    "run",
    "ingest",
    "--out",
    "r",
    "--blocks",
    "12",
    "--duration",
    "300ms",
    "--warmup",
    "100ms",
    "--rate",
    "300",
];
/// A run that lasts until it is interrupted.
const LONG: [&str; 12] = [
    "run",
    "ingest",
    "--out",
    "r",
    "--blocks",
    "500",
    "--duration",
    "300ms",
    "--warmup",
    "100ms",
    "--rate",
    "300",
];

/// Whether lines of the view are there: the bar.
fn has_view(shown: &str) -> bool {
    shown.contains(['━', '─'])
}

#[test]
fn a_terminal_shows_arms_ratio_and_blocks_and_is_clean_at_the_end() {
    for columns in [80, 40] {
        let bench = Bench::new();
        let mut terminal = Terminal::start(&bench, &BLOCKS, columns, &[("NO_COLOR", "1")]);
        let shown = terminal.until("first block", |shown| shown.contains("of 8 blocks"));
        assert!(shown.contains("response p50: not yet"), "{shown}");
        let shown = terminal.until("ratio", |shown| shown.contains("response p50 ×"));
        for text in ["s left", "p50", "p99", "12 wanted", "voided"] {
            assert!(shown.contains(text), "no {text:?} in {columns} columns:\n{shown}");
        }
        // A warning may name an arm, too.
        let arm = |line: &&str| line.starts_with("web") && line.contains("@builtin  ");
        let arms: Vec<&str> = shown.lines().filter(arm).collect();
        assert_eq!(arms.len(), 2, "{shown}");
        assert!(arms.iter().all(|line| line.contains("µs") || line.contains("ms")), "{shown}");
        assert_eq!(shown.lines().filter(|line| has_view(line)).count(), 1, "one view:\n{shown}");
        assert_eq!(terminal.ended(), Some(0), "{}", terminal.shown());
        let shown = terminal.shown();
        for text in ["━", "─", "s left", " wanted", "not yet"] {
            assert!(!shown.contains(text), "{text:?} is left:\n{shown}");
        }
        let raw = String::from_utf8_lossy(&terminal.raw);
        let colours = raw.split("\u{1b}[").skip(1).filter(|part| {
            part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
        });
        assert_eq!(colours.count(), 0, "NO_COLOR");
        bench.nothing_left();
    }
}

#[test]
fn a_terminal_that_becomes_narrower_shows_one_view() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, &LONG, 80, &[]);
    terminal.until("block", |shown| shown.contains("blocks: 1 valid"));
    terminal.resize(40);
    let shown = terminal.until("block", |shown| shown.contains("blocks: 3 valid"));
    for part in ["blocks: ", "s left", "not yet"] {
        assert_eq!(shown.matches(part).count(), 1, "{part:?} more than once:\n{shown}");
    }
    terminal.press("\u{3}");
    assert_eq!(terminal.ended(), Some(130));
    assert!(!has_view(&terminal.shown()), "{}", terminal.shown());
    bench.nothing_left();
}

#[test]
fn ctrl_c_gives_the_verdict_of_what_is_there() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, &LONG, 100, &[]);
    terminal.until("two blocks", |shown| shown.contains("blocks: 2 valid"));
    terminal.press("\u{3}");
    assert_eq!(terminal.ended(), Some(130));
    let shown = terminal.shown();
    assert!(!has_view(&shown), "{shown}");
    for text in
        ["INCOMPLETE: the run was cut short (interrupted)", "webhook@builtin", "cannot tell"]
    {
        assert!(shown.contains(text), "no {text:?} in\n{shown}");
    }
    assert!(shown.trim_end().ends_with("pushbench: interrupted"), "{shown}");
    let report = json(&bench, "r");
    assert_eq!((&report["complete"], &report["failure"]), (&false.into(), &"interrupted".into()));
    let comparisons = report["points"][0]["comparisons"].as_array().unwrap();
    assert!(comparisons.iter().all(|c| c["verdict"] == "inconclusive"), "{comparisons:?}");
    bench.nothing_left();
}

#[test]
fn a_terminal_that_cannot_draw_and_ci_have_plain_lines() {
    let bench = Bench::new();
    for (out, env) in [("dumb", ("TERM", "dumb")), ("ci", ("CI", "true"))] {
        let mut terminal = Terminal::start(&bench, &short(&["--out", out]), 100, &[env]);
        assert_eq!(terminal.ended(), Some(0));
        let raw = String::from_utf8_lossy(&terminal.raw);
        assert!(raw.contains(" s] block 2/2, about"), "{raw}");
        let before = raw.split("] block 2/2").next().unwrap();
        assert!(!before.contains('\u{1b}'), "{before:?}");
    }
}

/// The lines of standard error, each of them JSON.
fn lines(err: &str) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    let lines: Vec<Value> = err.lines().map(line).collect();
    for line in &lines {
        assert_eq!(line["schema"], 1, "{line}");
        assert!(line["event"].is_string(), "{line}");
    }
    lines
}

fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

#[test]
fn json_lines_come_in_order_and_the_last_verdict_is_the_report_s() {
    let bench = Bench::new();
    let ended = bench.run(&[&BLOCKS[..], &["--progress", "json"]].concat());
    ended.succeeds();
    assert!(ended.out.contains("response p50"), "the report is on standard output");
    let lines = lines(&ended.err);
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let first = |event: &str| events.iter().position(|e| *e == event).expect(event);
    let order = ["begin", "point", "second", "block", "verdict", "end"];
    assert!(order.is_sorted_by_key(|event| first(event)), "{events:?}");
    assert_eq!(events.iter().filter(|e| **e == "end").count(), 1);
    assert_eq!(events.last(), Some(&"end"));
    let begin = &lines[first("begin")];
    assert_eq!((&begin["scenario"], &begin["blocks"]), (&"ingest".into(), &12.into()));
    let arms = begin["arms"].as_array().unwrap();
    for second in of(&lines, "second") {
        assert!(arms.contains(&second["arm"]) && second["responses"].is_u64(), "{second}");
    }
    for arm in arms {
        let counts: Vec<u64> = of(&lines, "second")
            .iter()
            .filter(|second| second["arm"] == *arm)
            .map(|second| second["count"].as_u64().unwrap())
            .collect();
        assert!(counts.is_sorted() && counts.last() > Some(&1000), "{counts:?}");
    }
    let (blocks, verdicts) = (of(&lines, "block"), of(&lines, "verdict"));
    assert_eq!(blocks.len(), verdicts.len());
    for (block, verdict) in blocks.iter().zip(&verdicts) {
        assert_eq!(block["blocks_valid"], verdict["blocks_valid"]);
        assert_eq!(block["valid"], block["reasons"].as_array().unwrap().is_empty());
    }
    let report = json(&bench, "r");
    let reported = report["points"][0]["comparisons"].as_array().unwrap();
    let reported: Vec<&Value> = reported.iter().filter(|c| c["metric"] == "response.p50").collect();
    let last = verdicts.last().unwrap();
    assert_eq!(last["comparisons"].as_array().unwrap().iter().collect::<Vec<_>>(), reported);
    assert_eq!(last["blocks_valid"], report["points"][0]["design"]["blocks_valid"]);
    assert!(reported[0]["ci95"].is_array(), "{reported:?}");
    let end = lines.last().unwrap();
    assert_eq!((&end["exit_code"], &end["results"]), (&0.into(), &"r".into()));
    assert_eq!(end["error"], Value::Null);
}

#[test]
fn json_lines_end_with_the_reason_and_the_exit_code() {
    let bench = Bench::new();
    let server = "[target.gone.webhook]\nurl = \"http://127.0.0.1:9/hook\"\nmatch = \"id\"\n";
    bench.write("pushbench.toml", server);
    let args = short(&["--arm", "webhook@gone", "--arm", "websocket@builtin", "--out", "r"]);
    let ended = bench.run(&[&args[..], &["--progress", "json"]].concat());
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    let lines = lines(&ended.err);
    let end = lines.last().unwrap();
    assert_eq!((&end["event"], &end["exit_code"]), (&"end".into(), &3.into()));
    assert!(end["error"].as_str().unwrap().contains("127.0.0.1:9"), "{end}");
    assert_eq!(end["results"], Value::Null, "nothing was kept");

    let child = bench.pushbench(&[&LONG[..], &["--progress", "json"]].concat()).spawn().unwrap();
    let trials = bench.path("r/trials.jsonl");
    let blocks = || std::fs::read_to_string(&trials).unwrap_or_default().lines().count();
    eventually("blocks", || blocks() >= 6);
    signal(&child, Signal::INT);
    let ended = crate::common::ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    let lines = self::lines(&ended.err);
    let end = lines.last().unwrap();
    assert_eq!((&end["event"], &end["exit_code"]), (&"end".into(), &130.into()));
    assert_eq!((&end["error"], &end["results"]), (&"interrupted".into(), &"r".into()));
    assert!(ended.out.contains("INCOMPLETE"), "{}", ended.out);
}

#[test]
fn a_pipe_has_plain_lines_or_what_it_is_told() {
    let bench = Bench::new();
    for args in [&["--out", "a"][..], &["--out", "b", "--progress", "plain"]] {
        let ended = bench.run(&short(args));
        ended.succeeds();
        for text in ["about 2 s to go\n", " s] block 1/2, about", " · webhook@builtin "] {
            assert!(ended.err.contains(text), "no {text:?} in {}", ended.err);
        }
        assert!(!ended.err.contains('\u{1b}'), "{}", ended.err);
    }
    let ended = bench.run(&short(&["--out", "c", "--progress", "none"]));
    ended.succeeds();
    assert_eq!(ended.err, "");
    assert!(ended.out.contains("response p50"), "{}", ended.out);
    let refused = |how: &str, texts: &[&str]| {
        bench.run(&short(&["--out", "d", "--progress", how])).fails(64, texts);
        assert!(!bench.path("d").exists());
    };
    refused("live", &["--progress live", "no terminal", "--progress plain"]);
    refused("lively", &["--progress", "plain, live, json, none"]);
}
