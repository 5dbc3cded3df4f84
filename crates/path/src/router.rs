//! The router: one thread that moves IP packets between the devices of a path's namespaces.
//!
//! A packet between the near and the far side passes the link, which delays, loses and limits. Where there is a middle
//! box, the link ends at that namespace's near device, and what its kernel forwards is read from its far device and
//! handed over at once, as are packets between hosts of one side.
//!
//! Once every buffer that is needed at the same time has been made, nothing is allocated for a packet.

use crate::interface::{MTU, Tun};
use crate::link::{Admitted, Link, LinkSettings};
use crate::packet::{self, DESTINATION, Flows, SOURCE};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::path::{PacketCounts, PathRecord};
use pushbench_core::scenario::PathSettings;
use pushbench_host::{clock, cpus};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Packets read from one device before what is due is sent.
const BATCH: usize = 16;
/// Packets of one direction that may be on their way at the same time: 98 MB.
const MOST_UNDER_WAY: usize = 65_536;
/// Where a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At the driver's end.
    Near,
    /// At the target's end.
    Far,
    /// Of the middle box, towards the driver's end.
    MiddleNear,
    /// Of the middle box, towards the target's end.
    MiddleFar,
}

/// A namespace as the router knows it.
pub struct Host {
    /// Its device.
    pub tun: Tun,
    /// Where it is.
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
    /// Begin and end of the measured window; 0 while they are not known.
    window: [AtomicU64; 2],
}

impl Router {
    /// Starts it on these CPUs.
    ///
    /// # Errors
    /// A thread or a descriptor cannot be had.
    pub fn start(
        hosts: Vec<Host>,
        settings: &PathSettings,
        seed: u64,
        cpus: &[usize],
    ) -> io::Result<Router> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared =
            Arc::new(Shared { wake, stop: AtomicBool::new(false), window: Default::default() });
        let (cpus, work) = (cpus.to_vec(), Routing::new(hosts, settings, seed));
        let thread_shared = shared.clone();
        let thread = std::thread::Builder::new().name("router".to_owned()).spawn(move || {
            cpus::pin(&cpus);
            cpus::request_short_slice();
            work.run(&thread_shared)
        })?;
        Ok(Router { shared, thread: Some(thread) })
    }

    /// The measured window is between these instants. Pauses and the new address count from its begin.
    pub fn measure(&self, from: u64, until: u64) {
        self.shared.window[1].store(until, Ordering::Relaxed);
        self.shared.window[0].store(from, Ordering::Release);
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

/// Room for a packet: it moves between queues by its address.
type Buffer = Box<[u8; MTU]>;

struct Packet {
    at: u64,
    to: usize,
    length: usize,
    bytes: Buffer,
}

/// One direction of the link.
struct Direction {
    link: Link,
    queue: VecDeque<Packet>,
    counts: PacketCounts,
}

impl Direction {
    fn next_due(&mut self, now: u64) -> Option<Packet> {
        self.queue.front().filter(|packet| packet.at <= now)?;
        self.queue.pop_front()
    }
}

/// How a packet goes on.
enum Way {
    /// Over the link, in that direction, to that host.
    Link(usize, usize),
    /// To that host.
    AtOnce(usize),
}

const TO_TARGET: usize = 0;
const TO_DRIVER: usize = 1;

struct Routing {
    hosts: Vec<Host>,
    /// The devices of the middle box.
    middle: Option<[usize; 2]>,
    directions: [Direction; 2],
    spare: Vec<Buffer>,
    window: Window,
    pause: Option<[u64; 2]>,
    flows: Option<Flows>,
    record: PathRecord,
}

/// The measured window.
#[derive(Default)]
struct Window {
    from: u64,
    until: u64,
    /// CPU of the thread at its begin and its end.
    cpu: [Option<u64>; 2],
}

impl Routing {
    fn new(hosts: Vec<Host>, settings: &PathSettings, seed: u64) -> Routing {
        let link = LinkSettings {
            delay: settings.rtt.as_nanos() as u64 / 2,
            jitter: settings.jitter.as_nanos() as u64,
            loss: settings.loss,
            loss_burst: settings.loss_burst as f64,
            rate: settings.rate,
            queue: settings.queue as u64,
        };
        let direction = |number: u64| Direction {
            link: Link::new(link, seed.wrapping_add(number)),
            queue: VecDeque::new(),
            counts: PacketCounts::default(),
        };
        let of = |side| hosts.iter().position(|host: &Host| host.side == side);
        let pause = [settings.pause_at, settings.pause].map(|length| length.as_nanos() as u64);
        Routing {
            middle: of(Side::MiddleNear).zip(of(Side::MiddleFar)).map(Into::into),
            hosts,
            directions: [direction(0), direction(1)],
            spare: Vec::new(),
            window: Window::default(),
            pause: (pause[1] > 0).then_some(pause),
            flows: settings.new_address_at.map(Flows::cut_after),
            record: PathRecord { lateness: Hist::new(), ..PathRecord::default() },
        }
    }

    fn run(mut self, shared: &Shared) -> PathRecord {
        let devices: Vec<Arc<File>> = self.hosts.iter().map(|host| host.tun.file.clone()).collect();
        let mut polled: Vec<PollFd<'_>> =
            devices.iter().map(|device| PollFd::new(device, PollFlags::IN)).collect();
        polled.push(PollFd::from_borrowed_fd(shared.wake.as_fd(), PollFlags::IN));
        let mut more = false;
        while !shared.stop.load(Ordering::Acquire) {
            let wait = if more { Some(0) } else { self.wait() };
            let wait = wait.map(|left| Timespec {
                tv_sec: (left / 1_000_000_000) as i64,
                tv_nsec: (left % 1_000_000_000) as _,
            });
            let _interrupted = poll(&mut polled, wait.as_ref());
            self.note_window(shared);
            self.send_due();
            more = false;
            for (from, device) in devices.iter().enumerate() {
                if polled[from].revents().contains(PollFlags::IN) {
                    more |= self.read(from, device);
                }
            }
            self.send_due();
        }
        self.finish()
    }

    /// Time until the next packet is due, ns.
    fn wait(&self) -> Option<u64> {
        let next = self.directions.iter().filter_map(|d| d.queue.front()).map(|p| p.at).min();
        next.map(|at| at.saturating_sub(clock::now()))
    }

    /// Keeps the CPU time at the edges of the window. Between an edge and the next packet the thread sleeps.
    fn note_window(&mut self, shared: &Shared) {
        let Window { from, until, cpu } = &mut self.window;
        if *from == 0 {
            *from = shared.window[0].load(Ordering::Acquire);
            if *from == 0 {
                return;
            }
            *until = shared.window[1].load(Ordering::Relaxed);
            if let Some([at, length]) = self.pause {
                self.directions
                    .iter_mut()
                    .for_each(|d| d.link.pause(*from + at, *from + at + length));
            }
            if let Some(flows) = &mut self.flows {
                flows.at = *from + flows.after;
            }
        }
        let now = clock::now();
        for (edge, cpu) in [*from, *until].into_iter().zip(cpu) {
            if now >= edge && cpu.is_none() {
                *cpu = Some(clock::thread_cpu());
            }
        }
    }

    /// Reads packets from a device; true when there may be more.
    fn read(&mut self, from: usize, mut device: &File) -> bool {
        for _ in 0..BATCH {
            let mut bytes = self.spare.pop().unwrap_or_else(|| Box::new([0; MTU]));
            let Ok(length) = device.read(&mut bytes[..]) else {
                self.spare.push(bytes);
                return false;
            };
            let kept = match self.way(from, &mut bytes[..length]) {
                Some(Way::Link(direction, to)) => self.admit(direction, to, bytes, length),
                Some(Way::AtOnce(to)) => {
                    self.record.handed_over += 1;
                    self.hand_over(to, &mut bytes[..length]);
                    Some(bytes)
                }
                None => {
                    self.record.ignored += 1;
                    Some(bytes)
                }
            };
            self.spare.extend(kept);
        }
        true
    }

    /// A packet enters the link; its buffer, if it goes no further.
    fn admit(
        &mut self,
        direction: usize,
        to: usize,
        bytes: Buffer,
        length: usize,
    ) -> Option<Buffer> {
        let now = clock::now();
        let Direction { link, queue, counts } = &mut self.directions[direction];
        counts.entered += 1;
        counts.bytes += length as u64;
        if let Some(flows) = &mut self.flows
            && flows.cuts(now, &bytes[..length], direction == TO_DRIVER)
        {
            counts.cut += 1;
            return Some(bytes);
        }
        match link.admit(now, length) {
            Admitted::At(_) if queue.len() >= MOST_UNDER_WAY => counts.not_taken += 1,
            Admitted::At(at) => {
                queue.push_back(Packet { at, to, length, bytes });
                return None;
            }
            Admitted::Lost => counts.lost += 1,
            Admitted::QueueFull => counts.queue_full += 1,
            Admitted::Paused => counts.cut += 1,
        }
        Some(bytes)
    }

    /// Sends every packet that is due.
    fn send_due(&mut self) {
        for direction in [TO_TARGET, TO_DRIVER] {
            let mut now = clock::now();
            while let Some(mut packet) = self.directions[direction].next_due(now) {
                if (self.window.from..self.window.until).contains(&packet.at) {
                    self.record.lateness.record(now - packet.at);
                }
                let taken = self.hand_over(packet.to, &mut packet.bytes[..packet.length]);
                let counts = &mut self.directions[direction].counts;
                *if taken { &mut counts.delivered } else { &mut counts.not_taken } += 1;
                self.spare.push(packet.bytes);
                now = clock::now();
            }
        }
    }

    /// Writes a packet to the device of a host; false if it does not take it.
    fn hand_over(&self, to: usize, packet: &mut [u8]) -> bool {
        let host = &self.hosts[to];
        if host.loopback == Some(packet::address(packet, DESTINATION)) {
            packet::rewrite(packet, DESTINATION, Ipv4Addr::LOCALHOST);
        }
        (&*host.tun.file).write(packet).is_ok()
    }

    /// How a packet that a device sent goes on; `None` for what is no IPv4, or for nobody.
    fn way(&self, from: usize, packet: &mut [u8]) -> Option<Way> {
        if !packet::is_ipv4(packet) {
            return None;
        }
        let host = &self.hosts[from];
        if packet::address(packet, SOURCE) == Ipv4Addr::LOCALHOST {
            packet::rewrite(packet, SOURCE, host.loopback?);
        }
        let destination = packet::address(packet, DESTINATION);
        let to = self.hosts.iter().position(|host| host.addresses.contains(&destination));
        let side = to.map(|to| self.hosts[to].side);
        match (host.side, self.middle) {
            (Side::Near, _) if side == Some(Side::Near) => to.map(Way::AtOnce),
            (Side::Near, Some([near, _])) => Some(Way::Link(TO_TARGET, near)),
            (Side::Near, None) => to.map(|to| Way::Link(TO_TARGET, to)),
            (Side::Far, _) if side == Some(Side::Far) => to.map(Way::AtOnce),
            (Side::Far, Some([_, far])) => Some(Way::AtOnce(far)),
            (Side::Far | Side::MiddleNear, _) => to.map(|to| Way::Link(TO_DRIVER, to)),
            (Side::MiddleFar, _) => to.map(Way::AtOnce),
        }
    }

    fn finish(mut self) -> PathRecord {
        let Window { from, until, cpu: [begin, end] } = self.window;
        for Direction { queue, counts, .. } in &mut self.directions {
            counts.under_way = queue.len() as u64;
        }
        let end = end.unwrap_or_else(clock::thread_cpu);
        self.record.cpu_ns = end - begin.unwrap_or(end);
        self.record.busy = match until.min(clock::now()).saturating_sub(from) {
            0 => 0.0,
            wall => self.record.cpu_ns as f64 / wall as f64,
        };
        self.record.to_target = self.directions[TO_TARGET].counts;
        self.record.to_driver = self.directions[TO_DRIVER].counts;
        for host in &self.hosts {
            self.record.congestion_control.clone_from(&host.tun.congestion_control);
            let kernel = host.tun.counts();
            self.record.not_read += kernel.dropped;
            self.record.read += kernel.read;
            match host.side {
                Side::Near => self.record.to_target.retransmitted += kernel.retransmitted,
                Side::Far => self.record.to_driver.retransmitted += kernel.retransmitted,
                Side::MiddleNear | Side::MiddleFar => {}
            }
        }
        self.record
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
