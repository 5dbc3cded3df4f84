//! The lines of `[expect]`: each arm's figure against its limit.

use crate::compare::{ArmFigures, Trials};
use pushbench_core::record::fanout::Deliveries;
use pushbench_core::record::guarantee::GuaranteeRecord;
use pushbench_core::record::metrics;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::Expectation;
use serde::Serialize;

/// How an expectation came out for an arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Within the limit.
    Met,
    /// Beyond it.
    Failed,
    /// The figure could not be measured.
    CannotTell,
}

/// One line of `[expect]` for one arm.
#[derive(Debug, Clone, Serialize)]
pub struct Expected {
    /// The figure.
    pub what: String,
    /// The arm.
    pub arm: String,
    /// Its limit.
    pub limit: f64,
    /// What was measured.
    pub value: Option<f64>,
    /// How it came out.
    pub outcome: Outcome,
}

/// Judges every expectation for every arm.
pub fn judge(expect: &[Expectation], arms: &[ArmFigures], trials: &Trials<'_>) -> Vec<Expected> {
    let mut judged = Vec::new();
    for e in expect {
        for (i, arm) in arms.iter().enumerate() {
            let value = value(&e.what, arm, i, trials);
            let more_is_better = metrics::named(&e.what).is_some_and(|m| m.more_is_better);
            let outcome = match value {
                None => Outcome::CannotTell,
                Some(v) if more_is_better && v < e.limit => Outcome::Failed,
                Some(v) if !more_is_better && v > e.limit => Outcome::Failed,
                Some(_) => Outcome::Met,
            };
            judged.push(Expected {
                what: e.what.clone(),
                arm: arm.arm.clone(),
                limit: e.limit,
                value,
                outcome,
            });
        }
    }
    judged
}

fn arrivals(trial: &Trial) -> Option<&GuaranteeRecord> {
    trial.guarantee.as_ref().filter(|g| !g.arrivals_are_unknown)
}

fn value(what: &str, arm: &ArmFigures, index: usize, trials: &Trials<'_>) -> Option<f64> {
    // Outcomes count in every trial that can be counted; a voided one still lost what it lost.
    let outcome = |of: fn(&Trial) -> Option<u64>| {
        let mine: Option<Vec<u64>> =
            trials.all.iter().filter(|t| t.arm == index).map(|t| of(t)).collect();
        mine.filter(|m| !m.is_empty()).map(|m| m.iter().sum::<u64>() as f64)
    };
    match what {
        "lost" => outcome(|t| Some(t.account.measured.lost + deliveries(t, |d| d.measured.lost))),
        "failed" => {
            outcome(|t| Some(t.account.measured.failed + deliveries(t, |d| d.measured.failed)))
        }
        "timed_out" => outcome(|t| {
            Some(t.account.measured.timed_out + deliveries(t, |d| d.measured.timed_out))
        }),
        "duplicated" => outcome(|t| Some(t.account.duplicated? + deliveries(t, |d| d.duplicated))),
        "reordered" => outcome(|t| Some(t.account.reordered? + deliveries(t, |d| d.reordered))),
        "unsolicited" => {
            outcome(|t| Some(t.account.unsolicited + deliveries(t, |d| d.unsolicited)))
        }
        "unwanted" => outcome(|t| t.fanout.as_ref()?.deliveries.unwanted),
        "overflowed" => outcome(|t| Some(t.fanout.as_ref()?.publisher?.overflowed)),
        "lost_for_good" => outcome(|t| Some(t.guarantee.as_ref()?.lost.sum())),
        "duplicates_on_wire" => outcome(|t| Some(arrivals(t)?.duplicates_on_wire)),
        "duplicates_to_application" => outcome(|t| Some(arrivals(t)?.duplicates_to_application)),
        "out_of_order" => outcome(|t| Some(arrivals(t)?.out_of_order)),
        "not_accepted" => outcome(|t| Some(t.guarantee.as_ref()?.not_accepted)),
        metric => arm.figure(metric),
    }
}

/// A count of a fan-out's deliveries; none in another flow.
fn deliveries(trial: &Trial, of: fn(&Deliveries) -> u64) -> u64 {
    trial.fanout.as_ref().map_or(0, |f| of(&f.deliveries))
}
