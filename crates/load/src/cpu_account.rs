//! What a shard's thread did during a period of time, and whether it had any of it to spare.

use pushbench_host::clock;
use pushbench_host::usage::RunQueue;
use std::cell::Cell;
use std::ops::AddAssign;
use tokio::runtime::Builder;

thread_local! {
    /// When the thread went to wait for its sockets and its timer; 0 when it did not.
    static PARKED_AT: Cell<u64> = const { Cell::new(0) };
    /// How long it has waited for them until now, ns.
    static PARKED: Cell<u64> = const { Cell::new(0) };
}

/// Keeps the time for which the runtime waits because none of its tasks has anything to do.
pub(super) fn watch_parking(builder: &mut Builder) {
    builder.on_thread_park(|| PARKED_AT.set(clock::now()));
    builder.on_thread_unpark(|| {
        PARKED.set(PARKED.get() + clock::now() - PARKED_AT.get());
    });
}

/// A period of one thread's time, ns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuAccount {
    /// By the clock on the wall.
    pub wall: u64,
    /// CPU of the thread, spinning included.
    pub cpu: u64,
    /// Of it, spent spinning for a due instant.
    pub spun: u64,
    /// Inside the wait for sockets and timer, from when nothing was left to do. Whoever is ready again
    /// and does not get the CPU is still inside.
    pub parked: u64,
    /// Ready to run and without a CPU: others had it. 0 if the kernel does not report it.
    pub waited: u64,
}

impl CpuAccount {
    /// CPU without spinning.
    pub fn work(&self) -> u64 {
        self.cpu.saturating_sub(self.spun)
    }

    /// Asleep because there was nothing to do: not longer than parked, and not while it ran or waited
    /// for a CPU. Either bound alone is too high: the first where others take the CPU, the second where
    /// the kernel charges interrupts, or time taken by the hypervisor, to no process.
    pub fn asleep(&self) -> u64 {
        self.parked.min(self.wall.saturating_sub(self.cpu + self.waited))
    }

    /// The part that was work of the time that the thread could have worked: 1 when it had no moment to
    /// spare. Time that other processes took is counted in neither part.
    pub fn busy(&self) -> f64 {
        let (work, idle) = (self.work(), self.asleep() + self.spun.min(self.cpu));
        match work + idle {
            0 => 0.0,
            all => work as f64 / all as f64,
        }
    }
}

impl AddAssign for CpuAccount {
    fn add_assign(&mut self, other: CpuAccount) {
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.spun += other.spun;
        self.parked += other.parked;
        self.waited += other.waited;
    }
}

/// Reads the counters of the thread that made it, which runs the runtime.
pub(super) struct Meter {
    run_queue: Option<RunQueue>,
}

impl Meter {
    pub fn of_this_thread() -> Meter {
        Meter { run_queue: RunQueue::of_this_thread() }
    }

    /// True if the kernel reports how long a thread waits for a CPU.
    pub(crate) fn waiting_is_known(&self) -> bool {
        self.run_queue.is_some()
    }

    /// The counters now, all but spinning, which is the pacer's.
    pub fn now(&self) -> CpuAccount {
        CpuAccount {
            wall: clock::now(),
            cpu: clock::thread_cpu(),
            spun: 0,
            parked: PARKED.get(),
            waited: self.run_queue.as_ref().map_or(0, RunQueue::waited),
        }
    }

    /// The difference to an earlier reading, of which `spun` was spinning.
    pub fn since(&self, earlier: &CpuAccount, spun: u64) -> CpuAccount {
        let now = self.now();
        CpuAccount {
            wall: now.wall.saturating_sub(earlier.wall),
            cpu: now.cpu.saturating_sub(earlier.cpu),
            spun,
            parked: now.parked.saturating_sub(earlier.parked),
            waited: now.waited.saturating_sub(earlier.waited),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(cpu: u64, spun: u64, parked: u64, waited: u64) -> CpuAccount {
        CpuAccount { wall: 100, cpu, spun, parked, waited }
    }

    #[test]
    fn whoever_has_no_moment_to_spare_is_busy_whatever_others_took() {
        for (what, full) in [
            ("alone", cpu(99, 0, 1, 0)),
            ("other programs had its CPU", cpu(50, 0, 1, 49)),
            ("while it was parked, too", cpu(50, 0, 30, 49)),
            ("interrupts and the hypervisor are billed to nobody", cpu(55, 0, 1, 0)),
        ] {
            assert!(full.busy() > 0.98, "{what}: {}", full.busy());
        }
    }

    #[test]
    fn whoever_sleeps_or_spins_has_time_to_spare() {
        for (what, idle) in [
            ("asleep", cpu(5, 0, 95, 0)),
            ("spinning", cpu(99, 95, 0, 0)),
            ("spinning, and half of its CPU is taken", cpu(50, 45, 0, 50)),
            ("asleep, and ready long before it gets its CPU", cpu(5, 0, 95, 85)),
            ("asleep, and nearly all that it spins is taken", cpu(6, 4, 3, 90)),
        ] {
            assert!(idle.busy() <= 0.5, "{what}: {}", idle.busy());
        }
    }

    #[test]
    fn time_taken_away_alone_says_nothing() {
        for taken_by_others in [0, 20, 60, 90] {
            let left = 100 - taken_by_others;
            let half = cpu(left / 2, 0, left / 2, taken_by_others);
            assert!((half.busy() - 0.5).abs() < 1e-9, "{taken_by_others}: {}", half.busy());
        }
        assert_eq!(cpu(0, 0, 0, 100).busy(), 0.0);
    }

    #[test]
    fn slices_add_up() {
        let mut sum = cpu(10, 1, 80, 5);
        sum += cpu(30, 2, 60, 7);
        assert_eq!(sum, CpuAccount { wall: 200, cpu: 40, spun: 3, parked: 140, waited: 12 });
        assert_eq!((sum.work(), sum.asleep()), (37, 140));
    }

    #[test]
    fn a_runtime_that_waits_is_parked_and_one_that_works_is_not() {
        let mut builder = Builder::new_current_thread();
        watch_parking(builder.enable_time());
        let account = builder.build().unwrap().block_on(async {
            let meter = Meter::of_this_thread();
            let before = meter.now();
            while clock::thread_cpu() - before.cpu < 20_000_000 {}
            let worked = meter.since(&before, 0);
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
            (worked, meter.since(&before, 0))
        });
        let (worked, both) = account;
        assert_eq!(worked.parked, 0);
        assert!(worked.cpu >= 20_000_000 && worked.busy() > 0.99, "{worked:?}");
        assert!(both.parked >= 25_000_000 && both.parked < both.wall - worked.cpu, "{both:?}");
    }
}
