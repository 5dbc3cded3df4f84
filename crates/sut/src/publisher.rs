//! Targets that publish: their properties in a manifest, and their status.

use crate::http;
use crate::manifest;
use crate::manifest::{BUILTIN, BUILTIN_CLOSE, BuiltinOptions, Manifest, PORT};
use crate::process::Running;
use crate::publishing_keys::RequestSpec;
use crate::ready;
use crate::target_files::STORE;
use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use pushbench_core::arm::ArmSpec;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Matching;
use pushbench_core::event::{Matched, Template};
use pushbench_core::guarantee::{Guarantee, Promise};
use pushbench_core::publishing::{
    ACKNOWLEDGED_VARIABLE, HOLD, Keep, PUBLISH, STATUS, SUBSCRIBE, TIMEOUT, TOKEN_VARIABLE,
    TYPES_VARIABLE,
};
use pushbench_core::record::fanout::PublisherStatus;
use pushbench_core::scenario::Compression;
use pushbench_core::transport::Transport;
use pushbench_core::wording::Wording;
use pushbench_wire::delivery_verifier::DeliveryVerifier;
use pushbench_wire::endpoint::{Endpoint, Resolved, Scheme};
use pushbench_wire::signing;
use std::io::Read as _;
use std::time::{Duration, Instant};

/// A publisher that is not frozen answers within this.
const ANSWER: Duration = Duration::from_secs(5);

/// Pause between two looks at a publisher that still waits for acknowledgements.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Beyond what an acknowledgement takes by design: after this long without one, none is expected any more …
const LONGEST_GAP: Duration = Duration::from_millis(500);
/// … and after this long none is waited for, as a slow subscriber may go on for minutes. What is open then has not been
/// acknowledged.
const MAX_STATUS_WAIT: Duration = Duration::from_secs(2);

/// The publishing side of a target; its `url` takes the application's events.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// How subscribers get its events.
    pub subscribe: Subscribe,
    /// Their number, for a publisher that receives their addresses at its start.
    pub subscribers: usize,
    /// What an event is published in; itself where nothing is said.
    pub body: Option<Wording>,
    /// Where a delivered event carries its id.
    pub matched: Matched,
    /// What a subscriber acknowledges with; `{"id": …}` where nothing is said.
    pub acknowledgement: Option<Wording>,
    /// Subscribers can acknowledge.
    pub acknowledges: bool,
    /// Path of its [`PublisherStatus`], if there is one.
    pub status: Option<String>,
    /// The run's token.
    pub token: String,
    /// Who its deliveries come from.
    pub deliveries: DeliveryVerifier,
    /// What its subscribers offer for the compression of messages.
    pub compression: Option<Compression>,
}

/// How subscribers get its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscribe {
    /// They ask for them there, `{port}` not yet filled in: by connecting, or by a request of this
    /// method and body.
    At(String, Method, Option<Wording>),
    /// It receives their addresses when it is started.
    AtStart,
}

/// What a publisher is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishOptions {
    /// Types of events.
    pub types: Vec<String>,
    /// Subscribers acknowledge.
    pub acknowledged: bool,
    /// Who polls does it this often.
    pub poll_interval: Duration,
    /// A long-poll's request is held for so long.
    pub long_poll_hold: Duration,
    /// The run's token.
    pub token: String,
    /// Unsettled events a subscriber may have; its own default where there is none, here and below.
    pub queue: Option<usize>,
    /// From the write of a delivery to its acknowledgement.
    pub timeout: Option<Duration>,
    /// What becomes of a webhook's connection after a delivery.
    pub keep: Keep,
    /// How many subscribers there will be.
    pub subscribers: usize,
}

impl PublishOptions {
    /// The usual ones.
    pub fn new(types: Vec<String>, token: String) -> PublishOptions {
        PublishOptions {
            types,
            acknowledged: true,
            poll_interval: Duration::from_secs(1),
            long_poll_hold: HOLD,
            token,
            queue: None,
            timeout: None,
            keep: Keep::Always,
            subscribers: 0,
        }
    }

    /// The options that are times, of a transport.
    fn times(&self, transport: Transport) -> [(&'static str, Option<Duration>); 3] {
        let timeout = match transport {
            // What came by one request is acknowledged by the next one.
            Transport::Poll => Some(self.timeout.unwrap_or(TIMEOUT) + self.poll_interval),
            _ => self.timeout,
        };
        let keep_alive = match self.keep {
            Keep::For(time) => Some(time),
            Keep::Always | Keep::Never => None,
        };
        let holds = transport == Transport::LongPoll;
        [
            ("--timeout", timeout),
            ("--keep-alive", keep_alive),
            ("--hold", holds.then_some(self.long_poll_hold)),
        ]
    }
}

/// The options of the built-in publisher that keep a guarantee; none where nothing is promised.
fn guarantee_words(guarantee: &Guarantee) -> Vec<String> {
    let delivery = match guarantee.delivery {
        Promise::AtMostOnce => None,
        Promise::AtLeastOnce => Some("at-least-once"),
        Promise::ExactlyOnce => Some("exactly-once"),
    };
    let time = |length: Duration| format!("{}ns", length.as_nanos());
    let mut words: Vec<String> = Vec::new();
    if let Some(delivery) = delivery {
        words.extend(["--delivery", delivery].map(str::to_owned));
        words.extend(guarantee.ordered.then(|| "--ordered".to_owned()));
        for (option, value) in [
            ("--backoff", time(guarantee.backoff)),
            ("--backoff-max", time(guarantee.backoff_max)),
            ("--jitter", guarantee.jitter.name().to_owned()),
            ("--attempts", guarantee.attempts.to_string()),
            ("--log", guarantee.log.to_string()),
        ] {
            words.extend([option.to_owned(), value]);
        }
    }
    let store = guarantee.durable.then(|| ["--store", STORE].map(str::to_owned));
    words.extend(store.into_iter().flatten());
    words
}

/// Where the secrets of a run come from: random numbers, or a key that the machines of the run share.
#[derive(Clone, Default)]
pub struct SecretSource(Option<String>);

impl SecretSource {
    /// Every machine with this key has the same secrets.
    pub fn shared(key: String) -> SecretSource {
        SecretSource(Some(key))
    }

    /// The secret of that name, in hexadecimal digits.
    ///
    /// # Errors
    /// There are no random numbers.
    pub fn secret(&self, name: &str) -> Result<String> {
        match &self.0 {
            Some(key) => Ok(signing::derived(key, name)),
            None => new_token(),
        }
    }
}

impl std::fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "shared" } else { "random" })
    }
}

/// A random token.
pub fn new_token() -> Result<String> {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
    read.map_err(|e| Error::harness(format!("cannot create a token from /dev/urandom: {e}")))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

impl Manifest {
    /// This program's own publisher over a transport.
    pub fn publisher(
        spec: &ArmSpec,
        options: &BuiltinOptions,
        publish: &PublishOptions,
    ) -> Manifest {
        let (transport, left) = (spec.transport, spec.at_receiver());
        let threads = options.threads.max(1).to_string();
        let mut words: Vec<String> =
            ["serve", &left, "--publisher", "--listen", "127.0.0.1:{port}", "--threads"]
                .map(str::to_owned)
                .to_vec();
        words.extend([threads, "--types".to_owned(), publish.types.join(",")]);
        words.extend((!publish.acknowledged).then(|| "--unacknowledged".to_owned()));
        words.extend(publish.queue.into_iter().flat_map(|n| ["--queue".to_owned(), n.to_string()]));
        words.extend((publish.keep == Keep::Never).then(|| "--close".to_owned()));
        for (option, time) in publish.times(transport) {
            if let Some(time) = time {
                words.extend([option.to_owned(), format!("{}ns", time.as_nanos())]);
            }
        }
        let name = if publish.keep == Keep::Never { BUILTIN_CLOSE } else { BUILTIN };
        let program = Manifest::this_program(name, transport, words);
        program.publishing(transport, &format!("127.0.0.1:{PORT}"), &publish.token).in_arm(spec)
    }

    /// The built-in publisher with what it needs to keep a guarantee.
    #[must_use]
    pub fn promising(mut self, guarantee: &Guarantee) -> Manifest {
        self.command.iter_mut().for_each(|words| words.extend(guarantee_words(guarantee)));
        self
    }

    /// The same program as a publisher that implements `targets/PROTOCOL.md` at `at`, an address and its port.
    pub fn publishing(mut self, transport: Transport, at: &str, token: &str) -> Manifest {
        self.url = format!("http://{at}{PUBLISH}");
        self.matching = Matching::Id;
        self.env.push((TOKEN_VARIABLE.to_owned(), token.to_owned()));
        self.add_token(token);
        let subscribe = format!("{}://{at}{SUBSCRIBE}", Scheme::of(transport));
        self.publisher = Some(Publisher {
            subscribe: Subscribe::At(subscribe, Method::POST, None),
            subscribers: 0,
            body: None,
            matched: Matched::ById,
            acknowledgement: None,
            acknowledges: true,
            status: Some(STATUS.to_owned()),
            token: token.to_owned(),
            deliveries: DeliveryVerifier::default(),
            compression: None,
        });
        self
    }

    /// The events as they are sent to it, before what a hello has captured on a connection.
    pub fn event_template(&self, template: &Template) -> Template {
        match self.publisher.as_ref().and_then(|p| p.body.as_ref()) {
            Some(body) => template.within(body),
            None => template.clone(),
        }
    }

    /// Sets the environment variables that correspond to the options of the built-in publisher; what its
    /// description sets stays.
    fn set_environment(&mut self, options: &PublishOptions) {
        for (name, value) in [
            (TOKEN_VARIABLE, options.token.clone()),
            (TYPES_VARIABLE, options.types.join(",")),
            (ACKNOWLEDGED_VARIABLE, options.acknowledged.to_string()),
        ] {
            if !self.env.iter().any(|(own, _)| own == name) {
                self.env.push((name.to_owned(), value));
            }
        }
    }

    /// Adds the token to the request headers, unless the description has its own.
    pub fn add_token(&mut self, token: &str) {
        if self.request_options.headers.contains_key(AUTHORIZATION) {
            return;
        }
        if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}")) {
            value.set_sensitive(true);
            self.request_options.headers.insert(AUTHORIZATION, value);
        }
    }
}

/// Finds the target of an arm as one that publishes over the arm's transport.
pub fn find(spec: &ArmSpec, allow_hosts: &[String], options: &PublishOptions) -> Result<Manifest> {
    let (transport, name) = (spec.transport, spec.target.as_str());
    let (description, files) = manifest::description(spec)?;
    let publishing = description.publishing.clone();
    let acknowledges = publishing.acknowledges(transport);
    let Some(publish) = publishing.publish else {
        return Err(Error::usage(format!(
            "--arm {spec}: a fan-out needs a target that publishes, but {name} does not: \
             add publish and subscribe to its description (targets/PROTOCOL.md), or write \
             {0}@{BUILTIN}",
            transport.name()
        )));
    };
    let at = ("publish", publish.url.as_str(), &publish.origin);
    if transport == Transport::Webhook {
        reaches_subscribers(&publish, description.command.is_some())?;
    }
    manifest::check_url(at, Scheme::Http, allow_hosts)?;
    manifest::check_hello(&description, allow_hosts)?;
    let subscribe = match publishing.subscribe {
        Some(own) => {
            let at = ("subscribe", own.url.as_str(), &own.origin);
            manifest::check_url(at, Scheme::of(transport), allow_hosts)?;
            Subscribe::At(own.url, own.method, own.body)
        }
        None => Subscribe::AtStart,
    };
    let mut manifest = manifest::manifest(name, (description, files))?;
    manifest.url = publish.url;
    manifest.request_options.method = publish.method;
    manifest.add_token(&options.token);
    manifest.set_environment(options);
    manifest.publisher = Some(Publisher {
        subscribe,
        subscribers: options.subscribers,
        body: publish.body,
        matched: match (publishing.delivery, publishing.id_at) {
            (Some(delivery), _) => Matched::ByPattern(delivery),
            (None, Some(at)) => Matched::ByIdAt(at.into()),
            (None, None) => Matched::ById,
        },
        acknowledgement: publishing.acknowledgement,
        acknowledges,
        status: publishing.status,
        token: options.token.clone(),
        deliveries: DeliveryVerifier::default(),
        compression: None,
    });
    Ok(manifest)
}

/// Subscribers of a webhook are hosts of this machine, and gone after each block.
pub(super) fn reaches_subscribers(publish: &RequestSpec, started: bool) -> Result<()> {
    let (at, url) = (&publish.origin, &publish.url);
    if !manifest::usable_url(("publish", url, at), Scheme::Http)?.is_loopback() {
        return Err(at.error(format!(
            "publish \"{url}\": its subscribers are addresses of this machine (127.1.0.1 and following), \
             which another host does not reach: start the publisher here"
        )));
    }
    if !started {
        return Err(at.error(format!(
            "publish \"{url}\": a webhook publisher that is already running would keep the \
             subscribers of earlier blocks: add the command that starts it"
        )));
    }
    Ok(())
}

/// Asks a publisher what it has counted, once the last acknowledgements have reached it; `None` when it
/// does not report it. `by_design`: how long a subscriber may wait before it acknowledges.
pub fn status(
    target: &Running,
    manifest: &Manifest,
    by_design: Duration,
) -> Option<PublisherStatus> {
    let path = status_path(manifest)?;
    let mut status = read_status(target, path)?;
    let begun = Instant::now();
    let mut last = begun;
    while status.open > 0
        && last.elapsed() < by_design + LONGEST_GAP
        && begun.elapsed() < by_design + MAX_STATUS_WAIT
    {
        std::thread::sleep(POLL_INTERVAL);
        let open = std::mem::replace(&mut status, read_status(target, path)?).open;
        if status.open < open {
            last = Instant::now();
        }
    }
    Some(status)
}

/// The same at once, whatever is still open.
pub fn status_now(target: &Running, manifest: &Manifest) -> Option<PublisherStatus> {
    read_status(target, status_path(manifest)?)
}

/// Path of a publisher's status.
fn status_path(manifest: &Manifest) -> Option<&str> {
    manifest.publisher.as_ref()?.status.as_deref()
}

fn read_status(target: &Running, path: &str) -> Option<PublisherStatus> {
    let authorization = target.request_options().headers.get(AUTHORIZATION)?.clone();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
    let to = (target.address().socket, target.tls());
    let body = http::get(to, (path, &headers), true, (ANSWER, ANSWER))?;
    serde_json::from_slice(&body).ok()
}

/// Where subscribers connect: mostly where events are published, too.
pub fn subscribe_address(target: &Running, url: &str) -> Result<Resolved> {
    let unusable = |why: String| Error::target(format!("subscribe {url}: {why}"));
    let endpoint = Endpoint::parse(url).map_err(unusable)?;
    let here = &target.address().endpoint;
    if (&endpoint.host, endpoint.port) == (&here.host, here.port) {
        return Ok(Resolved::new(endpoint, target.address().socket));
    }
    let found = endpoint.addresses().map_err(|e| unusable(e.to_string()))?;
    let listening = found.iter().find(|address| ready::accepts(**address));
    Ok(Resolved::new(endpoint, *listening.unwrap_or(&found[0])))
}
