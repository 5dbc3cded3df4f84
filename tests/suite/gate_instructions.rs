//! The gate that counts instructions, end to end, under valgrind or by the hardware's counter. Skipped where neither is
//! there, except in CI, where that is a failure.

use crate::common::{Bench, Ended, ended, eventually, signal, turn};
use crate::documents::ROOT;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Enough events for programs whose counts hardly differ from start to start.
const QUICK: [&str; 4] = ["--judge", "instructions", "--set", "load.duration=100ms"];

fn works(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}

fn has_hardware_counter(bench: &Bench) -> bool {
    let file = bench.path("counted").display().to_string();
    bench.run(&["__instructions", "instructions", &file, "true"]).code == Some(0)
}

/// A bench where instructions can be counted of programs of this compiler or interpreter.
fn bench(needed: &str) -> Option<Bench> {
    let bench = Bench::new();
    let counter = works("valgrind", &["--version"]) || has_hardware_counter(&bench);
    let missing = match (counter, works(needed, &["--version"])) {
        (true, true) => return Some(bench),
        (false, _) => "valgrind (apt install valgrind)".to_owned(),
        (true, false) => needed.to_owned(),
    };
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing} is missing");
    eprintln!("skipped: {missing} is missing");
    None
}

fn source(name: &str) -> String {
    format!("{ROOT}/benches/gate-instructions/{name}")
}

fn compiled(bench: &Bench) -> String {
    let program = bench.path("server").display().to_string();
    assert!(works("cc", &["-O2", "-o", &program, &source("server.c")]));
    program
}

/// The interpreter itself: what stands in PATH may be a shell script that finds it.
fn python() -> String {
    let found = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    String::from_utf8(found.unwrap().stdout).unwrap().trim().to_owned()
}

fn gate(bench: &Bench, base: &str, candidate: &str, more: &[&str]) -> Ended {
    bench.run(&[&["gate"], &QUICK[..], &["--base", base, "--candidate", candidate], more].concat())
}

fn line(bench: &Bench, dir: &str) -> Value {
    let report = bench.run(&["report", dir, "--format", "json"]);
    report.succeeds();
    let all: Value = serde_json::from_str(&report.out).unwrap();
    all["stages"][0]["lines"][0].clone()
}

#[test]
fn one_per_cent_more_is_found_and_equal_builds_pass() {
    let _turn = turn::busy();
    let Some(bench) = bench("cc") else { return };
    let program = compiled(&bench);
    let of = |work: u32| format!("{program} {{port}} {work}");
    let equal = gate(&bench, &of(1000), &of(1000), &["--out", "equal"]);
    assert_eq!(equal.code, Some(0), "{}\n{}", equal.out, equal.err);
    assert!(equal.out.contains("PASSED: no slow-down beyond 0.5 % in instructions_per_event."));
    let found = line(&bench, "equal");
    assert!((found["slow_down"]["ratio"].as_f64().unwrap() - 1.0).abs() < 0.003, "{found}");
    assert_eq!((&found["metric"], &found["blocks"]), (&json!("instructions_per_event"), &json!(8)));

    let slower = gate(&bench, &of(1000), &of(1019), &["--out", "slower"]);
    assert_eq!(slower.code, Some(1), "{}\n{}", slower.out, slower.err);
    assert!(slower.out.contains("FAILED: instructions_per_event of webhook is worse by +1.0 %"));
    assert!(slower.out.contains("not seen: the kernel's part"), "{}", slower.out);
    // The records say the same again, in every format.
    let again = |format: &str| bench.run(&["report", "slower", "--format", format]).out;
    assert_eq!(again("text"), slower.out);
    assert!(again("github").starts_with("::error title=pushbench gate failed::FAILED: "));
    let stored = |file: &str| std::fs::read_to_string(bench.path(file)).unwrap();
    assert_eq!(again("markdown"), stored("slower/report.md"));
    assert!(stored("slower/report.html").contains("How instructions were counted"));
    // A part of the records is no verdict.
    let counts = stored("slower/instructions.jsonl");
    std::fs::write(bench.path("slower/instructions.jsonl"), &counts[..counts.len() - 60]).unwrap();
    assert!(again("text").contains("7 of 8 blocks were counted"), "{}", again("text"));
    bench.nothing_left();
}

#[test]
fn a_python_server_is_counted_with_its_interpreter() {
    let _turn = turn::busy();
    let Some(bench) = bench("python3") else { return };
    let of = |work: u32| format!("{} -S -E {} {{port}} {work}", python(), source("server.py"));
    let slower = gate(&bench, &of(100), &of(130), &["--out", "g"]);
    assert_eq!(slower.code, Some(1), "{}\n{}", slower.out, slower.err);
    let found = line(&bench, "g");
    assert!((found["null"]["ratio"].as_f64().unwrap() - 1.0).abs() < 0.003, "{found}");
    bench.nothing_left();
}

#[test]
fn a_target_that_ends_is_a_reason_in_every_report() {
    let _turn = turn::busy();
    let Some(bench) = bench("python3") else { return };
    let text = std::fs::read_to_string(source("server.py")).unwrap();
    let ends = "            work += 1\n            if work == 70: sys.exit(7)\n            event =";
    let program = bench.write("ends.py", &text.replace("            event =", ends));
    let command = format!("{} {} {{port}} 0", python(), program.display());
    let failed = gate(&bench, &command, &command, &["--out", "g"]);
    failed.fails(3, &["the target exited with code 7"]);
    for format in ["text", "markdown", "json", "github", "html"] {
        let report = bench.run(&["report", "g", "--format", format]).out;
        assert!(report.contains("code 7"), "{format}: {report}");
    }
    bench.nothing_left();
}

#[test]
fn a_broken_message_that_ends_a_server_is_a_finding() {
    let Some(bench) = bench("python3") else { return };
    let command = format!("{} -S -E {} {{port}} 0", python(), source("server.py"));
    let url = "http://127.0.0.1:{port}/webhook";
    let verified = bench.run(&["verify", "--webhook", url, "--command", &command]);
    assert_eq!(verified.code, Some(0), "{}\n{}", verified.out, verified.err);
    for text in ["yes (16 of 16)", "malformed event", "; the target exited with code 1"] {
        assert!(verified.out.contains(text), "{text}: {}", verified.out);
    }
    bench.nothing_left();
}

#[test]
fn an_interrupted_gate_of_instructions_leaves_nothing_running() {
    let _turn = turn::busy();
    let Some(bench) = bench("cc") else { return };
    let command = format!("{} {{port}} 1000", compiled(&bench));
    let words = ["--base", &command, "--candidate", &command, "--out", "g"];
    let mut child = bench.pushbench(&[&["gate"], &QUICK[..], &words].concat()).spawn().unwrap();
    let counts = bench.path("g/instructions.jsonl");
    eventually("the first block", || std::fs::metadata(&counts).is_ok_and(|m| m.len() > 0));
    signal(&child, rustix::process::Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    bench.nothing_left();
    let kept = bench.run(&["report", "g"]).out;
    assert!(kept.contains("INTERRUPTED: the gate was stopped"), "{kept}");
}

#[test]
fn where_nothing_counts_nothing_is_started() {
    let bench = Bench::new();
    if has_hardware_counter(&bench) {
        return;
    }
    let words =
        [&["gate"], &QUICK[..], &["--base", "builtin", "--candidate", "builtin", "--out", "g"]];
    let mut command = bench.pushbench(&words.concat());
    let empty = bench.write("empty/nothing", "");
    let found = ended(command.env("PATH", empty.parent().unwrap()).output().unwrap());
    found.fails(3, &["the hardware's counter of instructions", "apt install valgrind"]);
    assert!(!bench.path("g").exists(), "something was begun");
}

#[test]
fn what_does_not_go_with_instructions_is_refused() {
    let bench = Bench::new();
    let refused = |more: &[&str], parts: &[&str]| {
        let both = ["--base", "builtin", "--candidate", "builtin"];
        bench.run(&[&["gate", "--judge", "instructions"], more, &both].concat()).fails(64, parts);
    };
    refused(&["--judge", "service.p50"], &["run two gates", "one with --judge service.p50"]);
    refused(&["--transport", "webhook,websocket", "--ratio"], &["--ratio does not go with"]);
    refused(&["--at-most", "1m"], &["--blocks sets it"]);
    refused(&["--min-difference", "1us"], &["no time is judged"]);
    refused(&["--nulls", "n.json"], &["--nulls does not go with"]);
    refused(&["--set", "load.rate=5"], &["--set load.rate", "payload."]);
    refused(&["--blocks", "7"], &["--blocks 8 or more"]);
    refused(&["--scenario", "payload-sweep"], &["is a sweep"]);
    let running = ["gate", "--judge", "instructions", "--against", "x", "--candidate", "builtin"];
    bench.run(&running).fails(64, &["--against does not go with"]);
    bench
        .run(&["qualify", "--judge", "instructions"])
        .fails(64, &["only a gate counts instructions"]);
}

/// Everything of the hardware's counter but the event itself, which few virtual machines have.
#[test]
fn a_counter_is_read_over_a_tree_that_is_asked_to_end() {
    let bench = Bench::new();
    let count = |script: &str| -> Option<(i32, u64)> {
        let file = bench.path("count");
        let words = ["__instructions", "page-faults", file.to_str()?, "sh", "-c", script];
        let ended = bench.run(&words);
        if ended.code == Some(127) {
            eprintln!("skipped: perf_event_open is refused: {}", ended.err);
            return None;
        }
        let counted = std::fs::read_to_string(&file).unwrap();
        Some((ended.code?, counted.parse().unwrap_or_else(|_| panic!("{counted}"))))
    };
    let Some((code, one)) = count("/bin/true; exit 7") else { return };
    assert_eq!(code, 7, "it ends as its command");
    let (_, many) = count("for n in 1 2 3 4 5 6 7 8 9; do sh -c /bin/true; done").unwrap();
    assert!(one > 0 && many > 3 * one, "{many} and {one}");
    // An orphan counts, too: it is waited for once the tree was asked to end.
    let ready = bench.path("ready").display().to_string();
    let file = bench.path("orphans").display().to_string();
    let orphan = "trap '' TERM; for n in 1 2 3 4 5 6 7 8 9; do sh -c /bin/true; done; sleep 1";
    let script = format!("({orphan}) & trap 'exit 0' TERM; touch {ready}; wait; wait");
    let words = ["__instructions", "page-faults", &file, "sh", "-c", &script];
    let mut child = bench.pushbench(&words).spawn().unwrap();
    eventually("the shell", || Path::new(&ready).exists());
    for pid in bench.processes() {
        let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
        let _already_gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let counted: u64 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    assert!(counted > 3 * one, "{counted} and {one}");
    bench.nothing_left();
}
