//! The subscriber's half: an address that is registered, and behind all addresses one listener.
//!
//! Every subscriber is a host of its own out of 127.0.0.0/8, so that the publisher needs a connection
//! for each as it would in earnest. The path says which one it is.

use super::line::Line;
use crate::record::clock;
use crate::transport::came_back;
use crate::transport::fault::Fault;
use crate::transport::io::{Stamped, Stamps};
use crate::transport::sleep::Timer;
use crate::transport::subscriber::{Asking, Call, Subscriber, host};
use crate::transport::wording::SUBSCRIBER_URLS;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// Connections that may wait to be accepted: a publisher opens one to every subscriber at once.
const BACKLOG: i32 = 4096;
/// Pause after an error such as too many open files.
const ACCEPT_PAUSE_NS: u64 = 10_000_000;

/// A registered subscriber; its events come in through the listener.
pub struct Hook;

/// The listener behind all subscribers, and the connection on which they register.
pub struct Desk {
    addresses: Addresses,
    /// None where nobody registers one by one.
    registrar: Option<Mutex<Line>>,
}

/// The addresses of subscribers, all served by one listener.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    port: u16,
    /// Every subscriber has a host of its own.
    own_hosts: bool,
}

impl Addresses {
    /// Those behind a listener at this port, as this machine allows.
    pub fn at(port: u16) -> Addresses {
        let own_hosts = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))
            .is_ok_and(|socket| to_loopback(&socket));
        Addresses { port, own_hosts }
    }

    /// Where subscriber `number` is.
    pub fn url(&self, number: usize) -> String {
        let host = if self.own_hosts { host(number) } else { Ipv4Addr::LOCALHOST };
        format!("http://{host}:{}/{number}", self.port)
    }

    /// Where the first `count` subscribers are.
    pub fn urls(&self, count: usize) -> Vec<String> {
        (0..count).map(|number| self.url(number)).collect()
    }
}

impl Subscriber for Hook {
    type Common = Desk;

    async fn prepare(call: &Rc<Call>) -> Result<Desk, Fault> {
        let port = match call.asking {
            Asking::Told(port) => port,
            Asking::Request { .. } => 0,
        };
        let (listener, addresses) = listen(port, call.max_segment).map_err(Fault::refused)?;
        if !addresses.own_hosts {
            call.ledger
                .fault("subscribers share the host 127.0.0.1: SO_BINDTODEVICE is not allowed");
        }
        (call.spawn)(Box::pin(accept(listener, call.clone())));
        let Asking::Request { method, body } = &call.asking else {
            return Ok(Desk { addresses, registrar: None });
        };
        let stream = TcpStream::connect(call.subscribe.socket).await.map_err(Fault::refused)?;
        stream.set_nodelay(true).map_err(Fault::refused)?;
        let mut registrar = Line::new(stream).await.map_err(Fault::refused)?;
        let all_at_once = body.as_ref().filter(|body| body.has(SUBSCRIBER_URLS));
        if let Some(body) = all_at_once {
            let urls = serde_json::json!(addresses.urls(call.count)).to_string();
            register(call, &mut registrar, method, body.filled(|_| urls.clone())).await?;
            return Ok(Desk { addresses, registrar: None });
        }
        Ok(Desk { addresses, registrar: Some(Mutex::new(registrar)) })
    }

    async fn subscribe(call: &Rc<Call>, desk: &Desk, number: usize) -> Result<Self, Fault> {
        if let (Some(registrar), Asking::Request { method, body }) = (&desk.registrar, &call.asking)
        {
            let url = desk.addresses.url(number);
            let body = match body {
                Some(own) => own.filled(|_| url.clone()),
                None => serde_json::json!({ "url": url }).to_string(),
            };
            register(call, &mut *registrar.lock().await, method, body).await?;
        }
        Ok(Hook)
    }

    async fn receive(self) -> Result<(), Fault> {
        pending().await
    }
}

/// A request to subscribe; any 2xx grants it.
async fn register(
    call: &Call,
    line: &mut Line,
    method: &Method,
    body: String,
) -> Result<(), Fault> {
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method.clone();
    *request.uri_mut() = call.subscribe.path.parse().map_err(Fault::refused)?;
    let host = HeaderValue::from_str(&call.subscribe.authority).map_err(Fault::refused)?;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("pushbench"));
    for (name, value) in &call.terms.headers {
        headers.insert(name, value.clone());
    }
    match line.exchange(request).await {
        Ok((status, _)) if status.is_success() => Ok(()),
        Ok((status, body)) => {
            let said = came_back::shown(&body, &call.terms);
            Err(Fault::Refused(format!("subscribing was answered {status}: {said}")))
        }
        Err(e) => Err(Fault::Refused(format!("subscribing: {e}"))),
    }
}

/// Binds it to the loopback device, if the kernel lets us.
fn to_loopback(socket: &Socket) -> bool {
    socket.bind_device(Some(b"lo")).is_ok()
}

/// One descriptor for every address of the loopback network; where the kernel does not let us bind it
/// to the device, it listens on 127.0.0.1 alone: on all addresses it would be open to others.
fn listen(port: u16, max_segment: Option<u32>) -> io::Result<(TcpListener, Addresses)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    let own_hosts = to_loopback(&socket);
    let ip = if own_hosts { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    // Linux hands these down to every accepted connection.
    socket.set_tcp_nodelay(true)?;
    if let Some(bytes) = max_segment {
        socket.set_tcp_mss(bytes)?;
    }
    socket.bind(&SockAddr::from(SocketAddr::from((ip, port))))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket.into())?;
    let port = listener.local_addr()?.port();
    Ok((listener, Addresses { port, own_hosts }))
}

async fn accept(listener: TcpListener, call: Rc<Call>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let io = Stamped::accepted(stream, &call.ledger);
                (call.spawn)(Box::pin(serve(io, call.clone())));
            }
            Err(e) => {
                call.ledger.fault(&format!("a subscriber cannot accept: {e}"));
                let Ok(timer) = Timer::new() else { return };
                let _rested = timer.until(clock::now() + ACCEPT_PAUSE_NS).await;
            }
        }
    }
}

async fn serve(io: Stamped, call: Rc<Call>) {
    let stamps = io.stamps();
    let service = service_fn(move |request| {
        let (call, stamps) = (call.clone(), stamps.clone());
        async move { Ok::<_, Infallible>(take(&call, &stamps, request).await) }
    });
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(io), service)
        .await;
}

async fn take(call: &Call, stamps: &Stamps, request: Request<Incoming>) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    let number: Option<usize> = request.uri().path().strip_prefix('/').and_then(|n| n.parse().ok());
    *response.status_mut() = match (number, request.into_body().collect().await) {
        (Some(number), Ok(body)) if call.ledger.has_subscriber(number) => {
            let index = call.matched.index(&body.to_bytes());
            call.ledger.receive(number, index, stamps.read(), stamps.woken());
            StatusCode::NO_CONTENT
        }
        (_, Ok(_)) => StatusCode::NOT_FOUND,
        (_, Err(_)) => StatusCode::BAD_REQUEST,
    };
    response
}
