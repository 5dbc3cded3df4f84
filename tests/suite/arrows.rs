//! The rooms of the house and which may use which: `ARCHITECTURE.md` draws it, this keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Leaves that every room may use.
const LEAVES: [&str; 9] =
    ["console", "cpus", "error", "input", "origin", "remedy", "suggest", "units", "visible"];

/// A room and the rooms it may use beside itself and the leaves. `cli` is over everything.
const ARROWS: [(&str, &[&str]); 14] = [
    ("cpus", &[]),
    ("record", &[]),
    ("scenario", &["record"]),
    ("schedule", &["scenario"]),
    ("plan", &["scenario"]),
    ("stats", &[]),
    ("store", &["record", "scenario"]),
    ("transport", &["record", "scenario"]),
    ("target", &["record", "transport"]),
    ("drive", &["transport", "target", "schedule", "record", "plan", "scenario"]),
    ("compare", &["stats", "store", "record", "scenario", "transport"]),
    ("report", &["compare", "record", "scenario"]),
    ("verify", &["record", "target", "transport"]),
    (
        "run",
        &[
            "compare",
            "drive",
            "plan",
            "record",
            "scenario",
            "store",
            "target",
            "transport",
            "verify",
        ],
    ),
];
/// A gate is made of runs.
const GATE: &[&str] =
    &["compare", "record", "run", "scenario", "stats", "store", "target", "transport", "verify"];
/// The self-test is a user of the instrument, as `run` is.
const SELFTEST: &[&str] =
    &["drive", "plan", "record", "scenario", "schedule", "stats", "target", "transport"];

/// Rooms that touch no clock, file, socket, process or environment.
const PURE: [&str; 5] = ["schedule", "plan", "stats", "compare", "report"];
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::time::Instant",
    "SystemTime",
    "tokio::",
    "Timestamp::now",
    "clock::now",
];

fn files(room: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = vec![];
    let mut folders = vec![src.join(room)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                // Unit tests and their samples may use anything.
                path if path.to_string_lossy().ends_with("tests.rs")
                    || path.ends_with("sample.rs") => {}
                path if path.extension().is_some_and(|e| e == "rs") => found.push(path),
                _ => {}
            }
        }
    }
    found.extend(Some(src.join(format!("{room}.rs"))).filter(|file| file.exists()));
    assert!(!found.is_empty(), "room {room} is gone: adapt this test and ARCHITECTURE.md");
    found
}

/// The code of a file without its comments and its unit tests, which may use anything.
fn code(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// The rooms named after `crate::`, groups included.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let word = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        match rest.strip_prefix('{') {
            None => {
                found.insert(word(rest));
            }
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (i, c) in group.char_indices() {
                    if start && depth == 0 && !c.is_whitespace() {
                        found.insert(word(&group[i..]));
                        start = false;
                    }
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        _ => {}
                    }
                }
            }
        }
    }
    found.remove("");
    found
}

fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let rooms = ARROWS.into_iter().chain([("gate", GATE), ("selftest", SELFTEST)]);
    rooms
        .map(|(room, uses)| (room, uses.iter().copied().chain(LEAVES).chain([room]).collect()))
        .collect()
}

#[test]
fn rooms_use_only_what_stands_before_them() {
    for (room, allowed) in allowed() {
        for file in files(room) {
            for used in uses(&code(&file)) {
                assert!(
                    allowed.contains(used.as_str()),
                    "{} uses crate::{used}: {room} may use {allowed:?}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn every_room_is_watched() {
    let lib = code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
    let known = allowed();
    for line in lib.lines().filter_map(|l| l.trim().strip_prefix("pub mod ")) {
        let room = line.trim_end_matches(';');
        assert!(
            room == "cli" || LEAVES.contains(&room) || known.contains_key(room),
            "room {room} has no arrows: add them here and in ARCHITECTURE.md"
        );
    }
}

#[test]
fn pure_rooms_touch_nothing() {
    for room in PURE {
        for file in files(room) {
            let code = code(&file);
            for impure in IMPURE {
                assert!(!code.contains(impure), "{} touches {impure}", file.display());
            }
        }
    }
}

#[test]
fn this_test_can_fail() {
    let code = "use crate::{cli, drive::{block, shard},\n report};\nuse crate::stats::median;";
    let found = uses(code);
    assert_eq!(found, ["cli", "drive", "report", "stats"].map(str::to_owned).into());
}
