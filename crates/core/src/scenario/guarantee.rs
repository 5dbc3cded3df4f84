//! `[guarantee]` and `[faults]` against the rest of a scenario: keys that contradict each other are refused.

use crate::guarantee::Guarantee;
use crate::scenario::draft::{Draft, Wrong};
use crate::scenario::shape::Process;
use crate::scenario::{Faults, Flow, Scenario};
use crate::units;
use std::time::Duration;

fn text(length: Duration) -> String {
    units::nanos_text(length.as_nanos() as f64)
}

impl Draft {
    /// Refuses keys of `[guarantee]` and `[faults]` that contradict each other or the rest.
    pub(super) fn check_guarantee(&self) -> Result<(), Wrong> {
        self.check_promise(&self.guarantee)?;
        self.check_faults(&self.faults)
    }

    fn check_promise(&self, guarantee: &Guarantee) -> Result<(), Wrong> {
        if guarantee.is_default() {
            return Ok(());
        }
        if !matches!(self.flow, Flow::Fanout | Flow::Ingest) {
            let why = "it belongs to flow = \"fanout\" or \"ingest\": leave it out";
            return Err(Wrong::new("guarantee.delivery", why).against("flow"));
        }
        let default = Guarantee::default();
        let needs_retries = [
            ("guarantee.ordered", guarantee.ordered),
            ("guarantee.backoff", guarantee.backoff != default.backoff),
            ("guarantee.backoff_max", guarantee.backoff_max != default.backoff_max),
            ("guarantee.jitter", guarantee.jitter != default.jitter),
            ("guarantee.attempts", guarantee.attempts != default.attempts),
            ("guarantee.log", guarantee.log != default.log),
        ];
        if let Some((key, _)) = needs_retries
            .into_iter()
            .find(|(_, set)| *set && !guarantee.retries() && !self.promise_is_swept)
        {
            let why = "with at most one attempt nothing is tried again or replayed: write guarantee.delivery = \
                       \"at-least-once\" or \"exactly-once\", or leave it out";
            return Err(Wrong::new(key, why).against("guarantee.delivery"));
        }
        if guarantee.window != default.window && !guarantee.deduplicates() && !self.promise_is_swept
        {
            let why = "only exactly-once removes duplicates: write guarantee.delivery = \"exactly-once\", or leave it out";
            return Err(Wrong::new("guarantee.window", why).against("guarantee.delivery"));
        }
        if guarantee.backoff_max < guarantee.backoff {
            let why = format!(
                "{}: the first pause is longer: write at least {}",
                text(guarantee.backoff_max),
                text(guarantee.backoff)
            );
            return Err(Wrong::new("guarantee.backoff_max", why).against("guarantee.backoff"));
        }
        if guarantee.retries() && self.acknowledged == Some(false) {
            let why = "without acknowledgements nobody knows what to send again, and where to resume: leave it out, or write \
                       guarantee.delivery = \"at-most-once\"";
            return Err(Wrong::new("delivery.acknowledged", why).against("guarantee.delivery"));
        }
        if self.flow == Flow::Ingest {
            self.check_ingest(guarantee)?;
        }
        if guarantee.retries() && self.fanout.backoff.is_some() {
            let why = "guarantee.backoff says when a subscriber connects again: leave it out";
            return Err(Wrong::new("subscribers.backoff", why).against("guarantee.delivery"));
        }
        if guarantee.retries() && self.fanout.stay.is_some() {
            let why = "a subscriber that leaves of its own will resumes nothing: leave it out, or write guarantee.delivery = \
                       \"at-most-once\"";
            return Err(Wrong::new("subscribers.stay", why).against("guarantee.delivery"));
        }
        Ok(())
    }

    /// Where the driver sends the events it has no store and no log, and many connections.
    fn check_ingest(&self, guarantee: &Guarantee) -> Result<(), Wrong> {
        let of_publisher = [
            ("guarantee.durable", guarantee.durable),
            ("guarantee.ordered", guarantee.ordered),
            ("guarantee.log", guarantee.log != Guarantee::default().log),
        ];
        if let Some((key, _)) = of_publisher.into_iter().find(|(_, set)| *set) {
            let why = "it is the publisher's, and in this flow the driver sends the events, over all of its connections: \
                       leave it out, or choose flow = \"fanout\"";
            return Err(Wrong::new(key, why).against("flow"));
        }
        if guarantee.retries() && self.arrivals == Process::Closed {
            let why = "in a closed loop an event that is sent again would hold back those behind it: leave it out, or write \
                       load.arrivals = \"poisson\" and a load.rate";
            return Err(Wrong::new("guarantee.delivery", why).against("load.arrivals"));
        }
        Ok(())
    }

    fn check_faults(&self, faults: &Faults) -> Result<(), Wrong> {
        if faults.is_default() {
            return Ok(());
        }
        let default = Faults::default();
        if !matches!(self.flow, Flow::Fanout | Flow::Ingest) {
            let why = "faults belong to flow = \"fanout\" or \"ingest\": leave it out";
            return Err(Wrong::new("faults.at", why).against("flow"));
        }
        if faults.at != default.at && faults.planned().is_none() {
            let why = "nothing is planned for that instant: write faults.outage, faults.cut or faults.kill, or leave it out";
            return Err(Wrong::new("faults.at", why).against("faults.outage"));
        }
        let planned = [
            ("faults.cut", faults.cut),
            ("faults.kill", faults.kill),
            ("faults.outage", !faults.outage.is_zero()),
        ];
        let given: Vec<_> = planned.into_iter().filter(|(_, given)| *given).collect();
        if let [(key, _), (other, _), ..] = given[..] {
            let why = "an outage, a cut and a kill have one instant, and what is recovered from would not be known: write one of them";
            return Err(Wrong::new(key, why).against(other));
        }
        if let Some((at, lasts)) =
            faults.planned().filter(|(at, lasts)| *at + *lasts >= self.duration)
        {
            let (end, key) = match lasts.is_zero() {
                true => (text(at), "faults.at"),
                false => (text(at + lasts), "faults.outage"),
            };
            let why = format!(
                "it would last until {end}, and the measured window is over by then: write less, or a longer load.duration"
            );
            return Err(Wrong::new(key, why).against("load.duration"));
        }
        if faults.kill && self.restart_after.is_some() {
            let why = "faults.kill restarts the publisher: leave one of them out";
            return Err(Wrong::new("faults.restart_after", why).against("faults.kill"));
        }
        let waits = faults.status_503 + faults.status_429 > 0.0;
        if faults.retry_after != default.retry_after && !waits {
            let why = "only a 503 and a 429 say when to try again: write faults.status.503 or faults.status.429, or leave it out";
            return Err(Wrong::new("faults.retry_after", why).against("faults.status.503"));
        }
        if faults.retry_after.subsec_nanos() != 0 {
            let why = format!(
                "{}: Retry-After is a number of seconds: write whole seconds",
                text(faults.retry_after)
            );
            return Err(Wrong::new("faults.retry_after", why));
        }
        let count = self.subscribers.unwrap_or(self.fanout.count);
        if faults.poison > 0 && (!self.flow.publishes() || faults.poison >= count) {
            let why = format!(
                "{}: there would be no receiver left: write fewer than the {count} subscribers",
                faults.poison
            );
            return Err(Wrong::new("faults.poison", why).against("subscribers.count"));
        }
        if let Some(key) = self.fanout.unsteady().filter(|_| faults.any()) {
            let why =
                "what faults do is counted for subscribers that stay and respond: leave it out";
            return Err(Wrong::new(key, why).against("faults.at"));
        }
        Ok(())
    }
}

impl Scenario {
    /// That the publisher's log holds fewer events than are published while receivers are away, and how many those are;
    /// `None` where it holds them, and where nothing is resumed.
    pub fn log_shortfall(&self) -> Option<String> {
        let (guarantee, outage) = (&self.guarantee, self.faults.outage);
        let resumes = guarantee.retries() && self.flow.publishes() && !outage.is_zero();
        // After the outage a receiver may still wait for the longest pause.
        let away = outage + guarantee.backoff_max.min(outage.max(guarantee.backoff));
        let events = (self.load.rate.filter(|_| resumes)? * away.as_secs_f64()).ceil() as usize;
        (events > guarantee.log).then(|| {
            format!(
                "guarantee.log: the publisher keeps {} events, and about {events} are published while receivers are away, up to {}: \
                 subscribers that resume will miss some, unless it is {events} or more",
                guarantee.log,
                text(away)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::guarantee::{Guarantee, Jitter, Promise};
    use crate::scenario::{Override, Scenario, load};

    fn with(scenario: &str, set: &[(&str, &str)]) -> Result<Scenario, String> {
        let overrides = set.iter().map(|(key, value)| Override {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            origin: format!("--set {key}={value}"),
        });
        let question = load(scenario, &overrides.collect::<Vec<_>>());
        question.map(|q| q.points[0].scenario.clone()).map_err(|e| e.to_string())
    }

    #[test]
    fn keys_of_a_guarantee_become_a_policy() {
        assert_eq!(with("fanout", &[]).unwrap().guarantee, Guarantee::default());
        let set = [("guarantee.delivery", "exactly-once"), ("guarantee.jitter", "none")];
        let guarantee = with("fanout", &set).unwrap().guarantee;
        assert_eq!((guarantee.delivery, guarantee.jitter), (Promise::ExactlyOnce, Jitter::None));
        let words = "exactly once, back-off 100 ms to 10.0 s without jitter, 10 attempts";
        assert_eq!(guarantee.words(), words);
        let set = [("faults.outage", "500ms"), ("faults.at", "200ms"), ("faults.status.503", "1%")];
        let faults = with("fanout", &set).unwrap().faults;
        assert_eq!(faults.words(), "receivers down for 500 ms after 200 ms, 1 % refused with 503");
    }

    #[test]
    fn a_log_that_is_too_small_for_the_outage_is_named_with_the_number() {
        let set = |log: &'static str| {
            let set = [
                ("guarantee.delivery", "at-least-once"),
                ("faults.outage", "400ms"),
                ("faults.at", "100ms"),
                ("load.rate", "100"),
                ("guarantee.log", log),
            ];
            with("fanout", &set).unwrap().log_shortfall()
        };
        assert_eq!(set("80"), None);
        let named = set("79").unwrap();
        assert!(named.contains("keeps 79 events") && named.contains("about 80 are"), "{named}");
    }

    #[test]
    fn contradictions_are_refused_with_a_remedy() {
        for (scenario, set, why) in [
            (
                "idle",
                &[("guarantee.delivery", "at-least-once")][..],
                "flow = \"fanout\" or \"ingest\"",
            ),
            (
                "fanout",
                &[("guarantee.ordered", "true")],
                "write guarantee.delivery = \"at-least-once\"",
            ),
            (
                "fanout",
                &[("guarantee.attempts", "3")],
                "write guarantee.delivery = \"at-least-once\"",
            ),
            (
                "fanout",
                &[("guarantee.delivery", "at-least-once"), ("guarantee.window", "10")],
                "write guarantee.delivery = \"exactly-once\"",
            ),
            (
                "fanout",
                &[("guarantee.delivery", "at-least-once"), ("delivery.acknowledged", "false")],
                "leave it out",
            ),
            (
                "fanout",
                &[("guarantee.delivery", "at-least-once"), ("guarantee.backoff_max", "1ms")],
                "write at least 100 ms",
            ),
            (
                "ingest",
                &[("guarantee.delivery", "at-least-once"), ("guarantee.durable", "true")],
                "choose flow = \"fanout\"",
            ),
            (
                "ingest",
                &[("guarantee.delivery", "at-least-once"), ("guarantee.ordered", "true")],
                "choose flow = \"fanout\"",
            ),
            (
                "saturate",
                &[("guarantee.delivery", "at-least-once")],
                "write load.arrivals = \"poisson\"",
            ),
            ("fanout", &[("faults.at", "100ms")], "write faults.outage, faults.cut or faults.kill"),
            ("fanout", &[("faults.cut", "true"), ("faults.kill", "true")], "write one of them"),
            ("fanout", &[("faults.outage", "1m")], "a longer load.duration"),
            ("fanout", &[("faults.retry_after", "2s")], "write faults.status.503"),
            (
                "fanout",
                &[("faults.status.503", "1%"), ("faults.retry_after", "1500ms")],
                "write whole seconds",
            ),
            ("fanout", &[("faults.poison", "1000000")], "write fewer than the"),
        ] {
            let refused = with(scenario, set).unwrap_err();
            assert!(refused.contains(why) && refused.starts_with("--set "), "{refused}");
        }
    }
}
