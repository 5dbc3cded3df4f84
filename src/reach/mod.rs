//! `pushbench reach`: every cell of the matrix is tried for real. Cells are tried many at once; the time to the first
//! event is measured of one cell after the other.

mod trial;

use crate::run::environment;
use pushbench_analysis::reach::{Cell, cures, judge_cell};
use pushbench_core::arm::ArmSpec;
use pushbench_core::error::{Error, Result};
use pushbench_core::reach::{
    Attempt, CellRecord, Header, Outcome, PATHS, Probe, REAL_CUTOFF, Reach, ReachPath, SCHEMA,
};
use pushbench_host::cpus::Placement;
use pushbench_sut::proxy;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Cells that are tried at once: each has a publisher and a router, and hardly an event.
const AT_ONCE: usize = 32;

/// The parameters of `pushbench reach`.
pub struct Request {
    /// The rows.
    pub paths: Vec<&'static ReachPath>,
    /// The columns: arms by name.
    pub arms: Vec<String>,
    /// The idle cut-off.
    pub cutoff: Duration,
    /// Seed of the schedules.
    pub seed: u64,
    /// CPUs.
    pub placement: Placement,
    /// Results directory.
    pub out: PathBuf,
    /// The command line, for the record.
    pub command: Vec<String>,
}

/// One trial of a cell.
#[derive(Debug, Clone)]
struct Job {
    /// Index of the cell.
    cell: usize,
    probe: Probe,
    /// A setting that may cure what the cell lacks.
    cure: Option<String>,
}

impl Request {
    /// Nothing was tried yet.
    pub fn begin(&self) -> Reach {
        let ns = |length: Duration| length.as_nanos() as u64;
        let arms = |path: &&'static ReachPath| {
            let path = path.name.to_owned();
            let cell = move |arm: &String| CellRecord {
                path: path.clone(),
                arm: arm.clone(),
                trials: Vec::new(),
            };
            self.arms.iter().map(cell).collect::<Vec<_>>()
        };
        Reach {
            header: Header {
                schema: SCHEMA,
                silence_scaled_by: REAL_CUTOFF.as_secs_f64() / self.cutoff.as_secs_f64(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                command: shell_words::join(&self.command),
                began: jiff::Timestamp::now().to_string(),
                proxies: BTreeMap::new(),
                machine: environment::describe(),
                idle_cutoff_ns: ns(self.cutoff),
                silence_ns: ns(trial::silence(self.cutoff)),
                event_timeout_ns: ns(trial::event_timeout(self.cutoff)),
                peer_death_limit_ns: ns(trial::death_limit(self.cutoff)),
                complete: false,
            },
            cells: self.paths.iter().flat_map(arms).collect(),
        }
    }

    /// Refuses arms that cannot be tried at all, and sets up what their targets need.
    pub fn check(&self, interrupt: &AtomicBool) -> Result<()> {
        let job = Job { cell: 0, probe: Probe::Silence, cure: None };
        self.arms.iter().try_for_each(|arm| {
            let path = PATHS[0].name.to_owned();
            let cell = CellRecord { path, arm: arm.clone(), trials: Vec::new() };
            trial::prepared(self, &cell, &job, interrupt).map(drop)
        })
    }

    /// Tries every cell. What was tried is in `reach`, however it ends; `next` is told what is tried next, and what was
    /// tried until then.
    pub fn execute(
        &self,
        reach: &mut Reach,
        interrupt: &AtomicBool,
        next: &mut dyn FnMut(&Reach, &str) -> Result<()>,
    ) -> Result<()> {
        let jobs = |cells: &[usize], probe| -> Vec<Job> {
            cells.iter().map(|cell| Job { cell: *cell, probe, cure: None }).collect()
        };
        self.prepare_proxies(reach, interrupt, next)?;
        let untried = |cell: &usize| reach.cells[*cell].trials.is_empty();
        let all: Vec<usize> = (0..reach.cells.len()).filter(untried).collect();
        next(
            reach,
            &format!("{} cells: what gets through, and what survives a silence", all.len()),
        )?;
        self.try_all(reach, jobs(&all, Probe::Silence), AT_ONCE, interrupt)?;
        let through: Vec<usize> = all
            .into_iter()
            .filter(|cell| self.judged(reach, *cell).through == Some(true))
            .collect();
        next(reach, &format!("{} cells that got through: a peer dies", through.len()))?;
        self.try_all(reach, jobs(&through, Probe::PeerDeath), AT_ONCE, interrupt)?;
        let cures = self.cures(reach)?;
        next(reach, &format!("{} settings that may cure what a cell lacks", cures.len()))?;
        self.try_all(reach, cures, AT_ONCE, interrupt)?;
        next(reach, &format!("{} cells alone: time to the first event", through.len()))?;
        self.try_all(reach, jobs(&through, Probe::FirstEvent), 1, interrupt)?;
        reach.header.complete = true;
        Ok(())
    }

    /// Sets up the proxies of the rows. The cells of one that is not there are not tried.
    fn prepare_proxies(
        &self,
        reach: &mut Reach,
        interrupt: &AtomicBool,
        next: &mut dyn FnMut(&Reach, &str) -> Result<()>,
    ) -> Result<()> {
        for path in &self.paths {
            for setting in path.settings(self.cutoff) {
                let (key, name) = setting.split_once('=').unwrap_or_default();
                if !["path.via", "path.forward_proxy"].contains(&key) {
                    continue;
                }
                let mut steps = |line: &str| drop(next(reach, line));
                let proxy = proxy::find(key, name);
                match proxy.and_then(|proxy| proxy.prepare(interrupt, &mut steps)) {
                    Ok(version) => {
                        reach.header.proxies.insert(name.to_owned(), version);
                    }
                    Err(Error::Interrupted) => return Err(Error::Interrupted),
                    Err(e) => {
                        let outcome = Outcome::NotTried(e.to_string());
                        let attempt = Attempt { probe: Probe::Silence, cure: None, outcome };
                        let cells = reach.cells.iter_mut().filter(|cell| cell.path == path.name);
                        cells.for_each(|cell| cell.trials.push(attempt.clone()));
                    }
                }
            }
        }
        Ok(())
    }

    fn judged(&self, reach: &Reach, cell: usize) -> Cell {
        judge_cell(&reach.cells[cell], &reach.header)
    }

    fn cures(&self, reach: &Reach) -> Result<Vec<Job>> {
        let mut jobs = Vec::new();
        for index in 0..reach.cells.len() {
            let cell = self.judged(reach, index);
            let Some(lack) = cell.lack() else { continue };
            let all = cures(&cell, &ArmSpec::parse(&cell.arm)?, self.cutoff);
            let job = |cure| Job { cell: index, probe: lack.probe(), cure: Some(cure) };
            jobs.extend(all.into_iter().map(job));
        }
        Ok(jobs)
    }

    /// Makes these trials, so many at once. The first failure of the instrument ends them.
    fn try_all(
        &self,
        reach: &mut Reach,
        jobs: Vec<Job>,
        at_once: usize,
        interrupt: &AtomicBool,
    ) -> Result<()> {
        let threads = at_once.min(jobs.len());
        let cells = reach.cells.clone();
        let waiting = Mutex::new(VecDeque::from(jobs));
        let failed = AtomicBool::new(false);
        let (sender, tried) = channel::<(Job, Result<Outcome>)>();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (waiting, failed, cells, sender) = (&waiting, &failed, &cells, sender.clone());
                scope.spawn(move || {
                    let next =
                        || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    while let Some(job) = next().filter(|_| !failed.load(Ordering::Relaxed)) {
                        let outcome = trial::run(self, &cells[job.cell], &job, interrupt);
                        failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
                        let _nobody_waits_any_more = sender.send((job, outcome));
                    }
                });
            }
            drop(sender);
            let mut ended = Ok(());
            for (job, outcome) in tried {
                match outcome {
                    Ok(outcome) => {
                        let trials = &mut reach.cells[job.cell].trials;
                        trials.push(Attempt { probe: job.probe, cure: job.cure, outcome });
                    }
                    // An interruption is what the user wanted; whatever else fails then is its consequence.
                    Err(Error::Interrupted) => ended = Err(Error::Interrupted),
                    Err(e) if ended.is_ok() => ended = Err(e),
                    Err(_) => {}
                }
            }
            ended
        })
    }
}
