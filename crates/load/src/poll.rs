//! A polling subscriber sends requests at fixed instants. Those of all subscribers are spread evenly over the
//! interval, so that the publisher gets requests at a steady rate.

use crate::subscriber::event_requester::{EventRequester, SubscriptionState};
use crate::subscriber::{SubscribeConfig, Subscriber, SubscriberTask};
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
pub struct PollSubscriber {
    state: Rc<SubscriptionState>,
    polling: SubscriberTask,
}

/// What the subscribers of an arm have in common.
#[derive(Clone)]
pub struct PollTimer {
    shared_timer: Rc<SharedTimer>,
    begun: u64,
}

impl Subscriber for PollSubscriber {
    type Common = PollTimer;

    async fn prepare(subscribe_config: &Rc<SubscribeConfig>) -> Result<PollTimer, Fault> {
        let shared_timer = Rc::new(SharedTimer::new().map_err(Fault::refused)?);
        let (run, ledger) = (shared_timer.clone(), subscribe_config.ledger.clone());
        (subscribe_config.spawn)(Box::pin(async move {
            if let Err(e) = run.run().await {
                ledger.fault(&format!("the timer of the polling subscribers failed: {e}"));
            }
        }));
        Ok(PollTimer { shared_timer, begun: clock::now() })
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        poll_timer: &PollTimer,
        number: usize,
    ) -> Result<Self, Fault> {
        let interval = subscribe_config.settings.poll_interval.as_nanos() as u64;
        let mut event_requester = EventRequester::subscribe(subscribe_config, number).await?;
        let (state, shared_timer) = (event_requester.state(), poll_timer.shared_timer.clone());
        // It sends a request at this instant and after every interval.
        let first = poll_timer.begun + phase(interval, number, subscribe_config.settings.count);
        let polling = SubscriberTask::new(async move {
            loop {
                shared_timer.until(next(first, interval, clock::now())).await;
                event_requester.request_events().await?;
            }
        });
        Ok(PollSubscriber { state, polling })
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.polling.receive().await
    }

    async fn leave(mut self) -> Result<(), Fault> {
        self.polling.finish(|| self.state.is_idle()).await;
        self.state.leave().await
    }
}

/// The phase of a subscriber in the interval.
fn phase(interval: u64, number: usize, count: usize) -> u64 {
    (u128::from(interval) * number as u128 / count.max(1) as u128) as u64
}

/// The next instant of a subscriber after `now`. What an answer that took long has missed is left out:
/// a subscriber has one request at a time.
fn next(first: u64, interval: u64, now: u64) -> u64 {
    match now.checked_sub(first) {
        None => first,
        Some(passed) => first + (passed / interval + 1) * interval,
    }
}

/// The waits of one thread's tasks.
pub struct SharedTimer {
    timer: Timer,
    /// By instant and number, so that two may wait for the same one.
    waiting: RefCell<BTreeMap<(u64, u64), Waker>>,
    next: Cell<u64>,
    /// Whoever rings them.
    runner: RefCell<Option<Waker>>,
}

impl SharedTimer {
    /// None yet; needs a tokio runtime with I/O.
    pub fn new() -> io::Result<SharedTimer> {
        let waiting = RefCell::default();
        let timer = Timer::new()?;
        Ok(SharedTimer { timer, waiting, next: Cell::new(0), runner: RefCell::default() })
    }

    /// Waits until an instant of the monotonic clock in ns, while [`run`](Self::run) is polled.
    pub async fn until(&self, instant: u64) {
        let number = self.next.replace(self.next.get() + 1);
        let _given_up = PendingWait { shared_timer: self, key: (instant, number) };
        poll_fn(|cx| self.poll_until((instant, number), cx)).await;
    }

    fn poll_until(&self, key: (u64, u64), cx: &Context<'_>) -> Poll<()> {
        if clock::now() >= key.0 {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.borrow_mut();
        waiting.insert(key, cx.waker().clone());
        let first = waiting.first_key_value().is_some_and(|(first, _)| *first == key);
        if first && let Some(runner) = self.runner.take() {
            runner.wake();
        }
        Poll::Pending
    }

    /// Wakes each waiter at its instant, without end.
    pub(crate) async fn run(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_run(cx)).await
    }

    fn poll_run(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut waiting = self.waiting.borrow_mut();
            while let Some(first) = waiting.first_entry().filter(|f| f.key().0 <= clock::now()) {
                first.remove().wake();
            }
            self.runner.replace(Some(cx.waker().clone()));
            let Some((&(instant, _), _)) = waiting.first_key_value() else { return Poll::Pending };
            self.timer.arm(instant)?;
            std::task::ready!(self.timer.poll_fired(cx))?;
        }
    }
}

/// A wait that is over, or was given up.
struct PendingWait<'a> {
    shared_timer: &'a SharedTimer,
    key: (u64, u64),
}

impl Drop for PendingWait<'_> {
    fn drop(&mut self) {
        self.shared_timer.waiting.borrow_mut().remove(&self.key);
    }
}

/// A subscriber with its connection, on which a request is always held.
pub struct LongPollSubscriber {
    state: Rc<SubscriptionState>,
    event_requester: SubscriberTask,
}

impl Subscriber for LongPollSubscriber {
    type Common = ();

    async fn prepare(_: &Rc<SubscribeConfig>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        (): &(),
        number: usize,
    ) -> Result<Self, Fault> {
        let mut event_requester = EventRequester::subscribe(subscribe_config, number).await?;
        let state = event_requester.state();
        let event_requester = SubscriberTask::new(async move {
            loop {
                event_requester.request_events().await?;
            }
        });
        Ok(LongPollSubscriber { state, event_requester })
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.event_requester.receive().await
    }

    async fn leave(mut self) -> Result<(), Fault> {
        self.event_requester.finish(|| self.state.is_idle()).await;
        self.state.leave().await
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
            let shared_timer = Rc::new(SharedTimer::new().unwrap());
            let woken = Rc::new(RefCell::new(Vec::new()));
            let run = shared_timer.clone();
            let ringing = tokio::task::spawn_local(async move { run.run().await });
            let begun = clock::now();
            let tasks = [30, 10, 20, 10, 0].map(|ms| {
                let (shared_timer, woken) = (shared_timer.clone(), woken.clone());
                tokio::task::spawn_local(async move {
                    let instant = begun + ms * MS;
                    shared_timer.until(instant).await;
                    assert!(clock::now() >= instant);
                    woken.borrow_mut().push(ms);
                })
            });
            // An abandoned wait wakes no task and delays no other wait.
            let given_up = tokio::task::spawn_local({
                let shared_timer = shared_timer.clone();
                async move { shared_timer.until(begun + 5 * MS).await }
            });
            tokio::task::yield_now().await;
            given_up.abort();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(*woken.borrow(), [0, 10, 10, 20, 30]);
            assert!(shared_timer.waiting.borrow().is_empty());
            ringing.abort();
        });
    }
}
