//! Delivering what subscribers ask for: a request is answered with everything that is queued, and tells
//! the last event that has come by the answers before. That acknowledges it and all older ones; what an
//! answer brought that never arrived is brought again. The same for every such transport.

use crate::publisher::hub::Hub;
use crate::publisher::outbox::{Outbox, Polled, Publication};
use crate::publisher::requests;
use crate::publisher::requests::{Answer, query, text, told, unknown_type, whole};
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
const ANSWER: usize = 1 << 20;

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    types: Vec<String>,
}

/// `POST /subscribe {"types": […]}`
pub(super) async fn subscribe(hub: &Arc<Hub>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::POST {
        return text(StatusCode::METHOD_NOT_ALLOWED, "subscriptions are taken by POST");
    }
    let body = match whole(request, LONGEST_SUBSCRIPTION).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let wanted: Wanted = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(e) => return text(StatusCode::BAD_REQUEST, format!("not a subscription: {e}")),
    };
    if let Some(unknown) = hub.unknown(wanted.types.iter().map(String::as_str)) {
        return unknown_type(hub, unknown);
    }
    let subscription = hub.enter(wanted.types);
    let number = subscription.number();
    tokio::spawn(keep(subscription));
    let events = format!("{EVENTS}{number}?{LIFE}={}", std::process::id());
    told(StatusCode::CREATED, &json!({ "subscriber": number, "events": events }))
}

/// Names this process where a subscriber asks for its events: its number is another one's after a
/// publisher was restarted, and nothing else would tell it that its subscription is gone.
const LIFE: &str = "life";

/// The queue of a subscriber that is there and speaks of this process.
fn outbox(hub: &Hub, request: &Request<Incoming>, subscriber: u64) -> Option<Arc<Outbox>> {
    let mine = std::process::id().to_string();
    let here = query(request, LIFE).is_none_or(|life| life == mine);
    hub.outbox(subscriber).filter(|_| here)
}

fn gone(hub: &Hub, subscriber: u64) -> Answer {
    let patience = patience(hub);
    let gone = format!(
        "nobody is subscribed as {subscriber}; a subscriber that asks for nothing for {patience:?} is \
         taken to be gone, and all are when a publisher is started anew: subscribe again"
    );
    text(StatusCode::NOT_FOUND, gone)
}

/// Nothing but its requests shows that a subscriber is there. One that makes none for this long is gone:
/// it could not acknowledge in time what it was brought.
fn patience(hub: &Hub) -> Duration {
    hub.options.hold + hub.options.timeout
}

/// Ends the subscription when its subscriber is gone.
async fn keep(subscription: Subscription) {
    let patience = patience(subscription.hub());
    loop {
        let before = subscription.asked();
        sleep(patience).await;
        if subscription.asked() == before {
            return;
        }
    }
}

/// `DELETE /events/7?after=ID`
pub(super) fn leave(hub: &Hub, request: &Request<Incoming>, subscriber: u64) -> Answer {
    let Some(outbox) = outbox(hub, request, subscriber) else { return gone(hub, subscriber) };
    acknowledge(hub, request, &outbox);
    // No request of its own is waited for: it has just made its last one.
    requests::left(hub.end(subscriber), subscriber)
}

fn acknowledge(hub: &Hub, request: &Request<Incoming>, outbox: &Outbox) {
    if let Some(after) = query(request, "after") {
        hub.settle_up_to(outbox, &unescaped(after));
    }
}

/// `GET /events/7?after=ID`
pub(super) async fn events(hub: &Hub, request: &Request<Incoming>, subscriber: u64) -> Answer {
    let Some(outbox) = outbox(hub, request, subscriber) else { return gone(hub, subscriber) };
    acknowledge(hub, request, &outbox);
    let number = outbox.ask();
    let hold = match hub.options.transport {
        Transport::LongPoll => hub.options.hold,
        _ => Duration::ZERO,
    };
    let asked = poll_fn(|cx| outbox.poll_events(cx, number, ANSWER));
    let events = match timeout(hold, asked).await {
        Ok(Polled::Events(events)) => events,
        Err(_nothing_came) => Vec::new(),
        Ok(Polled::Again) => {
            return text(StatusCode::CONFLICT, "this subscriber has asked again meanwhile");
        }
        Ok(Polled::Ended) => return text(StatusCode::NOT_FOUND, "the subscription has ended"),
    };
    hub.answered(events.is_empty());
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

/// A value of a query without its percent signs; what is no escape stays as it is.
fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, more @ ..] = rest {
        let digits = more.first_chunk::<2>().filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let escape = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok());
        let (byte, left) = match escape.filter(|_| *first == b'%') {
            Some(byte) => (byte, &more[2..]),
            None => (*first, more),
        };
        bytes.push(byte);
        rest = left;
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
        let subscription = hub.enter(Vec::new());
        for (id, size) in [("a", 600), ("b", 300), ("c", 300), ("d", 5000), ("e", 1)] {
            let body = format!(r#"{{"id":"{id}","type":"event","data":{{}}}}{}"#, " ".repeat(size));
            let event = serde_json::from_str(&body).unwrap();
            assert_eq!(hub.publish(&event, Bytes::from(body.clone())), 1);
        }
        let cx = Context::from_waker(Waker::noop());
        let brought = |number| match subscription.poll_events(&cx, number, 1000) {
            Poll::Ready(Polled::Events(events)) => {
                events.iter().map(|event| event.id.as_str()).collect::<String>()
            }
            Poll::Ready(Polled::Again) => "again".to_owned(),
            Poll::Ready(Polled::Ended) => "ended".to_owned(),
            Poll::Pending => String::new(),
        };
        let mut answers = Vec::new();
        for last in ["", "a", "c", "d"] {
            hub.settle_up_to(&subscription, last);
            answers.push(brought(subscription.ask()));
        }
        assert_eq!(answers, ["ab", "bc", "d", "e"], "b was not acknowledged by a");
        let older = subscription.ask();
        subscription.ask();
        assert_eq!(brought(older), "again");
    }

    #[test]
    fn percent_signs_are_undone_where_they_are_escapes() {
        for (value, wanted) in [
            ("00ff", "00ff"),
            ("a%20b%2Fc", "a b/c"),
            ("%C3%bc", "ü"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%+1%zz", "%+1%zz"),
            ("", ""),
        ] {
            assert_eq!(unescaped(value), wanted);
        }
    }
}
