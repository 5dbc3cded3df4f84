//! What a proxy is: read from the shipped `proxies/` (embedded in the binary) or from the tables `[proxy.NAME]` of the
//! user's `pushbench.toml`.

mod reader;
mod running;

pub use running::{ProxyLaunch, RunningProxy, start};

use crate::manifest::{Files, Manifest, OWN_FILE, own_files};
use crate::proxy::reader::ProxyReader;
use crate::setup;
use crate::shipped_files::PROXIES;
use pushbench_core::error::{Error, Result};
use pushbench_core::origin::{Origin, kind, read_toml};
use pushbench_core::suggest::did_you_mean;
use pushbench_host::input;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use toml::de::DeValue;

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
    for dir in PROXIES.dirs() {
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

impl Proxy {
    /// Its command, environment and templates.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let inputs = self.manifest.program_inputs().map(String::as_str);
        inputs.chain(self.config.iter().map(|(_, template)| template.as_str()))
    }

    /// Whether another time can stand for its own cut-off.
    pub fn cutoff_can_be_set(&self) -> bool {
        self.texts().any(|text| text.contains("{idle_cutoff"))
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
