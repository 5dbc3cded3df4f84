//! One start of one arm: so many events, one after the other, and what was executed for them.

use crate::run::arms::Arm;
use crate::verify::{VerifyContext, closed_loop};
use pushbench_analysis::compare::gate::instructions::{InstructionTrial, Length};
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::scenario::Question;
use pushbench_core::units;
use pushbench_host::cpus::Placement;
use pushbench_sut::instructions::{Count, Counted, Counter};
use pushbench_sut::process::{Launch, Running, start_all};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Events of a short trial: enough for what a program does once, at its first events.
const SHORT: u64 = 100;
/// A long trial has at least so many more, so that what differs from start to start is small beside them …
const FEWEST: u64 = 500;
/// … and at most so many.
const MOST: u64 = 20_000;
/// What a target may take from SIGTERM to its end, without a counter that slows it down.
const END: Duration = Duration::from_secs(1);
/// What an answer may take at least and at most, without a counter that slows it down.
const ANSWER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// How many events the trials of a transport have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    long: u64,
    /// What a start, its events and its end take.
    trial: Duration,
}

impl Lengths {
    pub fn events(self, length: Length) -> u64 {
        match length {
            Length::Short => SHORT,
            Length::Long => self.long,
        }
    }

    /// For the progress.
    pub fn sentence(self, blocks: usize) -> String {
        format!(
            "{SHORT} and {} events, {blocks} blocks of 6 trials, of which a long one takes about {}",
            units::count(self.long as f64),
            units::nanos_text(self.trial.as_nanos() as f64)
        )
    }
}

/// A trial that is to be made.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub arm: &'a Arm,
    pub length: Length,
    pub events: u64,
}

/// What all trials have in common.
pub(super) struct Trials<'a> {
    counter: &'a Counter,
    template: Template,
    /// The CPUs of each trial that is made at the same time.
    cpus: Vec<Vec<usize>>,
    answer: Duration,
    /// What the events should take that a long trial has and a short one has not.
    duration: Duration,
    interrupt: &'a AtomicBool,
}

impl<'a> Trials<'a> {
    pub fn new(
        question: &Question,
        placement: &Placement,
        counter: &'a Counter,
        interrupt: &'a AtomicBool,
    ) -> Result<Trials<'a>> {
        let [point] = &question.points[..] else {
            return Err(Error::usage("instructions are counted at one point: leave out the sweep"));
        };
        let [least, most] = ANSWER;
        Ok(Trials {
            counter,
            template: Template::of(&point.scenario),
            cpus: match counter {
                Counter::Hardware => vec![placement.target.clone()],
                // A count under valgrind does not depend on what else runs.
                Counter::Valgrind(_) => placement.all().into_iter().map(|cpu| vec![cpu]).collect(),
            },
            answer: point.scenario.load.timeout.clamp(least, most) * counter.slower(),
            duration: point.scenario.load.duration,
            interrupt,
        })
    }

    /// How many events the trials have that an arm like this one makes.
    pub fn lengths(&self, arm: &Arm) -> Result<Lengths> {
        let began = Instant::now();
        let mut pace = Duration::ZERO;
        self.start(arm, &self.cpus[0], |trials, running| {
            trials.send(arm, running, SHORT)?;
            pace = trials.send(arm, running, SHORT)? / SHORT as u32;
            Ok(())
        })?;
        let events = (self.duration.as_nanos() / pace.as_nanos().max(1)) as u64;
        let more = (events / SHORT * SHORT).clamp(FEWEST, MOST);
        Ok(Lengths { long: SHORT + more, trial: began.elapsed() + pace * more as u32 })
    }

    /// Makes these trials, as many at a time as there are CPUs for; those that were made, and what ended it.
    pub fn run(&self, block: usize, tasks: &[Task<'_>]) -> (Vec<InstructionTrial>, Result<()>) {
        let queue = Mutex::new(tasks.iter());
        let done = Mutex::new((Vec::new(), Ok(())));
        let lock = |found: InstructionTrial| {
            done.lock().unwrap_or_else(PoisonError::into_inner).0.push(found);
        };
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = |cpus: &[usize]| {
            while let Some(task) = next() {
                match self.trial(block, task, cpus) {
                    Ok(found) => lock(found),
                    Err(e) => {
                        while next().is_some() {}
                        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                        if done.1.is_ok() {
                            done.1 = Err(e);
                        }
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for cpus in &self.cpus {
                scope.spawn(|| work(cpus));
            }
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn trial(&self, block: usize, task: &Task<'_>, cpus: &[usize]) -> Result<InstructionTrial> {
        let began = Instant::now();
        let Count { instructions, processes } = self.start(task.arm, cpus, |trials, running| {
            trials.send(task.arm, running, task.events).map(|_| ())
        })?;
        Ok(InstructionTrial {
            block,
            arm: task.arm.label.clone(),
            length: task.length,
            events: task.events,
            instructions,
            processes,
            seconds: began.elapsed().as_secs_f64(),
        })
    }

    /// Starts an arm, does something with it, ends it, and returns what it executed.
    fn start(
        &self,
        arm: &Arm,
        cpus: &[usize],
        work: impl FnOnce(&Self, &mut Running) -> Result<()>,
    ) -> Result<Count> {
        let counted = self.counter.prepare(&arm.manifest)?;
        let launch =
            Launch { manifest: &counted.manifest, cpus, interrupt: self.interrupt, driver: None };
        let started = start_all(&[launch]).and_then(|mut all| {
            let mut running =
                all.pop().ok_or_else(|| Error::harness("nothing was started: please report it"))?;
            work(self, &mut running).map_err(|e| with_exit(e, &mut running))?;
            Ok(running)
        });
        match started {
            Ok(running) => counted.stop(running, END * self.counter.slower(), self.interrupt),
            Err(e) => Err(explained(e, &counted, arm)),
        }
    }

    fn send(&self, arm: &Arm, running: &mut Running, events: u64) -> Result<Duration> {
        let context =
            VerifyContext { cpus: &[], interrupt: self.interrupt, template: &self.template };
        closed_loop(&arm.subject(), running, &context, events as usize, self.answer)
    }
}

/// How long a target that no longer answers may take to be gone.
const GONE: Duration = Duration::from_secs(2);

/// With how the target ended, where it did.
fn with_exit(e: Error, running: &mut Running) -> Error {
    let Error::Target { why, .. } = e else { return e };
    let began = Instant::now();
    loop {
        match running.exited() {
            Some(how) => return Error::target(format!("{why}: the target {how}")),
            None if began.elapsed() > GONE => return Error::target(why),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// With the reason why valgrind ended it, where that is why.
fn explained(e: Error, counted: &Counted, arm: &Arm) -> Error {
    match (e, counted.unsupported()) {
        (Error::Target { .. }, Some(why)) => Error::target(format!("{}: {why}", arm.label)),
        (e, _) => e,
    }
}
