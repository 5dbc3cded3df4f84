//! Exact targets as the arms of a run: first look, pilots and blocks as `pushbench run` makes them, in the design
//! that it chooses. The driver's records come back with the accounts of the targets.

use crate::run::arms::Arm;
use crate::run::{PlanOutline, Progress, Request, execute};
use crate::selftest::SelfTestContext;
use pushbench_analysis::stats::queue::{Work, first_in_first_out};
use pushbench_core::arm::ArmSpec;
use pushbench_core::error::{Error, Result};
use pushbench_core::plan;
use pushbench_core::plan::Slices;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::run::StoredRun;
use pushbench_core::record::trial::{Stage, Trial, TrialDesign};
use pushbench_core::scenario::{Load, Override, Setting};
use pushbench_core::schedule::{Due, Schedule};
use pushbench_core::transport::Carrier;
use pushbench_faults::exact_target::{Account, AccountFile, Served, Service};
use pushbench_host::{input, results_store};
use pushbench_load::trial_group::TrialObserver;
use pushbench_sut::manifest::Manifest;
use std::time::Duration;

/// Positions of events in a schedule are smaller; the ids of a first look are larger.
const PROBES: u64 = 1 << 48;

/// A run of exact targets.
pub(super) struct ExactRun {
    /// What `pushbench report` would read.
    pub stored: StoredRun,
    /// The trials of valid blocks, each with what its target recorded.
    pub trials: Vec<ExactTrial>,
    /// Trials of blocks that are not valid.
    pub left_out: usize,
}

/// A trial and what its target recorded.
pub(super) struct ExactTrial {
    pub trial: Trial,
    pub events: Events,
}

/// The events of a trial.
pub(super) struct Events {
    /// In the order in which they were served.
    all: Vec<Event>,
    /// The target got every event of the schedule.
    complete: bool,
    /// Where the measured events begin, ns of the arm's own time.
    warmup_ns: u64,
}

/// One event of a trial by the schedule and by the target.
#[derive(Debug, Clone, Copy)]
struct Event {
    /// When it was due in the arm's own time, ns.
    due: u64,
    /// How much longer it took from its due instant to its service than the fastest one, ns; 0 where it found
    /// another one in service.
    transit: u64,
    served: Served,
}

/// Runs these arms. `settings` are keys of the scenario `ingest`.
pub(super) fn run(
    context: &SelfTestContext<'_>,
    arms: &[(Carrier, Service)],
    settings: &[(&str, String)],
) -> Result<ExactRun> {
    let overrides: Vec<Override> = settings
        .iter()
        .map(|(key, value)| Override {
            key: (*key).to_owned(),
            value: value.clone(),
            origin: format!("selftest {key}={value}"),
        })
        .collect();
    let question = input::scenario("ingest", &overrides)?;
    let files = arms.iter().map(|_| AccountFile::new()).collect::<Result<Vec<_>>>()?;
    let arm = |((carrier, service), file): (&(Carrier, Service), &AccountFile)| Arm {
        label: format!("{}@{service}", carrier.name()),
        spec: ArmSpec::plain(carrier.transport(), "exact"),
        manifest: Manifest::this_program(
            "exact",
            carrier.transport(),
            file.arguments(*carrier, *service),
        ),
    };
    let dir = tempfile::tempdir()
        .map_err(|e| Error::harness(format!("no directory for a run of the self-test: {e}")))?;
    let request = Request {
        question,
        arms: arms.iter().zip(&files).map(arm).collect(),
        seed: context.seed,
        placement: context.placement.clone(),
        out: dir.path().join("run"),
        command: Vec::new(),
    };
    execute(&request, context.interrupt, &mut Quiet)?;
    let stored = results_store::read(&request.out)?;
    let mut trials = Vec::new();
    for (arm, file) in files.iter().enumerate() {
        let probes = |a: &Account| a.log.iter().all(|s| s.index >= PROBES);
        let accounts: Vec<Account> = file.accounts()?.into_iter().filter(|a| !probes(a)).collect();
        let own: Vec<&Trial> = stored.trials.iter().filter(|t| t.arm == arm).collect();
        if own.len() != accounts.len() {
            return Err(Error::harness(format!(
                "{} trials of {}, but {} accounts of its target: please report it",
                own.len(),
                request.arms[arm].label,
                accounts.len()
            )));
        }
        let of_blocks = own.into_iter().zip(accounts).filter(|(t, _)| t.stage == Stage::Block);
        trials.extend(of_blocks.map(|(trial, account)| {
            let events = events(trial, &account.log, &request);
            ExactTrial { trial: trial.clone(), events }
        }));
    }
    let whole = |block: usize| {
        let mut block = trials.iter().filter(|t| t.trial.block == block);
        block.clone().count() == arms.len()
            && block.all(|t| t.trial.is_valid() && t.events.complete)
    };
    let whole: Vec<bool> = trials.iter().map(|t| whole(t.trial.block)).collect();
    let all = trials.len();
    let mut whole = whole.into_iter();
    trials.retain(|_| whole.next() == Some(true));
    Ok(ExactRun { stored, left_out: all - trials.len(), trials })
}

/// The schedule of a trial beside what its target recorded.
fn events(trial: &Trial, log: &[Served], request: &Request) -> Events {
    let load = &request.question.points[trial.point].scenario.load;
    let arms = request.arms.len();
    let seed = plan::blocks(trial.block + 1, arms, request.seed, trial.point)[trial.block].seed;
    let length = |load: &Load| (load.warmup + load.duration).as_nanos() as u64;
    let (load, slices) = match trial.design {
        TrialDesign::Sequential => (load.clone(), Slices::alone(length(load))),
        TrialDesign::Sliced { slice_ns } => {
            let load = plan::whole_slices(load, Duration::from_nanos(slice_ns));
            let slices = Slices::new(arms, slice_ns, length(&load), seed);
            (load, slices)
        }
    };
    let arm = if trial.design == TrialDesign::Sequential { 0 } else { trial.arm };
    Events::new(
        &schedule(&load, seed),
        |at| slices.wall(arm, at),
        log,
        load.warmup.as_nanos() as u64,
    )
}

impl Events {
    /// `wall`: when an instant of the arm's own time was on the wall, from the start of the trial.
    pub fn new(due: &[Due], wall: impl Fn(u64) -> u64, log: &[Served], warmup_ns: u64) -> Events {
        let mut free = 0;
        let mut found = Vec::new();
        for served in log {
            let idle = served.start != free;
            free = served.free;
            if let Some(due) = due.get(served.index as usize) {
                found.push((due.at, *served, idle));
            }
        }
        // The target's clock is that of the driver, but the start of the trial is not in the record: it lies
        // before the service of the fastest event that found the server idle.
        let since = |at: u64, served: &Served| served.start as i128 - i128::from(wall(at));
        let idle = found.iter().filter(|(_, _, idle)| *idle);
        let start = idle.map(|(at, served, _)| since(*at, served)).min().unwrap_or(0);
        let event = |(at, served, idle): (u64, Served, bool)| Event {
            due: at,
            transit: if idle { (since(at, &served) - start) as u64 } else { 0 },
            served,
        };
        let complete = found.len() == due.len();
        Events { all: found.into_iter().map(event).collect(), complete, warmup_ns }
    }

    fn measured(&self) -> impl Iterator<Item = &Event> {
        self.all.iter().filter(|event| event.due >= self.warmup_ns)
    }

    /// How long the target held each measured event, from its read to its answer.
    pub fn held(&self) -> Hist {
        let mut hist = Hist::new();
        self.measured().for_each(|event| hist.record(event.served.end - event.served.read));
        hist
    }

    /// What each measured event took of the server.
    pub fn work(&self) -> impl Iterator<Item = Work> {
        self.measured().map(|event| work(&event.served))
    }

    /// The same of the warm-up's events, too.
    pub fn all_work(&self) -> impl Iterator<Item = Work> {
        self.all.iter().map(|event| work(&event.served))
    }

    /// The target got every event of the schedule.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The median transit of the events that found the server idle, ns.
    pub fn usual_transit(&self) -> Option<u64> {
        let mut idle: Vec<u64> = self.all.iter().map(|e| e.transit).filter(|t| *t > 0).collect();
        idle.sort_unstable();
        idle.get(idle.len() / 2).copied()
    }

    /// The responses that Lindley's recursion gives the measured events. The due instants are those of the
    /// schedule as if no other arm had slices in between, and a service begins when the event has come and the
    /// server is free: a queue that was cut by the end of a slice is longer here.
    pub fn computed(&self) -> Hist {
        let arrivals = self.all.iter().map(|e| (e.due + e.transit, work(&e.served)));
        let responses = first_in_first_out(arrivals);
        let mut hist = Hist::new();
        let measured = self.all.iter().zip(responses).filter(|(e, _)| e.due >= self.warmup_ns);
        measured.for_each(|(e, response)| hist.record(e.transit + response));
        hist
    }
}

fn work(served: &Served) -> Work {
    Work { answered_ns: served.end - served.start, busy_ns: served.free - served.start }
}

/// The events of a load on one shard, in the order of their instants.
pub(super) fn schedule(load: &Load, seed: u64) -> Vec<Due> {
    Schedule::new(load, seed, 0, 1).into_iter().flatten().collect()
}

/// Shows nothing.
pub(super) struct Quiet;

impl TrialObserver for Quiet {
    fn second(&mut self, _arm: usize, _responses: &Hist) {}
    fn tick(&mut self) {}
}

impl Progress for Quiet {
    fn begin(&mut self, _plan: &PlanOutline<'_>) {}
    fn extend(&mut self, _by: Duration) {}
    fn point(&mut self, _number: usize, _setting: &Setting, _labels: &[String]) {}
    fn stage(&mut self, _what: &str) {}
    fn say(&mut self, _line: &str) {}
    fn advance(&mut self, _by: Duration) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_core::scenario::Arrivals;

    const SERVICE: u64 = 2_000_000;
    const WRITE: u64 = 30_000;
    const TRANSIT: u64 = 10_000;
    /// The origin of the trial on the clock of both sides.
    const ORIGIN: u64 = 1 << 40;
    const WARMUP_MS: u64 = 500;

    fn due(rate: f64) -> Vec<Due> {
        schedule(&crate::selftest::load(Arrivals::Poisson, Some(rate), WARMUP_MS, 10_000), 3)
    }

    /// What a server logs that gets its events at these instants of the wall, and the responses of the measured
    /// ones. Every third event that finds it idle wakes it slowly.
    fn served(due: &[Due], wall: impl Fn(u64) -> u64, service: u64) -> (Vec<Served>, Hist) {
        let (mut log, mut responses, mut free) = (Vec::new(), Hist::new(), 0);
        for Due { index, at } in due {
            let came = ORIGIN + wall(*at);
            let slow = if index % 3 == 0 { 500_000 } else { 0 };
            let start = if free > came + TRANSIT { free } else { came + TRANSIT + slow };
            let end = start + service;
            free = end + WRITE;
            log.push(Served { index: *index, read: start, start, end, free });
            if *at >= WARMUP_MS * 1_000_000 {
                responses.record(end - came);
            }
        }
        (log, responses)
    }

    fn computed(due: &[Due], wall: impl Fn(u64) -> u64, log: &[Served]) -> Hist {
        Events::new(due, wall, log, WARMUP_MS * 1_000_000).computed()
    }

    /// Reported less computed at p50 and p90, ns.
    fn deviations(reported: &Hist, computed: &Hist) -> [i64; 2] {
        let at = |hist: &Hist, q| hist.quantile(q).unwrap() as i64;
        [0.5, 0.9].map(|q| at(reported, q) - at(computed, q))
    }

    #[test]
    fn the_responses_of_a_server_follow_from_its_log() {
        for busy in [0.5, 0.7, 0.9] {
            let due = due(busy / (SERVICE + WRITE) as f64 * 1e9);
            let (log, reported) = served(&due, |at| at, SERVICE);
            let computed = computed(&due, |at| at, &log);
            assert_eq!(computed.count(), reported.count());
            // The fastest way to the server is not in the account, and a histogram has steps.
            let deviations = deviations(&reported, &computed);
            assert!(deviations.iter().all(|d| (0..30_000).contains(d)), "{deviations:?}");
        }
    }

    #[test]
    fn a_wrong_service_time_shows() {
        let due = due(430.0);
        let (_, reported) = served(&due, |at| at, SERVICE);
        for other in [SERVICE - 60_000, SERVICE + 60_000] {
            let (log, _) = served(&due, |at| at, other);
            let deviations = deviations(&reported, &computed(&due, |at| at, &log));
            assert!(deviations.iter().all(|d| d.abs() > 200_000), "{other}: {deviations:?}");
        }
    }

    #[test]
    fn a_queue_that_slices_cut_shows() {
        let due = due(430.0);
        let slices = Slices::new(2, 209_000_000, 10_500_000_000, 1);
        let wall = |at| slices.wall(0, at);
        let (log, reported) = served(&due, wall, SERVICE);
        let deviations = deviations(&reported, &computed(&due, wall, &log));
        assert!(deviations.iter().all(|d| *d < -500_000), "{deviations:?}");
    }

    #[test]
    fn an_account_that_lacks_an_event_is_none() {
        let due = due(100.0);
        let (log, _) = served(&due, |at| at, SERVICE);
        let events = |log: &[Served]| Events::new(&due, |at| at, log, 0);
        assert!(events(&log).complete && !events(&log[1..]).complete);
    }
}
