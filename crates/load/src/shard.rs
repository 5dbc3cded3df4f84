//! One shard of one block: a thread with a current-thread runtime, the connections of every arm of
//! the block, and the pacer that feeds them by turns.

use crate::connections::Client;
use crate::connections::ConnectConfig;
use crate::connections::{keep, warm_up};
use crate::cpu_account;
use crate::cpu_account::CpuAccount;
use crate::feed::{EventQueue, Source};
use crate::ledger::{AttemptAccount, AttemptRules, Ledger, LedgerRules};
use crate::pacer::Pacer;
use crate::pacer::{Arm, SliceRunner};
use crate::scheduled_actions::TICK;
use crate::subscriber::Spawn;
use crate::subscriber::{SubscribersJob, listens_at};
use crate::tasks::Tasks;
use crate::tcp::Tcp;
use crate::webhook::batch::BatchedWebhook;
use crate::webhook::callback::Callback;
use crate::webhook::client::Webhook;
use crate::webhook::http2::Http2;
use crate::websocket::Websocket;
use hyper::header::HeaderValue;
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::event::{Matched, Template};
use pushbench_core::message_pattern::Captured;
use pushbench_core::plan::Slices;
use pushbench_core::record::account::Account;
use pushbench_core::record::fanout::{Deliveries, EventRecords, Quiet};
use pushbench_core::record::guarantee::GuaranteeRecord;
use pushbench_core::record::interval::IntervalCounts;
use pushbench_core::record::strata::Split;
use pushbench_core::scenario::{Arrivals, Lifetime, Load};
use pushbench_core::schedule::Schedule;
use pushbench_core::transport::Carrier;
use pushbench_host::sleep::Timer;
use pushbench_host::{clock, cpus, usage};
use pushbench_path::Ends;
use pushbench_path::namespace::Namespace;
use pushbench_wire::endpoint::Resolved;
use pushbench_wire::fault::Fault;
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::tls::{ClientTls, ServerTls};
use pushbench_wire::webhook::CALLBACK_URL;
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::sync::watch;

/// Ready tasks run between two looks at the sockets: few, so that nothing is read late.
const EVENT_INTERVAL: u32 = 4;
/// The connections of an arm whose target is ready must be open after this.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// … or, of thousands, after this for each: a TLS handshake takes both ends 0.3 ms of CPU, on a machine that may be
/// busy.
const CONNECT_EACH: Duration = Duration::from_millis(10);
/// The parameters of an arm in a shard.
#[derive(Debug, Clone)]
pub struct ArmJob {
    /// Transport, options and target.
    pub spec: ArmSpec,
    /// How events travel from the driver.
    pub carrier: Carrier,
    /// Where to.
    pub address: Resolved,
    /// The namespace of these connections where it is not the shard's.
    pub namespace: Option<Namespace>,
    /// How connections there are encrypted; nothing without TLS.
    pub tls: Option<ClientTls>,
    /// The driver's end of connections that the target opens; nothing without TLS.
    pub listener_tls: Option<ServerTls>,
    /// How answers are matched.
    pub matched: Matched,
    /// What it wants of requests and handshakes.
    pub request_options: RequestOptions,
    /// Makes the events.
    pub template: Template,
    /// Connections of this shard.
    pub connections: usize,
    /// Unanswered events each may carry.
    pub in_flight: usize,
    /// Who gets the events that the target publishes.
    pub subscribers: Option<SubscribersJob>,
    /// How events are tried again, and what breaks, where the target takes them.
    pub(crate) attempts: Option<AttemptRules>,
}

impl ArmJob {
    /// How the driver's connections for events are encrypted.
    fn client_tls(&self) -> Option<ClientTls> {
        match self.spec.has(ArmOption::H2) {
            true => self.tls.as_ref().map(ClientTls::with_http2),
            false => self.tls.clone(),
        }
    }
}

/// What all shards of a block share.
#[derive(Debug, Clone)]
pub struct BlockJob {
    /// The load, with warm-up and duration already rounded to whole slices.
    pub load: Load,
    /// Seed of the schedule.
    pub seed: u64,
    /// The order of the slices.
    pub slices: Arc<Slices>,
    /// Events a connection carries.
    pub lifetime: Lifetime,
    /// Cap of the segment size.
    pub max_segment: Option<u32>,
    /// How measured events are divided into strata.
    pub split: Option<Split>,
    /// Where the quiet period after the warm-up ends, ns of the arm's own time.
    pub(crate) quiet_end: Option<u64>,
    /// Connections and subscriptions must be open after this, where it is less than the usual limit.
    pub(crate) connect_limit: Option<Duration>,
    /// A pilot, which finds out how long queues take to empty.
    pub(crate) pilot: bool,
    /// When the path is disrupted, ns after the origin.
    pub(crate) disrupted_at: Option<u64>,
    /// The ends of the path, where there is one: the shard is at the driver's.
    pub ends: Option<Ends>,
    /// Connections that cannot be opened do not end the trial: its events fail.
    pub(crate) tolerates_connect_failures: bool,
    /// The arms.
    pub arms: Vec<ArmJob>,
}

impl BlockJob {
    /// The connections of an arm and its subscribers' must be open after this.
    fn connect_limit(&self, arm: &ArmJob) -> Duration {
        let subscribers = arm.subscribers.as_ref().map_or(0, |s| s.settings.count);
        let usual = CONNECT_LIMIT.max(CONNECT_EACH * (arm.connections + subscribers) as u32);
        self.connect_limit.map_or(usual, |limit| limit.min(usual))
    }
}

/// The signals between a shard and the block that owns it.
pub struct ShardContext {
    /// Shard number and count.
    pub shard: (u64, u64),
    /// The shard's CPU.
    pub cpus: Vec<usize>,
    /// Set to end early.
    pub stop: Arc<AtomicBool>,
    /// Origin of the wall clock, set by the block once every shard is warm; 0 before.
    pub origin: Arc<AtomicU64>,
    /// Where messages go.
    pub messages: Sender<ShardMessage>,
}

/// A message of a shard to its block.
pub enum ShardMessage {
    /// Every connection is warm, or an arm's target did not let us connect.
    Warm(Result<(), (usize, String)>),
    /// A second of one arm ended.
    Interval {
        /// The arm.
        arm: usize,
        /// Its number, from 0.
        second: u64,
        /// What it brought.
        counts: IntervalCounts,
    },
    /// The quiet period of an idle flow begins.
    Quiet,
    /// Every event has its outcome; connections stay open until the block sets the stop flag.
    Drained,
    /// The shard is done.
    Done(io::Result<Vec<ArmOutcome>>),
}

/// The results of an arm in a shard.
pub struct ArmOutcome {
    /// Outcomes, times, traffic.
    pub account: Account,
    /// What subscribers saw, in a fan-out. It is not merged: one shard has all of those of this machine.
    pub deliveries: Option<Deliveries>,
    /// What became of each event at them; empty where this machine has all.
    pub event_records: EventRecords,
    /// What became of deliveries under a guarantee or under faults.
    pub guarantee: Option<GuaranteeRecord>,
    /// What attempts came to, under a guarantee or faults, where the target takes events.
    pub(crate) attempts: Option<AttemptAccount>,
    /// What the thread did in this arm's slices of the measured window.
    pub cpu: CpuAccount,
    /// The kernel reports how long it waited for its CPU.
    pub(crate) waiting_is_known: bool,
    /// CPU of the drain after them, ns; only of an arm that is alone on its cores.
    pub drain_ns: u64,
    /// What it took to subscribe all subscribers, ns.
    pub subscribed_in_ns: u64,
    /// Memory of this process before the first subscriber, bytes.
    pub(crate) memory_before: u64,
    /// The quiet period of an idle flow.
    pub quiet: Option<Quiet>,
    /// For each burst the time until its queue was gone, ns.
    pub drained_ns: Vec<Option<u64>>,
}

/// Runs the shard on the calling thread and sends [`ShardMessage::Done`] at the end.
pub fn run(job: &BlockJob, context: &ShardContext) {
    cpus::pin(&context.cpus);
    let inside = job.ends.as_ref().map(|ends| ends.driver.enter()).transpose();
    let done = inside.and_then(|_inside| drive(job, context));
    let _block_gone = context.messages.send(ShardMessage::Done(done));
}

fn drive(job: &BlockJob, context: &ShardContext) -> io::Result<Vec<ArmOutcome>> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io().event_interval(EVENT_INTERVAL);
    cpu_account::watch_parking(&mut builder);
    let runtime = builder.build_local(Default::default())?;
    runtime.block_on(async {
        // The pacer is a task as well: a self-wake of the root future would write to an eventfd.
        let (job, context) = (job.clone(), context.copy());
        let running = tokio::task::spawn_local(async move { run_arms(&job, &context).await });
        running.await.map_err(io::Error::other)?
    })
}

impl ShardContext {
    fn copy(&self) -> ShardContext {
        ShardContext {
            shard: self.shard,
            cpus: self.cpus.clone(),
            stop: self.stop.clone(),
            origin: self.origin.clone(),
            messages: self.messages.clone(),
        }
    }
}

async fn run_arms(job: &BlockJob, context: &ShardContext) -> io::Result<Vec<ArmOutcome>> {
    let worked = Rc::new(Cell::new(false));
    let pacer = Pacer::new(worked.clone())?;
    let mut arms = Vec::new();
    for (i, arm) in job.arms.iter().enumerate() {
        let connected = tokio::select! {
            connected = connect(job, arm, context, &worked) => connected,
            ended = connect_deadline(context, job.connect_limit(arm)) => match ended? {
                Some(why) => Err(why),
                None => return Ok(Vec::new()),
            },
        };
        match connected {
            Ok(arm) => arms.push(arm),
            Err(why) => {
                let _block_gone = context.messages.send(ShardMessage::Warm(Err((i, why))));
                return Ok(Vec::new());
            }
        }
    }
    let _block_gone = context.messages.send(ShardMessage::Warm(Ok(())));
    let mut slice_runner = SliceRunner::new(job, context, pacer, arms);
    if slice_runner.wait_for_origin().await? {
        slice_runner.all_slices().await?;
        slice_runner.drain().await?;
    }
    let _block_gone = context.messages.send(ShardMessage::Drained);
    slice_runner.wait_for_end().await?;
    slice_runner.finish().await
}

/// Ready when the connections of an arm need not be waited for any longer: with a reason where the target has not
/// let all of them open in time, with none where the block was called off.
async fn connect_deadline(context: &ShardContext, limit: Duration) -> io::Result<Option<String>> {
    let (timer, began) = (Timer::new()?, clock::now());
    while !context.stop.load(Ordering::Relaxed) {
        let now = clock::now();
        if now > began + limit.as_nanos() as u64 {
            return Ok(Some(format!("not all connections open after {limit:?}")));
        }
        timer.until(now + TICK.as_nanos() as u64).await?;
    }
    Ok(None)
}

async fn connect(
    job: &BlockJob,
    arm: &ArmJob,
    context: &ShardContext,
    worked: &Rc<Cell<bool>>,
) -> Result<Arm, String> {
    let (shard, of) = context.shard;
    let closed_loop = job.load.arrivals == Arrivals::Closed;
    let rules = LedgerRules {
        origin: 0,
        timeout: job.load.timeout.as_nanos() as u64,
        shard,
        of,
        wall_length: job.slices.wall_length(),
        warmup: job.load.warmup.as_nanos() as u64,
        window: job.load.duration.as_nanos() as u64,
        split: job.split.clone(),
        closed_loop,
    };
    let mut ledger = Ledger::new(rules, arm.matched.tells_ids());
    if let Some(attempts) = &arm.attempts {
        ledger = ledger.with_attempts(attempts.clone());
    }
    if job.pilot {
        ledger.record_busy_periods();
    }
    let ledger = Rc::new(match &arm.subscribers {
        Some(subscribers) => subscribers.ledger(ledger, arm.template.len()),
        None if arm.spec.has(ArmOption::Callback) => ledger.with_callbacks(),
        None => ledger,
    });
    let tasks = Tasks::new(worked);
    let request_options = Rc::new(match arm.spec.has(ArmOption::Callback) {
        true => with_callbacks(job, arm, &ledger, &tasks)?,
        false => arm.request_options.clone(),
    });
    let (origin_sender, origin) = watch::channel(0);
    if let Some(at) = job.disrupted_at {
        let (ledger, origin) = (ledger.clone(), origin.clone());
        tasks.spawn(async move {
            match wait_until(at, origin).await {
                Ok(()) => ledger.disrupted(),
                Err(e) => {
                    ledger.fault(&format!("the timer of the path's disruption failed: {e}"));
                }
            }
        });
    }
    let (mut subscribed_in_ns, mut memory_before) = (0, 0);
    if let Some(job_of) = &arm.subscribers {
        let subscribe_config = job_of.subscribe_config(arm, job.max_segment, &ledger, &tasks);
        let subscribe_config = subscribe_config.map_err(|fault| fault.to_string())?;
        // What a trial of any size takes, histograms above all, is no subscriber's.
        usage::give_back();
        memory_before = usage::tree_pss(&[std::process::id()]);
        let starting = job_of.start(&subscribe_config, &tasks, &origin);
        let started = match job.tolerates_connect_failures {
            false => starting.await,
            // A proxy may withhold the answer.
            true => tokio::select! {
                started = starting => started,
                late = connect_deadline(context, job.load.timeout) => {
                    Err(Fault::Refused(late.unwrap_or_default().unwrap_or_default()))
                }
            },
        };
        subscribed_in_ns = match started {
            Ok(took) => took,
            Err(fault) if job.tolerates_connect_failures => {
                ledger.fault(&format!("subscriber: {fault}"));
                0
            }
            Err(fault) => return Err(fault.to_string()),
        };
    }
    let publishes = arm.subscribers.as_ref().is_none_or(|job_of| job_of.spread.share.publishes());
    let source = match closed_loop {
        true => Source::Closed { shard, of },
        false if publishes => Source::Open,
        false => Source::Elsewhere,
    };
    let queue = EventQueue::new(ledger.clone(), source, arm.connections, job.load.backlog);
    if arm.attempts.is_some() {
        let (ledger, queue) = (ledger.clone(), queue.clone());
        tasks.spawn(async move {
            let Err(e) = ledger.send_again(&queue).await;
            ledger.fault(&format!("the timer of further attempts failed: {e}"));
        });
    }
    if let Some(at) = ledger.is_cut_at() {
        let (ledger, queue, origin) = (ledger.clone(), queue.clone(), origin.clone());
        tasks.spawn(async move {
            match wait_until(at, origin).await {
                Ok(()) => queue.cut(),
                Err(e) => ledger.fault(&format!("the timer of the cut failed: {e}")),
            }
        });
    }
    let connect_config = ConnectConfig {
        address: Rc::new(arm.address.clone()),
        namespace: arm.namespace.clone(),
        tls: arm.client_tls(),
        matched: arm.matched.clone(),
        template: Rc::new(request_options.wrapped(&arm.template, &Captured::new())),
        events: Rc::new(arm.template.clone()),
        request_options,
        in_flight: arm.in_flight,
        lifetime: job.lifetime,
        max_segment: job.max_segment,
        ledger: ledger.clone(),
        spec: Rc::new(arm.spec.clone()),
        warm: false,
    };
    let slots = ConnectionSlots {
        connect_config,
        queue: &queue,
        count: arm.connections,
        tasks: &tasks,
        tolerates_connect_failures: job.tolerates_connect_failures,
    };
    match arm.carrier {
        Carrier::Webhook if arm.spec.has(ArmOption::H2) => slots.start::<Http2>().await,
        Carrier::Webhook if arm.spec.has(ArmOption::Batch) => slots.start::<BatchedWebhook>().await,
        Carrier::Webhook => slots.start::<Webhook>().await,
        Carrier::Websocket if arm.spec.has(ArmOption::Compressed) => {
            slots.start::<Websocket<true>>().await
        }
        Carrier::Websocket => slots.start::<Websocket>().await,
        Carrier::Tcp => slots.start::<Tcp>().await,
    }
    .map_err(|fault| fault.to_string())?;
    let schedule = Schedule::new(&job.load, job.seed, shard as usize, of as usize);
    let mut arm = Arm::new(ledger, queue, (&job.load, schedule), tasks, origin_sender);
    arm.subscribed_in_ns = subscribed_in_ns;
    arm.memory_before = memory_before;
    Ok(arm)
}

/// Waits for an instant, ns after the origin.
async fn wait_until(at: u64, mut origin: watch::Receiver<u64>) -> io::Result<()> {
    let began = origin.wait_for(|origin| *origin != 0).await.map(|origin| *origin);
    match began {
        Ok(origin) => Timer::new()?.until(origin + at).await,
        Err(_called_off) => std::future::pending().await,
    }
}

/// Listens for the answers of this shard's questions; the request options of questions that say where.
fn with_callbacks(
    job: &BlockJob,
    arm: &ArmJob,
    ledger: &Rc<Ledger>,
    tasks: &Tasks,
) -> Result<RequestOptions, String> {
    let (matched, tasks) = (arm.matched.clone(), tasks.clone());
    let spawn: Spawn = Rc::new(move |work| tasks.spawn(work));
    let (ledger, tls) = (ledger.clone(), arm.listener_tls.clone());
    let address = listens_at(job.ends.as_ref());
    let reached_at = job.ends.as_ref().map_or(*address.ip(), |ends| ends.driver_reached_at);
    let url = Callback { matched, ledger, spawn, tls }.listen(address, reached_at, job.max_segment);
    let url = url.map_err(|e| format!("cannot listen for answers: {e}"))?;
    let mut request_options = arm.request_options.clone();
    let url = HeaderValue::from_str(&url).map_err(|e| format!("{url}: {e}"))?;
    request_options.headers.insert(CALLBACK_URL, url);
    Ok(request_options)
}

struct ConnectionSlots<'a> {
    connect_config: ConnectConfig,
    queue: &'a EventQueue,
    count: usize,
    tasks: &'a Tasks,
    /// Connections may not open.
    tolerates_connect_failures: bool,
}

impl ConnectionSlots<'_> {
    /// What the connections of each slot need: the same, but for the TLS sessions that they resume.
    fn configs(&self) -> Vec<Rc<ConnectConfig>> {
        let Some(tls) = &self.connect_config.tls else {
            // They share one.
            return std::iter::repeat_n(Rc::new(self.connect_config.clone()), self.count).collect();
        };
        let own =
            |_| ConnectConfig { tls: Some(tls.with_own_sessions()), ..self.connect_config.clone() };
        (0..self.count).map(own).map(Rc::new).collect()
    }

    async fn start<C: Client>(self) -> Result<(), Fault> {
        let slots = self.configs();
        let warm: Vec<Option<C>> = match warm_up::<C>(&slots).await {
            Ok(warm) => warm.into_iter().map(Some).collect(),
            // Each event tries again.
            Err(_) if self.tolerates_connect_failures => slots.iter().map(|_| None).collect(),
            Err(fault) => return Err(fault),
        };
        for (slot, (client, config)) in warm.into_iter().zip(slots).enumerate() {
            let (feed, ledger) = (self.queue.feed(slot), config.ledger.clone());
            self.tasks.spawn(keep::<C>(client, config, (feed, slot), ledger));
        }
        Ok(())
    }
}
