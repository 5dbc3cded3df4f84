//! The subscribers of a publisher, and the outcome of every delivery.

use crate::publisher::Options;
use crate::publisher::outbox::{Outbox, Publication};
use crate::publisher::registry::{SubscriberRegistry, is_of};
use crate::publisher::store::Store;
use crate::publisher::subscription::Subscription;
use crate::publisher::tally::{DeliveryOutcome, Tally, add};
use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use pushbench_core::guarantee::delivery_queue::Held;
use pushbench_core::guarantee::replay_log::ReplayLog;
use pushbench_core::record::fanout::PublisherStatus;
use pushbench_core::transport::Transport;
use pushbench_wire::signing::constant_time_eq;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What all connections of a publisher share.
pub struct Hub {
    /// How it delivers.
    pub options: Options,
    /// Bounds the webhook deliveries under way.
    pub under_way: Semaphore,
    /// Another one in each process that begins with an empty log.
    pub(super) epoch: String,
    token: String,
    registry: Mutex<SubscriberRegistry>,
    pub(super) next: AtomicU64,
    /// Keeps events and webhook subscriptions.
    pub(super) store: Option<Store>,
    pub(super) tally: Tally,
}

impl Hub {
    /// Without subscribers.
    pub fn new(options: Options, token: String) -> Hub {
        let log = options.guarantee.retries().then(|| ReplayLog::new(options.guarantee.log));
        Hub {
            under_way: Semaphore::new(options.concurrency),
            options,
            epoch: format!("{:016x}", random()),
            token,
            registry: Mutex::new(SubscriberRegistry::new(log)),
            next: AtomicU64::new(0),
            store: None,
            tally: Tally::default(),
        }
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, SubscriberRegistry> {
        self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Compares the token in constant time.
    pub(crate) fn is_token(&self, token: &str) -> bool {
        constant_time_eq(token.as_bytes(), self.token.as_bytes())
    }

    /// The first of these types that this publisher does not know.
    pub fn unknown<'a>(&self, types: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        types.into_iter().find(|t| !self.options.types.iter().any(|known| is_of(t, known)))
    }

    /// Somebody subscribes to these types, to all of them where there are none.
    pub fn add_subscription(self: &Arc<Hub>, types: Vec<String>) -> Subscription {
        let outbox = Outbox::new(types, self.options.queue);
        self.enter(&mut self.registry(), self.next_number(), outbox)
    }

    /// The number of another subscription.
    pub(super) fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn enter(
        self: &Arc<Hub>,
        registry: &mut SubscriberRegistry,
        number: u64,
        outbox: Outbox,
    ) -> Subscription {
        let outbox = Arc::new(outbox);
        registry.add_subscription(number, &outbox);
        Subscription::new(self, number, outbox)
    }

    /// Ends a subscription once what is being delivered is; false when there is none of that number.
    pub fn leave(&self, number: u64) -> bool {
        let outbox = self.registry().stop_publishing(number);
        outbox.is_some_and(|outbox| outbox.close())
    }

    /// Ends a subscription at once: what has not been settled is lost, or left to the log. False when there is none of
    /// that number.
    pub fn end(&self, number: u64) -> bool {
        let Some(outbox) = self.registry().remove(number) else { return false };
        let outcome = match self.options.resumes() {
            true => DeliveryOutcome::Detached,
            false => DeliveryOutcome::Lost,
        };
        outbox.end().iter().for_each(|event| self.settle(event, outcome));
        true
    }

    /// Counts a kept connection that was closed because it was idle.
    pub(crate) fn closed_idle(&self) {
        add(&self.tally.idle_closed, 1);
    }

    /// The event as it is delivered.
    pub fn prepare(&self, id: String, kind: String, body: Bytes) -> Publication {
        let (body, signature) = match (&self.options.signing, self.options.transport) {
            (None, _) => (body, Vec::new()),
            (Some(key), Transport::Webhook) => {
                let signature = key.fields(&id, &body).into_iter().filter_map(header).collect();
                (body, signature)
            }
            (Some(key), _) => (key.envelope(&id, &body).into(), Vec::new()),
        };
        let mut event = Publication::new(id, kind, body);
        event.signature = signature;
        event
    }

    /// Queues an event for each interested subscriber, and returns their number. Under a guarantee it goes into the log
    /// first, and one that is there already is not queued again: its client did not know that it had been accepted.
    pub fn distribute(&self, event: Publication) -> usize {
        let event = &Arc::new(event);
        let (mut queued, mut overflowed, mut longest) = (0, 0, 0);
        let mut registry = self.registry();
        if registry.log.as_mut().is_some_and(|log| !log.append(&event.id, event.clone())) {
            return 0;
        }
        for (number, outbox) in registry.wanting(&event.kind) {
            // Counted before it can be settled.
            event.unsettled.fetch_add(1, Ordering::Relaxed);
            if let Some(open) = outbox.put(event) {
                queued += 1;
                longest = longest.max(open);
            } else {
                event.unsettled.fetch_sub(1, Ordering::Relaxed);
                event.failed.store(true, Ordering::Relaxed);
                match self.options.resumes() {
                    true => self.detach(outbox),
                    false => overflowed += 1,
                }
                if outbox.url().is_some() {
                    self.note_settled(*number, event);
                }
            }
        }
        drop(registry);
        add(&self.tally.published, 1);
        add(&self.tally.queued, queued);
        add(&self.tally.overflowed, overflowed);
        self.tally.longest_queue.fetch_max(longest as u64, Ordering::Relaxed);
        self.delivery_settled(event);
        queued as usize
    }

    fn delivery_settled(&self, event: &Publication) {
        let last = event.unsettled.fetch_sub(1, Ordering::AcqRel) == 1;
        if last && !event.failed.load(Ordering::Relaxed) {
            add(&self.tally.complete, 1);
        }
    }

    pub(super) fn settle(&self, event: &Publication, outcome: DeliveryOutcome) {
        add(&self.tally.outcomes[outcome as usize], 1);
        if !matches!(outcome, DeliveryOutcome::Acknowledged | DeliveryOutcome::Written) {
            event.failed.store(true, Ordering::Relaxed);
        }
        self.delivery_settled(event);
    }

    /// The queue of a subscriber that is there.
    pub(super) fn outbox(&self, number: u64) -> Option<Arc<Outbox>> {
        self.registry().all().get(&number).cloned()
    }

    /// The written event of that id has its outcome. `None` when none of that id was open.
    pub(super) fn settle_one(
        &self,
        outbox: &Outbox,
        id: &str,
        outcome: DeliveryOutcome,
    ) -> Option<Arc<Publication>> {
        let event = outbox.settled(id, outcome == DeliveryOutcome::Acknowledged);
        match &event {
            Some(event) => self.settle(event, outcome),
            None => add(&self.tally.stray, 1),
        }
        event
    }

    /// The written events up to the one of that id are acknowledged. A cursor is sent again with every
    /// request until it moves: that it acknowledges nothing more is no stray acknowledgement.
    pub(super) fn settle_up_to(&self, outbox: &Outbox, id: &str) {
        for event in outbox.settled_up_to(id) {
            self.settle(&event, DeliveryOutcome::Acknowledged);
        }
    }

    /// A subscriber acknowledges these events in a request of its own; false when it is not there.
    pub fn acknowledged(&self, subscriber: u64, ids: &[impl AsRef<str>]) -> bool {
        let Some(outbox) = self.outbox(subscriber) else { return false };
        for id in ids {
            self.settle_one(&outbox, id.as_ref(), DeliveryOutcome::Acknowledged);
        }
        self.answered(false);
        true
    }

    /// A request of a subscriber was answered; `empty`: without a requested event.
    pub(super) fn answered(&self, empty: bool) {
        add(&self.tally.requests, 1);
        add(&self.tally.empty, u64::from(empty));
    }

    /// Gives up what was written and not acknowledged in time.
    pub fn sweep(&self) {
        // With thousands of subscribers and hardly an event, looking at each would be most of the work.
        let settled: u64 = self.tally.outcomes.iter().map(|n| n.load(Ordering::Relaxed)).sum();
        if settled == self.tally.queued.load(Ordering::Relaxed) {
            return;
        }
        let all: Vec<Arc<Outbox>> = self.registry().all().values().cloned().collect();
        for outbox in &all {
            let overdue = outbox.overdue(self.options.timeout);
            let (outcome, ends) = match self.options.resumes() {
                true => (DeliveryOutcome::Detached, !overdue.is_empty()),
                false => (DeliveryOutcome::TimedOut, false),
            };
            overdue.iter().for_each(|event| self.settle(event, outcome));
            if ends {
                self.gone_after(self.options.timeout);
                self.detach(outbox);
            }
        }
    }

    /// Attempts to deliver were made.
    pub(crate) fn attempted(&self, n: u64) {
        add(&self.tally.attempts, n);
    }

    /// An attempt has failed: it is made again, or was the last one.
    pub(crate) fn attempt_failed(&self, again: bool) {
        add(if again { &self.tally.retried } else { &self.tally.exhausted }, 1);
    }

    /// What has waited at a destination behind an event that was tried again: before an attempt, and after it.
    pub(crate) fn held(&self, before: Held, after: Held) {
        add(&self.tally.held_events, after.events - before.events);
        add(&self.tally.held_ns, after.ns - before.ns);
    }

    /// What was counted until now.
    pub fn status(&self) -> PublisherStatus {
        let mut status = self.tally.status(self.registry().all().values());
        if let Some(store) = &self.store {
            (status.syncs, status.sync_ns, status.sync_longest_ns) = store.sync_times();
        }
        status
    }

    /// A subscriber is taken for dead that has sent nothing for so long.
    pub(crate) fn gone_after(&self, silent: Duration) {
        add(&self.tally.gone, 1);
        add(&self.tally.gone_after_ns, silent.as_nanos() as u64);
    }

    /// A ping was queued.
    pub(super) fn pinged(&self) {
        add(&self.tally.pings, 1);
    }

    /// One was answered.
    pub(super) fn ponged(&self) {
        add(&self.tally.pongs, 1);
    }
}

/// A random number, another one in each process.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A field of a signature as a header; an id with other characters than those of headers has none.
fn header((name, value): (&'static str, String)) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(queue: usize) -> Arc<Hub> {
        let options = Options { queue, ..Options::new(Transport::Websocket) };
        Arc::new(Hub::new(options, "secret".into()))
    }

    fn publish(hub: &Hub, id: &str, kind: &str) -> usize {
        let text = format!(r#"{{"id":"{id}","type":"{kind}","data":{{}}}}"#);
        hub.distribute(hub.prepare(id.to_owned(), kind.to_owned(), text.into()))
    }

    fn next(subscription: &Subscription) -> Option<String> {
        subscription.take().flatten().map(|event| event.id.clone())
    }

    #[test]
    fn a_full_queue_turns_events_away_from_its_own_subscriber_only() {
        let hub = hub(2);
        let (slow, quick) = (hub.add_subscription(Vec::new()), hub.add_subscription(Vec::new()));
        for (id, queued) in [("a", 2), ("b", 2), ("c", 1), ("d", 1)] {
            assert_eq!(publish(&hub, id, "event"), queued);
            assert_eq!(next(&quick).as_deref(), Some(id));
            assert!(quick.settle(id, DeliveryOutcome::Acknowledged));
        }
        // What is written but not acknowledged takes room, too.
        assert_eq!(next(&slow).as_deref(), Some("a"));
        assert_eq!(publish(&hub, "e", "event"), 1);
        let s = hub.status();
        assert_eq!((s.published, s.queued, s.overflowed, s.acknowledged), (5, 7, 3, 4));
        assert_eq!((s.open, s.complete, s.least_acknowledged, s.most_acknowledged), (3, 0, 0, 4));
        assert!(s.sums_are_exact(), "{s:?}");
        drop(slow);
        let s = hub.status();
        assert_eq!((s.lost, s.open, s.subscribers), (2, 1, 1));
        assert!(s.sums_are_exact(), "{s:?}");
    }

    #[test]
    fn only_wanted_types_are_delivered() {
        let hub = hub(8);
        let (all, some) =
            (hub.add_subscription(Vec::new()), hub.add_subscription(vec!["order".into()]));
        assert_eq!((publish(&hub, "a", "event"), publish(&hub, "b", "order")), (1, 2));
        assert_eq!(next(&some).as_deref(), Some("b"));
        assert!(all.take().is_some() && all.take().is_some());
        assert!(
            all.settle("b", DeliveryOutcome::Acknowledged)
                && all.settle("a", DeliveryOutcome::Acknowledged)
        );
        assert!(some.settle("b", DeliveryOutcome::Acknowledged));
        assert!(!some.settle("b", DeliveryOutcome::Acknowledged), "once only");
        let s = hub.status();
        assert_eq!((s.complete, s.acknowledged, s.stray, s.open), (2, 3, 1, 0));
    }

    #[test]
    fn who_leaves_gets_what_is_being_delivered_and_nothing_more() {
        let hub = hub(8);
        let one = hub.add_subscription(vec!["event".into()]);
        assert_eq!((publish(&hub, "a", "event"), publish(&hub, "b", "event")), (1, 1));
        assert_eq!(next(&one).as_deref(), Some("a"));
        assert!(hub.leave(one.number()) && !hub.leave(one.number()));
        assert_eq!(publish(&hub, "c", "event"), 0);
        let s = hub.status();
        assert_eq!((s.open, s.subscribers), (2, 1), "what is under way counts to its end");
        assert!(one.settle("a", DeliveryOutcome::Acknowledged) && s.sums_are_exact());
        assert!(matches!(one.take(), Some(None)), "it has ended");
        drop(one);
        let s = hub.status();
        assert_eq!((s.acknowledged, s.lost, s.open, s.longest_queue), (1, 1, 0, 2));
        assert!(s.sums_are_exact());
        assert!(hub.registry().is_empty());
    }

    #[test]
    fn what_is_not_acknowledged_in_time_is_given_up() {
        let hub = hub(8);
        let mut options = hub.options.clone();
        options.timeout = std::time::Duration::ZERO;
        let hub = Arc::new(Hub::new(options, String::new()));
        let one = hub.add_subscription(Vec::new());
        publish(&hub, "a", "event");
        publish(&hub, "b", "event");
        assert_eq!(next(&one).as_deref(), Some("a"));
        std::thread::sleep(std::time::Duration::from_millis(2));
        hub.sweep();
        let s = hub.status();
        assert_eq!((s.timed_out, s.open), (1, 1), "what was not written has not timed out");
        assert!(s.sums_are_exact());
    }

    #[test]
    fn the_token_is_compared_whole() {
        let hub = hub(1);
        assert!(hub.is_token("secret"));
        for wrong in ["", "secre", "secret1", "Secret"] {
            assert!(!hub.is_token(wrong), "{wrong}");
        }
    }
}
