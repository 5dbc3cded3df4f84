//! What a path did to the packets of a trial.

use serde::{Deserialize, Serialize};

/// What happened to the packets of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketCounts {
    /// Packets that entered the path.
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
}

/// What the path of a trial did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PathRecord {
    /// From the driver's side to the target's.
    pub to_target: PacketCounts,
    /// From the target's side to the driver's.
    pub to_driver: PacketCounts,
    /// CPU of the router, ns.
    pub router_cpu_ns: u64,
}
