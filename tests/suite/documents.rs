//! What the documents point to is part of the project: in a clone, a page that git was not given is missing.

use crate::common::Bench;
use pushbench_analysis::compare::gate::JUDGED;
use std::path::{Path, PathBuf};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every Markdown file that people read; pages of results are snapshots of their own.
pub fn documents() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("targets/PROTOCOL.md"), PathBuf::from("results/README.md")];
    for folder in ["", "docs", "docs/decisions", "docs/methodology", "results/claims"] {
        let files = std::fs::read_dir(Path::new(ROOT).join(folder)).unwrap();
        let names = files.map(|file| Path::new(folder).join(file.unwrap().file_name()));
        found.extend(names.filter(|name| name.extension().is_some_and(|e| e == "md")));
    }
    found
}

pub fn read(name: impl AsRef<Path>) -> String {
    let name = name.as_ref();
    let text = std::fs::read_to_string(Path::new(ROOT).join(name));
    text.unwrap_or_else(|e| panic!("{}: {e}", name.display()))
}

/// Where the links of a Markdown text lead that stay inside the project: a path and a heading's anchor.
fn links(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets
        .map(|(target, _)| target.split_once('#').unwrap_or((target, "")))
        .filter(|(path, _)| !path.contains("://"))
}

/// The anchors of a text's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let title = line.trim_start_matches('#').trim().to_lowercase();
        title.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
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
    let mut observed = 0;
    for document in documents() {
        let text = read(&document);
        for (path, anchor) in links(&text) {
            observed += 1;
            let target = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            let there = Path::new(ROOT).join(&target).exists()
                && (anchor.is_empty() || anchors(&read(&target)).iter().any(|a| a == anchor));
            if !there {
                missing.push(format!("{}: {path}#{anchor}", document.display()));
            }
        }
    }
    assert!(observed > 100, "only {observed} links were found: are they read right?");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A file or folder that a text names in backticks.
#[test]
fn every_named_path_exists() {
    const FOLDERS: [&str; 9] = [
        "src/",
        "crates/",
        "tests/",
        "docs/",
        "benches/",
        "fuzz/",
        "scenarios/",
        "targets/",
        ".github/",
    ];
    let mut missing = Vec::new();
    let mut observed = 0;
    for document in documents().iter().filter(|name| !name.ends_with("CHANGELOG.md")) {
        let text = read(document);
        let named = text.split('`').skip(1).step_by(2).filter_map(|code| code.split(' ').next());
        let paths = named.filter(|name| FOLDERS.iter().any(|folder| name.starts_with(folder)));
        // Examples such as `targets/x/` and `fuzz/corpus/TARGET`.
        for path in paths.filter(|path| !path.contains("/x") && !path.contains("TARGET")) {
            observed += 1;
            if !Path::new(ROOT).join(path).exists() {
                missing.push(format!("{}: {path}", document.display()));
            }
        }
    }
    assert!(observed > 20, "only {observed} paths were found: are they read right?");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The options of a command that stands in a code block at the beginning of a line.
fn options_of<'a>(text: &'a str, command: &'a str) -> impl Iterator<Item = String> + 'a {
    let lines = text.lines().filter_map(move |line| line.strip_prefix(command)?.strip_prefix(' '));
    let words = lines.flat_map(|line| {
        let typed = line.split("  #").next().unwrap_or_default().trim_end_matches(" \\");
        shell_words::split(typed).unwrap_or_else(|e| panic!("{typed}: {e}"))
    });
    let options = words.filter(|word| word.starts_with("--"));
    options.map(|word| word.split('=').next().unwrap_or_default().to_owned())
}

#[test]
fn gates_in_documents_take_the_options_that_they_show() {
    let bench = Bench::new();
    let mut observed = 0;
    for command in ["gate", "qualify"] {
        let help = bench.run(&[command, "--help"]).out;
        for document in documents() {
            let text = read(&document);
            for option in options_of(&text, &format!("pushbench {command}")) {
                observed += 1;
                let there =
                    help.split_whitespace().any(|word| word.trim_end_matches(',') == option);
                assert!(there, "{}: pushbench {command} has no {option}", document.display());
            }
        }
        // The page of the gate says how long it takes where nothing is said.
        let unwrapped = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(unwrapped.contains("[default: 5m]"), "{help}");
        assert!(unwrapped.contains(&format!("those of {} that", JUDGED.join(","))), "{help}");
    }
    assert!(observed > 10, "only {observed} options were found: are they read right?");
}

#[test]
fn the_architecture_is_a_map() {
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(
        lines <= 200,
        "{lines} lines: reasons belong into docs/decisions, figures into docs/methodology"
    );
}

#[test]
fn every_decision_is_listed_and_has_its_three_parts() {
    let index = read("docs/decisions/README.md");
    let pages = documents().into_iter().filter(|name| name.starts_with("docs/decisions"));
    let mut numbers: Vec<String> = Vec::new();
    for page in pages.filter(|name| !name.ends_with("README.md")) {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(index.contains(&format!("({name})")), "{name} is not in docs/decisions/README.md");
        let text = read(&page);
        let parts: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(parts, ["Context", "Decision", "Consequences"], "{name}");
        numbers.push(name[..4].to_owned());
    }
    numbers.sort();
    let expected: Vec<String> = (1..=numbers.len()).map(|n| format!("{n:04}")).collect();
    assert_eq!(numbers, expected);
}

/// Comments cite the laws by number.
#[test]
fn the_laws_are_stated() {
    let text = read("docs/methodology/laws.md");
    let laws = text.lines().filter_map(|line| line.strip_prefix("## ")?.split_once(". "));
    let numbers: Vec<usize> = laws.map(|(number, _)| number.parse().unwrap()).collect();
    assert_eq!(numbers, (1..=13).collect::<Vec<_>>());
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
