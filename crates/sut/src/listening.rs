//! Where the processes of a target really listen, read from /proc: for the message when it is not
//! the expected address.

use crate::ready;
use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The addresses at which these processes listen, each once.
pub(super) fn addresses(pids: &[u32]) -> Vec<SocketAddr> {
    let sockets: HashSet<String> = pids.iter().flat_map(|pid| sockets(*pid)).collect();
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let mut found: Vec<SocketAddr> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|text| text.lines().filter_map(listener).collect::<Vec<_>>())
        .filter(|(_, inode)| sockets.contains(inode))
        .map(|(address, _)| address)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The inodes of a process's sockets.
fn sockets(pid: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let inode = |entry: fs::DirEntry| {
        let link = fs::read_link(entry.path()).ok()?;
        let link = link.to_str()?;
        Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
    };
    entries.flatten().filter_map(inode).collect()
}

/// Address and inode, when the line is of a listening socket.
fn listener(line: &str) -> Option<(SocketAddr, String)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if *state != LISTEN {
        return None;
    }
    let (ip, port) = address.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // A socket of IPv6 that listens on an address of IPv4 has it as ::ffff:127.0.0.1.
    Some((SocketAddr::new(ip_of(ip)?.to_canonical(), port), (*inode).to_owned()))
}

/// Words of four bytes, each as this machine holds it.
fn ip_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = hex.get(at..at + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    if hex.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let words = [word(0)?, word(8)?, word(16)?, word(24)?];
    let bytes: [u8; 16] = words.concat().try_into().ok()?;
    Some(Ipv6Addr::from(bytes).into())
}

/// Whether a socket that listens there gets what is sent to `address`.
pub(super) fn includes(listener: SocketAddr, address: SocketAddr) -> bool {
    let everywhere = listener.ip().is_unspecified() && listener.port() == address.port();
    listener == address
        || everywhere
            && match (listener.is_ipv6(), address.is_ipv6()) {
                // A socket of IPv6 may take connections of IPv4, too: /proc does not say.
                (true, false) => ready::accepts(address),
                (own, other) => own == other,
            }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn finds_what_this_process_listens_to() {
        let listeners: Vec<TcpListener> = ["127.0.0.3:0", "[::1]:0", "[::ffff:127.0.0.4]:0"]
            .iter()
            .filter_map(|address| TcpListener::bind(address).ok())
            .collect();
        let found = addresses(&[std::process::id()]);
        for listener in &listeners {
            let bound = listener.local_addr().unwrap();
            let address = SocketAddr::new(bound.ip().to_canonical(), bound.port());
            assert!(found.contains(&address), "{address} is not among {found:?}");
        }
        assert!(!listeners.is_empty());
    }
}
