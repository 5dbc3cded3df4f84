//! The subscriber's half: an address that is registered, and behind all addresses one listener.
//!
//! Every subscriber is a host of its own out of 127.0.0.0/8, so that the publisher needs a connection
//! for each as it would in earnest. The path says which one it is.

use crate::record::clock;
use crate::record::fanout::Conduct;
use crate::transport::fault::Fault;
use crate::transport::io::{Stamped, Stamps};
use crate::transport::line::Line;
use crate::transport::sleep::Timer;
use crate::transport::subscriber::{Call, Subscriber, host};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};

/// Connections that may wait to be accepted: a publisher opens one to every subscriber at once.
const BACKLOG: i32 = 4096;
/// Pause after an error such as too many open files.
const ACCEPT_PAUSE_NS: u64 = 10_000_000;

/// A registered subscriber; its events come in through the listener.
pub struct Hook {
    call: Rc<Call>,
    desk: Rc<Desk>,
    /// Its number at the publisher.
    name: u64,
    publisher: watch::Receiver<()>,
}

/// The listener behind all subscribers, and the connections on which they register.
pub struct Desk {
    port: u16,
    /// Every subscriber has a host of its own.
    own_hosts: bool,
    registrar: Mutex<Registrar>,
}

/// Where subscribers register, one after the other.
#[derive(Default)]
struct Registrar {
    line: Option<Line<TcpStream>>,
    /// Ends with the publisher. A webhook's subscriber has no connection that would: it is a second one
    /// to the publisher on which nothing is asked, in place of whatever tells a subscriber in earnest
    /// that it must register again.
    publisher: Option<watch::Receiver<()>>,
}

#[derive(Deserialize)]
struct Registered {
    subscriber: u64,
}

impl Subscriber for Hook {
    type Common = Rc<Desk>;

    async fn prepare(call: &Rc<Call>) -> Result<Rc<Desk>, Fault> {
        let (listener, own_hosts) = listen(call.max_segment).map_err(Fault::refused)?;
        if !own_hosts {
            call.ledger
                .fault("subscribers share the host 127.0.0.1: SO_BINDTODEVICE is not allowed");
        }
        let port = listener.local_addr().map_err(Fault::refused)?.port();
        (call.spawn)(Box::pin(accept(listener, call.clone())));
        Ok(Rc::new(Desk { port, own_hosts, registrar: Mutex::default() }))
    }

    async fn subscribe(call: &Rc<Call>, desk: &Rc<Desk>, number: usize) -> Result<Self, Fault> {
        let host = if desk.own_hosts { host(number) } else { Ipv4Addr::LOCALHOST };
        let url = format!("http://{host}:{}/{number}", desk.port);
        let body = serde_json::json!({ "url": url, "types": call.asked.wanted(number) });
        let mut registrar = desk.registrar.lock().await;
        let publisher = registrar.publisher(call).await?;
        let path = &call.subscribe.path;
        let answer = registrar.ask(call, Method::POST, path, body.to_string()).await?;
        let registered: Registered = serde_json::from_slice(&answer)
            .map_err(|e| Fault::Refused(format!("the answer names no subscriber: {e}")))?;
        Ok(Hook { call: call.clone(), desk: desk.clone(), name: registered.subscriber, publisher })
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        while self.publisher.changed().await.is_ok() {}
        Err(Fault::closed("the publisher has gone, and the registration with it"))
    }

    async fn leave(self) -> Result<(), Fault> {
        let path = format!("{}/{}", self.call.subscribe.path, self.name);
        let mut registrar = self.desk.registrar.lock().await;
        registrar.ask(&self.call, Method::DELETE, &path, String::new()).await.map(drop)
    }
}

impl Registrar {
    /// What ends with the publisher.
    async fn publisher(&mut self, call: &Rc<Call>) -> Result<watch::Receiver<()>, Fault> {
        if let Some(publisher) = self.publisher.as_ref().filter(|p| p.has_changed().is_ok()) {
            return Ok(publisher.clone());
        }
        let mut stream = connect(call).await?;
        let (there, publisher) = watch::channel(());
        (call.spawn)(Box::pin(async move {
            let _ended = stream.read(&mut [0]).await;
            drop(there);
        }));
        self.publisher = Some(publisher.clone());
        Ok(publisher)
    }

    /// One request and the body of its answer, which must be 2xx.
    async fn ask(
        &mut self,
        call: &Rc<Call>,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Bytes, Fault> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(Fault::refused)?;
        let own = HeaderValue::from_str(&call.subscribe.authority).map_err(Fault::refused)?;
        request.headers_mut().extend(call.terms.headers.clone());
        request.headers_mut().insert(HOST, own);
        // Taken out: a connection that fails, or that is given up amid an answer, is not used again.
        let mut line = match self.line.take() {
            Some(line) => line,
            None => Line::new(connect(call).await?).await.map_err(Fault::refused)?,
        };
        let (status, body) = line
            .exchange(request)
            .await
            .map_err(|e| Fault::Refused(format!("subscribing: {e}")))?;
        self.line = Some(line);
        match status.is_success() {
            true => Ok(body),
            false => {
                let said = String::from_utf8_lossy(&body);
                Err(Fault::Refused(format!("subscribing was answered {status}: {said}")))
            }
        }
    }
}

async fn connect(call: &Call) -> Result<TcpStream, Fault> {
    let stream = TcpStream::connect(call.subscribe.socket).await.map_err(Fault::refused)?;
    stream.set_nodelay(true).map_err(Fault::refused)?;
    Ok(stream)
}

/// One descriptor for every address of the loopback network, and true; where the kernel does not let
/// us bind it to the device, it listens on 127.0.0.1 alone: on all addresses it would be open to others.
fn listen(max_segment: Option<u32>) -> io::Result<(TcpListener, bool)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    let everywhere = socket.bind_device(Some(b"lo")).is_ok();
    let ip = if everywhere { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    // Linux hands these down to every accepted connection.
    socket.set_tcp_nodelay(true)?;
    if let Some(bytes) = max_segment {
        socket.set_tcp_mss(bytes)?;
    }
    socket.bind(&SockAddr::from(SocketAddr::from((ip, 0))))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((TcpListener::from_std(socket.into())?, everywhere))
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
                if rest(ACCEPT_PAUSE_NS).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn rest(ns: u64) -> io::Result<()> {
    Timer::new()?.until(clock::now() + ns).await
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
            let conduct = call.conduct(number);
            if conduct == Conduct::Stuck {
                pending::<()>().await;
            }
            let index = call.matched.index(&body.to_bytes());
            call.ledger.receive(number, index, stamps.read(), stamps.woken());
            match conduct {
                Conduct::Slow if rest(call.slow_by()).await.is_err() => {
                    StatusCode::INTERNAL_SERVER_ERROR
                }
                _ => StatusCode::NO_CONTENT,
            }
        }
        (_, Ok(_)) => StatusCode::NOT_FOUND,
        (_, Err(_)) => StatusCode::BAD_REQUEST,
    };
    response
}
