//! Arms by name: `webhook@builtin`, `websocket@websockets`, repeated ones numbered.

use crate::verify;
use crate::verify::{Subject, VerifyContext};
use pushbench_core::arm::{ArmOption, ArmSpec, BEARER_VARIABLE, SECRET_VARIABLE};
use pushbench_core::error::{Error, Result};
use pushbench_core::publishing::Keep;
use pushbench_core::scenario::{Flow, Scenario, Subscribers};
use pushbench_core::transport::{CARRIERS, Carrier, Transport};
use pushbench_host::secrets;
use pushbench_sut::given::{GIVEN, Given};
use pushbench_sut::manifest;
use pushbench_sut::manifest::{BUILTIN, BUILTIN_CLOSE, BuiltinOptions, Manifest, OWN_FILE, PORT};
use pushbench_sut::publisher;
use pushbench_sut::setup;
use pushbench_wire::signing::SigningKey;
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

    /// Most unanswered events that one connection holds.
    pub fn depth_limit(&self) -> Option<usize> {
        self.spec.depth_limit(self.manifest.publisher.is_some())
    }

    /// The arm as `verify` looks at it.
    pub fn subject(&self) -> Subject<'_> {
        let authentication = self.spec.authentication();
        let (label, carrier, manifest) = (&self.label, self.carrier(), &self.manifest);
        Subject { label, carrier, manifest, authentication }
    }
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
    authenticate(spec, &mut manifest)?;
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

/// Refuses options that have no meaning on an arm, alone or together.
fn check_options(
    name: &str,
    spec: &ArmSpec,
    manifest: &Manifest,
    builtin: &BuiltinOptions,
) -> Result<()> {
    for option in spec.options.iter() {
        match option {
            ArmOption::Callback => check_callback(name, spec, manifest, builtin)?,
            ArmOption::Stuck => check_stuck(name, spec, builtin)?,
            ArmOption::Tls if manifest.tls.is_some() => {}
            ArmOption::Token | ArmOption::Signed => {
                check_authentication(name, spec, manifest, builtin, option)?;
            }
            ArmOption::Tls => {
                let plain = spec.without(option);
                return Err(Error::usage(format!(
                    "--arm {name}: +{} is not available there: write --arm {plain}",
                    option.name()
                )));
            }
        }
    }
    Ok(())
}

/// Who authenticates needs something to show, and somebody who checks it.
fn check_authentication(
    name: &str,
    spec: &ArmSpec,
    manifest: &Manifest,
    builtin: &BuiltinOptions,
    option: ArmOption,
) -> Result<()> {
    let (target, transport) = (&spec.target, spec.transport.name());
    let table = format!("[target.{target}.{transport}]");
    let plain = spec.without(option);
    let why = if spec.has(ArmOption::Callback) {
        format!(
            "answers by callback are not authenticated: write --arm {}, whose answers come in the response, or \
             --arm {}",
            spec.without(ArmOption::Callback),
            spec.without(ArmOption::Token).without(ArmOption::Signed)
        )
    } else if option == ArmOption::Token && spec.transport == Transport::Tcp {
        format!(
            "tcp has no headers for a token: write --arm tcp+signed@{BUILTIN}, or --arm websocket+token@{BUILTIN}"
        )
    } else if option == ArmOption::Token
        && builtin.publish.is_some()
        && spec.transport != Transport::Webhook
    {
        format!(
            "subscribers over {transport} present the token of the run in any case: write --arm {plain}, or --arm \
             webhook+token@{BUILTIN}"
        )
    } else if [BUILTIN, BUILTIN_CLOSE].contains(&target.as_str()) {
        return Ok(());
    } else if builtin.publish.is_some() {
        format!("only the built-in publisher authenticates its deliveries: write --arm {plain}")
    } else if option == ArmOption::Token {
        format!(
            "the token of {target} stands in its description: write --arm {plain}, and in {table} headers = \
             {{ Authorization = \"Bearer ${{NAME}}\" }}"
        )
    } else if manifest.secret.is_none() {
        format!(
            "its key is not known: write secret = \"${{NAME}}\" in {table} of {OWN_FILE}, or --arm {plain}"
        )
    } else if manifest.request_options.wrap.is_some() {
        format!(
            "its messages are wrapped already: remove wrap from {table}, or write --arm {plain}"
        )
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("--arm {name}: +{}: {why}", option.name())))
}

/// What its sender authenticates with: in requests or messages of the driver, and in the environment of the
/// built-in server.
fn authenticate(spec: &ArmSpec, manifest: &mut Manifest) -> Result<()> {
    if spec.has(ArmOption::Token) {
        let token = new_secret(BEARER_VARIABLE, manifest)?;
        match &mut manifest.publisher {
            Some(publisher) => publisher.deliveries.bearer = Some(format!("Bearer {token}")),
            None => manifest.add_token(&token),
        }
    }
    if spec.has(ArmOption::Signed) {
        let secret = match manifest.secret.clone() {
            Some(own) => own,
            None => new_secret(SECRET_VARIABLE, manifest)?,
        };
        let key = SigningKey::parse(&secret).map_err(Error::harness)?;
        if let Some(publisher) = &mut manifest.publisher {
            publisher.deliveries.signing = Some(key);
            return Ok(());
        }
        let carrier = spec.transport.carrier_to(false);
        manifest.request_options =
            std::mem::take(&mut manifest.request_options).signed(key, carrier);
    }
    Ok(())
}

/// A secret of this run, which the program reads from a variable.
fn new_secret(variable: &str, manifest: &mut Manifest) -> Result<String> {
    let secret = publisher::new_token()?;
    secrets::register(variable, &secret);
    manifest.env.push((variable.to_owned(), secret.clone()));
    Ok(secret)
}

/// A target that is reached over TLS delivers and answers over TLS, and must trust who takes it.
fn check_listener(name: &str, spec: &ArmSpec, manifest: &Manifest) -> Result<()> {
    let connects = spec.transport == Transport::Webhook
        && (manifest.publisher.is_some() || spec.has(ArmOption::Callback));
    if !connects || manifest.tls.is_none() || manifest.trusts_the_driver() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "--arm {name}: {0} is reached over TLS, so that it POSTs over TLS, too, and nothing hands it the certificate to \
         trust: write {{ca}} in its command or env, a file of this run, for example env = {{ SSL_CERT_FILE = \
         \"{{ca}}\" }}; a server that is already running cannot be handed it: write the command that starts it, or \
         --arm {1}",
        manifest.name,
        ArmSpec { target: BUILTIN.to_owned(), ..spec.clone() }
    )))
}

/// Who is stuck must be subscribed to something.
fn check_stuck(name: &str, spec: &ArmSpec, builtin: &BuiltinOptions) -> Result<()> {
    let plain = spec.without(ArmOption::Stuck);
    match builtin.publish {
        Some(_) => Ok(()),
        None => Err(Error::usage(format!(
            "--arm {name}: it adds a stuck subscriber, but this scenario has no subscribers: write pushbench run \
             fanout --arm {plain} --arm {name}, or --arm {plain}"
        ))),
    }
}

/// A callback is a webhook, it answers a question, and its answer names it.
fn check_callback(
    name: &str,
    spec: &ArmSpec,
    manifest: &Manifest,
    builtin: &BuiltinOptions,
) -> Result<()> {
    let target = &manifest.name;
    let transport = spec.transport;
    let plain = transport.name();
    let called_back = format!("--arm webhook+{}@{target}", ArmOption::Callback.name());
    let why = if builtin.answer.is_none() {
        format!(
            "a callback answers a question, but this scenario sends none: write pushbench run duplex \
             {called_back}, or --arm {plain}@{target}"
        )
    } else if transport != Transport::Webhook {
        format!("a callback is a webhook: write {called_back}")
    } else if !manifest.match_left_out && !manifest.matched().tells_ids() {
        nameless_answers(target)
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("--arm {name}: {why}")))
}

/// Why answers of this target are no callbacks.
fn nameless_answers(target: &str) -> String {
    format!(
        "a callback is matched to its question by id, but answers of {target} are matched by order: write \
         match = \"id\" in its description if they contain the id, or --arm webhook@{target}"
    )
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
