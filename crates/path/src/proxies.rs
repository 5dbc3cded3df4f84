//! The proxies of a path: each is in a namespace of its own behind the router.

use crate::interface::Tun;
use crate::namespace::Namespace;
use crate::router::{Host, Side};
use crate::{DRIVER, NAME, TARGET_LISTENS, device};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::path::ProxyRecord;
use pushbench_core::scenario::{KeyKind, PathSettings};
use pushbench_core::wording::FORWARD_PROXY;
use pushbench_host::usage;
use pushbench_sut::proxy::{self, Proxy, ProxyLaunch, RunningProxy};
use pushbench_wire::endpoint::Resolved;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicBool;

/// The first reverse proxy in front of the driver's listener; others follow.
const BEFORE_DRIVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
/// The first reverse proxy in front of the target; others follow.
const BEFORE_TARGET: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 3);
/// The forward proxy of the driver.
const OF_DRIVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The forward proxy of the target.
const OF_TARGET: Ipv4Addr = Ipv4Addr::new(10, 128, 1, 2);
/// Where forward proxies listen.
const FORWARD_PORT: u16 = 3128;
/// Where the driver listens behind a proxy, which must know it before.
const LISTEN_PORT: u16 = 8080;

/// Which ends open connections that cross the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opens {
    /// The driver, for events and subscriptions.
    pub driver: bool,
    /// The target, for deliveries and callbacks by webhook.
    pub target: bool,
}

/// What proxies are started for.
pub struct ProxyTask<'a> {
    /// The port of the target that is connected to.
    pub target_port: u16,
    /// The port at which the driver listens, where the target was told it at its start; otherwise 0.
    pub driver_port: u16,
    /// The key of the run's certificate, where the target, and where the driver's listener speaks TLS.
    pub tls: [Option<KeyKind>; 2],
    /// CPUs of the proxies.
    pub cpus: &'a [usize],
    /// Set when the user wants to stop.
    pub interrupt: &'a AtomicBool,
}

/// A proxy's place.
struct Station {
    proxy: Proxy,
    namespace: Namespace,
    address: Ipv4Addr,
}

/// The proxies of one trial.
pub(super) struct Proxies {
    before_target: Vec<Station>,
    before_driver: Vec<Station>,
    of_driver: Option<Station>,
    of_target: Option<Station>,
    running: Vec<RunningProxy>,
    /// CPU of each when the measured window began, ns.
    before: Vec<u64>,
    ended: Vec<Option<String>>,
}

/// Where the target reaches the driver's listener.
pub fn driver_reached_at(settings: &PathSettings) -> Ipv4Addr {
    if settings.via.is_empty() { DRIVER } else { BEFORE_DRIVER }
}

/// The forward proxy of a target that opens connections, as programs are told it in their environment.
pub fn environment(settings: &PathSettings) -> Vec<(String, String)> {
    let url = settings.forward_proxy.as_ref().map(|_| format!("http://{OF_TARGET}:{FORWARD_PORT}"));
    // A user's own http_proxy is not meant for the built-in servers.
    let names = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", FORWARD_PROXY];
    url.into_iter().flat_map(|url| names.map(|name| (name.to_owned(), url.clone()))).collect()
}

impl Proxies {
    /// Makes their namespaces and the devices that lead to the router.
    pub fn place(settings: &PathSettings, opens: Opens) -> Result<(Proxies, Vec<Host>)> {
        let mut hosts = Vec::new();
        let mut station = |key, name: &str, side, address| -> Result<Station> {
            let proxy = proxy::find(key, name)?;
            let namespace = Namespace::new()?;
            let tun: Tun = device(&namespace, NAME, address, 8)?;
            hosts.push(Host { tun, side, addresses: vec![address], loopback: None });
            Ok(Station { proxy, namespace, address })
        };
        let mut chain = |wanted: bool, first: Ipv4Addr, side| -> Result<Vec<Station>> {
            let names = settings.via.iter().filter(|_| wanted).zip(u32::from(first)..);
            let place =
                |(name, address): (&String, u32)| station("path.via", name, side, address.into());
            names.map(place).collect()
        };
        let before_target = chain(opens.driver, BEFORE_TARGET, Side::Far)?;
        let before_driver = chain(opens.target, BEFORE_DRIVER, Side::Near)?;
        let mut forward = |wanted: bool, address, side| {
            let name = settings.forward_proxy.as_ref().filter(|_| wanted);
            let place = |name: &String| station("path.forward_proxy", name, side, address);
            name.map(place).transpose()
        };
        let of_driver = forward(opens.driver, OF_DRIVER, Side::Near)?;
        let of_target = forward(opens.target, OF_TARGET, Side::Far)?;
        let (running, before, ended) = (Vec::new(), Vec::new(), Vec::new());
        let proxies =
            Proxies { before_target, before_driver, of_driver, of_target, running, before, ended };
        Ok((proxies, hosts))
    }

    /// The port at which the driver listens, where proxies must know it.
    pub fn listen_port(&self) -> u16 {
        if self.before_driver.is_empty() { 0 } else { LISTEN_PORT }
    }

    /// Starts each behind the next one of its chain. `listen_port`: the only port that a firewall lets through, or 0.
    pub fn start(
        &mut self,
        settings: &PathSettings,
        task: &ProxyTask<'_>,
        listen_port: u16,
    ) -> Result<()> {
        let driver_port = [task.driver_port, listen_port].into_iter().find(|port| *port != 0);
        let driver_port = driver_port.unwrap_or(LISTEN_PORT);
        let open = if listen_port == 443 { listen_port } else { task.target_port };
        let chains = [
            (&self.before_target, (TARGET_LISTENS, task.target_port), open, task.tls[0]),
            (&self.before_driver, (DRIVER, driver_port), driver_port, task.tls[1]),
        ];
        let mut running = Vec::new();
        let mut start = |station: &Station, port, upstream, tls| -> Result<SocketAddr> {
            let listen = SocketAddr::from((station.address, port));
            let (cpus, interrupt) = (task.cpus, task.interrupt);
            let idle_cutoff = settings.idle_cutoff.filter(|_| station.proxy.cutoff_can_be_set());
            let launch = ProxyLaunch {
                proxy: &station.proxy,
                listen,
                upstream,
                tls,
                idle_cutoff,
                cpus,
                interrupt,
            };
            let inside = station.namespace.enter();
            let _inside = inside.map_err(|e| {
                Error::harness(format!("cannot enter the network namespace of a proxy: {e}"))
            })?;
            running.push(proxy::start(&launch)?);
            Ok(listen)
        };
        for (chain, behind, port, tls) in chains {
            // The last one is next to the server.
            let mut upstream = SocketAddr::from(behind);
            for station in chain.iter().rev() {
                upstream = start(station, port, Some(upstream), tls)?;
            }
        }
        for station in self.of_driver.iter().chain(&self.of_target) {
            start(station, FORWARD_PORT, None, None)?;
        }
        self.ended = vec![None; running.len()];
        self.running = running;
        Ok(())
    }

    /// The host at which the driver reaches the target, if that is a proxy.
    pub fn target_reached_at(&self) -> Option<Ipv4Addr> {
        self.before_target.first().map(|station| station.address)
    }

    /// An address of the target as the driver connects to it.
    pub fn resolved(&self, address: Resolved, http2: bool) -> Resolved {
        match &self.of_driver {
            Some(proxy) => address.through((proxy.address, FORWARD_PORT).into(), http2),
            None => address,
        }
    }

    /// The authority that the driver must trust, where a proxy encrypts its connections anew.
    pub fn ca(&self) -> Option<&str> {
        let of_driver = self.of_driver.as_ref()?;
        self.running.iter().find(|running| running.name() == of_driver.proxy.name)?.ca()
    }

    /// The measured window begins.
    pub fn measure(&mut self) {
        self.before = self.running.iter().map(|proxy| usage::tree_cpu(&proxy.pids())).collect();
    }

    /// Whether one of them has ended.
    pub fn have_ended(&mut self) -> bool {
        for (proxy, ended) in self.running.iter_mut().zip(&mut self.ended) {
            if ended.is_none() {
                *ended = proxy.exited();
            }
        }
        self.ended.iter().any(Option::is_some)
    }

    /// What each has spent since the measured window began.
    pub fn records(&mut self) -> Vec<ProxyRecord> {
        let before = self.before.iter().copied().chain(std::iter::repeat(0));
        let ended = self.ended.iter_mut().map(Option::take);
        let record = |((proxy, before), ended): ((&RunningProxy, u64), Option<String>)| {
            let cpu_ns = usage::tree_cpu(&proxy.pids()).saturating_sub(before);
            ProxyRecord { name: proxy.name().to_owned(), cpu_ns, ended }
        };
        self.running.iter().zip(before).zip(ended).map(record).collect()
    }

    /// The first proxy that a configuration exists for with which more gets through, and its name. Reverse proxies
    /// differ in what they do with a WebSocket or a stream of events.
    pub fn cure(&self, stream: bool) -> Option<(&str, &str)> {
        let reverse = self.before_target.iter().filter(|_| stream);
        let mut all = reverse.chain(&self.of_driver).chain(&self.of_target);
        all.find_map(|s| Some((s.proxy.name.as_str(), s.proxy.cure.as_deref()?)))
    }
}
