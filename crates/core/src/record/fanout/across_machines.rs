//! A fan-out whose subscribers are spread over several machines: which machine has whom, and what each has to tell of
//! an event so that reach and the time to the last subscriber are those of all.

use crate::record::fanout::audience::{CONDUCTS, Conduct};
use crate::record::fanout::deliveries::Deliveries;
use crate::record::histogram::Hist;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The subscribers of one machine of several: every `of`-th one, from its own number on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Number of the machine, from 0. The first one also publishes.
    pub machine: usize,
    /// Machines with subscribers, at least 1.
    pub of: usize,
}

impl Share {
    /// One machine has all.
    pub const ALL: Share = Share { machine: 0, of: 1 };

    /// A subscriber of this number is on this machine.
    pub fn has(self, number: usize) -> bool {
        number % self.of == self.machine
    }

    /// Those of this machine out of `subscribers`.
    pub fn numbers(self, subscribers: usize) -> impl Iterator<Item = usize> + Clone {
        (self.machine..subscribers).step_by(self.of)
    }

    /// This machine publishes the events.
    pub fn publishes(self) -> bool {
        self.machine == 0
    }
}

/// What a machine saw of the events, as far as histograms do not tell it. Nothing where one machine has all
/// subscribers. It grows by one entry with each event, whatever the number of subscribers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecords {
    /// Measured events that were due at healthy subscribers of the machine.
    pub reached: Vec<EventReach>,
    /// Events with deliveries that have timed out.
    pub timed_out: Vec<TimedOutEvent>,
    /// Events that the publisher did not take.
    pub unpublished: Vec<u64>,
}

/// What became of one event at the healthy subscribers of a machine. In JSON an array in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 5]", into = "[u64; 5]")]
pub struct EventReach {
    /// Its number.
    pub event: u64,
    /// Subscribers that it was due at.
    pub due: u64,
    /// Those that got it in time.
    pub got: u64,
    /// From its due instant to the first of them, ns; the largest number where there is none.
    pub first: u64,
    /// To the last of them, ns; 0 where there is none.
    pub last: u64,
}

impl From<[u64; 5]> for EventReach {
    fn from([event, due, got, first, last]: [u64; 5]) -> EventReach {
        EventReach { event, due, got, first, last }
    }
}

impl From<EventReach> for [u64; 5] {
    fn from(EventReach { event, due, got, first, last }: EventReach) -> [u64; 5] {
        [event, due, got, first, last]
    }
}

/// An event whose deliveries have timed out at some subscribers of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedOutEvent {
    /// Its number.
    pub event: u64,
    /// It was due in the measured window.
    pub measured: bool,
    /// Deliveries, by conduct.
    pub deliveries: [u64; CONDUCTS.len()],
    /// They were counted as open when the schedule ended …
    pub open_at_end: bool,
    /// … and as behind …
    pub behind_at_end: bool,
    /// … and when another arm's slice began.
    pub spilled: bool,
}

/// The deliveries of all machines in one. When an event was written is known to the machine that publishes alone, so
/// `unlagged` is that of its subscribers, where it has any. `timeout`: of an event, ns; `one_each`: each event goes to one subscriber, so
/// that there is no last one. `None` where there is no machine.
pub fn merged(
    parts: Vec<(Deliveries, EventRecords)>,
    timeout: u64,
    one_each: bool,
) -> Option<Deliveries> {
    let mut parts = parts;
    if parts.len() == 1 {
        // It has counted events by itself.
        return parts.pop().map(|(deliveries, _)| deliveries);
    }
    let (deliveries, records): (Vec<Deliveries>, Vec<EventRecords>) = parts.into_iter().unzip();
    let mut whole = deliveries.into_iter().reduce(|mut whole, other| {
        whole.add(&other);
        whole
    })?;
    let unpublished: BTreeSet<u64> =
        records.iter().flat_map(|record| record.unpublished.iter().copied()).collect();
    // Only the machine that publishes knows that nothing could come.
    for timed_out in records.iter().flat_map(|record| &record.timed_out) {
        if unpublished.contains(&timed_out.event) {
            whole.never_published(timed_out);
        }
    }
    let mut events: BTreeMap<u64, EventReach> = BTreeMap::new();
    for reach in records.into_iter().flat_map(|record| record.reached) {
        let known = events.entry(reach.event).or_insert(EventReach { due: 0, got: 0, ..reach });
        (known.due, known.got) = (known.due + reach.due, known.got + reach.got);
        (known.first, known.last) = (known.first.min(reach.first), known.last.max(reach.last));
    }
    (whole.events, whole.complete) = (0, 0);
    (whole.last, whole.skew) = (Hist::new(), Hist::new());
    events.values().for_each(|reach| whole.reached(reach, timeout, one_each));
    Some(whole)
}

impl Deliveries {
    /// Counts a measured event that is closed at all of its healthy subscribers.
    pub fn reached(&mut self, reach: &EventReach, timeout: u64, one_each: bool) {
        let whole = reach.got == reach.due;
        self.events += 1;
        self.complete += u64::from(whole);
        // Of one recipient there is no last one.
        if !one_each {
            self.last.record(if whole { reach.last } else { timeout });
        }
        if whole && !one_each {
            self.skew.record(reach.last.saturating_sub(reach.first).max(1));
        }
    }

    fn never_published(&mut self, timed_out: &TimedOutEvent) {
        for (conduct, n) in CONDUCTS.into_iter().zip(timed_out.deliveries) {
            let outcomes = self.outcomes(conduct, timed_out.measured);
            outcomes.timed_out -= n;
            outcomes.failed += n;
            outcomes.unpublished += n;
        }
        if timed_out.measured {
            let healthy = timed_out.deliveries[Conduct::Healthy as usize];
            let uncount = |counted: bool, of: &mut u64| *of -= if counted { healthy } else { 0 };
            uncount(timed_out.open_at_end, &mut self.open_at_end);
            uncount(timed_out.behind_at_end, &mut self.behind_at_end);
            uncount(timed_out.spilled, &mut self.spill);
        }
    }
}
