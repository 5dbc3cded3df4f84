//! A run as it is stored: `run.json` (scenario, arms and machine) and its trials.

use crate::error::{Error, Result};
use crate::record::ease::Ease;
use crate::record::findings::Findings;
use crate::record::interval_log::Logged;
use crate::record::path::Calibration;
use crate::record::records::Records;
use crate::record::sizing::{PILOT_BLOCKS, Sizing};
use crate::record::trial::Trial;
use crate::scenario::{Blocks, Scenario, Setting};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Version of `run.json`, `trials.jsonl` and the JSON report.
pub const SCHEMA: u32 = 1;

/// One arm as it was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmHeader {
    /// `webhook@flask`, with `#2` when repeated.
    pub label: String,
    /// Its transport.
    pub transport: String,
    /// Its target.
    pub target: String,
    /// The scheme of its URLs; `None` in runs of older versions, which had no TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The library by which the driver speaks its protocol, with its version; `None` in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// How it is started; `None` when it was already running.
    pub command: Option<Vec<String>>,
    /// The host its events go to, `loopback` for this machine.
    pub host: String,
    /// How answers are matched: `id`, `id:` and a JSON pointer, or `order`.
    pub matched: String,
    /// Method of its requests; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Names of the headers added to its requests or handshakes; their values may be secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// How the receiver of an event knows who sent it; `None` where it does not, and in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<String>,
    /// The subprotocol its handshakes agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subprotocol: Option<String>,
    /// What its description adds to messages: `events wrapped`, `hello of 3 messages`, `heartbeats`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<String>,
    /// What surrounds an event on the wire.
    pub framing: String,
    /// How a subscriber acknowledges a delivery; `None` where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<String>,
    /// Of its subscribers, stuck ones beside those of the scenario.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stuck: usize,
    /// Unanswered events a connection of this arm carried.
    pub in_flight: usize,
    /// Connections.
    pub connections: usize,
    /// How easy its program is to write, as far as it is known.
    #[serde(default)]
    pub ease: Option<Ease>,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// A block that was begun and could not be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedBlock {
    /// Its number, from 0.
    pub block: usize,
    /// The arm whose target it was, by its place among the arms; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<usize>,
    /// What went wrong, with the target's name.
    pub reason: String,
}

impl std::fmt::Display for FailedBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What a program has written is on lines of its own.
        let reason = self.reason.split_whitespace().collect::<Vec<_>>().join(" ");
        write!(f, "block {} could not be measured: {reason}", self.block + 1)
    }
}

/// One point of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointHeader {
    /// The swept keys and their values; empty without a sweep.
    pub setting: Setting,
    /// The scenario in force.
    pub scenario: Scenario,
    /// The arms, in the order given; the first is the baseline.
    pub arms: Vec<ArmHeader>,
    /// How many blocks were found to be needed, where the scenario leaves it to the run; `None` before
    /// the first blocks have shown it.
    #[serde(default)]
    pub sizing: Option<Sizing>,
    /// Blocks that have no trial of some arm, since a target could not be run or reached: they are void and replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_blocks: Vec<FailedBlock>,
    /// The round trip of its path; `None` without a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The versions of the proxies on it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proxies: BTreeMap<String, String>,
}

impl PointHeader {
    /// Valid blocks to have in the end, as far as it is known.
    pub fn blocks_planned(&self) -> usize {
        match self.scenario.compare.blocks {
            Blocks::Fixed(n) => n,
            Blocks::Auto { .. } => self.sizing.as_ref().map_or(PILOT_BLOCKS, |s| s.blocks),
        }
    }
}

/// `run.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// Version of this file.
    pub schema: u32,
    /// Version of pushbench that wrote it.
    pub pushbench: String,
    /// The command line.
    pub command: Vec<String>,
    /// Name of the scenario.
    pub scenario: String,
    /// Its question.
    pub question: String,
    /// Seed of schedules and orders.
    pub seed: u64,
    /// When it began, UTC.
    pub started: String,
    /// When it ended; `None` while it runs or when it was cut short.
    pub finished: Option<String>,
    /// True once every planned trial was run.
    pub complete: bool,
    /// Why it was cut short; `None` when it was not, or was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The records when it ended; `None` while it runs, when it was killed, and in runs of versions that
    /// did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Records>,
    /// The points.
    pub points: Vec<PointHeader>,
    /// What the quick form of `verify` found out about each arm before the pilots; empty in runs of
    /// versions that had none.
    #[serde(default)]
    pub findings: Vec<Findings>,
    /// CPUs of driver and target.
    pub placement: BTreeMap<String, Vec<usize>>,
    /// The cores of which driver and target each have a CPU (hyper-threads), by their CPUs in use. Empty in
    /// runs of older versions, which did not record them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_cores: Vec<Vec<usize>>,
    /// How many CPUs' worth of time a cgroup allowed for driver and target together; `None` without a quota,
    /// and in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<f64>,
    /// The machine.
    pub environment: BTreeMap<String, String>,
    /// The machines that drivers and targets were on, by rank; empty where that was this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<Machine>,
}

/// A machine that took part in a run of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// From 0.
    pub rank: usize,
    /// `driver` or `target`.
    pub role: String,
    /// Its name.
    pub host: String,
    /// The CPUs of what it did.
    pub cpus: Vec<usize>,
    /// Its properties, as those of the run.
    pub environment: BTreeMap<String, String>,
}

impl RunHeader {
    /// The CPUs that driver and target both used, and those of cores that both used: their times are mixed.
    pub fn shared_cpus(&self) -> Vec<usize> {
        let side = |name| self.placement.get(name).map_or(&[][..], Vec::as_slice);
        let target = side("target");
        let both = side("driver").iter().filter(|cpu| target.contains(cpu));
        let shared: BTreeSet<usize> =
            both.chain(self.shared_cores.iter().flatten()).copied().collect();
        shared.into_iter().collect()
    }

    /// The CPU quota, if it is less than the CPUs of driver and target: the kernel stops both while it is used
    /// up.
    pub fn short_quota(&self) -> Option<f64> {
        let cpus: BTreeSet<_> = self.placement.values().flatten().collect();
        self.cpu_quota.filter(|quota| *quota < cpus.len() as f64)
    }

    /// Reads the text of that file, written by this version or another of the same schema.
    pub fn read(path: &Path, text: &str) -> Result<RunHeader> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
            pushbench: Option<String>,
        }
        let damaged =
            |e: serde_json::Error| Error::usage(format!("{} is damaged: {e}", path.display()));
        let version: Version = serde_json::from_str(text).map_err(damaged)?;
        if version.schema != SCHEMA {
            let own = env!("CARGO_PKG_VERSION");
            let by = version.pushbench.unwrap_or_else(|| "an unknown version".to_owned());
            return Err(Error::usage(format!(
                "{} has schema {}, written by pushbench {by}; this is pushbench {own}, which reads schema {SCHEMA}: use the version that wrote it",
                path.display(),
                version.schema
            )));
        }
        serde_json::from_str(text).map_err(damaged)
    }
}

/// What the interval logs hold: every second of each arm by its label, in the order of the log.
pub type Seconds = BTreeMap<String, Vec<Logged>>;

/// A run read back.
#[derive(Debug, Clone)]
pub struct StoredRun {
    /// `run.json`
    pub header: RunHeader,
    /// Every trial that was finished, in the order they ended.
    pub trials: Vec<Trial>,
    /// True when the last line of `trials.jsonl` was cut short.
    pub cut: bool,
    /// How `trials.jsonl` differs from what `run.json` says of it at the end of the run.
    pub altered: Option<String>,
}
