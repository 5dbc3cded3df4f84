//! The counts of a record, and what theory says they are when a server misbehaves.

use crate::server_fault::{ServerFault, UNSOLICITED};
use crate::site::Tally;
use pushbench_core::event::Matching;
use pushbench_core::record::outcomes::Outcomes;
use pushbench_core::record::trial::Trial;
use pushbench_core::transport::Carrier;
use std::fmt;

/// Every count of a trial's record that does not depend on time, warm-up included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Outcomes of all events.
    pub outcomes: Outcomes,
    /// Events written.
    pub sent: u64,
    /// Further answers to acknowledged events; `None` when matched by order.
    pub duplicated: Option<u64>,
    /// Answers that overtook an older event; `None` when matched by order.
    pub reordered: Option<u64>,
    /// Answers to events that had ended otherwise.
    pub late: u64,
    /// Messages that answered nothing.
    pub unsolicited: u64,
    /// Things that went wrong, by message: all of them together.
    pub faults: u64,
}

impl Counts {
    /// Those of a record.
    pub fn of(trial: &Trial) -> Counts {
        let mut outcomes = trial.account.warmup;
        outcomes.add(&trial.account.measured);
        Counts {
            outcomes,
            sent: trial.account.sent,
            duplicated: trial.account.duplicated,
            reordered: trial.account.reordered,
            late: trial.account.late,
            unsolicited: trial.account.unsolicited,
            faults: trial.account.faults.values().sum(),
        }
    }
}

/// One way to meet a faulty server.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What it does.
    pub fault: ServerFault,
    /// How events travel.
    pub carrier: Carrier,
    /// How answers find their events.
    pub matching: Matching,
}

impl Case {
    /// What the record must say after `due` events with the indices from 0, where a connection that
    /// ends carries no more than one open event. [`ServerFault::HangUp`] has one connection, of two events;
    /// [`ServerFault::TurnDown`] and [`ServerFault::Stall`] have connections of one event each. Only
    /// [`ServerFault::Late`], [`ServerFault::SometimesUnread`] and [`ServerFault::Stuck`] need the
    /// server's tally.
    pub fn theory(&self, due: u64, tally: &Tally) -> Counts {
        let affected = (0..due).filter(|i| self.fault.affects(*i)).count() as u64;
        let by_id = self.matching == Matching::Id;
        let webhook = self.carrier == Carrier::Webhook;
        let expected = by_id.then_some(0);
        let mut c = Counts { duplicated: expected, reordered: expected, ..Counts::default() };
        match self.fault {
            ServerFault::Correct | ServerFault::CloseAfterAnswer => {}
            ServerFault::Silence => c.outcomes.timed_out = affected,
            ServerFault::Late => {
                c.outcomes.timed_out = affected;
                c.late = tally.late;
            }
            ServerFault::SometimesUnread | ServerFault::Stuck => {
                c.outcomes.timed_out = tally.unread_events
            }
            // A webhook's status says that it is an answer, whatever it holds.
            ServerFault::Garbage | ServerFault::WrongId if webhook && by_id => {
                c.outcomes.wrong_answer = affected
            }
            ServerFault::Garbage | ServerFault::WrongId if by_id => {
                c.outcomes.timed_out = affected;
                c.unsolicited = affected;
            }
            // By order the next answer acknowledges, whatever it holds.
            ServerFault::Garbage | ServerFault::WrongId => {}
            ServerFault::Status(_) => c.outcomes.wrong_answer = affected,
            ServerFault::InvalidBytes
            | ServerFault::HugeLength
            | ServerFault::Half
            | ServerFault::Reset => c.outcomes.lost = affected,
            ServerFault::Twice if by_id => c.duplicated = Some(affected),
            ServerFault::Twice => c.unsolicited = affected,
            ServerFault::Swap => {
                // The last event has no next one that could be answered before it.
                let last = u64::from(due > 0 && self.fault.affects(due - 1));
                c.outcomes.timed_out = last;
                c.reordered = expected.map(|_| affected - last);
            }
            // Of five events two connections carry two each, and the third is closed at its first.
            ServerFault::HangUp => c.outcomes.lost = due / 5,
            ServerFault::TurnDown => c.outcomes.refused = due / 5,
            ServerFault::Stall => {
                c.outcomes.timed_out = due / 5;
                c.outcomes.never_sent = due / 5;
            }
            ServerFault::Unsolicited => c.unsolicited = affected * UNSOLICITED,
        }
        self.add_up(due, &mut c);
        c
    }

    /// The counts that follow from others.
    fn add_up(&self, due: u64, c: &mut Counts) {
        let f = &mut c.outcomes;
        f.due = due;
        f.failed = f.wrong_answer + f.refused + f.backlog_full;
        f.acknowledged = due - f.failed - f.timed_out - f.lost;
        c.sent = due - f.refused - f.backlog_full - f.never_sent;
        let given_up = match self.gives_up() {
            true => f.timed_out,
            // Only a connection that was not open yet is given up.
            false => f.never_sent,
        };
        c.faults = f.failed + f.lost + given_up;
    }

    /// Whether an event that times out costs its connection: a late answer could not be matched.
    pub fn gives_up(&self) -> bool {
        self.carrier == Carrier::Webhook || self.matching == Matching::Order
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &self.outcomes;
        write!(out, "{} due, {} sent: {} ack", f.due, self.sent, f.acknowledged)?;
        for (n, what) in [
            (f.wrong_answer, "wrong"),
            (f.refused, "refused"),
            (f.backlog_full, "backlog full"),
            (f.timed_out, "timed out"),
            (f.lost, "lost"),
            (self.duplicated.unwrap_or(0), "duplicated"),
            (self.reordered.unwrap_or(0), "reordered"),
            (self.late, "late"),
            (self.unsolicited, "unsolicited"),
            (self.faults, "faults"),
        ] {
            if n > 0 {
                write!(out, ", {n} {what}")?;
            }
        }
        Ok(())
    }
}
