//! What applications got and what was given up, and the laws that are checked as it happens.

use super::MS;
use super::plan::{EVENTS, Plan};
use crate::guarantee::{Guarantee, Jitter, Promise};
use std::ops::RangeInclusive;

/// Why a delivery was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Attempts,
    Log,
    Queue,
    Gone,
    Restart,
}

/// What a number of schedules came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub(super) schedules: u64,
    pub(super) steps: u64,
    /// Deliveries of events that the publisher accepted.
    pub(super) due: u64,
    pub(super) delivered: u64,
    /// By reason.
    pub(super) lost: [u64; 5],
    /// Arrivals that a deduplicator removed.
    pub(super) removed: u64,
    /// Events that were handed to the application again.
    pub(super) repeated: u64,
    pub(super) attempts: u64,
    /// Connections that resumed.
    pub(super) resumed: u64,
    pub(super) kills: u64,
}

impl Account {
    pub(super) fn add(&mut self, other: &Account) {
        let Account {
            schedules,
            steps,
            due,
            delivered,
            lost,
            removed,
            repeated,
            attempts,
            resumed,
            kills,
        } = self;
        for (sum, n) in [
            (schedules, other.schedules),
            (steps, other.steps),
            (due, other.due),
            (delivered, other.delivered),
            (removed, other.removed),
            (repeated, other.repeated),
            (attempts, other.attempts),
            (resumed, other.resumed),
            (kills, other.kills),
        ] {
            *sum += n;
        }
        lost.iter_mut().zip(other.lost).for_each(|(sum, n)| *sum += n);
    }
}

/// One event at one receiver.
#[derive(Debug, Clone, Copy, Default)]
struct Delivery {
    /// How often the application got it.
    handed: u32,
    /// New events that the receiver had got when it last took this one for new.
    new_at: u32,
    given_up: Option<Reason>,
}

/// One receiver.
#[derive(Debug, Clone, Default)]
struct Receiver {
    deliveries: [Delivery; EVENTS + 1],
    /// Events that were taken for new.
    new: u32,
    /// The youngest event that the application got.
    youngest: u8,
    /// What the application got for the first time, and when.
    got: Vec<(u64, u8)>,
}

/// The ledger of a schedule.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) guarantee: Guarantee,
    in_order: bool,
    accepted: [bool; EVENTS + 1],
    receivers: Vec<Receiver>,
    pub(super) account: Account,
    /// The first law that was broken.
    pub(super) broken: Option<String>,
}

/// The pauses that a policy allows after so many failures.
pub(super) fn pauses(policy: &Guarantee, failures: u32, retry_after: u64) -> RangeInclusive<u64> {
    let (first, longest) = (policy.backoff.as_nanos() as u64, policy.backoff_max.as_nanos() as u64);
    let cap = (1..failures).fold(first, |cap, _| (cap * 2).min(longest)).min(longest);
    let least = match policy.jitter {
        Jitter::None => cap,
        Jitter::Equal => cap / 2,
        Jitter::Full => 0,
    };
    least.max(retry_after)..=cap.max(retry_after)
}

impl Ledger {
    pub(super) fn new(plan: &Plan) -> Ledger {
        Ledger {
            guarantee: plan.guarantee,
            // A subscriber of a stream gets its events in order in any case.
            in_order: plan.streams || plan.guarantee.ordered,
            accepted: [false; EVENTS + 1],
            receivers: vec![Receiver::default(); plan.faults.len()],
            account: Account { schedules: 1, ..Account::default() },
            broken: None,
        }
    }

    /// A law holds, or the schedule has failed.
    pub(super) fn law(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(what());
        }
    }

    /// The publisher has told the application that publishes: the event is accepted.
    pub(super) fn accepted(&mut self, event: u8) {
        self.accepted[usize::from(event)] = true;
    }

    /// The application has got it.
    pub(super) fn has(&self, receiver: usize, event: u8) -> bool {
        self.receivers[receiver].deliveries[usize::from(event)].handed > 0
    }

    /// The application of a receiver gets an event.
    pub(super) fn hand_over(&mut self, receiver: usize, event: u8, now: u64) {
        let (window, delivery) = (self.guarantee.window, self.guarantee.delivery);
        let in_order = self.in_order;
        let at = &mut self.receivers[receiver];
        let one = &mut at.deliveries[usize::from(event)];
        one.handed += 1;
        let forgotten = (at.new - one.new_at) as usize >= window;
        at.new += 1;
        one.new_at = at.new;
        let (again, given_up) = (one.handed > 1, one.given_up.is_some());
        let youngest = at.youngest;
        if !again {
            at.youngest = youngest.max(event);
            at.got.push((now, event));
        }
        self.account.repeated += u64::from(again);
        self.law(
            !again
                || delivery == Promise::AtLeastOnce
                || (delivery == Promise::ExactlyOnce && forgotten),
            || format!("{event} reaches the application of receiver {receiver} twice"),
        );
        self.law(again || !in_order || event > youngest || given_up, || {
            format!("receiver {receiver} gets {event} after {youngest}")
        });
    }

    /// A delivery is given up for a reason that is checked here.
    pub(super) fn give_up(&mut self, receiver: usize, event: u8, reason: Reason, is_so: bool) {
        let one = &mut self.receivers[receiver].deliveries[usize::from(event)];
        if one.given_up.is_some() {
            return;
        }
        one.given_up = Some(reason);
        self.law(is_so, || {
            format!("{event} at receiver {receiver} is given up for the wrong reason: {reason:?}")
        });
    }

    /// Nothing happens any more: whatever was accepted has been delivered, or was given up.
    pub(super) fn close(&mut self) {
        let mut lost_without_reason = None;
        for (receiver, at) in self.receivers.iter().enumerate() {
            for (event, one) in at.deliveries.iter().enumerate().filter(|(e, _)| self.accepted[*e])
            {
                self.account.due += 1;
                match (one.handed, one.given_up) {
                    (1.., _) => self.account.delivered += 1,
                    (0, Some(reason)) => self.account.lost[reason as usize] += 1,
                    (0, None) => lost_without_reason = Some((event, receiver)),
                }
            }
        }
        self.law(lost_without_reason.is_none(), || {
            let (event, receiver) = lost_without_reason.unwrap_or_default();
            format!("{event} was accepted, never reached receiver {receiver}, and was not given up")
        });
        let account = &self.account;
        let explained = account.due == account.delivered + account.lost.iter().sum::<u64>();
        self.law(explained, || "losses are not the sum of their reasons".to_owned());
    }

    /// What each receiver but the first got when.
    pub(super) fn others(&self) -> Vec<&[(u64, u8)]> {
        self.receivers[1..].iter().map(|at| &at.got[..]).collect()
    }
}

/// `1.234 ms`
pub(super) fn instant(ns: u64) -> String {
    format!("{:.3} ms", ns as f64 / MS as f64)
}
