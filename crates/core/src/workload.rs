//! What is to be sent to whom, and what is needed of it: the file that `pushbench advise` reads.
//!
//! Times are kept as [`Duration`]; the rate is over all receivers.

#[cfg(test)]
mod tests;

use crate::error::Result;
use crate::guarantee::Promise;
use crate::origin::{Origin, kind, read_toml};
use crate::suggest::did_you_mean;
use crate::units;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// Where receivers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Servers with a public address.
    PublicServer,
    /// Beside the sender, which can reach them.
    SameNetwork,
    /// They can open connections and cannot be reached.
    BehindNat,
    /// Web pages.
    Browser,
    /// Code that runs while it handles a request.
    Function,
    /// Some are public servers, some behind NAT.
    Mixed,
}

/// What stands between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proxy {
    /// Nothing.
    None,
    /// A forward proxy that allows CONNECT.
    ForwardConnect,
    /// A forward proxy that refuses it.
    ForwardNoConnect,
    /// A forward proxy that ends TLS.
    TlsInspecting,
    /// The same, and it refuses to upgrade a connection.
    TlsInspectingNoUpgrade,
    /// nginx as installed before the side that listens.
    Nginx,
    /// nginx that was configured for WebSocket.
    NginxWebsocket,
    /// HAProxy as installed.
    Haproxy,
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Events go to the receivers.
    OneWay,
    /// Receivers send as well.
    Both,
}

/// How a receiver knows who sent an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sender {
    /// It does not.
    None,
    /// By a token.
    Token,
    /// By a signature of each event.
    Signed,
}

/// Who gets an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipients {
    /// Every receiver.
    All,
    /// One of them.
    One,
}

/// A workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// The question in a sentence; may be empty.
    pub question: String,
    /// Events a second, on average.
    pub rate: f64,
    /// The rate of a burst over that.
    pub burst_factor: f64,
    /// Bytes of an event.
    pub payload_bytes: u64,
    /// Who gets an event, where the file says so.
    pub recipients: Option<Recipients>,
    /// Receivers.
    pub count: u64,
    /// Where they are.
    pub place: Place,
    /// What stands between.
    pub proxy: Proxy,
    /// They run all the time, apart from outages.
    pub always_on: bool,
    /// After how long a silent connection is cut off, where it is known.
    pub idle_cutoff: Option<Duration>,
    /// Round trip between sender and receivers, where it is known.
    pub rtt: Option<Duration>,
    /// Of mixed receivers, public servers and those behind NAT.
    pub split: Option<(u64, u64)>,
    /// An event may be that old when it arrives.
    pub freshness: Duration,
    /// What is promised.
    pub promise: Promise,
    /// An event that was accepted outlives the sender's process.
    pub durable: bool,
    /// A receiver may be away for so long and misses nothing.
    pub outage: Option<Duration>,
    /// Each receiver gets its events in order.
    pub ordered: bool,
    /// Who sends.
    pub direction: Direction,
    /// Over TLS.
    pub tls: bool,
    /// How a receiver knows the sender.
    pub sender: Sender,
}

/// A key, what to write for it, and the value that stands for it where the file has none; without one it is needed.
struct Key {
    path: &'static str,
    write: &'static str,
    otherwise: Option<&'static str>,
}

const fn key(path: &'static str, write: &'static str, otherwise: Option<&'static str>) -> Key {
    Key { path, write, otherwise }
}

const NUMBER: &str = "a number greater than 0, up to ten million";
const WHOLE: &str = "a whole number from 1 to a thousand million";
const TIME: &str = "a time such as \"250ms\", \"15m\" or \"3d\"";
const SWITCH: &str = "true or false";

/// Every key. An empty value is an unknown one.
const KEYS: [Key; 22] = [
    key("name", "text", Some("workload")),
    key("question", "text", Some("")),
    key("events.rate", NUMBER, None),
    key("events.burst_factor", "a number from 1 to a million", Some("1")),
    key("events.payload_bytes", WHOLE, Some("512")),
    key("events.recipients", "\"all\" or \"one\"", Some("")),
    key("receivers.count", WHOLE, None),
    key(
        "receivers.where",
        "\"public-server\", \"same-network\", \"behind-nat\", \"browser\", \"function\" or \"mixed\"",
        None,
    ),
    key(
        "receivers.proxy",
        "\"none\", \"forward-connect\", \"forward-no-connect\", \"tls-inspecting\", \"tls-inspecting-no-upgrade\", \
         \"nginx\", \"nginx-websocket\" or \"haproxy\"",
        Some("none"),
    ),
    key("receivers.always_on", SWITCH, Some("true")),
    key("receivers.idle_cutoff", TIME, Some("")),
    key("receivers.rtt", TIME, Some("")),
    key("receivers.public_server", WHOLE, Some("")),
    key("receivers.behind_nat", WHOLE, Some("")),
    key("need.freshness", TIME, None),
    key(
        "need.guarantee",
        "\"at-most-once\", \"at-least-once\" or \"exactly-once\"",
        Some("at-most-once"),
    ),
    key("need.durable", SWITCH, Some("false")),
    key("need.outage", TIME, Some("")),
    key("need.ordered", SWITCH, Some("false")),
    key("need.direction", "\"one-way\" or \"both\"", Some("one-way")),
    key("security.tls", SWITCH, Some("true")),
    key("security.sender", "\"none\", \"token\" or \"signed\"", Some("none")),
];

/// Tables of the file; `answer` is for tests.
const TABLES: [&str; 4] = ["events", "receivers", "need", "security"];
const ANSWER: &str = "answer";

/// The values of a file with their places.
struct Values<'a> {
    file: &'a str,
    found: BTreeMap<&'static str, (String, Origin)>,
}

impl Workload {
    /// Reads a file's text. `file` is its name in messages.
    pub fn parse(file: &str, text: &str) -> Result<Workload> {
        let table = read_toml(file, text)?;
        let mut values = Values { file, found: BTreeMap::new() };
        let place = |offset: usize| Origin::at(file, text, offset);
        values.collect(&table, "", &place)?;
        let workload = values.workload()?;
        values.check(&workload)?;
        Ok(workload)
    }

    /// Who gets an event: by the file, or all where it does not say and pages show the same.
    pub fn recipients(&self) -> Recipients {
        self.recipients.unwrap_or(match self.place {
            Place::Browser => Recipients::All,
            _ => Recipients::One,
        })
    }

    /// Deliveries a second, on average.
    pub fn deliveries(&self) -> f64 {
        match self.recipients() {
            Recipients::All => self.rate * self.count as f64,
            Recipients::One => self.rate,
        }
    }

    /// Deliveries a second to one receiver, on average.
    pub fn deliveries_each(&self) -> f64 {
        self.deliveries() / self.count as f64
    }
}

impl Values<'_> {
    fn collect(
        &mut self,
        table: &DeTable<'_>,
        prefix: &str,
        place: &dyn Fn(usize) -> Origin,
    ) -> Result<()> {
        for (name, value) in table {
            let origin = place(name.span().start);
            let path = match prefix {
                "" => name.get_ref().to_string(),
                _ => format!("{prefix}.{}", name.get_ref()),
            };
            match value.get_ref() {
                DeValue::Table(_) if prefix.is_empty() && path == ANSWER => {}
                DeValue::Table(inner) if prefix.is_empty() && TABLES.contains(&path.as_str()) => {
                    self.collect(inner, &path, place)?;
                }
                DeValue::Table(_) if prefix.is_empty() => {
                    let hint = did_you_mean(&path, TABLES);
                    let tables = TABLES.join(", ");
                    return Err(
                        origin.error(format!("unknown table [{path}]{hint}: there are {tables}"))
                    );
                }
                value => {
                    let Some(key) = KEYS.iter().find(|key| key.path == path) else {
                        let hint = did_you_mean(&path, KEYS.iter().map(|key| key.path));
                        return Err(origin.error(format!("unknown key \"{path}\"{hint}")));
                    };
                    let text = match value {
                        DeValue::String(text) => text.to_string(),
                        DeValue::Integer(number) => number.as_str().to_owned(),
                        DeValue::Float(number) => number.as_str().to_owned(),
                        DeValue::Boolean(on) => on.to_string(),
                        other => {
                            let kind = kind(other);
                            let write = key.write;
                            return Err(
                                origin.error(format!("{path}: this is {kind}: write {write}"))
                            );
                        }
                    };
                    self.found.insert(key.path, (text, origin));
                }
            }
        }
        Ok(())
    }

    /// The value of a key as `read` understands it; `None` where it is not known.
    fn optional<T>(
        &self,
        path: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(key) = KEYS.iter().find(|key| key.path == path) else { return Ok(None) };
        let write = key.write;
        match (self.found.get(path), key.otherwise) {
            (Some((text, origin)), _) => read(text)
                .map(Some)
                .ok_or_else(|| origin.error(format!("{path} = {text}: write {write}"))),
            (None, Some("")) => Ok(None),
            (None, Some(otherwise)) => Ok(read(otherwise)),
            (None, None) => {
                Err(Origin::named(self.file).error(format!("{path} is missing: write {write}")))
            }
        }
    }

    fn value<T>(&self, path: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T> {
        self.optional(path, read)?
            .ok_or_else(|| Origin::named(self.file).error(format!("{path} is missing")))
    }

    fn workload(&self) -> Result<Workload> {
        let [public, nat] = ["receivers.public_server", "receivers.behind_nat"]
            .map(|path| self.optional(path, whole));
        let text = |text: &str| Some(text.to_owned());
        Ok(Workload {
            name: self.value("name", text)?,
            question: self.optional("question", text)?.unwrap_or_default(),
            rate: self
                .value("events.rate", |text| number(text).filter(|n| (1e-9..=1e7).contains(n)))?,
            burst_factor: self.value("events.burst_factor", |text| {
                number(text).filter(|n| (1.0..=1e6).contains(n))
            })?,
            payload_bytes: self.value("events.payload_bytes", whole)?,
            recipients: self.optional("events.recipients", Recipients::read)?,
            count: self.value("receivers.count", whole)?,
            place: self.value("receivers.where", Place::read)?,
            proxy: self.value("receivers.proxy", Proxy::read)?,
            always_on: self.value("receivers.always_on", switch)?,
            idle_cutoff: self
                .optional("receivers.idle_cutoff", |text| time(text).filter(|t| !t.is_zero()))?,
            rtt: self.optional("receivers.rtt", time)?,
            split: public?.zip(nat?),
            freshness: self.value("need.freshness", |text| time(text).filter(|t| !t.is_zero()))?,
            promise: self.value("need.guarantee", Promise::read)?,
            durable: self.value("need.durable", switch)?,
            outage: self.optional("need.outage", time)?,
            ordered: self.value("need.ordered", switch)?,
            direction: self.value("need.direction", Direction::read)?,
            tls: self.value("security.tls", switch)?,
            sender: self.value("security.sender", Sender::read)?,
        })
    }

    /// Where two keys contradict each other, both are shown.
    fn check(&self, w: &Workload) -> Result<()> {
        let once = w.promise == Promise::AtMostOnce;
        if once && w.durable {
            return self.contradiction(
                "need.durable",
                "need.guarantee",
                "what is sent once at most is not sent again from a disk: write durable = false, or guarantee = \"at-least-once\"",
            );
        }
        if once && w.outage.is_some_and(|outage| !outage.is_zero()) {
            return self.contradiction(
                "need.outage",
                "need.guarantee",
                "what is sent once at most is lost in an outage: leave outage out, or write guarantee = \"at-least-once\"",
            );
        }
        if w.place == Place::Function
            && self.found.contains_key("receivers.always_on")
            && w.always_on
        {
            return self.contradiction(
                "receivers.always_on",
                "receivers.where",
                "a function runs while it handles a request only: write always_on = false, or where = \"public-server\" for a program that keeps running",
            );
        }
        match (w.place, w.split) {
            (Place::Mixed, None) => Err(self.at("receivers.where").error(
                "receivers.where = \"mixed\": write public_server and behind_nat as well, how many there are of each",
            )),
            (Place::Mixed, Some((public, nat))) if public + nat != w.count => self.contradiction(
                "receivers.public_server",
                "receivers.count",
                &format!("{public} public servers and {nat} behind NAT are {}", public + nat),
            ),
            (Place::Mixed, _) => Ok(()),
            _ => {
                let parts = ["receivers.public_server", "receivers.behind_nat"];
                let given = parts.into_iter().find(|path| self.found.contains_key(path));
                given.map_or(Ok(()), |path| {
                    let why = "write where = \"mixed\", or leave public_server and behind_nat out";
                    self.contradiction(path, "receivers.where", why)
                })
            }
        }
    }

    fn at(&self, path: &str) -> Origin {
        let found = self.found.get(path).map(|(_, origin)| origin.clone());
        found.unwrap_or_else(|| Origin::named(self.file))
    }

    fn contradiction(&self, one: &str, other: &str, why: &str) -> Result<()> {
        let shown = |path: &str| {
            let found = self.found.get(path).map(|(text, _)| text.as_str());
            let usual = KEYS.iter().find(|key| key.path == path).and_then(|key| key.otherwise);
            match found {
                Some(text) => format!("{}: {path} = {text}", self.at(path)),
                None => format!("{path} = {}, as it is not written", usual.unwrap_or_default()),
            }
        };
        Err(crate::error::Error::usage(format!(
            "{} contradicts {}: {why}",
            shown(one),
            shown(other)
        )))
    }
}

fn number(text: &str) -> Option<f64> {
    text.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite())
}

fn whole(text: &str) -> Option<u64> {
    text.replace('_', "").parse().ok().filter(|number| (1..=1_000_000_000).contains(number))
}

fn switch(text: &str) -> Option<bool> {
    text.parse().ok()
}

/// As elsewhere, and days.
fn time(text: &str) -> Option<Duration> {
    const DAY: f64 = 24.0 * 3600.0;
    match text.trim().strip_suffix('d').and_then(|days| days.trim().parse::<f64>().ok()) {
        Some(days) => Duration::try_from_secs_f64(days * DAY).ok(),
        None => units::parse_duration(text).ok(),
    }
}

/// A word of a file is that of `Serialize`.
macro_rules! words {
    ($($kind:ident: $($value:ident = $word:literal),+;)+) => {$(
        impl $kind {
            fn read(text: &str) -> Option<$kind> {
                match text {
                    $($word => Some($kind::$value),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($kind::$value => $word,)+
                })
            }
        }
    )+};
}

words! {
    Place: PublicServer = "public-server", SameNetwork = "same-network", BehindNat = "behind-nat",
        Browser = "browser", Function = "function", Mixed = "mixed";
    Proxy: None = "none", ForwardConnect = "forward-connect", ForwardNoConnect = "forward-no-connect",
        TlsInspecting = "tls-inspecting", TlsInspectingNoUpgrade = "tls-inspecting-no-upgrade",
        Nginx = "nginx", NginxWebsocket = "nginx-websocket", Haproxy = "haproxy";
    Direction: OneWay = "one-way", Both = "both";
    Sender: None = "none", Token = "token", Signed = "signed";
    Recipients: All = "all", One = "one";
}

impl Promise {
    fn read(text: &str) -> Option<Promise> {
        [Promise::AtMostOnce, Promise::AtLeastOnce, Promise::ExactlyOnce]
            .into_iter()
            .find(|promise| promise.name() == text)
    }
}
