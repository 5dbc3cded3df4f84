//! `pushbench reach`, end to end on a few cells. Skipped where namespaces or nftables are missing, except in CI, where
//! that is a failure.

use crate::common::{Bench, Ended, eventually, signal, turn};
use crate::publishers::missing;
use rustix::process::Signal;
use serde_json::Value;
use std::process::{Command, Stdio};

const USAGE: i32 = 64;

fn programs_are_missing() -> bool {
    let namespaces: &[&str] = &["unshare", "--net", "--map-root-user", "true"];
    let nft: &[&str] = &["/usr/sbin/nft", "--version"];
    missing(&[namespaces, nft], "network namespaces, nft (apt install nftables)")
}

fn cell<'a>(matrix: &'a Value, path: &str, arm: &str) -> &'a Value {
    let cells = matrix["cells"].as_array().unwrap();
    let same = |cell: &&Value| cell["path"] == path && cell["arm"] == arm;
    cells.iter().find(same).unwrap_or_else(|| panic!("no {arm} on {path} in {matrix}"))
}

#[test]
fn what_cannot_be_tried_is_refused_before_anything_starts() {
    let bench = Bench::new();
    bench.write("full/file", "");
    for (args, texts) in [
        (&["--path", "nignx"][..], &["--path nignx", "did you mean \"nginx\"", "idle-cutoff"][..]),
        (&["--arm", "webhok@builtin"], &["did you mean \"webhook\""]),
        (&["--arm", "websocket@nosuch"], &["nosuch"]),
        (&["--idle-cutoff", "1500ms"], &["whole seconds from 2s to 60s"]),
        (&["--format", "cvs"], &["--format cvs", "text, json, markdown, html"]),
        (&["--out", "full"], &["not overwritten"]),
    ] {
        let ended = bench.run(&[&["reach"], args].concat());
        ended.fails(USAGE, texts);
        assert!(!bench.path("results").exists(), "{args:?} has made a directory");
    }
    bench
        .run(&["reach", "--path", "direct", "--out", "/dev/null/here"])
        .fails(3, &["/dev/null/here"]);
    bench.nothing_left();
    let listed = bench.run(&["list", "paths"]);
    listed.succeeds();
    assert_eq!(listed.out.lines().count(), pushbench_core::reach::PATHS.len(), "{}", listed.out);
}

fn shown(bench: &Bench, format: &str) -> Ended {
    let ended = bench.run(&["report", "r", "--format", format]);
    ended.succeeds();
    ended
}

#[test]
fn cells_are_tried_and_shown_again_digit_for_digit() {
    if programs_are_missing() {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    let paths = ["--path", "direct", "--path", "receiver-behind-nat", "--path", "idle-cutoff"];
    let arms = ["--arm", "webhook@builtin", "--arm", "websocket@builtin"];
    let more = ["--idle-cutoff", "2s", "--out", "r", "--format", "json"];
    let ended = bench.run(&[&["reach"], &paths[..], &arms[..], &more[..]].concat());
    ended.succeeds();
    bench.nothing_left();
    let matrix: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&matrix["schema"], &matrix["silence_scaled_by"]), (&1.into(), &30.0.into()));
    assert_eq!(matrix["cells"].as_array().unwrap().len(), 6, "{matrix}");
    for (path, arm, through) in [
        ("direct", "webhook@builtin", true),
        ("direct", "websocket@builtin", true),
        ("receiver-behind-nat", "webhook@builtin", false),
        ("receiver-behind-nat", "websocket@builtin", true),
    ] {
        let cell = cell(&matrix, path, arm);
        assert_eq!(cell["through"], through, "{cell}");
        assert_eq!(cell["first_event_ns"].is_u64(), through, "{cell}");
        assert_eq!(
            cell["survives_silence"],
            if through { true.into() } else { Value::Null },
            "{cell}"
        );
        assert_eq!(cell["lost"] == 0, through, "{cell}");
    }
    // The connection tracker forgets the connection, and a ping within its time-out keeps it.
    let silent = cell(&matrix, "idle-cutoff", "websocket@builtin");
    assert_eq!(
        (&silent["through"], &silent["survives_silence"]),
        (&true.into(), &false.into()),
        "{silent}"
    );
    assert_eq!(silent["cure"], "delivery.ping=1000ms", "{silent}");
    // Without pings nobody notices a dead peer on a silent WebSocket.
    let websocket = cell(&matrix, "direct", "websocket@builtin");
    assert_eq!(websocket["peer_death_noticed_ns"], Value::Null, "{websocket}");
    assert_eq!(websocket["cure"], "delivery.ping=1000ms", "{websocket}");
    let stored = std::fs::read_to_string(bench.path("r/reach.json")).unwrap();
    assert_eq!(ended.out, stored);
    assert_eq!(shown(&bench, "json").out, stored);
    let page = std::fs::read_to_string(bench.path("r/reach.html")).unwrap();
    assert_eq!(shown(&bench, "html").out, page);
    assert!(shown(&bench, "text").out.contains("receiver-behind-nat"));
    assert!(shown(&bench, "markdown").out.contains("| receiver-behind-nat | no | yes"));
    bench.run(&["report", "r", "--format", "csv"]).fails(USAGE, &["text, json, markdown and html"]);
    bench.run(&["compare", "r", "r"]).fails(USAGE, &["a matrix of paths"]);
}

#[test]
fn a_matrix_that_is_stopped_keeps_what_it_is_and_leaves_nothing() {
    if programs_are_missing() {
        return;
    }
    let bench = Bench::new();
    let args = ["reach", "--path", "direct", "--arm", "websocket@builtin", "--out", "r"];
    let mut command: Command = bench.pushbench(&args);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    eventually("a publisher to be started", || !bench.servers().is_empty());
    signal(&child, Signal::INT);
    let ended = crate::common::ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    bench.nothing_left();
    let stored = std::fs::read_to_string(bench.path("r/reach.json")).unwrap();
    let stored: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(
        (&stored["complete"], &stored["cells"][0]["through"]),
        (&false.into(), &Value::Null)
    );
    assert!(ended.out.contains("was stopped before"), "{}", ended.out);
}
