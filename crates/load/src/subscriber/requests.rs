//! The requests of one subscriber, over a connection of its own that is kept. One of HTTP/1.1 is made again once it has
//! ended; one of HTTP/2 carries the requests of the whole subscription, and ends it.

use crate::io::{InstrumentedSocket, ReadTimes, SetupTraffic};
use crate::subscriber::SubscribeConfig;
use crate::subscriber::http2::Http2Connection;
use bytes::Bytes;
use futures_util::future::{Either, select};
use h2::RecvStream;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use pushbench_core::scenario::payload::MAX_BYTES;
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use pushbench_wire::endpoint::Endpoint;
use pushbench_wire::fault::Fault;
use pushbench_wire::http_connection::{ExchangeError, HttpConnection};
use pushbench_wire::stream::Stream;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// Longest answer: the largest event, or many of them.
const LONGEST: usize = 2 * MAX_BYTES;
/// Bytes of an answer that is not what was wanted.
const SHOWN_BYTES: usize = 512;

/// A request; it is sent again if the connection has ended.
#[derive(Clone)]
pub struct SubscriberRequest {
    /// GET, POST or DELETE.
    pub method: Method,
    /// Path and query.
    pub path: Uri,
    /// JSON, or nothing.
    pub body: Bytes,
    /// Further headers.
    pub headers: [Option<(HeaderName, HeaderValue)>; 2],
}

impl SubscriberRequest {
    /// A GET.
    pub fn get(path: Uri) -> SubscriberRequest {
        SubscriberRequest { method: Method::GET, path, body: Bytes::new(), headers: [None, None] }
    }

    /// A POST of JSON.
    pub fn post(path: Uri, body: impl Into<Bytes>) -> SubscriberRequest {
        let json = HeaderValue::from_static("application/json");
        let headers = [Some((CONTENT_TYPE, json)), None];
        SubscriberRequest { method: Method::POST, path, body: body.into(), headers }
    }
}

/// The connection, over either version of HTTP.
enum Connection {
    Http1(Box<HttpConnection<Stream<InstrumentedSocket>>>),
    Http2(Http2Connection<Stream<InstrumentedSocket>>),
}

/// The body of an answer, which comes bit by bit.
pub enum ResponseBody {
    /// Over HTTP/1.1.
    Http1(Incoming),
    /// Over HTTP/2.
    Http2(RecvStream),
}

/// A subscriber's connection for requests.
pub struct RequestConnection {
    subscribe_config: Rc<SubscribeConfig>,
    number: usize,
    connection: Connection,
    read_times: Rc<ReadTimes>,
    setup: Option<SetupTraffic>,
}

impl RequestConnection {
    /// Connects for subscriber `number`. What is carried until [`end_setup`](Self::end_setup) is not charged to
    /// deliveries.
    pub async fn connect(
        subscribe_config: &Rc<SubscribeConfig>,
        number: usize,
    ) -> Result<RequestConnection, Fault> {
        let (connection, read_times, setup) = connect(subscribe_config, number).await?;
        let setup = Some(setup);
        Ok(RequestConnection {
            subscribe_config: subscribe_config.clone(),
            number,
            connection,
            read_times,
            setup,
        })
    }

    /// The same connection for another request at the same time; `None` over HTTP/1.1, which has one.
    pub(crate) fn another(&self) -> Option<RequestConnection> {
        let Connection::Http2(connection) = &self.connection else { return None };
        Some(RequestConnection {
            subscribe_config: self.subscribe_config.clone(),
            number: self.number,
            connection: Connection::Http2(connection.another()),
            read_times: self.read_times.clone(),
            setup: None,
        })
    }

    /// The instants of the last read.
    pub fn read_times(&self) -> &ReadTimes {
        &self.read_times
    }

    /// From now on what is carried belongs to deliveries.
    pub fn end_setup(&mut self) {
        if let Some(setup) = self.setup.take() {
            setup.end();
        }
    }

    /// Sends a request and reads its response completely. These requests may be repeated: a kept
    /// connection that turns out to be closed costs nothing but a new one.
    pub async fn exchange(&mut self, wanted: &SubscriberRequest) -> Result<Response<Bytes>, Fault> {
        let mut fresh = self.renew_if_ended().await?;
        loop {
            let request = request(&self.subscribe_config, wanted)?;
            let answer = match &mut self.connection {
                Connection::Http1(connection) => {
                    let limit = self.subscribe_config.dead_after;
                    match within(limit, connection.exchange(request.map(Full::new))).await? {
                        Some(answer) => answer,
                        None => {
                            self.subscribe_config.note_end(self.number);
                            self.renew().await?;
                            fresh = true;
                            continue;
                        }
                    }
                }
                Connection::Http2(connection) => {
                    return connection.exchange(request, LONGEST).await;
                }
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(ExchangeError::Connection(e)) if fresh => return Err(Fault::of_http(e)),
                Err(e @ ExchangeError::TooLong(_)) => return Err(Fault::protocol(e)),
                Err(ExchangeError::Connection(_)) => {
                    self.renew().await?;
                    fresh = true;
                }
            }
        }
    }

    /// Sends a request and returns the response as soon as its head has arrived.
    pub async fn begin(
        &mut self,
        wanted: &SubscriberRequest,
    ) -> Result<Response<ResponseBody>, Fault> {
        let request = request(&self.subscribe_config, wanted)?;
        match &mut self.connection {
            Connection::Http1(connection) => {
                let answer = connection.begin(request.map(Full::new)).await;
                Ok(answer.map_err(Fault::of_http)?.map(ResponseBody::Http1))
            }
            Connection::Http2(connection) => {
                Ok(connection.begin(request).await?.map(ResponseBody::Http2))
            }
        }
    }

    /// The next bytes of an answer that was begun; `None` at its end.
    pub async fn bytes(&mut self, body: &mut ResponseBody) -> Result<Option<Bytes>, Fault> {
        match (&mut self.connection, body) {
            (Connection::Http1(connection), ResponseBody::Http1(body)) => {
                let bytes = poll_fn(|cx| connection.poll_bytes(body, cx)).await;
                bytes.transpose().map_err(Fault::of_http)
            }
            (Connection::Http2(connection), ResponseBody::Http2(body)) => {
                connection.bytes(body).await
            }
            // It belongs to another connection.
            _ => Ok(None),
        }
    }

    /// The rest of an answer that is not what was wanted, as much as is worth telling.
    pub async fn rest(&mut self, mut body: ResponseBody) -> Vec<u8> {
        let mut rest = Vec::new();
        while rest.len() < SHOWN_BYTES
            && let Ok(Some(bytes)) = self.bytes(&mut body).await
        {
            rest.extend_from_slice(&bytes[..bytes.len().min(SHOWN_BYTES - rest.len())]);
        }
        rest
    }

    /// True where the connection is fresh, or never made again. Nobody has driven it since the last answer.
    async fn renew_if_ended(&mut self) -> Result<bool, Fault> {
        let Connection::Http1(connection) = &mut self.connection else { return Ok(true) };
        let ended = poll_fn(|cx| Poll::Ready(connection.drive(cx))).await;
        if ended {
            self.renew().await?;
        }
        Ok(ended)
    }

    async fn renew(&mut self) -> Result<(), Fault> {
        (self.connection, self.read_times, _) =
            connect(&self.subscribe_config, self.number).await?;
        Ok(())
    }
}

/// Works for so long at most, ns; `None` when it was not done by then.
async fn within<T>(limit: Option<u64>, work: impl Future<Output = T>) -> Result<Option<T>, Fault> {
    let Some(limit) = limit else { return Ok(Some(work.await)) };
    let timer = Timer::new().map_err(Fault::closed)?;
    match select(pin!(work), pin!(timer.until(clock::now() + limit))).await {
        Either::Left((done, _)) => Ok(Some(done)),
        Either::Right((elapsed, _)) => elapsed.map(|()| None).map_err(Fault::closed),
    }
}

fn request(
    subscribe_config: &SubscribeConfig,
    wanted: &SubscriberRequest,
) -> Result<Request<Bytes>, Fault> {
    let subscribe = &subscribe_config.subscribe;
    let Endpoint { scheme, authority, .. } = &subscribe.endpoint;
    let mut request = Request::new(wanted.body.clone());
    *request.method_mut() = wanted.method.clone();
    *request.uri_mut() = wanted.path.clone();
    let headers = request.headers_mut();
    headers.extend(subscribe_config.request_options.headers.clone());
    headers.extend(wanted.headers.iter().flatten().cloned());
    if subscribe_config.http2 {
        let whole = format!("{scheme}://{authority}{}", wanted.path);
        *request.uri_mut() = whole.parse().map_err(Fault::refused)?;
    } else {
        headers.insert(HOST, HeaderValue::from_str(authority).map_err(Fault::refused)?);
        if subscribe.forward_proxy.is_some() {
            let target = subscribe.request_target(&wanted.path.to_string());
            *request.uri_mut() = target.parse().map_err(Fault::refused)?;
        }
    }
    Ok(request)
}

/// Ends the subscription that has this path: on its connection over HTTP/2, on one that is no delivery's over HTTP/1.1.
pub(crate) async fn unsubscribe(
    (subscribe_config, number): (&SubscribeConfig, usize),
    over_http2: Option<RequestConnection>,
    path: &str,
) -> Result<(), Fault> {
    let path = path.parse().map_err(Fault::refused)?;
    let wanted = SubscriberRequest { method: Method::DELETE, ..SubscriberRequest::get(path) };
    let answer = match over_http2 {
        Some(mut connection) => connection.exchange(&wanted).await?,
        None => {
            let tls = subscribe_config.tls.get(number);
            let stream = Stream::open(subscribe_config.subscribe.socket, tls).await;
            let connection = HttpConnection::new(stream.map_err(Fault::refused)?).await;
            let request = request(subscribe_config, &wanted)?.map(Full::new);
            let answer = connection.map_err(Fault::refused)?.exchange(request).await;
            answer.map_err(Fault::closed)?
        }
    };
    let status = answer.status();
    match status.is_success() {
        true => Ok(()),
        false => {
            let text = String::from_utf8_lossy(answer.body());
            Err(Fault::Refused(format!("unsubscribing was answered {status}: {text}")))
        }
    }
}

async fn connect(
    subscribe_config: &Rc<SubscribeConfig>,
    number: usize,
) -> Result<(Connection, Rc<ReadTimes>, SetupTraffic), Fault> {
    let io = InstrumentedSocket::subscribe(subscribe_config, number).await?;
    let (read_times, setup) = (io.socket().read_times(), io.socket().start_setup()?);
    let connection = match subscribe_config.http2 {
        true => Connection::Http2(Http2Connection::new(io).await?),
        false => {
            let connection = HttpConnection::new(io).await.map_err(Fault::refused)?;
            Connection::Http1(Box::new(connection.up_to(LONGEST)))
        }
    };
    Ok((connection, read_times, setup))
}
