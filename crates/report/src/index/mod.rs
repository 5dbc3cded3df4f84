//! The records of a directory tree in one list: runs, gates and what other commands store, as text, Markdown and JSON.

mod row;
#[cfg(test)]
pub(crate) mod tests;

pub use row::{GateRecord, Record, Row};

use crate::html::RawFile;
use crate::layout::{ALARM, BOLD, Look};
use crate::markdown::{code, escape, grid};
use crate::visible::line;
use pushbench_analysis::compare::history::{History, Measured, histories};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;

/// Version of the JSON.
const SCHEMA: u32 = 1;

/// What a directory tree holds.
#[derive(Debug)]
pub struct Index {
    /// The directory as it was named.
    pub dir: String,
    /// The file that it is written to, or `-`.
    pub output: String,
    /// The records, the newest first.
    pub entries: Vec<Entry>,
    /// What could not be shown.
    pub unread: Vec<Unread>,
    /// Runs that may be compared, over time. Their places are those of [`Index::runs`].
    pub histories: Vec<History>,
}

/// A record and where it is shown.
#[derive(Debug)]
pub struct Entry {
    /// Its directory within the tree.
    pub name: String,
    /// Its page; `None` where none was made.
    pub page: Option<RawFile>,
    /// The command that makes a page.
    pub command: String,
    /// What is listed of it.
    pub row: Row,
    /// Of a run, what its history is made of.
    pub measured: Option<Box<Measured>>,
}

/// A directory without a record that can be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The directory within the tree; `.` is the tree itself.
    pub directory: String,
    /// Why.
    pub why: String,
}

impl Entry {
    /// Lists a record.
    pub fn of(name: String, page: Option<RawFile>, command: String, record: Record) -> Entry {
        let row = Row::of(&record);
        let measured = match record {
            Record::Run(run) => Some(run),
            _ => None,
        };
        Entry { name, page, command, row, measured }
    }
}

impl Index {
    /// Orders the entries and finds the histories.
    /// `output`: the file it is written to, or `-`.
    pub fn of(
        (dir, output): (String, String),
        mut entries: Vec<Entry>,
        mut unread: Vec<Unread>,
    ) -> Index {
        entries.sort_by(|a, b| b.row.began.cmp(&a.row.began).then_with(|| a.name.cmp(&b.name)));
        unread.sort_by(|a, b| a.directory.cmp(&b.directory));
        let mut index = Index { dir, output, entries, unread, histories: Vec::new() };
        let measured: Vec<&Measured> =
            index.runs().into_iter().filter_map(|e| e.measured.as_deref()).collect();
        index.histories = histories(&measured);
        index
    }

    /// The entries that are runs.
    pub fn runs(&self) -> Vec<&Entry> {
        self.entries.iter().filter(|e| e.measured.is_some()).collect()
    }

    /// How many there are of each kind: `45 runs, 1 gate`.
    pub(crate) fn counts(&self) -> String {
        let mut kinds: Vec<(&str, usize)> = Vec::new();
        for entry in &self.entries {
            match kinds.iter_mut().find(|(kind, _)| *kind == entry.row.kind) {
                Some((_, count)) => *count += 1,
                None => kinds.push((entry.row.kind, 1)),
            }
        }
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let word = |(kind, count): &(&str, usize)| match count {
            1 => format!("1 {kind}"),
            _ => format!("{count} {}", row::plural(kind)),
        };
        kinds.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

/// As on the terminal.
pub fn text(index: &Index, look: Look) -> String {
    let mut out = String::new();
    let head = format!("{}: {}", line(&index.dir), index.counts());
    let _ = writeln!(out, "{}", look.paint(BOLD, look.wrap(&head, 2).trim_end()));
    for entry in &index.entries {
        let row = &entry.row;
        let mut what = vec![format!("{}  {}", row.day(), line(&entry.name)), line(&row.title())];
        what.extend(row.blocks_text());
        what.push(row.validity.to_owned());
        let _ = write!(out, "\n{}", look.wrap(&what.join(" · "), 2));
        for sentence in &row.verdict {
            out.push_str(&look.wrap(&format!("  {}", line(sentence)), 4));
        }
    }
    if !index.unread.is_empty() {
        let _ = writeln!(out, "\n{}", look.paint(ALARM, "Not shown:"));
    }
    for unread in &index.unread {
        let text = format!("{}: {}", line(&unread.directory), line(&unread.why));
        out.push_str(&look.wrap(&format!("  {text}"), 4));
    }
    out
}

/// For a design document.
pub fn markdown(index: &Index) -> String {
    let mut out = format!("## Records in {}\n\n{}\n\n", code(&index.dir), index.counts());
    let head = ["", "what", "began", "blocks", "validity", "verdict"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(index.entries.iter().map(|entry| {
        let row = &entry.row;
        vec![
            entry.name.clone(),
            row.title(),
            row.day().to_owned(),
            row.blocks_text().unwrap_or_default(),
            row.validity.to_owned(),
            row.verdict.join(" "),
        ]
    }));
    rows.iter_mut().flatten().for_each(|cell| *cell = line(cell));
    grid(&mut out, &rows, 6);
    if !index.unread.is_empty() {
        out.push_str("Not shown:\n\n");
    }
    for unread in &index.unread {
        let text = format!("{}: {}", line(&unread.directory), line(&unread.why));
        let _ = writeln!(out, "- {}", escape(&text));
    }
    out
}

/// Every row and history; schema 1.
pub fn json(index: &Index) -> String {
    let runs: Vec<&str> = index.runs().into_iter().map(|e| e.name.as_str()).collect();
    let entry = |e: &Entry| json!({ "directory": e.name, "page": e.page.as_ref().map(|p| &p.name), "record": e.row });
    let history = |h: &History| {
        let names: Vec<&str> = h.runs.iter().map(|run| runs[*run]).collect();
        json!({ "scenario": h.scenario, "directories": names, "began_s": h.began_s, "differs": h.differs, "lines": h.lines })
    };
    let all = json!({
        "schema": SCHEMA,
        "directory": index.dir,
        "entries": index.entries.iter().map(entry).collect::<Vec<_>>(),
        "histories": index.histories.iter().map(history).collect::<Vec<_>>(),
        "not_shown": index.unread,
    });
    crate::visible::json(&format!("{all:#}\n"))
}
