//! What a page needs beside the records: the interval logs and the names of the raw files.

use pushbench_analysis::compare::Report;
use pushbench_analysis::compare::charts::page;
use pushbench_core::record::run::StoredRun;
use pushbench_host::results_store;
use pushbench_report::html::{RawFile, Source};
use std::path::{Component, Path, PathBuf};

/// Derives the page of a run that was read from `dir`. `beside`: the directory in which the page will
/// lie, where it is known.
pub fn source(dir: &Path, run: &StoredRun, report: Report, beside: Option<&Path>) -> Source {
    let file = |name: String| {
        let href = beside.and_then(|from| href(from, dir, &name));
        RawFile { name, href }
    };
    Source {
        page: page(run, report, &results_store::read_seconds(run, dir)),
        dir: dir.display().to_string(),
        files: names(dir).into_iter().map(file).collect(),
    }
}

/// The names of the record files in a results directory, without reports.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|e| e.file_name().into_string().ok());
    let raw =
        |name: &String| name == "run.json" || name == "trials.jsonl" || name.ends_with(".hlog");
    let mut names: Vec<String> = names.filter(raw).collect();
    names.sort();
    names
}

/// How a page that lies in the directory `from` leads to a file in `dir`.
pub(super) fn href(from: &Path, dir: &Path, name: &str) -> Option<String> {
    Some(relative(from, dir)? + &encoded(name))
}

/// The relative path from one directory to another, ending in `/`; empty where they are the same.
fn relative(from: &Path, to: &Path) -> Option<String> {
    let absolute = |path: &Path| {
        std::fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()
    };
    let (from, to): (PathBuf, PathBuf) = (absolute(from)?, absolute(to)?);
    let (a, b): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (from.components().collect(), to.components().collect());
    let shared = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let up = "../".repeat(a.len() - shared);
    let down = b[shared..].iter().map(|c| encoded(&c.as_os_str().to_string_lossy()) + "/");
    Some(up + &down.collect::<String>())
}

/// A file name, escaped for a relative URL.
fn encoded(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_from_the_page_to_the_records() {
        let root = tempfile::tempdir().unwrap();
        let dir = |name: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let (run, page) = (dir("results/a b#1"), dir("docs"));
        assert_eq!(relative(&run, &run).unwrap(), "");
        assert_eq!(relative(&page, &run).unwrap(), "../results/a%20b%231/");
        assert_eq!(relative(root.path(), &page).unwrap(), "docs/");
        assert_eq!(relative(&root.path().join("nowhere"), &page), None);
        assert_eq!(encoded("javascript:x\"y"), "javascript%3Ax%22y");
    }
}
