//! What lies between driver and target: each is in a network namespace of its own, and a router moves IP packets
//! between them. Namespaces are anonymous, held by descriptors: they vanish with this process, however it ends.

#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod calibration;
mod interface;
mod link;
pub mod middle_box;
pub mod namespace;
mod packet;
pub mod proxies;
mod router;
pub mod user_namespace;

use crate::interface::Tun;
use crate::namespace::Namespace;
use crate::proxies::{Opens, Proxies, ProxyTask};
pub use crate::router::Side;
use crate::router::{Host, Router};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::path::PathRecord;
use pushbench_core::scenario::PathSettings;
use pushbench_core::scenario::path::Inbound;
use pushbench_wire::endpoint::{Endpoint, Resolved};
use pushbench_wire::tls::ClientTls;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// The name of the device at either end.
const NAME: &str = "path";
/// The port of HTTPS, which firewalls leave open.
const HTTPS: u16 = 443;
/// The driver's address.
pub const DRIVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// What listens on 127.0.0.1 in the target's namespace is reached here: the router rewrites the address.
pub const TARGET_LISTENS: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 1);
/// The target's address where it opens a connection.
const TARGET: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 2);

/// The path of one trial. Dropping it ends the router.
pub struct Path {
    ends: Ends,
    proxies: Proxies,
    router: Router,
}

/// The two ends of a path, as the driver's threads use them.
#[derive(Debug, Clone)]
pub struct Ends {
    /// The driver's: its connections for events and its subscribers.
    pub driver: Namespace,
    /// The target's.
    pub target: Namespace,
    /// The port at which the driver listens; 0: any.
    pub listen_port: u16,
    /// The host at which the target reaches what the driver listens for.
    pub driver_reached_at: Ipv4Addr,
}

impl Path {
    /// Makes namespaces and starts the router on these CPUs. `receiver`: at which end the receiver of the events is;
    /// `opens`: which ends open connections.
    ///
    /// # Errors
    /// Namespaces or TUN devices are not allowed here: the message says which, and what to do.
    pub fn open(
        settings: &PathSettings,
        receiver: Side,
        opens: Opens,
        seed: u64,
        cpus: &[usize],
    ) -> Result<Path> {
        let (driver, target) = (Namespace::new()?, Namespace::new()?);
        let near = device(&driver, NAME, DRIVER, 8)?;
        let far = device(&target, NAME, TARGET, 8)?;
        let mut hosts = vec![
            Host { tun: near, side: Side::Near, addresses: vec![DRIVER], loopback: None },
            Host {
                tun: far,
                side: Side::Far,
                addresses: vec![TARGET, TARGET_LISTENS],
                loopback: Some(TARGET_LISTENS),
            },
        ];
        if settings.has_middle_box() {
            hosts.extend(middle_box::open(settings, receiver)?);
        }
        let (proxies, theirs) = Proxies::place(settings, opens)?;
        hosts.extend(theirs);
        let listen_port = match settings.inbound {
            Inbound::Only443 => HTTPS,
            _ => proxies.listen_port(),
        };
        let driver_reached_at = proxies::driver_reached_at(settings);
        let router = Router::start(hosts, settings, seed, cpus)
            .map_err(|e| Error::harness(format!("cannot start the router of the path: {e}")))?;
        let ends = Ends { driver, target, listen_port, driver_reached_at };
        Ok(Path { ends, proxies, router })
    }

    /// Its two ends.
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Starts the proxies, when the target is ready.
    ///
    /// # Errors
    /// One of them does not start.
    pub fn start_proxies(&mut self, settings: &PathSettings, task: &ProxyTask<'_>) -> Result<()> {
        self.proxies.start(settings, task, self.ends.listen_port)
    }

    /// Where the driver connects to reach an address of the target. `http2`: what is spoken there.
    ///
    /// # Errors
    /// Only port 443 is open, and it cannot be made to lead there.
    pub fn resolve(&self, address: &Resolved, http2: bool) -> Result<Resolved> {
        let mut port = address.socket.port();
        let proxy = self.proxies.target_reached_at();
        if self.ends.listen_port == HTTPS {
            if proxy.is_none() {
                middle_box::redirect(&self.ends.target, HTTPS, port)?;
            }
            port = HTTPS;
        }
        let socket = SocketAddr::from((proxy.unwrap_or(TARGET_LISTENS), port));
        Ok(self.proxies.resolved(Resolved { socket, ..address.clone() }, http2))
    }

    /// How connections of the driver are encrypted: a proxy that inspects them has an authority of its own.
    ///
    /// # Errors
    /// Its certificate is not usable.
    pub fn trusted(
        &self,
        tls: Option<ClientTls>,
        endpoint: &Endpoint,
    ) -> Result<Option<ClientTls>> {
        match (tls, self.proxies.ca()) {
            (Some(_), Some(ca)) => ClientTls::new(ca, &endpoint.host, endpoint.scheme, true)
                .map(Some)
                .map_err(|e| Error::target(format!("path.forward_proxy: its authority: {e}"))),
            (tls, _) => Ok(tls),
        }
    }

    /// The measured window of the proxies' CPU begins.
    pub fn measure_proxies(&mut self) {
        self.proxies.measure();
    }

    /// Whether a proxy has ended.
    pub fn has_lost_a_proxy(&mut self) -> bool {
        self.proxies.have_ended()
    }

    /// What would let a transport through that does not get through the proxies, in words. `stream`: it is a WebSocket or
    /// a stream of events.
    pub fn cure(&self, stream: bool) -> Option<String> {
        let (proxy, cure) = self.proxies.cure(stream)?;
        Some(format!("it did not get through {proxy}; {cure} lets it through"))
    }

    /// The measured window is between these instants. Pauses and the new address count from its begin.
    pub fn measure(&self, from: u64, until: u64) {
        self.router.measure(from, until);
    }

    /// Ends the router; what it did.
    pub fn finish(mut self) -> PathRecord {
        let proxies = self.proxies.records();
        PathRecord { proxies, ..self.router.finish() }
    }
}

/// The device of a namespace that leads to the router.
fn device(
    namespace: &Namespace,
    name: &'static str,
    address: Ipv4Addr,
    prefix: u32,
) -> Result<Tun> {
    let open = || -> io::Result<Tun> {
        let _inside = namespace.enter()?;
        Tun::open(name, address, prefix)
    };
    open().map_err(|e| {
        let remedy = match e.kind() {
            io::ErrorKind::NotFound => "the kernel module tun is missing: run `modprobe tun` as root",
            io::ErrorKind::PermissionDenied => {
                "/dev/net/tun may be opened by root only: run as root, or `chmod 0666 /dev/net/tun` as root"
            }
            _ => "run as root, or in a container with CAP_NET_ADMIN and /dev/net/tun",
        };
        Error::harness(format!("[path] needs a TUN device, and there is none: {e}; {remedy}"))
    })
}
