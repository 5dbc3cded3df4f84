//! Who of the tests may use the machine when. Most of them wait for windows that are measured, so several
//! run at a time; those whose figures must be good enough for a verdict have the machine to themselves, and
//! so have those that keep all of it busy.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

/// What there is to share.
const PLACES: usize = 4;
/// What a test takes whose runs must be valid: a driver that is late makes them void.
const MEASURING: usize = 2;

/// Places of a test; given back when it is dropped.
pub struct Turn {
    places: usize,
}

/// Beside three others: what is counted must be exact however late everything is. A test that has a
/// turn already keeps that one.
pub fn beside() -> Arc<Turn> {
    let mine = MINE.with_borrow(Weak::upgrade);
    mine.unwrap_or_else(|| take(1))
}

/// Beside one other like it.
pub fn measuring() -> Arc<Turn> {
    take(MEASURING)
}

/// Beside nobody.
pub fn alone() -> Arc<Turn> {
    take(PLACES)
}

thread_local! {
    /// A test has a thread of its own.
    static MINE: RefCell<Weak<Turn>> = const { RefCell::new(Weak::new()) };
}

/// First come, first served, or who wants all places would never get them.
struct Queue {
    free: usize,
    tickets: u64,
    served: u64,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue { free: PLACES, tickets: 0, served: 0 });
static CHANGED: Condvar = Condvar::new();

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(places: usize) -> Arc<Turn> {
    let has_one = MINE.with_borrow(Weak::strong_count) > 0;
    assert!(!has_one, "a test takes one turn, before anything that takes one by itself");
    let mut queue = queue();
    let ticket = queue.tickets;
    queue.tickets += 1;
    let waits = |queue: &mut Queue| queue.served != ticket || queue.free < places;
    queue = CHANGED.wait_while(queue, waits).unwrap_or_else(PoisonError::into_inner);
    queue.free -= places;
    queue.served += 1;
    drop(queue);
    CHANGED.notify_all();
    let turn = Arc::new(Turn { places });
    MINE.set(Arc::downgrade(&turn));
    turn
}

impl Drop for Turn {
    fn drop(&mut self) {
        queue().free += self.places;
        CHANGED.notify_all();
    }
}
