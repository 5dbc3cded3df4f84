//! What a fan-out adds to a trial's record: the outcome of every delivery, one event at one subscriber.

mod across_machines;
mod audience;
mod deliveries;
mod memory;
mod publisher;

pub use across_machines::{EventReach, EventRecords, Share, TimedOutEvent, merged};
pub use audience::{Audience, CONDUCTS, Conduct, Mix};
pub use deliveries::{Apart, DatedBy, Deliveries, DeliveryOutcomes, Resumption, Turnover};
pub use memory::{Growth, KernelMemory, KernelScope};
pub use publisher::PublisherStatus;

use serde::{Deserialize, Serialize};

/// The fan-out part of a trial.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fanout {
    /// What the subscribers saw.
    pub deliveries: Deliveries,
    /// Subscribers acknowledge each event and the publisher records it.
    pub acknowledged: bool,
    /// What it took to subscribe all of them, ns.
    pub subscribed_in_ns: u64,
    /// Memory of the target's process tree; `None` when it is not ours.
    pub target_memory: Option<Growth>,
    /// Memory of the driver; `None` where arms share it.
    pub driver_memory: Option<Growth>,
    /// Of the kernel; `None` when it cannot be read.
    #[serde(default)]
    pub kernel_memory: Option<KernelMemory>,
    /// Why it is not the target's own, or not there at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_memory_why: Option<String>,
    /// The time between two events; `None` in other flows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// The publisher's own account at the end; `None` when it did not tell.
    pub publisher: Option<PublisherStatus>,
}

/// What lay between two events of an idle flow: nothing is published, everybody is subscribed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// Its length, ns.
    pub ns: u64,
    /// CPU of the target's process tree; `None` when it is not ours.
    pub target_cpu_ns: Option<u64>,
    /// CPU of the driver, without spinning, ns.
    pub driver_cpu_ns: u64,
    /// Bytes inside TCP that came to subscribers.
    pub bytes_in: u64,
    /// Bytes that they sent.
    pub bytes_out: u64,
    /// Pings that came to them; each was answered by the time the next one came.
    pub pings: u64,
    /// Reads of subscribers that brought something; unknown in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<u64>,
    /// Requests that subscribers made; unknown in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Connections that were open at its end.
    pub connections: u64,
    /// Deliveries of the event before it that were still on their way when it began.
    pub unsettled: u64,
}
