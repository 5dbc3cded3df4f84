//! What the charts of a flow call what they show.

use crate::compare::Point;
use crate::compare::page::timed::Timed;
use crate::scenario::Flow;

/// The words of a point.
pub struct Words {
    /// A time of the percentiles, on an axis.
    pub time: &'static str,
    /// Several of them.
    pub times: &'static str,
    /// A time of what every second brought, on an axis.
    pub answer: &'static str,
    /// What is counted a second.
    pub answered: &'static str,
    /// What a reader must know of the seconds, before how they are read.
    pub of_seconds: &'static str,
}

/// Those of a point.
pub fn words(point: &Point) -> Words {
    let closed = Timed::of_answers(point) == Timed::Service;
    let asked = point.design.flow == Flow::Duplex;
    let (time, times, answer) = match (closed, asked) {
        (true, _) => ("service time", "service times", "service"),
        (false, true) => ("time to the answer", "times to the answer", "answer"),
        (false, false) => ("response time", "responses", "response"),
    };
    let answered = if asked { "answered questions" } else { "acknowledged events" };
    match Timed::of(point) {
        Timed::Delivery => Words {
            time: "delivery time",
            times: "times from due to read by a subscriber",
            answer: "publishing",
            answered: "published events",
            of_seconds: "What the publisher answered to the application, second by second: deliveries have no seconds of their own in the records. ",
        },
        Timed::Response | Timed::Service => Words { time, times, answer, answered, of_seconds: "" },
    }
}
