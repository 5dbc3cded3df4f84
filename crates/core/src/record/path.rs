//! What a path did to the packets of a trial.

use crate::record::histogram::Hist;
use crate::units::nanos_text;
use serde::{Deserialize, Serialize};

/// What happened to the packets of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketCounts {
    /// Packets that entered the link.
    pub entered: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that left it at the other end.
    pub delivered: u64,
    /// Packets that were lost as `path.loss` says.
    pub lost: u64,
    /// Packets that found the queue of `path.rate` full.
    pub queue_full: u64,
    /// Packets that were dropped while the path paused, or of connections from before a new address.
    pub cut: u64,
    /// Packets that were on their way when the trial ended.
    pub under_way: u64,
    /// Packets that the router had no memory for, or that the device at the other end did not take.
    pub not_taken: u64,
    /// TCP segments that the kernel at the sending end sent again, by its own count.
    pub retransmitted: u64,
}

impl PacketCounts {
    /// Packets that have an outcome: all that entered, if each was counted once.
    pub fn outcomes(&self) -> u64 {
        let left = self.delivered + self.lost + self.queue_full + self.cut;
        left + self.under_way + self.not_taken
    }
}

/// What the path of a trial did, from its first packet to its last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PathRecord {
    /// From the driver's side to the target's.
    pub to_target: PacketCounts,
    /// From the target's side to the driver's.
    pub to_driver: PacketCounts,
    /// Packets that did not cross the link: between hosts of one side, and from a middle box to the target's side.
    pub handed_over: u64,
    /// Packets that the router read and that were for nobody, or not IPv4.
    pub ignored: u64,
    /// Packets that the kernels dropped because the router did not read them in time.
    pub not_read: u64,
    /// Packets that the kernels say the router has read.
    pub read: u64,
    /// How much later than planned packets left the link, in the measured window.
    pub lateness: Hist,
    /// CPU of the router in the measured window, ns.
    pub cpu_ns: u64,
    /// It as a part of the window.
    pub busy: f64,
    /// Congestion control of TCP in its namespaces; empty if the kernel does not tell.
    pub congestion_control: String,
    /// The proxies on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<ProxyRecord>,
}

/// A proxy of a trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProxyRecord {
    /// Its name.
    pub name: String,
    /// CPU of its processes in the measured window, ns.
    pub cpu_ns: u64,
    /// How it ended, where it should not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

impl PathRecord {
    /// All its counts of packets.
    pub fn counts_text(&self) -> String {
        let PathRecord { read, handed_over, ignored, not_read, .. } = self;
        let direction = |PacketCounts {
                             entered,
                             delivered,
                             lost,
                             queue_full,
                             cut,
                             under_way,
                             not_taken,
                             ..
                         }: &PacketCounts| {
            format!(
                "{entered} entered, {delivered} delivered, {lost} lost, {queue_full} found the queue full, {cut} cut, {under_way} under way, {not_taken} not taken"
            )
        };
        format!(
            "to the target {}; to the driver {}; {handed_over} handed over, {ignored} ignored; {read} read, {not_read} not read",
            direction(&self.to_target),
            direction(&self.to_driver)
        )
    }

    /// Whether every packet that the kernels say the router has read has one outcome.
    pub fn sums_are_exact(&self) -> bool {
        let directions = self.directions();
        let entered: u64 = directions.iter().map(|d| d.entered).sum();
        directions.iter().all(|d| d.entered == d.outcomes())
            && self.read == entered + self.handed_over + self.ignored
    }

    /// Both directions.
    pub fn directions(&self) -> [&PacketCounts; 2] {
        [&self.to_target, &self.to_driver]
    }
}

/// The round trip of a point's path, measured by datagrams before its trials, without jitter, loss and rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibration {
    /// The round trip that was asked for, ns.
    pub asked_ns: u64,
    /// The median round trip without any delay, ns.
    pub bare_ns: u64,
    /// What the median round trip had beyond the one asked for, ns; the delays are so much shorter in the trials.
    pub bias_ns: u64,
    /// The median round trip with these delays, ns.
    pub p50_ns: u64,
    /// Its 99th percentile, ns.
    pub p99_ns: u64,
}

impl Calibration {
    /// What was asked for, and what it is.
    pub fn sentence(&self) -> String {
        let text = |ns: u64| nanos_text(ns as f64);
        let Calibration { asked_ns, bare_ns, bias_ns, p50_ns, p99_ns } = *self;
        match asked_ns {
            0 => format!(
                "path: a round trip without any delay takes {} (median; p99 {})",
                text(p50_ns),
                text(p99_ns)
            ),
            _ => format!(
                "path: a round trip of {} is asked for; it takes {} (median; p99 {}) with delays that are shorter by {} together; {} without any delay",
                text(asked_ns),
                text(p50_ns),
                text(p99_ns),
                text(bias_ns),
                text(bare_ns)
            ),
        }
    }
}
