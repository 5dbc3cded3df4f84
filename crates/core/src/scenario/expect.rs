//! `[expect]`: which figures may be limited, and what their limits are written as.

use crate::record::metrics;
use crate::record::metrics::Unit;
use crate::scenario::Expectation;
use crate::scenario::kind::{Kind as _, Length, Number};
use crate::scenario::raw::Raw;
use serde_json::Value as Json;
use std::time::Duration;

/// Figures that may be limited in addition to the metrics: counted outcomes.
const FATES: [(&str, &str); 13] = [
    ("lost", "events, in a fan-out deliveries too, whose connection ended after they were sent"),
    ("failed", "events with a wrong answer, refused, or beyond the backlog, and their deliveries"),
    ("timed_out", "events without an answer within load.timeout, deliveries that did not arrive"),
    ("duplicated", "second answers to an event, deliveries that arrived twice"),
    ("reordered", "answers, or deliveries, that overtook those of an older event"),
    ("unsolicited", "answers, or deliveries, that belong to no event of the run"),
    ("unwanted", "in a fan-out: deliveries of a type that the subscriber does not want"),
    ("overflowed", "in a fan-out: deliveries rejected because a subscriber's queue was full"),
    ("lost_for_good", "deliveries, warm-up included, that never reached the application"),
    ("duplicates_on_wire", "arrivals, warm-up included, of events that their receiver had already"),
    ("duplicates_to_application", "of these, the ones that were handed to the application again"),
    ("out_of_order", "first deliveries to the application behind a younger event"),
    ("not_accepted", "events that the publisher did not accept"),
];

const TIME: Length = Length(Duration::ZERO);

/// A figure that may be limited.
pub struct Figure {
    /// `response.p99`
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    unit: Unit,
}

/// Every figure that `[expect]` accepts.
pub fn figures() -> Vec<Figure> {
    let outcomes = FATES.into_iter().map(|(name, about)| Figure { name, about, unit: Unit::Count });
    let expected = |m: &&metrics::Metric| {
        let name = m.name;
        name.starts_with("response.")
            || name.starts_with("service.")
            || name == "throughput"
            || name == "target_usage.cpu_ns_per_event"
            || m.subject != metrics::Subject::Event
    };
    let metrics = metrics::METRICS.iter().filter(expected);
    outcomes.chain(metrics.map(|m| Figure { name: m.name, about: m.about, unit: m.unit })).collect()
}

impl Figure {
    fn number(&self) -> Number {
        let (unit, most) = match self.unit {
            Unit::Count => ("a number of events", f64::INFINITY),
            Unit::Share => ("a part of all", 1.0),
            other => (other.name(), f64::INFINITY),
        };
        Number { unit, zero: true, most }
    }

    /// What its limit takes, in words.
    pub fn takes(&self) -> String {
        if self.unit == Unit::Nanoseconds { TIME.takes() } else { self.number().takes() }
    }

    /// The JSON Schema of its limit.
    pub fn schema(&self) -> Json {
        if self.unit == Unit::Nanoseconds { TIME.schema() } else { self.number().schema() }
    }

    /// Adds its limit to the lines of a table, in place of an earlier one.
    pub(super) fn limit(&self, lines: &mut Vec<Expectation>, raw: &Raw) -> Result<(), String> {
        let limit = match self.unit {
            Unit::Nanoseconds => TIME.read(raw)?.as_nanos() as f64,
            _ => self.number().read(raw)?,
        };
        lines.retain(|e| e.what != self.name);
        lines.push(Expectation { what: self.name.to_owned(), limit });
        Ok(())
    }
}
