//! Where subscribers that are connected to can be reached.

use crate::endpoint::Scheme;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::Ipv4Addr;

/// The addresses of subscribers, all served by one listener.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Port of the listener.
    pub port: u16,
    /// The host of all subscribers; where there is none, each has a host of its own.
    pub shared_host: Option<Ipv4Addr>,
    /// How they are reached.
    pub scheme: Scheme,
}

impl Addresses {
    /// Those behind a listener at this port: at this host, or as this machine allows.
    pub fn at(port: u16, host: Option<Ipv4Addr>, scheme: Scheme) -> Addresses {
        let own_hosts = host.is_none()
            && Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))
                .is_ok_and(|socket| to_loopback(&socket));
        let shared_host = (!own_hosts).then(|| host.unwrap_or(Ipv4Addr::LOCALHOST));
        Addresses { port, shared_host, scheme }
    }

    /// Where subscriber `number` is.
    pub fn url(&self, number: usize) -> String {
        let host = self.shared_host.unwrap_or_else(|| host(number));
        format!("{}://{host}:{}/{number}", self.scheme, self.port)
    }

    /// Where the first `count` subscribers are.
    pub fn urls(&self, count: usize) -> Vec<String> {
        (0..count).map(|number| self.url(number)).collect()
    }
}

/// The host of subscriber `number`, where it is connected to: 127.1.0.1, 127.1.0.2 … each its own.
pub fn host(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x7f01_0001 + number as u32)
}

/// The subscriber at a host; `None` where it is nobody's.
pub fn number(host: Ipv4Addr) -> Option<usize> {
    u32::from(host).checked_sub(0x7f01_0001).filter(|_| host.is_loopback()).map(|n| n as usize)
}

/// Binds it to the loopback device, if the kernel lets us.
pub fn to_loopback(socket: &Socket) -> bool {
    socket.bind_device(Some(b"lo")).is_ok()
}
