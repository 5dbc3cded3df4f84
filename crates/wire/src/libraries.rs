//! Which library speaks each protocol, with the version that the lockfile fixes: for the parity table.

use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::transport::Transport;

/// What is compiled in.
const LOCKED: &str = include_str!("../../../Cargo.lock");
/// Code of this workspace.
const OWN: &str = "pushbench's own code";

/// The built-in target's.
pub fn of_target(transport: Transport) -> String {
    match transport {
        Transport::Tcp => OWN.to_owned(),
        Transport::Websocket => locked("tungstenite"),
        Transport::Webhook | Transport::Sse | Transport::LongPoll | Transport::Poll => {
            locked("hyper")
        }
    }
}

/// The driver's, where it sends events or where its subscribers receive them.
pub fn of_driver(spec: &ArmSpec, receives: bool) -> String {
    match (spec.transport, receives) {
        (Transport::Webhook | Transport::Sse, _) if spec.has(ArmOption::H2) => locked("h2"),
        (Transport::Tcp | Transport::Webhook, _) | (Transport::Websocket, false) => OWN.to_owned(),
        (Transport::Websocket, true) => locked("tungstenite"),
        (Transport::Sse | Transport::LongPoll | Transport::Poll, _) => locked("hyper"),
    }
}

/// `hyper 1.12.0`
fn locked(name: &str) -> String {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let version = LOCKED.split_once(&entry).and_then(|(_, rest)| rest.split('"').next());
    format!("{name} {}", version.unwrap_or("of an unknown version"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_core::transport::ALL;

    #[test]
    fn every_side_is_named_and_a_library_with_its_version() {
        let each = |t: Transport| {
            let http2 = format!("{}+h2@x", t.name());
            let specs = [ArmSpec::plain(t, "x"), ArmSpec::parse(&http2).unwrap()];
            let driver = specs.map(|spec| [of_driver(&spec, false), of_driver(&spec, true)]);
            [driver.concat(), vec![of_target(t)]].concat()
        };
        for name in ALL.into_iter().flat_map(each).filter(|name| name != OWN) {
            let (library, version) = name.split_once(' ').unwrap();
            assert!(["h2", "hyper", "tungstenite"].contains(&library), "{name}");
            assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()), "{name}");
        }
    }
}
