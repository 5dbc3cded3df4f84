//! What processes used.

use serde::{Deserialize, Serialize};

/// A reading of a process tree's counters. All are sums over its live processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// CPU time of all threads, living and ended, ns (the process CPU clock).
    pub cpu_ns: u64,
    /// Times a thread gave the CPU up itself.
    pub voluntary_switches: u64,
    /// Times a thread lost the CPU.
    pub involuntary_switches: u64,
    /// Resident memory now, bytes.
    pub rss_bytes: u64,
    /// Largest resident memory since the process began, bytes.
    pub rss_peak_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Processes.
    pub processes: u64,
}
