//! What became of events under a guarantee, and how a fault was recovered from.

use serde::{Deserialize, Serialize};

/// Why deliveries were lost for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LossReasons {
    /// All attempts failed.
    pub attempts: u64,
    /// The event fell out of the publisher's log before its subscriber was back.
    pub log: u64,
    /// The subscriber's queue at the publisher was full.
    pub queue: u64,
    /// The subscriber ended its subscription with a 410.
    pub gone: u64,
    /// The publisher was restarted and did not keep it.
    pub restart: u64,
    /// Its receiver was not connected, and what comes meanwhile is not kept for it.
    pub away: u64,
    /// The publisher still had it, to be tried again, when the trial ended.
    pub open: u64,
    /// Not known.
    pub unexplained: u64,
}

impl LossReasons {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.attempts
            + self.log
            + self.queue
            + self.gone
            + self.restart
            + self.away
            + self.open
            + self.unexplained
    }

    /// Adds those of another trial.
    pub fn add(&mut self, other: &LossReasons) {
        self.attempts += other.attempts;
        self.log += other.log;
        self.queue += other.queue;
        self.gone += other.gone;
        self.restart += other.restart;
        self.away += other.away;
        self.open += other.open;
        self.unexplained += other.unexplained;
    }
}

/// How long it took until all was well after the planned fault of a trial. Times are ns after the end of the fault: the end of
/// an outage, or the instant of a cut, of a kill or of another disruption.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// When the fault began, ns after the measured window began.
    pub fault_at_ns: u64,
    /// How long it lasted, ns; 0 of an instant.
    pub fault_ns: u64,
    /// To the first event that a receiver got; `None` if none came.
    pub first_event_ns: Option<u64>,
    /// To the instant at which no delivery of an event that was due before the fault ended was outstanding; `None` if one was
    /// never delivered.
    pub caught_up_ns: Option<u64>,
    /// To the instant at which all receivers were back: over a transport where receivers connect all connections, over webhook
    /// one event at each of them; `None` if one was never back.
    pub all_back_ns: Option<u64>,
    /// CPU of the target from the fault's begin until all was caught up and all receivers were back, beyond what it used before the
    /// fault in the same time, ns.
    pub cpu_ns: Option<i64>,
}

/// The age of the newest event that receivers have, at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// Ms after the measured window began.
    pub at_ms: u32,
    /// Median over receivers, µs.
    pub median_us: u32,
    /// Of the receiver that is furthest behind, µs.
    pub oldest_us: u32,
}

/// What became of events under a guarantee or under faults, warm-up included. For each event and each receiver that it is due
/// at there is one delivery; in a flow without subscribers the target is the only receiver.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GuaranteeRecord {
    /// Deliveries of events that the publisher accepted.
    pub due: u64,
    /// Of these, handed to the application at least once. `due = delivered + lost.sum()`.
    pub delivered: u64,
    /// Of `delivered`, handed to the application exactly once.
    pub delivered_once: u64,
    /// Arrivals of an event at a receiver that has processed it already.
    pub duplicates_on_wire: u64,
    /// Of these, handed to the application again.
    pub duplicates_to_application: u64,
    /// First deliveries to the application behind a younger event's.
    pub out_of_order: u64,
    /// Arrivals that a planned fault met before they were processed.
    pub met_by_fault: u64,
    /// Deliveries that were processed and whose acknowledgement a planned fault suppressed.
    pub lost_acks: u64,
    /// Events that the publisher did not accept: its client knows, they are not among `due`.
    pub not_accepted: u64,
    /// Deliveries that never reached the application, by reason.
    pub lost: LossReasons,
    /// Attempts: as the publisher counts them, or else as arrivals are seen from outside.
    pub attempts: u64,
    /// The publisher counted them.
    pub attempts_are_counted: bool,
    /// The receiver does not tell what came to it: what it acknowledged counts as delivered once, and duplicates, order and
    /// what faults met read 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub arrivals_are_unknown: bool,
    /// Most deliveries outstanding at a time.
    pub backlog_peak: u64,
    /// Their bytes as events.
    pub backlog_peak_bytes: u64,
    /// Most connections opened within 100 ms, per second.
    pub connections_per_second_peak: u64,
    /// Attempts to connect that failed.
    pub connections_refused: u64,
    /// After the planned fault; `None` where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// Every 100 ms; empty where no fault is planned at an instant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freshness: Vec<Freshness>,
    /// Time that events waited behind one that was being tried again, ns; only of the publisher's own account.
    #[serde(default)]
    pub held_ns: u64,
    /// Events that waited so.
    #[serde(default)]
    pub held_events: u64,
    /// What a sync of the store took, ns: their number, sum and longest; `None` without a store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncTimes>,
}

/// Syncs of the publisher's store. Times are ns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncTimes {
    /// Transactions that were committed to disk.
    pub count: u64,
    /// What they took together.
    pub total_ns: u64,
    /// The longest.
    pub longest_ns: u64,
}

/// What a built-in receiver has counted. Events that it has processed outlive their connections, not its process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverStatus {
    /// Events handed to the application at least once.
    pub delivered: u64,
    /// Of these, exactly once.
    pub delivered_once: u64,
    /// Arrivals of an event that it had processed already.
    pub duplicates_on_wire: u64,
    /// Of these, handed to the application again.
    pub duplicates_to_application: u64,
    /// First deliveries to the application behind a younger event's.
    pub out_of_order: u64,
    /// Arrivals that a planned fault met before they were processed.
    pub met_by_fault: u64,
    /// Events that were processed and whose acknowledgement a planned fault suppressed.
    pub lost_acks: u64,
    /// Connections that were reset at once, as planned.
    pub refused: u64,
    /// How often it has told.
    pub told: u64,
}

/// What the line begins with on which a built-in receiver tells.
pub const RECEIVED: &str = "received ";

impl ReceiverStatus {
    /// What it told last, in what it has printed.
    pub fn read(output: &str) -> Option<ReceiverStatus> {
        let line = output.lines().rev().find_map(|line| line.strip_prefix(RECEIVED))?;
        serde_json::from_str(line).ok()
    }

    /// Adds what a process told that was started anew, and remembers no event of this one.
    pub fn and(&self, next: &ReceiverStatus) -> ReceiverStatus {
        ReceiverStatus {
            delivered: self.delivered + next.delivered,
            delivered_once: self.delivered_once + next.delivered_once,
            duplicates_on_wire: self.duplicates_on_wire + next.duplicates_on_wire,
            duplicates_to_application: self.duplicates_to_application
                + next.duplicates_to_application,
            out_of_order: self.out_of_order + next.out_of_order,
            met_by_fault: self.met_by_fault + next.met_by_fault,
            lost_acks: self.lost_acks + next.lost_acks,
            refused: self.refused + next.refused,
            told: next.told,
        }
    }
}
