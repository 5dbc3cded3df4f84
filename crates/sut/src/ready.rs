//! Whether a target that was started takes events yet.

use crate::http;
use crate::manifest::Ready;
use crate::output::Output;
use hyper::header::HeaderMap;
use pushbench_wire::tls::ClientTls;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server on this machine that does not accept within this is not ready.
const CONNECT: Duration = Duration::from_millis(200);
/// A health check may do some work before it answers.
const ANSWER: Duration = Duration::from_secs(2);

/// The address at which it takes events, of those that its host has; `None` while it does not.
pub(super) fn ready_at(
    ready: &Ready,
    addresses: &[SocketAddr],
    tls: Option<&ClientTls>,
    output: &Output,
) -> Option<SocketAddr> {
    let healthy = |address: &SocketAddr| match ready {
        Ready::Tcp | Ready::Line(_) => accepts(*address),
        Ready::Http(path) => {
            http::get((*address, tls), (path, &HeaderMap::new()), false, (CONNECT, ANSWER))
                .is_some()
        }
    };
    let found = || addresses.iter().copied().find(healthy);
    match (ready, addresses) {
        (Ready::Line(_), _) if !output.has_wanted_text() => None,
        // It prints that it is ready.
        (Ready::Line(_), [only]) => Some(*only),
        (Ready::Line(_), _) => found().or(addresses.first().copied()),
        _ => found(),
    }
}

/// Whether a server accepts connections there.
pub(super) fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, CONNECT).is_ok()
}
