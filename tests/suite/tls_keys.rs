//! The keys of a run: nobody else can read them, they are gone when pushbench is gone however it went, and
//! nothing that is stored or shown has them.

use crate::common::{Bench, ended, eventually, short, signal, turn};
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;

const ARM: [&str; 2] = ["--arm", "webhook+tls@builtin"];
const SECRET: &str = "PRIVATE KEY";

/// The directories of keys.
fn keys(bench: &Bench) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(bench.path("tmp")).unwrap().flatten().map(|e| e.path());
    let named = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().contains("keys");
    entries.filter(named).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Starts a long run and waits until its keys are there.
fn started(bench: &Bench) -> Child {
    std::fs::create_dir(bench.path("tmp")).unwrap();
    let long = ["--blocks", "500", "--duration", "300ms", "--warmup", "100ms", "--out", "r"];
    let mut command = bench.pushbench(&[&["run"][..], &ARM, &long, &["--rate", "200"]].concat());
    let child = command.env("TMPDIR", bench.path("tmp")).spawn().unwrap();
    eventually("the first trial", || {
        std::fs::read_to_string(bench.path("r/trials.jsonl")).is_ok_and(|t| t.contains('\n'))
    });
    child
}

#[test]
fn keys_are_private_and_gone_afterwards() {
    for how in [Signal::INT, Signal::TERM, Signal::KILL] {
        let bench = Bench::new();
        let child = started(&bench);
        let found = keys(&bench);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(mode(&found[0]), 0o700);
        let files: Vec<_> =
            std::fs::read_dir(&found[0]).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(files.len(), 3, "{files:?}");
        for file in &files {
            assert_eq!(mode(file), 0o600, "{}", file.display());
        }
        let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
        assert_eq!(texts.filter(|text| text.contains(SECRET)).count(), 1);
        for pid in bench.processes() {
            for what in ["cmdline", "environ"] {
                let text = std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&text).contains(SECRET), "{pid} {what}");
            }
        }
        signal(&child, how);
        let ended = child.wait_with_output().unwrap();
        assert!(!ended.status.success());
        eventually("the keys to be removed", || keys(&bench).is_empty());
        bench.nothing_left();
    }
}

#[test]
fn what_is_stored_and_shown_has_no_key() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("tmp")).unwrap();
    let mut shown = Vec::new();
    let mut run = |args: &[&str]| {
        let mut command = bench.pushbench(args);
        let ended = ended(command.env("TMPDIR", bench.path("tmp")).output().unwrap());
        ended.succeeds();
        shown.extend([ended.out, ended.err]);
    };
    run(&short(&[&ARM[..], &["--out", "r"]].concat()));
    run(&["verify", "--arm", "webhook+tls@builtin"]);
    for format in ["text", "json", "markdown", "html", "csv"] {
        run(&["report", "r", "--format", format]);
    }
    eventually("the keys to be removed", || keys(&bench).is_empty());
    for file in std::fs::read_dir(bench.path("r")).unwrap() {
        let text = std::fs::read(file.unwrap().path()).unwrap();
        shown.push(String::from_utf8_lossy(&text).into_owned());
    }
    assert!(shown.len() > 15, "{}", shown.len());
    assert!(shown.iter().all(|text| !text.contains(SECRET)));
    bench.nothing_left();
}

/// Both sides of a gate are handed the files, and their connections are over TLS.
#[test]
fn a_gate_hands_its_commands_the_keys() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let command = "pushbench serve webhook+tls --listen 127.0.0.1:{port} --cert {cert} --key {key}";
    let sides = ["gate", "--base", command, "--candidate", "builtin", "--blocks", "8"];
    let load = ["load.duration=100ms", "load.warmup=20ms", "load.rate=200", "connections.count=4"];
    let load = load.iter().flat_map(|setting| ["--set", *setting]);
    let more = ["--transport", "webhook+tls", "--out", "g", "--at-most", "5s"];
    bench.run(&sides.into_iter().chain(load).chain(more).collect::<Vec<_>>());
    let trials = std::fs::read_to_string(bench.path("g/blocks/trials.jsonl")).unwrap();
    let mut arms = std::collections::BTreeSet::new();
    for line in trials.lines() {
        let trial: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(trial["handshakes"]["full"], trial["connections"], "{line}");
        arms.insert(trial["label"].as_str().unwrap().to_owned());
    }
    let expected = ["webhook+tls@base", "webhook+tls@candidate", "webhook+tls@null"];
    assert!(arms.iter().eq(expected.iter()), "{arms:?}");
    bench.nothing_left();
}

/// A stored run is repeated with the options of its arms.
#[test]
fn a_run_over_tls_is_reproduced_over_tls() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let arms = ["--arm", "webhook+tls@builtin", "--arm", "webhook+tls@builtin"];
    bench.run(&[&short(&arms)[..], &["--out", "first"]].concat());
    bench.run(&["reproduce", "first", "--out", "again"]);
    let labels = |dir: &str| -> Vec<String> {
        let text = std::fs::read_to_string(bench.path(dir).join("run.json")).unwrap();
        let header: serde_json::Value = serde_json::from_str(&text).unwrap();
        let arms = header["points"][0]["arms"].as_array().unwrap().clone();
        arms.iter().map(|arm| arm["label"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(labels("first"), ["webhook+tls@builtin", "webhook+tls@builtin#2"]);
    assert_eq!(labels("again"), labels("first"));
    bench.nothing_left();
}
