//! The path against referees: ping, the kernel's own figures of a connection, netem, and the round trips that
//! protocols are known to need.

use crate::common::{Bench, figures_agree, turn};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::{Stage, Trial};
use pushbench_core::scenario::PathSettings;
use pushbench_host::cpus;
use pushbench_path::calibration::OPENS;
use pushbench_path::namespace::Namespace;
use pushbench_path::{Path, Side, TARGET_LISTENS};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

const RTT: Duration = Duration::from_millis(20);

/// A path, or none where the machine does not allow one: CI must.
fn path(settings: &PathSettings) -> Option<Path> {
    match Path::open(settings, Side::Far, OPENS, 7, &cpus::allowed()) {
        Ok(path) => Some(path),
        Err(why) => {
            assert!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("skipped: {why}");
            None
        }
    }
}

/// What a command prints in a namespace; `None` where it is not installed.
fn inside(namespace: &Namespace, command: &str) -> Option<String> {
    let _inside = namespace.enter().unwrap();
    let words: Vec<&str> = command.split(' ').collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    match command.output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(e) => {
            assert!(std::env::var_os("CI").is_none(), "{}: {e}", words[0]);
            eprintln!("skipped: {} is not installed", words[0]);
            None
        }
    }
}

/// The shortest and the mean round trip, ms.
fn ping(namespace: &Namespace, address: Ipv4Addr) -> Option<[f64; 2]> {
    let text = inside(namespace, &format!("ping -q -c 20 -i 0.05 {address}"))?;
    let (_, figures) = text.split_once("mdev = ").unwrap_or_else(|| panic!("{text}"));
    let mut figures = figures.split('/').map(|number| number.parse().unwrap());
    Some([figures.next()?, figures.next()?])
}

/// A connection from the driver to the target, both ends.
fn connected(path: &Path) -> [TcpStream; 2] {
    let listener = {
        let _inside = path.ends().target.enter().unwrap();
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
    };
    let port = listener.local_addr().unwrap().port();
    let _inside = path.ends().driver.enter().unwrap();
    let here = TcpStream::connect(SocketAddr::from((TARGET_LISTENS, port))).unwrap();
    here.set_nodelay(true).unwrap();
    [here, listener.accept().unwrap().0]
}

/// A figure of TCP_INFO of the only connection of the driver, by its name; `None` where `ss` is not installed.
fn tcp_info(path: &Path, name: &str) -> Option<String> {
    let text = inside(&path.ends().driver, "ss -tinH state established")?;
    let figure = text.split_whitespace().find_map(|word| word.strip_prefix(name));
    Some(figure.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned())
}

#[test]
fn ping_and_the_kernel_see_the_round_trip_that_was_asked_for() {
    let _turn = turn::measuring();
    let settings = PathSettings { rtt: RTT, ..PathSettings::default() };
    let Some(path) = path(&settings) else { return };
    let asked = RTT.as_secs_f64() * 1e3;
    // It was not calibrated, and the machine may be busy.
    let near = |ms: f64| (asked..asked * 1.2).contains(&ms);
    if let Some([shortest, mean]) = ping(&path.ends().driver, TARGET_LISTENS) {
        assert!(near(shortest) && mean < asked * 2.0, "{shortest} ms, mean {mean} ms");
    }
    let [mut here, mut there] = connected(&path);
    for _ in 0..10 {
        here.write_all(b"x").unwrap();
        there.read_exact(&mut [0]).unwrap();
        there.write_all(b"x").unwrap();
        here.read_exact(&mut [0]).unwrap();
    }
    if let Some(shortest) = tcp_info(&path, "minrtt:") {
        assert!(near(shortest.parse().unwrap()), "minrtt {shortest} ms");
    }
}

#[test]
fn the_kernel_sends_again_what_the_path_has_lost() {
    let settings = PathSettings { rtt: RTT / 10, loss: 0.05, ..PathSettings::default() };
    let Some(path) = path(&settings) else { return };
    let [mut here, mut there] = connected(&path);
    const BYTES: usize = 300_000;
    let reader = std::thread::spawn(move || {
        there.read_exact(&mut vec![0; BYTES]).unwrap();
        there.write_all(b"x").unwrap();
        there
    });
    here.write_all(&vec![0; BYTES]).unwrap();
    here.read_exact(&mut [0]).unwrap();
    let there = reader.join().unwrap();
    // Now, and in all.
    let again = tcp_info(&path, "retrans:")
        .map(|figures| figures.split_once('/').unwrap().1.parse::<u64>().unwrap());
    let record = path.finish();
    drop((here, there));
    assert!(record.sums_are_exact(), "{}", record.counts_text());
    assert!(record.to_target.lost > 0 && record.to_target.retransmitted > 0, "{record:?}");
    if let Some(again) = again {
        assert_eq!(again, record.to_target.retransmitted, "by TCP_INFO, and by the record");
    }
}

#[test]
fn netem_delays_as_the_path_does() {
    let settings = PathSettings { rtt: RTT, ..PathSettings::default() };
    let Some(path) = path(&settings) else { return };
    let theirs = Namespace::new().unwrap();
    inside(&theirs, "tc qdisc add dev lo root netem delay 10ms");
    match inside(&theirs, "tc qdisc show dev lo") {
        Some(shown) if shown.contains("netem") => {}
        _ => return eprintln!("skipped: this kernel has no netem"),
    }
    let [netem, own] = [
        ping(&theirs, Ipv4Addr::LOCALHOST).unwrap()[0],
        ping(&path.ends().driver, TARGET_LISTENS).unwrap()[0],
    ];
    assert!((own / netem - 1.0).abs() < 0.1, "{own} ms, netem {netem} ms");
}

/// TCP connects in one round trip, TLS 1.3 needs another, the upgrade of a WebSocket a third, and the event the last.
#[test]
fn a_cold_webhook_over_tls_needs_three_round_trips_and_a_websocket_four() {
    let rtt = Duration::from_millis(100);
    if path(&PathSettings::default()).is_none() {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    let load = ["--rate", "40", "--connections", "32", "--warmup", "500ms", "--duration", "2s"];
    let set = ["--set", "path.rtt=100ms", "--set", "connections.lifetime=1", "--blocks", "1"];
    let arms = ["--arm", "webhook+tls@builtin", "--arm", "websocket+tls@builtin", "--out", "r"];
    bench.run(&[&["run", "ingest"], &load[..], &set, &arms].concat()).succeeds();
    let records = std::fs::read_to_string(bench.path("r/trials.jsonl")).unwrap();
    let trials: Vec<Trial> = records.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let round_trips = |hist: &Hist| hist.quantile(0.5).unwrap_or(0) as f64 / rtt.as_nanos() as f64;
    for (label, to_connect) in [("webhook+tls@builtin", 2.0), ("websocket+tls@builtin", 3.0)] {
        let mine = |t: &&Trial| t.stage == Stage::Block && t.label == label;
        let account = &trials.iter().find(mine).unwrap().account;
        let handshakes = account.handshakes.as_ref().unwrap();
        let mut tls = handshakes.full_tls.clone();
        tls.merge(&handshakes.resumed_tls);
        for (what, hist, expected) in [
            ("TCP", &handshakes.tcp, 1.0),
            ("TLS", &tls, 1.0),
            ("a connection", &account.connect, to_connect),
            ("an event on it", &account.service, 1.0),
        ] {
            let measured = round_trips(hist);
            assert!(
                (expected * 0.95..expected + 0.3).contains(&measured),
                "{label}: {what} takes {measured} round trips, not {expected}"
            );
        }
    }
    bench.nothing_left();
}

#[test]
fn the_self_test_of_the_path_passes() {
    if path(&PathSettings::default()).is_none() {
        return;
    }
    let _turn = turn::alone();
    let bench = Bench::new();
    figures_agree(&bench, "path", 8);
}
