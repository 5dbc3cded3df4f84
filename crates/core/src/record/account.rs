//! What a ledger adds up: counts and histograms of one arm in one shard, merged over shards; part of a
//! trial's record.

use crate::record::callbacks::Callbacks;
use crate::record::handshakes::{Handshakes, LayerTimes};
use crate::record::histogram::Hist;
use crate::record::outcomes::Outcomes;
use crate::record::peaks::Peaks;
use crate::record::strata::{Split, Stratum};
use crate::record::wire::Traffic;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Different texts kept, each with its count; enough to see what came back.
const KINDS: usize = 8;
/// All further ones.
pub const OTHER_FAULTS: &str = "other faults";

/// The counts and histograms that a finished ledger leaves; merged over shards without loss.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// Events due in the measured window.
    #[serde(rename = "events")]
    pub measured: Outcomes,
    /// Events due before it.
    pub warmup: Outcomes,
    /// `done − due`, ns. Empty in a closed loop.
    pub response: Hist,
    /// `done − due − lag`, ns: the response without the driver's own lateness.
    pub unlagged: Hist,
    /// `done − due − lag − late reading`, ns: the response without what the driver itself adds. Empty in runs
    /// of older versions, and in a fan-out.
    #[serde(default = "Hist::nothing", skip_serializing_if = "Hist::is_empty")]
    pub driver_excluded: Hist,
    /// `done − sent`, ns.
    pub service: Hist,
    /// Service times of the events due in the first and in the second half of the measured window.
    pub halves: [Hist; 2],
    /// Times of the strata of the scenario's split.
    pub strata: Vec<Stratum>,
    /// `sent − max(due, free)`, ns. Empty in a closed loop.
    pub lag: Hist,
    /// From the wake of the reading task to `done`, ns; of a delivery, from its arrival to its read.
    pub reading: Hist,
    /// Slowest response per interval of the trial (service time in a closed loop).
    pub peaks: Peaks,
    /// Answers to events that had been acknowledged already; `None` when matched by order.
    pub duplicated: Option<u64>,
    /// Answers that overtook an older event of their connection; `None` when matched by order.
    pub reordered: Option<u64>,
    /// Answers to events that had timed out or failed before.
    pub late: u64,
    /// Messages that answer no event: unknown id, garbage, unsolicited.
    pub unsolicited: u64,
    /// Messages of the protocol that are no answers, where a description says which messages are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other_messages: u64,
    /// Events written, warm-up included.
    pub sent: u64,
    /// Requests that carried them, of an arm with `+batch`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub batches: u64,
    /// Acknowledgements read since measuring began, whenever their events were due.
    pub acknowledged_in_window: u64,
    /// Connections opened, the warm ones included.
    pub connections: u64,
    /// What it took to make a connection again, handshake included, ns.
    pub connect: Hist,
    /// Measured events still open when the last slice ended.
    pub open_at_end: u64,
    /// Acknowledgements read between the start of measuring and the end of the last slice.
    pub acknowledged_by_end: u64,
    /// Measured events open when another arm's slice began, each once; in runs of older versions once for
    /// each slice that it outlived.
    pub spill: u64,
    /// Busy periods: how long without a break some event was open, ns, once for each event of the period.
    /// Each shard records those of its own events. Only in pilots; empty in runs of older versions.
    #[serde(default = "Hist::nothing", skip_serializing_if = "Hist::is_empty")]
    pub busy_periods: Hist,
    /// Measured slices that cut a queue: at their end the current busy period had lasted for more than
    /// half of the slice. Of the shard with most.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub slices_cut: u64,
    /// Longest queue of events waiting for a connection, summed over shards.
    pub backlog_peak: u64,
    /// Bytes and segments, without the set-up of warm connections.
    pub traffic: Traffic,
    /// What went wrong, by message.
    pub faults: BTreeMap<String, u64>,
    /// Figures of answers by callback, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callbacks: Option<Callbacks>,
    /// TLS handshakes of all connections of the arm, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshakes: Option<Handshakes>,
    /// What the two ends of connections have agreed on above TLS, with the number of connections: HTTP/2 and its
    /// limits, extensions of WebSocket.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agreed: BTreeMap<String, u64>,
    /// What compression, encryption and signatures took, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<LayerTimes>,
}

impl Account {
    /// Nothing yet. `tells_ids`: answers carry the event's id; `wall_length`: what the peaks cover, ns.
    pub fn new(tells_ids: bool, wall_length: u64, split: Option<&Split>) -> Account {
        let count = tells_ids.then_some(0);
        Account {
            measured: Outcomes::default(),
            warmup: Outcomes::default(),
            response: Hist::new(),
            unlagged: Hist::new(),
            driver_excluded: Hist::new(),
            service: Hist::new(),
            halves: [Hist::new(), Hist::new()],
            strata: Stratum::all_of(split),
            lag: Hist::new(),
            reading: Hist::new(),
            peaks: Peaks::new(wall_length),
            duplicated: count,
            reordered: count,
            late: 0,
            unsolicited: 0,
            other_messages: 0,
            sent: 0,
            batches: 0,
            acknowledged_in_window: 0,
            connections: 0,
            connect: Hist::new(),
            open_at_end: 0,
            acknowledged_by_end: 0,
            spill: 0,
            busy_periods: Hist::new(),
            slices_cut: 0,
            backlog_peak: 0,
            traffic: Traffic::default(),
            faults: BTreeMap::new(),
            callbacks: None,
            handshakes: None,
            agreed: BTreeMap::new(),
            layers: None,
        }
    }

    /// Counts what went wrong, by message.
    pub fn fault(&mut self, message: &str) {
        count(&mut self.faults, message, OTHER_FAULTS);
    }

    /// Counts a connection whose ends have agreed on this above TLS.
    pub fn agree(&mut self, words: &str) {
        count(&mut self.agreed, words, "others");
    }

    /// Adds another shard of the same trial.
    pub fn merge(&mut self, other: &Account) {
        let both = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
        self.measured.add(&other.measured);
        self.warmup.add(&other.warmup);
        self.response.merge(&other.response);
        self.unlagged.merge(&other.unlagged);
        self.driver_excluded.merge(&other.driver_excluded);
        self.service.merge(&other.service);
        self.halves.iter_mut().zip(&other.halves).for_each(|(mine, theirs)| mine.merge(theirs));
        self.strata.iter_mut().zip(&other.strata).for_each(|(mine, theirs)| mine.merge(theirs));
        self.lag.merge(&other.lag);
        self.reading.merge(&other.reading);
        self.peaks.merge(&other.peaks);
        self.duplicated = both(self.duplicated, other.duplicated);
        self.reordered = both(self.reordered, other.reordered);
        self.late += other.late;
        self.unsolicited += other.unsolicited;
        self.other_messages += other.other_messages;
        self.sent += other.sent;
        self.batches += other.batches;
        self.acknowledged_in_window += other.acknowledged_in_window;
        self.connections += other.connections;
        self.connect.merge(&other.connect);
        self.open_at_end += other.open_at_end;
        self.acknowledged_by_end += other.acknowledged_by_end;
        self.spill += other.spill;
        self.busy_periods.merge(&other.busy_periods);
        self.slices_cut = self.slices_cut.max(other.slices_cut);
        self.backlog_peak += other.backlog_peak;
        self.traffic.add(&other.traffic);
        if let (Some(mine), Some(theirs)) = (&mut self.callbacks, &other.callbacks) {
            mine.merge(theirs);
        }
        if let Some(theirs) = &other.handshakes {
            self.handshakes.get_or_insert_default().merge(theirs);
        }
        if let Some(theirs) = &other.layers {
            self.layers.get_or_insert_default().merge(theirs);
        }
        for (mine, theirs) in [(&mut self.faults, &other.faults), (&mut self.agreed, &other.agreed)]
        {
            for (message, n) in theirs {
                *mine.entry(message.clone()).or_default() += n;
            }
        }
    }
}

/// Counts a text, and those of further kinds together.
fn count(counts: &mut BTreeMap<String, u64>, text: &str, others: &str) {
    if let Some(n) = counts.get_mut(text) {
        *n += 1;
    } else if counts.len() < KINDS {
        counts.insert(text.to_owned(), 1);
    } else {
        *counts.entry(others.to_owned()).or_default() += 1;
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}
