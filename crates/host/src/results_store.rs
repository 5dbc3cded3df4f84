//! The results directory: `run.json` (parameters and environment), `trials.jsonl` (one complete record
//! a line, written and flushed as soon as a trial ends), `*.hlog` (responses per second).

mod file;
mod logs;

pub use file::{create_dir, vacant, write_atomically};

use crate::input;
use crate::secrets;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::interval_log::{self, Logged};
pub use pushbench_core::record::records::{self, Records};
use pushbench_core::record::run::{RunHeader, Seconds, StoredRun};
use pushbench_core::record::trial::{Stage, Trial};
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
    written: records::Counter,
    began: std::time::SystemTime,
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
        let (written, began) = (records::Counter::default(), std::time::SystemTime::now());
        let store = Store { dir: dir.to_owned(), made, trials, written, began };
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
    pub(crate) fn write_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.dir.join(name);
        write_atomically(&path, bytes)
    }

    /// Appends a finished trial and makes sure that it is on its way to the disk.
    pub fn append(&mut self, trial: &Trial, seconds: &[(u64, Hist)]) -> Result<()> {
        let path = self.dir.join("trials.jsonl");
        let mut line = serde_json::to_vec(trial)
            .map_err(|e| Error::harness(format!("cannot write a trial: {e}")))?;
        line.push(b'\n');
        let line = secrets::hide_document(&line);
        self.trials
            .write_all(&line)
            .and_then(|()| self.trials.flush())
            .map_err(|e| cannot("write", &path, &e))?;
        self.written.add(&line);
        if trial.stage == Stage::Block {
            self.append_seconds(trial, seconds)?;
        }
        Ok(())
    }

    /// What was written so far.
    pub fn records(&self) -> Records {
        self.written.total()
    }

    fn append_seconds(&self, trial: &Trial, seconds: &[(u64, Hist)]) -> Result<()> {
        let path = self.dir.join(logs::name(&trial.label));
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

/// Reads a results directory, whole or cut short.
pub fn read(dir: &Path) -> Result<StoredRun> {
    let header = read_header(dir)?;
    let (trials, cut, found) = read_trials(&dir.join("trials.jsonl"))?;
    let altered = header.records.as_ref().and_then(|w| records::difference(w, &found));
    Ok(StoredRun { header, trials, cut, altered })
}

/// Reads the plan and the machine of a run alone.
pub fn read_header(dir: &Path) -> Result<RunHeader> {
    let path = dir.join("run.json");
    let text = input::text(&path, input::GENERATED).map_err(|e| {
        Error::usage(format!(
            "{} is not a results directory ({e}): give one that `pushbench run` has written, such as results/…-ingest",
            dir.display()
        ))
    })?;
    RunHeader::read(&path, &text)
}

/// The seconds of each arm, as far as their files are there and whole.
pub fn read_seconds(run: &StoredRun, dir: &Path) -> Seconds {
    let arms = run.header.points.iter().flat_map(|p| &p.arms);
    let labels: Vec<&str> = arms.map(|a| a.label.as_str()).collect();
    let bytes = |name: String| input::bytes(&dir.join(name), input::GENERATED).ok();
    let read = |label: &&str| {
        let former = || bytes(logs::former_name(label, &labels)?);
        let text = bytes(logs::name(label)).or_else(former)?;
        Some(((*label).to_owned(), interval_log::read(&text)))
    };
    labels.iter().filter_map(read).collect()
}

/// The records, whether the last one was cut short, and what all of them come to.
fn read_trials(path: &Path) -> Result<(Vec<Trial>, bool, Records)> {
    let file = input::open(path).map_err(|e| Error::harness(e.to_string()))?;
    let mut reader = BufReader::new(file);
    let (mut trials, mut found) = (Vec::new(), records::Counter::default());
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|e| cannot("read", path, &e))?;
        if read == 0 {
            break;
        }
        found.add(&line);
        match serde_json::from_slice(&line) {
            Ok(trial) => trials.push(trial),
            // The run was killed while it wrote: everything before is whole.
            Err(_) if line.last() != Some(&b'\n') => {
                return Ok((trials, true, found.total()));
            }
            Err(e) => {
                let place = format!("{}:{number}: damaged: {e}", path.display());
                return Err(Error::usage(place));
            }
        }
    }
    Ok((trials, false, found.total()))
}

fn cannot(what: &str, path: &Path, e: &io::Error) -> Error {
    let remedy = match e.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a writable directory with --out or --output"
        }
        io::ErrorKind::FileTooLarge => {
            "raise the limit of the file size (ulimit -f); finished trials are kept"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free disk space, or choose another disk with --out or --output; finished trials are kept"
        }
        io::ErrorKind::NotADirectory => {
            "a part of that path is a file: choose another --out or --output"
        }
        _ => "see --out or --output",
    };
    Error::harness(format!("cannot {what} {}: {e}; {remedy}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_analysis::compare::sample;

    /// A run of two arms with these labels, and a second of each of them.
    fn stored(dir: &Path, labels: [&str; 2]) -> StoredRun {
        let mut run = sample::ratios(0.8, 0.5);
        for (arm, label) in labels.iter().enumerate() {
            (*label).clone_into(&mut run.header.points[0].arms[arm].label);
        }
        let mut store = Store::create(dir, &run.header).unwrap();
        for (arm, label) in labels.iter().enumerate() {
            let mut second = Hist::new();
            second.record(1000 * (arm as u64 + 1));
            let trial = Trial { label: (*label).to_owned(), ..run.trials[arm].clone() };
            store.append(&trial, &[(0, second)]).unwrap();
        }
        run.header.records = Some(store.records());
        store.write_header(&run.header).unwrap();
        super::read(dir).unwrap()
    }

    #[test]
    fn every_arm_has_a_log_of_its_own() {
        let long = |last: &str| format!("webhook@{}{last}", "n".repeat(300));
        for labels in [["webhook@é", "webhook@ü"], [&long("a"), &long("b")]] {
            let root = tempfile::tempdir().unwrap();
            let dir = root.path().join("r");
            let run = stored(&dir, labels);
            let seconds = read_seconds(&run, &dir);
            for (label, ns) in labels.iter().zip([1000, 2000]) {
                assert_eq!(seconds[*label].len(), 1, "{label}");
                assert_eq!(seconds[*label][0].hist.max(), Some(ns), "{label}");
            }
        }
    }

    #[test]
    fn a_log_under_its_former_name_is_read() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("r");
        let run = stored(&dir, ["webhook@é", "websocket@ü"]);
        for label in ["webhook@é", "websocket@ü"] {
            let former = logs::former_name(label, &[label]).unwrap();
            fs::rename(dir.join(logs::name(label)), dir.join(former)).unwrap();
        }
        assert_eq!(read_seconds(&run, &dir).len(), 2);
    }

    #[test]
    fn records_that_were_removed_are_noticed() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("r");
        assert_eq!(stored(&dir, ["webhook@a", "webhook@b"]).altered, None);
        let path = dir.join("trials.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.split_inclusive('\n').next().unwrap()).unwrap();
        let altered = super::read(&dir).unwrap().altered.unwrap();
        assert!(altered.contains("holds 1 records, run.json counted 2"), "{altered}");
        fs::write(&path, text.replacen("webhook@b", "webhook@c", 1)).unwrap();
        let altered = super::read(&dir).unwrap().altered.unwrap();
        assert!(altered.contains("differ in their SHA-256"), "{altered}");
    }
}
