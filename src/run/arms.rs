//! Arms by name: `webhook@builtin`, `websocket@websockets`, repeated ones numbered.

use crate::verify::Subject;
use pushbench_core::error::{Error, Result};
use pushbench_core::publishing::Keep;
use pushbench_core::scenario::{Flow, Scenario, Subscribers};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::transport::{ALL, CARRIERS, Carrier, Transport};
use pushbench_sut::manifest;
use pushbench_sut::manifest::{BUILTIN, BUILTIN_CLOSE, BuiltinOptions, Manifest};
use pushbench_sut::publisher;

/// The default arms: the question in its purest form.
pub const DEFAULT: [&str; 2] = ["webhook@builtin", "websocket@builtin"];
/// Those of an idle flow: a kept connection costs something, none at all costs the next delivery.
const DEFAULT_IDLE: [&str; 3] = ["webhook@builtin", "webhook@builtin-close", "websocket@builtin"];
/// Those of a duplex: an answer by webhook comes back in two ways.
const DEFAULT_DUPLEX: [&str; 3] =
    ["webhook@builtin", "webhook+callback@builtin", "websocket@builtin"];

/// What an arm's transport is followed by where the arm differs in one thing from the plain one, which
/// is no other transport and no other target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// `webhook+callback@…`: answers come back by a callback.
    CalledBack,
    /// `websocket+stuck@…`: one more of the subscribers is stuck, beside an arm in which it is healthy.
    Stuck,
}

impl Variant {
    const ALL: [Variant; 2] = [Variant::CalledBack, Variant::Stuck];

    fn suffix(self) -> &'static str {
        match self {
            Variant::CalledBack => "+callback",
            Variant::Stuck => "+stuck",
        }
    }
}

/// The default arms of a flow.
pub fn default_of(flow: Flow) -> &'static [&'static str] {
    match flow {
        Flow::Idle => &DEFAULT_IDLE,
        Flow::Duplex => &DEFAULT_DUPLEX,
        Flow::Ingest | Flow::Fanout => &DEFAULT,
    }
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
    /// In what it differs from the plain one of that name.
    pub variant: Option<Variant>,
}

impl Arm {
    /// Its answers come back by a callback.
    pub fn called_back(&self) -> bool {
        self.variant == Some(Variant::CalledBack)
    }

    /// One of its subscribers is stuck that the scenario's other arms have healthy.
    pub fn stuck(&self) -> bool {
        self.variant == Some(Variant::Stuck)
    }

    /// Its subscribers, where the scenario has any.
    pub fn subscribers(&self, scenario: &Scenario) -> Option<Subscribers> {
        let mut subscribers = scenario.subscribers.clone()?;
        subscribers.stuck += usize::from(self.stuck());
        Some(subscribers)
    }

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
        let (plain, variant) = without_variant(name);
        let (transport, target) = split(&plain)?;
        if builtin.publish.is_none() && transport.carrier().is_none() {
            return Err(takes_nothing(name, transport));
        }
        let manifest = match target {
            BUILTIN => Manifest::builtin(transport.name(), builtin),
            BUILTIN_CLOSE => closing(name, transport, builtin)?,
            other if let Some(publish) = &builtin.publish => {
                publisher::find(transport.name(), other, allow_hosts, publish)?
            }
            other => manifest::find(transport.name(), other, allow_hosts)?,
        };
        match variant {
            Some(Variant::CalledBack) => check_callback(name, transport, &manifest, builtin)?,
            Some(Variant::Stuck) => check_stuck(name, &plain, builtin)?,
            None => {}
        }
        let same =
            |a: &&Arm| a.transport == transport && a.target == target && a.variant == variant;
        let repeats = arms.iter().filter(same).count();
        let label = match repeats {
            0 => name.clone(),
            n => format!("{name}#{}", n + 1),
        };
        arms.push(Arm { label, transport, target: target.to_owned(), manifest, variant });
    }
    Ok(arms)
}

/// The name of the arm without its variant, and the variant.
fn without_variant(name: &str) -> (String, Option<Variant>) {
    let found = name.split_once('@').and_then(|(transport, target)| {
        let of =
            |v: Variant| Some((format!("{}@{target}", transport.strip_suffix(v.suffix())?), v));
        Variant::ALL.into_iter().find_map(of)
    });
    found.map_or_else(|| (name.to_owned(), None), |(plain, variant)| (plain, Some(variant)))
}

/// Who is stuck must be subscribed to something.
fn check_stuck(name: &str, plain: &str, builtin: &BuiltinOptions) -> Result<()> {
    match builtin.publish {
        Some(_) => Ok(()),
        None => Err(Error::usage(format!(
            "--arm {name}: a subscriber is stuck in it, and this scenario has none: write pushbench run \
             fanout --arm {plain} --arm {name}, or --arm {plain}"
        ))),
    }
}

/// A callback is a webhook, it answers a question, and its answer names it.
fn check_callback(
    name: &str,
    transport: Transport,
    manifest: &Manifest,
    builtin: &BuiltinOptions,
) -> Result<()> {
    let target = &manifest.name;
    let plain = transport.name();
    let called_back = format!("--arm webhook{}@{target}", Variant::CalledBack.suffix());
    let why = if builtin.answer.is_none() {
        format!(
            "a callback answers a question, and this scenario asks none: write pushbench run duplex \
             {called_back}, or --arm {plain}@{target}"
        )
    } else if transport != Transport::Webhook {
        format!("a callback is a webhook: write {called_back}")
    } else if !manifest.matched().tells_ids() {
        format!(
            "only the id binds an answer to its question, and those of {target} are matched by order: write \
             match = \"id\" in its description if they carry the id, or --arm webhook@{target}"
        )
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("--arm {name}: {why}")))
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
    let carriers = CARRIERS.map(|carrier| format!("--arm {}@{BUILTIN}", carrier.name()));
    Error::usage(format!(
        "--arm {name}: {0} brings events to subscribers, no target is sent any by it: write pushbench run \
         fanout --arm {0}@{BUILTIN}, or {1}",
        transport.name(),
        carriers.join(", ")
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
