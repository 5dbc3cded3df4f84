//! The words in the charts of each flow.

use pushbench_analysis::compare::Point;
use pushbench_analysis::compare::charts::timed::Timed;
use pushbench_core::scenario::Flow;

/// The words of a point.
pub struct Words {
    /// A time of the percentiles, on an axis.
    pub time: &'static str,
    /// Several of them.
    pub times: &'static str,
    /// The short form, before a percentile.
    pub answer: &'static str,
    /// What is counted per second.
    pub answered: &'static str,
}

/// Those of a point.
pub fn words(point: &Point) -> Words {
    let duplex = point.design.flow == Flow::Duplex;
    let (time, times, answer) = match (Timed::of(point), duplex) {
        (Timed::Delivery, _) => {
            ("delivery time", "times from due to read by a subscriber", "delivery")
        }
        (Timed::Service, _) => ("service time", "service times", "service"),
        (Timed::Response, true) => ("time to the answer", "times to the answer", "answer"),
        (Timed::Response, false) => ("response time", "responses", "response"),
    };
    let answered = match point.design.flow {
        Flow::Ingest => "acknowledged events",
        Flow::Fanout | Flow::Idle => "deliveries",
        Flow::Duplex => "answered questions",
    };
    Words { time, times, answer, answered }
}
