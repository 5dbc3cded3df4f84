//! The options of an arm: which go together and where each has a meaning, and what authentication adds to a target.

use pushbench_core::arm::{ArmOption, ArmSpec, BEARER_VARIABLE, SECRET_VARIABLE};
use pushbench_core::error::{Error, Result};
use pushbench_core::transport::Transport;
use pushbench_host::secrets;
use pushbench_sut::given::GIVEN;
use pushbench_sut::manifest::{BUILTIN, BUILTIN_CLOSE, BuiltinOptions, Manifest, OWN_FILE};
use pushbench_sut::publisher::SecretSource;
use pushbench_wire::signing::SigningKey;

/// Refuses options that have no meaning on an arm, alone or together.
pub(super) fn check_options(
    name: &str,
    spec: &ArmSpec,
    manifest: &Manifest,
    builtin: &BuiltinOptions,
) -> Result<()> {
    if manifest.http2_only && !spec.has(ArmOption::H2) {
        let mut http2 = spec.clone();
        http2.options = http2.options.with(ArmOption::H2);
        return Err(Error::usage(format!(
            "--arm {name}: {} speaks HTTP/2 only: write --arm {http2}",
            manifest.name
        )));
    }
    for option in spec.options.iter() {
        match option {
            ArmOption::Callback => check_callback(name, spec, manifest, builtin)?,
            ArmOption::Stuck => check_stuck(name, spec, builtin)?,
            ArmOption::Tls if manifest.tls.is_some() => {}
            ArmOption::Token | ArmOption::Signed => {
                check_authentication(name, spec, manifest, builtin, option)?;
            }
            ArmOption::H2 => check_http2(name, spec, manifest, builtin)?,
            ArmOption::Batch => check_batch(name, spec, manifest, builtin)?,
            ArmOption::Compressed => check_compressed(name, spec, builtin)?,
            ArmOption::Connections => check_connections(name, spec, builtin)?,
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

/// HTTP/2 carries webhooks, and server-sent events to subscribers.
fn check_http2(
    name: &str,
    spec: &ArmSpec,
    manifest: &Manifest,
    builtin: &BuiltinOptions,
) -> Result<()> {
    let (target, transport) = (&spec.target, spec.transport.name());
    let plain = spec.without(ArmOption::H2);
    let why = match spec.transport {
        Transport::Websocket => {
            format!("a WebSocket over HTTP/2 is not measured: write --arm {plain}")
        }
        Transport::Webhook if spec.has(ArmOption::Callback) => {
            format!("answers by callback come over HTTP/1.1: write --arm {plain}")
        }
        Transport::Webhook if builtin.publish.is_some() => format!(
            "webhooks to subscribers are delivered over HTTP/1.1: write --arm {plain}, or --arm sse+h2@{target}"
        ),
        Transport::Webhook | Transport::Sse if manifest.http2 || manifest.tls.is_some() => {
            return Ok(());
        }
        Transport::Webhook | Transport::Sse if target == GIVEN || manifest.is_shipped() => {
            format!("whether {target} speaks HTTP/2 without TLS is not known: write --arm {plain}")
        }
        Transport::Webhook | Transport::Sse => format!(
            "whether it speaks HTTP/2 without TLS is not known: write http_version = \"2\" in \
             [target.{target}.{transport}] of {OWN_FILE}, or --arm {plain}"
        ),
        Transport::Tcp | Transport::LongPoll | Transport::Poll => {
            format!("{transport} is not measured over HTTP/2: write --arm {plain}")
        }
    };
    Err(Error::usage(format!("--arm {name}: +h2: {why}")))
}

/// A batch is a webhook with several events.
fn check_batch(
    name: &str,
    spec: &ArmSpec,
    manifest: &Manifest,
    builtin: &BuiltinOptions,
) -> Result<()> {
    let target = &spec.target;
    let plain = spec.without(ArmOption::Batch);
    let why = if spec.transport != Transport::Webhook {
        format!("only a webhook carries batches: write --arm {plain}")
    } else if builtin.publish.is_some() {
        format!("deliveries to subscribers are not batched: write --arm {plain}")
    } else if spec.has(ArmOption::Callback) {
        format!("a question with a callback is asked alone: write --arm {plain}")
    } else if spec.has(ArmOption::H2) {
        format!(
            "a batch is what a sender does instead of many requests in flight: write --arm {plain}, or --arm {}",
            spec.without(ArmOption::H2)
        )
    } else if manifest.batches
        && (manifest.match_left_out
            || manifest.request_options.answer.is_some()
            || !manifest.matched().tells_ids())
    {
        format!(
            "each entry of the answer names its event: write match = \"id\" in [target.{target}.webhook] of \
             {OWN_FILE}, without answer, or --arm {plain}"
        )
    } else if manifest.batches {
        return Ok(());
    } else if target == GIVEN || manifest.is_shipped() {
        format!("whether {target} takes batches is not known: write --arm {plain}")
    } else {
        format!(
            "whether it takes a JSON array of events is not known: write batch = true in [target.{target}.webhook] of \
             {OWN_FILE}, or --arm {plain}"
        )
    };
    Err(Error::usage(format!("--arm {name}: +batch: {why}")))
}

/// What is compressed is a message of a WebSocket or the body of a webhook.
fn check_compressed(name: &str, spec: &ArmSpec, builtin: &BuiltinOptions) -> Result<()> {
    let plain = spec.without(ArmOption::Compressed);
    let why = match spec.transport {
        Transport::Websocket => return Ok(()),
        Transport::Webhook if spec.has(ArmOption::Callback) => {
            format!("answers by callback are not compressed: write --arm {plain}")
        }
        Transport::Webhook if builtin.publish.is_some() => {
            format!("deliveries by webhook are not compressed: write --arm {plain}")
        }
        Transport::Webhook => return Ok(()),
        Transport::Tcp | Transport::Sse | Transport::LongPoll | Transport::Poll => {
            format!("{} is not compressed: write --arm {plain}", spec.transport.name())
        }
    };
    Err(Error::usage(format!("--arm {name}: +compressed: {why}")))
}

/// In a fan-out a subscriber has its own connection, and in HTTP/1.1 an unanswered event has.
fn check_connections(name: &str, spec: &ArmSpec, builtin: &BuiltinOptions) -> Result<()> {
    let plain = spec.without(ArmOption::Connections);
    let shares = spec.has(ArmOption::H2) || spec.has(ArmOption::Batch);
    let why = if builtin.publish.is_some() {
        "here subscribers have a connection each, as many as subscribers.count says"
    } else if spec.transport == Transport::Webhook && !shares {
        "over HTTP/1.1 a connection has one unanswered event, so that there are as many as events in flight"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("--arm {name}: +connections: {why}: write --arm {plain}")))
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
    } else if manifest.secret.is_none() && target == GIVEN {
        format!(
            "its key is not known: leave --webhook, --websocket and --command out, describe the server as {table} in \
             {OWN_FILE} with secret = \"${{NAME}}\" (`pushbench init` writes an example), or write --arm {plain}"
        )
    } else if manifest.secret.is_none() && manifest.is_shipped() {
        format!("the shipped {target} does not verify signatures: write --arm {plain}")
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
pub(super) fn authenticate(
    spec: &ArmSpec,
    manifest: &mut Manifest,
    secrets: &SecretSource,
) -> Result<()> {
    if spec.has(ArmOption::Token) {
        let token = new_secret((BEARER_VARIABLE, spec), manifest, secrets)?;
        match &mut manifest.publisher {
            Some(publisher) => publisher.deliveries.bearer = Some(format!("Bearer {token}")),
            None => manifest.add_token(&token),
        }
    }
    if spec.has(ArmOption::Signed) {
        let secret = match manifest.secret.clone() {
            Some(own) => own,
            None => new_secret((SECRET_VARIABLE, spec), manifest, secrets)?,
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
fn new_secret(
    (variable, spec): (&str, &ArmSpec),
    manifest: &mut Manifest,
    source: &SecretSource,
) -> Result<String> {
    let secret = source.secret(&format!("{variable} {spec}"))?;
    secrets::register(variable, &secret);
    manifest.env.push((variable.to_owned(), secret.clone()));
    Ok(secret)
}

/// A target that is reached over TLS delivers and answers over TLS, and must trust who takes it.
pub(super) fn check_listener(name: &str, spec: &ArmSpec, manifest: &Manifest) -> Result<()> {
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
pub(super) fn nameless_answers(target: &str) -> String {
    format!(
        "a callback is matched to its question by id, but answers of {target} are matched by order: write \
         match = \"id\" in its description if they contain the id, or --arm webhook@{target}"
    )
}
