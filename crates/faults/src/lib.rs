//! Faulty servers and [publishers](publisher), for each transport, on plain blocking sockets and
//! threads: nothing of the driver's own code serves them, and each keeps an exact tally of what it did.
//!
//! In a test [`FaultyServer::start`] runs one in the process of the driver; the self-test starts one as a
//! process of its
//! own through the hidden subcommand `pushbench __faulty TRANSPORT FAULT ADDR`.

#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod batches;
pub mod exact_target;

mod compression;
mod connection;
pub mod counts;
mod http;
pub mod http2;
pub mod messages;
pub mod publisher;
pub mod server_fault;
mod site;
mod tcp;
pub mod tls;
mod webhook;
mod websocket;
mod wire;

pub use site::Tally;

use pushbench_core::record::effective_config::LISTENING;
use pushbench_core::transport::Carrier;
use server_fault::ServerFault;
use site::Site;
use socket2::{Domain, Socket, Type};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "__faulty";
/// A connection from here is the call to end, not a peer's.
const END_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 99);

/// A faulty server inside this process.
pub struct FaultyServer {
    carrier: Carrier,
    address: SocketAddr,
    site: Arc<Site>,
    accepting: JoinHandle<()>,
}

impl FaultyServer {
    /// Starts one on a free port of this machine.
    pub fn start(carrier: Carrier, fault: ServerFault) -> io::Result<FaultyServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let site = Arc::new(Site::new(fault));
        let here = site.clone();
        let accepting = std::thread::spawn(move || accept(&listener, carrier, &here));
        Ok(FaultyServer { carrier, address, site, accepting })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it takes events.
    pub fn url(&self) -> String {
        let (scheme, path) = match self.carrier {
            Carrier::Webhook => ("http", "/webhook"),
            Carrier::Websocket => ("ws", "/"),
            Carrier::Tcp => ("tcp", "/"),
        };
        format!("{scheme}://{}{path}", self.address)
    }

    /// What it has done so far.
    pub fn tally(&self) -> Tally {
        self.site.tally(|t| *t)
    }

    /// Waits until every connection has ended, ends it, and says what it did. Connections end when
    /// their peers close them.
    pub fn finish(self) -> io::Result<Tally> {
        request_end(self.address)?;
        self.accepting.join().map_err(|_| io::Error::other("the faulty server panicked"))?;
        Ok(self.site.tally(|t| *t))
    }
}

/// Serves every connection on a thread of its own, and returns when all have ended.
fn accept(listener: &TcpListener, carrier: Carrier, site: &Site) {
    std::thread::scope(|scope| {
        accept_until_end(listener, |stream| {
            let number = site.tally(|t| {
                t.connections += 1;
                t.connections - 1
            });
            scope.spawn(move || {
                // Peers close as they like: how a connection ends is not an error here.
                let _ended = match carrier {
                    Carrier::Webhook => connection::serve::<webhook::Webhook>(stream, number, site),
                    Carrier::Websocket => {
                        connection::serve::<websocket::Websocket>(stream, number, site)
                    }
                    Carrier::Tcp => connection::serve::<tcp::Tcp>(stream, number, site),
                };
            });
        });
        site.end();
    });
}

/// Accepts connections until the one that calls to end.
fn accept_until_end(listener: &TcpListener, mut each: impl FnMut(TcpStream)) {
    loop {
        match listener.accept() {
            Ok((_, from)) if from.ip() == IpAddr::V4(END_ADDRESS) => return,
            Ok((stream, _)) => each(stream),
            Err(_) => {}
        }
    }
}

/// Connections are accepted in the order in which they were made: this one is the last.
fn request_end(address: SocketAddr) -> io::Result<()> {
    let call = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    call.bind(&SocketAddr::from((END_ADDRESS, 0)).into())?;
    call.connect(&address.into())
}

/// Runs as a faulty server if the command line requests it: `pushbench __faulty TRANSPORT FAULT ADDR`, or
/// `pushbench __faulty publisher TRANSPORT FAULT ADDR TELL`, or `pushbench __faulty messages FAULT ADDR`, or
/// `pushbench __faulty tls FAULT ADDR --ca-out FILE`, or `pushbench __faulty http2 FAULT ADDR`.
/// `pushbench __faulty tls FAULT ADDR --ca-out FILE`, or `pushbench __faulty compression FAULT ADDR`.
pub fn run_if_requested(args: &[OsString]) -> Option<ExitCode> {
    if args.get(1)? != SUBCOMMAND {
        return None;
    }
    let words: Vec<&str> = args[2..].iter().filter_map(|a| a.to_str()).collect();
    let Err(error) = match &words[..] {
        [publisher::ARGUMENT, rest @ ..] => publisher::run(rest),
        [messages::ARGUMENT, rest @ ..] => messages::run(rest),
        [tls::ARGUMENT, rest @ ..] => tls::run(rest),
        [http2::ARGUMENT, rest @ ..] => http2::run(rest),
        [compression::ARGUMENT, rest @ ..] => compression::run(rest),
        words => run(words),
    };
    pushbench_host::console::error_line(&format!("the faulty server failed: {error}"));
    Some(ExitCode::FAILURE)
}

fn run(words: &[&str]) -> io::Result<std::convert::Infallible> {
    let wrong = || io::Error::other("it takes TRANSPORT FAULT ADDR");
    let [carrier, fault, address] = words else { return Err(wrong()) };
    let carrier = Carrier::named(carrier).ok_or_else(wrong)?;
    let fault = ServerFault::named(fault).ok_or_else(wrong)?;
    let listener = listen(address)?;
    accept(&listener, carrier, &Site::new(fault));
    Err(io::Error::other("it was called to end"))
}

/// Listens as a process of its own, and says so.
fn listen(address: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{LISTENING}{}", listener.local_addr()?)?;
    out.flush()?;
    Ok(listener)
}
