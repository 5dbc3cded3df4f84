//! Arms by name: transport, options and target, written `webhook+callback@builtin`.

use crate::error::{Error, Result};
use crate::suggest::did_you_mean;
use crate::transport::{ALL, Carrier, Transport};
use std::fmt;

/// The variable from which the built-in server reads the key of signatures.
pub const SECRET_VARIABLE: &str = "PUSHBENCH_SECRET";
/// The variable from which it reads the bearer token.
pub const BEARER_VARIABLE: &str = "PUSHBENCH_BEARER";

/// What is added to a transport. A newcomer registers here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArmOption {
    /// TLS 1.3 between socket and protocol.
    Tls,
    /// HTTP/2: many requests in flight on one connection.
    H2,
    /// The events in flight share at most so many connections.
    Connections,
    /// A request carries up to so many events.
    Batch,
    /// Each request, or each handshake of a connection that carries many events, has a bearer token.
    Token,
    /// Each event is signed, as Standard Webhooks describes it.
    Signed,
    /// Each message or request body is compressed.
    Compressed,
    /// Answers come back by a callback.
    Callback,
    /// One more of the subscribers is stuck, beside an arm in which it is healthy.
    Stuck,
}

impl ArmOption {
    /// Every option there is.
    pub const ALL: [ArmOption; 9] = [
        ArmOption::Tls,
        ArmOption::H2,
        ArmOption::Connections,
        ArmOption::Batch,
        ArmOption::Token,
        ArmOption::Signed,
        ArmOption::Compressed,
        ArmOption::Callback,
        ArmOption::Stuck,
    ];

    /// The name in arms, without the plus sign.
    pub fn name(self) -> &'static str {
        match self {
            ArmOption::Tls => "tls",
            ArmOption::H2 => "h2",
            ArmOption::Connections => "connections",
            ArmOption::Batch => "batch",
            ArmOption::Token => "token",
            ArmOption::Signed => "signed",
            ArmOption::Compressed => "compressed",
            ArmOption::Callback => "callback",
            ArmOption::Stuck => "stuck",
        }
    }

    /// What follows the name behind an equals sign; nothing where the name is all.
    pub fn value(self) -> Option<OptionValue> {
        match self {
            ArmOption::Connections => Some(OptionValue { place: 0, most: 10_000 }),
            ArmOption::Batch => Some(OptionValue { place: 1, most: 1_000 }),
            _ => None,
        }
    }

    /// As it is written: `batch=N`.
    pub fn written(self) -> String {
        format!("{}{}", self.name(), if self.value().is_some() { "=N" } else { "" })
    }

    /// One line for `pushbench list options`.
    pub fn about(self) -> &'static str {
        match self {
            ArmOption::Tls => {
                "TLS 1.3 on every connection, with a certificate that is made for the run"
            }
            ArmOption::H2 => {
                "HTTP/2 instead of HTTP/1.1, with many requests in flight on one connection"
            }
            ArmOption::Connections => {
                "as many events in flight as without it, over at most N connections"
            }
            ArmOption::Batch => {
                "a POST carries up to N events, those that wait when the connection is free"
            }
            ArmOption::Token => {
                "a bearer token in each request, or once in the handshake of a connection that carries many events"
            }
            ArmOption::Signed => {
                "each event is signed as Standard Webhooks describes it, and verified"
            }
            ArmOption::Compressed => {
                "permessage-deflate on a WebSocket, gzip of the body of each webhook request"
            }
            ArmOption::Callback => "in a duplex: the answer to a webhook comes back by a callback",
            ArmOption::Stuck => "in a fan-out: one more of the subscribers is stuck",
        }
    }

    /// Whether a server that takes events has a part in it; else the driver and its subscribers alone.
    pub fn at_receiver(self) -> bool {
        match self {
            ArmOption::Tls
            | ArmOption::H2
            | ArmOption::Batch
            | ArmOption::Token
            | ArmOption::Signed
            | ArmOption::Compressed
            | ArmOption::Callback => true,
            ArmOption::Connections | ArmOption::Stuck => false,
        }
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The number behind an option's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionValue {
    /// Where [`ArmOptions`] keeps it.
    place: usize,
    /// The largest.
    pub most: u16,
}

/// A set of options; it is queried for each event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArmOptions {
    set: u32,
    values: [u16; 2],
}

impl ArmOptions {
    /// Whether the option is among them.
    pub fn contains(self, option: ArmOption) -> bool {
        self.set & option.bit() != 0
    }

    /// With one more. One that takes a number has 1 until [`ArmOptions::set`] says another.
    #[must_use]
    pub fn with(self, option: ArmOption) -> ArmOptions {
        self.set(option, 1)
    }

    /// With one more and its number, which counts where the option takes one.
    #[must_use]
    pub fn set(mut self, option: ArmOption, number: u16) -> ArmOptions {
        self.set |= option.bit();
        if let Some(value) = option.value() {
            self.values[value.place] = number;
        }
        self
    }

    /// Without one.
    #[must_use]
    pub fn without(mut self, option: ArmOption) -> ArmOptions {
        self.set &= !option.bit();
        if let Some(value) = option.value() {
            self.values[value.place] = 0;
        }
        self
    }

    /// The number of an option that is among them and takes one.
    pub fn number(self, option: ArmOption) -> Option<usize> {
        let value = option.value().filter(|_| self.contains(option))?;
        Some(usize::from(self.values[value.place]))
    }

    /// Some of them as they are written, `+tls+batch=8`.
    pub fn written(self, which: impl Fn(ArmOption) -> bool) -> String {
        let mut text = String::new();
        for option in self.iter().filter(|option| which(*option)) {
            text.extend(["+", option.name()]);
            if let Some(number) = self.number(option) {
                text += &format!("={number}");
            }
        }
        text
    }

    /// In the order of [`ArmOption::ALL`], whatever the order in which they were written.
    pub fn iter(self) -> impl Iterator<Item = ArmOption> {
        ArmOption::ALL.into_iter().filter(move |option| self.contains(*option))
    }
}

/// What an arm is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmSpec {
    /// How events travel.
    pub transport: Transport,
    /// What is added to it.
    pub options: ArmOptions,
    /// The name of the program under test.
    pub target: String,
}

impl ArmSpec {
    /// Without options.
    pub fn plain(transport: Transport, target: &str) -> ArmSpec {
        ArmSpec { transport, options: ArmOptions::default(), target: target.to_owned() }
    }

    /// Whether the arm has the option.
    pub fn has(&self, option: ArmOption) -> bool {
        self.options.contains(option)
    }

    /// The same arm without an option.
    #[must_use]
    pub fn without(&self, option: ArmOption) -> ArmSpec {
        ArmSpec { options: self.options.without(option), ..self.clone() }
    }

    /// Connections and unanswered events each, where the scenario has `count` connections with `in_flight` each. An arm
    /// whose protocol holds fewer in flight has more connections instead, and the other way round, so that
    /// every arm has as many events in flight. A publisher is sent events by POST.
    pub fn slots(&self, publisher: bool, count: usize, in_flight: usize) -> (usize, usize) {
        let total = count * in_flight;
        let most = match self.options.number(ArmOption::Connections) {
            Some(_) => total,
            None => in_flight,
        };
        let limit = match self.transport.carrier_to(publisher) {
            Carrier::Webhook if self.has(ArmOption::H2) => most,
            Carrier::Webhook => self.options.number(ArmOption::Batch).unwrap_or(1),
            Carrier::Websocket | Carrier::Tcp => most,
        };
        // Equal shares for all, so only a divisor of the total; no connection beyond its limit.
        let mut shares = (total.div_ceil(limit)..=total)
            .filter(|connections| total.is_multiple_of(*connections));
        let connections = match self.options.number(ArmOption::Connections) {
            Some(most) => shares.clone().take_while(|c| *c <= most).last().or(shares.next()),
            None => shares.next(),
        };
        let connections = connections.unwrap_or(total);
        (connections, total / connections)
    }

    /// Reads `TRANSPORT[+OPTION]…@TARGET`. The error is one of `--arm`.
    pub fn parse(name: &str) -> Result<ArmSpec> {
        let wrong = |why: String| Error::usage(format!("--arm {name}: {why}"));
        let (left, target) =
            name.split_once('@').filter(|(_, t)| !t.is_empty()).ok_or_else(|| {
                wrong("an arm is TRANSPORT@TARGET, for example --arm webhook@builtin".to_owned())
            })?;
        ArmSpec::parse_left(left, target).map_err(wrong)
    }

    /// Reads the left side of an arm, `TRANSPORT[+OPTION]…`, or says what is wrong with it.
    pub fn parse_left(left: &str, target: &str) -> std::result::Result<ArmSpec, String> {
        let mut words = left.split('+');
        let transport = words.next().unwrap_or_default();
        let Some(transport) = Transport::named(transport) else {
            let transports = || ALL.map(Transport::name);
            return Err(format!(
                "no transport is called {transport:?}{}; there are {}",
                did_you_mean(transport, transports()),
                transports().join(", ")
            ));
        };
        let mut spec = ArmSpec::plain(transport, target);
        for word in words {
            let (word, number) = match word.split_once('=') {
                Some((word, number)) => (word, Some(number)),
                None => (word, None),
            };
            let Some(option) = ArmOption::ALL.into_iter().find(|o| o.name() == word) else {
                return Err(format!(
                    "no option is called {word:?}{}; there are {}",
                    did_you_mean(word, ArmOption::ALL.map(ArmOption::name)),
                    ArmOption::ALL.map(ArmOption::written).join(", ")
                ));
            };
            if spec.has(option) {
                return Err(format!("+{word} is given twice: remove one"));
            }
            let number = match (option.value(), number) {
                (None, None) => 1,
                (None, Some(_)) => return Err(format!("+{word} takes no number: write +{word}")),
                (Some(value), number) => {
                    let number = number.and_then(|n| n.parse().ok());
                    number.filter(|n| (1..=value.most).contains(n)).ok_or_else(|| {
                        format!(
                            "+{word} takes a whole number from 1 to {}: write for example +{word}=4",
                            value.most
                        )
                    })?
                }
            };
            spec.options = spec.options.set(option, number);
        }
        Ok(spec)
    }

    /// How the receiver of an event knows who sent it; `None` where it does not.
    pub fn authentication(&self) -> Option<String> {
        let (token, fields) = match self.transport {
            Transport::Webhook => ("in each request", "in headers"),
            Transport::LongPoll | Transport::Poll => ("in each request", "in the envelope"),
            Transport::Sse => ("in the request of the stream", "in the envelope"),
            Transport::Websocket | Transport::Tcp => ("in the handshake", "in the envelope"),
        };
        let token = self.has(ArmOption::Token).then(|| format!("bearer token {token}"));
        let signed = self.has(ArmOption::Signed);
        let signed = signed.then(|| format!("Standard Webhooks v1 signature {fields}"));
        let both: Vec<String> = token.into_iter().chain(signed).collect();
        (!both.is_empty()).then(|| both.join(", "))
    }

    /// The left side with the options that a server has a part in that takes events, as `pushbench serve`
    /// reads it.
    pub fn at_receiver(&self) -> String {
        self.left(ArmOption::at_receiver)
    }

    fn left(&self, with: impl Fn(ArmOption) -> bool) -> String {
        format!("{}{}", self.transport.name(), self.options.written(with))
    }
}

impl fmt::Display for ArmSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.left(|_| true), self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_options_is_read_as_it_is_written() {
        for transport in ALL {
            for bits in 0..1 << ArmOption::ALL.len() {
                let chosen = ArmOption::ALL.into_iter().filter(|o| bits & o.bit() != 0);
                let options = chosen.fold(ArmOptions::default(), |set, o| set.set(o, 7));
                let spec = ArmSpec { options, ..ArmSpec::plain(transport, "a@b+c") };
                let written = spec.to_string();
                assert_eq!(ArmSpec::parse(&written).unwrap(), spec, "{written}");
                let served = ArmSpec::parse_left(&spec.at_receiver(), "a@b+c").unwrap();
                assert_eq!(served.transport, transport, "{written}");
                for option in ArmOption::ALL {
                    assert_eq!(served.has(option), spec.has(option) && option.at_receiver());
                }
            }
        }
        let swapped = ArmSpec::parse("webhook+stuck+callback@x").unwrap();
        assert_eq!(swapped.to_string(), "webhook+callback+stuck@x");
        assert_eq!(swapped.without(ArmOption::Stuck).to_string(), "webhook+callback@x");
    }

    #[test]
    fn every_arm_has_as_many_events_in_flight_as_the_scenario() {
        let slots = |left, count, in_flight| {
            ArmSpec::parse_left(left, "x").unwrap().slots(false, count, in_flight)
        };
        for (left, of_one, of_two) in [
            ("webhook", (16, 1), (32, 1)),
            ("websocket", (1, 16), (2, 16)),
            ("webhook+h2", (1, 16), (2, 16)),
            ("webhook+h2+connections=4", (4, 4), (4, 8)),
            ("webhook+h2+connections=64", (16, 1), (32, 1)),
            ("webhook+batch=64", (1, 16), (1, 32)),
            ("webhook+batch=8", (2, 8), (4, 8)),
            ("websocket+connections=8", (8, 2), (8, 4)),
            ("websocket+connections=6", (4, 4), (4, 8)),
            ("webhook+batch=7", (4, 4), (8, 4)),
            ("webhook+batch=8+connections=4", (4, 4), (4, 8)),
            ("webhook+batch=4+connections=2", (4, 4), (8, 4)),
        ] {
            assert_eq!((slots(left, 1, 16), slots(left, 2, 16)), (of_one, of_two), "{left}");
        }
        let publisher = ArmSpec::plain(Transport::Websocket, "x").slots(true, 2, 16);
        assert_eq!(publisher, (32, 1), "a publisher is sent events by POST");
    }

    #[test]
    fn what_is_no_arm_is_refused_with_what_there_is() {
        for (name, why) in [
            ("webhook", "TRANSPORT@TARGET"),
            ("webhook@", "TRANSPORT@TARGET"),
            ("webhok@builtin", "did you mean \"webhook\""),
            ("webhook+calback@builtin", "did you mean \"callback\""),
            ("webhook+@builtin", "there are tls, h2, connections=N, batch=N, token,"),
            ("webhook+batch@builtin", "+batch takes a whole number from 1 to 1000"),
            ("webhook+batch=0@builtin", "write for example +batch=4"),
            ("webhook+batch=1001@builtin", "from 1 to 1000"),
            ("webhook+h2=4@builtin", "+h2 takes no number: write +h2"),
            ("webhook+stuck+stuck@builtin", "+stuck is given twice"),
        ] {
            let message = ArmSpec::parse(name).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("--arm {name}: ")) && message.contains(why),
                "{message}"
            );
        }
    }
}
