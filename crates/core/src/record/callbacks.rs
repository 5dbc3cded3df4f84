//! Figures of questions answered by callback, in addition to their outcomes and times.

use crate::record::histogram::Hist;
use crate::record::wire::Traffic;
use serde::{Deserialize, Serialize};

/// Counts and times of one arm; merged over shards without loss.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Callbacks {
    /// From due to the reading of the word that the question was accepted, of measured questions, ns.
    pub accepted: Hist,
    /// Connections on which answers came; the trial's connections contain them.
    pub connections: u64,
    /// What these carried; the trial's traffic contains it.
    pub traffic: Traffic,
}

impl Callbacks {
    /// Adds another shard's.
    pub fn merge(&mut self, other: &Callbacks) {
        self.accepted.merge(&other.accepted);
        self.connections += other.connections;
        self.traffic.add(&other.traffic);
    }
}
