//! One shard of one block: a thread with a current-thread runtime, the connections of every arm of
//! the block, and the pacer that feeds them by turns.

use super::connections::{keep, warm_up};
use super::metered::Metered;
use super::pacer::Pacer;
use crate::cpus;
use crate::plan::Slices;
use crate::record::clock;
use crate::record::histogram::Hist;
use crate::record::ledger::{Account, Ledger, LedgerRules};
use crate::scenario::{Arrivals, Lifetime, Load};
use crate::schedule::{Due, Schedule};
use crate::transport::dial::{Address, Dial};
use crate::transport::event::{Matched, Template};
use crate::transport::feed::{Source, Spout};
use crate::transport::tcp::client::Tcp;
use crate::transport::webhook::client::Webhook;
use crate::transport::websocket::client::Websocket;
use crate::transport::{Client, Transport};
use std::cell::Cell;
use std::io;
use std::iter::Peekable;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use tokio::task::JoinHandle;

/// Ready tasks run between two looks at the sockets: few, so that nothing is read late.
const EVENT_INTERVAL: u32 = 4;
/// Time-outs, intervals and the wish to stop are looked after this often, ns.
const HOUSEKEEPING_NS: u64 = 25_000_000;
/// While draining, how often to look whether everything has its fate, ns.
const DRAIN_STEP_NS: u64 = 200_000;
/// Length of an interval of the time line, ns.
pub const INTERVAL_NS: u64 = 1_000_000_000;

/// What a shard must know of one arm.
#[derive(Debug, Clone)]
pub struct ArmJob {
    /// How events travel.
    pub transport: Transport,
    /// Where to.
    pub address: Address,
    /// How answers are matched.
    pub matched: Matched,
    /// Connections of this shard.
    pub connections: usize,
    /// Unanswered events each may carry.
    pub in_flight: usize,
}

/// What all shards of a block share.
#[derive(Debug, Clone)]
pub struct BlockJob {
    /// The load, with warm-up and duration already rounded to whole slices.
    pub load: Load,
    /// Seed of the schedule.
    pub seed: u64,
    /// Whose turn it is.
    pub slices: Arc<Slices>,
    /// Makes the events.
    pub template: Template,
    /// Events a connection carries.
    pub lifetime: Lifetime,
    /// Cap of the segment size.
    pub max_segment: Option<u32>,
    /// The arms.
    pub arms: Vec<ArmJob>,
}

/// The signals between a shard and the block that owns it.
pub struct Signals {
    /// Shard number and count.
    pub shard: (u64, u64),
    /// The shard's CPU.
    pub cpus: Vec<usize>,
    /// Set to end early.
    pub stop: Arc<AtomicBool>,
    /// Origin of the wall clock, set by the block once every shard is warm; 0 before.
    pub origin: Arc<AtomicU64>,
    /// Where news go.
    pub news: Sender<News>,
}

/// What a shard tells while it runs.
pub enum News {
    /// Every connection is warm, or an arm's target did not let us connect.
    Warm(Result<(), (usize, String)>),
    /// An interval of one arm ended: its responses.
    Interval {
        /// The arm.
        arm: usize,
        /// Its number, from 0.
        number: u64,
        /// Its responses.
        hist: Hist,
    },
    /// Every event has its fate; connections still stand.
    Drained,
    /// The shard is done.
    Done(io::Result<Vec<ArmOutcome>>),
}

/// What a shard leaves of one arm.
pub struct ArmOutcome {
    /// Fates, times, traffic.
    pub account: Account,
    /// CPU in this arm's slices of the measured window without spinning, ns.
    pub cpu_ns: u64,
    /// Spun in them, ns.
    pub spin_ns: u64,
    /// CPU of the drain after them, ns; only of an arm that is alone on its cores.
    pub drain_ns: u64,
}

struct Arm {
    ledger: Rc<Ledger>,
    spout: Spout,
    schedule: Option<Peekable<Schedule>>,
    tasks: Vec<JoinHandle<()>>,
    cpu_ns: u64,
    spin_ns: u64,
    drain_ns: u64,
}

/// Runs the shard on the calling thread and sends [`News::Done`] at the end.
pub fn run(job: &BlockJob, signals: &Signals) {
    cpus::pin(&signals.cpus);
    let done = drive(job, signals);
    let _block_gone = signals.news.send(News::Done(done));
}

fn drive(job: &BlockJob, signals: &Signals) -> io::Result<Vec<ArmOutcome>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .event_interval(EVENT_INTERVAL)
        .build_local(Default::default())?;
    runtime.block_on(async {
        // The pacer is a task as well: a self-wake of the root future would write to an eventfd.
        let (job, signals) = (job.clone(), signals.copy());
        let pacing = tokio::task::spawn_local(async move { pace(&job, &signals).await });
        pacing.await.map_err(io::Error::other)?
    })
}

impl Signals {
    fn copy(&self) -> Signals {
        Signals {
            shard: self.shard,
            cpus: self.cpus.clone(),
            stop: self.stop.clone(),
            origin: self.origin.clone(),
            news: self.news.clone(),
        }
    }
}

async fn pace(job: &BlockJob, signals: &Signals) -> io::Result<Vec<ArmOutcome>> {
    let worked = Rc::new(Cell::new(false));
    let pacer = Pacer::new(worked.clone())?;
    let mut arms = Vec::new();
    for (i, arm) in job.arms.iter().enumerate() {
        match connect(job, arm, signals, &worked).await {
            Ok(arm) => arms.push(arm),
            Err(why) => {
                let _block_gone = signals.news.send(News::Warm(Err((i, why))));
                return Ok(Vec::new());
            }
        }
    }
    let _block_gone = signals.news.send(News::Warm(Ok(())));
    let mut turn = Turn { job, signals, pacer, arms, origin: 0, next_housekeeping: 0, interval: 0 };
    if turn.wait_for_origin().await? {
        turn.all_slices().await?;
        turn.drain().await?;
    }
    let _block_gone = signals.news.send(News::Drained);
    turn.finish().await
}

async fn connect(
    job: &BlockJob,
    arm: &ArmJob,
    signals: &Signals,
    worked: &Rc<Cell<bool>>,
) -> Result<Arm, String> {
    let (shard, of) = signals.shard;
    let closed_loop = job.load.arrivals == Arrivals::Closed;
    let rules = LedgerRules {
        origin: 0,
        timeout: job.load.timeout.as_nanos() as u64,
        shard,
        of,
        wall_length: job.slices.wall_length(),
        closed_loop,
    };
    let ledger = Rc::new(Ledger::new(rules, arm.matched == Matched::ById));
    let source = if closed_loop { Source::Closed { shard, of } } else { Source::Open };
    let spout = Spout::new(ledger.clone(), source, arm.connections, job.load.backlog);
    let dial = Dial {
        address: arm.address.clone(),
        matched: arm.matched,
        template: Rc::new(job.template.clone()),
        in_flight: arm.in_flight,
        lifetime: job.lifetime,
        max_segment: job.max_segment,
        ledger: ledger.clone(),
        warm: true,
    };
    let slots = Slots { dial, spout: &spout, count: arm.connections, worked };
    let tasks = match arm.transport {
        Transport::Webhook => slots.start::<Webhook>().await,
        Transport::Websocket => slots.start::<Websocket>().await,
        Transport::Tcp => slots.start::<Tcp>().await,
    }
    .map_err(|fault| fault.to_string())?;
    let schedule = Schedule::new(&job.load, job.seed, shard as usize, of as usize);
    let schedule = schedule.map(Iterator::peekable);
    Ok(Arm { ledger, spout, schedule, tasks, cpu_ns: 0, spin_ns: 0, drain_ns: 0 })
}

struct Slots<'a> {
    dial: Dial,
    spout: &'a Spout,
    count: usize,
    worked: &'a Rc<Cell<bool>>,
}

impl Slots<'_> {
    async fn start<C: Client>(self) -> Result<Vec<JoinHandle<()>>, crate::transport::fault::Fault> {
        let warm = warm_up::<C>(self.count, &self.dial).await?;
        let again = Rc::new(Dial { warm: false, ..self.dial });
        let start = |(slot, client)| {
            let feed = self.spout.feed(slot);
            let slot = keep::<C>(client, again.clone(), feed, again.ledger.clone());
            tokio::task::spawn_local(Metered::new(slot, self.worked.clone()))
        };
        Ok(warm.into_iter().enumerate().map(start).collect())
    }
}

struct Turn<'a> {
    job: &'a BlockJob,
    signals: &'a Signals,
    pacer: Pacer,
    arms: Vec<Arm>,
    origin: u64,
    next_housekeeping: u64,
    interval: u64,
}

impl Turn<'_> {
    fn stopping(&self) -> bool {
        self.signals.stop.load(Ordering::Relaxed)
    }

    /// False when the block was called off.
    async fn wait_for_origin(&mut self) -> io::Result<bool> {
        loop {
            if self.stopping() {
                return Ok(false);
            }
            self.origin = self.signals.origin.load(Ordering::Acquire);
            if self.origin != 0 {
                self.arms.iter().for_each(|a| a.ledger.begin(self.origin));
                return Ok(true);
            }
            self.pacer.roughly(clock::now() + 1_000_000).await?;
        }
    }

    async fn all_slices(&mut self) -> io::Result<()> {
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
                let spent = (clock::thread_cpu(), self.pacer.take_spun());
                let end = (begin + slice).min(slices.length_ns());
                if begin < warmup && warmup < end {
                    // Alone on its cores an arm has one slice: the window opens within it.
                    self.events(arm, warmup).await?;
                    self.until(self.origin + slices.wall(arm, warmup)).await?;
                    self.arms[arm].begin_slice(true);
                    measuring = true;
                }
                self.events(arm, end).await?;
                self.until(self.origin + slices.wall(arm, begin) + (end - begin)).await?;
                self.end_slice(arm, measuring.then_some(spent.0));
                if self.stopping() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Feeds the arm's events due before `end` of its own time, each at its instant.
    async fn events(&mut self, arm: usize, end: u64) -> io::Result<()> {
        let warmup = self.job.load.warmup.as_nanos() as u64;
        while let Some(Due { index, at }) = self.arms[arm].next_before(end) {
            let due = self.origin + self.job.slices.wall(arm, at);
            self.until(due).await?;
            if self.stopping() {
                return Ok(());
            }
            self.arms[arm].spout.put(index, due, at >= warmup);
        }
        Ok(())
    }

    fn end_slice(&mut self, arm: usize, measured_from: Option<u64>) {
        let spun = self.pacer.take_spun();
        let arm = &mut self.arms[arm];
        arm.spout.run(false);
        arm.ledger.end_of_slice();
        if let Some(cpu) = measured_from {
            let cpu = clock::thread_cpu().saturating_sub(cpu);
            arm.cpu_ns += cpu.saturating_sub(spun);
            arm.spin_ns += spun;
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
                arm.spout.wake_all();
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
            let hist = arm.ledger.swap_interval(Hist::new());
            if !hist.is_empty() {
                let number = self.interval;
                let _block_gone = self.signals.news.send(News::Interval { arm: i, number, hist });
            }
        }
    }

    /// Waits until every event has its fate, at the latest when the youngest has timed out.
    async fn drain(&mut self) -> io::Result<()> {
        for arm in &self.arms {
            arm.ledger.end_of_schedule();
            arm.spout.end();
        }
        let cpu = clock::thread_cpu();
        while self.arms.iter().any(|a| a.ledger.open_count() > 0) && !self.stopping() {
            self.pacer.roughly(clock::now() + DRAIN_STEP_NS).await?;
            if clock::now() >= self.next_housekeeping {
                self.housekeeping();
            }
        }
        // Draining is work for the events already charged; alone on its cores it has one owner.
        if let [only] = &mut self.arms[..] {
            only.drain_ns = clock::thread_cpu().saturating_sub(cpu);
        }
        self.close_interval();
        Ok(())
    }

    async fn finish(self) -> io::Result<Vec<ArmOutcome>> {
        let mut outcomes = Vec::new();
        for arm in self.arms {
            // What was called off before its answer came is timed out, not lost.
            arm.ledger.expire(u64::MAX);
            arm.spout.end();
            arm.tasks.iter().for_each(JoinHandle::abort);
            for task in arm.tasks {
                let _aborted = task.await;
            }
            outcomes.push(ArmOutcome {
                account: arm.ledger.account(),
                cpu_ns: arm.cpu_ns,
                spin_ns: arm.spin_ns,
                drain_ns: arm.drain_ns,
            });
        }
        Ok(outcomes)
    }
}

impl Arm {
    fn begin_slice(&mut self, measuring: bool) {
        if measuring {
            self.ledger.start_measuring();
            self.spout.measure();
        }
        if self.schedule.is_none() {
            self.spout.run(true);
        }
    }

    fn next_before(&mut self, end: u64) -> Option<Due> {
        self.schedule.as_mut()?.next_if(|due| due.at < end)
    }
}
