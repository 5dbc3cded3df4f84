//! What the built-in servers share: runtime, listener, accept loop, and the settings in force.

use super::handler::Handler;
use super::{Transport, tcp, webhook, websocket};
use crate::error::{Error, Result};
use crate::record::in_force::{InForce, LISTENING};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Connections the kernel may hold for a server that has not accepted them yet: above the largest
/// number of connections a scenario opens at once, so that no transport pays for SYN retries.
const BACKLOG: u32 = 4096;
/// How long to wait before accepting again after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What `pushbench serve` was asked for.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Which server.
    pub transport: Transport,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Runtime threads; one means tokio's current-thread runtime.
    pub threads: usize,
    /// What the handler does.
    pub handler: Handler,
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
        .build()
        .map_err(|e| Error::harness(format!("cannot start the server's runtime: {e}")))?;
    runtime.block_on(async {
        let listener = listen(options.listen)?;
        announce(options, &listener)
            .map_err(|e| Error::harness(format!("cannot announce: {e}")))?;
        accept(options, listener).await
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
            io::ErrorKind::AddrNotAvailable => "this machine has no such address: try 127.0.0.1:0",
            _ => "try --listen 127.0.0.1:0",
        };
        Error::harness(format!("cannot listen on {address}: {e}; {remedy}"))
    })
}

fn announce(options: &ServeOptions, listener: &TcpListener) -> io::Result<()> {
    let nanos = |d: Option<Duration>| d.map_or(0, |d| d.as_nanos() as u64);
    let in_force = InForce {
        handler: "built-in JSON check, acknowledges by id".to_owned(),
        runtime: if options.threads == 1 {
            "tokio current-thread".to_owned()
        } else {
            "tokio multi-thread".to_owned()
        },
        threads: options.threads,
        nodelay: socket2::SockRef::from(listener).tcp_nodelay()?,
        backlog: BACKLOG,
        delay_ns: nanos(options.handler.delay),
        work_ns: nanos(options.handler.work),
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{LISTENING}{} {}", listener.local_addr()?, serde_json::to_string(&in_force)?)?;
    out.flush()
}

async fn accept(options: &ServeOptions, listener: TcpListener) -> Result<()> {
    let handler = options.handler;
    let transport = options.transport;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(transport, handler, stream));
            }
            Err(e) => {
                eprintln!("cannot accept a connection: {e}");
                std::thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// A connection that ends badly is the client's affair; the server goes on.
async fn connection(transport: Transport, handler: Handler, stream: TcpStream) {
    match transport {
        Transport::Webhook => webhook::server::serve(handler, stream).await,
        Transport::Websocket => websocket::server::serve(handler, stream).await,
        Transport::Tcp => tcp::server::serve(handler, stream).await,
    }
}
