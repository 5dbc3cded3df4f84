//! The matrix of `pushbench reach`: its paths, what is tried in a cell, and what was observed there.
//!
//! Times are ns. A cell is one arm on one path.

use crate::record::fanout::DeliveryOutcomes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Version of the file.
pub const SCHEMA: u32 = 1;

/// The idle cut-off of many proxies and load balancers; the one of a matrix stands for it.
pub const REAL_CUTOFF: Duration = Duration::from_secs(60);

/// A row of the matrix.
#[derive(Debug, PartialEq, Eq)]
pub struct ReachPath {
    /// Its name for `--path`.
    pub name: &'static str,
    /// What lies between publisher and subscriber.
    pub about: &'static str,
    /// The scenario key that makes it, `KEY=VALUE`.
    setting: &'static str,
    /// After how long it really cuts a silent connection; 0: it does not, or its time-out cannot be set.
    cutoff_s: u64,
}

/// Every row there is.
pub const PATHS: [ReachPath; 12] = [
    row("direct", "nothing between publisher and subscriber", "path.rtt=0ms", 0),
    row(
        "receiver-behind-nat",
        "the subscriber can open connections and cannot be reached",
        "path.nat=receiver",
        0,
    ),
    row(
        "sender-behind-nat",
        "the publisher can open connections and cannot be reached",
        "path.nat=sender",
        0,
    ),
    row(
        "inbound-dropped",
        "a firewall before the subscriber drops connections from outside",
        "path.inbound=drop",
        0,
    ),
    row(
        "only-443",
        "a firewall lets connections to port 443 through, at which both sides listen, and no others",
        "path.inbound=only-443",
        0,
    ),
    row(
        "forward-proxy",
        "the side that connects has to use Squid, which allows CONNECT",
        "path.forward_proxy=squid",
        900,
    ),
    row(
        "forward-proxy-no-connect",
        "the side that connects has to use Squid, which refuses CONNECT",
        "path.forward_proxy=squid-no-connect",
        900,
    ),
    row("nginx", "nginx as installed before the side that listens", "path.via=nginx", 60),
    row(
        "nginx-websocket",
        "nginx configured for WebSocket and kept connections before the side that listens",
        "path.via=nginx-websocket",
        60,
    ),
    row("haproxy", "HAProxy as installed before the side that listens", "path.via=haproxy", 50),
    row(
        "tls-inspection",
        "the side that connects has to use mitmproxy, which ends TLS with its own certificate: subscribers trust it, the publisher does not",
        "path.forward_proxy=mitmproxy",
        0,
    ),
    row(
        "idle-cutoff",
        "a connection tracker that forgets a connection after the idle cut-off",
        "path.rtt=0ms",
        60,
    ),
];

const fn row(
    name: &'static str,
    about: &'static str,
    setting: &'static str,
    cutoff_s: u64,
) -> ReachPath {
    ReachPath { name, about, setting, cutoff_s }
}

impl ReachPath {
    /// The row of that name.
    pub fn named(name: &str) -> Option<&'static ReachPath> {
        PATHS.iter().find(|path| path.name == name)
    }

    /// The scenario keys that make it, `KEY=VALUE`, where `cutoff` stands for [`REAL_CUTOFF`].
    pub fn settings(&self, cutoff: Duration) -> Vec<String> {
        let scaled = cutoff.as_millis() as u64 * self.cutoff_s / REAL_CUTOFF.as_secs();
        let idle = (scaled > 0).then(|| format!("path.idle_cutoff={scaled}ms"));
        std::iter::once(self.setting.to_owned()).chain(idle).collect()
    }
}

/// What a trial of a cell finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// Whether events get through, before a silence that is longer than the idle cut-off and after it.
    Silence,
    /// When the first event arrives. Measured while no other trial runs.
    FirstEvent,
    /// When either side notices that the path loses every packet.
    PeerDeath,
}

/// A trial of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// What it finds out.
    pub probe: Probe,
    /// The settings that should cure what the cell lacks, `KEY=VALUE` with blanks between; `None` in trials of the cell
    /// itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// This machine cannot make the path: why, and what to install.
    NotTried(String),
    /// The subscriber could not subscribe.
    NotSubscribed(String),
    /// It subscribed.
    Observed(Observed),
}

/// What was observed of a subscriber.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// From the begin of subscribing to the confirmed subscription.
    pub subscribed_in_ns: u64,
    /// From the due instant of the first event to its arrival; `None` where it did not arrive, and in trials that do
    /// not measure it.
    pub delivered_in_ns: Option<u64>,
    /// Deliveries due before the silence.
    pub before: DeliveryOutcomes,
    /// Deliveries due after it.
    pub after: DeliveryOutcomes,
    /// Times the subscription was cut off.
    pub cut_off: u64,
    /// Times the subscriber was subscribed again.
    pub subscribed_again: u64,
    /// From the death of the path to the first subscription cut off.
    pub subscriber_noticed_ns: Option<u64>,
    /// From the same instant to the first delivery that the publisher recorded as failed, timed out or lost.
    pub publisher_noticed_ns: Option<u64>,
    /// The fault that was recorded most often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// All trials of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellRecord {
    /// Name of the path.
    pub path: String,
    /// The arm.
    pub arm: String,
    /// In the order in which they were made.
    pub trials: Vec<Attempt>,
}

/// The circumstances of a matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA`].
    pub schema: u32,
    /// A silence of this run stands for one that is so many times as long.
    pub silence_scaled_by: f64,
    /// Of the program.
    pub version: String,
    /// What was typed.
    pub command: String,
    /// When it began, UTC.
    pub began: String,
    /// The proxies and their versions.
    pub proxies: BTreeMap<String, String>,
    /// The machine.
    pub machine: BTreeMap<String, String>,
    /// The idle cut-off.
    pub idle_cutoff_ns: u64,
    /// The silence between two events.
    pub silence_ns: u64,
    /// An event that has not arrived after this is lost.
    pub event_timeout_ns: u64,
    /// For how long a dead peer was given to be noticed.
    pub peer_death_limit_ns: u64,
    /// False where the user stopped it.
    pub complete: bool,
}

/// What is stored: every figure of the matrix is derived from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// The circumstances.
    #[serde(flatten)]
    pub header: Header,
    /// Paths within arms in the order of the rows.
    pub cells: Vec<CellRecord>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_names_of_their_own_and_settings() {
        for (i, path) in PATHS.iter().enumerate() {
            assert!(PATHS[..i].iter().all(|other| other.name != path.name), "{}", path.name);
            let settings = path.settings(Duration::from_secs(2));
            assert!(settings.iter().all(|s| s.starts_with("path.") && s.contains('=')));
        }
        let settings =
            |name| ReachPath::named(name).unwrap().settings(Duration::from_secs(2)).concat();
        assert_eq!(settings("idle-cutoff"), "path.rtt=0mspath.idle_cutoff=2000ms");
        assert_eq!(settings("haproxy"), "path.via=haproxypath.idle_cutoff=1666ms");
        assert_eq!(settings("direct"), "path.rtt=0ms");
    }
}
