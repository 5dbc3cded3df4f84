//! The router: one thread that moves IP packets between the devices of a path's namespaces.
//!
//! A packet from a near host to a far one passes the link, which delays, loses and limits. Then, where there is a
//! middle box, it is written to that namespace's near device, and what its kernel forwards is read from its far device.
//! Packets between hosts of one side are handed over at once.

use crate::interface::{MTU, Tun};
use pushbench_core::record::path::{PacketCounts, PathRecord};
use pushbench_core::scenario::PathSettings;
use pushbench_host::{clock, cpus};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Where a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At the driver's end.
    Near,
    /// At the target's end.
    Far,
}

/// A namespace as the router knows it.
pub struct Host {
    /// Its device.
    pub tun: Tun,
    /// Where it stands.
    pub side: Side,
    /// Packets to these addresses are for it.
    pub addresses: Vec<Ipv4Addr>,
    /// The one of them that stands for 127.0.0.1 there.
    pub loopback: Option<Ipv4Addr>,
}

/// A running router.
pub struct Router {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<PathRecord>>,
}

struct Shared {
    wake: OwnedFd,
    stop: AtomicBool,
    measure_from: AtomicU64,
}

impl Router {
    /// Starts it on these CPUs.
    ///
    /// # Errors
    /// A thread or a descriptor cannot be had.
    pub fn start(
        hosts: Vec<Host>,
        settings: &PathSettings,
        _seed: u64,
        cpus: &[usize],
    ) -> io::Result<Router> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (stop, measure_from) = (AtomicBool::new(false), AtomicU64::new(0));
        let shared = Arc::new(Shared { wake, stop, measure_from });
        let (cpus, delay) = (cpus.to_vec(), settings.rtt.as_nanos() as u64 / 2);
        let work = shared.clone();
        let thread = std::thread::Builder::new().name("router".to_owned()).spawn(move || {
            cpus::pin(&cpus);
            run(hosts, delay, &work)
        })?;
        Ok(Router { shared, thread: Some(thread) })
    }

    /// The measured window begins at this instant.
    pub fn measure_from(&self, instant: u64) {
        self.shared.measure_from.store(instant, Ordering::Release);
    }

    /// Ends it; what it did.
    pub fn finish(mut self) -> PathRecord {
        self.end().unwrap_or_default()
    }

    fn end(&mut self) -> Option<PathRecord> {
        self.shared.stop.store(true, Ordering::Release);
        let _its_buffer_is_never_full = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
        self.thread.take()?.join().ok()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.end();
    }
}

struct Packet {
    due: u64,
    to: usize,
    bytes: Vec<u8>,
}

fn run(mut hosts: Vec<Host>, delay: u64, shared: &Shared) -> PathRecord {
    let mut counts = [PacketCounts::default(); 2];
    let mut queues = [VecDeque::<Packet>::new(), VecDeque::new()];
    let mut spare: Vec<Vec<u8>> = Vec::new();
    while !shared.stop.load(Ordering::Acquire) {
        let next = queues.iter().filter_map(|q| q.front()).map(|p| p.due).min();
        let wait = next.map(|due| {
            let left = due.saturating_sub(clock::now());
            Timespec { tv_sec: (left / 1_000_000_000) as i64, tv_nsec: (left % 1_000_000_000) as _ }
        });
        {
            let mut polled: Vec<PollFd<'_>> =
                hosts.iter().map(|h| PollFd::new(&h.tun.0, PollFlags::IN)).collect();
            polled.push(PollFd::from_borrowed_fd(shared.wake.as_fd(), PollFlags::IN));
            let _interrupted = poll(&mut polled, wait.as_ref());
        }
        for from in 0..hosts.len() {
            loop {
                let mut bytes = spare.pop().unwrap_or_default();
                bytes.resize(MTU, 0);
                let Ok(length) = hosts[from].tun.0.read(&mut bytes) else {
                    spare.push(bytes);
                    break;
                };
                bytes.truncate(length);
                let side = hosts[from].side;
                let Some(to) = prepare(&hosts, from, &mut bytes) else {
                    spare.push(bytes);
                    continue;
                };
                let direction = usize::from(side == Side::Far);
                counts[direction].entered += 1;
                counts[direction].bytes += length as u64;
                queues[direction].push_back(Packet { due: clock::now() + delay, to, bytes });
            }
        }
        let now = clock::now();
        for (queue, counts) in queues.iter_mut().zip(&mut counts) {
            while let Some(packet) = queue.pop_front_if(|packet| packet.due <= now) {
                let _a_full_device_drops = hosts[packet.to].tun.0.write(&packet.bytes);
                counts.delivered += 1;
                spare.push(packet.bytes);
            }
        }
    }
    for (queue, counts) in queues.iter().zip(&mut counts) {
        counts.under_way = queue.len() as u64;
    }
    let [to_target, to_driver] = counts;
    PathRecord { to_target, to_driver, router_cpu_ns: clock::thread_cpu() }
}

const SOURCE: usize = 12;
const DESTINATION: usize = 16;

/// The host that a packet is for, its addresses rewritten where one stands for 127.0.0.1; `None` for what is no IPv4,
/// or for nobody.
fn prepare(hosts: &[Host], from: usize, packet: &mut [u8]) -> Option<usize> {
    if packet.len() < 20 || packet[0] >> 4 != 4 {
        return None;
    }
    if address(packet, SOURCE) == Ipv4Addr::LOCALHOST {
        rewrite(packet, SOURCE, hosts[from].loopback?);
    }
    let destination = address(packet, DESTINATION);
    let to = hosts.iter().position(|host| host.addresses.contains(&destination))?;
    if hosts[to].loopback == Some(destination) {
        rewrite(packet, DESTINATION, Ipv4Addr::LOCALHOST);
    }
    Some(to)
}

fn address(packet: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3])
}

/// Changes an address, and the checksums that cover it (RFC 1624).
fn rewrite(packet: &mut [u8], at: usize, to: Ipv4Addr) {
    let header = usize::from(packet[0] & 15) * 4;
    let (old, new) = (address(packet, at).octets(), to.octets());
    let transport = match packet[9] {
        6 => Some(header + 16),
        17 => Some(header + 6),
        _ => None,
    };
    // Only the first fragment has the header of its transport.
    let first = u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff == 0;
    for checksum in [Some(10), transport.filter(|_| first)].into_iter().flatten() {
        let Some(field) = packet.get(checksum..checksum + 2) else { continue };
        let before = u16::from_be_bytes([field[0], field[1]]);
        // A UDP datagram without one keeps none.
        if before == 0 && packet[9] == 17 && checksum != 10 {
            continue;
        }
        let words = |octets: [u8; 4]| {
            [u16::from_be_bytes([octets[0], octets[1]]), u16::from_be_bytes([octets[2], octets[3]])]
        };
        let mut sum = u32::from(!before);
        for (old, new) in words(old).into_iter().zip(words(new)) {
            sum += u32::from(!old) + u32::from(new);
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        packet[checksum..checksum + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    }
    packet[at..at + 4].copy_from_slice(&new);
}
