//! Many waits for an instant on one `timerfd`: a descriptor each would halve the number of subscribers.

use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker};

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
    pub async fn ring(&self) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
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
