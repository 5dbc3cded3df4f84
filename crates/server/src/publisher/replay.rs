//! Subscribers under a guarantee: over a connection they resume after the last event that they have acknowledged, and a
//! webhook's address that is registered again has its subscription already.

use crate::publisher::hub::Hub;
use crate::publisher::outbox::{Outbox, Publication};
use crate::publisher::subscription::Subscription;
use crate::publisher::tally::{DeliveryOutcome, add};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Hub {
    /// Somebody subscribes over a connection: to what is published from now on, and under a guarantee to everything after
    /// the event `after`, out of the log. One lock covers both, so that nothing is missing between them and nothing comes
    /// twice.
    pub fn resume(self: &Arc<Hub>, types: Vec<String>, after: Option<&str>) -> Subscription {
        let mut registry = self.registry();
        let Some(log) = &registry.log else {
            drop(registry);
            return self.add_subscription(types);
        };
        let wanted = |event: &&Arc<Publication>| types.is_empty() || types.contains(&event.kind);
        let (complete, missed): (_, VecDeque<Arc<Publication>>) = match after {
            Some(after) => {
                let rest = log.resume(after);
                (rest.complete, rest.events.filter(wanted).cloned().collect())
            }
            None => (false, VecDeque::new()),
        };
        let mut first = json!({
            "resumed": complete, "from": missed.front().map(|event| &event.id), "last": log.last(),
            "publisher": self.epoch,
        });
        for event in &missed {
            event.unsettled.fetch_add(1, Ordering::Relaxed);
            // Complete is what was acknowledged everywhere without a replay.
            event.failed.store(true, Ordering::Relaxed);
        }
        let replayed = missed.len();
        add(&self.tally.queued, replayed as u64);
        add(&self.tally.replayed, replayed as u64);
        self.tally.longest_queue.fetch_max(replayed as u64, Ordering::Relaxed);
        add(&self.tally.resumed, u64::from(complete));
        add(&self.tally.not_resumed, u64::from(after.is_some() && !complete));
        // What is replayed leaves the queue its room.
        let outbox = Outbox::new(types, self.options.queue + replayed).with(missed);
        let mut subscription = self.enter(&mut registry, self.next_number(), outbox);
        first["subscriber"] = json!(subscription.number());
        subscription.first = Some(first);
        subscription
    }

    /// A subscription of that number at an address, unless that has one to these types by now: its number.
    pub(super) fn add_destination(
        self: &Arc<Hub>,
        number: u64,
        url: String,
        types: Vec<String>,
    ) -> Result<Subscription, u64> {
        let mut registry = self.registry();
        if let Some(number) = registry.registered(&url, &types) {
            return Err(number);
        }
        let outbox = Outbox::new(types, self.options.queue);
        let kept = self.options.guarantee.retries().then_some(url);
        Ok(self.enter(&mut registry, number, outbox.at(kept)))
    }

    /// Ends a connection under a guarantee: what was open is in the log, for when the subscriber is back.
    pub(super) fn detach(&self, outbox: &Outbox) {
        outbox.end().iter().for_each(|event| self.settle(event, DeliveryOutcome::Detached));
    }

    /// A destination has answered 410: it gets nothing more, and what is open at it is lost.
    pub(crate) fn end_after_410(&self, number: u64) {
        let Some(outbox) = self.registry().remove(number) else { return };
        let open = outbox.end();
        add(&self.tally.ended_410, open.len() as u64);
        open.iter().for_each(|event| self.settle(event, DeliveryOutcome::Lost));
    }
}
