//! The layers of the workspace. Cargo refuses a circle of crates; this keeps the table of
//! `ARCHITECTURE.md`, and that pure crates touch no clock, file, socket, process or environment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A crate and the crates of the workspace that it depends on.
const LAYERS: [(&str, &[&str]); 10] = [
    ("core", &[]),
    ("host", &["core"]),
    ("faults", &["core", "host"]),
    ("wire", &["core", "host"]),
    ("server", &["core", "host", "wire"]),
    ("sut", &["core", "host", "wire"]),
    ("path", &["core", "host", "sut", "wire"]),
    ("load", &["core", "host", "path", "sut", "wire"]),
    ("analysis", &["core"]),
    ("report", &["analysis", "core"]),
];

/// Crates that decide and render.
const PURE: [&str; 3] = ["core", "analysis", "report"];
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

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates")
}

/// The crates of the workspace among the dependencies that a manifest lists before its tests'.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let table = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let table = table.split("\n[").next().unwrap_or_default();
    let ours = table.lines().filter_map(|line| line.strip_prefix("pushbench-"));
    ours.map(|line| line.split(['.', ' ']).next().unwrap_or_default().to_owned()).collect()
}

/// The code of a file without its comments and its unit tests, which may use anything.
fn code(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(sources(&path)),
            // Unit tests and their samples may use anything.
            path if path.to_string_lossy().ends_with("tests.rs") || path.ends_with("sample.rs") => {
            }
            path if path.extension().is_some_and(|e| e == "rs") => found.push(path),
            _ => {}
        }
    }
    found
}

#[test]
fn crates_depend_only_on_what_stands_before_them() {
    let known: BTreeSet<String> = LAYERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let folders = std::fs::read_dir(crates()).unwrap().flatten();
    let there: BTreeSet<String> =
        folders.map(|f| f.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(there, known, "a crate is missing here and in ARCHITECTURE.md, or is gone");
    for (name, allowed) in LAYERS {
        let manifest = crates().join(name).join("Cargo.toml");
        let used = dependencies(&std::fs::read_to_string(manifest).unwrap());
        let allowed: BTreeSet<String> = allowed.iter().map(|a| (*a).to_owned()).collect();
        assert_eq!(
            used, allowed,
            "{name}: its manifest beside the table here and in ARCHITECTURE.md"
        );
    }
}

#[test]
fn pure_crates_touch_nothing() {
    for name in PURE {
        for file in sources(&crates().join(name).join("src")) {
            // An exit code is a number.
            let code = code(&file).replace("std::process::ExitCode", "");
            for impure in IMPURE {
                assert!(!code.contains(impure), "{} touches {impure}", file.display());
            }
        }
    }
}

#[test]
fn this_test_can_fail() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\npushbench-load.workspace = true\n\
                    pushbench-core = { path = \"..\" }\nserde = \"1\"\n\n[dev-dependencies]\n\
                    pushbench-report.workspace = true\n";
    assert_eq!(dependencies(manifest), ["core", "load"].map(str::to_owned).into());
}
