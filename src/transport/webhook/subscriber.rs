//! The subscriber's half: an address that is registered, and behind all addresses one listener.
//!
//! Every subscriber is a host of its own out of 127.0.0.0/8, so that the publisher needs a connection
//! for each as it would in earnest. The path says which one it is.

use super::line::Line;
use crate::record::clock;
use crate::transport::fault::Fault;
use crate::transport::io::{Stamped, Stamps};
use crate::transport::sleep::Timer;
use crate::transport::subscriber::{Call, Subscriber, host};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
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
    port: u16,
    /// Every subscriber has a host of its own.
    own_hosts: bool,
    registrar: Mutex<Line>,
}

impl Subscriber for Hook {
    type Common = Desk;

    async fn prepare(call: &Rc<Call>) -> Result<Desk, Fault> {
        let (listener, own_hosts) = listen(call.max_segment).map_err(Fault::refused)?;
        if !own_hosts {
            call.ledger
                .fault("subscribers share the host 127.0.0.1: SO_BINDTODEVICE is not allowed");
        }
        let port = listener.local_addr().map_err(Fault::refused)?.port();
        (call.spawn)(Box::pin(accept(listener, call.clone())));
        let stream = TcpStream::connect(call.subscribe.socket).await.map_err(Fault::refused)?;
        stream.set_nodelay(true).map_err(Fault::refused)?;
        let registrar = Mutex::new(Line::new(stream).await.map_err(Fault::refused)?);
        Ok(Desk { port, own_hosts, registrar })
    }

    async fn subscribe(call: &Rc<Call>, desk: &Desk, number: usize) -> Result<Self, Fault> {
        let host = if desk.own_hosts { host(number) } else { Ipv4Addr::LOCALHOST };
        let url = format!("http://{host}:{}/{number}", desk.port);
        let body = serde_json::json!({ "url": url }).to_string();
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = call.subscribe.path.parse().map_err(Fault::refused)?;
        let own = HeaderValue::from_str(&call.subscribe.authority).map_err(Fault::refused)?;
        request.headers_mut().extend(call.terms.headers.clone());
        request.headers_mut().insert(HOST, own);
        let answer = desk.registrar.lock().await.exchange(request).await;
        match answer {
            Ok((status, _)) if status.is_success() => Ok(Hook),
            Ok((status, body)) => {
                let said = String::from_utf8_lossy(&body);
                Err(Fault::Refused(format!("subscribing was answered {status}: {said}")))
            }
            Err(e) => Err(Fault::Refused(format!("subscribing: {e}"))),
        }
    }

    async fn receive(self) -> Result<(), Fault> {
        pending().await
    }
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
