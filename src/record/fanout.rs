//! What a fan-out adds to a trial's record: the fate of every delivery, one event at one subscriber.

use super::histogram::Hist;
use super::wire::Traffic;
use serde::{Deserialize, Serialize};

/// Counts of deliveries; the sum of the last four is `due`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryFates {
    /// Events due times subscribers.
    pub due: u64,
    /// Read by the subscriber within the time-out.
    pub received: u64,
    /// Sum of the two failures below.
    pub failed: u64,
    /// Not read within the time-out, counted from the event's due instant.
    pub timed_out: u64,
    /// The subscriber's connection ended before it came.
    pub lost: u64,
    /// Of `failed`: the publisher did not take the event.
    pub unpublished: u64,
    /// Of `failed`: the subscriber was not subscribed when the event was due.
    pub unsubscribed: u64,
}

impl DeliveryFates {
    /// Law 3 for deliveries: every one has one fate.
    pub fn sums_are_exact(&self) -> bool {
        self.due == self.received + self.failed + self.timed_out + self.lost
            && self.failed == self.unpublished + self.unsubscribed
    }

    /// The part of the deliveries due that was received.
    pub fn reach(&self) -> Option<f64> {
        (self.due > 0).then(|| self.received as f64 / self.due as f64)
    }

    /// Adds the counts of another trial.
    pub fn add(&mut self, other: &DeliveryFates) {
        self.due += other.due;
        self.received += other.received;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.lost += other.lost;
        self.unpublished += other.unpublished;
        self.unsubscribed += other.unsubscribed;
    }
}

/// What the subscribers of one arm saw, as counts and histograms. Times are ns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deliveries {
    /// Subscribers that every event was due at.
    pub subscribers: u64,
    /// Deliveries of the events due in the measured window.
    pub measured: DeliveryFates,
    /// Deliveries of the warm-up's events.
    pub warmup: DeliveryFates,
    /// From the event's due instant to the poll that told that a subscriber can read it.
    pub delivery: Hist,
    /// The same from the instant the driver wrote the event to the publisher.
    pub unlagged: Hist,
    /// From the event's due instant to the last subscriber's read; an event that did not reach every
    /// subscriber counts with the time-out, which it took at least.
    pub last: Hist,
    /// From the first subscriber's read to the last one's, of events that reached all.
    pub skew: Hist,
    /// Measured events.
    pub events: u64,
    /// Of these, the ones that reached every subscriber.
    pub complete: u64,
    /// Deliveries of an event that the subscriber had already.
    pub duplicated: u64,
    /// Deliveries that came behind a younger event's at the same subscriber.
    pub reordered: u64,
    /// Deliveries that came after they had another fate.
    pub late: u64,
    /// Messages to subscribers that are no event of the trial.
    pub unsolicited: u64,
    /// First deliveries read, warm-up and late ones included.
    pub read: u64,
    /// First deliveries read since measuring began.
    pub read_in_window: u64,
    /// Of these, before the schedule ended.
    pub read_by_end: u64,
    /// Measured deliveries open when the schedule ended.
    pub open_at_end: u64,
    /// Measured deliveries open when another arm's slice began, summed over slices.
    pub spill: u64,
    /// Connections that carried deliveries.
    pub connections: u64,
    /// Their bytes and segments, without the set-up of subscriptions.
    pub traffic: Traffic,
    /// Pings that came to subscribers.
    #[serde(default)]
    pub pings: u64,
}

impl Deliveries {
    /// Nothing yet.
    pub fn new(subscribers: usize) -> Deliveries {
        Deliveries {
            subscribers: subscribers as u64,
            measured: DeliveryFates::default(),
            warmup: DeliveryFates::default(),
            delivery: Hist::new(),
            unlagged: Hist::new(),
            last: Hist::new(),
            skew: Hist::new(),
            events: 0,
            complete: 0,
            duplicated: 0,
            reordered: 0,
            late: 0,
            unsolicited: 0,
            read: 0,
            read_in_window: 0,
            read_by_end: 0,
            open_at_end: 0,
            spill: 0,
            connections: 0,
            traffic: Traffic::default(),
            pings: 0,
        }
    }
}

/// What a publisher has counted; it tells by its own account what became of each delivery.
/// `queued = acknowledged + written + failed + timed_out + lost + open`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublisherStatus {
    /// Subscribers now.
    pub subscribers: u64,
    /// Events taken.
    pub published: u64,
    /// Of these, the ones that every subscriber they were queued for has acknowledged.
    pub complete: u64,
    /// Deliveries queued.
    pub queued: u64,
    /// Deliveries turned away because the subscriber's queue was full; they are not among `queued`.
    pub overflowed: u64,
    /// Acknowledged by the subscriber.
    pub acknowledged: u64,
    /// Written where no acknowledgement is asked for.
    pub written: u64,
    /// Answered otherwise (webhook: another status than 2xx), or no connection could be made.
    pub failed: u64,
    /// Of `failed`: redirects, which are not followed.
    pub redirected: u64,
    /// Of `failed`: no connection.
    pub refused: u64,
    /// Not acknowledged in time.
    pub timed_out: u64,
    /// The subscriber's connection ended first.
    pub lost: u64,
    /// Queued or written and not yet settled.
    pub open: u64,
    /// Acknowledgements of nothing that was open.
    pub stray: u64,
    /// Fewest acknowledgements of a subscriber.
    pub least_acknowledged: u64,
    /// Most acknowledgements of a subscriber.
    pub most_acknowledged: u64,
    /// Pings sent.
    pub pings: u64,
    /// Pings answered.
    pub pongs: u64,
}

impl PublisherStatus {
    /// Every delivery that was queued has one fate or none yet.
    pub fn sums_are_exact(&self) -> bool {
        self.queued
            == self.acknowledged
                + self.written
                + self.failed
                + self.timed_out
                + self.lost
                + self.open
    }
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
    /// Connections that were open at its end.
    pub connections: u64,
    /// Deliveries of the event before it that were still on their way when it began.
    pub unsettled: u64,
}

/// Kernel memory before the first subscriber and with all: sockets, their descriptors and buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelMemory {
    /// Whose it is.
    pub of: KernelScope,
    /// Bytes.
    pub growth: Growth,
}

/// Whose kernel memory was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelScope {
    /// The target's alone, in a memory cgroup of its own.
    Target,
    /// The whole machine's: both ends of the connections and whatever else happened.
    Machine,
}

/// Memory before the first subscriber and at the end of the window, bytes (PSS, which counts shared
/// pages by their part).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// With no subscriber.
    pub before: u64,
    /// With all of them.
    pub after: u64,
}

impl Growth {
    /// What one of `n` subscribers has added.
    pub fn each(&self, n: u64) -> Option<f64> {
        (n > 0 && self.before > 0 && self.after > 0)
            .then(|| self.after.saturating_sub(self.before) as f64 / n as f64)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_by_subscriber_or_not_at_all() {
        let growth = Growth { before: 1000, after: 9000 };
        assert_eq!(growth.each(4), Some(2000.0));
        assert_eq!(growth.each(0), None);
        assert_eq!(Growth::default().each(4), None);
        assert_eq!(Growth { before: 9000, after: 1000 }.each(4), Some(0.0));
    }
}
