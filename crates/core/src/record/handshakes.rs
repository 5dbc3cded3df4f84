//! What the layers between events and sockets took: TLS handshakes, encryption, signatures.

use crate::record::histogram::Hist;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the two ends of a connection have agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// An earlier session was resumed.
    pub resumed: bool,
    /// Version, cipher suite, group of the key exchange and ALPN.
    pub words: String,
}

/// What encryption and signatures took for the events that were measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LayerTimes {
    /// From `sent` until the bytes of the event were handed to the socket: signing and encryption, also of events
    /// that are written together with it, ns. Part of the response and of the service time, not of the lag.
    pub encode: Hist,
    /// From `done`, the read of the last encrypted byte, until its answer was decrypted, ns.
    pub decode: Hist,
}

impl LayerTimes {
    /// Adds another shard's.
    pub fn merge(&mut self, other: &LayerTimes) {
        self.encode.merge(&other.encode);
        self.decode.merge(&other.decode);
    }
}

/// The TLS handshakes of an arm, those of warm connections included.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Handshakes {
    /// Certificate and signature were sent and checked.
    pub full: u64,
    /// A session was resumed by its ticket (RFC 8446, 2.2).
    pub resumed: u64,
    /// Until TCP was connected, ns; empty for connections that were accepted.
    pub tcp: Hist,
    /// From then until the end of a full handshake, ns.
    pub full_tls: Hist,
    /// The same of a resumed one, ns.
    pub resumed_tls: Hist,
    /// What was agreed on, with the number of connections.
    pub negotiated: BTreeMap<String, u64>,
}

impl Handshakes {
    /// Counts one. `tcp_ns`: until TCP was connected, where this side has connected; `tls_ns`: the handshake.
    pub fn count(&mut self, negotiated: &Negotiated, tcp_ns: Option<u64>, tls_ns: u64) {
        let (count, times) = match negotiated.resumed {
            true => (&mut self.resumed, &mut self.resumed_tls),
            false => (&mut self.full, &mut self.full_tls),
        };
        *count += 1;
        times.record(tls_ns);
        if let Some(ns) = tcp_ns {
            self.tcp.record(ns);
        }
        *self.negotiated.entry(negotiated.words.clone()).or_default() += 1;
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Handshakes) {
        self.full += other.full;
        self.resumed += other.resumed;
        self.tcp.merge(&other.tcp);
        self.full_tls.merge(&other.full_tls);
        self.resumed_tls.merge(&other.resumed_tls);
        for (words, n) in &other.negotiated {
            *self.negotiated.entry(words.clone()).or_default() += n;
        }
    }
}
