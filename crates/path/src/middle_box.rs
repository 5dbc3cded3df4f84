//! The middle box: a namespace between the two sides whose kernel forwards packets by nftables and conntrack.

use crate::namespace::{Entered, Namespace, sysctl};
use crate::router::{Host, Side};
use pushbench_core::error::{Error, Result};
use pushbench_core::scenario::PathSettings;
use pushbench_core::scenario::path::{Inbound, Nat};
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The names of its devices: towards the driver's side and towards the target's.
const NEAR: &str = "near";
const FAR: &str = "far";
/// Their addresses, each in the half of 10.0.0.0/8 in which the hosts of its side are: the kernel knows where to
/// forward, and what it masquerades has the address of the side that it comes out of.
const NEAR_ADDRESS: (Ipv4Addr, u32) = (Ipv4Addr::new(10, 63, 255, 254), 10);
const FAR_ADDRESS: (Ipv4Addr, u32) = (Ipv4Addr::new(10, 191, 255, 254), 9);
/// Where `nft` may be: an ordinary user's PATH has no /usr/sbin.
const NFT: [&str; 3] = ["nft", "/usr/sbin/nft", "/sbin/nft"];

/// The rules, as nft reads them. `receiver`: at which end the receiver of the events is.
pub fn ruleset(settings: &PathSettings, receiver: Side) -> String {
    let (receiver, sender) = match receiver {
        Side::Near | Side::MiddleNear => (NEAR, FAR),
        Side::Far | Side::MiddleFar => (FAR, NEAR),
    };
    let outside = match settings.nat {
        Nat::None => None,
        Nat::Receiver => Some(sender),
        Nat::Sender => Some(receiver),
    };
    let nat = outside.map(|outside| format!("iifname \"{outside}\" ct state new drop"));
    let inbound = match settings.inbound {
        Inbound::Open => None,
        Inbound::Drop => Some(format!("iifname \"{sender}\" ct state new drop")),
        Inbound::Reject => Some(format!(
            "iifname \"{sender}\" meta l4proto tcp ct state new reject with tcp reset"
        )),
        Inbound::Only443 => Some("tcp dport != 443 ct state new drop".to_owned()),
    };
    let mut text = "table ip pushbench {\n\tchain forward {\n\t\ttype filter hook forward priority 0; policy accept;\n\t\tct state invalid drop\n"
        .to_owned();
    for rule in [inbound, nat].into_iter().flatten() {
        text.push_str(&format!("\t\t{rule}\n"));
    }
    text.push_str("\t}\n");
    if let Some(outside) = outside {
        text.push_str(&format!(
            "\tchain postrouting {{\n\t\ttype nat hook postrouting priority 100; policy accept;\n\t\toifname \"{outside}\" masquerade\n\t}}\n"
        ));
    }
    text + "}\n"
}

/// Whether this machine can have one; what is missing, and what to do. It tries: nftables, the kernel's part of it, and
/// conntrack's time-outs.
///
/// # Errors
/// What is missing.
pub fn available() -> std::result::Result<(), String> {
    let every = PathSettings {
        nat: Nat::Receiver,
        inbound: Inbound::Reject,
        idle_cutoff: Some(Duration::from_secs(2)),
        ..PathSettings::default()
    };
    let tried = Namespace::new().and_then(|namespace| prepare(&namespace, &every, Side::Near));
    tried.map_err(|e| e.to_string())
}

/// Makes the namespace; its two devices.
pub(crate) fn open(settings: &PathSettings, receiver: Side) -> Result<Vec<Host>> {
    let namespace = Namespace::new()?;
    let device = |side, name, (address, prefix)| -> Result<Host> {
        let tun = crate::device(&namespace, name, address, prefix)?;
        Ok(Host { tun, side, addresses: Vec::new(), loopback: None })
    };
    let hosts = vec![
        device(Side::MiddleNear, NEAR, NEAR_ADDRESS)?,
        device(Side::MiddleFar, FAR, FAR_ADDRESS)?,
    ];
    prepare(&namespace, settings, receiver)?;
    Ok(hosts)
}

/// Rules and settings of the namespace.
fn prepare(namespace: &Namespace, settings: &PathSettings, receiver: Side) -> Result<()> {
    let _inside = enter(namespace)?;
    load(&ruleset(settings, receiver))?;
    let set = || -> io::Result<()> {
        sysctl("net/ipv4/ip_forward", "1")?;
        if let Some(cutoff) = settings.idle_cutoff {
            let seconds = cutoff.as_secs().to_string();
            sysctl("net/netfilter/nf_conntrack_tcp_timeout_established", &seconds)?;
            // What belongs to no connection it knows does not make it know one.
            sysctl("net/netfilter/nf_conntrack_tcp_loose", "0")?;
        }
        Ok(())
    };
    set().map_err(|e| {
        Error::harness(format!(
            "the firewall of [path] cannot be set up: {e}; its kernel settings belong to root on this kernel: run as \
             root, or leave path.nat, path.inbound and path.idle_cutoff out"
        ))
    })
}

/// Has a port of a namespace lead to another one, at which something listens on 127.0.0.1.
pub(crate) fn redirect(namespace: &Namespace, from: u16, to: u16) -> Result<()> {
    let _inside = enter(namespace)?;
    load(&format!(
        "table ip pushbench {{\n\tchain prerouting {{\n\t\ttype nat hook prerouting priority -100; policy accept;\n\t\ttcp dport {from} dnat to 127.0.0.1:{to}\n\t}}\n}}\n"
    ))
}

fn enter(namespace: &Namespace) -> Result<Entered> {
    namespace.enter().map_err(|e| Error::harness(format!("cannot enter a network namespace: {e}")))
}

/// Loads rules into the calling thread's namespace.
fn load(rules: &str) -> Result<()> {
    let missing = || {
        Error::harness(
            "path.nat, path.inbound and path.idle_cutoff need nftables, and there is no nft: \
             `apt-get install nftables` as root, or leave them out",
        )
    };
    let failed = |why: String| {
        Error::harness(format!(
            "nft does not take the rules of the firewall of [path]: {why}; they need nf_tables, nf_conntrack and \
             nf_nat of the kernel (`modprobe -a nf_tables nf_conntrack nf_nat` as root)"
        ))
    };
    let start = |program: &str| {
        let mut nft = Command::new(program);
        nft.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        nft.spawn()
    };
    let started = NFT.iter().map(|program| start(program));
    let found = started.filter(|nft| !matches!(nft, Err(e) if e.kind() == io::ErrorKind::NotFound));
    let mut nft =
        found.into_iter().next().ok_or_else(missing)?.map_err(|e| failed(e.to_string()))?;
    let written = nft.stdin.take().map(|mut stdin| stdin.write_all(rules.as_bytes()));
    let ended = nft.wait_with_output().map_err(|e| failed(e.to_string()))?;
    match (ended.status.success(), written) {
        (true, Some(Ok(()))) => Ok(()),
        _ => Err(failed(String::from_utf8_lossy(&ended.stderr).trim().to_owned())),
    }
}

#[cfg(test)]
#[path = "middle_box_tests.rs"]
mod tests;
