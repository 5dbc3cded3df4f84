//! `[path]`: what lies between the driver and the target.

use crate::scenario::draft::{Draft, Wrong};
use crate::scenario::{Flow, nanos, optional_nanos};
use crate::units;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The queue in front of a limited rate, in bytes, where `path.queue` is left out.
const QUEUE_BYTES: usize = 128 * 1024;

/// Who is behind a NAT: its side opens connections and cannot be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// Nobody.
    #[default]
    None,
    /// Who gets the events.
    Receiver,
    /// Who sends them.
    Sender,
}

/// What the firewall in front of the receiver does to new connections towards it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inbound {
    /// They pass.
    #[default]
    Open,
    /// Their packets are dropped.
    Drop,
    /// They are answered with a reset.
    Reject,
    /// Connections to port 443 pass, in either direction; others are dropped.
    #[serde(rename = "only-443")]
    Only443,
}

/// What packets meet between the driver and the target. Its trials run in network namespaces of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathSettings {
    /// Round-trip time: half of it each way.
    #[serde(with = "nanos")]
    pub rtt: Duration,
    /// A packet takes up to this much longer than half the round-trip time.
    #[serde(with = "nanos")]
    pub jitter: Duration,
    /// Share of the packets that are lost, each way.
    pub loss: f64,
    /// Mean number of packets lost in a row; 1: losses are independent.
    pub loss_burst: usize,
    /// Bits per second each way; `None`: not limited.
    pub rate: Option<u64>,
    /// Bytes that may wait for the rate, each way.
    pub queue: usize,
    /// Reverse proxies in front of the side that listens, the outermost first.
    pub via: Vec<String>,
    /// The forward proxy that the side that connects has to use.
    pub forward_proxy: Option<String>,
    /// Who is behind a NAT.
    pub nat: Nat,
    /// The firewall in front of the receiver.
    pub inbound: Inbound,
    /// A connection that has been idle for longer is forgotten by the firewall, and its packets are dropped. Where
    /// proxies are on the path, it is their time-out for a silent connection instead.
    #[serde(with = "optional_nanos")]
    pub idle_cutoff: Option<Duration>,
    /// When all packets begin to be lost, after the measured window began.
    #[serde(with = "nanos")]
    pub pause_at: Duration,
    /// For how long; zero: never.
    #[serde(with = "nanos")]
    pub pause: Duration,
    /// When the driver's side gets a new address, after the measured window began: packets of earlier
    /// connections are dropped.
    #[serde(with = "optional_nanos")]
    pub new_address_at: Option<Duration>,
}

impl Default for PathSettings {
    fn default() -> PathSettings {
        PathSettings {
            rtt: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            loss_burst: 1,
            rate: None,
            queue: QUEUE_BYTES,
            via: Vec::new(),
            forward_proxy: None,
            nat: Nat::None,
            inbound: Inbound::Open,
            idle_cutoff: None,
            pause_at: Duration::ZERO,
            pause: Duration::ZERO,
            new_address_at: None,
        }
    }
}

impl PathSettings {
    /// A namespace with a firewall lies between the two sides.
    pub fn has_middle_box(&self) -> bool {
        let forgets = self.idle_cutoff.is_some() && !self.has_proxies();
        self.nat != Nat::None || self.inbound != Inbound::Open || forgets
    }

    /// When the path pauses or the driver's side gets a new address, whichever is first, after the measured window
    /// began.
    pub fn disrupted_at(&self) -> Option<Duration> {
        let pauses = (!self.pause.is_zero()).then_some(self.pause_at);
        pauses.into_iter().chain(self.new_address_at).min()
    }

    /// Why no new connection gets through, towards the receiver of the events or away from it, and what to change;
    /// `None` where it does.
    pub fn obstacle(&self, towards_receiver: bool) -> Option<String> {
        let key = match (self.nat, self.inbound) {
            (Nat::Receiver, _) if towards_receiver => "path.nat = \"receiver\"",
            (Nat::Sender, _) if !towards_receiver => "path.nat = \"sender\"",
            (_, Inbound::Drop) if towards_receiver => "path.inbound = \"drop\"",
            (_, Inbound::Reject) if towards_receiver => "path.inbound = \"reject\"",
            _ => return None,
        };
        let whom = if towards_receiver { "receiver" } else { "sender" };
        Some(format!(
            "{key} lets no connection to the {whom} of the events through: choose a transport over which the other side \
             connects (of a fan-out, the publisher over webhook and the subscribers over all others), or change the key"
        ))
    }

    /// Proxies lie on it.
    pub fn has_proxies(&self) -> bool {
        !self.via.is_empty() || self.forward_proxy.is_some()
    }

    /// The proxies, each with the key that names it.
    pub fn proxies(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let via = self.via.iter().map(|name| ("path.via", name.as_str()));
        via.chain(self.forward_proxy.iter().map(|name| ("path.forward_proxy", name.as_str())))
    }

    /// In words: `round trip 40 ms, 1 % loss, through nginx`.
    pub fn words(&self) -> String {
        let time = |length: Duration| units::nanos_text(length.as_nanos() as f64);
        let mut words = vec![format!("round trip {}", time(self.rtt))];
        let mut add = |word: Option<String>| words.extend(word);
        add((!self.jitter.is_zero()).then(|| format!("jitter {}", time(self.jitter))));
        let burst = (self.loss_burst > 1).then(|| format!(" in bursts of {}", self.loss_burst));
        let loss = format!("{} % loss{}", self.loss * 100.0, burst.unwrap_or_default());
        add((self.loss > 0.0).then_some(loss));
        add(self.rate.map(units::bit_rate));
        add((!self.via.is_empty()).then(|| format!("through {}", self.via.join(" and "))));
        add(self.forward_proxy.as_ref().map(|name| format!("forward proxy {name}")));
        add(match self.nat {
            Nat::None => None,
            Nat::Receiver => Some("receiver behind NAT".to_owned()),
            Nat::Sender => Some("sender behind NAT".to_owned()),
        });
        add(match self.inbound {
            Inbound::Open => None,
            Inbound::Drop => Some("inbound connections dropped".to_owned()),
            Inbound::Reject => Some("inbound connections rejected".to_owned()),
            Inbound::Only443 => Some("only port 443".to_owned()),
        });
        let cut = if self.has_proxies() { "cut by the proxy" } else { "forgotten by the firewall" };
        add(self.idle_cutoff.map(|after| format!("idle connections {cut} after {}", time(after))));
        let pause = format!("pause of {} after {}", time(self.pause), time(self.pause_at));
        add((!self.pause.is_zero()).then_some(pause));
        add(self.new_address_at.map(|at| format!("new address after {}", time(at))));
        words.join(", ")
    }
}

/// The keys of the table as far as they are given.
#[derive(Debug, Clone, Default)]
pub struct PathDraft {
    pub(super) rtt: Option<Duration>,
    pub(super) jitter: Option<Duration>,
    pub(super) loss: Option<f64>,
    pub(super) loss_burst: Option<usize>,
    pub(super) rate: Option<Option<u64>>,
    pub(super) queue: Option<usize>,
    pub(super) via: Option<Option<Vec<String>>>,
    pub(super) forward_proxy: Option<Option<String>>,
    pub(super) nat: Option<Nat>,
    pub(super) inbound: Option<Inbound>,
    pub(super) idle_cutoff: Option<Option<Duration>>,
    pub(super) pause_at: Option<Duration>,
    pub(super) pause: Option<Duration>,
    pub(super) new_address_at: Option<Option<Duration>>,
}

impl PathDraft {
    /// A key of the table is given.
    pub fn given(&self) -> bool {
        self.rtt.is_some()
            || self.jitter.is_some()
            || self.loss.is_some()
            || self.loss_burst.is_some()
            || self.rate.is_some()
            || self.queue.is_some()
            || self.via.is_some()
            || self.forward_proxy.is_some()
            || self.nat.is_some()
            || self.inbound.is_some()
            || self.idle_cutoff.is_some()
            || self.pause_at.is_some()
            || self.pause.is_some()
            || self.new_address_at.is_some()
    }

    /// The path; none where no key of the table is given.
    pub fn settings(&self) -> Option<PathSettings> {
        let default = PathSettings::default();
        self.given().then(|| PathSettings {
            rtt: self.rtt.unwrap_or(default.rtt),
            jitter: self.jitter.unwrap_or(default.jitter),
            loss: self.loss.unwrap_or(default.loss),
            loss_burst: self.loss_burst.unwrap_or(default.loss_burst),
            rate: self.rate.unwrap_or_default(),
            queue: self.queue.unwrap_or(default.queue),
            via: self.via.clone().flatten().unwrap_or_default(),
            forward_proxy: self.forward_proxy.clone().unwrap_or_default(),
            nat: self.nat.unwrap_or_default(),
            inbound: self.inbound.unwrap_or_default(),
            idle_cutoff: self.idle_cutoff.unwrap_or_default(),
            pause_at: self.pause_at.unwrap_or_default(),
            pause: self.pause.unwrap_or_default(),
            new_address_at: self.new_address_at.unwrap_or_default(),
        })
    }

    /// Refuses keys that contradict each other or the load.
    pub fn check(&self, draft: &Draft) -> Result<(), Wrong> {
        let Some(path) = self.settings() else { return Ok(()) };
        let within = |key, at: Duration| {
            let why = "the measured window is over by then: write less than load.duration";
            Err(Wrong::new(key, format!("{}: {why}", text(at))).against("load.duration"))
        };
        if path.loss_burst > 1 && path.loss == 0.0 {
            let why = "it is the length of bursts of losses, and nothing is lost: write path.loss, or leave it out";
            return Err(Wrong::new("path.loss_burst", why).against("path.loss"));
        }
        if self.queue.is_some() && path.rate.is_none() {
            let why = "it waits for a limited rate: write path.rate, or leave it out";
            return Err(Wrong::new("path.queue", why).against("path.rate"));
        }
        if self.pause_at.is_some() && path.pause.is_zero() {
            let why = "the path pauses for no time: write path.pause, or leave it out";
            return Err(Wrong::new("path.pause_at", why).against("path.pause"));
        }
        if !path.pause.is_zero() && path.pause_at >= draft.duration {
            return within("path.pause_at", path.pause_at);
        }
        if let Some(at) = path.new_address_at.filter(|at| *at >= draft.duration) {
            return within("path.new_address_at", at);
        }
        if path.rtt >= draft.timeout {
            let why = format!(
                "{}: an event times out before its answer can be there: write less than load.timeout",
                text(path.rtt)
            );
            return Err(Wrong::new("path.rtt", why).against("load.timeout"));
        }
        if let Some(cutoff) =
            path.idle_cutoff.filter(|c| c.subsec_nanos() > 0 && !path.has_proxies())
        {
            let (least, most) = (cutoff.as_secs(), cutoff.as_secs() + 1);
            let why = format!(
                "{}: the kernel counts the idle time of connections in whole seconds: write {least}s or {most}s",
                text(cutoff)
            );
            return Err(Wrong::new("path.idle_cutoff", why));
        }
        self.check_rate(&path, draft)
    }

    /// The events alone must fit into the rate; what a transport adds is not known here.
    fn check_rate(&self, path: &PathSettings, draft: &Draft) -> Result<(), Wrong> {
        let (Some(rate), Some(events)) = (path.rate, draft.rate) else { return Ok(()) };
        let copies = match draft.flow {
            Flow::Fanout | Flow::Idle => draft.subscribers.unwrap_or(draft.fanout.count).max(1),
            Flow::Ingest | Flow::Duplex => 1,
        };
        let bytes = draft.bytes_of_an_event();
        let needed = events * (copies * bytes * 8) as f64;
        if needed <= rate as f64 {
            return Ok(());
        }
        let most = rate as f64 / (copies * bytes * 8) as f64;
        let why = format!(
            "{}: {events} events/s of {bytes} bytes{} need {} without any header: write more, or a load.rate below {}",
            units::bit_rate(rate),
            if copies > 1 { format!(" for {copies} subscribers") } else { String::new() },
            units::bit_rate(needed.ceil() as u64),
            most.floor().max(1.0),
        );
        Err(Wrong::new("path.rate", why).against("load.rate"))
    }
}

fn text(length: Duration) -> String {
    units::nanos_text(length.as_nanos() as f64)
}

#[cfg(test)]
mod tests {
    use crate::scenario::{Override, PathSettings, load};

    fn with(set: &[(&str, &str)]) -> Result<Option<PathSettings>, String> {
        let overrides = set.iter().map(|(key, value)| Override {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            origin: format!("--set {key}={value}"),
        });
        let question = load("ingest", &overrides.collect::<Vec<_>>());
        question.map(|q| q.points[0].scenario.path.clone()).map_err(|e| e.to_string())
    }

    #[test]
    fn there_is_a_path_where_a_key_of_it_is_given() {
        assert_eq!(with(&[]), Ok(None));
        assert_eq!(with(&[("path.rtt", "0")]), Ok(Some(PathSettings::default())));
        let path = with(&[("path.rtt", "20ms"), ("path.loss", "1%"), ("path.via", "a b")]);
        assert_eq!(path.unwrap().unwrap().words(), "round trip 20.0 ms, 1 % loss, through a and b");
        let path =
            with(&[("path.rate", "10 Mbit/s"), ("path.idle_cutoff", "2s")]).unwrap().unwrap();
        assert!(path.has_middle_box());
        assert_eq!(
            path.words(),
            "round trip 0 ns, 10 Mbit/s, idle connections forgotten by the firewall after 2.00 s"
        );
        let behind = with(&[("path.via", "nginx"), ("path.idle_cutoff", "2s")]).unwrap().unwrap();
        assert!(!behind.has_middle_box(), "it is the proxy's time-out");
        let obstacle = |key: &str, value: &str| {
            let path = with(&[(key, value)]).unwrap().unwrap();
            [true, false].map(|towards_receiver| path.obstacle(towards_receiver).is_some())
        };
        assert_eq!(obstacle("path.nat", "receiver"), [true, false]);
        assert_eq!(obstacle("path.nat", "sender"), [false, true]);
        assert_eq!(obstacle("path.inbound", "reject"), [true, false]);
        assert_eq!(obstacle("path.inbound", "only-443"), [false, false]);
    }

    #[test]
    fn keys_of_a_path_that_contradict_each_other_are_refused_with_a_remedy() {
        for (set, why) in [
            (&[("path.loss_burst", "3")][..], "write path.loss, or leave it out"),
            (&[("path.queue", "64KiB")], "write path.rate, or leave it out"),
            (&[("path.pause_at", "1s")], "write path.pause, or leave it out"),
            (&[("path.pause", "1s"), ("path.pause_at", "9s")], "write less than load.duration"),
            (&[("path.new_address_at", "9s")], "write less than load.duration"),
            (&[("path.idle_cutoff", "1500ms")], "in whole seconds: write 1s or 2s"),
            (&[("path.rtt", "5s")], "write less than load.timeout"),
            (&[("path.rate", "1 Mbit/s")], "need 8.192 Mbit/s without any header"),
            (&[("path.rate", "10")], "has no unit: write one of kbit/s, Mbit/s, Gbit/s"),
            (&[("path.via", "a/b")], "names of proxies"),
            (&[("path.nat", "both")], "none, receiver or sender"),
            (&[("path.loss", "60%")], "at most 50%"),
        ] {
            let refused = with(set).unwrap_err();
            assert!(refused.contains(why) && refused.starts_with("--set path."), "{refused}");
        }
    }
}
