//! What a coordinator and its shards say to each other: a frame of JSON each.

use crate::run::group_builder::GroupSpec;
use pushbench_core::record::fanout::{EventRecords, Share};
use pushbench_core::record::findings::Findings;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::run::Machine;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::Question;
use pushbench_load::target_side::{TargetRecord, TargetUrls};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whether a shard sends events or takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It has a part of the schedule and of the connections.
    Driver,
    /// It starts the targets.
    Target,
}

impl Role {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Role::Driver => "driver",
            Role::Target => "target",
        }
    }
}

/// The first frame of a shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Join {
    /// The token of the ticket, in hexadecimal.
    pub token: String,
    /// Its version.
    pub version: String,
    /// From 0.
    pub rank: usize,
    /// Shards in all, as it knows it.
    pub size: usize,
    /// What it does.
    pub role: Role,
    /// Its machine.
    pub machine: Machine,
}

/// From the coordinator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToShard {
    /// It is not wanted, and why.
    Refused(String),
    /// What is measured.
    Plan {
        /// The scenario's points.
        question: Question,
        /// The arms by name.
        arms: Vec<String>,
        /// Seed of schedules and orders.
        seed: u64,
        /// What all secrets of the run are derived from, such as the key of signatures.
        key: String,
    },
    /// To a target: set up what the arms need, and look at each.
    FirstLook,
    /// To a target: start these arms.
    Start(GroupSpec),
    /// To a driver: connect, and wait for the origin.
    Drive {
        /// What is driven.
        group: GroupSpec,
        /// Where each arm is reached.
        urls: Vec<TargetUrls>,
        /// Its part of it.
        part: DriverPart,
    },
    /// The common origin in the clock of whoever gets this, ns.
    Origin(u64),
    /// To a target: every event has its outcome.
    Finish,
    /// To a driver: the targets have been read, connections may be closed. To a target: they are closed.
    Release,
    /// What is going on ends.
    Stop,
    /// What does the clock show?
    Clock(u64),
    /// Nothing else comes.
    Bye,
}

/// How often a shard says that it runs.
pub const ALIVE: Duration = Duration::from_secs(1);

/// From a shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum FromShard {
    /// It can do its part of the plan.
    Ready,
    /// What was seen of each arm.
    Looked(Vec<Findings>),
    /// Where each arm is reached.
    Started(Vec<TargetUrls>),
    /// Every connection is open.
    Warm,
    /// A second of an arm, by its index in the run, ended.
    Second(usize, Hist),
    /// Every event of a driver has its outcome; its connections are open.
    Drained,
    /// The records of a driver, with the responses of each second.
    Driven(Vec<Driven>),
    /// The record of the targets, which go on.
    Observed(TargetRecord),
    /// The targets have ended.
    Ended,
    /// What was going on has ended, because of [`ToShard::Stop`] or of a fault of its own.
    Stopped(Option<Failure>),
    /// [`ToShard::Stop`] is done: nothing is going on.
    Idle,
    /// The number of the question, and what the clock shows, ns.
    Clock(u64, u64),
    /// It runs, whatever it does. Said every [`ALIVE`].
    Alive,
}

/// What one driver of several drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverPart {
    /// Number of its first shard.
    pub first: usize,
    /// Its shards.
    pub here: usize,
    /// Those of all drivers.
    pub of: usize,
    /// In a fan-out, its subscribers.
    pub share: Share,
}

/// One arm's trial as a driver saw it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Driven {
    /// The record.
    pub trial: Trial,
    /// Responses in each second.
    pub seconds: Vec<(u64, Hist)>,
    /// Of a fan-out, what the merge needs of each event.
    pub event_records: EventRecords,
    /// How long before the origin it was ready, ns; negative where it was late.
    pub margin_ns: i64,
}

/// Why a shard could not go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    /// A fault of the target, and not of the shard.
    pub of_target: bool,
    /// What happened.
    pub why: String,
}
