//! Answers that wait for a delayed acknowledgement: a server writes an answer in two pieces without
//! TCP_NODELAY. Nagle's algorithm holds the second piece until the first is acknowledged, and the receiver
//! delays that acknowledgement by 40 ms.

use pushbench_core::record::trial::Trial;

/// Linux delays an acknowledgement by 40 ms (HZ / 25), rounded up to its timer's grid; ns.
const DELAY_NS: std::ops::RangeInclusive<u64> = 38_000_000..=52_000_000;
/// Whoever uses less than this part of a CPU waits for something else.
const IDLE: f64 = 0.5;
/// Two pieces for each event, with room for answers that came as one.
const TWO: f64 = 1.8;
/// An acknowledgement without data for each event, with the same room.
const ONE: f64 = 0.8;

/// What to change in a server with delayed answers.
pub(crate) const CURE: &str =
    "set TCP_NODELAY on its connections, or write head and body of an answer in one call";

/// True when the median answer of a trial waited for a delayed acknowledgement.
pub fn waits(trial: &Trial) -> bool {
    let median = trial.account.service.quantile(0.5);
    let target_busy = trial.target.map_or(0.0, |t| t.cpu_ns as f64 / trial.window_ns as f64);
    let idle = trial.driver.busy < IDLE && target_busy < IDLE;
    median.is_some_and(|ns| DELAY_NS.contains(&ns)) && idle && in_two_pieces(trial)
}

/// Each answer came in two segments with data, and the driver acknowledged one of them by a segment without.
fn in_two_pieces(trial: &Trial) -> bool {
    let t = &trial.account.traffic;
    let events = trial.account.sent as f64;
    // Runs of older versions did not tell segments with data apart.
    let (pieces, acknowledgements) = match t.data_segments_in {
        0 => (t.segments_in, t.segments_out.saturating_sub(trial.account.sent)),
        with_data => (with_data, t.segments_out.saturating_sub(t.data_segments_out)),
    };
    pieces as f64 >= events * TWO && acknowledgements as f64 >= events * ONE
}

/// Whether most of an arm's trials did.
pub fn of_arm(trials: &[&Trial]) -> bool {
    2 * trials.iter().filter(|t| waits(t)).count() > trials.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::sample;
    use crate::compare::sample::Block;

    /// A trial whose answers take so long, in so many segments with data, with so many acknowledgements
    /// without.
    fn trial(service: u64, pieces: u64, acknowledgements: u64) -> Trial {
        let mut trial = sample::trial("webhook@a", 0, 0, &Block::of(service, 40_000));
        trial.account.traffic.data_segments_in = pieces * trial.account.sent;
        trial.account.traffic.segments_in = trial.account.traffic.data_segments_in;
        trial.account.traffic.segments_out = (1 + acknowledgements) * trial.account.sent;
        trial
    }

    #[test]
    fn two_pieces_forty_milliseconds_apart_are_recognised() {
        for service in [40_000_000, 44_000_000, 48_000_000] {
            assert!(waits(&trial(service, 2, 1)), "{service}");
        }
        let mut older = trial(44_000_000, 2, 1);
        (older.account.traffic.data_segments_in, older.account.traffic.data_segments_out) = (0, 0);
        assert!(waits(&older));
        older.target = None;
        assert!(waits(&older), "a target that was running already");
    }

    #[test]
    fn a_server_that_takes_forty_milliseconds_itself_is_not() {
        assert!(!waits(&trial(44_000_000, 1, 1)), "it answers in one piece");
        assert!(!waits(&trial(44_000_000, 2, 0)), "nobody waits for an acknowledgement");
        assert!(!waits(&trial(30_000_000, 2, 1)) && !waits(&trial(80_000_000, 2, 1)));
        let mut busy = trial(44_000_000, 2, 1);
        busy.driver.busy = 0.7;
        assert!(!waits(&busy));
        let mut busy = trial(44_000_000, 2, 1);
        busy.target.as_mut().unwrap().cpu_ns = busy.window_ns;
        assert!(!waits(&busy));
    }

    #[test]
    fn most_trials_decide() {
        let (waiting, not) = (trial(44_000_000, 2, 1), trial(100_000, 1, 0));
        assert!(of_arm(&[&waiting, &waiting, &not]));
        assert!(!of_arm(&[&waiting, &not]) && !of_arm(&[]));
    }
}
