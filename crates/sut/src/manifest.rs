//! What a target is: read from the shipped `targets/` (embedded in the binary) or from the user's
//! `pushbench.toml`.

mod find;
mod list;

pub use find::find;
pub use list::{Described, Listed, described, list};

pub(super) use find::{check_hello, check_url, description, manifest, own_files, usable_url};

use crate::copies::Copies;
use crate::protocol_keys::HelloRequest;
use crate::publisher::{PublishOptions, Publisher, SecretSource, Subscribe};
use crate::run_keys;
use crate::run_keys::{CA, RunKeys};
use include_dir::Dir;
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::error::Result;
use pushbench_core::event::{Matched, Matching};
use pushbench_core::record::ease::Ease;
use pushbench_core::scenario::{Compression, Scenario, TlsSettings};
use pushbench_core::transport::Transport;
use pushbench_wire::endpoint::{Endpoint, Scheme};
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::tls::ServerTls;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The file in the working directory that describes a user's own targets.
pub const OWN_FILE: &str = "pushbench.toml";
/// The target that this program itself is.
pub const BUILTIN: &str = "builtin";
/// The same as a publisher that keeps no webhook connection from one delivery to the next.
pub const BUILTIN_CLOSE: &str = "builtin-close";
/// The first word of a command that starts this very program.
pub(super) const SELF: &str = "pushbench";
/// Stands for the port a target is given, in commands and URLs.
pub const PORT: &str = "{port}";
/// Stands for the address on which a target listens, in commands and URLs: this one, unless other machines send the
/// events.
pub const HOST: &str = "{host}";
/// See [`HOST`].
pub(super) const LOCAL: &str = "127.0.0.1";

/// When a started target is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// It accepts connections.
    Tcp,
    /// A GET of this path is answered with 2xx.
    Http(String),
    /// It has printed this text.
    Line(String),
}

/// The files of a target.
#[derive(Debug, Clone)]
pub(super) enum Files {
    /// The program is this one.
    None,
    /// Shipped in the binary, unpacked into the cache.
    Shipped(&'static Dir<'static>),
    /// The user's, in this folder.
    Own(PathBuf),
}

/// One transport of one target.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The target's name.
    pub name: String,
    /// Program and arguments, `{port}` not yet filled in; none for a server that is already running.
    pub command: Option<Vec<String>>,
    /// Program and arguments put before `command`: what counts its instructions; empty otherwise.
    pub(super) wrapper: Vec<String>,
    /// Where it takes events, `{port}` not yet filled in.
    pub url: String,
    /// How answers find their events.
    pub matching: Matching,
    /// Its description does not say how: the first look finds out.
    pub match_left_out: bool,
    /// What it wants of requests and handshakes.
    pub request_options: RequestOptions,
    /// Requests to it before the first event.
    pub hello_requests: Vec<HelloRequest>,
    /// When it is ready.
    pub ready: Ready,
    /// How long that may take.
    pub ready_timeout: Duration,
    /// Commands that prepare it, once.
    pub setup: Vec<String>,
    /// Added to the environment.
    pub env: Vec<(String, String)>,
    /// Working directory, relative to the target's files.
    pub cwd: Option<String>,
    /// How easy it is to write, as far as it is known.
    pub ease: Option<Ease>,
    /// How it is reached over TLS, where its URL says so.
    pub tls: Option<TlsOptions>,
    /// The key of its signatures, where its description has one.
    pub secret: Option<String>,
    /// It speaks HTTP/2 without TLS, too; with TLS that is found out.
    pub http2: bool,
    /// … and no HTTP/1.1.
    pub http2_only: bool,
    /// It takes several events in a request.
    pub batches: bool,
    /// It delivers what comes to `url` to subscribers; `None` for one that takes events.
    pub publisher: Option<Publisher>,
    /// Each start has a copy of its executable.
    pub(super) copies: Option<Copies>,
    pub(super) files: Files,
}

/// How a target is reached over TLS.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// PEM certificates of those it may be signed by; `None` for the authority of the run.
    pub ca: Option<String>,
    /// The name in its certificate; the host of its URL when left out.
    pub server_name: Option<String>,
    /// The key of the run's certificate, and whether connections resume sessions.
    pub settings: TlsSettings,
}

/// How the built-in servers are started.
#[derive(Debug, Clone, Default)]
pub struct BuiltinOptions {
    /// Runtime threads.
    pub threads: usize,
    /// Sleep per event.
    pub delay: Option<Duration>,
    /// CPU burnt per event.
    pub work: Option<Duration>,
    /// They answer questions with so many bytes instead of acknowledging events.
    pub answer: Option<usize>,
    /// They publish to subscribers instead of taking events.
    pub publish: Option<PublishOptions>,
    /// Where the keys and tokens of its arms come from.
    pub secrets: SecretSource,
}

impl Manifest {
    /// True of a program of the user's own, which may change between two runs.
    pub fn is_own(&self) -> bool {
        matches!(self.files, Files::Own(_))
    }

    /// This program's own server for an arm.
    pub fn builtin(spec: &ArmSpec, options: &BuiltinOptions) -> Manifest {
        let transport = spec.transport;
        if let Some(publish) = &options.publish {
            return Manifest::publisher(spec, options, publish);
        }
        let mut words: Vec<String> =
            ["serve", &spec.at_receiver(), "--listen", "127.0.0.1:{port}", "--threads"]
                .map(str::to_owned)
                .to_vec();
        words.push(options.threads.max(1).to_string());
        words.extend(
            options.answer.into_iter().flat_map(|n| ["--duplex".to_owned(), n.to_string()]),
        );
        for (option, time) in [("--delay", options.delay), ("--work", options.work)] {
            if let Some(time) = time {
                words.extend([option.to_owned(), format!("{}ns", time.as_nanos())]);
            }
        }
        Manifest::this_program(BUILTIN, transport, words).in_arm(spec)
    }

    /// The same built-in server over TLS, with the certificate of the run, where the arm wants it.
    pub(super) fn in_arm(mut self, spec: &ArmSpec) -> Manifest {
        if !spec.has(ArmOption::Tls) {
            return self;
        }
        let connects = spec.transport == Transport::Webhook
            && (self.publisher.is_some() || spec.has(ArmOption::Callback));
        let trusted = connects.then_some(["--ca", CA]).into_iter().flatten();
        let words = ["--cert", "{cert}", "--key", "{key}"].into_iter().chain(trusted);
        self.command.get_or_insert_default().extend(words.map(str::to_owned));
        let subscribe =
            self.publisher.as_mut().and_then(|publisher| match &mut publisher.subscribe {
                Subscribe::At(url, ..) => Some(url),
                Subscribe::AtStart => None,
            });
        for url in [Some(&mut self.url), subscribe].into_iter().flatten() {
            if let Some((scheme, rest)) = url.split_once("://") {
                let scheme = Scheme::named(scheme).map(Scheme::over_tls);
                *url = scheme.map_or(url.clone(), |scheme| format!("{scheme}://{rest}"));
            }
        }
        self.tls = Some(TlsOptions::default());
        self
    }

    /// Whether its program is handed the certificate to trust at the driver's own listeners: then these are over
    /// TLS, too.
    pub fn trusts_the_driver(&self) -> bool {
        self.tls.is_some() && self.program_inputs().any(|word| word.contains(CA))
    }

    /// The driver's end of connections that the target opens; nothing without TLS.
    ///
    /// # Errors
    /// The keys of the run cannot be made.
    pub fn listener_tls(&self) -> Result<Option<ServerTls>> {
        let Some(tls) = self.tls.as_ref().filter(|_| self.trusts_the_driver()) else {
            return Ok(None);
        };
        let keys = run_keys::of(tls.settings.key)?;
        Ok(Some(match tls.settings.resumption {
            true => keys.server.clone(),
            false => keys.server.without_resumption(),
        }))
    }

    /// Whether it is one of the servers that pushbench ships.
    pub fn is_shipped(&self) -> bool {
        matches!(self.files, Files::Shipped(_))
    }

    /// What its program is started with.
    pub(super) fn program_inputs(&self) -> impl Iterator<Item = &String> {
        self.command.iter().flatten().chain(self.env.iter().map(|(_, value)| value))
    }

    /// The same with compressed messages or bodies: of its subscribers' connections where it publishes.
    #[must_use]
    pub fn with_compression(mut self, settings: Compression) -> Manifest {
        match &mut self.publisher {
            Some(publisher) => publisher.compression = Some(settings),
            None => self.request_options.compression = Some(settings),
        }
        self
    }

    /// The same in a scenario with its settings.
    #[must_use]
    pub fn in_scenario(mut self, scenario: &Scenario) -> Manifest {
        if let Some(tls) = &mut self.tls {
            tls.settings = scenario.tls;
        }
        let builtin = [BUILTIN, BUILTIN_CLOSE].contains(&self.name.as_str());
        if let Some(words) = self.command.as_mut().filter(|_| builtin) {
            // It may have been in another scenario of the same sweep.
            let of_scenario = ["--ping", "--delivery", "--store"];
            if let Some(at) = words.iter().position(|word| of_scenario.contains(&word.as_str())) {
                words.truncate(at);
            }
            let ping = scenario.subscribers.as_ref().and_then(|s| s.publisher.ping);
            let times = ping.map(|every| format!("{}ns", every.as_nanos()));
            words.extend(times.into_iter().flat_map(|time| ["--ping".to_owned(), time]));
        }
        if builtin && scenario.subscribers.is_some() {
            self = self.promising(&scenario.guarantee);
        }
        let offered = self.publisher.iter().filter_map(|p| p.compression).next();
        match offered.or(self.request_options.compression) {
            Some(_) => self.with_compression(scenario.compression),
            None => self,
        }
    }

    /// The keys of the run, where the target or its connections need them.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn run_keys(&self) -> Result<Option<Arc<RunKeys>>> {
        let named = self.program_inputs().any(|word| run_keys::are_named_in(word));
        let settings = self.tls.as_ref().map(|tls| tls.settings).unwrap_or_default();
        let trusted = self.tls.as_ref().is_some_and(|tls| tls.ca.is_none());
        (named || trusted).then(|| run_keys::of(settings.key)).transpose()
    }

    /// This program started with other words, which makes it a server that acknowledges by id and
    /// says that it listens.
    pub fn this_program(name: &str, transport: Transport, words: Vec<String>) -> Manifest {
        let path = if transport == Transport::Webhook { "/webhook" } else { "/" };
        let url = format!("{}://127.0.0.1:{PORT}{path}", Scheme::of(transport));
        Manifest {
            command: Some([vec![SELF.to_owned()], words].concat()),
            ready: Ready::Line(pushbench_core::record::effective_config::LISTENING.to_owned()),
            http2: true,
            batches: true,
            ..Manifest::running(name, &url, Matching::Id)
        }
    }

    /// A command that serves a transport at a path of the port it is given; `{port}` is its placeholder. With
    /// `+tls` it is handed the certificate of the run.
    pub fn started_by(
        name: &str,
        spec: &ArmSpec,
        words: Vec<String>,
        path: &str,
        matching: Matching,
    ) -> Manifest {
        let (plain, over_tls) = (Scheme::of(spec.transport), spec.has(ArmOption::Tls));
        let scheme = if over_tls { plain.over_tls() } else { plain };
        let tls = over_tls.then(TlsOptions::default);
        let url = format!("{scheme}://127.0.0.1:{PORT}{path}");
        Manifest { command: Some(words), tls, ..Manifest::running(name, &url, matching) }
    }

    /// A server that is already running.
    pub fn running(name: &str, url: &str, matching: Matching) -> Manifest {
        Manifest {
            name: name.to_owned(),
            command: None,
            wrapper: Vec::new(),
            url: url.to_owned(),
            matching,
            match_left_out: false,
            request_options: RequestOptions::default(),
            hello_requests: Vec::new(),
            ready: Ready::Tcp,
            ready_timeout: Duration::from_secs(10),
            setup: Vec::new(),
            env: Vec::new(),
            cwd: None,
            ease: None,
            tls: None,
            secret: None,
            http2: false,
            http2_only: false,
            batches: false,
            publisher: None,
            copies: None,
            files: Files::None,
        }
    }

    /// How the driver finds the event of an answer.
    pub fn matched(&self) -> Matched {
        if let Some(answer) = &self.request_options.answer {
            return Matched::ByPattern(answer.clone());
        }
        match (self.matching, &self.request_options.id_at) {
            (Matching::Order, _) => Matched::ByOrder,
            (Matching::Id, None) => Matched::ById,
            (Matching::Id, Some(pointer)) => Matched::ByIdAt(pointer.as_str().into()),
        }
    }

    /// The host its events go to, `loopback` for this machine.
    pub fn host(&self) -> String {
        match Endpoint::parse(&self.url.replace("{port}", "1")) {
            Ok(endpoint) if endpoint.is_loopback() => "loopback".to_owned(),
            Ok(endpoint) => endpoint.host,
            Err(_) => self.url.clone(),
        }
    }

    /// The port on which its program listens every time it is started; none where it gets a free one, or
    /// was running already.
    pub fn fixed_port(&self) -> Option<u16> {
        let fixed = self.command.is_some() && !self.url.contains(PORT);
        fixed.then(|| Endpoint::parse(&self.url).ok().map(|endpoint| endpoint.port))?
    }

    /// The scheme of the URL to which its events go.
    pub fn scheme(&self) -> Option<String> {
        let endpoint = Endpoint::parse(&self.url.replace("{port}", "1")).ok()?;
        Some(endpoint.scheme.to_string())
    }

    /// What a person calls it in a message.
    pub(super) fn command_line(&self) -> String {
        self.command.as_ref().map_or(self.url.clone(), shell_words::join)
    }
}
