//! Gates that end without a verdict: every format tells the reason, and how to run them again.

use crate::common::{Bench, PUSHBENCH, ended, eventually, signal};
use crate::gate::{SERVER, args, read, says};
use serde_json::Value;
use std::process::Stdio;

const FORMATS: [&str; 6] = ["text", "json", "markdown", "github", "html", "junit"];

/// A server that is killed in its first block and in every later one.
#[test]
fn a_candidate_that_crashes_ends_it_and_what_was_finished_is_kept() {
    let bench = Bench::new();
    let script = format!(
        "#!/bin/sh\necho x >> starts\nif [ $(wc -l < starts) -gt 4 ]; then (sleep 0.4; kill -9 $$) & \
         fi\nexec {PUSHBENCH} serve webhook --listen 127.0.0.1:$1\n"
    );
    let server = bench.executable("brittle", &script);
    let candidate = format!("{} {{port}}", server.display());
    // A block that lasts longer than the server lives.
    let args = args(&["--base", "builtin", "--candidate", &candidate, "--out", "g"]);
    let ended = bench.run(&[&args[..], &["--set", "load.duration=500ms"]].concat());
    ended.fails(3, &["webhook@candidate"]);
    assert!(!ended.out.contains("PASSED"), "{}", ended.out);
    assert!(std::fs::metadata(bench.path("g/blocks/trials.jsonl")).unwrap().len() > 0);
    // The record knows why, and so does every format, and the page that is left behind.
    let why = "NO VERDICT: the gate ended with exit 3: webhook@candidate";
    says(&ended.out, &[why]);
    for format in FORMATS {
        let kept = bench.run(&["report", "g", "--format", format]);
        kept.succeeds();
        says(&kept.out, &[why]);
    }
    for page in ["g/report.md", "g/report.html"] {
        says(&std::fs::read_to_string(bench.path(page)).unwrap(), &[why]);
    }
    assert_eq!(read(&bench.path("g/gate.json"))["ended"]["failure"]["exit_code"], 3);
    let stage = read(&bench.path("g/blocks/run.json"));
    assert!(stage["records"]["count"].as_u64() > Some(0), "{stage}");
    bench.nothing_left();
}

#[test]
fn a_candidate_that_does_not_start_leaves_a_record_that_says_so() {
    let bench = Bench::new();
    let candidate = "sh -c 'echo no such config; exit 7' {port}";
    let ended = bench.run(&args(&["--base", "builtin", "--candidate", candidate, "--out", "g"]));
    ended.fails(3, &["candidate"]);
    let why = "NO VERDICT: the gate ended with exit 3";
    says(&ended.out, &[why]);
    for format in FORMATS {
        let kept = bench.run(&["report", "g", "--format", format]);
        kept.succeeds();
        says(&kept.out, &[why, "code 7"]);
    }
    assert!(bench.path("g/report.html").is_file() && bench.path("g/report.md").is_file());
}

/// Stopped while it measures, and while it waits for a server.
#[test]
fn an_interrupted_gate_says_how_far_it_was_and_leaves_nothing_running() {
    let bench = Bench::new();
    let never = "sh -c 'sleep 60' {port}";
    for (dir, candidate, until) in
        [("g", SERVER, "blocks/trials.jsonl"), ("early", never, "gate.json")]
    {
        let options =
            ["--base", SERVER, "--candidate", candidate, "--out", dir, "--format", "github"];
        let mut gate = bench.pushbench(&args(&options));
        let summary = bench.path(&format!("{dir}-summary.md"));
        gate.env("GITHUB_STEP_SUMMARY", &summary).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = gate.spawn().unwrap();
        let there = bench.path(&format!("{dir}/{until}"));
        eventually(until, || std::fs::metadata(&there).is_ok_and(|m| m.len() > 0));
        signal(&child, rustix::process::Signal::INT);
        let result = ended(child.wait_with_output().unwrap());
        assert_eq!(result.code, Some(130), "{}\n{}", result.out, result.err);
        bench.nothing_left();
        let told = [
            "INTERRUPTED: the gate was stopped ",
            "there is no verdict (exit 130)",
            "run it again",
        ];
        says(
            &result.out,
            &[
                "::warning title=pushbench gate interrupted::INTERRUPTED",
                "again: pushbench gate --base",
            ],
        );
        assert_eq!(result.out.lines().count(), 1, "{}", result.out);
        says(&std::fs::read_to_string(summary).unwrap(), &told);
        for format in FORMATS {
            let kept = bench.run(&["report", dir, "--format", format]);
            kept.succeeds();
            says(&kept.out, &told);
            says(&kept.out, &["pushbench gate --base"]);
        }
        let json: Value =
            serde_json::from_str(&bench.run(&["report", dir, "--format", "json"]).out).unwrap();
        let last = json["stages"].as_array().unwrap().last().unwrap();
        assert_eq!(last["failure"]["exit_code"], 130, "{last}");
        let junit = bench.run(&["report", dir, "--format", "junit"]).out;
        says(&junit, &["failures=\"0\" errors=\"0\""]);
    }
}
