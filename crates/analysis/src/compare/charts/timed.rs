//! Which times a page shows, derived from the scenario.

use crate::compare::{Point, Trials};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::metrics;
use pushbench_core::record::trial::Trial;

/// The times that a point reports.
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
        match (&point.design.subscribers, point.design.rate) {
            (Some(_), _) => Timed::Delivery,
            (None, None) => Timed::Service,
            (None, Some(_)) => Timed::Response,
        }
    }

    /// Whether the records keep what each second brought of them: of a fan-out they have the seconds of the
    /// publisher's answers, which are another thing than its deliveries.
    pub fn has_seconds(self) -> bool {
        self != Timed::Delivery
    }

    /// What an arm's trial brought of them per second.
    pub(super) fn per_second(self, trial: &Trial) -> Option<f64> {
        let metric = if self == Timed::Delivery { "deliveries_per_second" } else { "throughput" };
        (metrics::named(metric)?.value)(trial)
    }

    /// A trial's.
    pub(super) fn times(self, trial: &Trial) -> Option<&Hist> {
        match self {
            Timed::Response => Some(&trial.account.response),
            Timed::Service => Some(&trial.account.service),
            Timed::Delivery => trial.fanout.as_ref().map(|f| &f.deliveries.delivery),
        }
    }

    /// Those of an arm's valid trials, one each.
    pub(super) fn of_arm<'a>(self, trials: &Trials<'a>, arm: usize) -> Vec<&'a Hist> {
        trials.of_arm(arm).into_iter().filter_map(|t| self.times(t)).collect()
    }
}
