//! The tasks of one arm in one shard: they set a flag when they run, and end together.

use futures_util::task::AtomicWaker;
use pushbench_host::clock;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tokio::task::JoinHandle;

/// A handle on them; tasks may start further ones.
#[derive(Clone)]
pub(super) struct Tasks {
    handles: Rc<RefCell<Vec<JoinHandle<()>>>>,
    worked: Rc<Cell<bool>>,
}

impl Tasks {
    /// None yet. `worked` is set whenever one runs.
    pub fn new(worked: &Rc<Cell<bool>>) -> Tasks {
        Tasks { handles: Rc::default(), worked: worked.clone() }
    }

    pub fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        let task = tokio::task::spawn_local(TimedTask::new(work, self.worked.clone()));
        let mut handles = self.handles.borrow_mut();
        // Connections come and go: what has ended need not be remembered.
        if handles.len() == handles.capacity() {
            handles.retain(|h| !h.is_finished());
        }
        handles.push(task);
    }

    /// Ends all of them and waits until they are gone.
    pub async fn end(&self) {
        loop {
            let handles = std::mem::take(&mut *self.handles.borrow_mut());
            if handles.is_empty() {
                return;
            }
            handles.iter().for_each(JoinHandle::abort);
            for task in handles {
                let _aborted = task.await;
            }
        }
    }
}

#[derive(Default)]
struct WakeTime {
    /// First wake since the last poll; 0 when there was none.
    woken: AtomicU64,
    task: AtomicWaker,
}

impl Wake for WakeTime {
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
pub struct TimedTask<F> {
    work: Pin<Box<F>>,
    stamp: Arc<WakeTime>,
    waker: Waker,
    worked: Rc<Cell<bool>>,
}

impl<F: Future> TimedTask<F> {
    /// Wraps `work`; `worked` is set whenever it runs.
    pub fn new(work: F, worked: Rc<Cell<bool>>) -> Self {
        let stamp = Arc::new(WakeTime::default());
        TimedTask { work: Box::pin(work), waker: Waker::from(stamp.clone()), stamp, worked }
    }
}

impl<F: Future> Future for TimedTask<F> {
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
