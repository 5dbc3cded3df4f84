//! What the documents point to is part of the project: in a clone, a page that git was not given is missing.

use crate::common::Bench;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The Markdown files that people read first; pages of results are snapshots of their own.
const DOCUMENTS: [&str; 6] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "METHODOLOGY.md",
    "targets/PROTOCOL.md",
];

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Where the links of a Markdown text lead that stay inside the project.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let paths = targets.map(|(target, _)| target.split('#').next().unwrap_or(target));
    paths.filter(|path| !path.is_empty() && !path.contains("://"))
}

/// The directories that the table of results promises.
fn promised(table: &str) -> impl Iterator<Item = &str> {
    table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("/`"))
        .map(|(name, _)| name)
}

#[test]
fn every_link_leads_somewhere() {
    let mut missing = Vec::new();
    let mut seen = 0;
    for document in DOCUMENTS {
        let beside: PathBuf = Path::new(ROOT).join(document).parent().unwrap().into();
        for link in links(&read(document)) {
            seen += 1;
            if !beside.join(link).exists() {
                missing.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(seen > 10, "only {seen} links were found: are they read right?");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_kept_result_is_there_and_not_ignored() {
    let (table, ignored) = (read("results/README.md"), read(".gitignore"));
    let names: Vec<&str> = promised(&table).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(Path::new(ROOT).join("results").join(name).is_dir(), "results/{name} is missing");
        let kept = format!("!/results/{name}/");
        assert!(ignored.lines().any(|line| line == kept), "git ignores results/{name}");
    }
}

/// What the README shows is what the stored runs say; of the gate it shows the head.
#[test]
fn the_readme_shows_its_stored_runs() {
    let (bench, readme) = (Bench::new(), read("README.md"));
    let report = |run: &str| bench.run(&["report", &format!("{ROOT}/results/{run}")]).out;
    assert!(readme.contains(report("readme-ingest").trim_end()), "{}", report("readme-ingest"));
    let gate = report("gate-20us");
    let head = &gate[gate.find("stage 1:").unwrap()..gate.find("\n\nexact").unwrap()];
    assert!(readme.contains(head), "{head}");
}
