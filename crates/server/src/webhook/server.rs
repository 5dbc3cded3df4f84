//! `POST /webhook` on hyper.

use crate::handler::{Checked, Handler, Pause, Refusal, bad};
use crate::http2;
use crate::webhook::callback_addresses::CallbackAddresses;
use crate::webhook::publisher::may_be_called;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pushbench_core::arm::ArmOption;
use pushbench_core::scenario::payload::MAX_BYTES;
use pushbench_wire::stream::Stream;
use pushbench_wire::webhook::CALLBACK_URL;
use pushbench_wire::webhook::gzip;
use pushbench_wire::webhook::gzip::GZIP;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpStream;

/// Longest body when it is decompressed: a batch has several events.
const LONGEST: usize = 4 * MAX_BYTES;
/// Path that takes events.
pub const PATH: &str = "/webhook";

/// Serves one connection until it ends. `callback_addresses`: a question that names an address is answered
/// there.
pub async fn serve(
    handler: Handler,
    callback_addresses: Option<Arc<CallbackAddresses>>,
    stream: Stream<TcpStream>,
) {
    let is_local =
        stream.socket().peer_addr().is_ok_and(|peer| may_be_called(peer.ip().to_canonical()));
    let over_http2 = handler.options.contains(ArmOption::H2);
    let service = Arc::new(ConnectionService {
        handler,
        callback_addresses,
        is_local,
        pauses: Mutex::default(),
    });
    let service = service_fn(move |request| {
        let service = service.clone();
        async move {
            let answer = service.answer(request).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|(status, why)| service.refusal(status, why)))
        }
    });
    if over_http2 {
        return http2::serve(stream, service).await;
    }
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// What the requests of a connection have in common.
struct ConnectionService {
    handler: Handler,
    callback_addresses: Option<Arc<CallbackAddresses>>,
    /// The other end is on this machine.
    is_local: bool,
    /// Those of requests that are answered: over HTTP/2 several pause at the same time.
    pauses: Mutex<Vec<Pause>>,
}

impl ConnectionService {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
        if request.uri().path() != PATH {
            return Err((StatusCode::NOT_FOUND, "events are accepted at /webhook".to_owned()));
        }
        if request.method() != Method::POST {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "events are accepted by POST".to_owned()));
        }
        let (head, body) = request.into_parts();
        let cut_short = |e| (StatusCode::BAD_REQUEST, format!("body cut short: {e}"));
        let body = body.collect().await.map_err(cut_short)?.to_bytes();
        self.handler.admit(&head.headers)?;
        let compressed = self.handler.options.contains(ArmOption::Compressed);
        let body = if compressed { decoded(&head.headers, body)? } else { body };
        if let Some(most) = self.handler.options.number(ArmOption::Batch)
            && body.trim_ascii_start().starts_with(b"[")
        {
            let mut pause = self.pauses().pop().unwrap_or_default();
            let answer = self.handler.handle_batch(&mut pause, &head.headers, &body, most).await?;
            self.pauses().push(pause);
            return Ok(json(answer));
        }
        let checked = self.handler.check(&head.headers, &body);
        let Checked { event, callback } = match checked {
            // That is why it is no event.
            Err((StatusCode::BAD_REQUEST, _))
                if !compressed && head.headers.contains_key(CONTENT_ENCODING) =>
            {
                let accepted = "no encoding; `pushbench serve webhook+compressed` accepts gzip";
                return Err(unsupported(&head.headers[CONTENT_ENCODING], accepted));
            }
            checked => checked?,
        };
        if let (Some(callback_addresses), Some(url)) = (&self.callback_addresses, callback) {
            return self.accept_question(callback_addresses, url, event.id.into_owned());
        }
        let mut pause = self.pauses().pop().unwrap_or_default();
        let answer = self.handler.answer(&mut pause, &event.id).await?;
        self.pauses().push(pause);
        Ok(json(answer))
    }

    fn refusal(&self, status: StatusCode, why: String) -> Response<Full<Bytes>> {
        let mut response = text(status, why);
        let receiver = self.handler.receiver.as_ref();
        if let Some(seconds) = receiver.and_then(|receiver| receiver.retry_after(status)) {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }

    fn pauses(&self) -> MutexGuard<'_, Vec<Pause>> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says at once that the question is accepted; the answer goes to the address later.
    fn accept_question(
        &self,
        callback_addresses: &CallbackAddresses,
        url: &HeaderValue,
        id: String,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        if !self.is_local {
            let why = "callbacks are sent only to clients on this machine";
            return Err((StatusCode::FORBIDDEN, why.to_owned()));
        }
        let address = callback_addresses
            .address(url)
            .map_err(|(status, why)| (status, format!("{CALLBACK_URL}: {why}")))?;
        let handler = self.handler.clone();
        tokio::spawn(async move {
            let sent = match handler.answer(&mut Pause::default(), &id).await {
                Ok(answer) => address.post(answer).await.map_err(|e| e.to_string()),
                Err((_, why)) => Err(why),
            };
            if let Err(why) = sent {
                pushbench_host::console::error_line(&format!("cannot answer {id:?}: {why}"));
            }
        });
        Ok(text(StatusCode::ACCEPTED, ""))
    }
}

/// The body without the encoding that the headers name.
fn decoded(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Refusal> {
    match headers.get(CONTENT_ENCODING) {
        None => Ok(body),
        Some(encoding) if encoding == GZIP => {
            gzip::decode(&body, LONGEST).map(Bytes::from).map_err(bad)
        }
        Some(encoding) => Err(unsupported(encoding, GZIP)),
    }
}

fn unsupported(encoding: &HeaderValue, accepted: &str) -> Refusal {
    let encoding = encoding.to_str().unwrap_or_default().escape_debug();
    let why = format!("content-encoding \"{encoding}\": this server accepts {accepted}");
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, why)
}

fn json(answer: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}
