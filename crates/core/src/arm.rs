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
    /// Each request, or each handshake of a connection that carries many events, has a bearer token.
    Token,
    /// Each event is signed, as Standard Webhooks describes it.
    Signed,
    /// Answers come back by a callback.
    Callback,
    /// One more of the subscribers is stuck, beside an arm in which it is healthy.
    Stuck,
}

impl ArmOption {
    /// Every option there is.
    pub const ALL: [ArmOption; 5] = [
        ArmOption::Tls,
        ArmOption::Token,
        ArmOption::Signed,
        ArmOption::Callback,
        ArmOption::Stuck,
    ];

    /// The name in arms, without the plus sign.
    pub fn name(self) -> &'static str {
        match self {
            ArmOption::Tls => "tls",
            ArmOption::Token => "token",
            ArmOption::Signed => "signed",
            ArmOption::Callback => "callback",
            ArmOption::Stuck => "stuck",
        }
    }

    /// One line for `pushbench list options`.
    pub fn about(self) -> &'static str {
        match self {
            ArmOption::Tls => {
                "TLS 1.3 on every connection, with a certificate that is made for the run"
            }
            ArmOption::Token => {
                "a bearer token in each request, or once in the handshake of a connection that carries many events"
            }
            ArmOption::Signed => {
                "each event is signed as Standard Webhooks describes it, and verified"
            }
            ArmOption::Callback => "in a duplex: the answer to a webhook comes back by a callback",
            ArmOption::Stuck => "in a fan-out: one more of the subscribers is stuck",
        }
    }

    /// Whether a server that takes events has a part in it; else the driver and its subscribers alone.
    pub fn at_receiver(self) -> bool {
        match self {
            ArmOption::Tls | ArmOption::Token | ArmOption::Signed | ArmOption::Callback => true,
            ArmOption::Stuck => false,
        }
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of options; it is queried for each event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArmOptions(u32);

impl ArmOptions {
    /// Whether the option is among them.
    pub fn contains(self, option: ArmOption) -> bool {
        self.0 & option.bit() != 0
    }

    /// With one more.
    #[must_use]
    pub fn with(self, option: ArmOption) -> ArmOptions {
        ArmOptions(self.0 | option.bit())
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
        let others = self.options.iter().filter(|o| *o != option);
        ArmSpec { options: others.fold(ArmOptions::default(), ArmOptions::with), ..self.clone() }
    }

    /// Most unanswered events that one connection of the driver holds, if the protocol sets a limit. A
    /// publisher is sent events by POST.
    pub fn depth_limit(&self, publisher: bool) -> Option<usize> {
        match self.transport.carrier_to(publisher) {
            Carrier::Webhook => Some(1),
            Carrier::Websocket | Carrier::Tcp => None,
        }
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
            let options = || ArmOption::ALL.map(ArmOption::name);
            let Some(option) = ArmOption::ALL.into_iter().find(|o| o.name() == word) else {
                return Err(format!(
                    "no option is called {word:?}{}; there are {}",
                    did_you_mean(word, options()),
                    options().join(", ")
                ));
            };
            if spec.has(option) {
                return Err(format!("+{word} is given twice: remove one"));
            }
            spec.options = spec.options.with(option);
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
        let options = self.options.iter().filter(|option| with(*option));
        options.fold(self.transport.name().to_owned(), |left, option| left + "+" + option.name())
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
                let options = ArmOptions(bits);
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
    fn what_is_no_arm_is_refused_with_what_there_is() {
        for (name, why) in [
            ("webhook", "TRANSPORT@TARGET"),
            ("webhook@", "TRANSPORT@TARGET"),
            ("webhok@builtin", "did you mean \"webhook\""),
            ("webhook+calback@builtin", "did you mean \"callback\""),
            ("webhook+@builtin", "there are tls, token, signed, callback, stuck"),
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
