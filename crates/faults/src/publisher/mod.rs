//! Faulty publishers: an application's event comes in, and what becomes of each delivery is the
//! fault's. They speak `targets/PROTOCOL.md` and share nothing with the built-in publisher but paths.

pub mod counts;
mod outlet;
pub mod publisher_fault;
mod requests;
mod site;
mod subscription;

pub use site::{Conduct, Tally};

use crate::{SUBCOMMAND, call_to_end, listen, until_called};
use publisher_fault::PublisherFault;
use pushbench_core::publishing::TOKEN_VARIABLE;
use pushbench_core::transport::Transport;
use site::Site;
use std::convert::Infallible;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

/// What `pushbench __faulty` is told first.
pub(super) const WORD: &str = "publisher";
/// Told instead of an address where acknowledgements are not waited for.
const UNACKNOWLEDGED: &str = "unacknowledged";

/// A faulty publisher inside this process.
pub struct FaultyPublisher {
    address: SocketAddr,
    site: Arc<Site>,
    accepting: JoinHandle<()>,
}

impl FaultyPublisher {
    /// Starts one on a free port of this machine.
    pub fn start(conduct: Conduct) -> io::Result<FaultyPublisher> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let site = Arc::new(Site::new(conduct, None));
        let here = site.clone();
        let accepting = std::thread::spawn(move || accept(&listener, &here));
        Ok(FaultyPublisher { address, site, accepting })
    }

    /// Where it takes events and subscriptions.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until every connection has ended, ends it, and says what it did. Connections end when
    /// their peers close them.
    pub fn finish(self) -> io::Result<Tally> {
        call_to_end(self.address)?;
        self.accepting
            .join()
            .map_err(|_| io::Error::other("the misbehaving publisher panicked"))?;
        Ok(self.site.tally(|t| *t))
    }
}

fn accept(listener: &TcpListener, site: &Site) {
    std::thread::scope(|scope| {
        until_called(listener, |stream| {
            // Peers close as they like: what became of deliveries is in the tally.
            scope.spawn(move || drop(requests::serve(stream, site, scope)));
        });
        site.end();
    });
}

/// Where publishers that are processes of their own tell what they did.
pub struct ReportSocket(TcpListener);

impl ReportSocket {
    /// Listens on a free port of this machine.
    pub fn new() -> io::Result<ReportSocket> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(ReportSocket(listener))
    }

    /// The words with which this program is started as a publisher of this conduct that tells this report_socket.
    pub fn words(&self, conduct: &Conduct) -> io::Result<Vec<String>> {
        let (transport, fault) = (conduct.transport.name(), conduct.fault.name());
        let tell = self.0.local_addr()?.to_string();
        let words = [SUBCOMMAND, WORD, transport, fault, "127.0.0.1:{port}", &tell];
        let mut words = words.map(str::to_owned).to_vec();
        words.extend((!conduct.acknowledged).then(|| UNACKNOWLEDGED.to_owned()));
        Ok(words)
    }

    /// What was told last, after the publisher has answered for its status.
    pub fn last(&self) -> io::Result<Option<Tally>> {
        let mut last = None;
        loop {
            match self.0.accept() {
                Ok((mut stream, _)) => {
                    stream.set_nonblocking(false)?;
                    let mut told = Vec::new();
                    stream.read_to_end(&mut told)?;
                    last = Some(serde_json::from_slice(&told)?);
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
    let [transport, fault, address, tell, rest @ ..] = words else { return Err(wrong()) };
    let conduct = Conduct {
        transport: Transport::named(transport).ok_or_else(wrong)?,
        fault: PublisherFault::named(fault).ok_or_else(wrong)?,
        acknowledged: !rest.contains(&UNACKNOWLEDGED),
        token: std::env::var(TOKEN_VARIABLE).map_err(io::Error::other)?,
    };
    let tell = tell.parse().map_err(io::Error::other)?;
    accept(&listen(address)?, &Site::new(conduct, Some(tell)));
    Err(io::Error::other("it was called to end"))
}
