//! Keys of the path between driver and target.

use crate::scenario::keys::{ANY_LENGTH, Field, Key, SOME_LENGTH, key};
use crate::scenario::kind::{
    BitRate, Length, Name, Names, OneOf, Optional, Or, Percent, Size, Whole,
};
use crate::scenario::path::{Inbound, Nat};
use std::time::Duration;

pub(super) static KEYS: &[Key] = &[
    key!(
        swept "path.rtt",
        "round-trip time between driver and target, half of it each way; with any key of [path] both are in network namespaces of their own",
        Optional(ANY_LENGTH),
        |d| &mut d.path.rtt
    ),
    key!(
        swept "path.jitter",
        "a packet takes up to this much longer, uniformly distributed; packets are not reordered",
        Optional(ANY_LENGTH),
        |d| &mut d.path.jitter
    ),
    key!(
        swept "path.loss",
        "share of the packets that are lost, each way",
        Optional(Percent(50)),
        |d| &mut d.path.loss
    ),
    key!(
        swept "path.loss_burst",
        "mean number of packets lost in a row (Gilbert-Elliott); 1: losses are independent",
        Optional(Whole(1, 1000)),
        |d| &mut d.path.loss_burst
    ),
    key!(
        swept "path.rate",
        "bit rate of the path, each way",
        Optional(Or("unlimited", BitRate)),
        |d| &mut d.path.rate
    ),
    key!(
        swept "path.queue",
        "bytes that may wait for path.rate, each way; further packets are dropped",
        Optional(Size { least: 1500, most: 1 << 30 }),
        |d| &mut d.path.queue
    ),
    key!(
        swept "path.via",
        "reverse proxies in front of the side that listens, the outermost first",
        Optional(Or("none", Names("proxies"))),
        |d| &mut d.path.via
    ),
    key!(
        swept "path.forward_proxy",
        "the forward proxy that the side that connects has to use",
        Optional(Or("none", Name(64))),
        |d| &mut d.path.forward_proxy
    ),
    key!(
        swept "path.nat",
        "who is behind a NAT: opens connections and cannot be reached",
        Optional(OneOf(&[("none", Nat::None), ("receiver", Nat::Receiver), ("sender", Nat::Sender)])),
        |d| &mut d.path.nat
    ),
    key!(
        swept "path.inbound",
        "what the firewall in front of the receiver does to new connections",
        Optional(OneOf(&[
            ("open", Inbound::Open),
            ("drop", Inbound::Drop),
            ("reject", Inbound::Reject),
            ("only-443", Inbound::Only443),
        ])),
        |d| &mut d.path.inbound
    ),
    key!(
        swept "path.idle_cutoff",
        "the firewall forgets a connection that was idle for longer and drops its packets; with proxies on the path it is their time-out for a silent connection instead",
        Optional(Or("never", Length(Duration::from_secs(1)))),
        |d| &mut d.path.idle_cutoff
    ),
    key!(
        swept "path.pause_at",
        "when every packet begins to be lost, after the measured window began",
        Optional(ANY_LENGTH),
        |d| &mut d.path.pause_at
    ),
    key!(
        swept "path.pause",
        "how long every packet is lost",
        Optional(ANY_LENGTH),
        |d| &mut d.path.pause
    ),
    key!(
        swept "path.new_address_at",
        "when the driver's side gets a new address, after the measured window began: packets of earlier connections are dropped",
        Optional(Or("never", SOME_LENGTH)),
        |d| &mut d.path.new_address_at
    ),
];
