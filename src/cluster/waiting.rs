//! What the coordinator waits for: the answers of shards, one that is gone or silent, and the user who wants to stop.

use crate::cluster::STEP;
use crate::cluster::coordinator::Cluster;
use crate::cluster::protocol::FromShard;
use pushbench_core::error::{Error, Result};
use pushbench_host::clock;
use pushbench_load::trial_group::TrialObserver;
use std::cell::RefCell;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// A shard answers a question at once, starts targets or opens connections in this time.
pub(super) const ANSWER: Duration = Duration::from_secs(120);
/// One that runs says so every second: after this without a word it is paused, or cut off.
const SILENCE: Duration = Duration::from_secs(20);

/// What is waited for.
#[derive(Clone, Copy)]
pub(super) struct Wait<'a> {
    pub interrupt: &'a AtomicBool,
    pub until: Instant,
    /// Those that have not answered yet.
    pub whom: &'a [usize],
    /// What they are to do.
    pub what: &'static str,
}

impl<'a> Wait<'a> {
    pub fn of(
        interrupt: &'a AtomicBool,
        limit: Duration,
        whom: &'a [usize],
        what: &'static str,
    ) -> Wait<'a> {
        Wait { interrupt, until: Instant::now() + limit, whom, what }
    }
}

impl Cluster {
    /// Shards that have not answered in time.
    fn silent(&self, whom: &[usize], what: &str) -> Error {
        let names: Vec<String> = whom.iter().map(|rank| self.name(*rank)).collect();
        Error::harness(format!(
            "no answer in time from {} ({what}): is it paused, or its machine too busy? Its block is void, and the finished trials are kept",
            names.join(" and ")
        ))
    }

    pub(super) fn gone(&self, rank: usize, why: &str) -> Error {
        Error::harness(format!(
            "{} is gone{why}; its block is void, and the finished trials are kept",
            self.name(rank)
        ))
    }

    /// The next message of any shard; an error where one is gone or has failed, where none comes in time, or where the user
    /// wants to stop.
    fn hear(&self, wait: &Wait<'_>, tick: &mut dyn FnMut()) -> Result<(usize, FromShard, u64)> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            tick();
            if wait.interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            if Instant::now() > wait.until {
                return Err(self.silent(wait.whom, wait.what));
            }
            let oldest = clock::now().saturating_sub(SILENCE.as_nanos() as u64);
            let is_silent =
                |rank: &usize| self.shards[*rank].last_heard.load(Ordering::Relaxed) < oldest;
            let silent: Vec<usize> = wait.whom.iter().copied().filter(is_silent).collect();
            if !silent.is_empty() {
                return Err(self.silent(&silent, wait.what));
            }
            match heard.recv_timeout(STEP) {
                Ok((rank, Some(FromShard::Stopped(failure)), _)) => {
                    return Err(match failure {
                        Some(f) if f.of_target => {
                            Error::target(format!("{}: {}", self.name(rank), f.why))
                        }
                        Some(f) => Error::harness(format!("{}: {}", self.name(rank), f.why)),
                        None => Error::harness(format!("{} was interrupted", self.name(rank))),
                    });
                }
                Ok((rank, Some(message), at)) => return Ok((rank, message, at)),
                Ok((rank, None, _)) => return Err(self.gone(rank, "")),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::harness("every shard is gone".to_owned()));
                }
            }
        }
    }

    /// Waits until every one of `wait.whom` has said what is waited for, which `take` recognizes. What else is said is
    /// handed to it, too. Gives what it took, by rank.
    pub(super) fn hear_all<T>(
        &self,
        wait: Wait<'_>,
        tick: &mut dyn FnMut(),
        mut take: impl FnMut(usize, FromShard, u64) -> Option<T>,
    ) -> Result<Vec<(usize, T)>> {
        let mut waiting = wait.whom.to_vec();
        let mut taken = Vec::new();
        while !waiting.is_empty() {
            let (rank, message, at) = self.hear(&Wait { whom: &waiting, ..wait }, tick)?;
            if let Some(said) = take(rank, message, at) {
                waiting.retain(|other| *other != rank);
                taken.push((rank, said));
            }
        }
        taken.sort_by_key(|(rank, _)| *rank);
        Ok(taken)
    }

    /// Waits for one.
    pub(super) fn hear_one<T>(
        &self,
        wait: Wait<'_>,
        tick: &mut dyn FnMut(),
        mut take: impl FnMut(FromShard) -> Option<T>,
    ) -> Result<T> {
        let mut said = self.hear_all(wait, tick, |_, message, _| take(message))?;
        said.pop().map(|(_, said)| said).ok_or_else(|| Error::harness("nobody is asked".to_owned()))
    }

    /// Waits for all while their seconds are shown.
    pub(super) fn until_all<T>(
        &self,
        wait: Wait<'_>,
        observer: &mut dyn TrialObserver,
        take: impl Fn(FromShard) -> Option<T>,
    ) -> Result<Vec<(usize, T)>> {
        let seconds = RefCell::new(Vec::new());
        let mut tick = || {
            for (arm, responses) in seconds.take() {
                observer.second(arm, &responses);
            }
            observer.tick();
        };
        self.hear_all(wait, &mut tick, |_, message, _| match message {
            FromShard::Second(arm, responses) => {
                seconds.borrow_mut().push((arm, responses));
                None
            }
            other => take(other),
        })
    }
}
