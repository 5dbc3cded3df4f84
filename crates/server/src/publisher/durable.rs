//! A publisher with a store: it acknowledges what is on disk, and begins with what it finds there.

use crate::publisher::Options;
use crate::publisher::hub::Hub;
use crate::publisher::outbox::{Outbox, Publication};
use crate::publisher::store::{Store, StoreError, Write};
use crate::publisher::subscription::Subscription;
use crate::publisher::tally::add;
use crate::webhook;
use bytes::Bytes;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Event;
use pushbench_core::guarantee::replay_log::ReplayLog;
use pushbench_core::transport::Transport;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

impl Hub {
    /// With what its store has, where it has one: the log, and the webhook subscriptions, whose deliveries go on.
    pub fn open(options: Options, token: String) -> Result<Arc<Hub>> {
        let Some(path) = &options.store else { return Ok(Arc::new(Hub::new(options, token))) };
        let (store, recovered) = Store::open(path, options.guarantee.log)?;
        let cannot = |why: String| Error::usage(format!("--store {}: {why}", path.display()));
        let kept = recovered.subscriptions;
        if options.transport != Transport::Webhook && !kept.is_empty() {
            return Err(cannot(format!(
                "it belongs to a webhook publisher and has {} of its subscriptions: name another file",
                kept.len()
            )));
        }
        // Before there are subscriptions, which would end with an error.
        let destination = |url: &str| {
            webhook::publisher::destination(&options, url).map_err(|(_, why)| {
                cannot(format!("its subscription of {url} cannot be delivered to: {why}"))
            })
        };
        let destinations: Vec<_> =
            kept.iter().map(|kept| destination(&kept.url)).collect::<Result<_>>()?;
        let mut hub = Hub::new(options, token);
        (hub.epoch, hub.store) = (recovered.epoch, Some(store));
        let next = kept.iter().map(|kept| kept.number + 1).max();
        hub.next.store(next.unwrap_or(0), Ordering::Relaxed);
        let hub = Arc::new(hub);
        let events: BTreeMap<u64, Arc<Publication>> = recovered
            .events
            .into_iter()
            .map(|kept| {
                let mut event = hub.prepare(kept.id, kept.kind, kept.body);
                event.number = kept.number;
                (kept.number, Arc::new(event))
            })
            .collect();
        let mut registry = hub.registry();
        if let Some(log) = &mut registry.log {
            *log = ReplayLog::restored(hub.options.guarantee.log, recovered.trimmed);
            for event in events.range(recovered.trimmed + 1..).map(|(_, event)| event) {
                log.append(&event.id, event.clone());
            }
        }
        for (kept, destination) in kept.into_iter().zip(destinations) {
            let open = kept.open.iter().map(|number| events[number].clone()).collect();
            // What is open leaves the queue its room.
            let room = hub.options.queue + kept.open.len();
            let outbox = Outbox::new(kept.types, room).with(open).at(Some(kept.url));
            add(&hub.tally.queued, kept.open.len() as u64);
            let subscription = hub.enter(&mut registry, kept.number, outbox);
            tokio::spawn(webhook::publisher::deliver(subscription, destination));
        }
        drop(registry);
        Ok(hub)
    }

    /// Queues an event for each interested subscriber, once it is on disk where that is promised, and returns their
    /// number.
    pub async fn publish(
        self: &Arc<Hub>,
        event: &Event<'_>,
        body: Bytes,
    ) -> std::result::Result<usize, StoreError> {
        let (id, kind) = (event.id.clone().into_owned(), event.kind.clone().into_owned());
        let mut event = self.prepare(id, kind, body.clone());
        let Some(store) = &self.store else { return Ok(self.distribute(event)) };
        if self.registry().log.as_ref().is_some_and(|log| log.resume(&event.id).complete) {
            return Ok(0);
        }
        let write = Write::Event { id: event.id.clone(), kind: event.kind.clone(), body };
        let (done, stored) = oneshot::channel();
        let hub = self.clone();
        // Not after the wait: a client that goes away ends that, and the log has the order of the store.
        store.keep(write, move |number| {
            let _client_may_be_gone = done.send(number.map(|number| {
                event.number = number;
                hub.distribute(event)
            }));
        });
        stored.await.unwrap_or_else(|_| Err(StoreError::ended()))
    }

    /// An address is registered, and is on disk where that is promised. Under a guarantee one that was registered with
    /// these types already keeps its subscription, with everything that is open at it: its number.
    pub async fn register(
        self: &Arc<Hub>,
        url: String,
        types: Vec<String>,
    ) -> std::result::Result<std::result::Result<Subscription, u64>, StoreError> {
        if let Some(number) = self.registry().registered(&url, &types) {
            return Ok(Err(number));
        }
        let number = self.next_number();
        let Some(store) = self.store.as_ref().filter(|_| self.options.guarantee.retries()) else {
            return Ok(self.add_destination(number, url, types));
        };
        let write = Write::Subscription { number, url: url.clone(), types: types.clone() };
        let (done, stored) = oneshot::channel();
        let hub = self.clone();
        store.keep(write, move |kept| {
            let registered = kept.map(|_| hub.add_destination(number, url, types));
            if let Ok(Err(_known_by_now)) = &registered {
                hub.note_end(number);
            }
            let _client_may_be_gone = done.send(registered);
        });
        stored.await.unwrap_or_else(|_| Err(StoreError::ended()))
    }

    /// A stored subscription needs an event no longer.
    pub(super) fn note_settled(&self, subscription: u64, event: &Publication) {
        if let Some(store) = &self.store {
            store.note(Write::Settled { subscription, event: event.number });
        }
    }

    /// A stored subscription has ended.
    pub(super) fn note_end(&self, subscription: u64) {
        if let Some(store) = &self.store {
            store.note(Write::End(subscription));
        }
    }
}
