//! The record of `pushbench scorecard`: what was measured for the questions about the five factors.

use crate::record::ease::StackEase;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the file.
pub const SCHEMA: u32 = 1;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// In ten minutes at most.
    Short,
    /// More blocks, capacities by search, paths also over TLS.
    Long,
}

impl Form {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Form::Short => "short",
            Form::Long => "long",
        }
    }
}

/// Who takes part in a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The webhook of the card.
    Webhook,
    /// The WebSocket of the card.
    Websocket,
    /// A webhook of the same target whose connection is closed after each delivery.
    ClosingWebhook,
    /// A webhook of the same target whose answers come back by a callback.
    Callback,
    /// Subscribers that ask at intervals.
    Poll,
}

/// A record of a whole card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardRecord {
    /// [`SCHEMA`]
    pub schema: u32,
    /// Of the program.
    pub version: String,
    /// The command line.
    pub command: String,
    /// When it began, UTC.
    pub began: String,
    /// The machine.
    pub machine: BTreeMap<String, String>,
    /// The arm whose transport is a webhook.
    pub webhook: String,
    /// The arm whose transport is a WebSocket.
    pub websocket: String,
    /// How much was measured.
    pub form: Form,
    /// Time that it took, ns.
    pub took_ns: u64,
    /// Every measurement of this form, in the order of the plan.
    pub measurements: Vec<Measurement>,
    /// Code of programs that serve both transports.
    pub ease: Vec<StackEase>,
    /// False when it was cut short.
    pub complete: bool,
}

/// A run, a search or a matrix of paths, as far as the card uses it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Its name in the plan.
    pub name: String,
    /// The conditions, in words.
    pub conditions: String,
    /// Where it is kept; `None` where nothing was measured.
    pub source: Option<Source>,
    /// Why nothing was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// Its arms.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arms: BTreeMap<Role, String>,
    /// Metrics of pairs of arms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compared: Vec<Compared>,
    /// What got through which path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<Passage>,
}

/// Where a figure was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The directory.
    pub dir: String,
    /// Of the program that measured it.
    pub version: String,
    /// When it began, UTC.
    pub began: String,
    /// It was stored before this card was made.
    pub stored: bool,
    /// What its machine or program has different from those of the card.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
}

/// A metric of two arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Its name in the registry, or `capacity` in events a second.
    pub metric: String,
    /// Baseline and candidate.
    pub roles: [Role; 2],
    /// Of both, block by block; empty where no block is valid. Of a capacity, one value each.
    pub values: [Vec<f64>; 2],
    /// Mean ratio of candidate to baseline, with the limits of its 95 % interval.
    pub ratio: Option<[f64; 3]>,
    /// Mean difference in the metric's unit, with the same.
    pub difference: Option<[f64; 3]>,
    /// What it comes to, as in the JSON of a run: `better`, `worse`, `equivalent`, `inconclusive`, `overloaded`,
    /// `invalid`.
    pub verdict: String,
    /// False of a difference too small to matter.
    pub matters: bool,
    /// The reason, where that needs saying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Whether an arm got through a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// The path, as in `pushbench reach`.
    pub path: String,
    /// Which arm.
    pub role: Role,
    /// Over TLS.
    pub tls: bool,
    /// Events arrived; `None` where it was not tried.
    pub through: Option<bool>,
    /// Its subscription outlived a silence.
    pub survives_silence: Option<bool>,
    /// From subscribing to the first event, ns.
    pub first_event_ns: Option<u64>,
    /// The setting that cures what is lacking.
    pub cure: Option<String>,
    /// The reasons.
    pub why: String,
}
