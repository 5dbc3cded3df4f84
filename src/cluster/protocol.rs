//! What a coordinator and its shards say to each other: a frame of JSON each.

use crate::run::group_builder::GroupSpec;
use pushbench_core::record::findings::Findings;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::run::Machine;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::Question;
use pushbench_load::target_side::TargetRecord;
use serde::{Deserialize, Serialize};

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
    },
    /// To a target: set up what the arms need, and look at each.
    FirstLook,
    /// To a target: start these arms.
    Start(GroupSpec),
    /// To a driver: connect, and wait for the origin.
    Drive {
        /// What is driven.
        group: GroupSpec,
        /// Where each arm takes events.
        urls: Vec<String>,
        /// Number of its first shard, its shards, and those of all drivers.
        part: (usize, usize, usize),
    },
    /// The common origin in the clock of whoever gets this, ns.
    Origin(u64),
    /// To a target: every driver is done.
    Finish,
    /// What is going on ends.
    Stop,
    /// What does the clock show?
    Clock(u64),
    /// Nothing else comes.
    Bye,
}

/// From a shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum FromShard {
    /// It can do its part of the plan.
    Ready,
    /// What was seen of each arm.
    Looked(Vec<Findings>),
    /// Where each arm takes events.
    Started(Vec<String>),
    /// Every connection is open.
    Warm,
    /// A second of an arm, by its index in the run, ended.
    Second(usize, Hist),
    /// The records of a driver, with the responses of each second.
    Driven(Vec<Driven>),
    /// The record of the targets.
    Observed(TargetRecord),
    /// What was going on has ended, because of [`ToShard::Stop`] or of a fault of its own.
    Stopped(Option<Failure>),
    /// [`ToShard::Stop`] is done: nothing is going on.
    Idle,
    /// The number of the question, and what the clock shows, ns.
    Clock(u64, u64),
}

/// One arm's trial as a driver saw it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Driven {
    /// The record.
    pub trial: Trial,
    /// Responses in each second.
    pub seconds: Vec<(u64, Hist)>,
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
