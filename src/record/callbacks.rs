//! What is seen of questions whose answers come back by a callback, beside their fates and times.

use super::histogram::Hist;
use super::wire::Traffic;
use serde::{Deserialize, Serialize};

/// Counts and times of one arm; merged over shards without loss.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Callbacks {
    /// From due to the reading of the word that the question was accepted, of measured questions, ns.
    pub accepted: Hist,
    /// Connections on which answers came; the trial's connections contain them.
    pub connections: u64,
    /// What these carried; the trial's traffic contains it.
    pub traffic: Traffic,
}

impl Callbacks {
    /// None yet.
    pub(super) fn new() -> Callbacks {
        Callbacks { accepted: Hist::new(), connections: 0, traffic: Traffic::default() }
    }

    /// Adds another shard's.
    pub(super) fn merge(&mut self, other: &Callbacks) {
        self.accepted.merge(&other.accepted);
        self.connections += other.connections;
        self.traffic.add(&other.traffic);
    }
}
