//! When a subscriber is pinged.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// The golden ratio's fraction: its multiples are spread evenly over the unit interval, however many.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// The pings of one subscriber.
pub struct Pings {
    every: Duration,
    /// Boxed, so that a connection without pings does not carry its size.
    next: Pin<Box<Sleep>>,
    unanswered: bool,
    /// The last sign of life.
    heard: Instant,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub enum PingAction {
    /// Ping.
    Ping,
    /// The last ping was not answered in a whole interval: the subscriber is gone.
    Gone,
}

impl Pings {
    /// Of subscriber `number`, each with a phase of its own: thousands that subscribe together would
    /// otherwise be pinged all at once, unlike in production.
    pub fn new(every: Duration, number: u64) -> Pings {
        let phase = every.mul_f64(phase(number));
        let now = Instant::now();
        Pings { every, next: Box::pin(sleep_until(now + phase)), unanswered: false, heard: now }
    }

    /// Ready when something is to be done; to be polled again after a ping.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<PingAction> {
        if self.next.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        // Missed ones, as after a pause of the machine, are not made up for.
        self.next.as_mut().reset(Instant::now() + self.every);
        Poll::Ready(match std::mem::replace(&mut self.unanswered, true) {
            true => PingAction::Gone,
            false => PingAction::Ping,
        })
    }

    /// The ping was answered.
    pub fn answered(&mut self) {
        self.unanswered = false;
    }

    /// The subscriber has sent something.
    pub fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// How long it has sent nothing.
    pub fn silent(&self) -> Duration {
        self.heard.elapsed()
    }
}

/// Where in the interval a subscriber's first ping lies, from 0 to 1.
fn phase(number: u64) -> f64 {
    (number as f64 * GOLDEN).fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_spread_evenly() {
        for n in [10u64, 1000, 9000] {
            for part in 0..10 {
                let (low, high) = (f64::from(part) / 10.0, f64::from(part + 1) / 10.0);
                let within = (0..n).filter(|k| (low..high).contains(&phase(*k))).count() as u64;
                assert!(within.abs_diff(n / 10) <= 2, "{within} of {n} in {low}..{high}");
            }
        }
    }

    #[test]
    fn who_does_not_answer_by_the_next_ping_is_gone() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut pings = Pings::new(Duration::from_millis(1), 0);
            let mut turn = async || std::future::poll_fn(|cx| pings.poll(cx)).await;
            assert_eq!(turn().await, PingAction::Ping);
            assert_eq!(turn().await, PingAction::Gone);
            let mut pings = Pings::new(Duration::from_millis(1), 1);
            for _ in 0..3 {
                assert_eq!(std::future::poll_fn(|cx| pings.poll(cx)).await, PingAction::Ping);
                pings.answered();
            }
        });
    }
}
