//! The tasks of one arm in one shard: they tell the pacer when they work, and end together.

use crate::metered::Metered;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
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
        let task = tokio::task::spawn_local(Metered::new(work, self.worked.clone()));
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
