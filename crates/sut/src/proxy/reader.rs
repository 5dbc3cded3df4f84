//! Reads the table of a proxy, and refuses what would be started in vain.

use crate::description;
use crate::manifest::{Files, Manifest};
use crate::proxy::{Proxy, ProxyKind};
use crate::run_keys::FILES;
use crate::tls_keys;
use crate::values::{self, text};
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Matching;
use pushbench_core::origin::Origin;
use pushbench_core::suggest::did_you_mean;
use pushbench_core::wording;
use pushbench_host::input;
use std::path::Path;
use toml::de::{DeTable, DeValue};

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
const PLACEHOLDERS: [&str; 15] = [
    "listen",
    "host",
    "port",
    "upstream",
    "upstream_host",
    "upstream_port",
    "dir",
    "user",
    "idle_cutoff",
    "idle_cutoff_s",
    "cert",
    "key",
    "ca",
    "cert_pem",
    "key_pem",
];

/// A table that is being read: the proxy's name, the table's in messages, and where its files are.
pub(super) struct ProxyReader<'a> {
    pub name: &'a str,
    pub table: &'a str,
    pub place: &'a dyn Fn(usize) -> Origin,
    pub files: &'a Files,
}

impl ProxyReader<'_> {
    pub fn read(&self, table: &DeTable<'_>, at: &Origin) -> Result<Proxy> {
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
            _ if has(&["idle_cutoff", "idle_cutoff_s"]) && found.idle_cutoff.is_none() => {
                "its config has {idle_cutoff}, but there is no default: add for example idle_cutoff = \"60s\""
            }
            _ => return Ok(()),
        };
        Err(at.error(format!("{}: {why}", self.name)))
    }
}
