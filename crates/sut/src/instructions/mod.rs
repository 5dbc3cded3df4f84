//! How many instructions a target executes in user space, over its whole process tree: by the hardware's counter where
//! the machine has one, else under valgrind.

mod hardware;
mod valgrind;
mod wrapper;

pub use wrapper::run_if_requested;

use crate::manifest::{Manifest, SELF};
use crate::private_directory::PrivateDirectory;
use crate::process::Running;
use pushbench_core::error::{Error, Result};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use wrapper::{INSTRUCTIONS, NOTHING, SUBCOMMAND};

/// What a start under valgrind may take, times as long as without. Translating a program takes most of it.
const VALGRIND_SLOWER: u32 = 30;
/// Set for every target: the order of Python's sets, and with it the count, depends on a random number otherwise.
const ENVIRONMENT: (&str, &str) = ("PYTHONHASHSEED", "0");
/// Where the counter's value is written.
const COUNT: &str = "count";

/// What counts instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counter {
    /// `perf_event_open`.
    Hardware,
    /// valgrind of this version.
    Valgrind(String),
}

/// A count over a process tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Instructions in user space.
    pub instructions: u64,
    /// Processes that were counted apart; 1 where one counter is over all of them.
    pub processes: usize,
}

impl Counter {
    /// The hardware's counter where there is one, else valgrind.
    ///
    /// # Errors
    /// There is neither: the message says why and what can be done about it.
    pub fn find() -> Result<Counter> {
        let no_hardware = match hardware::available() {
            Ok(()) => return Ok(Counter::Hardware),
            Err(why) => why,
        };
        let version = valgrind::version().map_err(|no_valgrind| {
            Error::target(format!(
                "instructions cannot be counted here: {no_hardware}; and {no_valgrind}: install it (Debian, Ubuntu: apt \
                 install valgrind)"
            ))
        })?;
        Ok(Counter::Valgrind(version))
    }

    /// For reports: `the hardware's counter (perf_event_open)`, `valgrind 3.19.0 (cachegrind)`.
    pub fn name(&self) -> String {
        match self {
            Counter::Hardware => "the hardware's counter (perf_event_open)".to_owned(),
            Counter::Valgrind(version) => format!("valgrind {version} (cachegrind)"),
        }
    }

    /// How many times as long as without it a start or an answer may take.
    pub fn slower(&self) -> u32 {
        match self {
            Counter::Hardware => 1,
            Counter::Valgrind(_) => VALGRIND_SLOWER,
        }
    }

    /// A start of this target that is counted.
    ///
    /// # Errors
    /// No directory can be made for the counts.
    pub fn prepare(&self, manifest: &Manifest) -> Result<Counted> {
        let directory = PrivateDirectory::make("instructions").map_err(|e| {
            Error::harness(format!(
                "cannot make a directory for counted instructions: {e}; check TMPDIR"
            ))
        })?;
        let path = directory.path().display().to_string();
        let event = match self {
            Counter::Hardware => INSTRUCTIONS,
            Counter::Valgrind(_) => NOTHING,
        };
        let mut wrapper = [SELF, SUBCOMMAND, event].map(str::to_owned).to_vec();
        wrapper.push(format!("{path}/{COUNT}"));
        if let Counter::Valgrind(_) = self {
            wrapper.extend(valgrind::command(&path));
        }
        let mut manifest = manifest.clone();
        manifest.ready_timeout *= self.slower();
        let (name, value) = ENVIRONMENT;
        if !manifest.env.iter().any(|(n, _)| n == name) {
            manifest.env.push((name.to_owned(), value.to_owned()));
        }
        manifest.wrapper = wrapper;
        Ok(Counted { manifest, counter: self.clone(), directory })
    }
}

/// A start of a target that is counted.
pub struct Counted {
    /// The target, as it is started.
    pub manifest: Manifest,
    counter: Counter,
    directory: PrivateDirectory,
}

impl Counted {
    /// Ends the target by SIGTERM and reads what was counted.
    ///
    /// # Errors
    /// It does not end within `limit`, or a process of its tree left no count.
    pub fn stop(
        self,
        mut running: Running,
        limit: Duration,
        interrupt: &AtomicBool,
    ) -> Result<Count> {
        let name = self.manifest.name.clone();
        let failed = |why: String| Error::target(format!("{name}: {why}"));
        if let Some(how) = running.exited() {
            let why = self.unsupported().unwrap_or_else(|| format!("the target {how}"));
            return Err(failed(why));
        }
        if !running.terminate(limit, interrupt)? {
            return Err(failed(format!(
                "it did not end within {} s of SIGTERM, so what it executed was not counted: let it end at SIGTERM",
                limit.as_secs()
            )));
        }
        let count = match &self.counter {
            Counter::Hardware => {
                hardware::read(&self.directory.path().join(COUNT)).map_err(failed)?
            }
            Counter::Valgrind(_) => valgrind::read(self.directory.path()).map_err(failed)?,
        };
        Ok(count)
    }

    /// Why valgrind cannot run the target, where that is why it ended.
    pub fn unsupported(&self) -> Option<String> {
        match self.counter {
            Counter::Hardware => None,
            Counter::Valgrind(_) => valgrind::unsupported(self.directory.path()),
        }
    }
}

/// Whether targets are started at the same addresses each time; not where a container forbids it.
pub fn addresses_are_fixed() -> bool {
    wrapper::fix_addresses().is_ok_and(wrapper::restore)
}

/// What every target finds in its environment, for the record.
pub fn environment() -> (&'static str, &'static str) {
    ENVIRONMENT
}

/// The files in a directory.
fn files(directory: &std::path::Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = std::fs::read_dir(directory)?
        .map(|e| Ok(e?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}
