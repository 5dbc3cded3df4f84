//! What a target is: read from the shipped `targets/` (embedded in the binary) or from the user's
//! `pushbench.toml`.

use crate::description;
use crate::description::{TargetDescription, Targets};
use crate::ease_of_implementation;
use crate::protocol_keys::HelloRequest;
use crate::publisher::{PublishOptions, Publisher};
use crate::run_keys;
use crate::run_keys::RunKeys;
use include_dir::Dir;
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::error::{Error, Result};
use pushbench_core::event::{Matched, Matching};
use pushbench_core::origin::Origin;
use pushbench_core::record::ease::Ease;
use pushbench_core::scenario::TlsSettings;
use pushbench_core::suggest::did_you_mean;
use pushbench_core::transport::{ALL, Transport};
use pushbench_wire::endpoint::{Endpoint, Scheme};
use pushbench_wire::request_options::RequestOptions;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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
    /// It delivers what comes to `url` to subscribers; `None` for one that takes events.
    pub publisher: Option<Publisher>,
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
}

impl Manifest {
    /// This program's own server for an arm.
    pub fn builtin(spec: &ArmSpec, options: &BuiltinOptions) -> Manifest {
        let transport = spec.transport;
        if let Some(publish) = &options.publish {
            return Manifest::publisher(transport, options, publish);
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
        let manifest = Manifest::this_program(BUILTIN, transport, words);
        if spec.has(ArmOption::Tls) { manifest.over_tls() } else { manifest }
    }

    /// The same built-in server over TLS, with the certificate of the run.
    fn over_tls(mut self) -> Manifest {
        let words = ["--cert", "{cert}", "--key", "{key}"].map(str::to_owned);
        self.command.get_or_insert_default().extend(words);
        if let Some((scheme, rest)) = self.url.split_once("://") {
            let scheme = Scheme::named(scheme).map(Scheme::over_tls);
            self.url = scheme.map_or(self.url.clone(), |scheme| format!("{scheme}://{rest}"));
        }
        self.tls = Some(TlsOptions::default());
        self
    }

    /// The same in a scenario with these settings.
    #[must_use]
    pub fn with_tls_settings(mut self, settings: TlsSettings) -> Manifest {
        if let Some(tls) = &mut self.tls {
            tls.settings = settings;
        }
        self
    }

    /// The keys of the run, where the target or its connections need them.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn run_keys(&self) -> Result<Option<Arc<RunKeys>>> {
        let words = self.command.iter().flatten().chain(self.env.iter().map(|(_, value)| value));
        let named = words.into_iter().any(|word| run_keys::are_named_in(word));
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
            ..Manifest::running(name, &url, Matching::Id)
        }
    }

    /// A command that serves a transport at a path of the port it is given; `{port}` is its placeholder.
    pub fn started_by(
        name: &str,
        transport: Transport,
        words: Vec<String>,
        path: &str,
        matching: Matching,
    ) -> Manifest {
        let url = format!("{}://127.0.0.1:{PORT}{path}", Scheme::of(transport));
        Manifest { command: Some(words), ..Manifest::running(name, &url, matching) }
    }

    /// A server that is already running.
    pub fn running(name: &str, url: &str, matching: Matching) -> Manifest {
        Manifest {
            name: name.to_owned(),
            command: None,
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
            publisher: None,
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

/// Finds the target `name` and what it serves over `transport`. A user's own target of that name goes
/// before a shipped one. A host other than loopback must be among `allow_hosts`.
pub fn find(transport: Transport, name: &str, allow_hosts: &[String]) -> Result<Manifest> {
    let found = description(transport, name)?;
    if found.0.url.is_empty() {
        return Err(Error::usage(format!(
            "--arm {0}@{name}: {name} publishes events and does not accept them over {0}: measure it with \
             pushbench run fanout --arm {0}@{name}",
            transport.name()
        )));
    }
    check_url(("url", &found.0.url, &found.0.url_origin), Scheme::of(transport), allow_hosts)?;
    check_hello(&found.0, allow_hosts)?;
    manifest(name, found)
}

/// Reads what the target `name` serves over `transport`, and where its files are.
pub(super) fn description(transport: Transport, name: &str) -> Result<(TargetDescription, Files)> {
    let transport = transport.name();
    let mut own = description::own()?;
    let (mut serves, files) = match own.remove(name) {
        Some(read) => (read?, own_files()),
        None => match description::shipped(name)? {
            Some((serves, dir)) => (
                serves.into_iter().map(|(transport, d)| (transport, Ok(d))).collect(),
                Files::Shipped(dir),
            ),
            None => return Err(unknown(transport, name, own)),
        },
    };
    if let Some(read) = serves.remove(transport) {
        return Ok((read?, files));
    }
    let others = serves.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    // The intended table may have a misspelled name.
    Err(serves.into_values().find_map(Result::err).unwrap_or_else(|| {
        Error::usage(format!(
            "--arm {transport}@{name}: {name} does not serve {transport}; it serves {others}"
        ))
    }))
}

/// The files of a user's own target.
pub(super) fn own_files() -> Files {
    Files::Own(std::env::current_dir().unwrap_or_default())
}

/// The target as it is described.
pub(super) fn manifest(name: &str, (d, files): (TargetDescription, Files)) -> Result<Manifest> {
    let ease = ease_of_implementation::measure(&d.ease, &files, d.cwd.as_deref())?;
    Ok(Manifest {
        name: name.to_owned(),
        command: d.command,
        url: d.url,
        matching: d.matching,
        match_left_out: d.match_left_out,
        request_options: d.request_options,
        hello_requests: d.hello.requests,
        ready: d.ready,
        ready_timeout: d.ready_timeout,
        setup: d.setup,
        env: d.env,
        cwd: d.cwd,
        ease,
        tls: None,
        publisher: None,
        files,
    })
}

/// A target, and each transport that it serves with its ease, or with what is mistaken in its
/// description: a run of it is refused for that, too.
pub struct Listed {
    /// The target's name.
    pub name: String,
    /// By transport; one without a name for a mistake that is in the whole target.
    pub serves: Vec<(String, Result<Option<Ease>>)>,
}

/// All targets, by name.
pub fn list() -> Result<Vec<Listed>> {
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for name in description::shipped_names() {
        let Some((serves, dir)) = description::shipped(name)? else { continue };
        let ease = |d: &TargetDescription| {
            ease_of_implementation::measure(&d.ease, &Files::Shipped(dir), None)
        };
        found.insert(name.to_owned(), serves.iter().map(|(t, d)| (t.clone(), ease(d))).collect());
    }
    found.insert(BUILTIN.to_owned(), ALL.map(|t| (t.name().to_owned(), Ok(None))).into());
    let files = own_files();
    let ease =
        |d: TargetDescription| ease_of_implementation::measure(&d.ease, &files, d.cwd.as_deref());
    for (name, read) in description::own()? {
        let serves = match read {
            Ok(serves) => serves.into_iter().map(|(t, d)| (t, d.and_then(ease))).collect(),
            Err(mistake) => vec![(String::new(), Err(mistake))],
        };
        found.insert(name, serves);
    }
    Ok(found.into_iter().map(|(name, serves)| Listed { name, serves }).collect())
}

/// One transport of a target that a file describes.
pub struct Described {
    /// The target's name.
    pub target: String,
    /// The transport; empty for a mistake that is in the whole target.
    pub transport: String,
    /// What it is, or every mistake in it, one a line.
    pub read: Result<Manifest>,
}

/// Everything that a file such as `pushbench.toml` describes; `file` names it in messages.
///
/// # Errors
///
/// A usage error where the text is not TOML.
pub fn described(file: &str, text: &str) -> Result<Vec<Described>> {
    let folder = Path::new(file).parent().unwrap_or(Path::new("")).to_owned();
    let mut found = Vec::new();
    for (target, read) in description::described(file, text)? {
        let transports = match read {
            Ok(transports) => transports,
            Err(mistake) => [(String::new(), Err(mistake))].into(),
        };
        for (transport, read) in transports {
            let read = read.and_then(|mut d| {
                if let Some(publish) = d.publishing.publish.as_ref().filter(|_| d.url.is_empty()) {
                    d.url.clone_from(&publish.url);
                }
                manifest(&target, (d, Files::Own(folder.clone())))
            });
            found.push(Described { target: target.clone(), transport, read });
        }
    }
    Ok(found)
}

fn unknown(transport: &str, name: &str, own: Targets) -> Error {
    let mut known: Vec<&str> = description::shipped_names().chain([BUILTIN]).collect();
    known.extend(own.iter().filter(|(_, read)| read.is_ok()).map(|(name, _)| name.as_str()));
    let message = format!(
        "--arm {transport}@{name}: there is no target \"{name}\"{}; the targets are {}; describe your own server \
         in {OWN_FILE} in the working directory",
        did_you_mean(name, known.iter().copied()),
        known.join(", ")
    );
    // The intended target may have a misspelled name.
    let mistake = own.into_values().find_map(Result::err);
    Error::usage(mistake.map_or(message.clone(), |mistake| format!("{message}; {mistake}")))
}

/// The requests of `hello` must lead to this machine or a host that was named, too.
pub(super) fn check_hello(description: &TargetDescription, allow_hosts: &[String]) -> Result<()> {
    description.hello.requests.iter().try_for_each(|request| {
        let url = ("hello: url", &*request.checked_url(), &request.origin);
        check_url(url, Scheme::Http, allow_hosts).map(drop)
    })
}

/// A valid address of this scheme.
pub(super) fn usable_url(
    (key, url, at): (&str, &str, &Origin),
    scheme: Scheme,
) -> Result<Endpoint> {
    // Any port will do: it is the rest that is looked at.
    Endpoint::parse_as(scheme, &url.replace(PORT, "1"))
        .map_err(|why| at.error(format!("{key} \"{}\": {why}", url.escape_debug())))
}

/// An address must have this scheme, and lead to this machine or a host that was named.
pub(super) fn check_url(
    (key, url, at): (&str, &str, &Origin),
    scheme: Scheme,
    allow_hosts: &[String],
) -> Result<Endpoint> {
    let endpoint = usable_url((key, url, at), scheme)?;
    if !endpoint.is_loopback()
        && !allow_hosts.iter().any(|h| h.eq_ignore_ascii_case(&endpoint.host))
    {
        return Err(at.error(format!(
            "{key} \"{url}\": {host} is not this machine; events are sent to another host only if it \
             is named: add --allow-host {host} if it is yours to load",
            host = endpoint.host
        )));
    }
    Ok(endpoint)
}
