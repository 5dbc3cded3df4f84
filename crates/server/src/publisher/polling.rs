//! Delivery to polling subscribers: a request is answered with all queued events, and contains
//! the last event that has come by the answers before. That acknowledges it and all older ones; what an
//! answer brought that never arrived is brought again. The same for every such transport.

use crate::publisher::hub::Hub;
use crate::publisher::outbox::{Outbox, Polled, Publication};
use crate::publisher::requests;
use crate::publisher::requests::{
    Answer, after, json_response, query, read_body, text, unknown_type,
};
use crate::publisher::subscription::Subscription;
use crate::publisher::tally::DeliveryOutcome;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use pushbench_core::publishing::{EVENTS, LONGEST_SUBSCRIPTION};
use pushbench_core::transport::Transport;
use serde::Deserialize;
use serde_json::json;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// An answer of more bytes than this holds one event only: the rest is for the next request.
const MAX_ANSWER_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
struct SubscriptionRequest {
    #[serde(default)]
    types: Vec<String>,
    after: Option<String>,
}

/// `POST /subscribe {"types": […], "after": "ID"}`
pub(super) async fn subscribe(hub: &Arc<Hub>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::POST {
        return text(StatusCode::METHOD_NOT_ALLOWED, "subscriptions are accepted by POST");
    }
    let body = match read_body(request, LONGEST_SUBSCRIPTION).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let requested: SubscriptionRequest = match serde_json::from_slice(&body) {
        Ok(requested) => requested,
        Err(e) => return text(StatusCode::BAD_REQUEST, format!("not a subscription: {e}")),
    };
    if let Some(unknown) = hub.unknown(requested.types.iter().map(String::as_str)) {
        return unknown_type(hub, unknown);
    }
    let mut subscription = hub.resume(requested.types, requested.after.as_deref());
    let number = subscription.number();
    let mut answer = subscription.first.take().unwrap_or_else(|| json!({ "subscriber": number }));
    tokio::spawn(end_when_inactive(subscription));
    let events = format!("{EVENTS}{number}?{PROCESS}={}", std::process::id());
    answer["events"] = json!(events);
    json_response(StatusCode::CREATED, &answer)
}

/// Identifies this process in the path of a subscriber's events: its number belongs to another one after a
/// restart of the publisher, and only this shows that its subscription has ended.
const PROCESS: &str = "life";

/// The queue of a subscriber of this process.
fn outbox(hub: &Hub, request: &Request<Incoming>, subscriber: u64) -> Option<Arc<Outbox>> {
    let own_id = std::process::id().to_string();
    let same_process = query(request, PROCESS).is_none_or(|process| process == own_id);
    hub.outbox(subscriber).filter(|_| same_process)
}

fn not_subscribed(hub: &Hub, subscriber: u64) -> Answer {
    let inactivity_limit = inactivity_limit(hub);
    let not_subscribed = format!(
        "there is no subscriber {subscriber}; a subscriber that makes no request for {inactivity_limit:?} is \
         removed, and all subscribers are removed when the publisher restarts: subscribe again"
    );
    text(StatusCode::NOT_FOUND, not_subscribed)
}

/// Nothing but its requests shows that a subscriber is there. One that makes none for this long is gone:
/// it could not acknowledge in time what it was brought.
fn inactivity_limit(hub: &Hub) -> Duration {
    hub.options.hold + hub.options.timeout
}

/// Ends the subscription when its subscriber is gone.
async fn end_when_inactive(subscription: Subscription) {
    let inactivity_limit = inactivity_limit(subscription.hub());
    loop {
        let before = subscription.polls();
        sleep(inactivity_limit).await;
        if subscription.polls() == before {
            subscription.hub().gone_after(inactivity_limit);
            return;
        }
    }
}

/// `DELETE /events/7?after=ID`
pub(super) fn leave(hub: &Hub, request: &Request<Incoming>, subscriber: u64) -> Answer {
    let Some(outbox) = outbox(hub, request, subscriber) else {
        return not_subscribed(hub, subscriber);
    };
    acknowledge(hub, request, &outbox);
    // No request of its own is waited for: it has just made its last one.
    requests::unsubscribe_response(hub.end(subscriber), subscriber)
}

fn acknowledge(hub: &Hub, request: &Request<Incoming>, outbox: &Outbox) {
    if let Some(after) = after(request) {
        hub.settle_up_to(outbox, &after);
    }
}

/// `GET /events/7?after=ID`
pub(super) async fn events(hub: &Hub, request: &Request<Incoming>, subscriber: u64) -> Answer {
    let Some(outbox) = outbox(hub, request, subscriber) else {
        return not_subscribed(hub, subscriber);
    };
    acknowledge(hub, request, &outbox);
    let number = outbox.begin_poll();
    let hold = match hub.options.transport {
        Transport::LongPoll => hub.options.hold,
        _ => Duration::ZERO,
    };
    let polled = poll_fn(|cx| outbox.poll_events(cx, number, MAX_ANSWER_BYTES));
    let events = match timeout(hold, polled).await {
        Ok(Polled::Events(events)) => events,
        Err(_nothing_came) => Vec::new(),
        Ok(Polled::Superseded) => {
            return text(
                StatusCode::CONFLICT,
                "a newer request of this subscriber has replaced this one",
            );
        }
        Ok(Polled::Ended) => return text(StatusCode::NOT_FOUND, "the subscription has ended"),
    };
    hub.answered(events.is_empty());
    hub.attempted(events.len() as u64);
    if !hub.options.acknowledged {
        for event in &events {
            hub.settle_one(&outbox, &event.id, DeliveryOutcome::Written);
        }
    }
    let mut answer = text(StatusCode::OK, array(&events));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// The events as a JSON array; each is JSON already.
fn array(events: &[Arc<Publication>]) -> Bytes {
    let size = events.iter().map(|event| event.body.len() + 1).sum::<usize>();
    let mut array = Vec::with_capacity(size + 2);
    array.push(b'[');
    for (i, event) in events.iter().enumerate() {
        if i > 0 {
            array.push(b',');
        }
        array.extend_from_slice(&event.body);
    }
    array.push(b']');
    array.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::Options;
    use serde_json::Value;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn events_become_an_array_as_they_are() {
        let event = |body: &str| {
            let body = Bytes::copy_from_slice(body.as_bytes());
            Arc::new(Publication::new("a".into(), "event".into(), body))
        };
        assert_eq!(array(&[]), "[]");
        assert_eq!(array(&[event("{}")]), "[{}]");
        let two = array(&[event("{ \"id\":\"a\"\n}"), event("{\"id\":\"b\"}")]);
        assert_eq!(two, "[{ \"id\":\"a\"\n},{\"id\":\"b\"}]");
        let read: Vec<Value> = serde_json::from_slice(&two).unwrap();
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn an_answer_holds_what_fits_and_one_event_at_least() {
        let hub = Arc::new(Hub::new(Options::new(Transport::Poll), String::new()));
        let subscription = hub.add_subscription(Vec::new());
        for (id, size) in [("a", 600), ("b", 300), ("c", 300), ("d", 5000), ("e", 1)] {
            let body = format!(r#"{{"id":"{id}","type":"event","data":{{}}}}{}"#, " ".repeat(size));
            assert_eq!(
                hub.distribute(hub.prepare(id.to_owned(), "event".to_owned(), body.into())),
                1
            );
        }
        let cx = Context::from_waker(Waker::noop());
        let brought = |number| match subscription.poll_events(&cx, number, 1000) {
            Poll::Ready(Polled::Events(events)) => {
                events.iter().map(|event| event.id.as_str()).collect::<String>()
            }
            Poll::Ready(Polled::Superseded) => "again".to_owned(),
            Poll::Ready(Polled::Ended) => "ended".to_owned(),
            Poll::Pending => String::new(),
        };
        let mut answers = Vec::new();
        for last in ["", "a", "c", "d"] {
            hub.settle_up_to(&subscription, last);
            answers.push(brought(subscription.begin_poll()));
        }
        assert_eq!(answers, ["ab", "bc", "d", "e"], "b was not acknowledged by a");
        let older = subscription.begin_poll();
        subscription.begin_poll();
        assert_eq!(brought(older), "again");
    }
}
