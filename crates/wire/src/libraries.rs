//! Which library speaks each protocol, with the version that the lockfile fixes: for the parity table.

use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::transport::Transport;

/// What is compiled in, with the versions that the build script found.
const H2: &str = concat!("h2 ", env!("VERSION_H2"));
const HYPER: &str = concat!("hyper ", env!("VERSION_HYPER"));
const TUNGSTENITE: &str = concat!("tungstenite ", env!("VERSION_TUNGSTENITE"));
/// Code of this workspace.
const OWN: &str = "pushbench's own code";

/// The built-in target's.
pub fn of_target(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => OWN,
        Transport::Websocket => TUNGSTENITE,
        Transport::Webhook | Transport::Sse | Transport::LongPoll | Transport::Poll => HYPER,
    }
}

/// The driver's, where it sends events or where its subscribers receive them.
pub fn of_driver(spec: &ArmSpec, receives: bool) -> &'static str {
    match (spec.transport, receives) {
        (Transport::Webhook | Transport::Sse, _) if spec.has(ArmOption::H2) => H2,
        (Transport::Tcp | Transport::Webhook, _) | (Transport::Websocket, false) => OWN,
        (Transport::Websocket, true) => TUNGSTENITE,
        (Transport::Sse | Transport::LongPoll | Transport::Poll, _) => HYPER,
    }
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
        for name in ALL.into_iter().flat_map(each).filter(|name| *name != OWN) {
            let (library, version) = name.split_once(' ').unwrap();
            assert!(["h2", "hyper", "tungstenite"].contains(&library), "{name}");
            assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()), "{name}");
        }
    }
}
