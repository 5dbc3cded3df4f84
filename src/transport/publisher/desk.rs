//! The publisher's requests: who may ask what, and the answers.

use super::hub::Hub;
use super::{PUBLISH, STATUS, SUBSCRIBE};
use crate::scenario::payload::MAX_BYTES;
use crate::transport::event::Event;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpStream;

/// An answer; its body may be a stream that goes on.
pub type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Serves one connection until it ends, whatever speaks on it.
pub async fn serve(hub: Arc<Hub>, stream: TcpStream) {
    let Some(stream) = super::raw(&hub, stream).await else { return };
    let service = service_fn(move |request| {
        let hub = hub.clone();
        async move { Ok::<_, Infallible>(answer(&hub, request).await) }
    });
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(hub: &Arc<Hub>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path();
    let leaving = path.strip_prefix(SUBSCRIBE).and_then(|rest| rest.strip_prefix('/'));
    if ![PUBLISH, SUBSCRIBE, STATUS].contains(&path) && leaving.is_none() {
        let known = format!("there are {PUBLISH}, {SUBSCRIBE} and {STATUS}");
        return text(StatusCode::NOT_FOUND, known);
    }
    if !bearer(&request).is_some_and(|token| hub.admits(token)) {
        return text(StatusCode::UNAUTHORIZED, "Authorization: Bearer and the run's token");
    }
    if let Some(number) = leaving {
        return leave(hub, request.method(), number);
    }
    match (request.method(), path) {
        (&Method::POST, PUBLISH) => publish(hub, request).await,
        (_, SUBSCRIBE) => super::subscribe(hub, request).await,
        (&Method::GET, STATUS) => told(StatusCode::OK, &json!(hub.status())),
        _ => text(StatusCode::METHOD_NOT_ALLOWED, "POST events, GET the status"),
    }
}

/// `DELETE /subscribe/NUMBER`
fn leave(hub: &Hub, method: &Method, number: &str) -> Answer {
    if method != Method::DELETE {
        return text(StatusCode::METHOD_NOT_ALLOWED, "a subscription is ended by DELETE");
    }
    match number.parse().is_ok_and(|number| hub.leave(number)) {
        true => text(StatusCode::NO_CONTENT, ""),
        false => text(StatusCode::NOT_FOUND, format!("there is no subscriber {number:?}")),
    }
}

fn bearer(request: &Request<Incoming>) -> Option<&str> {
    request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

async fn publish(hub: &Hub, request: Request<Incoming>) -> Answer {
    let body = match whole(request, MAX_BYTES).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let event: Event<'_> = match serde_json::from_slice(&body) {
        Ok(event) => event,
        Err(e) => return text(StatusCode::BAD_REQUEST, format!("not an event: {e}")),
    };
    if event.id.is_empty() || event.kind.is_empty() {
        return text(StatusCode::BAD_REQUEST, "not an event: id and type must not be empty");
    }
    if let Some(unknown) = hub.unknown([&*event.kind]) {
        return unknown_type(hub, unknown);
    }
    let queued = hub.publish(&event, body.clone());
    told(StatusCode::ACCEPTED, &json!({ "id": event.id, "queued": queued }))
}

/// The body of a request, at most this long.
pub async fn whole(request: Request<Incoming>, most: usize) -> Result<Bytes, Answer> {
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
pub fn unknown_type(hub: &Hub, unknown: &str) -> Answer {
    let known = hub.options.types.join(", ");
    text(
        StatusCode::UNPROCESSABLE_ENTITY,
        format!("no type is called {unknown:?}: there are {known}"),
    )
}

/// The answer with a JSON body.
pub fn told(status: StatusCode, value: &serde_json::Value) -> Answer {
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
