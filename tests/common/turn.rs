//! Who of the tests may use the machine when. Most of them wait for windows that are measured, so several
//! run at a time. Those whose figures must be good enough for a verdict run last and one by one: what is not
//! measured is not kept waiting for quiet.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

/// What a test does to the others, and they to it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// What it counts is exact however late everything is.
    Beside,
    /// Its runs must be valid: a driver that is late makes them void.
    Measuring,
    /// It takes a CPU for seconds: a browser, or the set-up of a target.
    Busy,
    /// It needs the machine to itself.
    Alone,
}

use Kind::{Alone, Beside, Busy, Measuring};

/// How many tests of each kind run at a time.
const MOST: [usize; 4] = [4, 3, 2, 1];

/// Held while a test runs; given back when it is dropped.
pub struct Turn(Kind);

/// Beside all others but [`alone`]. A test that has a turn already keeps that one.
pub fn beside() -> Arc<Turn> {
    let mine = MINE.with_borrow(Weak::upgrade);
    mine.unwrap_or_else(|| take(Beside))
}

/// Beside two others like it, and never beside what keeps a CPU busy.
pub fn measuring() -> Arc<Turn> {
    take(Measuring)
}

/// Before what measures, and never beside it.
pub fn busy() -> Arc<Turn> {
    take(Busy)
}

/// Beside nobody, when no other test waits any more.
pub fn alone() -> Arc<Turn> {
    take(Alone)
}

thread_local! {
    /// A test has a thread of its own.
    static MINE: RefCell<Weak<Turn>> = const { RefCell::new(Weak::new()) };
}

/// Tests by [`Kind`].
struct Tests {
    running: [usize; 4],
    waiting: [usize; 4],
}

impl Tests {
    fn may(&self, kind: Kind) -> bool {
        let none =
            |counts: &[usize; 4], kinds: &[Kind]| kinds.iter().all(|k| counts[*k as usize] == 0);
        let others = match kind {
            Beside => none(&self.running, &[Alone]),
            Measuring => none(&self.running, &[Busy, Alone]) && none(&self.waiting, &[Busy]),
            Busy => none(&self.running, &[Measuring, Alone]),
            Alone => {
                let all = [Beside, Measuring, Busy];
                none(&self.running, &all) && none(&self.waiting, &all)
            }
        };
        others && self.running[kind as usize] < MOST[kind as usize]
    }
}

static TESTS: Mutex<Tests> = Mutex::new(Tests { running: [0; 4], waiting: [0; 4] });
static CHANGED: Condvar = Condvar::new();

fn tests() -> MutexGuard<'static, Tests> {
    TESTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(kind: Kind) -> Arc<Turn> {
    let has_one = MINE.with_borrow(Weak::strong_count) > 0;
    assert!(!has_one, "a test takes one turn, before anything that takes one by itself");
    let mut tests = tests();
    tests.waiting[kind as usize] += 1;
    tests =
        CHANGED.wait_while(tests, |tests| !tests.may(kind)).unwrap_or_else(PoisonError::into_inner);
    tests.waiting[kind as usize] -= 1;
    tests.running[kind as usize] += 1;
    drop(tests);
    CHANGED.notify_all();
    let turn = Arc::new(Turn(kind));
    MINE.set(Arc::downgrade(&turn));
    turn
}

impl Drop for Turn {
    fn drop(&mut self) {
        tests().running[self.0 as usize] -= 1;
        CHANGED.notify_all();
    }
}
