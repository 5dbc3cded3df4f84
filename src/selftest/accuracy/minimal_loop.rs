//! A minimal loop that exchanges events with a target: it writes, polls for an answer, reads,
//! and records the time. This is the cost of the machine and the target.

use crate::selftest::accuracy::exact_manifest;
use crate::selftest::{EVENT_BYTES, SelfTestContext};
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::record::histogram::Hist;
use pushbench_core::scenario::Payload;
use pushbench_core::transport::Carrier;
use pushbench_faults::exact_target::AccountFile;
use pushbench_host::clock;
use pushbench_host::cpus;
use pushbench_sut::process::{Launch, start_all, stop_all};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Service times over the floor transport with so many connections, each with one event on its way, on the
/// driver's CPU; `warmup` is not kept.
pub(super) fn service(
    context: &SelfTestContext<'_>,
    connections: usize,
    warmup: Duration,
    measured: Duration,
) -> Result<Hist> {
    let account_file = AccountFile::new()?;
    let manifest = exact_manifest(&account_file, Carrier::Tcp, Duration::ZERO);
    let cpus = &context.placement.target;
    let targets = start_all(&[Launch {
        manifest: &manifest,
        cpus,
        interrupt: context.interrupt,
        driver: None,
    }])?;
    let address = targets[0].address().socket;
    let cpu = context.placement.driver[..1].to_vec();
    let exchange = std::thread::spawn(move || {
        cpus::pin(&cpu);
        exchange(address, connections, warmup, measured)
    });
    let joined = exchange.join();
    stop_all(targets);
    joined
        .map_err(|_| Error::harness("the minimal loop panicked: please report it"))?
        .map_err(|e| Error::harness(format!("the minimal loop failed: {e}")))
}

struct Peer {
    stream: TcpStream,
    sent: u64,
    /// Bytes of its answer that are still to come.
    left: usize,
}

fn exchange(
    address: SocketAddr,
    connections: usize,
    warmup: Duration,
    measured: Duration,
) -> io::Result<Hist> {
    let event = Template::new(&Payload::Bytes(EVENT_BYTES)).render(0);
    let message = [&(event.len() as u32).to_be_bytes()[..], &event].concat();
    let answer = 4 + pushbench_core::event::acknowledgement(&format!("{:016x}", 0)).len();
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut peers = Vec::new();
    for number in 0..connections {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&epoll, &stream, EventData::new_u64(number as u64), EventFlags::IN)?;
        peers.push(Peer { stream, sent: 0, left: answer });
    }
    let from = clock::now() + warmup.as_nanos() as u64;
    let until = from + measured.as_nanos() as u64;
    for peer in &mut peers {
        peer.sent = clock::now();
        peer.stream.write_all(&message)?;
    }
    let (mut hist, mut ready) = (Hist::new(), Vec::with_capacity(connections));
    let at_once = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    while clock::now() < until {
        ready.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut ready), Some(&at_once))?;
        for event in &ready {
            let peer = &mut peers[event.data.u64() as usize];
            let mut bytes = [0; 256];
            match peer.stream.read(&mut bytes[..peer.left]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => peer.left -= n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
                Err(e) => return Err(e),
            }
            if peer.left > 0 {
                continue;
            }
            let done = clock::now();
            if peer.sent >= from {
                hist.record(done - peer.sent);
            }
            (peer.sent, peer.left) = (clock::now(), answer);
            peer.stream.write_all(&message)?;
        }
    }
    Ok(hist)
}
