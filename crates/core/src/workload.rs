//! What is to be sent to whom, and what is needed of it: the file that `pushbench advise` reads.
//!
//! Times are kept as [`Duration`]; the rate is over all receivers.

mod file;
#[cfg(test)]
mod tests;

use crate::error::Result;
use crate::guarantee::Promise;
use crate::scenario::Prices;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

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
    /// The target whose code the receivers would have, where the file names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// What CPU, memory and bytes cost, as far as the file says it.
    #[serde(skip_serializing_if = "Prices::is_empty")]
    pub prices: Prices,
}

impl Workload {
    /// Reads a file's text. `file` is its name in messages.
    pub fn parse(file: &str, text: &str) -> Result<Workload> {
        file::read(file, text)
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
