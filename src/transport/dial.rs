//! What a connection must know of its arm.

use super::event::{Matched, Template};
use super::terms::Terms;
use crate::record::ledger::Ledger;
use crate::scenario::Lifetime;
use std::net::SocketAddr;
use std::rc::Rc;

/// The address of a target, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Where to connect.
    pub socket: SocketAddr,
    /// `host:port` as the URL has it, for the `Host` header.
    pub authority: String,
    /// Path and query, `/` at least.
    pub path: String,
}

/// Everything a client half needs to open connections and carry events of one arm in one shard.
#[derive(Clone)]
pub struct Dial {
    /// The target.
    pub address: Address,
    /// How answers find their events.
    pub matched: Matched,
    /// What it wants of requests and handshakes.
    pub terms: Rc<Terms>,
    /// Makes the events.
    pub template: Rc<Template>,
    /// Most unanswered events a connection carries.
    pub in_flight: usize,
    /// Events a connection carries before it is closed.
    pub lifetime: Lifetime,
    /// Cap of the TCP segment size, for counting segments as a real network would.
    pub max_segment: Option<u32>,
    /// Where fates and traffic go.
    pub ledger: Rc<Ledger>,
    /// Answers come back by a callback: what an event is answered with only says that it is accepted.
    pub called_back: bool,
    /// This connection is opened before the first event: its set-up is not charged to events.
    pub warm: bool,
}

impl Dial {
    /// Events the connection may still carry after `carried`.
    pub fn left(&self, carried: u64) -> u64 {
        match self.lifetime {
            Lifetime::Unlimited => u64::MAX,
            Lifetime::Events(n) => n.saturating_sub(carried),
        }
    }
}

impl Address {
    /// Takes a target's URL apart; `socket` is what its host and port resolved to.
    pub fn parse(url: &str, socket: SocketAddr) -> Result<Address, String> {
        let uri: hyper::Uri = url.parse().map_err(|e| format!("not a URL: {e}"))?;
        let authority = uri.authority().ok_or("it has no host")?.to_string();
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        Ok(Address { socket, authority, path })
    }
}
