//! What a connection must know of its arm.

use crate::ledger::Ledger;
use pushbench_core::arm::ArmSpec;
use pushbench_core::event::{Matched, Template};
use pushbench_core::scenario::Lifetime;
use pushbench_wire::endpoint::Resolved;
use pushbench_wire::request_options::RequestOptions;
use std::rc::Rc;

/// Everything a client half needs to open connections and carry events of one arm in one shard.
#[derive(Clone)]
pub struct ConnectConfig {
    /// The target.
    pub address: Rc<Resolved>,
    /// How answers find their events.
    pub matched: Matched,
    /// What it wants of requests and handshakes.
    pub request_options: Rc<RequestOptions>,
    /// Makes the events.
    pub template: Rc<Template>,
    /// Most unanswered events a connection carries.
    pub in_flight: usize,
    /// Events a connection carries before it is closed.
    pub lifetime: Lifetime,
    /// Cap of the TCP segment size, for counting segments as a real network would.
    pub max_segment: Option<u32>,
    /// Where outcomes and traffic go.
    pub ledger: Rc<Ledger>,
    /// Transport, options and target of the arm.
    pub spec: Rc<ArmSpec>,
    /// This connection is opened before the first event: its set-up is not charged to events.
    pub warm: bool,
}

impl ConnectConfig {
    /// Events the connection may still carry after `carried`.
    pub fn left(&self, carried: u64) -> u64 {
        match self.lifetime {
            Lifetime::Unlimited => u64::MAX,
            Lifetime::Events(n) => n.saturating_sub(carried),
        }
    }
}
