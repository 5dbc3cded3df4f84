//! The results directory: `run.json` (what was asked and where), `trials.jsonl` (one complete record
//! a line, written and flushed as soon as a trial ends), `*.hlog` (responses per second).

mod file;
mod header;

pub use file::{create_dir, vacant, write_atomically};
pub use header::{ArmHeader, PointHeader, RunHeader, SCHEMA};

use crate::error::{Error, Result};
use crate::record::histogram::Hist;
use crate::record::interval_log::{self, Logged};
use crate::record::trial::{Stage, Trial};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A results directory being written.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// It was not there before.
    made: bool,
    trials: File,
    began: std::time::SystemTime,
}

/// What the interval logs hold: every second of each arm by its label, in the order of the log.
pub type Seconds = BTreeMap<String, Vec<Logged>>;

/// A run read back.
#[derive(Debug, Clone)]
pub struct StoredRun {
    /// `run.json`
    pub header: RunHeader,
    /// Every trial that was finished, in the order they ended.
    pub trials: Vec<Trial>,
    /// True when the last line of `trials.jsonl` was cut short.
    pub cut: bool,
}

impl Store {
    /// Makes the directory; one that exists must be empty.
    pub fn create(dir: &Path, header: &RunHeader) -> Result<Store> {
        let made = create_dir(dir)?;
        let path = dir.join("trials.jsonl");
        let trials = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(|e| cannot("write", &path, &e))?;
        let store =
            Store { dir: dir.to_owned(), made, trials, began: std::time::SystemTime::now() };
        // A place where nothing was begun stays free for the next try.
        store.write_header(header).inspect_err(|_| store.discard())?;
        Ok(store)
    }

    /// Takes away what was written to a directory in which nothing was finished, and the directory if it
    /// was made for it; whatever else is in it stays.
    pub fn discard(&self) {
        for name in ["run.json", "trials.jsonl"] {
            let _not_there = fs::remove_file(self.dir.join(name));
        }
        if self.made {
            let _not_empty = fs::remove_dir(&self.dir);
        }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes `run.json` as a whole, so that a reader never sees half of it.
    pub fn write_header(&self, header: &RunHeader) -> Result<()> {
        let text = serde_json::to_string_pretty(header)
            .map_err(|e| Error::harness(format!("cannot write run.json: {e}")))?;
        self.write_file("run.json", text.as_bytes())
    }

    /// Writes a file of the directory atomically.
    pub fn write_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.dir.join(name);
        write_atomically(&path, bytes)
    }

    /// Appends a finished trial and makes sure that it is on its way to the disk.
    pub fn append(&mut self, trial: &Trial, seconds: &[(u64, Hist)]) -> Result<()> {
        let path = self.dir.join("trials.jsonl");
        let mut line = serde_json::to_vec(trial)
            .map_err(|e| Error::harness(format!("cannot write a trial: {e}")))?;
        line.push(b'\n');
        self.trials
            .write_all(&line)
            .and_then(|()| self.trials.flush())
            .map_err(|e| cannot("write", &path, &e))?;
        if trial.stage == Stage::Block {
            self.append_seconds(trial, seconds)?;
        }
        Ok(())
    }

    fn append_seconds(&self, trial: &Trial, seconds: &[(u64, Hist)]) -> Result<()> {
        let path = self.dir.join(format!("{}.hlog", file_name(&trial.label)));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let mut file = file.map_err(|e| cannot("write", &path, &e))?;
        let run = self.began.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let heading = file.metadata().is_ok_and(|m| m.len() == 0);
        let text = second_lines(seconds, trial.began(), run, heading);
        let text =
            text.map_err(|e| Error::harness(format!("cannot write {}: {e}", path.display())))?;
        file.write_all(&text).map_err(|e| cannot("write", &path, &e))
    }
}

/// The lines of an interval log, which counts from the start of the run; the heading is written once.
fn second_lines(
    seconds: &[(u64, Hist)],
    trial: Duration,
    run: Duration,
    heading: bool,
) -> std::result::Result<Vec<u8>, String> {
    let logged = |(number, hist): &(u64, Hist)| Logged {
        start: trial + Duration::from_secs(*number),
        length: Duration::from_secs(1),
        hist: hist.packed(),
    };
    let lines: Vec<Logged> = seconds.iter().map(logged).collect();
    let comment = "responses (service times in a closed loop) in ns, one line a second";
    let text = interval_log::write(run, comment, lines.iter().map(|l| (None, l)))?;
    if heading {
        return Ok(text);
    }
    let lines = text.split_inclusive(|b| *b == b'\n').filter(|l| !l.starts_with(b"#"));
    Ok(lines.collect::<Vec<_>>().concat())
}

impl StoredRun {
    /// Reads a results directory, whole or cut short.
    pub fn read(dir: &Path) -> Result<StoredRun> {
        let path = dir.join("run.json");
        let text = fs::read_to_string(&path).map_err(|e| {
            Error::usage(format!(
                "{} is not a results directory ({}: {e}): give one that `pushbench run` has written, such as results/…-ingest",
                dir.display(),
                path.display()
            ))
        })?;
        let header = RunHeader::read(&path, &text)?;
        let (trials, cut) = read_trials(&dir.join("trials.jsonl"))?;
        Ok(StoredRun { header, trials, cut })
    }

    /// The seconds of each arm, as far as their files are there and whole.
    pub fn read_seconds(&self, dir: &Path) -> Seconds {
        let labels = self.header.points.iter().flat_map(|p| &p.arms).map(|a| &a.label);
        let read = |label: &String| {
            let text = fs::read(dir.join(format!("{}.hlog", file_name(label)))).ok()?;
            Some((label.clone(), interval_log::read(&text)))
        };
        labels.filter_map(read).collect()
    }
}

fn read_trials(path: &Path) -> Result<(Vec<Trial>, bool)> {
    let file = File::open(path).map_err(|e| cannot("read", path, &e))?;
    let mut reader = BufReader::new(file);
    let mut trials = Vec::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|e| cannot("read", path, &e))?;
        if read == 0 {
            break;
        }
        match serde_json::from_slice(&line) {
            Ok(trial) => trials.push(trial),
            // The run was killed while it wrote: everything before is whole.
            Err(_) if line.last() != Some(&b'\n') => return Ok((trials, true)),
            Err(e) => {
                let place = format!("{}:{number}: damaged: {e}", path.display());
                return Err(Error::usage(place));
            }
        }
    }
    Ok((trials, false))
}

/// A label as a file name.
fn file_name(label: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "@#-_.".contains(c) { c } else { '_' }
    };
    label.chars().map(safe).collect()
}

fn cannot(what: &str, path: &Path, e: &io::Error) -> Error {
    let remedy = match e.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a place you may write to with --out or --output"
        }
        io::ErrorKind::FileTooLarge => {
            "raise the limit on the size of files (ulimit -f); trials finished before are kept"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room or choose another disk with --out or --output; trials finished before are kept"
        }
        io::ErrorKind::NotADirectory => {
            "a part of that path is a file: choose another --out or --output"
        }
        _ => "see --out or --output",
    };
    Error::harness(format!("cannot {what} {}: {e}; {remedy}", path.display()))
}
