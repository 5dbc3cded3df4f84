//! The rows of the parity table about what a delivery promises and what breaks.

use crate::compare::parity::{Known, Property};
use crate::compare::{GuaranteeFigures, Trials, guarantee};
use pushbench_core::guarantee::{Guarantee, Promise};
use pushbench_core::record::effective_config::EffectiveConfig;
use pushbench_core::record::run::{ArmHeader, PointHeader};
use pushbench_core::scenario::Faults;

/// The rows, where the scenario has a guarantee or faults. What the counts under faults show is tested; what a
/// foreign publisher does otherwise is unknown.
pub(super) fn promises(
    header: &PointHeader,
    configs: &[Option<EffectiveConfig>],
    trials: &Trials<'_>,
) -> Vec<(&'static str, Vec<Property>)> {
    let (promised, faults) = (&header.scenario.guarantee, &header.scenario.faults);
    let fans_out = header.scenario.subscribers.is_some();
    if promised.is_default() && !faults.any() {
        return Vec::new();
    }
    let side = |(arm, (header, config)): (usize, (&ArmHeader, &Option<EffectiveConfig>))| Side {
        promised,
        faults,
        seen: guarantee::figures(arm, trials),
        ours: config.is_some(),
        stream: header.transport != "webhook",
        fans_out,
    };
    let sides: Vec<Side<'_>> = header.arms.iter().zip(configs).enumerate().map(side).collect();
    let each = |of: fn(&Side<'_>) -> Property| sides.iter().map(of).collect();
    let mut rows = vec![
        ("delivery", each(|s| s.delivery())),
        ("retries", each(|s| s.retries())),
        ("resume", each(|s| s.resume())),
        ("order of deliveries", each(|s| s.order())),
        ("deduplication", each(|s| s.deduplication())),
        ("faults", each(|s| s.faults())),
    ];
    if fans_out {
        rows.push(("durability", each(|s| s.durability())));
    }
    rows
}

/// One arm under a guarantee or under faults.
struct Side<'a> {
    promised: &'a Guarantee,
    faults: &'a Faults,
    seen: Option<GuaranteeFigures>,
    /// Its target is built in.
    ours: bool,
    /// Receivers connect.
    stream: bool,
    /// The target publishes; else it receives what the driver sends.
    fans_out: bool,
}

impl Side<'_> {
    /// What the target does, which only our own says.
    fn of_target(&self, value: String) -> Property {
        Property::declared(Some(value).filter(|_| self.ours))
    }

    /// The figures, where something of what was planned broke.
    fn broken(&self) -> Option<&GuaranteeFigures> {
        self.seen.as_ref().filter(|g| g.fault.is_some() || g.met_by_fault + g.lost_acks > 0)
    }

    /// Without a fault a promise is not put to the test.
    fn delivery(&self) -> Property {
        let promise = self.promised.delivery;
        let known = |g: &&GuaranteeFigures| g.counts.duplicates_to_application.is_some();
        let Some(g) = self.broken().filter(known) else {
            return self.of_target(promise.words().to_owned());
        };
        let lost = g.counts.lost_for_good;
        let twice = g.counts.duplicates_to_application.unwrap_or(0);
        let kept = match promise {
            Promise::AtMostOnce => twice == 0,
            Promise::AtLeastOnce => lost == 0,
            Promise::ExactlyOnce => g.counts.delivered_once == Some(g.due),
        };
        let value = match kept {
            true => promise.words().to_owned(),
            false => format!("{}: {lost} lost, {twice} twice", promise.words()),
        };
        Property { value, known: Known::Tested }
    }

    fn retries(&self) -> Property {
        let policy = self.promised.words();
        let policy = policy.split_once("back-off").map(|(_, policy)| format!("back-off{policy}"));
        let declared = |words: String| Property::declared(Some(words));
        match (policy, self.fans_out, self.stream) {
            (None, false, _) => declared("none".to_owned()),
            (None, true, _) => self.of_target("none".to_owned()),
            (Some(policy), false, _) => declared(format!("driver sends again: {policy}")),
            // Receivers are the driver's.
            (Some(policy), true, true) => declared(format!("receivers connect again: {policy}")),
            (Some(policy), true, false) => {
                self.of_target(format!("publisher sends again: {policy}"))
            }
        }
    }

    fn resume(&self) -> Property {
        self.of_target(match (self.promised.retries(), self.stream && self.fans_out) {
            (true, true) => {
                format!("after the last acknowledged event, from a log of {}", self.promised.log)
            }
            (true, false) => "not needed: each delivery is sent until acknowledged".to_owned(),
            (false, _) => "none".to_owned(),
        })
    }

    fn order(&self) -> Property {
        let Some(out_of_order) = self.seen.as_ref().and_then(|g| g.counts.out_of_order) else {
            let promised = if self.promised.ordered { "in order" } else { "not promised" };
            return self.of_target(promised.to_owned());
        };
        let value = if out_of_order == 0 { "in order" } else { "not in order" };
        Property { value: value.to_owned(), known: Known::Tested }
    }

    /// The death of the process can be tested, a loss of power cannot.
    fn durability(&self) -> Property {
        let value = match self.promised.durable {
            true => "on disk before it is acknowledged",
            false => "in memory",
        };
        let outlived = self.faults.kill && self.seen.as_ref().is_some_and(|g| g.lost.restart == 0);
        match self.promised.durable && self.ours && outlived {
            true => Property {
                value: format!("{value}; death of the process, not loss of power"),
                known: Known::Tested,
            },
            false => self.of_target(value.to_owned()),
        }
    }

    /// In a fan-out the receiver is the driver's over every transport.
    fn deduplication(&self) -> Property {
        if !self.promised.deduplicates() {
            return Property::declared(Some("none".to_owned()));
        }
        let value = format!("by id, the last {}", self.promised.window);
        let removed = self.seen.as_ref().is_some_and(|g| {
            g.counts.duplicates_on_wire > Some(0) && g.counts.duplicates_to_application == Some(0)
        });
        match (removed, self.fans_out) {
            (true, _) => Property { value, known: Known::Tested },
            (false, true) => Property::declared(Some(value)),
            (false, false) => self.of_target(value),
        }
    }

    fn faults(&self) -> Property {
        let words = if self.faults.any() { self.faults.words() } else { "none".to_owned() };
        let met = self.faults.any() && self.broken().is_some();
        Property { value: words, known: if met { Known::Tested } else { Known::Declared } }
    }
}
