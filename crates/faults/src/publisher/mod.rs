//! Faulty publishers: an application's event comes in, and what becomes of each delivery is the
//! fault's. They speak `targets/PROTOCOL.md` and share nothing with the built-in publisher but paths.

mod connection;
pub mod counts;
pub mod publisher_fault;
mod requests;
mod state;
mod subscription;

pub use state::{PublisherOptions, Tally};

use crate::{SUBCOMMAND, accept_until_end, listen, request_end};
use publisher_fault::PublisherFault;
use pushbench_core::publishing::TOKEN_VARIABLE;
use pushbench_core::transport::Transport;
use state::PublisherState;
use std::convert::Infallible;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

/// The first argument of `pushbench __faulty` for a publisher.
pub(super) const ARGUMENT: &str = "publisher";
/// Argument of a publisher that does not wait for acknowledgements.
const UNACKNOWLEDGED: &str = "unacknowledged";

/// A faulty publisher inside this process.
pub struct FaultyPublisher {
    address: SocketAddr,
    state: Arc<PublisherState>,
    accepting: JoinHandle<()>,
}

impl FaultyPublisher {
    /// Starts one on a free port of this machine.
    pub fn start(options: PublisherOptions) -> io::Result<FaultyPublisher> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(PublisherState::new(options, None));
        let here = state.clone();
        let accepting = std::thread::spawn(move || accept(&listener, &here));
        Ok(FaultyPublisher { address, state, accepting })
    }

    /// Where it takes events and subscriptions.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until every connection has ended, ends it, and says what it did. Connections end when
    /// their peers close them.
    pub fn finish(self) -> io::Result<Tally> {
        request_end(self.address)?;
        self.accepting.join().map_err(|_| io::Error::other("the faulty publisher panicked"))?;
        Ok(self.state.tally(|t| *t))
    }
}

fn accept(listener: &TcpListener, state: &PublisherState) {
    std::thread::scope(|scope| {
        accept_until_end(listener, |stream| {
            // Peers close as they like: what became of deliveries is in the tally.
            scope.spawn(move || drop(requests::serve(stream, state, scope)));
        });
        state.end();
    });
}

/// Where publishers in their own processes report what they did.
pub struct ReportSocket(TcpListener);

impl ReportSocket {
    /// Listens on a free port of this machine.
    pub fn new() -> io::Result<ReportSocket> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(ReportSocket(listener))
    }

    /// The arguments that start this program as a publisher that reports to this socket.
    pub fn words(&self, options: &PublisherOptions) -> io::Result<Vec<String>> {
        let (transport, fault) = (options.transport.name(), options.fault.name());
        let report = self.0.local_addr()?.to_string();
        let words = [SUBCOMMAND, ARGUMENT, transport, fault, "127.0.0.1:{port}", &report];
        let mut words = words.map(str::to_owned).to_vec();
        words.extend((!options.acknowledged).then(|| UNACKNOWLEDGED.to_owned()));
        Ok(words)
    }

    /// The last report, after the publisher has answered a status request.
    pub fn last(&self) -> io::Result<Option<Tally>> {
        let mut last = None;
        loop {
            match self.0.accept() {
                Ok((mut stream, _)) => {
                    stream.set_nonblocking(false)?;
                    let mut report = Vec::new();
                    stream.read_to_end(&mut report)?;
                    last = Some(serde_json::from_slice(&report)?);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(last),
                Err(e) => return Err(e),
            }
        }
    }
}

/// Runs as a faulty publisher: `TRANSPORT FAULT ADDR TELL [unacknowledged]`.
pub(super) fn run(words: &[&str]) -> io::Result<Infallible> {
    let wrong = || io::Error::other("it takes TRANSPORT FAULT ADDR TELL [unacknowledged]");
    let [transport, fault, address, report, rest @ ..] = words else { return Err(wrong()) };
    let options = PublisherOptions {
        transport: Transport::named(transport).ok_or_else(wrong)?,
        fault: PublisherFault::named(fault).ok_or_else(wrong)?,
        acknowledged: !rest.contains(&UNACKNOWLEDGED),
        token: std::env::var(TOKEN_VARIABLE).map_err(io::Error::other)?,
    };
    let report = report.parse().map_err(io::Error::other)?;
    accept(&listen(address)?, &PublisherState::new(options, Some(report)));
    Err(io::Error::other("it was called to end"))
}
