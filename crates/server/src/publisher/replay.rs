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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::Options;
    use pushbench_core::guarantee::{Guarantee, Promise};
    use pushbench_core::transport::Transport;
    use serde_json::Value;

    fn hub(transport: Transport, queue: usize, log: usize) -> Arc<Hub> {
        let delivery = Promise::AtLeastOnce;
        let guarantee = Guarantee { delivery, log, ..Guarantee::default() };
        let options = Options { queue, guarantee, ..Options::new(transport) };
        Arc::new(Hub::new(options, String::new()))
    }

    fn publish(hub: &Hub, id: &str, kind: &str) -> usize {
        let text = format!(r#"{{"id":"{id}","type":"{kind}","data":{{}}}}"#);
        hub.distribute(hub.prepare(id.to_owned(), kind.to_owned(), text.into()))
    }

    fn publish_all(hub: &Hub, ids: &[&str]) {
        for id in ids {
            publish(hub, id, "event");
        }
    }

    /// What is there for a subscriber now; it has not acknowledged any of it.
    fn written(subscription: &Subscription) -> Vec<String> {
        std::iter::from_fn(|| subscription.take().flatten().map(|e| e.id.clone())).collect()
    }

    fn first(subscription: &Subscription, name: &str) -> Value {
        subscription.first.as_ref().unwrap()[name].clone()
    }

    #[test]
    fn who_comes_again_gets_what_follows_its_cursor_and_then_what_is_new() {
        let hub = hub(Transport::Websocket, 8, 100);
        let new = hub.resume(Vec::new(), None);
        assert_eq!((first(&new, "last"), first(&new, "from")), (json!(""), Value::Null));
        publish_all(&hub, &["a", "b", "c"]);
        assert_eq!(written(&new), ["a", "b", "c"]);
        assert!(new.settle("a", DeliveryOutcome::Acknowledged));
        drop(new);
        let s = hub.status();
        assert_eq!((s.acknowledged, s.detached, s.lost, s.open), (1, 2, 0, 0));
        publish_all(&hub, &["d"]);
        let again = hub.resume(Vec::new(), Some("a"));
        publish_all(&hub, &["e"]);
        assert_eq!(written(&again), ["b", "c", "d", "e"]);
        let told = ["resumed", "from", "last", "subscriber"].map(|name| first(&again, name));
        assert_eq!(told, [json!(true), json!("b"), json!("d"), json!(1)]);
        assert_eq!(first(&again, "publisher"), hub.epoch.as_str());
        for id in ["b", "c", "d", "e"] {
            assert!(again.settle(id, DeliveryOutcome::Acknowledged));
        }
        let s = hub.status();
        assert_eq!((s.queued, s.replayed, s.resumed, s.not_resumed), (7, 3, 1, 0));
        assert!(s.sums_are_exact() && s.open == 0, "{s:?}");
        // From the begin, and from now on.
        assert_eq!(written(&hub.resume(Vec::new(), Some(""))).len(), 5);
        assert!(written(&hub.resume(Vec::new(), None)).is_empty());
    }

    #[test]
    fn what_fell_out_of_the_log_is_told() {
        let hub = hub(Transport::Sse, 8, 2);
        publish_all(&hub, &["a", "b", "c", "d"]);
        for (after, complete, events) in [
            ("d", true, ""),
            ("c", true, "d"),
            ("a", false, "cd"),
            ("", false, "cd"),
            ("x", false, "cd"),
        ] {
            let again = hub.resume(Vec::new(), Some(after));
            assert_eq!(first(&again, "resumed"), complete, "after {after:?}");
            assert_eq!(written(&again).concat(), events, "after {after:?}");
        }
        let s = hub.status();
        assert_eq!((s.resumed, s.not_resumed), (2, 3));
    }

    #[test]
    fn only_wanted_types_are_replayed() {
        let hub = hub(Transport::Websocket, 8, 100);
        for (id, kind) in [("a", "event"), ("b", "order"), ("c", "event"), ("d", "order")] {
            publish(&hub, id, kind);
        }
        // A cursor is a place in the log, of whatever type the event is.
        let some = hub.resume(vec!["order".into()], Some("a"));
        assert_eq!((first(&some, "from"), first(&some, "last")), (json!("b"), json!("d")));
        assert_eq!(written(&some), ["b", "d"]);
    }

    #[test]
    fn a_full_queue_and_a_late_acknowledgement_end_the_connection_and_lose_nothing() {
        let mut options = hub(Transport::Websocket, 2, 100).options.clone();
        options.timeout = std::time::Duration::ZERO;
        let hub = Arc::new(Hub::new(options, String::new()));
        let slow = hub.resume(Vec::new(), None);
        publish_all(&hub, &["a", "b", "c"]);
        assert!(matches!(slow.take(), Some(None)), "it has ended");
        let s = hub.status();
        assert_eq!((s.overflowed, s.lost, s.detached, s.open), (0, 0, 2, 0));
        // More than a queue is replayed, and leaves room for what is new.
        let again = hub.resume(Vec::new(), Some(""));
        publish_all(&hub, &["d", "e"]);
        assert_eq!(written(&again).concat(), "abcde");
        std::thread::sleep(std::time::Duration::from_millis(2));
        hub.sweep();
        assert!(matches!(again.take(), Some(None)), "it has ended");
        let s = hub.status();
        assert_eq!((s.timed_out, s.lost, s.detached, s.gone, s.open), (0, 0, 7, 1, 0));
        assert!(s.sums_are_exact(), "{s:?}");
    }

    #[test]
    fn an_event_that_is_published_twice_is_delivered_once() {
        for transport in [Transport::Webhook, Transport::Websocket] {
            let hub = hub(transport, 8, 100);
            let one = hub.resume(Vec::new(), None);
            assert_eq!(["a", "a", "b"].map(|id| publish(&hub, id, "event")), [1, 0, 1]);
            assert_eq!((written(&one).concat().as_str(), hub.status().published), ("ab", 2));
        }
    }

    #[test]
    fn an_address_that_is_registered_again_has_its_subscription() {
        let hub = hub(Transport::Webhook, 8, 100);
        let url = "http://127.0.0.2:1/";
        let register = |types: &[&str]| {
            let types = types.iter().map(|t| (*t).to_owned()).collect();
            hub.add_destination(hub.next_number(), url.to_owned(), types)
        };
        let one = register(&[]).ok().unwrap();
        assert_eq!((register(&[]).err(), one.number()), (Some(0), 0));
        let other = register(&["event"]).ok().unwrap();
        assert_eq!(publish(&hub, "a", "event"), 2);
        drop(one);
        assert_eq!(
            register(&["event"]).err(),
            Some(other.number()),
            "it is the latest of this address"
        );
        hub.end_after_410(other.number());
        assert!(register(&["event"]).is_ok(), "that one has ended");
        let s = hub.status();
        assert_eq!((s.lost, s.ended_410, s.open), (2, 1, 0));
        assert!(s.sums_are_exact(), "{s:?}");
    }

    #[test]
    fn nothing_is_missing_and_nothing_comes_twice_while_events_are_published() {
        let hub = hub(Transport::Websocket, 1 << 20, 1 << 20);
        let resume_often = || {
            let (mut next, mut last) = (0, String::new());
            while next < 2000 {
                let subscription = hub.resume(Vec::new(), Some(&last));
                let until = next + 3;
                while next < until {
                    for id in written(&subscription) {
                        assert_eq!(id, next.to_string());
                        assert!(subscription.settle(&id, DeliveryOutcome::Acknowledged));
                        (next, last) = (next + 1, id);
                    }
                    std::thread::yield_now();
                }
            }
            next
        };
        let got = std::thread::scope(|scope| {
            let subscribers = [(); 3].map(|()| scope.spawn(resume_often));
            for n in 0.. {
                publish(&hub, &n.to_string(), "event");
                if subscribers.iter().all(|subscriber| subscriber.is_finished()) {
                    break;
                }
            }
            subscribers.map(|subscriber| subscriber.join().unwrap()).iter().sum::<u64>()
        });
        let s = hub.status();
        assert!(s.sums_are_exact() && s.acknowledged == got && s.open == 0, "{s:?}");
    }
}
