//! The publisher: a subscriber requests `/subscribe` and gets a response that does not end.

use crate::publisher::hub::Hub;
use crate::publisher::pings::Pings;
use crate::publisher::requests::{Answer, after, read_body, text, types, unknown_type};
use crate::publisher::subscription::Subscription;
use crate::publisher::tally::DeliveryOutcome;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use pushbench_core::publishing::ACKNOWLEDGE;
use pushbench_wire::sse::codec::{frame, named};
use pushbench_wire::sse::{CONTENT, SUBSCRIBED};
use serde_json::json;
use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Acknowledgements of a whole queue of events with long ids.
const LONGEST_ACKNOWLEDGEMENT: usize = 1 << 20;
/// The header with the id of the last event that a subscriber has got.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// An empty comment.
const PING: &[u8] = b":\n\n";

/// `GET /subscribe?types=a,b&after=ID`, or the cursor in `Last-Event-ID`
pub fn subscribe(hub: &Arc<Hub>, request: &Request<Incoming>) -> Answer {
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "a stream is requested by GET");
    }
    if !accepts(request) {
        let here = format!("the response is {CONTENT}, which the header Accept does not allow");
        return text(StatusCode::NOT_ACCEPTABLE, here);
    }
    let types = types(request);
    if let Some(unknown) = hub.unknown(types.iter().map(String::as_str)) {
        return unknown_type(hub, unknown);
    }
    // A browser that connects again keeps the query of its first request, and adds the header.
    let header =
        request.headers().get(LAST_EVENT_ID).map(|id| String::from_utf8_lossy(id.as_bytes()));
    let last = header.filter(|id| !id.is_empty()).map(Cow::into_owned).or_else(|| after(request));
    let mut subscription = hub.resume(types, last.as_deref());
    let number = subscription.number();
    // Without a guarantee a subscriber that is disconnected loses the events of that time.
    let without = || json!({ "subscriber": number, "resumed": false });
    let mut hello = subscription.first.take().unwrap_or_else(without);
    if hub.options.acknowledged {
        hello["acknowledge"] = json!(format!("{ACKNOWLEDGE}{number}"));
    }
    let hello = Some(named(SUBSCRIBED, &hello.to_string()));
    let pings = hub.options.ping.map(|every| Pings::new(every, number));
    let mut answer = Response::new(Events { hello, subscription, pings }.boxed());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Whether the header Accept, where there is one, allows a stream of events.
fn accepts(request: &Request<Incoming>) -> bool {
    let mut polling = request.headers().get_all(ACCEPT).iter().peekable();
    let allows = |kind: &str| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        [CONTENT, "text/*", "*/*"].iter().any(|ours| kind.eq_ignore_ascii_case(ours))
    };
    polling.peek().is_none() || polling.any(|v| v.to_str().is_ok_and(|v| v.split(',').any(allows)))
}

/// The body that does not end. hyper writes what is ready together, without copying it, and drops this
/// when the subscriber's connection ends.
struct Events {
    hello: Option<Bytes>,
    subscription: Subscription,
    pings: Option<Pings>,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(hello) = self.hello.take() {
            return Poll::Ready(Some(Ok(Frame::data(hello))));
        }
        // Nobody answers a comment.
        if let Some(pings) = &mut self.pings
            && pings.poll(cx).is_ready()
        {
            pings.answered();
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(PING)))));
        }
        let next = ready!(self.subscription.poll_next(cx));
        Poll::Ready(next.map(|event| {
            self.subscription.hub().attempted(1);
            if !self.subscription.hub().options.acknowledged {
                self.subscription.settle(&event.id, DeliveryOutcome::Written);
            }
            Ok(Frame::data(event.framed(|e| frame(&e.id, &e.body))))
        }))
    }
}

/// `POST /ack/7 ["ID", …]`
pub async fn acknowledge(hub: &Hub, request: Request<Incoming>, subscriber: u64) -> Answer {
    let body = match read_body(request, LONGEST_ACKNOWLEDGEMENT).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let ids: Vec<Cow<'_, str>> = match serde_json::from_slice(&body) {
        Ok(ids) => ids,
        Err(e) => return text(StatusCode::BAD_REQUEST, format!("not an array of ids: {e}")),
    };
    if !hub.acknowledged(subscriber, &ids) {
        let nobody = format!("there is no subscriber {subscriber}: its stream has ended");
        return text(StatusCode::NOT_FOUND, nobody);
    }
    text(StatusCode::NO_CONTENT, "")
}
