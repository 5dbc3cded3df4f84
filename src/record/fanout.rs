//! What a fan-out adds to a trial's record: the fate of every delivery, one event at one subscriber.

use super::histogram::Hist;
use super::wire::Traffic;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How a subscriber behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conduct {
    /// Takes each event as soon as it can.
    Healthy,
    /// Takes a while for each event, one after the other, before it acknowledges it.
    Slow,
    /// Subscribes, accepts, and takes no event.
    Stuck,
}

/// Every conduct; each stands at its own number.
pub const CONDUCTS: [Conduct; 3] = [Conduct::Healthy, Conduct::Slow, Conduct::Stuck];

impl Conduct {
    /// As it stands in tables.
    pub fn name(self) -> &'static str {
        match self {
            Conduct::Healthy => "healthy",
            Conduct::Slow => "slow",
            Conduct::Stuck => "stuck",
        }
    }
}

/// Who is to get the events of a fan-out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Audience {
    /// Subscribers in all.
    pub subscribers: usize,
    /// Of these, slow ones.
    pub slow: usize,
    /// Of these, stuck ones.
    pub stuck: usize,
    /// Each event goes to one of them, in turn, not to all.
    pub one_each: bool,
}

impl Audience {
    /// All of them healthy, each event for all.
    pub fn all(subscribers: usize) -> Audience {
        Audience { subscribers, ..Audience::default() }
    }

    /// The numbers of those who behave so. The healthy ones come last: who holds up a publisher that
    /// serves its subscribers in turn is served before them, where it harms them most.
    pub fn numbers(&self, conduct: Conduct) -> Range<usize> {
        let unhealthy = self.slow + self.stuck;
        match conduct {
            Conduct::Slow => 0..self.slow,
            Conduct::Stuck => self.slow..unhealthy,
            Conduct::Healthy => unhealthy..self.subscribers,
        }
    }

    /// How a subscriber behaves.
    pub fn conduct(&self, number: usize) -> Conduct {
        match number {
            n if n < self.slow => Conduct::Slow,
            n if n < self.slow + self.stuck => Conduct::Stuck,
            _ => Conduct::Healthy,
        }
    }

    /// The one subscriber that event `index` is for, where each goes to one.
    pub fn recipient(&self, index: u64) -> usize {
        (index % self.subscribers.max(1) as u64) as usize
    }
}

/// Counts of deliveries; the sum of the last four is `due`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryFates {
    /// For each event, the subscribers that were subscribed when it came due, or would have been if
    /// their subscription had not been cut off.
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

/// What came to the subscribers that do not behave like the healthy ones.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Apart {
    /// How they behave.
    pub conduct: Conduct,
    /// How many they are.
    pub subscribers: u64,
    /// Their deliveries of the events due in the measured window.
    pub measured: DeliveryFates,
    /// And of the warm-up's.
    pub warmup: DeliveryFates,
    /// From the event's due instant to the instant it was taken up.
    pub delivery: Hist,
}

/// Subscribers that came and went, and what it took. Times are ns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Turnover {
    /// Times a subscriber left of its own will.
    pub left: u64,
    /// Times a subscription was cut off by the other end.
    pub cut_off: u64,
    /// Times a subscriber was there again, for whichever reason it had been away.
    pub came: u64,
    /// Attempts to subscribe that failed, each followed by another one.
    pub refused: u64,
    /// From an attempt's begin to the confirmed subscription.
    pub subscribing: Hist,
    /// From the same begin to the first event that was due there and read.
    pub first_event: Hist,
    /// From the first subscription cut off to the instant at which all were there again.
    pub recovery: Hist,
}

impl Default for Turnover {
    fn default() -> Turnover {
        let (subscribing, first_event, recovery) = (Hist::new(), Hist::new(), Hist::new());
        Turnover { left: 0, cut_off: 0, came: 0, refused: 0, subscribing, first_event, recovery }
    }
}

impl Turnover {
    /// Adds another trial's.
    pub fn and(mut self, other: Turnover) -> Turnover {
        self.left += other.left;
        self.cut_off += other.cut_off;
        self.came += other.came;
        self.refused += other.refused;
        self.subscribing.merge(&other.subscribing);
        self.first_event.merge(&other.first_event);
        self.recovery.merge(&other.recovery);
        self
    }

    /// Nobody came or went.
    pub fn is_empty(&self) -> bool {
        self.left + self.cut_off + self.came + self.refused == 0
    }
}

/// What the subscribers of one arm saw, as counts and histograms. Times are ns. Where nothing else is
/// said it is the healthy ones' alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deliveries {
    /// Subscribers in all.
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
    /// Events read by a subscriber at which they were not due: of another's type, or published while
    /// it came or left.
    pub undue: u64,
    /// Requests that subscribers have made since measuring began, for events or to acknowledge them.
    #[serde(default)]
    pub requests: u64,
    /// Of these, the ones that asked for events and got none.
    #[serde(default)]
    pub empty: u64,
    /// First deliveries read, warm-up and late ones included.
    pub read: u64,
    /// First deliveries read since measuring began.
    pub read_in_window: u64,
    /// Of these, before the schedule ended.
    pub read_by_end: u64,
    /// Measured deliveries open when the schedule ended.
    pub open_at_end: u64,
    /// Of these, the ones of events that were due longer ago than a delivery waits by design (the interval
    /// of a poll, else not at all).
    #[serde(default)]
    pub behind_at_end: u64,
    /// Measured deliveries open when another arm's slice began, summed over slices.
    pub spill: u64,
    /// Connections that carried deliveries.
    pub connections: u64,
    /// Their bytes and segments, without the set-up of subscriptions.
    pub traffic: Traffic,
    /// Pings that came to subscribers.
    #[serde(default)]
    pub pings: u64,
    /// The others' deliveries; none where all are healthy.
    pub apart: Vec<Apart>,
    /// Who came and went; `None` where nobody did.
    pub turnover: Option<Turnover>,
}

impl Deliveries {
    /// Nothing yet.
    pub fn new(audience: &Audience) -> Deliveries {
        let apart = |conduct: &Conduct| Apart {
            conduct: *conduct,
            subscribers: audience.numbers(*conduct).len() as u64,
            measured: DeliveryFates::default(),
            warmup: DeliveryFates::default(),
            delivery: Hist::new(),
        };
        let some = |a: &Apart| a.subscribers > 0;
        Deliveries {
            subscribers: audience.subscribers as u64,
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
            undue: 0,
            requests: 0,
            empty: 0,
            read: 0,
            read_in_window: 0,
            read_by_end: 0,
            open_at_end: 0,
            behind_at_end: 0,
            spill: 0,
            connections: 0,
            traffic: Traffic::default(),
            pings: 0,
            apart: CONDUCTS[1..].iter().map(apart).filter(some).collect(),
            turnover: None,
        }
    }

    /// The fates of those who behave so, of the measured window or the warm-up.
    pub fn fates(&mut self, conduct: Conduct, measured: bool) -> &mut DeliveryFates {
        let (window, warmup) = match self.apart.iter_mut().find(|a| a.conduct == conduct) {
            Some(apart) => (&mut apart.measured, &mut apart.warmup),
            None => (&mut self.measured, &mut self.warmup),
        };
        if measured { window } else { warmup }
    }

    /// The sums of all subscribers, by name.
    pub fn all_fates(&self) -> impl Iterator<Item = (String, &DeliveryFates)> {
        let healthy =
            [("measured".to_owned(), &self.measured), ("warm-up".to_owned(), &self.warmup)];
        let apart = self.apart.iter().flat_map(|a| {
            let name = a.conduct.name();
            [(format!("measured {name}"), &a.measured), (format!("warm-up {name}"), &a.warmup)]
        });
        healthy.into_iter().chain(apart)
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
    /// Most deliveries of one subscriber that were open at a time.
    pub longest_queue: u64,
    /// Kept connections that the publisher closed because nothing had gone over them for a while.
    pub idle_closed: u64,
    /// Requests of subscribers, for events or to acknowledge them.
    pub requests: u64,
    /// Of these, the ones that asked for events and got none.
    pub empty: u64,
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
    /// Adds up what two trials' publishers have counted, or two lives of one.
    pub fn and(self, other: PublisherStatus) -> PublisherStatus {
        PublisherStatus {
            subscribers: self.subscribers.max(other.subscribers),
            published: self.published + other.published,
            complete: self.complete + other.complete,
            queued: self.queued + other.queued,
            overflowed: self.overflowed + other.overflowed,
            acknowledged: self.acknowledged + other.acknowledged,
            written: self.written + other.written,
            failed: self.failed + other.failed,
            redirected: self.redirected + other.redirected,
            refused: self.refused + other.refused,
            timed_out: self.timed_out + other.timed_out,
            lost: self.lost + other.lost,
            open: self.open + other.open,
            stray: self.stray + other.stray,
            requests: self.requests + other.requests,
            empty: self.empty + other.empty,
            longest_queue: self.longest_queue.max(other.longest_queue),
            pings: self.pings + other.pings,
            pongs: self.pongs + other.pongs,
            idle_closed: self.idle_closed + other.idle_closed,
            least_acknowledged: self.least_acknowledged.min(other.least_acknowledged),
            most_acknowledged: self.most_acknowledged.max(other.most_acknowledged),
        }
    }

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
