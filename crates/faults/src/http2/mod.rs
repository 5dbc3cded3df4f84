//! Faulty HTTP/2 servers without TLS: frames on blocking sockets, written by hand. Events are acknowledged by id.

mod connection;
pub mod http2_fault;

use http2_fault::Http2Fault;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The word behind the hidden subcommand.
pub(super) const ARGUMENT: &str = "http2";
/// How long [`Http2Fault::OneStream`] takes for an event.
pub const SLOW: Duration = Duration::from_millis(5);
/// How long [`Http2Fault::NoStreamAtFirst`] allows no stream.
pub const CLOSED: Duration = Duration::from_millis(60);
/// How many pings [`Http2Fault::PingFlood`] sends.
pub const PINGS: u64 = 1_000;

/// What a server really did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections on which HTTP/2 was begun.
    pub connections: u64,
    /// Streams opened by peers.
    pub streams: u64,
    /// Most streams of a connection that were open at a time.
    pub most_open: u64,
    /// Events read to their end.
    pub events: u64,
    /// Of them, struck by the fault.
    pub affected: u64,
    /// Proper answers.
    pub answered: u64,
    /// Of them, those that overtook an older one.
    pub overtook: u64,
    /// Streams reset by peers.
    pub resets: u64,
    /// Pings that peers have answered.
    pub pongs: u64,
}

/// A running server, seen from its connections.
struct Site {
    fault: Http2Fault,
    tally: Mutex<Tally>,
    ended: AtomicBool,
}

impl Site {
    /// Changes or reads the tally.
    fn tally<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A faulty HTTP/2 server inside this process.
pub struct Http2Server {
    address: SocketAddr,
    site: Arc<Site>,
    accepting: JoinHandle<()>,
}

impl Http2Server {
    /// Starts one on a free port of this machine.
    pub fn start(fault: Http2Fault) -> io::Result<Http2Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, site) = (listener.local_addr()?, Arc::new(site(fault)));
        let here = site.clone();
        let accepting = std::thread::spawn(move || accept(&listener, &here));
        Ok(Http2Server { address, site, accepting })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Waits until its peers have closed every connection, ends it, and says what it did.
    pub fn finish(self) -> io::Result<Tally> {
        self.site.ended.store(true, Ordering::Relaxed);
        crate::request_end(self.address)?;
        self.accepting.join().map_err(|_| io::Error::other("the faulty server panicked"))?;
        Ok(self.site.tally(|t| *t))
    }
}

/// Serves until the process is ended: `FAULT ADDR`.
pub(super) fn run(words: &[&str]) -> io::Result<std::convert::Infallible> {
    let wrong = || io::Error::other("it takes FAULT and ADDR");
    let [name, address] = words else { return Err(wrong()) };
    let fault = Http2Fault::named(name).ok_or_else(wrong)?;
    accept(&crate::listen(address)?, &site(fault));
    Err(io::Error::other("it was called to end"))
}

fn site(fault: Http2Fault) -> Site {
    Site { fault, tally: Mutex::default(), ended: AtomicBool::new(false) }
}

fn accept(listener: &TcpListener, site: &Site) {
    std::thread::scope(|scope| {
        crate::accept_until_end(listener, |stream| {
            // Peers close as they like: how a connection ends is not an error here.
            scope.spawn(move || drop(connection::serve(stream, site)));
        });
    });
}
