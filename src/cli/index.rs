//! The index of a directory tree: `pushbench report results/`, where the directory holds records and is none itself.

use crate::cli::formats::Formats;
use crate::cli::{capacity, deliver, gate, look, page, reach, scorecard, selftest};
use crate::gate::{qualify as qualification, record};
use pushbench_analysis::compare::history::Measured;
use pushbench_core::error::{Error, Result};
use pushbench_host::results_store;
use pushbench_report::html::RawFile;
use pushbench_report::index::{Entry, Index, Record, Unread};
use pushbench_report::layout::Look;
use pushbench_report::{Format, html, index};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const FORMATS: Formats = Formats(&[Format::Text, Format::Json, Format::Markdown, Format::Html]);
/// Directories below the one that was named; whatever lies deeper is no results store.
const DEPTH: usize = 8;
/// Names of foreign files that are told.
const NAMED: usize = 3;

/// A kind of record.
struct Kind {
    is: fn(&Path) -> bool,
    read: fn(&Path) -> Result<Record>,
    /// Its pages, the best first.
    pages: &'static [&'static str],
    /// Other records may lie below it: its own measurements.
    holds_others: bool,
}

const REPORTS: &[&str] = &["report.html", "report.md"];
const KINDS: [Kind; 7] = [
    kind(record::is_gate, |dir| Ok(Record::Gate(Box::new(gate::stored(dir)?))), REPORTS),
    kind(qualification::is_qualification, of_qualification, &["report.md"]),
    kind(
        selftest::is_truth,
        |dir| Ok(Record::Accuracy(Box::new(selftest::stored(dir)?))),
        &["report.md"],
    ),
    kind(
        capacity::is_capacity,
        |dir| Ok(Record::Capacity(Box::new(capacity::stored(dir)?))),
        &["capacity.html"],
    ),
    Kind {
        holds_others: true,
        ..kind(
            scorecard::is_card,
            |dir| Ok(Record::Scorecard(Box::new(scorecard::stored(dir)?))),
            &["scorecard.html", "scorecard.md"],
        )
    },
    kind(reach::is_matrix, |dir| Ok(Record::Reach(Box::new(reach::stored(dir)?))), &["reach.html"]),
    kind(is_run, of_run, REPORTS),
];

const fn kind(
    is: fn(&Path) -> bool,
    read: fn(&Path) -> Result<Record>,
    pages: &'static [&'static str],
) -> Kind {
    Kind { is, read, pages, holds_others: false }
}

/// A run without its header was damaged.
fn is_run(dir: &Path) -> bool {
    // A link to what is no file is told as such when it is read.
    ["run.json", "trials.jsonl"].iter().any(|file| dir.join(file).symlink_metadata().is_ok())
}

fn of_run(dir: &Path) -> Result<Record> {
    Ok(Record::Run(Box::new(Measured::of(&results_store::read(dir)?))))
}

fn of_qualification(dir: &Path) -> Result<Record> {
    let (header, tried) = qualification::read(dir)?;
    Ok(Record::Qualification(Box::new(header), tried))
}

fn kind_of(dir: &Path) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| (kind.is)(dir))
}

/// Whether an index is what can be shown of a directory.
pub fn is_tree(dir: &Path) -> bool {
    dir.is_dir() && kind_of(dir).is_none()
}

/// Shows or writes the index of a directory.
pub fn report(dir: &Path, format: &str, output: Option<&Path>) -> Result<()> {
    let format = FORMATS.find(format, "a directory of runs")?;
    let file = output.filter(|file| file.as_os_str() != "-");
    if let Some(path) = file.filter(|path| path.is_dir()) {
        return Err(Error::usage(format!(
            "--output {} is a directory, and the index is one file: write --output {}",
            path.display(),
            path.join("index.html").display()
        )));
    }
    let found = read(dir, file)?;
    let text = match format {
        Format::Json => index::json(&found),
        Format::Markdown => index::markdown(&found),
        Format::Html => html::index::render(&found),
        _ => index::text(&found, if output.is_none() { look() } else { Look::PLAIN }),
    };
    deliver(&text, output)
}

fn read(dir: &Path, output: Option<&Path>) -> Result<Index> {
    let mut tree =
        Tree { root: dir, output, records: Vec::new(), foreign: Vec::new(), unread: Vec::new() };
    tree.walk(dir, DEPTH);
    if tree.records.is_empty() {
        let (shown, first) = (dir.display(), dir.join("first"));
        let skipped: Vec<String> =
            tree.unread.iter().map(|one| format!(" ({}: {})", one.directory, one.why)).collect();
        return Err(Error::usage(format!(
            "{shown} holds no run, no gate and no other record, nor does a directory below it{}: name the directory of your \
             results, or make a first run there: pushbench run ingest --out {}",
            skipped.first().map_or("", String::as_str),
            shell_words::quote(&first.display().to_string())
        )));
    }
    let beside = output.map(|file| file.parent().unwrap_or(Path::new("")));
    let entry = |(dir, kind): &(PathBuf, &'static Kind)| {
        // A record that no version of pushbench wrote must not keep the others from being shown.
        let record = catch_unwind(AssertUnwindSafe(|| (kind.read)(dir)));
        let record = record.unwrap_or_else(|_| Err(Error::usage("its figures cannot be derived")));
        let record = record.map_err(|e| unread(tree.name(dir), e.to_string()))?;
        let (page, command) = (page_of(dir, kind, beside), making(dir, kind));
        Ok(Entry::of(tree.name(dir), page, command, record))
    };
    let (entries, failed): (Vec<_>, Vec<_>) =
        each(&tree.records, entry).into_iter().partition(|read| read.is_ok());
    let mut unread = [tree.foreign, tree.unread].concat();
    unread.extend(failed.into_iter().filter_map(std::result::Result::err));
    let written = output.map_or("-".to_owned(), |file| file.display().to_string());
    Ok(Index::of(
        (dir.display().to_string(), written),
        entries.into_iter().flatten().collect(),
        unread,
    ))
}

fn unread(directory: String, why: String) -> Unread {
    Unread { directory, why }
}

/// Applies a function to each on all CPUs.
fn each<T: Sync, R: Send>(all: &[T], of: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(all.len());
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(all.len())));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = of(one);
                    found.lock().unwrap_or_else(|e| e.into_inner()).push(result);
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(|e| e.into_inner())
}

/// The page of a record, where one was made.
fn page_of(dir: &Path, kind: &Kind, beside: Option<&Path>) -> Option<RawFile> {
    let name = kind.pages.iter().find(|name| dir.join(name).is_file())?;
    Some(RawFile {
        name: (*name).to_owned(),
        href: beside.and_then(|from| page::href(from, dir, name)),
    })
}

/// The command that makes the page of a record.
fn making(dir: &Path, kind: &Kind) -> String {
    let name = kind.pages[0];
    let format = if name.ends_with(".md") { "markdown" } else { "html" };
    let quoted = |path: &Path| shell_words::quote(&path.display().to_string()).into_owned();
    format!(
        "pushbench report {} --format {format} --output {}",
        quoted(dir),
        quoted(&dir.join(name))
    )
}

/// A directory tree being walked.
struct Tree<'a> {
    root: &'a Path,
    /// The page that is written: it may lie within the tree.
    output: Option<&'a Path>,
    records: Vec<(PathBuf, &'static Kind)>,
    /// What is no record.
    foreign: Vec<Unread>,
    /// What could not be looked into, or was not.
    unread: Vec<Unread>,
}

impl Tree<'_> {
    /// How a directory is called within the tree.
    fn name(&self, dir: &Path) -> String {
        let within = dir.strip_prefix(self.root).unwrap_or(dir);
        if within.as_os_str().is_empty() { ".".to_owned() } else { within.display().to_string() }
    }

    fn walk(&mut self, dir: &Path, depth: usize) {
        let kind = kind_of(dir);
        self.records.extend(kind.map(|kind| (dir.to_owned(), kind)));
        if kind.is_some_and(|kind| !kind.holds_others) {
            return;
        }
        let (before, noted) = (self.records.len(), self.foreign.len());
        let mut paths: Vec<PathBuf> = match std::fs::read_dir(dir) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(e) => return self.unread.push(unread(self.name(dir), e.to_string())),
        };
        paths.sort();
        // A link could lead back to where it is.
        let (links, paths): (Vec<PathBuf>, Vec<PathBuf>) =
            paths.into_iter().partition(|path| path.is_symlink() && path.is_dir());
        let (dirs, files): (Vec<PathBuf>, Vec<PathBuf>) =
            paths.into_iter().partition(|path| path.is_dir());
        let skipped = self.unread.len();
        for link in &links {
            let why =
                "a link to a directory, which is not followed: name that directory".to_owned();
            self.unread.push(unread(self.name(link), why));
        }
        if depth == 0 && !dirs.is_empty() {
            let deep = match dirs.len() {
                1 => "a directory in it was not looked into: it lies".to_owned(),
                n => format!("{n} directories in it were not looked into: they lie"),
            };
            let why =
                format!("{deep} more than {DEPTH} levels deep; name a directory nearer to it");
            self.unread.push(unread(self.name(dir), why));
        } else {
            dirs.iter().for_each(|dir| self.walk(dir, depth - 1));
        }
        let skipped = self.unread.len() > skipped;
        if kind.is_some() || skipped && files.is_empty() {
            return;
        }
        let why = match self.records.len() == before && !dirs.is_empty() && !skipped {
            // One line for all of it.
            true => {
                self.foreign.truncate(noted);
                Some("no record of pushbench in it or below".to_owned())
            }
            false => self.foreign(&files, !dirs.is_empty()),
        };
        self.foreign.extend(why.map(|why| unread(self.name(dir), why)));
    }

    /// What is said of files that belong to no record.
    fn foreign(&self, files: &[PathBuf], has_directories: bool) -> Option<String> {
        let own = |path: &&PathBuf| self.output.is_some_and(|output| is_same(output, path));
        let names: Vec<String> = files
            .iter()
            .filter(|path| !own(path))
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        let shown = names[..names.len().min(NAMED)].join(", ");
        match names.len() {
            0 if has_directories => None,
            0 => Some("it is empty".to_owned()),
            n if n > NAMED => {
                Some(format!("{shown} and {} more files: no record of pushbench", n - NAMED))
            }
            _ => Some(format!("{shown}: no record of pushbench")),
        }
    }
}

/// Whether both are one file that is there.
fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
