//! What the benches of the instrument measure with: a load, a ledger, a connection, as a run has them.

use pushbench_core::arm::ArmSpec;
use pushbench_core::event::{Matched, Template};
use pushbench_core::record::strata::Split;
use pushbench_core::scenario::{Arrivals, Lifetime, Load, Payload};
use pushbench_core::transport::Transport;
use pushbench_host::clock;
use pushbench_load::connections::ConnectConfig;
use pushbench_load::ledger::{Ledger, LedgerRules};
use pushbench_server::webhook;
use pushbench_wire::endpoint::{Endpoint, Resolved};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

pub const EVENT_BYTES: usize = 512;

/// The arrivals whose schedules are measured, by name.
pub const ARRIVALS: [(&str, Arrivals); 3] = [
    ("constant", Arrivals::Constant),
    ("poisson", Arrivals::Poisson),
    ("ramp", Arrivals::Ramp { to: 20_000.0 }),
];

pub fn load(arrivals: Arrivals) -> Load {
    Load {
        arrivals,
        rate: Some(10_000.0),
        warmup: Duration::ZERO,
        // Longer than any bench lasts: the schedule must not end.
        duration: Duration::from_secs(10_000_000),
        timeout: Duration::from_secs(60),
        backlog: 1_000,
    }
}

pub fn ledger(closed_loop: bool) -> Rc<Ledger> {
    ledger_of_shard(closed_loop, (0, 1))
}

/// The same of one shard of several: its number, and how many there are.
pub fn ledger_of_shard(closed_loop: bool, (shard, of): (u64, u64)) -> Rc<Ledger> {
    let rules = LedgerRules {
        origin: clock::now(),
        timeout: 60_000_000_000,
        shard,
        of,
        wall_length: 10_000_000_000,
        warmup: 0,
        window: 10_000_000_000,
        // The dearest case: events are told apart, too.
        split: Some(Split::Use { bounds: vec![1, 10, 99] }),
        closed_loop,
    };
    Rc::new(Ledger::new(rules, true))
}

/// One connection to the built-in servers' address, one event in flight.
pub fn connect_config(
    ledger: &Rc<Ledger>,
    socket: SocketAddr,
    lifetime: Lifetime,
) -> ConnectConfig {
    let url = format!("http://{socket}{}", webhook::server::PATH);
    let endpoint = Endpoint::parse(&url).expect("a URL");
    ConnectConfig {
        address: Resolved::new(endpoint, socket).into(),
        namespace: None,
        tls: None,
        matched: Matched::ById,
        request_options: Rc::default(),
        template: Rc::new(Template::new(&Payload::Bytes(EVENT_BYTES))),
        events: Rc::new(Template::new(&Payload::Bytes(EVENT_BYTES))),
        in_flight: 1,
        lifetime,
        max_segment: None,
        ledger: ledger.clone(),
        spec: Rc::new(ArmSpec::plain(Transport::Webhook, "builtin")),
        warm: true,
    }
}
