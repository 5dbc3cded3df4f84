//! Wraps a connection's task: stamps when it was woken (which for a reading task is when the poll
//! returned), and tells the pacer that something was done.

use futures_util::task::AtomicWaker;
use pushbench_host::clock;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

#[derive(Default)]
struct Stamp {
    /// First wake since the last poll; 0 when there was none.
    woken: AtomicU64,
    task: AtomicWaker,
}

impl Wake for Stamp {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let _first_wake_stays =
            self.woken.compare_exchange(0, clock::now(), Ordering::Relaxed, Ordering::Relaxed);
        self.task.wake();
    }
}

/// A connection's future with its stamp.
pub struct Metered<F> {
    work: Pin<Box<F>>,
    stamp: Arc<Stamp>,
    waker: Waker,
    worked: Rc<Cell<bool>>,
}

impl<F: Future> Metered<F> {
    /// Wraps `work`; `worked` is set whenever it runs.
    pub fn new(work: F, worked: Rc<Cell<bool>>) -> Self {
        let stamp = Arc::new(Stamp::default());
        Metered { work: Box::pin(work), waker: Waker::from(stamp.clone()), stamp, worked }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let me = &mut *self;
        me.stamp.task.register(cx.waker());
        me.worked.set(true);
        clock::set_woken(match me.stamp.woken.swap(0, Ordering::Relaxed) {
            0 => clock::now(),
            woken => woken,
        });
        me.work.as_mut().poll(&mut Context::from_waker(&me.waker))
    }
}
