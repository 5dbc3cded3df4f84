use super::*;
use crate::{DRIVER, Path, TARGET_LISTENS};
use pushbench_wire::endpoint::{Endpoint, Resolved};
use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

const FORWARD: &str = "table ip pushbench {\n\tchain forward {\n\t\ttype filter hook forward priority 0; policy accept;\n\t\tct state invalid drop\n";
/// Longer than anything takes that is not dropped.
const WAIT: Duration = Duration::from_millis(700);

fn nat(nat: Nat) -> PathSettings {
    PathSettings { nat, ..PathSettings::default() }
}

fn inbound(inbound: Inbound) -> PathSettings {
    PathSettings { inbound, ..PathSettings::default() }
}

#[test]
fn rules_say_what_the_settings_say() {
    let masquerade = |out| {
        format!(
            "\tchain postrouting {{\n\t\ttype nat hook postrouting priority 100; policy accept;\n\t\toifname \"{out}\" masquerade\n\t}}\n"
        )
    };
    let drop = |from| format!("\t\tiifname \"{from}\" ct state new drop\n");
    let reject = "\t\tiifname \"near\" meta l4proto tcp ct state new reject with tcp reset\n";
    let only = "\t\ttcp dport != 443 ct state new drop\n";
    for (settings, receiver, rules, translation) in [
        (PathSettings::default(), Side::Near, String::new(), String::new()),
        (nat(Nat::Receiver), Side::Near, drop(FAR), masquerade(FAR)),
        (nat(Nat::Receiver), Side::Far, drop(NEAR), masquerade(NEAR)),
        (nat(Nat::Sender), Side::Near, drop(NEAR), masquerade(NEAR)),
        (inbound(Inbound::Drop), Side::Near, drop(FAR), String::new()),
        (inbound(Inbound::Reject), Side::Far, reject.into(), String::new()),
        (inbound(Inbound::Only443), Side::Far, only.into(), String::new()),
    ] {
        let wanted = format!("{FORWARD}{rules}\t}}\n{translation}}}\n");
        assert_eq!(ruleset(&settings, receiver), wanted);
    }
}

/// A path, or none where the machine does not allow one and no CI must.
fn path(settings: &PathSettings, receiver: Side) -> Option<Path> {
    match available().and_then(|()| {
        Path::open(
            settings,
            receiver,
            crate::calibration::OPENS,
            7,
            &pushbench_host::cpus::allowed(),
        )
        .map_err(|e| e.to_string())
    }) {
        Ok(path) => Some(path),
        Err(e) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {e}");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

fn listen(namespace: &Namespace, address: impl Into<IpAddr>, port: u16) -> TcpListener {
    let _inside = namespace.enter().unwrap();
    TcpListener::bind((address.into(), port)).unwrap()
}

fn connect(namespace: &Namespace, address: impl Into<IpAddr>, port: u16) -> io::Result<TcpStream> {
    let _inside = namespace.enter().unwrap();
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address.into(), port), WAIT)?;
    stream.set_read_timeout(Some(WAIT))?;
    Ok(stream)
}

/// How a connection from the target to the driver ends, and one from the driver to the target; the latter's address
/// at the target.
fn attempts(path: &Path) -> (Option<ErrorKind>, Option<ErrorKind>, Option<IpAddr>) {
    let ends = path.ends();
    let there = listen(&ends.target, Ipv4Addr::LOCALHOST, 0);
    let here = listen(&ends.driver, DRIVER, 0);
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let inwards = connect(&ends.driver, TARGET_LISTENS, port(&there));
    let peer = inwards.is_ok().then(|| there.accept().unwrap().1.ip());
    let outwards = connect(&ends.target, DRIVER, port(&here));
    let kind = |ended: io::Result<TcpStream>| ended.err().map(|e| e.kind());
    (kind(outwards), kind(inwards), peer)
}

#[test]
fn who_is_behind_a_nat_connects_and_cannot_be_reached() {
    let Some(open) = path(&nat(Nat::Receiver), Side::Near) else { return };
    let translated = Some(FAR_ADDRESS.0.into());
    assert_eq!(attempts(&open), (Some(ErrorKind::TimedOut), None, translated));
    let Some(open) = path(&nat(Nat::Sender), Side::Near) else { return };
    assert_eq!(attempts(&open), (None, Some(ErrorKind::TimedOut), None));
}

#[test]
fn what_a_firewall_drops_times_out_and_what_it_rejects_is_refused() {
    let peer = Some(DRIVER.into());
    let refused = Some(ErrorKind::ConnectionRefused);
    let Some(open) = path(&inbound(Inbound::Drop), Side::Near) else { return };
    assert_eq!(attempts(&open), (Some(ErrorKind::TimedOut), None, peer));
    let Some(open) = path(&inbound(Inbound::Reject), Side::Near) else { return };
    assert_eq!(attempts(&open), (refused, None, peer));
    let Some(open) = path(&inbound(Inbound::Reject), Side::Far) else { return };
    assert_eq!(attempts(&open), (None, refused, None));
}

#[test]
fn where_only_port_443_is_open_it_leads_to_the_target_and_to_the_driver() {
    let Some(open) = path(&inbound(Inbound::Only443), Side::Near) else { return };
    assert_eq!(attempts(&open), (Some(ErrorKind::TimedOut), Some(ErrorKind::TimedOut), None));
    let ends = open.ends();
    let there = listen(&ends.target, Ipv4Addr::LOCALHOST, 0);
    let socket = there.local_addr().unwrap();
    let endpoint = Endpoint::parse(&format!("http://{socket}/")).unwrap();
    let resolved = open.resolve(&Resolved::new(endpoint, socket), false).unwrap();
    assert_eq!(resolved.socket.port(), 443);
    let mut stream = connect(&ends.driver, resolved.socket.ip(), 443).unwrap();
    there.accept().unwrap().0.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    let here = listen(&ends.driver, DRIVER, ends.listen_port);
    connect(&ends.target, DRIVER, here.local_addr().unwrap().port()).unwrap();
}

#[test]
fn an_idle_connection_is_forgotten_and_neither_end_is_told() {
    let cutoff = Duration::from_secs(1);
    let settings = PathSettings { idle_cutoff: Some(cutoff), ..PathSettings::default() };
    let Some(open) = path(&settings, Side::Near) else { return };
    let ends = open.ends();
    let listener = listen(&ends.target, Ipv4Addr::LOCALHOST, 0);
    let mut here =
        connect(&ends.driver, TARGET_LISTENS, listener.local_addr().unwrap().port()).unwrap();
    let mut there = listener.accept().unwrap().0;
    there.set_read_timeout(Some(WAIT)).unwrap();
    // Kept alive by what is sent more often, for longer than the cut-off.
    for _ in 0..4 {
        let idle = Instant::now();
        std::thread::sleep(cutoff / 2);
        there.write_all(b"x").unwrap();
        let arrived = here.read_exact(&mut [0]);
        // The machine may have stalled.
        assert!(arrived.is_ok() || idle.elapsed() > cutoff, "{arrived:?}");
    }
    std::thread::sleep(cutoff + cutoff / 4);
    let silent = |stream: &mut TcpStream| {
        stream.write_all(b"x").unwrap();
        let came = stream.read(&mut [0]).map_err(|e| e.kind());
        came == Err(ErrorKind::WouldBlock) && stream.take_error().unwrap().is_none()
    };
    assert!(silent(&mut there) && silent(&mut here), "dead, and nobody was told");
    // A new connection passes.
    let mut again = connect(&ends.driver, TARGET_LISTENS, listener.local_addr().unwrap().port());
    listener.accept().unwrap().0.write_all(b"x").unwrap();
    again.as_mut().unwrap().read_exact(&mut [0]).unwrap();
}
