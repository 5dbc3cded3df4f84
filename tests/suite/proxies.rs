//! The shipped proxies with the real programs. Skipped where one is missing, except in CI, where that is a failure.

mod backend;
mod paths;

use crate::common::targets::host;
use crate::common::{Bench, turn};
use crate::publishers::missing;
use backend::{Backend, POST, UPGRADE, answer, head};
use pushbench_sut::proxy::{self, ProxyKind, ProxyLaunch, RunningProxy};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

const USAGE: i32 = 64;

/// A port of this machine that nobody uses.
fn unused() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A shipped proxy in front of a server, or beside its clients.
fn started(
    name: &str,
    upstream: SocketAddr,
    cutoff: Option<Duration>,
) -> (RunningProxy, SocketAddr) {
    host();
    let (proxy, interrupt) = (proxy::find("path.via", name).unwrap(), AtomicBool::new(false));
    proxy.prepare(&interrupt, &mut |_| {}).unwrap();
    let listen = unused();
    let upstream = (proxy.kind == ProxyKind::Reverse).then_some(upstream);
    let launch = ProxyLaunch {
        proxy: &proxy,
        listen,
        upstream,
        tls: None,
        idle_cutoff: cutoff,
        cpus: &[],
        interrupt: &interrupt,
    };
    (proxy::start(&launch).unwrap(), listen)
}

fn connected(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// The status of a handshake through a proxy.
fn upgraded(proxy: SocketAddr) -> (u16, TcpStream) {
    let mut stream = connected(proxy);
    stream.write_all(UPGRADE).unwrap();
    let status = head(&mut stream)[9..12].parse().unwrap();
    (status, stream)
}

/// Twenty POSTs one after the other, all acknowledged, on as few connections as the proxy leaves open.
fn posted(proxy: SocketAddr) {
    let mut stream = connected(proxy);
    for n in 0..20 {
        stream.write_all(POST).unwrap();
        let answer = answer(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 200"), "{n}: {answer}");
    }
}

fn programs_are_missing() -> bool {
    let nginx: &[&str] = &["/usr/sbin/nginx", "-v"];
    let haproxy: &[&str] = &["/usr/sbin/haproxy", "-v"];
    let squid: &[&str] = &["/usr/sbin/squid", "-v"];
    missing(&[nginx, haproxy, squid], "nginx, haproxy, squid (apt install nginx haproxy squid)")
}

/// FACTS: nginx as installed opens a connection for each request and drops `Upgrade`; the others keep one and pass it.
#[test]
fn upstream_connections_and_upgrades_are_those_of_each_configuration() {
    if programs_are_missing() {
        return;
    }
    let _turn = turn::beside();
    for (name, connections, version, status) in [
        ("nginx", 20, "HTTP/1.0", 200),
        ("nginx-websocket", 1, "HTTP/1.1", 101),
        ("haproxy", 1, "HTTP/1.1", 101),
        ("haproxy-tunnel", 1, "HTTP/1.1", 101),
    ] {
        let backend = Backend::start();
        let (running, listen) = started(name, backend.address, None);
        posted(listen);
        let heads = backend.heads();
        assert_eq!(heads.len(), 20, "{name}");
        assert!(heads.iter().all(|head| head.lines().next().unwrap().ends_with(version)), "{name}");
        assert_eq!(backend.connections(), connections, "{name}");
        let (got, mut stream) = upgraded(listen);
        assert_eq!(got, status, "{name}");
        let asked = backend.heads().pop().unwrap().to_lowercase();
        assert_eq!(asked.contains("upgrade: websocket"), status == 101, "{name}: {asked}");
        if status == 101 {
            stream.write_all(b"frame").unwrap();
            let mut echo = [0; 5];
            stream.read_exact(&mut echo).unwrap();
            assert_eq!(&echo, b"frame", "{name}");
        }
        assert!(!running.pids().is_empty());
        drop(running);
        assert!(TcpStream::connect(listen).is_err(), "{name} still listens");
    }
}

/// One second stands for nginx's sixty: what is silent for that long is cut, and a byte in time keeps it open.
#[test]
fn a_silent_websocket_is_cut_by_nginx_after_its_read_timeout() {
    if programs_are_missing() {
        return;
    }
    let _turn = turn::measuring();
    let (backend, cutoff) = (Backend::start(), Duration::from_secs(1));
    let (_running, listen) = started("nginx-websocket", backend.address, Some(cutoff));
    let (_, mut talking) = upgraded(listen);
    // The last byte on the silent one comes later than this.
    let (began, mut byte) = (Instant::now(), [0]);
    let (_, mut silent) = upgraded(listen);
    let cut = std::thread::spawn(move || (silent.read(&mut [0]).unwrap(), began.elapsed()));
    while began.elapsed() < cutoff * 2 {
        talking.write_all(b"p").unwrap();
        talking.read_exact(&mut byte).unwrap();
        std::thread::sleep(cutoff / 10);
    }
    let (read, after) = cut.join().unwrap();
    assert_eq!(read, 0, "the proxy closes it");
    // nginx's timer counts whole milliseconds.
    assert!(after > cutoff * 9 / 10, "cut after {after:?}");
    talking.write_all(b"p").unwrap();
    talking.read_exact(&mut byte).unwrap();
}

#[test]
fn squid_carries_a_websocket_by_connect_alone() {
    if programs_are_missing() {
        return;
    }
    let _turn = turn::beside();
    let backend = Backend::start();
    let (_running, listen) = started("squid", backend.address, None);
    // In absolute form the request is carried, and its Upgrade is not.
    let mut plain = connected(listen);
    let absolute =
        String::from_utf8_lossy(UPGRADE).replace(" / ", &format!(" http://{}/ ", backend.address));
    plain.write_all(absolute.as_bytes()).unwrap();
    assert!(head(&mut plain).starts_with("HTTP/1.1 200"));
    let mut tunnel = connected(listen);
    write!(tunnel, "CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n", backend.address).unwrap();
    assert!(head(&mut tunnel).starts_with("HTTP/1.1 200"));
    tunnel.write_all(UPGRADE).unwrap();
    assert!(head(&mut tunnel).starts_with("HTTP/1.1 101"));
    let (_running, refusing) = started("squid-no-connect", backend.address, None);
    let mut tunnel = connected(refusing);
    write!(tunnel, "CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n", backend.address).unwrap();
    assert!(head(&mut tunnel).starts_with("HTTP/1.1 403"));
}

#[test]
fn a_proxy_that_cannot_run_is_refused_with_what_to_do() {
    let bench = Bench::new();
    bench.write(
        "pushbench.toml",
        "[proxy.broken]\nkind = \"reverse\"\ncommand = [\"sh\", \"-c\", \"echo no {listen} {upstream} >&2; exit 3\"]\n",
    );
    bench.run(&["check"]).succeeds();
    bench.write("pushbench.toml", "[proxy.mine]\nkind = \"foward\"\ncomand = \"x\"\n");
    bench.run(&["check"]).fails(
        USAGE,
        &[
            "pushbench.toml:2:8: kind: \"foward\" is neither",
            "no key \"comand\" (did you mean \"command\"?)",
        ],
    );
    let listed = bench.run(&["list", "proxies"]);
    listed.fails(USAGE, &["1 mistaken"]);
    assert!(listed.out.contains("nginx-websocket   reverse: "), "{}", listed.out);
    host();
    let no = proxy::find("path.via", "ngnix").unwrap_err().to_string();
    assert!(no.contains("path.via: there is no proxy \"ngnix\" (did you mean \"nginx\"?)"), "{no}");
}
