//! On which addresses processes listen, read from /proc.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// State of a listening socket in /proc/net/tcp (TCP_LISTEN).
const LISTEN: &str = "0A";

/// The TCP addresses these processes listen on; `None` when it cannot be told.
pub(super) fn addresses(pids: &[u32]) -> Option<BTreeSet<SocketAddr>> {
    let ours: BTreeSet<u64> = pids.iter().flat_map(|pid| sockets(*pid)).collect();
    let mut found = BTreeSet::new();
    for (table, required) in [("/proc/net/tcp", true), ("/proc/net/tcp6", false)] {
        match fs::read_to_string(table) {
            Ok(text) => found.extend(
                text.lines()
                    .filter_map(listener)
                    .filter(|(_, inode)| ours.contains(inode))
                    .map(|(address, _)| address),
            ),
            Err(_) if required => return None,
            Err(_) => {} // a kernel without IPv6
        }
    }
    Some(found)
}

/// The inodes of a process's sockets.
fn sockets(pid: u32) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let inode = |entry: fs::DirEntry| {
        let link = fs::read_link(entry.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    entries.flatten().filter_map(inode).collect()
}

/// Address and inode of a line of the table, if it is a listening socket's.
fn listener(line: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if *state != LISTEN {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(address(ip)?, port), inode.parse().ok()?))
}

/// Words of four bytes, each printed as a number of this machine's byte order.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let text = hex.get(at..at + 8)?;
        Some(u32::from_str_radix(text, 16).ok()?.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn finds_our_own_listeners_and_no_others() {
        let mut wanted = Vec::new();
        let mut open = Vec::new();
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            if let Ok(listener) = TcpListener::bind(ip) {
                wanted.push(listener.local_addr().unwrap());
                open.push(listener);
            }
        }
        let found = addresses(&[std::process::id()]).unwrap();
        assert!(wanted.iter().all(|address| found.contains(address)), "{found:?} {wanted:?}");
        assert_eq!(addresses(&[]).unwrap(), BTreeSet::new());
    }
}
