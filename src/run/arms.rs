//! Arms by name: `webhook@builtin`, `websocket@websockets`, repeated ones numbered.

use crate::run::arm_options::{authenticate, check_listener, check_options, nameless_answers};
use crate::verify;
use crate::verify::{Subject, VerifyContext};
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::error::{Error, Result};
use pushbench_core::publishing::Keep;
use pushbench_core::scenario::{Compression, Flow, Question, Scenario, Subscribers};
use pushbench_core::transport::{CARRIERS, Carrier, Transport};
use pushbench_host::cpus::Placement;
use pushbench_sut::given::{GIVEN, Given};
use pushbench_sut::manifest;
use pushbench_sut::manifest::{BUILTIN, BUILTIN_CLOSE, BuiltinOptions, Manifest, PORT};
use pushbench_sut::publisher;
use pushbench_sut::publisher::{PublishOptions, SecretSource, new_token};
use pushbench_sut::setup;
use std::time::Duration;

/// The default arms: the question in its purest form.
pub const DEFAULT: [&str; 2] = ["webhook@builtin", "websocket@builtin"];
/// Those of an idle flow: a kept connection costs something, none at all costs the next delivery.
const DEFAULT_IDLE: [&str; 3] = ["webhook@builtin", "webhook@builtin-close", "websocket@builtin"];
/// Those of a duplex: an answer by webhook comes back in two ways.
const DEFAULT_DUPLEX: [&str; 3] =
    ["webhook@builtin", "webhook+callback@builtin", "websocket@builtin"];

/// The default arms of a flow.
pub(crate) fn default_of(flow: Flow) -> &'static [&'static str] {
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
    /// Transport, options and target.
    pub spec: ArmSpec,
    /// The program.
    pub manifest: Manifest,
}

impl Arm {
    /// Its answers come back by a callback.
    pub fn called_back(&self) -> bool {
        self.spec.has(ArmOption::Callback)
    }

    /// Its target is not the built-in one.
    pub(crate) fn is_foreign(&self) -> bool {
        ![BUILTIN, BUILTIN_CLOSE].contains(&self.spec.target.as_str())
    }

    /// One of its subscribers is stuck that the scenario's other arms have healthy.
    pub fn stuck(&self) -> bool {
        self.spec.has(ArmOption::Stuck)
    }

    /// Its subscribers, where the scenario has any.
    pub fn subscribers(&self, scenario: &Scenario) -> Option<Subscribers> {
        let mut subscribers = scenario.subscribers.clone()?;
        subscribers.stuck += usize::from(self.stuck());
        Some(subscribers)
    }

    /// How events travel from the driver: to a publisher by POST, whatever it delivers by.
    pub fn carrier(&self) -> Carrier {
        self.spec.transport.carrier_to(self.manifest.publisher.is_some())
    }

    /// The arm as `verify` looks at it.
    pub fn subject(&self) -> Subject<'_> {
        let authentication = self.spec.authentication();
        let (label, carrier, manifest) = (&self.label, self.carrier(), &self.manifest);
        let (http2, batches) = (self.spec.has(ArmOption::H2), self.spec.has(ArmOption::Batch));
        Subject { label, carrier, http2, manifest, authentication, batches }
    }
}

/// How built-in servers are started for a scenario.
pub(crate) fn builtin(question: &Question, placement: &Placement) -> Result<BuiltinOptions> {
    let scenario = question.points.first().map(|p| &p.scenario);
    let publish = scenario.and_then(|s| {
        let subscribers = s.subscribers.as_ref()?;
        let publisher = &subscribers.publisher;
        Some(new_token().map(|token| PublishOptions {
            types: subscribers.types(s.payload.kind()),
            acknowledged: subscribers.acknowledged,
            poll_interval: subscribers.poll_interval,
            long_poll_hold: subscribers.long_poll_hold,
            token,
            queue: publisher.queue,
            timeout: publisher.timeout,
            keep: publisher.keep_alive.map_or(Keep::Always, Keep::For),
            subscribers: subscribers.count,
        }))
    });
    let threads = placement.target.len();
    let asks = scenario.and_then(|s| s.questions.as_ref());
    Ok(BuiltinOptions {
        threads,
        delay: asks.map(|q| q.takes).filter(|takes| !takes.is_zero()),
        work: None,
        answer: asks.map(|q| q.answer_bytes),
        publish: publish.transpose()?,
        secrets: SecretSource::default(),
    })
}

/// Finds the arms of these names; `given` is a target that options describe. Nothing is started or set up.
pub fn find(
    names: &[String],
    builtin: &BuiltinOptions,
    allow_hosts: &[String],
    given: Option<&Given>,
) -> Result<Vec<Arm>> {
    let mut arms: Vec<Arm> = Vec::new();
    for name in names {
        let spec = ArmSpec::parse(name)?;
        let transport = spec.transport;
        if builtin.publish.is_none() && transport.carrier().is_none() {
            return Err(takes_nothing(name, transport));
        }
        let manifest = match given.filter(|_| spec.target == GIVEN) {
            Some(_) if builtin.publish.is_some() => return Err(subscribes_nobody(transport)),
            Some(given) => ready_for(name, &spec, given.manifest(&spec)?, builtin)?,
            None => find_one(name, &spec, builtin, allow_hosts)?,
        };
        let same = |a: &&Arm| a.spec == spec;
        let repeats = arms.iter().filter(same).count();
        let label = match repeats {
            0 => name.clone(),
            n => format!("{name}#{}", n + 1),
        };
        let arm = Arm { label, spec, manifest };
        check_port(&arm, &arms)?;
        arms.push(arm);
    }
    Ok(arms)
}

/// The target of one arm, with what its options need.
pub(crate) fn find_one(
    name: &str,
    spec: &ArmSpec,
    builtin: &BuiltinOptions,
    allow_hosts: &[String],
) -> Result<Manifest> {
    let manifest = match spec.target.as_str() {
        BUILTIN => Manifest::builtin(spec, builtin),
        BUILTIN_CLOSE => closing(name, spec, builtin)?,
        _ => match &builtin.publish {
            Some(publish) => publisher::find(spec, allow_hosts, publish)?,
            None => manifest::find(spec, allow_hosts)?,
        },
    };
    ready_for(name, spec, manifest, builtin)
}

fn ready_for(
    name: &str,
    spec: &ArmSpec,
    mut manifest: Manifest,
    builtin: &BuiltinOptions,
) -> Result<Manifest> {
    check_options(name, spec, &manifest, builtin)?;
    authenticate(spec, &mut manifest, &builtin.secrets)?;
    if spec.has(ArmOption::Compressed) {
        manifest = manifest.with_compression(Compression::default());
    }
    check_listener(name, spec, &manifest)?;
    Ok(manifest)
}

/// The programs of all arms run at the same time.
fn check_port(arm: &Arm, others: &[Arm]) -> Result<()> {
    let Some(port) = arm.manifest.fixed_port() else { return Ok(()) };
    match others.iter().find(|other| other.manifest.fixed_port() == Some(port)) {
        Some(other) => Err(Error::usage(format!(
            "{}: its program listens on port {port}, and so does that of {}, which runs at the same time: write \
             {PORT} in command and URL, so that each gets a port of its own, or start one server yourself and leave \
             the command out",
            arm.label, other.label
        ))),
        None => Ok(()),
    }
}

/// A URL alone does not say how subscribers reach a publisher.
fn subscribes_nobody(transport: Transport) -> Error {
    let t = transport.name();
    Error::usage(format!(
        "--{t}: this scenario delivers events to subscribers, and a URL does not say how they subscribe: \
         describe the publisher in pushbench.toml as [target.NAME.{t}] with publish and subscribe \
         (targets/PROTOCOL.md), and write --arm {t}@NAME; or measure how the server receives events: `pushbench \
         run ingest` takes this URL"
    ))
}

/// Sets up what the targets need, once, and finds out how their answers are matched where no description
/// says it.
pub fn prepare(
    arms: &mut [Arm],
    context: &VerifyContext<'_>,
    timeout: Duration,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    for arm in &*arms {
        setup::ensure(&arm.manifest, context.interrupt, say)?;
    }
    let mut open: Vec<&mut Arm> =
        arms.iter_mut().filter(|arm| arm.manifest.match_left_out).collect();
    let subjects: Vec<Subject<'_>> = open.iter().map(|arm| arm.subject()).collect();
    let settled = verify::settle_matching(&subjects, context, timeout)?;
    for (arm, (manifest, found)) in open.iter_mut().zip(settled) {
        say(&found);
        if arm.called_back() && !manifest.matched().tells_ids() {
            let why = nameless_answers(&manifest.name);
            return Err(Error::usage(format!("--arm {}: {why}", arm.label)));
        }
        arm.manifest = manifest;
    }
    Ok(())
}

/// The publisher without kept connections.
fn closing(name: &str, spec: &ArmSpec, builtin: &BuiltinOptions) -> Result<Manifest> {
    let transport = spec.transport;
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
    Ok(Manifest::builtin(spec, &options))
}

fn takes_nothing(name: &str, transport: Transport) -> Error {
    let carriers = CARRIERS.map(|carrier| format!("--arm {}@{BUILTIN}", carrier.name()));
    Error::usage(format!(
        "--arm {name}: {0} only delivers events to subscribers and cannot send events to a target: write pushbench run \
         fanout --arm {name}, or {1}",
        transport.name(),
        carriers.join(", ")
    ))
}

#[cfg(test)]
#[path = "arms_tests.rs"]
mod tests;
