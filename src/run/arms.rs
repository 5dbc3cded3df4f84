//! Arms by name: `webhook@builtin`, `websocket@websockets`, repeated ones numbered.

use crate::error::{Error, Result};
use crate::scenario::Flow;
use crate::suggest::did_you_mean;
use crate::target::manifest::{self, BUILTIN, BUILTIN_CLOSE, BuiltinOptions, Manifest};
use crate::transport::publisher::Keep;
use crate::transport::{ALL, CARRIERS, Carrier, Transport};
use crate::verify::Subject;

/// The default arms: the question in its purest form.
pub const DEFAULT: [&str; 2] = ["webhook@builtin", "websocket@builtin"];
/// Those of an idle flow: a kept connection costs something, none at all costs the next delivery.
const DEFAULT_IDLE: [&str; 3] = ["webhook@builtin", "webhook@builtin-close", "websocket@builtin"];

/// The default arms of a flow.
pub fn default_of(flow: Flow) -> &'static [&'static str] {
    if flow == Flow::Idle { &DEFAULT_IDLE } else { &DEFAULT }
}

/// One arm.
#[derive(Debug, Clone)]
pub struct Arm {
    /// Its name in reports.
    pub label: String,
    /// How events travel.
    pub transport: Transport,
    /// The target's name.
    pub target: String,
    /// The program.
    pub manifest: Manifest,
}

impl Arm {
    /// How events travel from the driver: to a publisher by POST, whatever it delivers by.
    pub fn carrier(&self) -> Carrier {
        self.transport.carrier_to(self.manifest.publisher.is_some())
    }

    /// The arm as `verify` looks at it.
    pub fn subject(&self) -> Subject<'_> {
        Subject { label: &self.label, carrier: self.carrier(), manifest: &self.manifest }
    }
}

/// Finds the arms of these names. Nothing is started or set up.
pub fn find(
    names: &[String],
    builtin: &BuiltinOptions,
    allow_hosts: &[String],
) -> Result<Vec<Arm>> {
    let mut arms: Vec<Arm> = Vec::new();
    for name in names {
        let (transport, target) = split(name)?;
        if builtin.publish.is_none() && transport.carrier().is_none() {
            return Err(takes_nothing(name, transport));
        }
        let manifest = match target {
            BUILTIN => Manifest::builtin(transport.name(), builtin),
            BUILTIN_CLOSE => closing(name, transport, builtin)?,
            other if builtin.publish.is_some() => return Err(cannot_publish(name, other)),
            other => manifest::find(transport.name(), other, allow_hosts)?,
        };
        let repeats =
            arms.iter().filter(|a| a.transport == transport && a.target == target).count();
        let label = match repeats {
            0 => name.clone(),
            n => format!("{name}#{}", n + 1),
        };
        arms.push(Arm { label, transport, target: target.to_owned(), manifest });
    }
    Ok(arms)
}

/// The publisher without kept connections.
fn closing(name: &str, transport: Transport, builtin: &BuiltinOptions) -> Result<Manifest> {
    let mut options = builtin.clone();
    match &mut options.publish {
        Some(publish) if transport == Transport::Webhook => publish.keep = Keep::Never,
        Some(_) => {
            return Err(Error::usage(format!(
                "--arm {name}: {BUILTIN_CLOSE} closes a webhook's connection after each delivery; write \
                 webhook@{BUILTIN_CLOSE}, or {}@{BUILTIN}",
                transport.name()
            )));
        }
        None => {
            return Err(Error::usage(format!(
                "--arm {name}: {BUILTIN_CLOSE} is a publisher, for the scenarios fanout and idle; write \
                 {}@{BUILTIN}",
                transport.name()
            )));
        }
    }
    Ok(Manifest::builtin(transport.name(), &options))
}

fn takes_nothing(name: &str, transport: Transport) -> Error {
    let target = name.split_once('@').map_or(BUILTIN, |(_, target)| target);
    let carriers = CARRIERS.map(|carrier| format!("--arm {}@{target}", carrier.name()));
    Error::usage(format!(
        "--arm {name}: {} brings events to subscribers, no target is sent any by it: write pushbench run \
         fanout --arm {name}, or {}",
        transport.name(),
        carriers.join(", ")
    ))
}

fn cannot_publish(name: &str, target: &str) -> Error {
    Error::usage(format!(
        "--arm {name}: a fan-out needs a target that publishes, and {target} does not: write {}@{BUILTIN}",
        name.split('@').next().unwrap_or_default()
    ))
}

fn split(name: &str) -> Result<(Transport, &str)> {
    let transports = || ALL.map(Transport::name);
    let Some((transport, target)) = name.split_once('@').filter(|(_, t)| !t.is_empty()) else {
        return Err(Error::usage(format!(
            "--arm {name}: an arm is TRANSPORT@TARGET, for example --arm webhook@builtin"
        )));
    };
    let found = Transport::named(transport).ok_or_else(|| {
        Error::usage(format!(
            "--arm {name}: no transport is called {transport:?}{}; there are {}",
            did_you_mean(transport, transports()),
            transports().join(", ")
        ))
    })?;
    Ok((found, target))
}
