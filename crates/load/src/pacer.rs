//! Waits for due instants: a timer armed early, then spinning for the rest, with the runtime still
//! reading sockets between two looks at the clock.

use crate::assemble::Bursts;
use crate::cpu_account::{CpuAccount, Meter};
use crate::fanout;
use crate::feed::EventQueue;
use crate::lead::Lead;
use crate::ledger::Ledger;
use crate::shard::{ArmOutcome, BlockJob, ShardContext, ShardMessage};
use crate::tasks::Tasks;
use pushbench_core::plan;
use pushbench_core::record::fanout::Quiet;
use pushbench_core::scenario::Load;
use pushbench_core::schedule::{Due, Schedule, burst_ends};
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use std::cell::Cell;
use std::io;
use std::iter::Peekable;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// Looking at the sockets and the clock once takes about a microsecond. What took much longer was no
/// spinning: something else had the CPU.
const LONGEST_LOOK_NS: u64 = 20_000;

/// The clock of one shard.
pub struct Pacer {
    timer: Timer,
    lead: Lead,
    worked: Rc<Cell<bool>>,
    spun: u64,
}

impl Pacer {
    /// `worked` is set by every other task when it runs, so that spinning is distinguished from work.
    pub fn new(worked: Rc<Cell<bool>>) -> io::Result<Pacer> {
        Ok(Pacer { timer: Timer::new()?, lead: Lead::new(), worked, spun: 0 })
    }

    /// Returns at the instant or as soon after it as the machine allows.
    pub async fn until(&mut self, instant: u64) -> io::Result<()> {
        let mut now = clock::now();
        if now + self.lead.ns() < instant {
            let armed = instant - self.lead.ns();
            self.timer.until(armed).await?;
            now = clock::now();
            self.lead.learn(now.saturating_sub(armed));
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
    pub(crate) async fn until_without_spinning(&self, instant: u64) -> io::Result<()> {
        self.timer.until(instant).await
    }

    /// Time spun since the last call, ns.
    pub(crate) fn take_spun(&mut self) -> u64 {
        std::mem::take(&mut self.spun)
    }
}

/// How often time-outs, intervals and the stop flag are checked, ns.
const HOUSEKEEPING_NS: u64 = 25_000_000;
/// While draining, how often to look whether everything has its outcome, ns.
const DRAIN_STEP_NS: u64 = 200_000;
/// … and at the longest, when nothing comes any more.
const LONGEST_DRAIN_STEP_NS: u64 = 5_000_000;
/// Length of an interval of the time line, ns.
pub(crate) const INTERVAL_NS: u64 = 1_000_000_000;

/// One arm of a shard while it runs.
pub(super) struct Arm {
    pub ledger: Rc<Ledger>,
    pub queue: EventQueue,
    pub schedule: Option<Peekable<Schedule>>,
    pub tasks: Tasks,
    /// What it took to subscribe all subscribers, ns.
    pub subscribed_in_ns: u64,
    /// Memory of this process before the first of them, bytes.
    pub(crate) memory_before: u64,
    quiet: Option<Quiet>,
    /// Tells subscribers the origin.
    origin_sender: watch::Sender<u64>,
    bursts: Bursts,
    cpu: CpuAccount,
    drain_ns: u64,
}

impl Arm {
    pub fn new(
        ledger: Rc<Ledger>,
        queue: EventQueue,
        load: (&Load, Option<Schedule>),
        tasks: Tasks,
        origin_sender: watch::Sender<u64>,
    ) -> Arm {
        let (load, schedule) = load;
        let schedule = schedule.map(Iterator::peekable);
        let bursts = Bursts::new(burst_ends(load));
        Arm {
            ledger,
            queue,
            schedule,
            tasks,
            subscribed_in_ns: 0,
            memory_before: 0,
            quiet: None,
            origin_sender,
            bursts,
            cpu: CpuAccount::default(),
            drain_ns: 0,
        }
    }

    fn begin_slice(&mut self, measuring: bool) {
        if measuring {
            self.ledger.start_measuring();
        }
        if self.schedule.is_none() {
            self.queue.run(true);
        }
    }

    fn next_before(&mut self, end: u64) -> Option<Due> {
        self.schedule.as_mut()?.next_if(|due| due.at < end)
    }
}

/// The turns of a shard's arms, from the common origin to the last outcome.
pub(super) struct SliceRunner<'a> {
    job: &'a BlockJob,
    context: &'a ShardContext,
    pacer: Pacer,
    arms: Vec<Arm>,
    meter: Meter,
    origin: u64,
    next_housekeeping: u64,
    interval: u64,
}

impl<'a> SliceRunner<'a> {
    pub fn new(job: &'a BlockJob, context: &'a ShardContext, pacer: Pacer, arms: Vec<Arm>) -> Self {
        let meter = Meter::of_this_thread();
        SliceRunner {
            job,
            context,
            pacer,
            arms,
            meter,
            origin: 0,
            next_housekeeping: 0,
            interval: 0,
        }
    }

    fn stopping(&self) -> bool {
        self.context.stop.load(Ordering::Relaxed)
    }

    /// False when the block was called off.
    pub(crate) async fn wait_for_origin(&mut self) -> io::Result<bool> {
        loop {
            if self.stopping() {
                return Ok(false);
            }
            self.origin = self.context.origin.load(Ordering::Acquire);
            if self.origin != 0 {
                for arm in &self.arms {
                    arm.ledger.begin(self.origin);
                    arm.origin_sender.send_replace(self.origin);
                }
                return Ok(true);
            }
            self.pacer.until_without_spinning(clock::now() + 1_000_000).await?;
        }
    }

    pub(crate) async fn all_slices(&mut self) -> io::Result<()> {
        let slices = self.job.slices.clone();
        let warmup = self.job.load.warmup.as_nanos() as u64;
        let slice = slices.slice_ns();
        for round in 0..slices.rounds() {
            for &arm in slices.order(round) {
                let arm = usize::from(arm);
                let begin = round * slice;
                self.until(self.origin + slices.wall(arm, begin)).await?;
                let mut measuring = begin >= warmup;
                self.arms[arm].begin_slice(measuring);
                let mut from = self.start_cpu_account();
                let end = (begin + slice).min(slices.length_ns());
                if begin < warmup && warmup < end {
                    // Alone on its cores an arm has one slice: the window opens within it.
                    self.events(arm, warmup).await?;
                    self.until(self.origin + slices.wall(arm, warmup)).await?;
                    self.arms[arm].begin_slice(true);
                    measuring = true;
                    // What the warm-up cost is not charged to the measured events.
                    from = self.start_cpu_account();
                    self.quiet(arm).await?;
                }
                self.events(arm, end).await?;
                self.until(self.origin + slices.wall(arm, begin) + (end - begin)).await?;
                self.end_slice(arm, measuring.then_some(from));
                if self.stopping() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The thread's counters now; spinning counts again from here.
    fn start_cpu_account(&mut self) -> CpuAccount {
        self.pacer.take_spun();
        self.meter.now()
    }

    /// Feeds the arm's events due before `end` of its own time, each at its instant.
    async fn events(&mut self, arm: usize, end: u64) -> io::Result<()> {
        while let Some(Due { index, at }) = self.arms[arm].next_before(end) {
            let due = self.origin + self.job.slices.wall(arm, at);
            self.until(due).await?;
            if self.stopping() {
                return Ok(());
            }
            let arm = &mut self.arms[arm];
            let alone = arm.queue.put(index, due, at);
            arm.bursts.note(at, alone);
        }
        Ok(())
    }

    /// In an idle flow: sees what happens while no event is due.
    async fn quiet(&mut self, arm: usize) -> io::Result<()> {
        let Some(end) = self.job.quiet_end else { return Ok(()) };
        let end = self.origin + self.job.slices.wall(arm, end);
        let latest = end.saturating_sub(fanout::SHORTEST_QUIET_NS);
        while self.arms[arm].ledger.totals().unsettled > 0
            && clock::now() < latest
            && !self.stopping()
        {
            self.pacer.until_without_spinning(clock::now() + fanout::QUIET_LOOK_NS).await?;
        }
        let _block_gone = self.context.messages.send(ShardMessage::Quiet);
        let begin = fanout::QuietPeriod::now(&self.arms[arm].ledger);
        while clock::now() < end && !self.stopping() {
            self.pacer
                .until_without_spinning(end.min(clock::now() + fanout::QUIET_STEP_NS))
                .await?;
            self.housekeeping();
        }
        self.arms[arm].quiet = Some(begin.until_now(&self.arms[arm].ledger));
        Ok(())
    }

    fn end_slice(&mut self, arm: usize, measured_from: Option<CpuAccount>) {
        let spun = self.pacer.take_spun();
        let alternating = self.arms.len() > 1;
        let longest = self.job.slices.slice_ns() / plan::SLICES_TO_EMPTY_IN;
        let arm = &mut self.arms[arm];
        arm.queue.run(false);
        arm.ledger.end_of_slice((alternating && measured_from.is_some()).then_some(longest));
        if let Some(from) = measured_from {
            arm.cpu += self.meter.since(&from, spun);
        }
    }

    /// Waits for an instant, doing the housekeeping on the way.
    async fn until(&mut self, instant: u64) -> io::Result<()> {
        while self.next_housekeeping < instant && !self.stopping() {
            self.pacer.until(self.next_housekeeping.max(clock::now())).await?;
            self.housekeeping();
        }
        if self.stopping() {
            return Ok(());
        }
        self.pacer.until(instant).await
    }

    fn housekeeping(&mut self) {
        let now = clock::now();
        self.next_housekeeping = now + HOUSEKEEPING_NS;
        for arm in &self.arms {
            if arm.ledger.expire(now) > 0 {
                arm.queue.wake_all();
            }
        }
        let passed = now.saturating_sub(self.origin) / INTERVAL_NS;
        if passed > self.interval {
            self.close_interval();
            self.interval = passed;
        }
    }

    fn close_interval(&self) {
        for (i, arm) in self.arms.iter().enumerate() {
            let counts = arm.ledger.take_interval();
            if !counts.is_empty() {
                let second = self.interval;
                let _block_gone =
                    self.context.messages.send(ShardMessage::Interval { arm: i, second, counts });
            }
        }
    }

    /// Waits until every event has its outcome, at the latest when the youngest has timed out.
    pub async fn drain(&mut self) -> io::Result<()> {
        self.arms.iter().for_each(|arm| arm.ledger.end_of_schedule());
        let cpu = clock::thread_cpu();
        let open = |arms: &[Arm]| arms.iter().map(|a| a.ledger.open_count()).sum::<u64>();
        let (mut before, mut step) = (open(&self.arms), DRAIN_STEP_NS);
        while before > 0 && !self.stopping() {
            self.pacer.until_without_spinning(clock::now() + step).await?;
            let now = open(&self.arms);
            // What only waits for its time-out, as at a stuck subscriber, is not looked at all the time.
            step = if now < before { DRAIN_STEP_NS } else { (step * 2).min(LONGEST_DRAIN_STEP_NS) };
            before = now;
            if clock::now() >= self.next_housekeeping {
                self.housekeeping();
            }
        }
        // The connections whose events were the last to time out note what it cost them.
        tokio::task::yield_now().await;
        // Draining is work for the events already charged; alone on its cores it has one owner.
        if let [only] = &mut self.arms[..] {
            only.drain_ns = clock::thread_cpu().saturating_sub(cpu);
        }
        self.close_interval();
        Ok(())
    }

    /// Memory and CPU time of the targets are read while all connections are open: closing them
    /// is no event's cost.
    pub async fn wait_for_end(&self) -> io::Result<()> {
        while !self.stopping() {
            self.pacer.until_without_spinning(clock::now() + 1_000_000).await?;
        }
        Ok(())
    }

    pub async fn finish(self) -> io::Result<Vec<ArmOutcome>> {
        let mut outcomes = Vec::new();
        for arm in self.arms {
            // What was called off before its answer came is timed out, not lost.
            arm.ledger.expire(u64::MAX);
            arm.queue.end();
            arm.tasks.end().await;
            outcomes.push(ArmOutcome {
                account: arm.ledger.account(),
                deliveries: arm.ledger.deliveries(),
                event_records: arm.ledger.event_records(),
                guarantee: arm.ledger.guarantee_record(),
                attempts: arm.ledger.attempts(),
                subscribed_in_ns: arm.subscribed_in_ns,
                memory_before: arm.memory_before,
                quiet: arm.quiet,
                drained_ns: arm.bursts.finish(),
                cpu: arm.cpu,
                waiting_is_known: self.meter.waiting_is_known(),
                drain_ns: arm.drain_ns,
            });
        }
        Ok(outcomes)
    }
}
