//! Which times a page shows: what was asked decides.

use crate::compare::{Point, Trials};
use crate::record::histogram::Hist;
use crate::record::trial::Trial;

/// The times that a point speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timed {
    /// From due to answered.
    Response,
    /// From sent to answered: a closed loop has no due instants of its own.
    Service,
    /// From due to read by a subscriber.
    Delivery,
}

impl Timed {
    /// Those of a point.
    pub fn of(point: &Point) -> Timed {
        match point.design.subscribers {
            Some(_) => Timed::Delivery,
            None => Timed::of_answers(point),
        }
    }

    /// Those that every second of a point has: of what was answered, which in a fan-out is the publisher's
    /// word that it took the event.
    pub fn of_answers(point: &Point) -> Timed {
        if point.design.rate.is_none() { Timed::Service } else { Timed::Response }
    }

    /// A trial's.
    pub(super) fn times(self, trial: &Trial) -> Option<&Hist> {
        match self {
            Timed::Response => Some(&trial.response),
            Timed::Service => Some(&trial.service),
            Timed::Delivery => trial.fanout.as_ref().map(|f| &f.deliveries.delivery),
        }
    }

    /// Those of an arm's valid trials, one each.
    pub(super) fn of_arm<'a>(self, trials: &Trials<'a>, arm: usize) -> Vec<&'a Hist> {
        trials.of_arm(arm).into_iter().filter_map(|t| self.times(t)).collect()
    }
}
