//! The subscriber's half: an address that is registered, and behind all addresses one listener.
//!
//! Every subscriber is a host of its own out of 127.0.0.0/8, so that the publisher needs a connection
//! for each, as it does in production. The path contains its number.

use crate::io::{InstrumentedSocket, ReadTimes, connected};
use crate::subscriber::{Registration, SubscribeConfig, Subscriber};
use crate::webhook::receiver;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, StatusCode};
use pushbench_core::record::fanout::Conduct;
use pushbench_core::scenario::payload::MAX_BYTES;
use pushbench_core::wording::SUBSCRIBER_URLS;
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use pushbench_wire::fault::Fault;
use pushbench_wire::http_connection::HttpConnection;
use pushbench_wire::response_body;
use pushbench_wire::stream::Stream;
use pushbench_wire::subscriber_addresses::Addresses;
use pushbench_wire::webhook::request::Request;
use pushbench_wire::webhook::request_receiver::{ReceiverContext, RequestReceiver};
use serde::Deserialize;
use serde_json::{Value, json};
use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};

/// Longest delivery: the largest event, and what a publisher puts around it.
pub(super) const LONGEST: usize = 2 * MAX_BYTES;
/// Pause after an error such as too many open files.
pub(super) const ACCEPT_PAUSE_NS: u64 = 10_000_000;

/// A registered subscriber; its events come in through the listener.
pub struct WebhookSubscriber {
    subscribe_config: Rc<SubscribeConfig>,
    listener: Rc<SharedListener>,
    /// Its number at the publisher, if the publisher returns one.
    name: Option<u64>,
    /// Ends with the publisher, where that is restarted.
    publisher: Option<watch::Receiver<()>>,
}

/// The listener behind all subscribers, and the connections on which they register.
pub struct SharedListener {
    addresses: Addresses,
    registrar: Mutex<Registrar>,
}

/// Where subscribers register, one after the other or all at once.
#[derive(Default)]
struct Registrar {
    connection: Option<HttpConnection<Stream<TcpStream>>>,
    /// Ends with the publisher. A webhook's subscriber has no connection that would: it is a second one
    /// to the publisher without requests. It replaces the signal by which a subscriber in production learns
    /// that it must register again.
    publisher: Option<watch::Receiver<()>>,
    /// One request has registered them all.
    all: bool,
}

#[derive(Deserialize)]
struct Registered {
    subscriber: u64,
}

impl Subscriber for WebhookSubscriber {
    type Common = Rc<SharedListener>;

    async fn prepare(subscribe_config: &Rc<SubscribeConfig>) -> Result<Rc<SharedListener>, Fault> {
        let port = match subscribe_config.registration {
            Registration::AtStart(port) => port,
            Registration::Request { .. } => 0,
        };
        let (listener, addresses) =
            receiver::listen(port, subscribe_config).map_err(Fault::refused)?;
        if addresses.shared_host == Some(Ipv4Addr::LOCALHOST) {
            subscribe_config
                .ledger
                .fault("subscribers share the host 127.0.0.1: SO_BINDTODEVICE is not allowed");
        }
        let config = subscribe_config.clone();
        (subscribe_config.spawn)(match config.receivers {
            None => Box::pin(accept(listener, config)),
            Some(_) => Box::pin(receiver::accept(listener, config)),
        });
        Ok(Rc::new(SharedListener { addresses, registrar: Mutex::default() }))
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        listener: &Rc<SharedListener>,
        number: usize,
    ) -> Result<Self, Fault> {
        let mut registrar = listener.registrar.lock().await;
        let publisher = match subscribe_config.restarts {
            true => Some(registrar.publisher(subscribe_config).await?),
            false => None,
        };
        let name = registrar.register(subscribe_config, &listener.addresses, number).await?;
        Ok(WebhookSubscriber {
            subscribe_config: subscribe_config.clone(),
            listener: listener.clone(),
            name,
            publisher,
        })
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        let Some(publisher) = &mut self.publisher else { return pending().await };
        while publisher.changed().await.is_ok() {}
        Err(Fault::closed("the publisher has ended, and so has the registration"))
    }

    async fn leave(self) -> Result<(), Fault> {
        let Some(name) = self.name else {
            let why =
                "the publisher did not return a subscriber number, so it cannot be unsubscribed";
            return Err(Fault::Refused(why.to_owned()));
        };
        let path = format!("{}/{name}", self.subscribe_config.subscribe.endpoint.path);
        let mut registrar = self.listener.registrar.lock().await;
        registrar
            .exchange(&self.subscribe_config, Method::DELETE, &path, String::new())
            .await
            .map(drop)
    }
}

impl Registrar {
    /// What ends with the publisher.
    async fn publisher(
        &mut self,
        subscribe_config: &Rc<SubscribeConfig>,
    ) -> Result<watch::Receiver<()>, Fault> {
        if let Some(publisher) = self.publisher.as_ref().filter(|p| p.has_changed().is_ok()) {
            return Ok(publisher.clone());
        }
        let mut stream = connect(subscribe_config).await?;
        let (there, publisher) = watch::channel(());
        (subscribe_config.spawn)(Box::pin(async move {
            let _ended = stream.read(&mut [0]).await;
            drop(there);
        }));
        self.publisher = Some(publisher.clone());
        // It has no registrations yet.
        self.all = false;
        Ok(publisher)
    }

    /// Registers a subscriber, unless the publisher knows it already; gives its number there.
    async fn register(
        &mut self,
        subscribe_config: &Rc<SubscribeConfig>,
        addresses: &Addresses,
        number: usize,
    ) -> Result<Option<u64>, Fault> {
        let Registration::Request { method, body } = &subscribe_config.registration else {
            return Ok(None);
        };
        let all = body.as_ref().is_some_and(|body| body.has(SUBSCRIBER_URLS));
        if all && self.all {
            return Ok(None);
        }
        let url = addresses.url(number);
        let body = match body {
            Some(own) if all => {
                let here = subscribe_config.spread.share.numbers(subscribe_config.settings.count);
                let urls: Vec<String> = here.map(|number| addresses.url(number)).collect();
                let urls = json!(urls).to_string();
                own.filled(|_| urls.clone())
            }
            Some(own) => own.filled(|_| url.clone()),
            None => subscription_body(&url, &subscribe_config.settings.wanted(number)).to_string(),
        };
        let answer = self
            .exchange(
                subscribe_config,
                method.clone(),
                &subscribe_config.subscribe.endpoint.path,
                body,
            )
            .await?;
        self.all = all;
        Ok(serde_json::from_slice(&answer).ok().map(|registered: Registered| registered.subscriber))
    }

    /// One request and the body of its answer, which must be 2xx.
    async fn exchange(
        &mut self,
        subscribe_config: &Rc<SubscribeConfig>,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Bytes, Fault> {
        let mut request = hyper::Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(Fault::refused)?;
        let host = HeaderValue::from_str(&subscribe_config.subscribe.endpoint.authority)
            .map_err(Fault::refused)?;
        let headers = request.headers_mut();
        headers.insert(HOST, host);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("pushbench"));
        for (name, value) in &subscribe_config.request_options.headers {
            headers.insert(name, value.clone());
        }
        // Taken out: a connection that fails, or is abandoned during an answer, is not used again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => HttpConnection::to_target(connect(subscribe_config).await?)
                .await
                .map_err(Fault::refused)?,
        };
        let answer = connection
            .exchange(request)
            .await
            .map_err(|e| Fault::Refused(format!("subscribing: {e}")))?;
        self.connection = Some(connection);
        let status = answer.status();
        match status.is_success() {
            true => Ok(answer.into_body()),
            false => {
                let text = response_body::shown(answer.body(), &subscribe_config.request_options);
                Err(Fault::Refused(format!("subscribing was answered {status}: {text}")))
            }
        }
    }
}

/// A subscription in the words of `targets/PROTOCOL.md`; without types it is to all.
fn subscription_body(url: &str, types: &[String]) -> Value {
    match types {
        [] => json!({ "url": url }),
        types => json!({ "url": url, "types": types }),
    }
}

async fn connect(subscribe_config: &SubscribeConfig) -> Result<Stream<TcpStream>, Fault> {
    // Beside the publisher, as the application's events.
    let namespace = subscribe_config.ends.as_ref().map(|ends| &ends.target);
    let tcp = connected(&subscribe_config.subscribe, namespace, None, None).await?;
    Stream::connect(tcp, subscribe_config.tls.first()).await.map_err(Fault::refused)
}

async fn accept(listener: TcpListener, subscribe_config: Rc<SubscribeConfig>) {
    let common = ReceiverContext::new(LONGEST);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let io = InstrumentedSocket::accepted(stream, &subscribe_config.ledger);
                (subscribe_config.spawn)(Box::pin(serve(
                    io,
                    subscribe_config.clone(),
                    common.clone(),
                )));
            }
            Err(e) => {
                subscribe_config.ledger.fault(&format!("a subscriber cannot accept: {e}"));
                if sleep(ACCEPT_PAUSE_NS).await.is_err() {
                    return;
                }
            }
        }
    }
}

pub(super) async fn sleep(ns: u64) -> io::Result<()> {
    Timer::new()?.until(clock::now() + ns).await
}

async fn serve(
    io: InstrumentedSocket,
    subscribe_config: Rc<SubscribeConfig>,
    common: Rc<ReceiverContext>,
) {
    let read_times = io.read_times();
    let Some(stream) = io.accept(subscribe_config.listener_tls.as_ref()).await else { return };
    let mut receiver = RequestReceiver::new(stream, common);
    // The outcomes of its deliveries show if a connection ended with an error.
    while let Ok(Some(received)) =
        receiver.next(|request| receive_request(&subscribe_config, &read_times, request)).await
    {
        let status = match received {
            None => StatusCode::NOT_FOUND,
            Some(Received::Challenge(text)) => {
                if receiver.answer(StatusCode::OK, &text).await.is_err() {
                    return;
                }
                receiver.stream().socket().end_setup();
                continue;
            }
            Some(Received::Refused(why)) => {
                if receiver.answer(StatusCode::UNAUTHORIZED, &why).await.is_err() {
                    return;
                }
                continue;
            }
            Some(Received::Delivery(Conduct::Stuck)) => return receiver.until_end().await,
            Some(Received::Delivery(Conduct::Slow))
                if sleep(subscribe_config.slow_by()).await.is_err() =>
            {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Some(Received::Delivery(Conduct::Slow | Conduct::Healthy)) => StatusCode::NO_CONTENT,
        };
        if receiver.answer(status, "").await.is_err() {
            return;
        }
    }
}

/// What came to a subscriber.
pub(super) enum Received {
    /// An event, and how the subscriber behaves.
    Delivery(Conduct),
    /// A request for this text.
    Challenge(String),
    /// A delivery of another sender, and why it is none of ours.
    Refused(String),
}

/// Tells the ledger of a delivery; `None` where there is no subscriber at this path.
fn receive_request(
    subscribe_config: &SubscribeConfig,
    read_times: &ReadTimes,
    request: &Request<'_>,
) -> Option<Received> {
    Some(match identified(subscribe_config, read_times, request)? {
        Err(received) => received,
        Ok((number, index, conduct)) => {
            subscribe_config.ledger.receive(number, index, read_times.delivery());
            Received::Delivery(conduct)
        }
    })
}

/// The subscriber of a delivery, the index of its event, and how the subscriber behaves.
pub(super) type Identified = (usize, Option<u64>, Conduct);

/// To whom a delivery came; an error where there is nothing to be received.
pub(super) fn identified(
    subscribe_config: &SubscribeConfig,
    read_times: &ReadTimes,
    request: &Request<'_>,
) -> Option<Result<Identified, Received>> {
    let number = request.path.strip_prefix('/')?.parse().ok()?;
    if !subscribe_config.ledger.has_subscriber(number) {
        return None;
    }
    if let Err(why) = subscribe_config.verifier.check(request.head, &request.body) {
        subscribe_config.refused(&why);
        subscribe_config.ledger.receive(number, None, read_times.delivery());
        return Some(Err(Received::Refused(why)));
    }
    let conduct = subscribe_config.conduct(number);
    let stuck = conduct == Conduct::Stuck;
    let index = if stuck { None } else { subscribe_config.matched.index(&request.body) };
    if index.is_none()
        && let Some(text) = request.challenge()
    {
        return Some(Err(Received::Challenge(text)));
    }
    Some(if stuck { Err(Received::Delivery(conduct)) } else { Ok((number, index, conduct)) })
}
