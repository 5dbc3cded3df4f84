//! What a proxy is: read from the shipped `proxies/` (embedded in the binary) or from the tables `[proxy.NAME]` of the
//! user's `pushbench.toml`.

mod running;

pub use running::{ProxyLaunch, RunningProxy, start};

use crate::description;
use crate::manifest::{Files, Manifest, OWN_FILE, own_files};
use crate::run_keys::FILES;
use crate::setup;
use crate::tls_keys;
use crate::values::{self, text};
use include_dir::{Dir, include_dir};
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Matching;
use pushbench_core::origin::{Origin, kind, read_toml};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::wording;
use pushbench_host::input;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../proxies");

/// The keys of a proxy's table.
const KEYS: [&str; 13] = [
    "kind",
    "about",
    "command",
    "config",
    "version",
    "package",
    "setup",
    "env",
    "ready_timeout",
    "idle_cutoff",
    "cure",
    "ca",
    "tls",
];
/// What stands for something in its command, environment and configuration files.
const PLACEHOLDERS: [&str; 14] = [
    "listen",
    "host",
    "port",
    "upstream",
    "upstream_host",
    "upstream_port",
    "dir",
    "user",
    "idle_cutoff",
    "cert",
    "key",
    "ca",
    "cert_pem",
    "key_pem",
];

/// Which side of a connection it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// In front of a server: clients take it for the server.
    Reverse,
    /// Beside a client, which asks it to reach a server.
    Forward,
}

impl ProxyKind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            ProxyKind::Reverse => "reverse",
            ProxyKind::Forward => "forward",
        }
    }
}

/// A proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub kind: ProxyKind,
    /// What it is, in a line.
    pub about: String,
    /// After how long it cuts a silent connection, unless the run sets another time.
    pub idle_cutoff: Option<Duration>,
    /// The proxy that is the same program, configured so that a WebSocket passes.
    pub cure: Option<String>,
    /// Its command, environment and set-up.
    manifest: Manifest,
    /// Its configuration files: name and template.
    config: Vec<(String, String)>,
    /// Prints its version.
    version: Vec<String>,
    /// What Debian and Ubuntu call its package.
    package: Option<String>,
    /// The file in its directory with the authority that clients must trust, as it encrypts connections anew.
    ca: Option<String>,
    /// The same with TLS at both of its sides.
    over_tls: Option<Box<Proxy>>,
}

/// Proxies by name; a description with mistakes has all of them, one a line.
type Read = BTreeMap<String, Result<Proxy>>;

/// Finds a proxy; a user's own goes before a shipped one. `key` names what asks for it in messages.
///
/// # Errors
/// There is none of that name, or its description is mistaken.
pub fn find(key: &str, name: &str) -> Result<Proxy> {
    let mut all = list()?;
    if let Some(read) = all.remove(name) {
        return read;
    }
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    Err(Error::usage(format!(
        "{key}: there is no proxy \"{name}\"{}; the proxies are {}; describe your own in {OWN_FILE} as [proxy.NAME]",
        did_you_mean(name, names.iter().copied()),
        names.join(", ")
    )))
}

/// All proxies, by name.
///
/// # Errors
/// The user's file is not TOML.
pub fn list() -> Result<Read> {
    let mut all = Read::new();
    for dir in SHIPPED.dirs() {
        let name = dir.path().to_str().unwrap_or_default();
        let file = format!("proxies/{name}/proxy.toml");
        let toml = dir.get_file(dir.path().join("proxy.toml")).and_then(|f| f.contents_utf8());
        let text = toml.ok_or_else(|| {
            Error::harness(format!("{file} is missing in this build: please report it"))
        })?;
        let place = |at: usize| Origin::at(&file, text, at);
        let files = Files::Shipped(dir);
        let reader = ProxyReader { name, table: "", place: &place, files: &files };
        let read = reader.read(&read_toml(&file, text)?, &Origin::named(&file));
        all.insert(name.to_owned(), read);
    }
    match input::text(Path::new(OWN_FILE), input::WRITTEN) {
        Ok(text) => all.extend(described(OWN_FILE, &text, &own_files())?),
        Err(e) if e.is_missing() => {}
        Err(e) => return Err(e.into()),
    }
    Ok(all)
}

/// The proxies that a file such as `pushbench.toml` describes; `file` names it in messages.
///
/// # Errors
/// The text is not TOML.
pub fn described_in(file: &str, text: &str) -> Result<Read> {
    let folder = Path::new(file).parent().unwrap_or(Path::new("")).to_owned();
    described(file, text, &Files::Own(folder))
}

fn described(file: &str, text: &str, files: &Files) -> Result<Read> {
    let place = |at: usize| Origin::at(file, text, at);
    let table = read_toml(file, text)?;
    let Some((key, value)) = table.get_key_value("proxy") else { return Ok(Read::new()) };
    let wanted = "write a table [proxy.NAME], and below it its kind and command";
    let DeValue::Table(proxies) = value.get_ref() else {
        let at = place(key.span().start);
        return Err(at.error(format!("proxy is {}: {wanted}", kind(value.get_ref()))));
    };
    let read = proxies.iter().map(|(key, value)| {
        let (at, name) = (place(key.span().start), key.get_ref().as_ref());
        let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let read = match value.get_ref() {
            _ if name.is_empty() || name == "none" || !name.chars().all(bare) => {
                Err(at.error(format!(
                    "a proxy cannot be called \"{}\": write letters, digits, - and _, for example [proxy.mine]",
                    name.escape_debug()
                )))
            }
            DeValue::Table(table) => {
                let written = format!("proxy.{name}");
                ProxyReader { name, table: &written, place: &place, files }.read(table, &at)
            }
            other => Err(at.error(format!("proxy.{name} is {}: {wanted}", kind(other)))),
        };
        (name.to_owned(), read)
    });
    Ok(read.collect())
}

/// A table that is being read: the proxy's name, the table's in messages, and where its files are.
struct ProxyReader<'a> {
    name: &'a str,
    table: &'a str,
    place: &'a dyn Fn(usize) -> Origin,
    files: &'a Files,
}

impl ProxyReader<'_> {
    fn read(&self, table: &DeTable<'_>, at: &Origin) -> Result<Proxy> {
        let mut proxy = self.read_keys(table, at)?;
        if let Some((tls_at, table)) = tls_keys::variant(table, self.table, self.place)? {
            if proxy.kind == ProxyKind::Forward {
                return Err(tls_at.error(
                    "tls: a forward proxy is spoken to without TLS, and carries what its client encrypts: remove this",
                ));
            }
            let written = format!("{}.tls", self.table);
            let over_tls = ProxyReader { table: written.trim_start_matches('.'), ..*self };
            let over_tls = over_tls.read_keys(&table, &tls_at)?;
            if !over_tls.texts().any(|text| text.contains("{cert")) {
                return Err(tls_at.error(
                    "tls: nothing in command, env or config has {cert} or {cert_pem}, the certificate of the run: a \
                     reverse proxy needs it with {key} or {key_pem} to speak TLS",
                ));
            }
            proxy.over_tls = Some(Box::new(over_tls));
        }
        let tls_files = FILES.into_iter().take(2).chain(["{cert_pem}", "{key_pem}"]);
        for file in tls_files {
            if proxy.texts().any(|text| text.contains(file)) {
                return Err(at.error(format!(
                    "{file} belongs to TLS: write it in the command or config of a table {}",
                    format!("[{}.tls]", self.table).replace("[.", "[")
                )));
            }
        }
        Ok(proxy)
    }

    fn read_keys(&self, table: &DeTable<'_>, at: &Origin) -> Result<Proxy> {
        let mut manifest = Manifest::running(self.name, "", Matching::Order);
        (manifest.files, manifest.ready_timeout) = (self.files.clone(), description::READY_TIMEOUT);
        let mut found = Proxy {
            name: self.name.to_owned(),
            kind: ProxyKind::Reverse,
            about: String::new(),
            idle_cutoff: None,
            cure: None,
            manifest,
            config: Vec::new(),
            version: Vec::new(),
            package: None,
            ca: None,
            over_tls: None,
        };
        let mut mistakes = Vec::new();
        for (key, value) in table {
            let (name, at) = (key.get_ref().as_ref(), (self.place)(value.span().start));
            if let Err(mistake) = self.take(&mut found, name, value.get_ref(), &at) {
                mistakes.push((key.span().start, mistake));
            }
        }
        if !mistakes.is_empty() {
            mistakes.sort_by_key(|(at, _)| *at);
            let lines: Vec<String> = mistakes.iter().map(|(_, m)| m.to_string()).collect();
            return Err(Error::usage(lines.join("\n")));
        }
        for key in ["kind", "command"] {
            if !table.contains_key(key) {
                let hint = match key {
                    "kind" => {
                        "kind = \"reverse\" for one in front of a server, kind = \"forward\" for one beside a client"
                    }
                    _ => "command = [\"nginx\", \"-c\", \"{dir}/nginx.conf\"]",
                };
                return Err(at.error(format!("{} has no {key}: add {hint}", self.name)));
            }
        }
        self.check(&found, at)?;
        Ok(found)
    }

    fn take(&self, found: &mut Proxy, key: &str, value: &DeValue<'_>, at: &Origin) -> Result<()> {
        match key {
            "kind" => {
                found.kind = match text(value, key, at)?.as_str() {
                    "reverse" => ProxyKind::Reverse,
                    "forward" => ProxyKind::Forward,
                    other => {
                        return Err(at.error(format!(
                            "kind: \"{}\" is neither \"reverse\" (in front of a server) nor \"forward\" (beside a \
                             client)",
                            other.escape_debug()
                        )));
                    }
                }
            }
            "about" => found.about = text(value, key, at)?,
            "command" => found.manifest.command = Some(values::command(value, at)?),
            "config" => found.config = self.config(&values::texts(value, key, at)?, at)?,
            "version" => found.version = values::command(value, at)?,
            "package" => found.package = Some(text(value, key, at)?),
            "setup" => found.manifest.setup = values::texts(value, key, at)?,
            "env" => found.manifest.env = values::env(value, at)?,
            "ready_timeout" => found.manifest.ready_timeout = values::duration(key, value, at)?,
            "idle_cutoff" => found.idle_cutoff = Some(values::duration(key, value, at)?),
            "cure" => found.cure = Some(text(value, key, at)?),
            "ca" => found.ca = Some(text(value, key, at)?),
            "tls" => {}
            _ => {
                return Err(at.error(format!(
                    "a proxy has no key \"{key}\"{}; the keys are {}",
                    did_you_mean(key, KEYS),
                    KEYS.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// The templates of its configuration files.
    fn config(&self, names: &[String], at: &Origin) -> Result<Vec<(String, String)>> {
        let template = |name: &String| {
            let file = match self.files {
                Files::Shipped(dir) => {
                    let file = dir.get_file(dir.path().join(name)).and_then(|f| f.contents_utf8());
                    file.map(str::to_owned).ok_or_else(|| {
                        Error::harness(format!(
                            "{at}: {name} is missing in this build: please report it"
                        ))
                    })?
                }
                Files::Own(folder) => input::text(&folder.join(name), input::WRITTEN)
                    .map_err(|e| at.error(format!("config: {e}")))?,
                Files::None => String::new(),
            };
            let name = Path::new(name).file_name().and_then(|n| n.to_str()).unwrap_or(name);
            Ok((name.to_owned(), file))
        };
        names.iter().map(template).collect()
    }

    /// Refuses what would be started in vain.
    fn check(&self, found: &Proxy, at: &Origin) -> Result<()> {
        for text in found.texts() {
            if let Some(name) = wording::names(text).find(|name| !PLACEHOLDERS.contains(name)) {
                return Err(at.error(format!(
                    "command, env or config of {} has {{{name}}}, which stands for nothing{}; the placeholders are {}",
                    self.name,
                    did_you_mean(name, PLACEHOLDERS),
                    PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(", ")
                )));
            }
        }
        let has = |names: &[&str]| {
            found.texts().any(|text| names.iter().any(|name| text.contains(&format!("{{{name}}}"))))
        };
        let why = match found.kind {
            _ if !has(&["listen", "port"]) => {
                "its command, env and config do not say where it listens: write {listen} (HOST:PORT), or {host} and \
                 {port}"
            }
            ProxyKind::Reverse if !has(&["upstream", "upstream_port"]) => {
                "a reverse proxy must be told the server behind it: write {upstream} (HOST:PORT), or {upstream_host} and \
                 {upstream_port}, in its command, env or config"
            }
            ProxyKind::Forward if has(&["upstream", "upstream_host", "upstream_port"]) => {
                "a forward proxy learns from each request where it goes: remove {upstream}, or write kind = \"reverse\""
            }
            ProxyKind::Reverse if found.ca.is_some() => {
                "ca belongs to a forward proxy that inspects TLS: a reverse proxy has {cert} and {key}"
            }
            _ if has(&["idle_cutoff"]) && found.idle_cutoff.is_none() => {
                "its config has {idle_cutoff}, but there is no default: add for example idle_cutoff = \"60s\""
            }
            _ => return Ok(()),
        };
        Err(at.error(format!("{}: {why}", self.name)))
    }
}

impl Proxy {
    /// Its command, environment and templates.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let inputs = self.manifest.program_inputs().map(String::as_str);
        inputs.chain(self.config.iter().map(|(_, template)| template.as_str()))
    }

    /// Whether another time can stand for its own cut-off.
    pub fn cutoff_can_be_set(&self) -> bool {
        self.texts().any(|text| text.contains("{idle_cutoff}"))
    }

    /// Refuses one of the other kind. `key`: where it is named.
    ///
    /// # Errors
    /// It is a forward proxy under `path.via`, or a reverse one under `path.forward_proxy`.
    pub fn stands_for(&self, key: &str) -> Result<()> {
        let right = match self.kind {
            ProxyKind::Reverse => "path.via",
            ProxyKind::Forward => "path.forward_proxy",
        };
        if right == key {
            return Ok(());
        }
        let (name, kind) = (&self.name, self.kind.name());
        Err(Error::usage(format!("{key}: {name} is a {kind} proxy: write it as {right}")))
    }

    /// Its command line, with placeholders.
    pub fn command_line(&self) -> String {
        self.manifest.command_line()
    }

    /// Prepares it where it needs that, and gives its version. `say` receives a line per step.
    ///
    /// # Errors
    /// Its program is not installed or cannot be set up.
    pub fn prepare(&self, interrupt: &AtomicBool, say: &mut dyn FnMut(&str)) -> Result<String> {
        if !self.manifest.setup.is_empty() {
            setup::ensure(&self.manifest, interrupt, say)?;
        }
        let programs = [self.manifest.command.as_deref(), Some(self.version.as_slice())];
        for program in programs.into_iter().flatten().filter_map(<[String]>::first) {
            if !program.contains('/') && !running::on_path(program) {
                let package = self.package.as_ref().map_or(String::new(), |package| {
                    format!(" (Debian, Ubuntu: sudo apt install {package})")
                });
                return Err(Error::target(format!(
                    "proxy {} needs {program}, which is not installed: install it{package}",
                    self.name
                )));
            }
        }
        match self.version.as_slice() {
            [] => Ok("unknown version".to_owned()),
            words => running::version(self, words, interrupt),
        }
    }
}

#[cfg(test)]
#[path = "proxy/tests.rs"]
mod tests;
