//! Reads the files that describe targets: `[webhook]` in a shipped `target.toml`,
//! `[target.NAME.webhook]` in a user's `pushbench.toml`.

mod checks;

use crate::ease_of_implementation;
use crate::ease_of_implementation::Declared;
use crate::manifest::{OWN_FILE, Ready};
use crate::protocol_keys;
use crate::protocol_keys::HelloKeys;
use crate::publishing_keys;
use crate::publishing_keys::Publishing;
use crate::request_keys;
use crate::secret_text;
use crate::shipped_files::TARGETS;
use crate::tls_keys;
use crate::tls_keys::TlsKeys;
use crate::values;
use crate::values::text;
use include_dir::Dir;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Matching;
use pushbench_core::origin::{Origin, kind, read_toml};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::transport::{Carrier, DESCRIBED, Transport};
use pushbench_host::input;
use pushbench_wire::request_options::RequestOptions;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// What a target serves, by transport.
pub(super) type TransportTables = BTreeMap<String, TargetDescription>;
/// The same of a user's own, where any may be mistaken.
pub(super) type Read = BTreeMap<String, Result<TargetDescription>>;
/// A user's own targets by name; one with a mistake in its own name or form serves nothing.
pub(super) type Targets = BTreeMap<String, Result<Read>>;

/// How long a target may take to get ready: a cold Python with many imports takes seconds.
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// The keys of such a table.
const KEYS: [&str; 30] = [
    "command",
    "url",
    "match",
    "method",
    "headers",
    "subprotocol",
    "ready",
    "ready_timeout",
    "setup",
    "env",
    "cwd",
    "code",
    "packages",
    "duties",
    "publish",
    "subscribe",
    "status",
    "id",
    "acknowledge",
    "hello",
    "heartbeat",
    "wrap",
    "answer",
    "delivery",
    "ca",
    "server_name",
    "secret",
    "http_version",
    "batch",
    "tls",
];

/// The content of such a table, checked key by key.
#[derive(Debug, Clone)]
pub(super) struct TargetDescription {
    pub command: Option<Vec<String>>,
    pub url: String,
    pub(crate) url_origin: Origin,
    pub ready: Ready,
    pub ready_timeout: Duration,
    pub matching: Matching,
    pub match_left_out: bool,
    pub request_options: RequestOptions,
    pub setup: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: Option<String>,
    pub ease: Declared,
    pub publishing: Publishing,
    pub hello: HelloKeys,
    pub tls: TlsKeys,
    /// The key of signatures.
    pub secret: Option<String>,
    /// It speaks HTTP/2.
    pub http2: bool,
    /// … and no HTTP/1.1.
    pub http2_only: bool,
    /// It takes batches.
    pub batches: bool,
    /// The same target over TLS, where its table `tls` says how it is started then.
    pub over_tls: Option<Box<TargetDescription>>,
}

/// The names of the targets in the binary: every folder of `targets/`.
pub(super) fn shipped_names() -> impl Iterator<Item = &'static str> {
    TARGETS.dirs().filter_map(|dir| dir.path().to_str())
}

/// A target in the binary: what it serves and its files.
pub(super) fn shipped(name: &str) -> Result<Option<(TransportTables, &'static Dir<'static>)>> {
    let Some(dir) = TARGETS.get_dir(name) else { return Ok(None) };
    let file = format!("targets/{name}/target.toml");
    let Some(text) = dir.get_file(dir.path().join("target.toml")).and_then(|f| f.contents_utf8())
    else {
        return Err(Error::harness(format!("{file} is missing in this build: please report it")));
    };
    let serves = transports(&read_toml(&file, text)?, "", &|at| Origin::at(&file, text, at));
    let serves = serves.into_iter().map(|(transport, read)| Ok((transport, read?)));
    Ok(Some((serves.collect::<Result<TransportTables>>()?, dir)))
}

/// The targets that the `pushbench.toml` in the working directory describes; none when there is no such
/// file.
pub(super) fn own() -> Result<Targets> {
    match input::text(Path::new(OWN_FILE), input::WRITTEN) {
        Ok(text) => described(OWN_FILE, &text),
        Err(e) if e.is_missing() => Ok(Targets::new()),
        Err(e) => Err(e.into()),
    }
}

/// The targets that a file describes. An error belongs to the target in which it occurs.
pub(super) fn described(file: &str, text: &str) -> Result<Targets> {
    let place = |at: usize| Origin::at(file, text, at);
    let mut found = Targets::new();
    for (key, value) in &read_toml(file, text)? {
        if key.get_ref() == "proxy" {
            continue; // read by `proxy`
        }
        let (DeValue::Table(targets), "target") = (value.get_ref(), key.get_ref().as_ref()) else {
            let name = key.get_ref().to_string();
            let mistake = place(key.span().start).error(format!(
                "\"{name}\" is not a known key: describe a target as [target.NAME.webhook], a proxy as [proxy.NAME]"
            ));
            found.insert(name, Err(mistake));
            continue;
        };
        for (name, value) in targets {
            let at = place(name.span().start);
            let name = name.get_ref().to_string();
            let read = checks::own_name(&name, &at).and_then(|written| match value.get_ref() {
                DeValue::Table(table) if !table.is_empty() => {
                    Ok(transports(table, &format!("target.{written}."), &place))
                }
                other => Err(at.error(format!(
                    "target.{written} is {}: write [target.{written}.webhook], and below it its url",
                    if let DeValue::Table(_) = other { "empty" } else { kind(other) }
                ))),
            });
            found.insert(name, read);
        }
    }
    Ok(found)
}

/// The tables of a target, each read or with its error; `prefix` precedes their names
/// in messages.
fn transports(table: &DeTable<'_>, prefix: &str, place: &dyn Fn(usize) -> Origin) -> Read {
    let read =
        |(key, value): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
            let name = key.get_ref().to_string();
            let origin = place(key.span().start);
            let transport = DESCRIBED.into_iter().find(|transport| transport.name() == name);
            let description = match (value.get_ref(), transport) {
                (DeValue::Table(inner), Some(transport)) => {
                    let table = format!("{prefix}{name}");
                    let carrier = transport.carrier_to(false);
                    TableReader { transport, carrier, name: table, origin, place }.read(inner)
                }
                (other, _) => Err(origin.error(no_transport(&name, prefix, other))),
            };
            (name, description)
        };
    table.iter().map(read).collect()
}

/// Why this entry of a target describes no transport.
fn no_transport(name: &str, prefix: &str, value: &DeValue<'_>) -> String {
    let names = DESCRIBED.map(Transport::name);
    let tables = names.map(|n| format!("[{prefix}{n}]")).join(", ");
    if names.contains(&name) {
        return format!("{prefix}{name} is {}: write [{prefix}{name}], once", kind(value));
    }
    if KEYS.contains(&name) {
        return format!(
            "{name} belongs to a transport of the target: write it under one of {tables}"
        );
    }
    let near = did_you_mean(name, names);
    format!("{prefix}{name} is not a transport{near}; the tables are {tables}")
}

/// A table that is being read: its transport, how events travel to the target, its name in messages, and its
/// position.
struct TableReader<'a> {
    transport: Transport,
    carrier: Carrier,
    name: String,
    origin: Origin,
    place: &'a dyn Fn(usize) -> Origin,
}

impl TableReader<'_> {
    fn read(&self, table: &DeTable<'_>) -> Result<TargetDescription> {
        let mut mistakes = Vec::new();
        let mut found = self.read_keys(table, &mut mistakes);
        let variant = tls_keys::variant(table, &self.name, self.place)?;
        let variant = variant.map(|(origin, table)| {
            let name = format!("{}.tls", self.name);
            let reader = TableReader { name, origin, ..*self };
            let read = reader.read_keys(&table, &mut mistakes);
            (reader, read, table)
        });
        if !mistakes.is_empty() {
            // What the table `tls` takes from the table around it is read twice.
            mistakes.sort_by_key(|(at, _)| *at);
            mistakes.dedup_by_key(|(at, _)| *at);
            let lines: Vec<String> =
                mistakes.iter().map(|(_, mistake)| mistake.to_string()).collect();
            return Err(Error::usage(lines.join("\n")));
        }
        self.take_messages(&mut found, table)?;
        self.check(&found)?;
        if let Some((reader, mut variant, table)) = variant {
            reader.take_messages(&mut variant, &table)?;
            reader.check(&variant)?;
            tls_keys::check_variant((&reader.name, &reader.origin), &found, &variant)?;
            found.over_tls = Some(Box::new(variant));
        }
        Ok(found)
    }

    /// Reads key by key; a mistake is added with its place.
    fn read_keys(
        &self,
        table: &DeTable<'_>,
        mistakes: &mut Vec<(usize, Error)>,
    ) -> TargetDescription {
        let mut found = TargetDescription::new(&self.origin);
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            found.match_left_out &= name != "match";
            if let Err(mistake) = self.take_key(&mut found, key, value) {
                mistakes.push((key.span().start, mistake));
            }
        }
        found
    }

    /// Reads what depends on other keys.
    fn take_messages(&self, found: &mut TargetDescription, table: &DeTable<'_>) -> Result<()> {
        if let Some(wrap) = table.get("wrap") {
            let at = (self.place)(wrap.span().start);
            let written = values::message(wrap.get_ref(), "wrap", &at)?;
            let wrap = protocol_keys::wrap(&written, &at, &found.hello.names)?;
            found.request_options.wrap = Some(wrap);
        }
        let Some(answer) = &found.request_options.answer else { return Ok(()) };
        if let Some(matched) = table.get("match") {
            return Err((self.place)(matched.span().start).error(
                "match: answer says already which message answers which event: remove match",
            ));
        }
        found.matching = if answer.has_id() { Matching::Id } else { Matching::Order };
        found.match_left_out = false;
        Ok(())
    }

    fn take_key(
        &self,
        found: &mut TargetDescription,
        key: &toml::Spanned<toml::de::DeString<'_>>,
        value: &toml::Spanned<DeValue<'_>>,
    ) -> Result<()> {
        let name = key.get_ref().as_ref();
        let at = (self.place)(key.span().start);
        let why = request_keys::unusable_key(name, self.transport)
            .or_else(|| publishing_keys::unusable_key(name, self.transport))
            .or_else(|| protocol_keys::unusable_key(name, self.transport.carrier()));
        if let Some(why) = why {
            return Err(at.error(format!("[{}] {name}: {why}", self.name)));
        }
        match self.take(found, name, value.get_ref(), (self.place)(value.span().start))? {
            true => Ok(()),
            false => Err(at.error(format!(
                "[{}] has no key \"{name}\"{}; the keys are {}",
                self.name,
                did_you_mean(name, KEYS),
                KEYS.join(", ")
            ))),
        }
    }

    /// Reads one value; false when the key is not known.
    fn take(
        &self,
        d: &mut TargetDescription,
        key: &str,
        value: &DeValue<'_>,
        at: Origin,
    ) -> Result<bool> {
        match key {
            "command" => d.command = Some(values::command(value, &at)?),
            "url" => (d.url, d.url_origin) = (secret_text::url(value, "url", &at)?, at),
            "ready" => d.ready = values::ready(&text(value, "ready", &at)?, &at)?,
            "ready_timeout" => d.ready_timeout = values::duration(key, value, &at)?,
            "match" => (d.matching, d.request_options.id_at) = request_keys::matching(value, &at)?,
            "method" => d.request_options.method = request_keys::method(value, &at)?,
            "headers" => d.request_options.headers = request_keys::headers(value, &at, self.place)?,
            "subprotocol" => {
                d.request_options.subprotocol = Some(request_keys::subprotocol(value, &at)?)
            }
            // Read last: wrap may contain what hello captures, and tls goes before all other keys.
            "wrap" | "tls" => {}
            "hello" => {
                let messages = self.carrier == Carrier::Websocket;
                d.hello = protocol_keys::hello(value, &at, self.place, messages)?;
                d.request_options.hello = std::mem::take(&mut d.hello.messages);
            }
            "heartbeat" => {
                let heartbeat = protocol_keys::heartbeat(value, &at, self.place)?;
                d.request_options.heartbeat = Some(heartbeat.into());
            }
            "answer" => {
                let answer = protocol_keys::pattern(value, key, &at)?;
                d.request_options.answer = Some(answer.into());
            }
            "secret" => d.secret = Some(secret_text::signing_key(value, &at)?),
            "http_version" => (d.http2, d.http2_only) = request_keys::http2(value, &at)?,
            "batch" => d.batches = request_keys::batches(value, &at)?,
            "setup" => d.setup = values::texts(value, "setup", &at)?,
            "env" => d.env = values::env(value, &at)?,
            "ca" | "server_name" => d.tls.take(key, text(value, key, &at)?, at)?,
            "cwd" => d.cwd = Some(text(value, "cwd", &at)?),
            "code" => d.ease.code = Some((values::texts(value, "code", &at)?, at)),
            "packages" => d.ease.packages = Some((values::texts(value, "packages", &at)?, at)),
            "duties" => d.ease.duties = Some(ease_of_implementation::duties(value, &at)?),
            _ => {
                return d.publishing.take((key, self.transport), value, &at, self.place);
            }
        }
        Ok(true)
    }
}

impl TargetDescription {
    /// The command and environment of the program.
    fn program_inputs(&self) -> impl Iterator<Item = &str> {
        let env = self.env.iter().map(|(_, value)| value.as_str());
        env.chain(self.command.iter().flatten().map(String::as_str))
    }

    /// Its addresses, with their keys and where they were written.
    pub(super) fn urls(&self) -> impl Iterator<Item = (&'static str, &str, &Origin)> {
        let own = (!self.url.is_empty()).then_some(("url", self.url.as_str(), &self.url_origin));
        let requests = self.publishing.requests();
        own.into_iter().chain(requests.map(|(key, own)| (key, own.url.as_str(), &own.origin)))
    }

    fn new(origin: &Origin) -> TargetDescription {
        TargetDescription {
            command: None,
            url: String::new(),
            url_origin: origin.clone(),
            ready: Ready::Tcp,
            ready_timeout: READY_TIMEOUT,
            matching: Matching::Order,
            match_left_out: true,
            request_options: RequestOptions::default(),
            setup: Vec::new(),
            env: Vec::new(),
            cwd: None,
            ease: Declared::default(),
            publishing: Publishing::default(),
            hello: HelloKeys::default(),
            tls: TlsKeys::default(),
            secret: None,
            http2: false,
            http2_only: false,
            batches: false,
            over_tls: None,
        }
    }
}
