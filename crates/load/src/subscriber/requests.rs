//! The requests of one subscriber, over a connection of its own that is kept, and made again once it has
//! ended.

use crate::io::{SetUp, Stamped, Stamps};
use crate::subscriber::SubscribeConfig;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use pushbench_core::scenario::payload::MAX_BYTES;
use pushbench_wire::fault::Fault;
use pushbench_wire::line::{Ended, Line};
use pushbench_wire::stream::Stream;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// Longest answer: the largest event, or many of them.
const LONGEST: usize = 2 * MAX_BYTES;
/// Bytes of an answer that is not what was wanted.
const WORTH_TELLING: usize = 512;

/// What is asked; sent again as it is when the connection has ended meanwhile.
#[derive(Clone)]
pub struct SubscriberRequest {
    /// GET, POST or DELETE.
    pub method: Method,
    /// Path and query.
    pub path: Uri,
    /// JSON, or nothing.
    pub body: Bytes,
    /// A further header.
    pub header: Option<(HeaderName, HeaderValue)>,
}

impl SubscriberRequest {
    /// A GET.
    pub fn get(path: Uri) -> SubscriberRequest {
        SubscriberRequest { method: Method::GET, path, body: Bytes::new(), header: None }
    }

    /// A POST of JSON.
    pub fn post(path: Uri, body: impl Into<Bytes>) -> SubscriberRequest {
        let json = HeaderValue::from_static("application/json");
        let header = Some((CONTENT_TYPE, json));
        SubscriberRequest { method: Method::POST, path, body: body.into(), header }
    }
}

/// A subscriber's connection for requests.
pub struct Requests {
    subscribe_config: Rc<SubscribeConfig>,
    number: usize,
    line: Line<Stream<Stamped>>,
    stamps: Rc<Stamps>,
    setting_up: Option<SetUp>,
}

impl Requests {
    /// Connects for subscriber `number`. What is carried until [`set_up`](Self::set_up) is not charged to
    /// deliveries.
    pub async fn connect(
        subscribe_config: &Rc<SubscribeConfig>,
        number: usize,
    ) -> Result<Requests, Fault> {
        let (line, stamps, setting_up) = connect(subscribe_config, number).await?;
        let setting_up = Some(setting_up);
        Ok(Requests {
            subscribe_config: subscribe_config.clone(),
            number,
            line,
            stamps,
            setting_up,
        })
    }

    /// The instants of the last read.
    pub fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    /// From now on what is carried belongs to deliveries.
    pub fn set_up(&mut self) {
        if let Some(setting_up) = self.setting_up.take() {
            setting_up.end();
        }
    }

    /// Asks, and reads the answer to its end. Whatever is asked here may be asked twice: a kept
    /// connection that turns out to be closed costs nothing but a new one.
    pub async fn ask(&mut self, asked: &SubscriberRequest) -> Result<(StatusCode, Bytes), Fault> {
        let mut fresh = self.renew_if_ended().await?;
        loop {
            let request = request(&self.subscribe_config, asked)?;
            match self.line.exchange(request).await {
                Ok(answer) => return Ok(answer),
                Err(Ended::Connection(e)) if fresh => return Err(Fault::closed(e)),
                Err(e @ Ended::Endless(_)) => return Err(Fault::protocol(e)),
                Err(Ended::Connection(_)) => {
                    self.renew().await?;
                    fresh = true;
                }
            }
        }
    }

    /// Asks, and gives the answer as soon as its head is there.
    pub async fn begin(&mut self, asked: &SubscriberRequest) -> Result<Response<Incoming>, Fault> {
        let request = request(&self.subscribe_config, asked)?;
        self.line.begin(request).await.map_err(Fault::closed)
    }

    /// The next bytes of an answer that was begun; `None` at its end.
    pub async fn bytes(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, Fault> {
        poll_fn(|cx| self.line.poll_bytes(body, cx)).await.transpose().map_err(Fault::closed)
    }

    /// The rest of an answer that is not what was wanted, as much as is worth telling.
    pub async fn rest(&mut self, mut body: Incoming) -> Vec<u8> {
        let mut rest = Vec::new();
        while rest.len() < WORTH_TELLING
            && let Ok(Some(bytes)) = self.bytes(&mut body).await
        {
            rest.extend_from_slice(&bytes[..bytes.len().min(WORTH_TELLING - rest.len())]);
        }
        rest
    }

    /// Nobody has driven the connection since the last answer.
    async fn renew_if_ended(&mut self) -> Result<bool, Fault> {
        let ended = poll_fn(|cx| Poll::Ready(self.line.drive(cx))).await;
        if ended {
            self.renew().await?;
        }
        Ok(ended)
    }

    async fn renew(&mut self) -> Result<(), Fault> {
        (self.line, self.stamps, _) = connect(&self.subscribe_config, self.number).await?;
        Ok(())
    }
}

fn request(
    subscribe_config: &SubscribeConfig,
    asked: &SubscriberRequest,
) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = Request::new(Full::new(asked.body.clone()));
    *request.method_mut() = asked.method.clone();
    *request.uri_mut() = asked.path.clone();
    let own = HeaderValue::from_str(&subscribe_config.subscribe.endpoint.authority)
        .map_err(Fault::refused)?;
    let headers = request.headers_mut();
    headers.extend(subscribe_config.request_options.headers.clone());
    headers.insert(HOST, own);
    headers.extend(asked.header.clone());
    Ok(request)
}

/// Ends the subscription that has this path, on a connection that is no delivery's.
pub(crate) async fn unsubscribe(
    subscribe_config: &SubscribeConfig,
    path: &str,
) -> Result<(), Fault> {
    let path = path.parse().map_err(Fault::refused)?;
    let asked = SubscriberRequest { method: Method::DELETE, ..SubscriberRequest::get(path) };
    let stream = Stream::open(subscribe_config.subscribe.socket).await.map_err(Fault::refused)?;
    let mut line = Line::new(stream).await.map_err(Fault::refused)?;
    let (status, body) =
        line.exchange(request(subscribe_config, &asked)?).await.map_err(Fault::closed)?;
    match status.is_success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&body);
            Err(Fault::Refused(format!("unsubscribing was answered {status}: {said}")))
        }
    }
}

async fn connect(
    subscribe_config: &Rc<SubscribeConfig>,
    number: usize,
) -> Result<(Line<Stream<Stamped>>, Rc<Stamps>, SetUp), Fault> {
    let io = Stamped::subscribe(subscribe_config, number).await?;
    let (stamps, setting_up) = (io.socket().stamps(), io.socket().setting_up()?);
    let line = Line::new(io).await.map_err(Fault::refused)?.up_to(LONGEST);
    Ok((line, stamps, setting_up))
}
