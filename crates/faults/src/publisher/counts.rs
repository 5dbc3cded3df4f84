//! From what a publisher did to what the record of a fan-out must say, count by count.

use crate::publisher::publisher_fault::{LATE_BEFORE, PublisherFault, RELEASE, UNSOLICITED};
use crate::publisher::state::Tally;
use pushbench_core::record::fanout::DeliveryOutcomes;
use pushbench_core::record::trial::Trial;
use std::fmt;

/// Every count of deliveries in a record that does not depend on time, warm-up included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Outcomes of all deliveries.
    pub outcomes: DeliveryOutcomes,
    /// First deliveries read, late ones included.
    pub read: u64,
    /// Second ones.
    pub duplicated: u64,
    /// Behind a younger event.
    pub reordered: u64,
    /// After they had another outcome.
    pub late: u64,
    /// Messages that are no event of the trial.
    pub unsolicited: u64,
    /// Events that the publisher took.
    pub published: u64,
}

impl Counts {
    /// Those of a record; `None` when it is of no fan-out.
    pub fn of(trial: &Trial) -> Option<Counts> {
        let d = &trial.fanout.as_ref()?.deliveries;
        let mut outcomes = d.warmup;
        outcomes.add(&d.measured);
        Some(Counts {
            outcomes,
            read: d.read,
            duplicated: d.duplicated,
            reordered: d.reordered,
            late: d.late,
            unsolicited: d.unsolicited,
            published: trial.account.warmup.acknowledged + trial.account.measured.acknowledged,
        })
    }

    /// Those that the record must have when a publisher of this tally served so many subscribers and
    /// hung up on none: who is gone is not there for the next event, and when its driver notices is a
    /// matter of time.
    pub fn expected(tally: &Tally, subscribers: u64) -> Counts {
        let unpublished = tally.turned_away * subscribers;
        let outcomes = DeliveryOutcomes {
            due: tally.due + unpublished,
            received: tally.delivered - tally.late,
            failed: unpublished,
            unpublished,
            timed_out: tally.dropped + tally.delayed() + tally.late,
            lost: tally.gone,
            unsubscribed: 0,
        };
        Counts {
            outcomes,
            read: tally.delivered,
            duplicated: tally.doubled,
            reordered: tally.overtaken,
            late: tally.late,
            unsolicited: tally.unsolicited,
            published: tally.published,
        }
    }
}

impl PublisherFault {
    /// The tally that it must leave of so many events with the indices from 0, published one after the
    /// other, and so many subscribers who all stay. `answers`: each delivery is acknowledged.
    pub fn theory(self, events: u64, subscribers: u64, answers: bool) -> Tally {
        let mut t = Tally::default();
        for index in 0..events {
            if self.rejects(index) {
                t.turned_away += 1;
                continue;
            }
            t.published += 1;
            t.due += subscribers;
            t.affected += (0..subscribers).filter(|s| self.affects(index, *s)).count() as u64;
        }
        // What waits for the next event waits in vain behind the last one.
        let last = (0..subscribers).filter(|s| events > 0 && self.affects(events - 1, *s)).count();
        match self {
            PublisherFault::Correct | PublisherFault::TurnAway | PublisherFault::HangUp => {}
            PublisherFault::Drop => t.dropped = t.affected,
            PublisherFault::Twice => t.doubled = t.affected,
            PublisherFault::Swap => t.overtaken = t.affected - last as u64,
            PublisherFault::Late if events > RELEASE.max(LATE_BEFORE) => {
                t.overtaken = t.affected;
                t.late = t.affected;
            }
            PublisherFault::Late => {}
            PublisherFault::Unasked => t.unsolicited = t.affected * UNSOLICITED,
        }
        t.delivered = t.due - t.dropped;
        if matches!(self, PublisherFault::Swap | PublisherFault::Late) {
            t.delivered -= t.affected - t.overtaken;
        }
        t.acknowledged = if answers { t.delivered } else { 0 };
        t
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &self.outcomes;
        write!(out, "{} due, {} received", f.due, f.received)?;
        for (n, what) in [
            (f.unpublished, "unpublished"),
            (f.unsubscribed, "unsubscribed"),
            (f.timed_out, "timed out"),
            (f.lost, "lost"),
            (self.duplicated, "duplicated"),
            (self.reordered, "reordered"),
            (self.late, "late"),
            (self.unsolicited, "unsolicited"),
        ] {
            if n > 0 {
                write!(out, ", {n} {what}")?;
            }
        }
        Ok(())
    }
}
