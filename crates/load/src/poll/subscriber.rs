//! The subscriber's half: asks at fixed instants. Those of all subscribers are spread evenly over the
//! interval, as they would be by chance, so that the publisher is asked steadily.

use crate::poll::alarms::Alarms;
use crate::subscriber::asking::{Asking, Seat};
use crate::subscriber::ongoing::Ongoing;
use crate::subscriber::{SubscribeConfig, Subscriber};
use pushbench_host::clock;
use pushbench_wire::fault::Fault;
use std::rc::Rc;

/// A subscriber with its kept connection.
pub struct Poller {
    seat: Rc<Seat>,
    polling: Ongoing,
}

/// What the subscribers of an arm have in common.
#[derive(Clone)]
pub struct Beat {
    alarms: Rc<Alarms>,
    begun: u64,
}

impl Subscriber for Poller {
    type Common = Beat;

    async fn prepare(subscribe_config: &Rc<SubscribeConfig>) -> Result<Beat, Fault> {
        let alarms = Rc::new(Alarms::new().map_err(Fault::refused)?);
        let (ring, ledger) = (alarms.clone(), subscribe_config.ledger.clone());
        (subscribe_config.spawn)(Box::pin(async move {
            if let Err(e) = ring.ring().await {
                ledger.fault(&format!("the timer of the polling subscribers failed: {e}"));
            }
        }));
        Ok(Beat { alarms, begun: clock::now() })
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        beat: &Beat,
        number: usize,
    ) -> Result<Self, Fault> {
        let interval = subscribe_config.asked.poll_interval.as_nanos() as u64;
        let mut asking = Asking::subscribe(subscribe_config, number).await?;
        let (seat, alarms) = (asking.seat(), beat.alarms.clone());
        // It asks at this instant and every interval later.
        let first = beat.begun + phase(interval, number, subscribe_config.asked.count);
        let polling = Ongoing::new(async move {
            loop {
                alarms.until(next(first, interval, clock::now())).await;
                asking.once().await?;
            }
        });
        Ok(Poller { seat, polling })
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.polling.receive().await
    }

    async fn leave(mut self) -> Result<(), Fault> {
        self.polling.finish(|| self.seat.is_through()).await;
        self.seat.leave().await
    }
}

/// When in the interval a subscriber asks.
fn phase(interval: u64, number: usize, count: usize) -> u64 {
    (u128::from(interval) * number as u128 / count.max(1) as u128) as u64
}

/// The next instant of a subscriber after `now`. What an answer that took long has missed is left out:
/// nobody asks twice at the same time.
fn next(first: u64, interval: u64, now: u64) -> u64 {
    match now.checked_sub(first) {
        None => first,
        Some(passed) => first + (passed / interval + 1) * interval,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscribers_ask_evenly_spread_over_the_interval() {
        let phases: Vec<u64> = (0..4).map(|n| phase(1000, n, 4)).collect();
        assert_eq!(phases, [0, 250, 500, 750]);
        assert_eq!(phase(u64::MAX, 9_999, 10_000), 18_444_899_399_302_180_659);
    }

    #[test]
    fn each_keeps_to_its_instants() {
        assert_eq!(next(100, 1000, 20), 100);
        assert_eq!(next(100, 1000, 100), 1100, "not twice at the same instant");
        assert_eq!(next(100, 1000, 1099), 1100);
        assert_eq!(next(100, 1000, 5500), 6100, "what was missed is left out");
    }
}
