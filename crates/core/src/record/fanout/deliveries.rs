//! What the subscribers of one arm saw.

use crate::record::fanout::audience::{Audience, CONDUCTS, Conduct};
use crate::record::histogram::Hist;
use crate::record::wire::Traffic;
use serde::{Deserialize, Serialize};

/// Counts of deliveries; the sum of the last four is `due`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryOutcomes {
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

impl DeliveryOutcomes {
    /// Law 3 for deliveries: every one has one outcome.
    pub fn sums_are_exact(&self) -> bool {
        self.due == self.received + self.failed + self.timed_out + self.lost
            && self.failed == self.unpublished + self.unsubscribed
    }

    /// The part of the deliveries due that was received.
    pub fn reach(&self) -> Option<f64> {
        (self.due > 0).then(|| self.received as f64 / self.due as f64)
    }

    /// Adds the counts of another trial.
    pub fn add(&mut self, other: &DeliveryOutcomes) {
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
    pub measured: DeliveryOutcomes,
    /// And of the warm-up's.
    pub warmup: DeliveryOutcomes,
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
    /// From the last read of a subscriber's connections to the instant at which it knew that they had ended; only where
    /// subscribers look after it.
    #[serde(default = "Hist::new", skip_serializing_if = "Hist::is_empty")]
    pub noticed: Hist,
}

impl Default for Turnover {
    fn default() -> Turnover {
        let (left, cut_off, came, refused) = (0, 0, 0, 0);
        let (subscribing, first_event) = (Hist::new(), Hist::new());
        let (recovery, noticed) = (Hist::new(), Hist::new());
        Turnover { left, cut_off, came, refused, subscribing, first_event, recovery, noticed }
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
        self.noticed.merge(&other.noticed);
        self
    }

    /// Nobody came or went, or had to.
    pub fn is_empty(&self) -> bool {
        self.left + self.cut_off + self.came + self.refused == 0 && self.noticed.is_empty()
    }
}

/// How events flow again after a pause or a change of address of the path.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resumption {
    /// Subscribers that were there when it began.
    pub subscribers: u64,
    /// From its begin to a subscriber's first event that came due after it; nothing of those that got none.
    pub took: Hist,
}

impl Resumption {
    /// Adds another trial's.
    pub fn and(mut self, other: Resumption) -> Resumption {
        self.subscribers += other.subscribers;
        self.took.merge(&other.took);
        self
    }

    /// Subscribers that got no event any more.
    pub fn never(&self) -> u64 {
        self.subscribers - self.took.count()
    }

    /// The mean time; `None` where somebody got none: it would be that of the fortunate ones.
    pub fn mean(&self) -> Option<f64> {
        self.took.mean().filter(|_| self.never() == 0)
    }
}

/// What the subscribers of one arm saw, as counts and histograms. Times are ns. Where nothing else is
/// said it is the healthy ones' alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deliveries {
    /// Subscribers in all.
    pub subscribers: u64,
    /// Deliveries of the events due in the measured window.
    pub measured: DeliveryOutcomes,
    /// Deliveries of the warm-up's events.
    pub warmup: DeliveryOutcomes,
    /// From the event's due instant to the arrival of its last byte at the subscriber's socket; see `stamped`.
    pub delivery: Hist,
    /// Of `delivery`, those whose arrival the kernel has dated. The others ended when the poll returned that reported
    /// them readable, like all of them in older results.
    #[serde(default)]
    pub stamped: u64,
    /// The same from the instant the driver wrote the event to the publisher; of several machines, at the subscribers of
    /// the one that publishes.
    pub unlagged: Hist,
    /// From the event's due instant to its arrival at the last subscriber; an event that did not reach every
    /// subscriber counts with the time-out, which it took at least.
    pub last: Hist,
    /// From its arrival at the first subscriber to that at the last one, of events that reached all.
    pub skew: Hist,
    /// Measured events.
    pub events: u64,
    /// Of these, the ones that reached every subscriber.
    pub complete: u64,
    /// Deliveries of an event that the subscriber had already.
    pub duplicated: u64,
    /// Deliveries that came behind a younger event's at the same subscriber.
    pub reordered: u64,
    /// Deliveries that came after they had another outcome.
    pub late: u64,
    /// Messages to subscribers that are no event of the trial.
    pub unsolicited: u64,
    /// Events read by a subscriber at which they were not due: another's, or published while it came or
    /// left.
    pub undue: u64,
    /// Requests that subscribers have made since measuring began, for events or to acknowledge them.
    #[serde(default)]
    pub requests: u64,
    /// Of these, the ones that requested events and received none.
    #[serde(default)]
    pub empty: u64,
    /// Events read of a type that the subscriber does not want; `None` where types are not distinguished.
    #[serde(default)]
    pub unwanted: Option<u64>,
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
    /// Measured deliveries open when another arm's slice began, each once.
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
    /// After a disruption of the path; `None` where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumption: Option<Resumption>,
}

/// What says when a delivery had arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatedBy {
    /// The kernel's receive timestamp.
    Kernel,
    /// The driver's poll, which comes the later the more subscribers a CPU reads.
    Read,
}

impl Deliveries {
    /// What dates them; the kernel, if those that it did not date are too few to move a 99th percentile.
    pub fn dated_by(&self) -> DatedBy {
        match self.stamped * 1000 >= self.delivery.count() * 999 {
            true => DatedBy::Kernel,
            false => DatedBy::Read,
        }
    }

    /// Nothing yet.
    pub fn new(audience: &Audience) -> Deliveries {
        let apart = |conduct: &Conduct| Apart {
            conduct: *conduct,
            subscribers: audience.numbers(*conduct).len() as u64,
            measured: DeliveryOutcomes::default(),
            warmup: DeliveryOutcomes::default(),
            delivery: Hist::new(),
        };
        let some = |a: &Apart| a.subscribers > 0;
        Deliveries {
            subscribers: audience.subscribers as u64,
            measured: DeliveryOutcomes::default(),
            warmup: DeliveryOutcomes::default(),
            delivery: Hist::new(),
            stamped: 0,
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
            unwanted: audience.mix.map(|_| 0),
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
            resumption: None,
        }
    }

    /// Adds what other subscribers saw of the same events. What is counted by event, and not by delivery, is left alone.
    pub(super) fn add(&mut self, other: &Deliveries) {
        for (mine, theirs) in self.counts().into_iter().zip(other.clone().counts()) {
            *mine += *theirs;
        }
        self.measured.add(&other.measured);
        self.warmup.add(&other.warmup);
        self.delivery.merge(&other.delivery);
        if self.unlagged.is_empty() {
            self.unlagged.merge(&other.unlagged);
        }
        self.unwanted = self.unwanted.zip(other.unwanted).map(|(a, b)| a + b);
        self.traffic.add(&other.traffic);
        for apart in &other.apart {
            match self.apart.iter_mut().find(|mine| mine.conduct == apart.conduct) {
                Some(mine) => {
                    mine.subscribers += apart.subscribers;
                    mine.measured.add(&apart.measured);
                    mine.warmup.add(&apart.warmup);
                    mine.delivery.merge(&apart.delivery);
                }
                None => self.apart.push(apart.clone()),
            }
        }
        self.turnover = match (self.turnover.take(), other.turnover.clone()) {
            (Some(mine), Some(theirs)) => Some(mine.and(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        self.resumption = match (self.resumption.take(), other.resumption.clone()) {
            (Some(mine), Some(theirs)) => Some(mine.and(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
    }

    /// The plain counts of subscribers, deliveries and messages.
    fn counts(&mut self) -> [&mut u64; 17] {
        [
            &mut self.subscribers,
            &mut self.stamped,
            &mut self.duplicated,
            &mut self.reordered,
            &mut self.late,
            &mut self.unsolicited,
            &mut self.undue,
            &mut self.requests,
            &mut self.empty,
            &mut self.read,
            &mut self.read_in_window,
            &mut self.read_by_end,
            &mut self.open_at_end,
            &mut self.behind_at_end,
            &mut self.spill,
            &mut self.connections,
            &mut self.pings,
        ]
    }

    /// The outcomes of subscribers with this behaviour, of the measured window or the warm-up.
    pub fn outcomes(&mut self, conduct: Conduct, measured: bool) -> &mut DeliveryOutcomes {
        let (window, warmup) = match self.apart.iter_mut().find(|a| a.conduct == conduct) {
            Some(apart) => (&mut apart.measured, &mut apart.warmup),
            None => (&mut self.measured, &mut self.warmup),
        };
        if measured { window } else { warmup }
    }

    /// The sums of all subscribers, by name.
    pub fn all_outcomes(&self) -> impl Iterator<Item = (String, &DeliveryOutcomes)> {
        let healthy =
            [("measured".to_owned(), &self.measured), ("warm-up".to_owned(), &self.warmup)];
        let apart = self.apart.iter().flat_map(|a| {
            let name = a.conduct.name();
            [(format!("measured {name}"), &a.measured), (format!("warm-up {name}"), &a.warmup)]
        });
        healthy.into_iter().chain(apart)
    }
}
