//! `POST /webhook` on hyper.

use crate::transport::handler::{Handler, Pause};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// Path that takes events.
pub const PATH: &str = "/webhook";

/// Serves one connection until it ends.
pub async fn serve(handler: Handler, stream: TcpStream) {
    // HTTP/1.1 has one request at a time, so the lock never waits; it only satisfies `Fn`.
    let pause = Arc::new(Mutex::new(Pause::default()));
    let service = service_fn(move |request| {
        let pause = pause.clone();
        async move { Ok::<_, Infallible>(answer(handler, &pause, request).await) }
    });
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    handler: Handler,
    pause: &Mutex<Pause>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    if request.uri().path() != PATH {
        return text(StatusCode::NOT_FOUND, "events are taken at /webhook");
    }
    if request.method() != Method::POST {
        return text(StatusCode::METHOD_NOT_ALLOWED, "events are taken by POST");
    }
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(e) => return text(StatusCode::BAD_REQUEST, format!("body cut short: {e}")),
    };
    match handler.handle(&mut *pause.lock().await, &body).await {
        Ok(acknowledgement) => {
            let mut response = Response::new(Full::from(acknowledgement));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Err(why) => text(StatusCode::BAD_REQUEST, why),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}
