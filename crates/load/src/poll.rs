//! The subscriber's half: asks at fixed instants. Those of all subscribers are spread evenly over the
//! interval, as they would be by chance, so that the publisher is asked steadily.

use crate::subscriber::asking::{Asking, Seat};
use crate::subscriber::{Ongoing, SubscribeConfig, Subscriber};
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use pushbench_wire::fault::Fault;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

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

/// The waits of one thread's tasks.
pub struct Alarms {
    timer: Timer,
    /// By instant and number, so that two may wait for the same one.
    waiting: RefCell<BTreeMap<(u64, u64), Waker>>,
    next: Cell<u64>,
    /// Whoever rings them.
    ringer: RefCell<Option<Waker>>,
}

impl Alarms {
    /// None yet; needs a tokio runtime with I/O.
    pub fn new() -> io::Result<Alarms> {
        let waiting = RefCell::default();
        let timer = Timer::new()?;
        Ok(Alarms { timer, waiting, next: Cell::new(0), ringer: RefCell::default() })
    }

    /// Waits until an instant of the monotonic clock in ns, while somebody [`ring`](Self::ring)s.
    pub async fn until(&self, instant: u64) {
        let number = self.next.replace(self.next.get() + 1);
        let _given_up = Entry { alarms: self, key: (instant, number) };
        poll_fn(|cx| self.poll_until((instant, number), cx)).await;
    }

    fn poll_until(&self, key: (u64, u64), cx: &Context<'_>) -> Poll<()> {
        if clock::now() >= key.0 {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.borrow_mut();
        waiting.insert(key, cx.waker().clone());
        let first = waiting.first_key_value().is_some_and(|(first, _)| *first == key);
        if first && let Some(ringer) = self.ringer.take() {
            ringer.wake();
        }
        Poll::Pending
    }

    /// Wakes everybody at their instants, for ever.
    pub(crate) async fn ring(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_ring(cx)).await
    }

    fn poll_ring(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut waiting = self.waiting.borrow_mut();
            while let Some(first) = waiting.first_entry().filter(|f| f.key().0 <= clock::now()) {
                first.remove().wake();
            }
            self.ringer.replace(Some(cx.waker().clone()));
            let Some((&(instant, _), _)) = waiting.first_key_value() else { return Poll::Pending };
            self.timer.arm(instant)?;
            std::task::ready!(self.timer.poll_fired(cx))?;
        }
    }
}

/// A wait that is over, or was given up.
struct Entry<'a> {
    alarms: &'a Alarms,
    key: (u64, u64),
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.alarms.waiting.borrow_mut().remove(&self.key);
    }
}

/// A subscriber with its connection, on which a request is always held.
pub struct Held {
    seat: Rc<Seat>,
    asking: Ongoing,
}

impl Subscriber for Held {
    type Common = ();

    async fn prepare(_: &Rc<SubscribeConfig>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        (): &(),
        number: usize,
    ) -> Result<Self, Fault> {
        let mut asking = Asking::subscribe(subscribe_config, number).await?;
        let seat = asking.seat();
        let asking = Ongoing::new(async move {
            loop {
                asking.once().await?;
            }
        });
        Ok(Held { seat, asking })
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.asking.receive().await
    }

    async fn leave(mut self) -> Result<(), Fault> {
        self.asking.finish(|| self.seat.is_through()).await;
        self.seat.leave().await
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

#[cfg(test)]
mod alarms_tests {
    use super::*;
    use std::rc::Rc;

    const MS: u64 = 1_000_000;

    #[test]
    fn everybody_is_woken_in_the_order_of_their_instants_and_none_before() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build_local(Default::default());
        runtime.unwrap().block_on(async {
            let alarms = Rc::new(Alarms::new().unwrap());
            let woken = Rc::new(RefCell::new(Vec::new()));
            let ring = alarms.clone();
            let ringing = tokio::task::spawn_local(async move { ring.ring().await });
            let begun = clock::now();
            let tasks = [30, 10, 20, 10, 0].map(|ms| {
                let (alarms, woken) = (alarms.clone(), woken.clone());
                tokio::task::spawn_local(async move {
                    let instant = begun + ms * MS;
                    alarms.until(instant).await;
                    assert!(clock::now() >= instant);
                    woken.borrow_mut().push(ms);
                })
            });
            // A wait that is given up wakes nobody and holds up nobody.
            let given_up = tokio::task::spawn_local({
                let alarms = alarms.clone();
                async move { alarms.until(begun + 5 * MS).await }
            });
            tokio::task::yield_now().await;
            given_up.abort();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(*woken.borrow(), [0, 10, 10, 20, 30]);
            assert!(alarms.waiting.borrow().is_empty());
            ringing.abort();
        });
    }
}
