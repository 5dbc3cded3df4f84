//! Free ports for targets.

use pushbench_core::error::{Error, Result};
use socket2::{Domain, Socket, Type};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A port that an earlier process of a target had is free after this.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Pause between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Every address of each family.
const EVERYWHERE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// A port without a listener, outside the range the kernel gives to outgoing connections: one of
/// the driver's own connections could otherwise take it before the target does. `None` when all are
/// taken.
pub(super) fn free() -> Option<u16> {
    static RANGE: OnceLock<Range<u16>> = OnceLock::new();
    static NEXT: OnceLock<AtomicU32> = OnceLock::new();
    let range = RANGE.get_or_init(|| outside(ephemeral().unwrap_or((32_768, 60_999))));
    let count = u32::from(range.end - range.start);
    // Counting on from a start that differs between processes: two targets of this process never get
    // the same port, and two pushbench at once hardly ever.
    let next = NEXT.get_or_init(|| AtomicU32::new(seed() % count));
    (0..count)
        .map(|_| range.start + (next.fetch_add(1, Ordering::Relaxed) % count) as u16)
        .find(|port| is_free(&EVERYWHERE.map(|ip| SocketAddr::new(ip, *port))))
}

/// The same with words for the user.
pub(super) fn free_or_error() -> Result<u16> {
    free().ok_or_else(|| Error::harness("no free TCP port above 10000: end programs that use them"))
}

/// Whether nothing listens there, at the latest in a moment: an earlier process of the target may just be ending.
pub(super) fn becomes_free(addresses: &[SocketAddr]) -> bool {
    let began = Instant::now();
    while !is_free(addresses) {
        if began.elapsed() > TIMEOUT {
            return false;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    true
}

/// Whether a port is free in each family that one of these addresses belongs to. Binding every address
/// of a family, without SO_REUSEADDR, fails for any listener and for a port that still has connections in
/// TIME_WAIT, which would stop a target that does not set SO_REUSEADDR.
pub(super) fn is_free(addresses: &[SocketAddr]) -> bool {
    EVERYWHERE.iter().all(|ip| {
        let address = addresses.iter().find(|address| address.is_ipv4() == ip.is_ipv4());
        address.is_none_or(|address| binds(SocketAddr::new(*ip, address.port())))
    })
}

fn binds(address: SocketAddr) -> bool {
    let Ok(socket) = Socket::new(Domain::for_address(address), Type::STREAM, None) else {
        // A machine without IPv6 has no listener there.
        return address.is_ipv6();
    };
    if address.is_ipv6() && socket.set_only_v6(true).is_err() {
        return true;
    }
    match socket.bind(&address.into()) {
        Err(e) => address.is_ipv6() && e.kind() == ErrorKind::AddrNotAvailable,
        Ok(()) => true,
    }
}

fn ephemeral() -> Option<(u16, u16)> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut numbers = text.split_whitespace().map(|n| n.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The larger part of 10000..65535 below or above the ephemeral ports. Where a tuned machine leaves
/// no room, the choice overlaps and a collision shows as a retry.
fn outside((low, high): (u16, u16)) -> Range<u16> {
    let below = 10_000..low.max(10_000);
    let above = high.saturating_add(1).max(10_000)..65_535;
    let widest = if below.len() >= above.len() { below } else { above };
    if widest.len() >= 500 { widest } else { 10_000..30_000 }
}

fn seed() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Neighbouring process ids are spread out: runs started together have neighbouring ids.
    now.subsec_nanos().wrapping_add(std::process::id().wrapping_mul(2_654_435_761))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_outside_the_ephemeral_range() {
        assert_eq!(outside((32_768, 60_999)), 10_000..32_768);
        assert_eq!(outside((10_000, 40_000)), 40_001..65_535);
        assert_eq!(outside((1024, 65_535)), 10_000..30_000);
    }

    #[test]
    fn never_twice_and_never_taken() {
        let first = free().unwrap();
        let taken = std::net::TcpListener::bind(("127.0.0.1", first));
        assert_ne!(first, free().unwrap());
        assert!(taken.is_err() || !is_free(&[([127, 0, 0, 1], first).into()]));
    }

    #[test]
    fn a_port_is_taken_in_the_family_of_its_listener() {
        let (old, new) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from(Ipv6Addr::LOCALHOST));
        let listeners = [old, new].map(|ip| std::net::TcpListener::bind((ip, 0)));
        for (taken, other) in listeners.iter().zip([new, old]) {
            // A machine may have no IPv6.
            let Ok(address) = taken.as_ref().map(|l| l.local_addr().unwrap()) else { continue };
            assert!(!is_free(&[address]), "{address}");
            let both = [SocketAddr::new(other, address.port()), address];
            assert!(!is_free(&both), "{address}");
        }
        assert!(listeners[0].is_ok());
    }
}
