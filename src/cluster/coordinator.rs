//! The coordinator: it hands out the plan, gives each trial group a common origin, and gathers the records.

use crate::cluster::STEP;
use crate::cluster::clocks::TrialClock;
use crate::cluster::merge::merged;
use crate::cluster::protocol::{Driven, DriverPart, FromShard, Role, ToShard};
use crate::cluster::rendezvous::{Heard, Shard};
use crate::cluster::waiting::{ANSWER, Wait};
use crate::run;
use crate::run::group_builder::GroupSpec;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::fanout::Share;
use pushbench_core::record::findings::Findings;
use pushbench_core::record::run::Machine;
use pushbench_host::clock;
use pushbench_load::block;
use pushbench_load::target_side::{TargetRecord, TargetUrls};
use pushbench_load::trial_group::{
    ExecutionContext, FinishedTrial, RemoteBlocks, TrialGroup, TrialObserver,
};
use pushbench_sut::publisher::new_token;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between the last open connection and the origin, and round trips beside it, so that every shard knows the origin in
/// time.
const LEAD_NS: u64 = 50_000_000;
const LEAD_ROUND_TRIPS: u64 = 8;
/// A shard that is told to stop has stopped after this, or is not waited for.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Setting targets up may load and build packages.
const SET_UP: Duration = Duration::from_secs(900);
/// What a trial group takes longer than its load and its time-out.
const SPARE: Duration = Duration::from_secs(30);

/// The shards of a run, by rank.
pub struct Cluster {
    pub(super) shards: Vec<Shard>,
    pub(super) heard: Mutex<Receiver<Heard>>,
}

impl Cluster {
    /// Those that have joined, and where they are heard.
    pub(super) fn of(shards: Vec<Shard>, heard: Receiver<Heard>) -> Cluster {
        Cluster { shards, heard: Mutex::new(heard) }
    }

    /// The machines, by rank.
    pub fn machines(&self) -> Vec<Machine> {
        self.shards.iter().map(|shard| shard.machine.clone()).collect()
    }

    fn target(&self) -> usize {
        self.shards.iter().position(|shard| shard.role == Role::Target).unwrap_or(0)
    }

    fn drivers(&self) -> Vec<usize> {
        let all = self.shards.iter().enumerate();
        all.filter(|(_, shard)| shard.role == Role::Driver).map(|(rank, _)| rank).collect()
    }

    pub(super) fn name(&self, rank: usize) -> String {
        let machine = &self.shards[rank].machine;
        format!("rank {rank} ({}, {})", machine.role, machine.host)
    }

    pub(super) fn tell(&self, rank: usize, message: &ToShard) -> Result<()> {
        let frame = serde_json::to_vec(message)
            .map_err(|e| Error::harness(format!("cannot write a message: {e}")))?;
        self.shards[rank].link.send(&frame).map_err(|e| self.gone(rank, &format!(": {e}")))
    }

    /// Tells every shard what is measured, and waits until each can do its part.
    pub fn plan(&self, request: &run::Request, interrupt: &AtomicBool) -> Result<()> {
        let plan = ToShard::Plan {
            question: request.question.clone(),
            arms: request
                .arms
                .iter()
                .map(|arm| arm.label.split('#').next().unwrap_or_default().to_owned())
                .collect(),
            seed: request.seed,
            key: new_token()?,
        };
        (0..self.shards.len()).try_for_each(|rank| self.tell(rank, &plan))?;
        let all: Vec<usize> = (0..self.shards.len()).collect();
        let wait = Wait::of(interrupt, ANSWER, &all, "to read the plan");
        self.hear_all(wait, &mut || (), |_, message, _| {
            matches!(message, FromShard::Ready).then_some(())
        })
        .map(drop)
    }

    /// What the target's machine sees of each arm.
    pub fn first_look(&self, interrupt: &AtomicBool) -> Result<Vec<Findings>> {
        self.tell(self.target(), &ToShard::FirstLook)?;
        let target = [self.target()];
        let wait = Wait::of(interrupt, SET_UP, &target, "to set up and look at the targets");
        self.hear_one(wait, &mut || (), |message| {
            if let FromShard::Looked(findings) = message { Some(findings) } else { None }
        })
    }

    /// Ends the run for all shards.
    pub fn bye(&self) {
        for rank in 0..self.shards.len() {
            let _already_gone = self.tell(rank, &ToShard::Bye);
        }
    }

    fn measure(
        &self,
        group: &TrialGroup,
        interrupt: &AtomicBool,
        observer: &mut dyn TrialObserver,
    ) -> Result<Vec<FinishedTrial>> {
        let spec = GroupSpec::of(group);
        let target = [self.target()];
        self.tell(target[0], &ToShard::Start(spec.clone()))?;
        let wait = Wait::of(interrupt, ANSWER, &target, "to start the targets");
        let urls: Vec<TargetUrls> = self.hear_one(wait, &mut || observer.tick(), |message| {
            if let FromShard::Started(urls) = message { Some(urls) } else { None }
        })?;
        let parts = self.parts(group);
        for (rank, part) in &parts {
            let drive = ToShard::Drive { group: spec.clone(), urls: urls.clone(), part: *part };
            self.tell(*rank, &drive)?;
        }
        let drivers: Vec<usize> = parts.iter().map(|(rank, _)| *rank).collect();
        let wait = Wait::of(interrupt, ANSWER, &drivers, "to open the connections");
        self.hear_all(wait, &mut || observer.tick(), |_, message, _| {
            matches!(message, FromShard::Warm).then_some(())
        })?;
        let clocks = self.clock_offsets(interrupt)?;
        let slowest = clocks.iter().map(|clock| clock.uncertainty * 2).max().unwrap_or(0);
        let origin = clock::now() + LEAD_NS + LEAD_ROUND_TRIPS * slowest;
        for rank in drivers.iter().chain(&target) {
            self.tell(*rank, &ToShard::Origin(origin.saturating_add_signed(clocks[*rank].ns)))?;
        }
        let from = group.slices.first_wall(group.load.warmup.as_nanos() as u64);
        let measured_in = (origin + from).saturating_sub(clock::now());
        observer.turns(group.arms.len(), Duration::from_nanos(measured_in));
        let length = Duration::from_nanos(group.slices.wall_length()) + group.load.timeout + SPARE;
        let wait = Wait::of(interrupt, length, &drivers, "to send its events");
        self.until_all(wait, observer, |message| {
            matches!(message, FromShard::Drained).then_some(())
        })?;
        let length = group.slices.wall_length();
        let later = self.clock_offsets(interrupt)?.into_iter();
        let clocks: Vec<TrialClock> =
            clocks.into_iter().zip(later).map(|(then, now)| then.until(now, length)).collect();
        // Read while every connection is open: closing them is no event's cost.
        self.tell(target[0], &ToShard::Finish)?;
        let wait = Wait::of(interrupt, ANSWER, &target, "to read what the targets spent");
        let mut observed = self.until_all(wait, observer, |message| {
            if let FromShard::Observed(record) = message { Some(record) } else { None }
        })?;
        drivers.iter().try_for_each(|rank| self.tell(*rank, &ToShard::Release))?;
        let wait = Wait::of(interrupt, ANSWER, &drivers, "to report its events");
        let driven: Vec<(usize, Vec<Driven>)> = self.until_all(wait, observer, |message| {
            if let FromShard::Driven(trials) = message { Some(trials) } else { None }
        })?;
        self.tell(target[0], &ToShard::Release)?;
        let wait = Wait::of(interrupt, ANSWER, &target, "to end the targets");
        self.until_all(wait, observer, |message| {
            matches!(message, FromShard::Ended).then_some(())
        })?;
        let observed: (usize, TargetRecord) =
            observed.pop().ok_or_else(|| Error::harness("no target took part".to_owned()))?;
        merged(group, driven, observed, &clocks)
    }

    /// What each driver does, by its rank.
    fn parts(&self, group: &TrialGroup) -> Vec<(usize, DriverPart)> {
        let drivers = self.drivers();
        let cpus: Vec<usize> = drivers.iter().map(|rank| self.shards[*rank].cpus).collect();
        let smallest = group.arms.iter().map(|arm| arm.connections).min().unwrap_or(1);
        let subscribers = group.arms.iter().filter_map(|arm| arm.subscribers.as_ref());
        let fewest = subscribers.map(|subscribers| subscribers.count).min();
        let parts = parts(&cpus, smallest, fewest).into_iter();
        parts.map(|(driver, part)| (drivers[driver], part)).collect()
    }

    /// Ends what is going on, wherever it is. Shards that are gone need not be told.
    fn stop(&self) {
        let is_there = |rank: &usize| !self.shards[*rank].gone.load(Ordering::Relaxed);
        let mut waiting: Vec<usize> = (0..self.shards.len())
            .filter(is_there)
            .filter(|rank| self.tell(*rank, &ToShard::Stop).is_ok())
            .collect();
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + STOP_LIMIT;
        while !waiting.is_empty() && Instant::now() < until {
            if let Ok((rank, None | Some(FromShard::Idle), _)) = heard.recv_timeout(STEP) {
                waiting.retain(|other| *other != rank);
            }
        }
    }
}

impl RemoteBlocks for Cluster {
    fn run(
        &self,
        group: &TrialGroup,
        context: &ExecutionContext<'_>,
        observer: &mut dyn TrialObserver,
    ) -> Result<Vec<FinishedTrial>> {
        let measured = self.measure(group, context.interrupt, observer);
        if measured.is_err() {
            self.stop();
        }
        measured
    }
}

/// The part of each driver that has any, by its place among the drivers. `cpus`: of each driver; `connections`: of the arm
/// with fewest; `subscribers`: of a fan-out.
fn parts(
    cpus: &[usize],
    connections: usize,
    subscribers: Option<usize>,
) -> Vec<(usize, DriverPart)> {
    match subscribers {
        Some(subscribers) => {
            // One thread of each machine has all of its subscribers, and the first one publishes, too.
            let of = cpus.len().min(subscribers.max(1));
            let part =
                |machine| DriverPart { first: 0, here: 1, of: 1, share: Share { machine, of } };
            (0..of).map(|machine| (machine, part(machine))).collect()
        }
        None => shards_of_drivers(cpus, connections),
    }
}

/// How many shards of the schedule each driver has: one a CPU, no more in all than there are connections.
fn shards_of_drivers(cpus: &[usize], connections: usize) -> Vec<(usize, DriverPart)> {
    let of = block::shards(cpus.iter().sum(), connections, false);
    // Each driver gets one before any gets a second one.
    let mut own = vec![0; cpus.len()];
    let mut left = of;
    while left > 0 {
        for (own, cpus) in own.iter_mut().zip(cpus) {
            if left > 0 && *own < *cpus {
                (*own, left) = (*own + 1, left - 1);
            }
        }
    }
    let mut first = 0;
    let mut part = |here| {
        let part = DriverPart { first, here, of, share: Share::ALL };
        first += here;
        part
    };
    let all: Vec<(usize, DriverPart)> = own.into_iter().map(&mut part).enumerate().collect();
    all.into_iter().filter(|(_, part)| part.here > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_spread_over_drivers_without_a_gap() {
        let spread = |cpus: &[usize], connections| -> Vec<(usize, usize, usize, usize)> {
            let parts = parts(cpus, connections, None).into_iter();
            parts.map(|(driver, p)| (driver, p.first, p.here, p.of)).collect()
        };
        assert_eq!(spread(&[2, 2], 32), [(0, 0, 2, 4), (1, 2, 2, 4)]);
        assert_eq!(spread(&[1, 4], 3), [(0, 0, 1, 3), (1, 1, 2, 3)]);
        assert_eq!(spread(&[4, 4], 1), [(0, 0, 1, 1)]);
    }

    #[test]
    fn every_subscriber_is_on_one_machine() {
        let spread = |subscribers| -> Vec<Vec<usize>> {
            let parts = parts(&[2, 2, 1], 8, Some(subscribers)).into_iter();
            parts.map(|(_, part)| part.share.numbers(subscribers).collect()).collect()
        };
        assert_eq!(spread(7), [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
        assert_eq!(spread(2), [vec![0], vec![1]]);
        let all = parts(&[2, 2, 1], 8, Some(2));
        assert_eq!(all.iter().filter(|(_, part)| part.share.publishes()).count(), 1);
    }
}
