//! The publisher's requests: who may ask what, and the answers.

use crate::http2;
use crate::publisher::hub::Hub;
use crate::publisher::polling;
use crate::publisher::store::StoreError;
use crate::sse;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pushbench_core::event::Event;
use pushbench_core::publishing::{ACKNOWLEDGE, EVENTS, PUBLISH, STATUS, SUBSCRIBE};
use pushbench_core::scenario::payload::MAX_BYTES;
use pushbench_core::transport::Transport;
use pushbench_wire::stream::Stream;
use pushbench_wire::webhook::request::unescaped;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpStream;

/// An answer; its body may be a stream that goes on.
pub type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Serves one connection until it ends, with HTTP or without.
pub async fn serve(hub: Arc<Hub>, stream: Stream<TcpStream>) {
    let Some(stream) = crate::publisher::accept_without_http(&hub, stream).await else { return };
    let over_http2 = hub.options.http2;
    let service = service_fn(move |request| {
        let hub = hub.clone();
        async move { Ok::<_, Infallible>(answer(&hub, request).await) }
    });
    if over_http2 {
        return http2::serve(stream, service).await;
    }
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(hub: &Arc<Hub>, request: Request<Incoming>) -> Answer {
    let Some(resource) = Resource::of(hub.options.transport, request.uri().path()) else {
        return text(StatusCode::NOT_FOUND, Resource::known(hub.options.transport));
    };
    if !bearer(&request).is_some_and(|token| hub.is_token(token)) {
        return text(
            StatusCode::UNAUTHORIZED,
            "the token of the run is missing or wrong: send Authorization: Bearer TOKEN",
        );
    }
    match (request.method(), resource) {
        (&Method::POST, Resource::Publish) => publish(hub, request).await,
        (_, Resource::Subscribe) => crate::publisher::subscribe(hub, request).await,
        (&Method::GET, Resource::Status) => json_response(StatusCode::OK, &json!(hub.status())),
        (&Method::DELETE, Resource::Subscription(subscriber)) => {
            unsubscribe_response(hub.leave(subscriber), subscriber)
        }
        (&Method::DELETE, Resource::Events(subscriber)) => {
            polling::leave(hub, &request, subscriber)
        }
        (&Method::GET, Resource::Events(subscriber)) => {
            polling::events(hub, &request, subscriber).await
        }
        (&Method::POST, Resource::Acknowledge(subscriber)) => {
            sse::acknowledge(hub, request, subscriber).await
        }
        _ => text(
            StatusCode::METHOD_NOT_ALLOWED,
            "use POST to publish, GET to read, and DELETE to end a subscription",
        ),
    }
}

/// `DELETE`, of a subscriber that was there or not.
pub(super) fn unsubscribe_response(was_there: bool, subscriber: u64) -> Answer {
    match was_there {
        true => text(StatusCode::NO_CONTENT, ""),
        false => text(StatusCode::NOT_FOUND, format!("there is no subscriber {subscriber}")),
    }
}

/// What a path is about.
enum Resource {
    Publish,
    Subscribe,
    Status,
    /// One subscription.
    Subscription(u64),
    /// The events of a polling subscriber.
    Events(u64),
    /// The acknowledgements of a subscriber that cannot answer where it gets its events.
    Acknowledge(u64),
}

impl Resource {
    fn of(transport: Transport, path: &str) -> Option<Resource> {
        let number = |prefix: &str| path.strip_prefix(prefix)?.parse().ok();
        let subscription = path.strip_prefix(SUBSCRIBE).and_then(|rest| rest.strip_prefix('/'));
        if let Some(number) = subscription {
            return number.parse().ok().map(Resource::Subscription);
        }
        match (path, transport) {
            (PUBLISH, _) => Some(Resource::Publish),
            (SUBSCRIBE, _) => Some(Resource::Subscribe),
            (STATUS, _) => Some(Resource::Status),
            (_, Transport::LongPoll | Transport::Poll) => number(EVENTS).map(Resource::Events),
            (_, Transport::Sse) => number(ACKNOWLEDGE).map(Resource::Acknowledge),
            _ => None,
        }
    }

    fn known(transport: Transport) -> String {
        let more = match transport {
            Transport::LongPoll | Transport::Poll => format!(" and {EVENTS}SUBSCRIBER"),
            Transport::Sse => format!(" and {ACKNOWLEDGE}SUBSCRIBER"),
            _ => String::new(),
        };
        format!("the paths are {PUBLISH}, {SUBSCRIBE}, {STATUS}{more}")
    }
}

/// The value of that name in the query of a request.
pub fn query<'a>(request: &'a Request<Incoming>, name: &str) -> Option<&'a str> {
    let pairs = request.uri().query()?.split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name).map(|(_, value)| value)
}

/// The types in `types=a,b`; names are plain words, nothing is escaped.
pub fn types(request: &Request<Incoming>) -> Vec<String> {
    names(query(request, "types").unwrap_or_default())
}

/// The cursor in `after=ID`: the last event that a subscriber has acknowledged, empty for the begin.
pub fn after(request: &Request<Incoming>) -> Option<String> {
    query(request, "after").map(unescaped)
}

fn names(list: &str) -> Vec<String> {
    list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn bearer(request: &Request<Incoming>) -> Option<&str> {
    request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

async fn publish(hub: &Arc<Hub>, request: Request<Incoming>) -> Answer {
    let body = match read_body(request, MAX_BYTES).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let event = match Event::read(&body) {
        Ok(event) => event,
        Err(e) => return text(StatusCode::BAD_REQUEST, format!("not an event: {e}")),
    };
    if event.id.is_empty() || event.kind.is_empty() {
        return text(StatusCode::BAD_REQUEST, "not an event: id and type must not be empty");
    }
    if let Some(unknown) = hub.unknown([&*event.kind]) {
        return unknown_type(hub, unknown);
    }
    match hub.publish(&event, body.clone()).await {
        Ok(queued) => {
            json_response(StatusCode::ACCEPTED, &json!({ "id": event.id, "queued": queued }))
        }
        Err(e) => not_kept(e),
    }
}

/// The answer to what could not be written to the store.
pub(crate) fn not_kept(error: StoreError) -> Answer {
    let status = match error.full {
        true => StatusCode::INSUFFICIENT_STORAGE,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    text(status, error.message)
}

/// The body of a request, at most this long.
pub async fn read_body(request: Request<Incoming>, most: usize) -> Result<Bytes, Answer> {
    // Said before the body is read, so that a sender that waits for a word need not send it.
    if hyper::body::Body::size_hint(request.body()).lower() > most as u64 {
        return Err(too_large(most));
    }
    match Limited::new(request.into_body(), most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => Err(too_large(most)),
        Err(e) => Err(text(StatusCode::BAD_REQUEST, format!("body cut short: {e}"))),
    }
}

fn too_large(most: usize) -> Answer {
    text(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {most} bytes"))
}

/// The answer to a type that is not known.
pub(crate) fn unknown_type(hub: &Hub, unknown: &str) -> Answer {
    let known = hub.options.types.join(", ");
    text(
        StatusCode::UNPROCESSABLE_ENTITY,
        format!("there is no type {unknown:?}: the types are {known}"),
    )
}

/// The answer with a JSON body.
pub fn json_response(status: StatusCode, value: &serde_json::Value) -> Answer {
    let mut response = text(status, value.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer with a text.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()).boxed());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_separated_by_commas() {
        assert_eq!(names("a,b.c"), ["a", "b.c"]);
        assert_eq!(names("a,"), ["a"]);
        assert!(names("").is_empty());
    }

    #[test]
    fn each_transport_has_its_places() {
        for (transport, path, there) in [
            (Transport::Poll, "/events/7", true),
            (Transport::LongPoll, "/events/7", true),
            (Transport::Sse, "/ack/7", true),
            (Transport::Sse, "/events/7", false),
            (Transport::Webhook, "/events/7", false),
            (Transport::Poll, "/events/x", false),
            (Transport::Poll, "/events/", false),
            (Transport::Webhook, "/status", true),
        ] {
            assert_eq!(Resource::of(transport, path).is_some(), there, "{path}");
        }
    }
}
