use super::*;
use crate::calibration::{self, OPENS, received};
use crate::{DRIVER, Path, TARGET, TARGET_LISTENS};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const MS: u64 = 1_000_000;
const PROXY: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 3);
const FORWARD_PROXY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const MIDDLE_NEAR: Ipv4Addr = Ipv4Addr::new(10, 63, 255, 254);
const MIDDLE_FAR: Ipv4Addr = Ipv4Addr::new(10, 191, 255, 254);

fn settings() -> PathSettings {
    PathSettings::default()
}

/// A path, or none where the machine does not allow one and no CI must.
fn path(settings: &PathSettings) -> Option<Path> {
    match Path::open(settings, Side::Far, OPENS, 7, &cpus::allowed()) {
        Ok(path) => Some(path),
        Err(e) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {e}");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

fn sockets(path: &Path) -> [UdpSocket; 2] {
    let [here, there] = calibration::sockets(path).unwrap();
    there.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    [here, there]
}

/// The sums are exact, and the kernels count as the router does.
fn counted_once(record: &PathRecord) {
    assert!(record.sums_are_exact() && record.not_read == 0, "{}", record.counts_text());
}

#[test]
fn every_datagram_has_one_outcome_and_losses_are_those_of_the_settings() {
    let lossy = PathSettings { loss: 0.1, rtt: Duration::from_millis(4), ..settings() };
    let Some(path) = path(&lossy) else { return };
    let [here, there] = sockets(&path);
    let reader = std::thread::spawn(move || received(&there).len() as u64);
    const SENT: u64 = 4_000;
    for _ in 0..SENT {
        here.send(&[0; 100]).unwrap();
        // The receiver's buffer is not to overflow.
        std::thread::sleep(Duration::from_micros(20));
    }
    let received = reader.join().unwrap();
    let record = path.finish();
    counted_once(&record);
    let there = record.to_target;
    assert_eq!((there.entered, there.delivered), (SENT, received));
    assert_eq!(there.bytes, SENT * 128);
    let deviation = (SENT as f64 * 0.1 * 0.9).sqrt();
    assert!((there.lost as f64 - 400.0).abs() < 4.0 * deviation, "{there:?}");
}

#[test]
fn a_rate_with_its_queue_lets_through_what_it_should() {
    let narrow = PathSettings { rate: Some(10_000_000), queue: 20_000, ..settings() };
    if path(&narrow).is_none() {
        return;
    }
    let (rate, record) = calibration::bulk(&narrow, &cpus::allowed()).unwrap();
    counted_once(&record);
    assert!(record.to_target.queue_full > 800, "{record:?}");
    assert!((rate / 1e7 - 1.0).abs() < 0.02, "{rate} bits per second");
}

#[test]
fn a_pause_cuts_what_enters_and_a_new_address_only_connections_of_before() {
    let length = Duration::from_millis(100);
    let paused = PathSettings {
        pause_at: Duration::from_millis(50),
        pause: length,
        new_address_at: Some(Duration::from_millis(200)),
        ..settings()
    };
    let Some(path) = path(&paused) else { return };
    let [here, there] = sockets(&path);
    let target = {
        let _inside = path.ends().target.enter().unwrap();
        std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
    };
    let address = SocketAddr::from((TARGET_LISTENS, target.local_addr().unwrap().port()));
    let connect = || {
        let _inside = path.ends().driver.enter().unwrap();
        let stream = std::net::TcpStream::connect(address).unwrap();
        let (accepted, _) = target.accept().unwrap();
        accepted.set_read_timeout(Some(length)).unwrap();
        (stream, accepted)
    };
    let arrives = |(stream, accepted): &mut (std::net::TcpStream, std::net::TcpStream)| {
        stream.write_all(b"x").unwrap();
        accepted.read(&mut [0]).is_ok()
    };
    let mut before = connect();
    assert!(arrives(&mut before));
    let begin = clock::now() + 10 * MS;
    path.measure(begin, begin + 1_000 * MS);
    let reader = std::thread::spawn(move || received(&there).len() as u64);
    for i in 0..200 {
        clock::sleep_until(begin + i * MS + MS / 2);
        here.send(b"x").unwrap();
    }
    clock::sleep_until(begin + 205 * MS);
    assert!(!arrives(&mut before));
    assert!(arrives(&mut connect()));
    let delivered = reader.join().unwrap();
    let record = path.finish();
    counted_once(&record);
    // Of 200 a hundred, beside those that were late.
    assert!((95..=105).contains(&delivered), "{delivered}");
    assert!(record.to_target.cut > 200 - delivered, "{record:?}");
    assert!(record.to_target.retransmitted > 0, "{record:?}");
}

/// An empty UDP datagram between two addresses.
fn datagram(from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0; 28];
    packet[0] = 0x45;
    packet[9] = 17;
    packet[SOURCE..SOURCE + 4].copy_from_slice(&from.octets());
    packet[DESTINATION..].copy_from_slice(&[&to.octets()[..], &[0; 8]].concat());
    packet
}

#[test]
fn packets_go_over_the_link_through_the_middle_box_and_to_their_host() {
    let host = |side, addresses: &[Ipv4Addr]| Host {
        tun: Tun::null(),
        side,
        addresses: addresses.to_vec(),
        loopback: addresses.contains(&TARGET_LISTENS).then_some(TARGET_LISTENS),
    };
    let hosts = || {
        vec![
            host(Side::Near, &[DRIVER]),
            host(Side::Far, &[TARGET, TARGET_LISTENS]),
            host(Side::Far, &[PROXY]),
            host(Side::Near, &[FORWARD_PROXY]),
        ]
    };
    let [driver, target, proxy, forward, near, far] = [0, 1, 2, 3, 4, 5];
    let way = |routing: &Routing, from, source, destination| match routing
        .way(from, &mut datagram(source, destination))
    {
        Some(Way::Link(direction, to)) => Some((Some(direction), to)),
        Some(Way::AtOnce(to)) => Some((None, to)),
        None => None,
    };
    let open = Routing::new(hosts(), &settings(), 1);
    let (there, back) = (Some(TO_TARGET), Some(TO_DRIVER));
    assert_eq!(way(&open, driver, DRIVER, TARGET_LISTENS), Some((there, target)));
    assert_eq!(way(&open, driver, DRIVER, PROXY), Some((there, proxy)));
    assert_eq!(way(&open, driver, DRIVER, FORWARD_PROXY), Some((None, forward)));
    assert_eq!(way(&open, proxy, PROXY, TARGET_LISTENS), Some((None, target)));
    assert_eq!(way(&open, target, Ipv4Addr::LOCALHOST, DRIVER), Some((back, driver)));
    assert_eq!(way(&open, driver, DRIVER, Ipv4Addr::new(10, 9, 9, 9)), None);
    let mut hosts = hosts();
    hosts.extend([host(Side::MiddleNear, &[MIDDLE_NEAR]), host(Side::MiddleFar, &[MIDDLE_FAR])]);
    let boxed = Routing::new(hosts, &settings(), 1);
    assert_eq!(way(&boxed, driver, DRIVER, TARGET_LISTENS), Some((there, near)));
    assert_eq!(way(&boxed, driver, DRIVER, FORWARD_PROXY), Some((None, forward)));
    assert_eq!(way(&boxed, far, DRIVER, TARGET_LISTENS), Some((None, target)));
    assert_eq!(way(&boxed, far, MIDDLE_FAR, PROXY), Some((None, proxy)));
    assert_eq!(way(&boxed, target, Ipv4Addr::LOCALHOST, MIDDLE_FAR), Some((None, far)));
    assert_eq!(way(&boxed, target, Ipv4Addr::LOCALHOST, DRIVER), Some((None, far)));
    assert_eq!(way(&boxed, target, TARGET, PROXY), Some((None, proxy)));
    assert_eq!(way(&boxed, near, TARGET_LISTENS, DRIVER), Some((back, driver)));
}
