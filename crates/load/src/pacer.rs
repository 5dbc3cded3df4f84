//! Waits for due instants: a timer armed early, then spinning for the rest, with the runtime still
//! reading sockets between two looks at the clock.

use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use std::cell::Cell;
use std::io;
use std::rc::Rc;

/// How long before an instant the timer is armed. A virtual machine needs 52–57 µs to wake from
/// idle whatever the timer slack; armed this early and spun for the rest it is on time.
const EARLY_NS: u64 = 80_000;
/// Looking at the sockets and the clock once takes about a microsecond. What took much longer was no
/// spinning: something else had the CPU.
const LONGEST_LOOK_NS: u64 = 20_000;

/// The clock of one shard.
pub struct Pacer {
    timer: Timer,
    worked: Rc<Cell<bool>>,
    spun: u64,
}

impl Pacer {
    /// `worked` is set by every other task when it runs, so that spinning is told apart from work.
    pub fn new(worked: Rc<Cell<bool>>) -> io::Result<Pacer> {
        Ok(Pacer { timer: Timer::new()?, worked, spun: 0 })
    }

    /// Returns at the instant or as soon after it as the machine allows.
    pub async fn until(&mut self, instant: u64) -> io::Result<()> {
        let mut now = clock::now();
        if now + EARLY_NS < instant {
            self.timer.until(instant - EARLY_NS).await?;
            now = clock::now();
        }
        while now < instant {
            self.worked.set(false);
            // Lets the runtime poll the sockets, and comes back at once.
            tokio::task::yield_now().await;
            let then = std::mem::replace(&mut now, clock::now());
            if !self.worked.get() {
                self.spun += (now - then).min(LONGEST_LOOK_NS);
            }
        }
        Ok(())
    }

    /// Returns at the instant or up to a wake from idle later, without spinning.
    pub async fn roughly(&self, instant: u64) -> io::Result<()> {
        self.timer.until(instant).await
    }

    /// Time spun since the last call, ns.
    pub fn take_spun(&mut self) -> u64 {
        std::mem::take(&mut self.spun)
    }
}
