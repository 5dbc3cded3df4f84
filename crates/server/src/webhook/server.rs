//! `POST /webhook` on hyper.

use crate::handler::{Handler, Pause};
use crate::webhook::answering::Answering;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pushbench_wire::stream::Stream;
use pushbench_wire::webhook::CALLBACK_URL;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// Path that takes events.
pub const PATH: &str = "/webhook";

/// Serves one connection until it ends. `answering`: a question that names an address is answered there.
pub async fn serve(handler: Handler, answering: Option<Arc<Answering>>, stream: Stream<TcpStream>) {
    let near = stream.socket().peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
    // HTTP/1.1 has one request at a time, so the lock never waits; it only satisfies `Fn`.
    let desk = Arc::new(Endpoint { handler, answering, near, pause: Mutex::default() });
    let service = service_fn(move |request| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// What the requests of a connection have in common.
struct Endpoint {
    handler: Handler,
    answering: Option<Arc<Answering>>,
    /// The other end is on this machine.
    near: bool,
    pause: Mutex<Pause>,
}

impl Endpoint {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() != PATH {
            return text(StatusCode::NOT_FOUND, "events are taken at /webhook");
        }
        if request.method() != Method::POST {
            return text(StatusCode::METHOD_NOT_ALLOWED, "events are taken by POST");
        }
        let (head, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(e) => return text(StatusCode::BAD_REQUEST, format!("body cut short: {e}")),
        };
        if let (Some(answering), Some(url)) = (&self.answering, head.headers.get(CALLBACK_URL)) {
            return self.accept(answering, url, &body);
        }
        match self.handler.handle(&mut *self.pause.lock().await, &body).await {
            Ok(answer) => {
                let mut response = Response::new(Full::from(answer));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                response
            }
            Err(why) => text(StatusCode::BAD_REQUEST, why),
        }
    }

    /// Says at once that the question is accepted; the answer goes to the address later.
    fn accept(
        &self,
        answering: &Answering,
        url: &HeaderValue,
        question: &[u8],
    ) -> Response<Full<Bytes>> {
        if !self.near {
            return text(StatusCode::FORBIDDEN, "only who asks from this machine is called back");
        }
        let address = match answering.address(url) {
            Ok(address) => address,
            Err((status, why)) => return text(status, format!("{CALLBACK_URL}: {why}")),
        };
        let id = match self.handler.check(question) {
            Ok(event) => event.id.into_owned(),
            Err(why) => return text(StatusCode::BAD_REQUEST, why),
        };
        let handler = self.handler;
        tokio::spawn(async move {
            let sent = match handler.answer(&mut Pause::default(), &id).await {
                Ok(answer) => address.post(answer).await.map_err(|e| e.to_string()),
                Err(why) => Err(why),
            };
            if let Err(why) = sent {
                pushbench_host::console::error_line(&format!("cannot answer {id:?}: {why}"));
            }
        });
        text(StatusCode::ACCEPTED, "")
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}
