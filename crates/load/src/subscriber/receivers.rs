//! The receivers of an arm under a guarantee or under faults: what outlives their connections, and what planned faults do
//! to what comes to them.

use crate::ledger::guarantee::{Before, Handling, LossReason};
use crate::ledger::recovery::RecoveryRules;
use crate::ledger::{DeliveryTimes, Ledger};
use crate::poll::SharedTimer;
use crate::subscriber::SubscribeConfig;
use pushbench_core::guarantee::backoff::Backoff;
use pushbench_core::guarantee::deduplicator::Deduplicator;
use pushbench_core::guarantee::{Guarantee, Promise};
use pushbench_core::scenario::payload::ID_DIGITS;
use pushbench_core::scenario::{Faults, Subscribers};
use pushbench_core::schedule::fault_plan::{FaultPlan, PlannedFault};
use pushbench_host::clock;
use pushbench_wire::fault::Fault;
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use tokio::sync::watch;

/// Why a connection ended that a planned fault has ended.
pub(crate) const PLANNED: &str = "ended by a planned fault";
/// How often freshness is looked at, ns.
const FRESHNESS_INTERVAL_NS: u64 = 100_000_000;

/// What is promised to the subscribers of an arm, and what breaks.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryConditions {
    pub guarantee: Guarantee,
    pub faults: Faults,
    /// The publisher replays what a subscriber that comes again has missed.
    pub resumes: bool,
    pub recovery: RecoveryRules,
    /// How long the measured window lasts, ns.
    pub window_ns: u64,
}

/// What a receiver does with an event after it has looked at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It acknowledges it.
    Acknowledge,
    /// It refuses it with this status.
    Refuse(u16),
    /// It resets its connection.
    Reset,
}

/// All receivers of an arm.
pub(crate) struct Receivers {
    conditions: DeliveryConditions,
    plan: FaultPlan,
    ledger: Rc<Ledger>,
    all: RefCell<Vec<Receiver>>,
    /// The schedule has begun: the first subscriptions meet no fault.
    begun: Cell<bool>,
    pub(crate) timer: SharedTimer,
    /// They are down.
    down: watch::Sender<bool>,
    /// Changes when all connections are reset.
    resets: watch::Sender<()>,
}

/// What outlives a receiver's connections.
struct Receiver {
    backoff: Backoff,
    /// What it has asked the publisher to wait at least, ns.
    retry_after: Option<u64>,
    known: Deduplicator<u64>,
    /// How often planned faults have met events that it has not acknowledged since.
    met: BTreeMap<u64, u64>,
    /// The last event that it has acknowledged, or the newest one of the publisher when it subscribed; nothing before.
    cursor: Option<String>,
    /// The life of the publisher that it was subscribed to last.
    publisher: Option<String>,
    /// Connections that it has made or accepted.
    connections: u64,
    /// When it subscribed last.
    requested_at: u64,
    /// A planned fault has ended its connection.
    planned: bool,
    /// Where it requests the events of its subscription, which outlives its connection.
    events: Option<String>,
    /// What came with the confirmation of its subscription.
    early: Vec<(Option<u64>, DeliveryTimes)>,
}

/// How a publisher under a guarantee confirms a subscription.
#[derive(Deserialize)]
struct Confirmation {
    /// Everything after the cursor is there.
    resumed: bool,
    /// The first event that is replayed.
    from: Option<String>,
    /// The newest one that it has.
    last: String,
    /// Changes when it has lost what it had.
    publisher: String,
}

impl Receivers {
    pub fn new(
        conditions: &DeliveryConditions,
        (settings, seed): (&Subscribers, u64),
        ledger: &Rc<Ledger>,
    ) -> Result<Receivers, Fault> {
        let guarantee = &conditions.guarantee;
        // One attempt to deliver does not mean one to connect.
        let reconnecting = Guarantee {
            delivery: Promise::AtLeastOnce,
            backoff: settings.backoff.unwrap_or(guarantee.backoff),
            ..*guarantee
        };
        let receiver = |number| Receiver {
            backoff: Backoff::new(&reconnecting, seed, number as u64),
            retry_after: None,
            known: Deduplicator::new(guarantee.window),
            met: BTreeMap::new(),
            cursor: None,
            publisher: None,
            connections: 0,
            requested_at: 0,
            planned: false,
            events: None,
            early: Vec::new(),
        };
        Ok(Receivers {
            plan: FaultPlan::new(&conditions.faults, seed),
            conditions: conditions.clone(),
            ledger: ledger.clone(),
            all: RefCell::new((0..settings.count).map(receiver).collect()),
            begun: Cell::new(false),
            timer: SharedTimer::new().map_err(Fault::refused)?,
            down: watch::Sender::new(false),
            resets: watch::Sender::new(()),
        })
    }

    fn with<T>(&self, number: usize, act: impl FnOnce(&mut Receiver) -> T) -> T {
        act(&mut self.all.borrow_mut()[number])
    }

    /// What becomes of an event that came to a receiver; the connection was `opened` then, or is its subscription's.
    pub fn arrive(
        &self,
        (number, index): (usize, Option<u64>),
        times: DeliveryTimes,
        opened: Option<u64>,
    ) -> Verdict {
        let (guarantee, faults) = (&self.conditions.guarantee, &self.conditions.faults);
        let mut all = self.all.borrow_mut();
        let receiver = &mut all[number];
        let opened = opened.unwrap_or(receiver.requested_at);
        let arrived = |handling| self.ledger.arrived((number, index), times, opened, handling);
        let Some(event) = index else {
            arrived(Handling::Handed);
            return Verdict::Acknowledge;
        };
        let nth = receiver.met.get(&event).copied().unwrap_or_default();
        let fault = self.plan.delivery(number, event, nth);
        if fault != PlannedFault::None && guarantee.retries() {
            receiver.met.insert(event, nth + 1);
            if receiver.met.len() > guarantee.window {
                receiver.met.pop_first();
            }
        }
        if let PlannedFault::Status(_) | PlannedFault::Reset = fault {
            arrived(Handling::MetByFault);
        } else {
            let first = !guarantee.deduplicates() || receiver.known.is_first(&event);
            arrived(if first { Handling::Handed } else { Handling::Removed });
        }
        receiver.planned = fault != PlannedFault::None;
        match fault {
            PlannedFault::None => {
                receiver.met.remove(&event);
                receiver.cursor = Some(format!("{event:0ID_DIGITS$x}"));
                receiver.backoff.succeeded();
                Verdict::Acknowledge
            }
            PlannedFault::Status(status) => {
                let waits = matches!(status, 503 | 429);
                receiver.retry_after = waits.then_some(faults.retry_after.as_nanos() as u64);
                Verdict::Refuse(status)
            }
            PlannedFault::Reset => Verdict::Reset,
            PlannedFault::LoseAck => {
                self.ledger.lost_ack();
                Verdict::Reset
            }
        }
    }

    /// Whether a receiver resets its next connection at once.
    pub fn refuses(&self, number: usize) -> bool {
        self.begun.get()
            && self.with(number, |receiver| {
                receiver.connections += 1;
                self.plan.refuses(number, receiver.connections - 1)
            })
    }

    /// What a status that refuses an event says of the next attempt, s.
    pub fn retry_after(&self, status: u16) -> Option<u64> {
        matches!(status, 503 | 429).then_some(self.conditions.faults.retry_after.as_secs())
    }

    /// The receivers go down for a while.
    pub fn has_outage(&self) -> bool {
        !self.conditions.faults.outage.is_zero()
    }

    /// They are down.
    pub fn are_down(&self) -> bool {
        *self.down.borrow()
    }

    /// Ready when they are not down.
    pub async fn until_up(&self) {
        let mut down = self.down.subscribe();
        let _trial_ends = down.wait_for(|down| !down).await;
    }

    /// Ready when all connections are reset the next time.
    pub async fn reset(&self) -> io::Result<()> {
        self.resets.subscribe().changed().await.map_err(io::Error::other)
    }

    /// Whether a planned fault has ended a receiver's connection since the last look.
    pub fn take_planned(&self, number: usize) -> bool {
        self.with(number, |receiver| std::mem::take(&mut receiver.planned))
    }

    /// The pause before a receiver's next attempt to subscribe, ns; `None` when it gives up.
    pub fn pause(&self, number: usize) -> Option<u64> {
        self.with(number, |receiver| {
            let retry_after = receiver.retry_after.take();
            receiver.backoff.failed(retry_after)
        })
    }

    /// A receiver tries to subscribe, at the instant that is returned.
    pub fn begin_attempt(&self, number: usize) -> u64 {
        let now = clock::now();
        self.with(number, |receiver| {
            receiver.requested_at = now;
            receiver.early = Vec::new();
        });
        now
    }

    /// Where a receiver resumes: in the query or the body of its subscription.
    pub fn cursor(&self, number: usize) -> Option<String> {
        self.last_event_id(number).filter(|_| self.conditions.resumes)
    }

    /// The same in the header that other publishers know as well.
    pub fn last_event_id(&self, number: usize) -> Option<String> {
        let retries = self.conditions.guarantee.retries();
        self.with(number, |receiver| receiver.cursor.clone()).filter(|_| retries)
    }

    /// The publisher confirms subscriptions with where it resumes.
    pub fn resume(&self) -> bool {
        self.conditions.resumes
    }

    /// The publisher has confirmed a subscription in these words. What it cannot replay is lost for good.
    pub fn confirm(&self, number: usize, words: &[u8]) -> Result<(), Fault> {
        let confirmation: Confirmation = serde_json::from_slice(words).map_err(|e| {
            let text = String::from_utf8_lossy(words);
            let wanted = r#"{"resumed": …, "from": …, "last": …, "publisher": …}"#;
            Fault::protocol(format!(
                "subscribing was answered {text:?}: {wanted} was expected: {e}"
            ))
        })?;
        let Confirmation { resumed, from, last, publisher } = confirmation;
        let mut all = self.all.borrow_mut();
        let receiver = &mut all[number];
        let restarted = receiver.publisher.as_ref().is_some_and(|known| *known != publisher);
        if receiver.cursor.is_some() && (restarted || !resumed) {
            let why = if restarted { LossReason::Restart } else { LossReason::Log };
            let first = from.as_deref().and_then(|id| u64::from_str_radix(id, 16).ok());
            let before = first.map_or(Before::Instant(receiver.requested_at), Before::Event);
            self.ledger.lost_for_good(number, before, why);
        }
        if from.is_none() {
            receiver.backoff.succeeded();
            receiver.cursor = Some(last);
        }
        receiver.publisher = Some(publisher);
        Ok(())
    }

    /// A receiver is subscribed again.
    pub fn subscribed(&self, number: usize) {
        if !self.resume() {
            self.with(number, |receiver| receiver.backoff.succeeded());
        }
        let DeliveryConditions { guarantee, recovery, .. } = &self.conditions;
        // An address is registered again with a publisher that was restarted.
        if !recovery.receivers_connect && guarantee.retries() && !guarantee.durable {
            let before = Before::Instant(clock::now());
            self.ledger.lost_for_good(number, before, LossReason::Restart);
        }
    }

    /// Keeps what came with the confirmation of a subscription.
    pub fn put_early(&self, number: usize, event: Option<u64>, times: DeliveryTimes) {
        self.with(number, |receiver| receiver.early.push((event, times)));
    }

    /// What was kept so.
    pub fn take_early(&self, number: usize) -> Vec<(Option<u64>, DeliveryTimes)> {
        self.with(number, |receiver| std::mem::take(&mut receiver.early))
    }

    /// Where a receiver requests the events of its subscription from now on; returns where it did so before.
    pub fn replace_events(&self, number: usize, events: &str) -> Option<String> {
        self.with(number, |receiver| receiver.events.replace(events.to_owned()))
    }

    /// Receivers connect themselves.
    pub fn connect(&self) -> bool {
        self.conditions.recovery.receivers_connect
    }

    async fn run_planned_fault(&self, origin: u64) {
        let Some(fault) = self.conditions.recovery.fault else { return };
        let faults = &self.conditions.faults;
        if !faults.cut && !self.has_outage() {
            return;
        }
        self.timer.until(origin + fault.begin).await;
        self.down.send_replace(self.has_outage());
        self.resets.send_replace(());
        self.timer.until(origin + fault.end).await;
        self.down.send_replace(false);
    }

    async fn sample_freshness(&self, origin: u64) {
        if self.conditions.recovery.fault.is_none() {
            return;
        }
        for n in 0..=self.conditions.window_ns / FRESHNESS_INTERVAL_NS {
            let at = origin + self.conditions.recovery.window + n * FRESHNESS_INTERVAL_NS;
            self.timer.until(at).await;
            self.ledger.sample_freshness(at);
        }
    }
}

/// Starts what happens to the receivers at instants: their timer, the planned fault, and the looks at freshness.
pub(super) fn start(subscribe_config: &Rc<SubscribeConfig>, origin: &watch::Receiver<u64>) {
    let config = subscribe_config.clone();
    (subscribe_config.spawn)(Box::pin(async move {
        let Some(receivers) = &config.receivers else { return };
        if let Err(e) = receivers.timer.run().await {
            config.ledger.fault(&format!("the timer of the subscribers failed: {e}"));
        }
    }));
    let (config, mut origin) = (subscribe_config.clone(), origin.clone());
    (subscribe_config.spawn)(Box::pin(async move {
        let Some(receivers) = &config.receivers else { return };
        let Ok(origin) = origin.wait_for(|origin| *origin != 0).await.map(|at| *at) else { return };
        receivers.begun.set(true);
        let (fault, freshness) =
            (receivers.run_planned_fault(origin), receivers.sample_freshness(origin));
        futures_util::future::join(fault, freshness).await;
    }));
}

#[cfg(test)]
#[path = "receivers_tests.rs"]
mod tests;
