//! How long a round trip of the path really takes.

use crate::interface::MTU;
use crate::proxies::Opens;
use crate::{Path, Side, TARGET_LISTENS};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::path::{Calibration, PathRecord};
use pushbench_core::scenario::PathSettings;
use pushbench_host::clock;
use pushbench_host::cpus::{self, Placement};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// Time for one series of round trips …
const SERIES: Duration = Duration::from_millis(600);
/// … but so many at least, and at most.
const ROUND_TRIPS: [u128; 2] = [5, 100];
/// Packets of a bulk transfer, and the time without one after which it is over.
const BULK: u64 = 2_000;
const QUIET: Duration = Duration::from_millis(300);
/// A machine that was busy is measured again, so often …
const ATTEMPTS: usize = 3;
/// … if the median is further off than this part of what was asked for.
const ALLOWED: f64 = 0.03;
/// The devices and the router add no more than this to a round trip.
const LARGEST_BIAS: Duration = Duration::from_millis(1);
/// An echo is lost after this and its round trip.
const LOST: Duration = Duration::from_secs(2);

/// Nothing is opened through a proxy.
pub const OPENS: Opens = Opens { driver: false, target: false };

/// Measures the round trip of the bare link, without any delay, and with the one asked for; finds by how much the
/// delays have to be shorter, and measures again. Takes two seconds where a round trip takes
/// 150 ms, and up to three times that on a busy machine.
///
/// # Errors
/// There can be no path here, or nothing gets through.
pub fn calibrate(settings: &PathSettings, placement: &Placement) -> Result<Calibration> {
    let at = |hist: &Hist, q| hist.quantile(q).unwrap_or(0);
    let bare = round_trips(Duration::ZERO, placement)?;
    let (bias, with) = match settings.rtt {
        Duration::ZERO => (Duration::ZERO, bare.clone()),
        asked => {
            let off = |hist: &Hist| at(hist, 0.5).abs_diff(asked.as_nanos() as u64);
            let mut best = shortened(asked, placement)?;
            for _ in 1..ATTEMPTS {
                if off(&best.1) as f64 <= ALLOWED * asked.as_nanos() as f64 {
                    break;
                }
                let again = shortened(asked, placement)?;
                if off(&again.1) < off(&best.1) {
                    best = again;
                }
            }
            best
        }
    };
    Ok(Calibration {
        asked_ns: settings.rtt.as_nanos() as u64,
        bare_ns: at(&bare, 0.5),
        bias_ns: bias.as_nanos() as u64,
        p50_ns: at(&with, 0.5),
        p99_ns: at(&with, 0.99),
    })
}

/// By how much the delays have to be shorter, and the round trips then. What delays three in four is the path; what
/// delays fewer, or by more than a path can, is a machine that is busy.
fn shortened(asked: Duration, placement: &Placement) -> Result<(Duration, Hist)> {
    let takes = round_trips(asked, placement)?.quantile(0.25).unwrap_or(0);
    let bias = Duration::from_nanos(takes).saturating_sub(asked).min(LARGEST_BIAS).min(asked);
    Ok((bias, round_trips(asked - bias, placement)?))
}

/// Round trips of single datagrams over a path with these delays and no other traffic, ns.
fn round_trips(rtt: Duration, placement: &Placement) -> Result<Hist> {
    let path = PathSettings { rtt, ..PathSettings::default() };
    let path = Path::open(&path, Side::Near, OPENS, 0, &placement.driver)?;
    let [least, most] = ROUND_TRIPS;
    let count = (SERIES.as_nanos() / rtt.as_nanos().max(1)).clamp(least, most) as usize;
    let measure = || -> io::Result<Hist> {
        let [here, there] = sockets(&path)?;
        for socket in [&here, &there] {
            socket.set_read_timeout(Some(rtt + LOST))?;
        }
        std::thread::scope(|scope| {
            let echo = scope.spawn(|| {
                cpus::pin(&placement.target);
                echo(&there, count + 1)
            });
            let series = scope.spawn(|| {
                cpus::pin(&placement.driver);
                send(&here, count)
            });
            let panicked = |_| io::Error::other("its thread panicked");
            let hist = series.join().map_err(panicked)?;
            echo.join().map_err(panicked)??;
            hist
        })
    };
    measure().map_err(cannot)
}

fn cannot(e: io::Error) -> Error {
    Error::harness(format!("the path cannot be measured: {e}: please report it"))
}

/// Sockets of the driver and of the target, the one connected to the other.
pub(crate) fn sockets(path: &Path) -> io::Result<[UdpSocket; 2]> {
    let there = {
        let _inside = path.ends().target.enter()?;
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?
    };
    let _inside = path.ends().driver.enter()?;
    let here = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    here.connect(SocketAddr::from((TARGET_LISTENS, there.local_addr()?.port())))?;
    Ok([here, there])
}

/// Sends packets of 1,000 bytes at twice the rate of a path, which has one; the rate at which they arrive, in bits
/// per second, and what the path did.
///
/// # Errors
/// There can be no path here.
pub fn bulk(settings: &PathSettings, cpus: &[usize]) -> Result<(f64, PathRecord)> {
    let path = Path::open(settings, Side::Far, OPENS, 0, cpus)?;
    let gap = 4e12 / settings.rate.unwrap_or(u64::MAX) as f64;
    let measure = || -> io::Result<f64> {
        let [here, there] = sockets(&path)?;
        there.set_read_timeout(Some(QUIET))?;
        let reader = std::thread::spawn(move || received(&there));
        let begun = clock::now();
        for i in 0..BULK {
            // 28 bytes are the headers.
            here.send(&[0; 972])?;
            clock::sleep_until(begun + (i as f64 * gap) as u64);
        }
        Ok(rate(&reader.join().unwrap_or_default()))
    };
    let rate = measure().map_err(cannot)?;
    Ok((rate, path.finish()))
}

/// The rate at which packets of 1,000 bytes arrive, in bits per second: from the median time in which half of them do.
/// What the machine delays here and there does not move it.
fn rate(instants: &[u64]) -> f64 {
    let half = instants.len() / 2;
    let mut times: Vec<u64> =
        instants.iter().skip(half).zip(instants).map(|(b, a)| b - a).collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or(0);
    half as f64 * 8e12 / median.max(1) as f64
}

/// When datagrams arrive, until none does for a while.
pub(crate) fn received(socket: &UdpSocket) -> Vec<u64> {
    let (mut datagram, mut instants) = ([0; MTU], Vec::new());
    while socket.recv(&mut datagram).is_ok() {
        instants.push(clock::now());
    }
    instants
}

fn echo(socket: &UdpSocket, count: usize) -> io::Result<()> {
    let mut datagram = [0; 64];
    for _ in 0..count {
        let (length, from) = socket.recv_from(&mut datagram)?;
        socket.send_to(&datagram[..length], from)?;
    }
    Ok(())
}

/// The first round trip warms up.
fn send(socket: &UdpSocket, count: usize) -> io::Result<Hist> {
    let mut hist = Hist::new();
    let mut datagram = [0; 64];
    for i in 0..=count {
        let sent = clock::now();
        socket.send(&datagram)?;
        socket.recv(&mut datagram)?;
        if i > 0 {
            hist.record(clock::now() - sent);
        }
    }
    Ok(hist)
}
