//! The requests of one subscriber, over a connection of its own that is kept, and made again once it has
//! ended.

use crate::io::{InstrumentedSocket, ReadTimes, SetupTraffic};
use crate::subscriber::SubscribeConfig;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use pushbench_core::scenario::payload::MAX_BYTES;
use pushbench_wire::fault::Fault;
use pushbench_wire::http_connection::{ExchangeError, HttpConnection};
use pushbench_wire::stream::Stream;
use std::future::poll_fn;
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

/// A subscriber's connection for requests.
pub struct RequestConnection {
    subscribe_config: Rc<SubscribeConfig>,
    number: usize,
    connection: HttpConnection<Stream<InstrumentedSocket>>,
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
            match self.connection.exchange(request).await {
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
    pub async fn begin(&mut self, wanted: &SubscriberRequest) -> Result<Response<Incoming>, Fault> {
        let request = request(&self.subscribe_config, wanted)?;
        self.connection.begin(request).await.map_err(Fault::of_http)
    }

    /// The next bytes of an answer that was begun; `None` at its end.
    pub async fn bytes(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, Fault> {
        poll_fn(|cx| self.connection.poll_bytes(body, cx)).await.transpose().map_err(Fault::of_http)
    }

    /// The rest of an answer that is not what was wanted, as much as is worth telling.
    pub async fn rest(&mut self, mut body: Incoming) -> Vec<u8> {
        let mut rest = Vec::new();
        while rest.len() < SHOWN_BYTES
            && let Ok(Some(bytes)) = self.bytes(&mut body).await
        {
            rest.extend_from_slice(&bytes[..bytes.len().min(SHOWN_BYTES - rest.len())]);
        }
        rest
    }

    /// Nobody has driven the connection since the last answer.
    async fn renew_if_ended(&mut self) -> Result<bool, Fault> {
        let ended = poll_fn(|cx| Poll::Ready(self.connection.drive(cx))).await;
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

fn request(
    subscribe_config: &SubscribeConfig,
    wanted: &SubscriberRequest,
) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = Request::new(Full::new(wanted.body.clone()));
    *request.method_mut() = wanted.method.clone();
    *request.uri_mut() = wanted.path.clone();
    let own = HeaderValue::from_str(&subscribe_config.subscribe.endpoint.authority)
        .map_err(Fault::refused)?;
    let headers = request.headers_mut();
    headers.extend(subscribe_config.request_options.headers.clone());
    headers.insert(HOST, own);
    headers.extend(wanted.headers.iter().flatten().cloned());
    Ok(request)
}

/// Ends the subscription that has this path, on a connection that is no delivery's.
pub(crate) async fn unsubscribe(
    (subscribe_config, number): (&SubscribeConfig, usize),
    path: &str,
) -> Result<(), Fault> {
    let path = path.parse().map_err(Fault::refused)?;
    let wanted = SubscriberRequest { method: Method::DELETE, ..SubscriberRequest::get(path) };
    let (socket, tls) = (subscribe_config.subscribe.socket, subscribe_config.tls.get(number));
    let stream = Stream::open(socket, tls).await.map_err(Fault::refused)?;
    let mut connection = HttpConnection::new(stream).await.map_err(Fault::refused)?;
    let answer =
        connection.exchange(request(subscribe_config, &wanted)?).await.map_err(Fault::closed)?;
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
) -> Result<(HttpConnection<Stream<InstrumentedSocket>>, Rc<ReadTimes>, SetupTraffic), Fault> {
    let io = InstrumentedSocket::subscribe(subscribe_config, number).await?;
    let (read_times, setup) = (io.socket().read_times(), io.socket().start_setup()?);
    let connection = HttpConnection::new(io).await.map_err(Fault::refused)?.up_to(LONGEST);
    Ok((connection, read_times, setup))
}
