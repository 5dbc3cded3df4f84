//! Whether a target that was started takes events yet.

use crate::manifest::Ready;
use crate::output::Output;
use std::io::{Read as _, Write as _};
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
    output: &Output,
) -> Option<SocketAddr> {
    let healthy = |address: &SocketAddr| match ready {
        Ready::Tcp | Ready::Line(_) => accepts(*address),
        Ready::Http(path) => answers(*address, path).unwrap_or(false),
    };
    let found = || addresses.iter().copied().find(healthy);
    match (ready, addresses) {
        (Ready::Line(_), _) if !output.seen() => None,
        // It says itself that it is ready.
        (Ready::Line(_), [only]) => Some(*only),
        (Ready::Line(_), _) => found().or(addresses.first().copied()),
        _ => found(),
    }
}

/// Whether somebody accepts connections there.
pub(super) fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, CONNECT).is_ok()
}

/// One GET; every 2xx is healthy.
fn answers(address: SocketAddr, path: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 10];
    stream.read_exact(&mut status)?;
    Ok(status.starts_with(b"HTTP/1.") && status[8..] == *b" 2")
}
