//! Expected waiting times for a server that stops for a while: the oracle of the freeze self-test.

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

#[cfg(test)]
mod tests {
    use super::*;

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
