//! `pushbench serve`

mod guarantee;

use guarantee::GuaranteeOptions;
use pushbench_core::arm::{ArmOption, ArmSpec, BEARER_VARIABLE, SECRET_VARIABLE};
use pushbench_core::error::{Error, Result};
use pushbench_core::publishing::{self, Keep, TOKEN_VARIABLE};
use pushbench_core::scenario::KeyKind;
use pushbench_core::scenario::payload::{LEAST_ANSWER, MAX_BYTES};
use pushbench_core::transport::{CARRIERS, Carrier, Transport};
use pushbench_core::units;
use pushbench_host::input;
use pushbench_host::{console, secrets};
use pushbench_server::authentication::Authentication;
use pushbench_server::handler::Handler;
use pushbench_server::publisher;
use pushbench_server::serve::{ServeOptions, Work, serve};
use pushbench_sut::manifest::BUILTIN;
use pushbench_wire::endpoint::Scheme;
use pushbench_wire::signing::SigningKey;
use pushbench_wire::tls::certificates::Certificates;
use pushbench_wire::tls::{ClientTls, ServerTls};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The left side of an arm, TRANSPORT[+OPTION]: webhook, websocket or tcp; with --publisher also
    /// sse, long-poll or poll
    #[arg(value_name = "TRANSPORT")]
    arm: String,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: String,
    /// With +tls: PEM file of its certificate; --cert-out has one made instead
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// With +tls: PEM file of the certificate's private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// With +tls: writes the CA certificate here that clients must trust
    #[arg(long, value_name = "FILE", conflicts_with = "cert")]
    cert_out: Option<PathBuf>,
    /// PEM file of the certificates that a webhook server trusts when it delivers or answers to https:// addresses
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Sleeps this long per event
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    delay: Option<Duration>,
    /// Uses CPU for this long per event
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    work: Option<Duration>,
    /// Answers questions with this many bytes instead of acknowledging events; a webhook question whose
    /// callback-url header names an address of this machine is answered at that address
    #[arg(long, value_name = "BYTES", conflicts_with = "publisher", value_parser = an_answer)]
    duplex: Option<usize>,
    /// Runtime threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Publishes to subscribers instead of receiving events; the token is read from PUSHBENCH_TOKEN
    #[arg(long, conflicts_with_all = ["delay", "work"])]
    publisher: bool,
    /// Types of events that are published, separated by commas
    #[arg(
        long,
        value_name = "LIST",
        default_value = "event",
        requires = "publisher",
        value_delimiter = ','
    )]
    types: Vec<String>,
    /// Subscribers do not acknowledge (a webhook always does)
    #[arg(long, requires = "publisher")]
    unacknowledged: bool,
    /// Unsettled events allowed per subscriber; further events are rejected and counted
    #[arg(long, value_name = "N", default_value_t = publishing::QUEUE, requires = "publisher", value_parser = at_least_one)]
    queue: usize,
    /// Concurrent webhook deliveries
    #[arg(long, value_name = "N", default_value_t = publishing::CONCURRENCY, requires = "publisher", value_parser = at_least_one)]
    concurrency: usize,
    /// Longest time from the write of a delivery to its acknowledgement
    #[arg(long, value_name = "TIME", requires = "publisher", value_parser = units::parse_duration)]
    timeout: Option<Duration>,
    /// Time for which a long-poll request is held while there is no event
    #[arg(long, value_name = "TIME", requires = "publisher", value_parser = units::parse_duration)]
    hold: Option<Duration>,
    /// Closes a webhook's kept-alive connection after it was idle for this long
    #[arg(long, value_name = "TIME", requires = "publisher", value_parser = units::parse_duration)]
    keep_alive: Option<Duration>,
    /// Closes a webhook's connection after each delivery
    #[arg(long, requires = "publisher", conflicts_with = "keep_alive")]
    close: bool,
    /// Interval of pings to each WebSocket subscriber, at least 1s; a subscriber that does not answer is disconnected
    #[arg(long, value_name = "TIME", requires = "publisher", value_parser = ping)]
    ping: Option<Duration>,
    #[command(flatten)]
    guarantee: GuaranteeOptions,
}

fn ping(text: &str) -> std::result::Result<Duration, String> {
    let every = units::parse_duration(text)?;
    let fits = every >= Duration::from_secs(1);
    fits.then_some(every).ok_or_else(|| "write a duration of at least 1s".into())
}

fn an_answer(text: &str) -> std::result::Result<usize, String> {
    let bytes = text.parse().ok().filter(|n| (LEAST_ANSWER..=MAX_BYTES).contains(n));
    bytes.ok_or_else(|| format!("write a number of bytes from {LEAST_ANSWER} to {MAX_BYTES}"))
}

fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=1_000_000).contains(n))
        .ok_or_else(|| "write a whole number from 1 to 1000000".into())
}

pub fn run(args: &Args) -> Result<()> {
    let spec = ArmSpec::parse_left(&args.arm, BUILTIN).map_err(Error::usage)?;
    check_options(&spec, args)?;
    let transport = spec.transport;
    let listen: SocketAddr = args.listen.parse().map_err(|_| {
        Error::usage(format!(
            "--listen {}: not an address with a port; write for example --listen 127.0.0.1:8080",
            args.listen
        ))
    })?;
    let trusted = args.ca.as_deref().map(|ca| trusted(ca, args, transport)).transpose()?;
    let work = match (args.publisher, transport.carrier()) {
        (true, _) => publisher(args, &spec, trusted)?,
        (false, Some(carrier)) => {
            // A question by webhook may name a callback without the option, too.
            let options = match (carrier, args.duplex) {
                (Carrier::Webhook, Some(_)) => spec.options.with(ArmOption::Callback),
                _ => spec.options,
            };
            let (delay, work, answer) = (args.delay, args.work, args.duplex);
            let authentication = authentication(&spec, carrier)?;
            let receiver = args.guarantee.receiver(args.duplex.is_some())?;
            let handler = Handler { options, delay, work, answer, authentication, receiver };
            Work::Take(carrier, handler, trusted)
        }
        (false, None) => return Err(takes_nothing(transport)),
    };
    let (mut tls, ca) = tls(&spec, args, listen.ip())?.unzip();
    if spec.has(ArmOption::H2) {
        tls = tls.map(|tls| tls.with_http2());
    }
    let ca_out = args.cert_out.clone().zip(ca.flatten());
    pushbench_host::descriptors::raise_descriptors();
    serve(&ServeOptions { listen, threads: usize::from(args.threads), tls, ca_out, work })
}

/// The server's end of TLS, where the arm has it, and the certificate of the authority if it was made.
fn tls(spec: &ArmSpec, args: &Args, listen: IpAddr) -> Result<Option<(ServerTls, Option<String>)>> {
    let given = [("--cert", &args.cert), ("--key", &args.key), ("--cert-out", &args.cert_out)];
    if !spec.has(ArmOption::Tls) {
        return match given.into_iter().find(|(_, value)| value.is_some()) {
            None => Ok(None),
            Some((option, _)) => Err(Error::usage(format!(
                "{option}: this server has no TLS: write pushbench serve {}+tls",
                args.arm
            ))),
        };
    }
    let made = |e| Error::harness(format!("cannot make a certificate: {e}"));
    let (Some(cert), Some(key)) = (&args.cert, &args.key) else {
        let Some(path) = &args.cert_out else {
            return Err(Error::usage(format!(
                "serve {0}: its clients need a certificate to trust: write pushbench serve {0} --cert-out ca.pem, or \
                 --cert FILE --key FILE",
                args.arm
            )));
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Error::usage(format!(
                "--cert-out {}: there is no directory {}",
                path.display(),
                folder.display()
            )));
        }
        let certificates =
            Certificates::make(KeyKind::P256, &[listen.to_string()]).map_err(made)?;
        let own = ServerTls::new(&certificates.cert, &certificates.key).map_err(made)?;
        return Ok(Some((own, Some(certificates.ca))));
    };
    let (cert_text, key_text) = (text("--cert", cert)?, text("--key", key)?);
    ServerTls::new(&cert_text, &key_text).map(|own| Some((own, None))).map_err(|e| {
        Error::usage(format!(
            "--cert {} --key {}: {e}: name PEM files of a certificate chain and of its private key",
            cert.display(),
            key.display()
        ))
    })
}

fn text(option: &str, path: &Path) -> Result<String> {
    input::text(path, input::WRITTEN).map_err(|e| Error::usage(format!("{option}: {e}")))
}

/// Whom the server trusts at https:// addresses. All are addresses of this machine, whose certificate names
/// `localhost`: no certificate names the 127.1.0.1, 127.1.0.2 … of many subscribers.
fn trusted(ca: &Path, args: &Args, transport: Transport) -> Result<ClientTls> {
    if transport != Transport::Webhook || !args.publisher && args.duplex.is_none() {
        return Err(Error::usage(format!(
            "--ca {}: this server connects to nobody: leave it out, or write pushbench serve {1} --publisher, or \
             serve {1} --duplex 64",
            ca.display(),
            args.arm
        )));
    }
    let client = ClientTls::new(&text("--ca", ca)?, "localhost", Scheme::Https, true);
    client.map_err(|e| {
        Error::usage(format!("--ca {}: {e}: name a PEM file of certificates", ca.display()))
    })
}

/// What a sender must present. When the server is ended, it shows how often that was refused.
fn authentication(spec: &ArmSpec, carrier: Carrier) -> Result<Option<&'static Authentication>> {
    let token = variable(spec, ArmOption::Token, BEARER_VARIABLE)?;
    let key = signing_key(spec)?;
    if token.is_none() && key.is_none() {
        return Ok(None);
    }
    // It serves until the process ends.
    let made: &'static Authentication =
        Box::leak(Box::new(Authentication::new(carrier, token.as_deref(), key)));
    let cannot = |e: io::Error| Error::harness(format!("cannot listen for signals: {e}"));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(cannot)?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            console::error_line(&made.to_string());
            let _ended = signal_hook::low_level::emulate_default_handler(signal);
        }
    });
    Ok(Some(made))
}

fn signing_key(spec: &ArmSpec) -> Result<Option<SigningKey>> {
    let secret = variable(spec, ArmOption::Signed, SECRET_VARIABLE)?;
    let key = secret.as_deref().map(SigningKey::parse).transpose();
    key.map_err(|why| Error::usage(format!("{SECRET_VARIABLE}: {why}")))
}

/// The secret of an option, which no other program of the machine can see.
fn variable(spec: &ArmSpec, option: ArmOption, name: &str) -> Result<Option<String>> {
    if !spec.has(option) {
        return Ok(None);
    }
    let value = std::env::var(name).ok().filter(|value| value.len() >= secrets::SHORTEST);
    let value = value.ok_or_else(|| {
        let arm = spec.at_receiver();
        Error::usage(format!(
            "serve {arm}: +{} is checked against {name}, which is not set or has fewer than {} bytes: write {name}=$(openssl \
             rand -hex 32) pushbench serve {arm}",
            option.name(),
            secrets::SHORTEST
        ))
    })?;
    secrets::register(name, &value);
    Ok(Some(value))
}

/// Refuses options that do not apply to a server.
fn check_options(spec: &ArmSpec, args: &Args) -> Result<()> {
    for option in spec.options.iter() {
        let (transport, name) = (spec.transport.name(), option.name());
        let plain = format!("write pushbench serve {transport}");
        let why = match option {
            ArmOption::Tls => continue,
            ArmOption::Compressed if spec.transport == Transport::Websocket => continue,
            ArmOption::Compressed if spec.transport != Transport::Webhook || args.publisher => format!(
                "a WebSocket's messages and the bodies of received webhooks are compressed: write pushbench serve \
                 websocket+compressed{0}, or {plain}{0}",
                if args.publisher { " --publisher" } else { "" }
            ),
            ArmOption::Token | ArmOption::Signed if args.publisher => match spec.transport {
                Transport::Tcp if option == ArmOption::Token => {
                    "tcp has no headers for a token: write pushbench serve tcp+signed --publisher".to_owned()
                }
                Transport::Websocket | Transport::Sse | Transport::LongPoll | Transport::Poll
                    if option == ArmOption::Token =>
                {
                    format!("subscribers present {TOKEN_VARIABLE} in any case: {plain} --publisher")
                }
                _ => continue,
            },
            ArmOption::H2 if spec.transport == Transport::Sse => continue,
            ArmOption::H2 if args.publisher => format!(
                "only server-sent events are delivered over HTTP/2: {plain} --publisher, or serve sse+h2 --publisher"
            ),
            _ if args.publisher => format!("it does not apply to a publisher: {plain} --publisher"),
            option if !option.at_receiver() => {
                format!("it applies only to the driver and its subscribers: {plain}")
            }
            ArmOption::H2 if spec.transport != Transport::Webhook => {
                format!("{transport} is not served over HTTP/2: {plain}, or serve webhook+h2")
            }
            ArmOption::H2 if spec.has(ArmOption::Callback) => {
                format!("answers by callback come over HTTP/1.1: {plain}+callback --duplex 64")
            }
            ArmOption::Callback if spec.transport != Transport::Webhook => {
                "a callback is a webhook: write pushbench serve webhook+callback --duplex 64"
                    .to_owned()
            }
            ArmOption::Callback if args.duplex.is_none() => format!(
                "a callback answers a question, and this server receives none: {plain}+{name} --duplex \
                 64, or serve {transport}"
            ),
            ArmOption::Batch if spec.transport != Transport::Webhook => {
                "only a webhook carries batches: write pushbench serve webhook+batch=8".to_owned()
            }
            ArmOption::Token if spec.transport == Transport::Tcp => {
                "tcp has no headers for a token: write pushbench serve tcp+signed, or serve websocket+token"
                    .to_owned()
            }
            _ => continue,
        };
        return Err(Error::usage(format!("serve {}: +{name}: {why}", args.arm)));
    }
    Ok(())
}

fn takes_nothing(transport: Transport) -> Error {
    let name = transport.name();
    Error::usage(format!(
        "{name} delivers events to subscribers and receives none: write {TOKEN_VARIABLE}=$(openssl rand -hex \
         16) pushbench serve {name} --publisher, or serve {}",
        CARRIERS.map(Carrier::name).join(", ")
    ))
}

fn publisher(args: &Args, spec: &ArmSpec, tls: Option<ClientTls>) -> Result<Work> {
    let token = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| {
        Error::usage(format!(
            "a publisher needs a token, which publishing and subscribing clients send: write for \
             example {TOKEN_VARIABLE}=$(openssl rand -hex 16) pushbench serve {} --publisher",
            args.arm
        ))
    })?;
    let mut options = publisher::Options::new(spec.transport);
    options.http2 = spec.has(ArmOption::H2);
    options.signing = signing_key(spec)?;
    let bearer = variable(spec, ArmOption::Token, BEARER_VARIABLE)?;
    options.bearer = bearer.map(|token| format!("Bearer {token}"));
    options.types.clone_from(&args.types);
    options.compressed = spec.has(ArmOption::Compressed);
    options.acknowledged = !args.unacknowledged;
    options.queue = args.queue;
    options.concurrency = args.concurrency;
    options.timeout = args.timeout.unwrap_or(options.timeout);
    options.keep = match args.close {
        true => Keep::Never,
        false => args.keep_alive.map_or(Keep::Always, Keep::For),
    };
    options.ping = args.ping;
    options.hold = args.hold.unwrap_or(options.hold);
    options.tls = tls;
    options.guarantee = args.guarantee.guarantee(spec.transport, options.acknowledged)?;
    options.store.clone_from(&args.guarantee.store);
    Ok(Work::Publish(Box::new(options), token))
}
