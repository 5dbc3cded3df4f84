//! Stored runs and matrices that measured what a card needs.

use crate::run;
use crate::scorecard::{CUTOFF, Request};
use pushbench_analysis::scorecard::same_plan;
use pushbench_core::reach::{PATHS, Reach};
use pushbench_core::record::run::{RunHeader, StoredRun};
use pushbench_host::input;
use pushbench_host::results_store;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where runs land.
const RESULTS: &str = "results";
/// Directories below a named one: a card is in one of `results/`, and its runs are in the card's.
const DEPTH: usize = 2;
/// What matrices of one machine have in common.
const MACHINE: [&str; 5] = ["cpu", "cpus", "kernel", "build", "virtual machine"];

impl Request {
    /// The newest stored run that measured the same, with what its machine and version have different. A run of this
    /// machine and version is taken where it is found in `results/`; one of a server of the user's own only where it
    /// was asked for, because the server may have changed since.
    pub(super) fn stored_run(
        &self,
        planned: &RunHeader,
        request: &run::Request,
    ) -> Option<(PathBuf, StoredRun, Vec<String>)> {
        let shipped = request.arms.iter().all(|arm| !arm.manifest.is_own());
        let found = self.places(shipped).into_iter().filter_map(|(dir, asked)| {
            let header = results_store::read_header(&dir).ok()?;
            let differs = same_plan(planned, &header)?;
            (asked || differs.is_empty()).then_some((dir, header.started, differs))
        });
        let (dir, _, differs) = found.max_by(|a, b| a.1.cmp(&b.1))?;
        results_store::read(&dir).ok().map(|run| (dir, run, differs))
    }

    /// The newest stored matrix of these arms and every path.
    pub(super) fn stored_matrix(&self, arms: &[String]) -> Option<(PathBuf, Reach, Vec<String>)> {
        let shipped = arms.iter().all(|arm| arm.ends_with("@builtin"));
        let machine = run::environment::describe();
        let found = self.places(shipped).into_iter().filter_map(|(dir, asked)| {
            let text = input::text(&dir.join("reach.json"), input::GENERATED).ok()?;
            let reach: Reach = serde_json::from_str(&text).ok()?;
            let tried = |path: &str, arm: &str| {
                reach.cells.iter().any(|cell| cell.path == path && cell.arm == arm)
            };
            let whole = PATHS.iter().all(|path| arms.iter().all(|arm| tried(path.name, arm)));
            let header = &reach.header;
            let same =
                whole && header.complete && header.idle_cutoff_ns == CUTOFF.as_nanos() as u64;
            let differs = differences(&header.machine, &header.version, &machine);
            (same && (asked || differs.is_empty())).then_some((dir, reach, differs))
        });
        found.max_by(|a, b| a.1.header.began.cmp(&b.1.header.began))
    }

    /// Directories that may hold a run, and whether they were asked for.
    fn places(&self, shipped: bool) -> Vec<(PathBuf, bool)> {
        let mut places = Vec::new();
        if self.reuse && shipped {
            below(Path::new(RESULTS), DEPTH, &mut |dir| places.push((dir, false)));
        }
        for dir in &self.from {
            below(dir, DEPTH, &mut |dir| places.push((dir, true)));
        }
        // What this card measures itself is not stored before.
        places.retain(|(dir, _)| !dir.starts_with(&self.out));
        places
    }
}

/// Whether a run or a matrix is in a directory or below it.
pub fn holds_measurements(dir: &Path) -> bool {
    let mut found = false;
    below(dir, DEPTH, &mut |dir| {
        found |= ["run.json", "reach.json"].iter().any(|file| dir.join(file).is_file());
    });
    found
}

fn below(dir: &Path, depth: usize, found: &mut dyn FnMut(PathBuf)) {
    found(dir.to_owned());
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries.filter(|_| depth > 0) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), depth - 1, found);
        }
    }
}

fn differences(
    machine: &BTreeMap<String, String>,
    version: &str,
    own: &BTreeMap<String, String>,
) -> Vec<String> {
    let of =
        |all: &BTreeMap<String, String>, name: &str| all.get(name).cloned().unwrap_or_default();
    let own_version = env!("CARGO_PKG_VERSION");
    let mut pairs: Vec<(&str, String, String)> =
        MACHINE.iter().map(|name| (*name, of(own, name), of(machine, name))).collect();
    pairs.push(("pushbench", own_version.to_owned(), version.to_owned()));
    pairs.retain(|(_, own, other)| own != other);
    pairs.into_iter().map(|(name, own, other)| format!("{name}: {own}, then {other}")).collect()
}
