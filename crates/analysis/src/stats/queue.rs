//! Expected response times of a server that stops for a while, and of one that serves one event after the
//! other: the oracles of the self-test.

/// A server that stops, and how it answers otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Stop {
    /// When it stops, ns.
    pub from: u64,
    /// When it goes on, ns.
    pub until: u64,
    /// Its undisturbed service time, ns.
    pub service_ns: u64,
    /// Time between two answers while it works off what has queued, ns.
    pub drain_gap_ns: u64,
}

/// The response time (answer − due) of each event of an open schedule.
///
/// An event due in the stop waits for its end; those that have queued are then answered one after
/// the other, first in, first out, `drain_gap_ns` apart, and so is whoever arrives before the queue
/// is empty. Everybody else takes `service_ns`. An event already being served when the stop begins
/// (due less than `service_ns` before it) waits as well.
pub fn responses(due: &[u64], stop: &Stop) -> Vec<u64> {
    let mut last_done = 0;
    let mut responses = Vec::with_capacity(due.len());
    for &due in due {
        let undisturbed = due + stop.service_ns;
        let done = if undisturbed <= stop.from || due >= stop.until {
            undisturbed
        } else {
            stop.until + stop.service_ns
        };
        let caught = due < stop.until && undisturbed > stop.from;
        let queued = last_done > due && last_done > stop.until;
        let done = if caught || queued { done.max(last_done + stop.drain_gap_ns) } else { done };
        last_done = last_done.max(done);
        responses.push(done - due);
    }
    responses
}

/// What one event takes of a server, ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// From the start of its service to its answer.
    pub answered_ns: u64,
    /// From the start of its service until the server is free again.
    pub busy_ns: u64,
}

/// The response time (answer − due) of each event of one server, in the order in which it serves them: a service
/// begins when the event is due and the server is free (Lindley's recursion).
pub fn first_in_first_out(events: impl IntoIterator<Item = (u64, Work)>) -> Vec<u64> {
    let mut free = 0;
    let response = |(due, work): (u64, Work)| {
        let start = free.max(due);
        free = start + work.busy_ns;
        start + work.answered_ns - due
    };
    events.into_iter().map(response).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A server that is looked at every nanosecond.
        #[test]
        fn the_recursion_gives_what_a_simulated_server_gives(
            gaps in proptest::collection::vec((0..30u64, 1..20u64, 0..4u64), 1..40)
        ) {
            let mut due = 0;
            let events: Vec<(u64, Work)> = gaps.iter().map(|(gap, answered_ns, more)| {
                due += gap;
                (due, Work { answered_ns: *answered_ns, busy_ns: answered_ns + more })
            }).collect();
            let mut simulated = Vec::new();
            let mut queue = std::collections::VecDeque::new();
            let mut next = events.iter().peekable();
            let mut serving: Option<(u64, u64, Work)> = None;
            for now in 0.. {
                while let Some((due, work)) = next.next_if(|(due, _)| *due <= now) {
                    queue.push_back((*due, *work));
                }
                if serving.is_some_and(|(_, start, work)| start + work.busy_ns == now) {
                    serving = None;
                }
                if serving.is_none() {
                    serving = queue.pop_front().map(|(due, work)| (due, now, work));
                }
                if let Some((due, start, work)) = serving
                    && start + work.answered_ns == now + 1
                {
                    simulated.push(now + 1 - due);
                }
                if simulated.len() == events.len() {
                    break;
                }
            }
            prop_assert_eq!(first_in_first_out(events), simulated);
        }
    }

    #[test]
    fn constant_services_wait_as_long_as_the_formula_of_m_d_1_says() {
        use rand::SeedableRng as _;
        use rand_distr::Distribution as _;
        let (service, busy) = (1e6, 0.7);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut due = 0.0;
        let work = Work { answered_ns: service as u64, busy_ns: service as u64 };
        let events = (0..400_000).map(|_| {
            let gap: f64 = rand_distr::Exp1.sample(&mut rng);
            due += gap * service / busy;
            (due as u64, work)
        });
        let responses = first_in_first_out(events);
        let mean = responses.iter().sum::<u64>() as f64 / responses.len() as f64;
        let formula = service + busy * service / (2.0 * (1.0 - busy));
        assert!((mean / formula - 1.0).abs() < 0.03, "{mean} {formula}");
    }

    const STOP: Stop = Stop { from: 1_000, until: 2_000, service_ns: 10, drain_gap_ns: 5 };

    #[test]
    fn events_outside_the_stop_take_their_service_time() {
        assert_eq!(responses(&[0, 500, 990, 3_000], &STOP), [10, 10, 10, 10]);
    }

    #[test]
    fn events_in_the_stop_wait_for_its_end_and_drain_in_order() {
        // Done at 2010, 2015, 2020.
        assert_eq!(responses(&[1_000, 1_500, 1_900], &STOP), [1_010, 515, 120]);
    }

    #[test]
    fn whoever_comes_while_the_queue_drains_waits_too() {
        // Done at 2010, 2015; the last is due at 2012 and done at 2022 as usual.
        assert_eq!(responses(&[1_100, 2_001, 2_012], &STOP), [910, 14, 10]);
    }

    #[test]
    fn an_event_in_service_is_caught() {
        assert_eq!(responses(&[995], &STOP), [1_015]);
    }
}
