//! What the built-in servers share: runtime, listener, accept loop, and the settings in force.

use crate::handler::Handler;
use crate::http2;
use crate::publisher;
use crate::publisher::hub::Hub;
use crate::publisher::requests;
use crate::webhook::callback_addresses::CallbackAddresses;
use crate::{tcp, webhook, websocket};
use pushbench_core::arm::ArmOption;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::effective_config::{EffectiveConfig, LISTENING};
use pushbench_core::transport::Carrier;
use pushbench_host::results_store::write_atomically;
use pushbench_host::{console, tcp_info};
use pushbench_wire::libraries;
use pushbench_wire::stream::Stream;
use pushbench_wire::tls::{ClientTls, ServerTls};
use std::io::{self};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Connections the kernel may hold for a server that has not accepted them yet: above the largest
/// number of connections a scenario opens at once, so that no transport pays for SYN retries.
const BACKLOG: u32 = 4096;
/// How long to wait before accepting again after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// A client that has not finished its TLS handshake by then is disconnected.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// The answer to a client that speaks HTTP without TLS to a server with TLS.
const TLS_WANTED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 51\r\n\r\n\
                            this server requires TLS: write https:// or wss://\n";
/// How often a publisher looks for deliveries that were not acknowledged in time.
const SWEEP: Duration = Duration::from_millis(250);

/// The parameters of `pushbench serve`.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Runtime threads; one means tokio's current-thread runtime.
    pub threads: usize,
    /// Its end of TLS; nothing without.
    pub tls: Option<ServerTls>,
    /// Where the certificate is written that clients must trust, once the server listens.
    pub ca_out: Option<(PathBuf, String)>,
    /// What it does.
    pub work: Work,
}

/// What a server does.
#[derive(Debug, Clone)]
pub enum Work {
    /// Takes events. Whom it trusts at the addresses of callbacks over TLS.
    Take(Carrier, Handler, Option<ClientTls>),
    /// Publishes events to subscribers, for those who know this token.
    Publish(Box<publisher::Options>, String),
}

/// What is done with a connection.
#[derive(Clone)]
enum Service {
    Take(Carrier, Handler),
    /// Questions by POST, whose answers may be wanted elsewhere.
    Answer(Handler, Arc<CallbackAddresses>),
    Publish(Arc<Hub>),
}

/// Serves until the process ends.
pub fn serve(options: &ServeOptions) -> Result<()> {
    let mut builder = if options.threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        let mut b = tokio::runtime::Builder::new_multi_thread();
        b.worker_threads(options.threads);
        b
    };
    let runtime = builder
        .enable_io()
        .enable_time()
        .build()
        .map_err(|e| Error::harness(format!("cannot start the server's runtime: {e}")))?;
    runtime.block_on(async {
        let service = service(options)?;
        let listener = listen(options.listen)?;
        if let Some((path, ca)) = &options.ca_out {
            write_atomically(path, ca.as_bytes())?;
        }
        announce(options, &listener)
            .map_err(|e| Error::harness(format!("cannot print the address of the server: {e}")))?;
        accept(options, service, listener).await
    })
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let open = || -> io::Result<TcpListener> {
        let socket = match address {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        // Linux hands it down to every accepted connection.
        socket.set_nodelay(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|e| {
        let remedy = match e.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there: choose another --listen, or port 0 for a free one"
            }
            io::ErrorKind::PermissionDenied => "ports below 1024 need root: choose a higher one",
            io::ErrorKind::AddrNotAvailable => {
                "this machine does not have that address: try 127.0.0.1:0"
            }
            _ => "try --listen 127.0.0.1:0",
        };
        Error::harness(format!("cannot listen on {address}: {e}; {remedy}"))
    })
}

/// What is done with events, in words.
fn taking(carrier: Carrier, handler: &Handler) -> String {
    let checks = match handler.authentication {
        Some(authentication) => format!("{}, JSON check", authentication.description()),
        None => "JSON check".to_owned(),
    };
    let http2 = match handler.options.contains(ArmOption::H2) {
        true => http2::description(),
        false => String::new(),
    };
    let checks = match (handler.options.contains(ArmOption::Compressed), carrier) {
        (true, Carrier::Webhook) => format!("gzip, {checks}"),
        (true, Carrier::Websocket | Carrier::Tcp) => format!("permessage-deflate, {checks}"),
        (false, _) => checks,
    };
    let checks = match handler.options.number(ArmOption::Batch) {
        Some(most) => format!("{checks} of batches of up to {most} events"),
        None => checks,
    };
    let checks = match &handler.receiver {
        Some(receiver) => format!("{checks}, {receiver}"),
        None => checks,
    };
    match handler.answer {
        None => format!("built-in {checks}, acknowledges by id{http2}"),
        Some(bytes) => format!("built-in {checks}, answers by id with {bytes} bytes{http2}"),
    }
}

fn announce(options: &ServeOptions, listener: &TcpListener) -> io::Result<()> {
    let (transport, description, handler) = match &options.work {
        Work::Publish(publisher, _) => {
            (publisher.transport, publisher.description(), Handler::default())
        }
        Work::Take(carrier, handler, _) => {
            (carrier.transport(), taking(*carrier, handler), handler.clone())
        }
    };
    let nanos = |d: Option<Duration>| d.map_or(0, |d| d.as_nanos() as u64);
    let in_force = EffectiveConfig {
        handler: description,
        runtime: if options.threads == 1 {
            "tokio current-thread".to_owned()
        } else {
            "tokio multi-thread".to_owned()
        },
        library: Some(libraries::of_target(transport).to_owned()),
        threads: options.threads,
        nodelay: socket2::SockRef::from(listener).tcp_nodelay()?,
        backlog: tcp_info::backlog(listener.as_fd()).unwrap_or(BACKLOG),
        delay_ns: nanos(handler.delay),
        work_ns: nanos(handler.work),
    };
    let in_force = serde_json::to_string(&in_force)?;
    console::output(&format!("{LISTENING}{} {in_force}\n", listener.local_addr()?))
}

/// What is done with connections; a store is opened before anybody is told to connect.
fn service(options: &ServeOptions) -> Result<Service> {
    Ok(match &options.work {
        Work::Take(Carrier::Webhook, handler, tls)
            if handler.options.contains(ArmOption::Callback) =>
        {
            Service::Answer(handler.clone(), Arc::new(CallbackAddresses::new(tls.clone())))
        }
        Work::Take(carrier, handler, _) => Service::Take(*carrier, handler.clone()),
        Work::Publish(publisher, token) => {
            let hub = Hub::open(*publisher.clone(), token.clone())?;
            if !publisher.times_out_itself() {
                tokio::spawn(sweep(hub.clone()));
            }
            Service::Publish(hub)
        }
    })
}

async fn accept(options: &ServeOptions, service: Service, mut listener: TcpListener) -> Result<()> {
    let receiver = match &service {
        Service::Take(_, handler) => handler.receiver.clone(),
        Service::Answer(..) | Service::Publish(_) => None,
    };
    loop {
        let accepted = match &receiver {
            None => listener.accept().await,
            Some(receiver) => tokio::select! {
                biased;
                () = receiver.until_down(true) => {
                    let down = closed_until(listener, receiver.until_down(false)).await;
                    let failed = |e| Error::harness(format!("cannot listen again: {e}"));
                    listener = down.map_err(failed)?;
                    continue;
                }
                accepted = listener.accept() => accepted,
            },
        };
        match accepted {
            Ok((socket, _)) => {
                tokio::spawn(connection(service.clone(), options.tls.clone(), socket));
            }
            Err(e) => {
                console::error_line(&format!("cannot accept a connection: {e}"));
                std::thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// Refuses connections until then. The port stays bound: no other program gets it meanwhile.
async fn closed_until(
    listener: TcpListener,
    up: impl Future<Output = ()>,
) -> io::Result<TcpListener> {
    let socket = socket2::Socket::from(listener.into_std()?);
    socket.shutdown(Shutdown::Both)?;
    up.await;
    socket.listen(BACKLOG as i32)?;
    TcpListener::from_std(socket.into())
}

/// An error of a connection does not affect the server.
async fn connection(mut service: Service, tls: Option<ServerTls>, socket: TcpStream) {
    if let Service::Take(_, Handler { receiver: Some(receiver), .. }) = &mut service {
        let Ok(Some((own, reset_socket))) = receiver.accept(&socket) else { return };
        *receiver = own.clone();
        let reset = tokio::select! {
            biased;
            () = own.until_reset() => reset_socket.reset(),
            // Boxed, so that it takes no memory of connections without.
            () = Box::pin(serve_connection(service, tls, socket)) => Ok(()),
        };
        if let Err(e) = reset {
            console::error_line(&format!("cannot reset a connection: {e}"));
        }
        return;
    }
    serve_connection(service, tls, socket).await;
}

async fn serve_connection(service: Service, tls: Option<ServerTls>, socket: TcpStream) {
    let accepting = tokio::time::timeout(HANDSHAKE, accepted(tls.as_ref(), socket));
    let Ok(Ok(stream)) = accepting.await else { return };
    match service {
        Service::Take(Carrier::Webhook, h) => webhook::server::serve(h, None, stream).await,
        Service::Answer(h, to) => webhook::server::serve(h, Some(to), stream).await,
        Service::Take(Carrier::Websocket, h) => websocket::server::serve(h, stream).await,
        Service::Take(Carrier::Tcp, h) => tcp::server::serve(h, stream).await,
        Service::Publish(hub) => requests::serve(hub, stream).await,
    }
}

/// The stream over an accepted socket.
async fn accepted(tls: Option<&ServerTls>, mut socket: TcpStream) -> io::Result<Stream<TcpStream>> {
    let mut first = [0];
    // A request of HTTP begins with a capital letter, a TLS handshake with a 22.
    if tls.is_some() && socket.peek(&mut first).await? > 0 && first[0].is_ascii_uppercase() {
        let _what_is_left_unread_resets = socket.read(&mut [0; 4096]).await?;
        socket.write_all(TLS_WANTED).await?;
        return Err(io::ErrorKind::InvalidData.into());
    }
    Stream::accept(socket, tls).await
}

/// Gives up deliveries that are not acknowledged in time.
async fn sweep(hub: Arc<Hub>) {
    let mut interval = tokio::time::interval(SWEEP);
    loop {
        interval.tick().await;
        hub.sweep();
    }
}
