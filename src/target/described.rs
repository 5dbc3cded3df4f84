//! Reads the files that describe targets: `[webhook]` in a shipped `target.toml`,
//! `[target.NAME.webhook]` in a user's `pushbench.toml`.

use super::ease::{self, Declared};
use super::manifest::{BUILTIN, Matching, OWN_FILE, Ready};
use crate::error::{Error, Result};
use crate::origin::{Origin, kind, read_toml};
use crate::suggest::did_you_mean;
use crate::transport::{ALL, Transport};
use crate::units;
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/targets");

/// What a target serves, by transport.
pub(super) type Serves = BTreeMap<String, Described>;
/// Targets by name.
pub(super) type Targets = BTreeMap<String, Serves>;

/// How long a target may take to get ready: a cold Python with many imports takes seconds.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

const KEYS: [&str; 11] = [
    "command",
    "url",
    "ready",
    "ready_timeout",
    "match",
    "setup",
    "env",
    "cwd",
    "code",
    "packages",
    "duties",
];

/// What such a table says, checked key by key.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub command: Option<Vec<String>>,
    pub url: String,
    pub url_origin: Origin,
    pub ready: Ready,
    pub ready_timeout: Duration,
    pub matching: Matching,
    pub setup: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: Option<String>,
    pub ease: Declared,
}

/// The names of the targets in the binary: every folder of `targets/`.
pub(super) fn shipped_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.dirs().filter_map(|dir| dir.path().to_str())
}

/// A target in the binary: what it serves and its files.
pub(super) fn shipped(name: &str) -> Result<Option<(Serves, &'static Dir<'static>)>> {
    let Some(dir) = SHIPPED.get_dir(name) else { return Ok(None) };
    let file = format!("targets/{name}/target.toml");
    let Some(text) = dir.get_file(dir.path().join("target.toml")).and_then(|f| f.contents_utf8())
    else {
        return Err(Error::harness(format!("{file} is missing in this build: please report it")));
    };
    let serves = transports(&read_toml(&file, text)?, "", &|at| Origin::at(&file, text, at))?;
    Ok(Some((serves, dir)))
}

/// The targets that the `pushbench.toml` in this folder describes; none when there is no such file.
pub(super) fn own(folder: &Path) -> Result<Targets> {
    let text = match std::fs::read_to_string(folder.join(OWN_FILE)) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Targets::new()),
        Err(e) => return Err(Error::usage(format!("cannot read {OWN_FILE}: {e}"))),
    };
    let place = |at: usize| Origin::at(OWN_FILE, &text, at);
    let mut found = Targets::new();
    for (key, value) in &read_toml(OWN_FILE, &text)? {
        let at = place(key.span().start);
        let (DeValue::Table(targets), "target") = (value.get_ref(), key.get_ref().as_ref()) else {
            return Err(at.error(format!(
                "\"{}\" is not known here: describe a target as [target.NAME.webhook]",
                key.get_ref()
            )));
        };
        for (name, value) in targets {
            let at = place(name.span().start);
            let name = name.get_ref().as_ref();
            let odd =
                name.contains(|c: char| c.is_control() || c.is_whitespace() || "@#".contains(c));
            if name.is_empty() || name == BUILTIN || odd {
                return Err(at.error(format!("a target cannot be called \"{name}\": rename it")));
            }
            let DeValue::Table(table) = value.get_ref() else {
                return Err(at.error(format!(
                    "target.{name} is {}: write [target.{name}.webhook]",
                    kind(value.get_ref())
                )));
            };
            found.insert(name.to_owned(), transports(table, &format!("target.{name}."), &place)?);
        }
    }
    Ok(found)
}

/// The tables of a target; `prefix` stands before their names in messages.
fn transports(
    table: &DeTable<'_>,
    prefix: &str,
    place: &dyn Fn(usize) -> Origin,
) -> Result<Serves> {
    let mut found = Serves::new();
    for (key, value) in table {
        let at = place(key.span().start);
        let name = key.get_ref().as_ref();
        let (DeValue::Table(inner), Some(_)) = (value.get_ref(), Transport::named(name)) else {
            let names = ALL.map(Transport::name);
            return Err(at.error(format!(
                "{prefix}{name} is no table of a transport{}; there are {}",
                did_you_mean(name, names),
                names.map(|n| format!("[{prefix}{n}]")).join(", ")
            )));
        };
        found.insert(name.to_owned(), read(inner, &format!("{prefix}{name}"), &at, place)?);
    }
    Ok(found)
}

/// Reads the table at `origin`, named `name` in messages.
fn read(
    table: &DeTable<'_>,
    name: &str,
    origin: &Origin,
    place: &dyn Fn(usize) -> Origin,
) -> Result<Described> {
    let mut found = Described {
        command: None,
        url: String::new(),
        url_origin: origin.clone(),
        ready: Ready::Tcp,
        ready_timeout: READY_TIMEOUT,
        matching: Matching::Order,
        setup: Vec::new(),
        env: Vec::new(),
        cwd: None,
        ease: Declared::default(),
    };
    let mut matched = false;
    for (key, value) in table {
        let at = place(value.span().start);
        let value = value.get_ref();
        match key.get_ref().as_ref() {
            "command" => found.command = Some(command(value, &at)?),
            "url" => (found.url, found.url_origin) = (text(value, "url", &at)?, at),
            "ready" => found.ready = ready(&text(value, "ready", &at)?, &at)?,
            "ready_timeout" => {
                let text = text(value, "ready_timeout", &at)?;
                found.ready_timeout = units::parse_duration(&text)
                    .map_err(|e| at.error(format!("ready_timeout: {e}")))?;
            }
            "match" => {
                matched = true;
                found.matching = match text(value, "match", &at)?.as_str() {
                    "id" => Matching::Id,
                    "order" => Matching::Order,
                    other => {
                        return Err(
                            at.error(format!("match: \"{other}\": write \"id\" or \"order\""))
                        );
                    }
                }
            }
            "setup" => found.setup = texts(value, "setup", &at)?,
            "env" => found.env = env(value, &at)?,
            "cwd" => found.cwd = Some(text(value, "cwd", &at)?),
            "code" => found.ease.code = Some((texts(value, "code", &at)?, at)),
            "packages" => found.ease.packages = Some((texts(value, "packages", &at)?, at)),
            "duties" => found.ease.duties = Some(ease::duties(value, &at)?),
            other => {
                return Err(place(key.span().start).error(format!(
                    "[{name}] knows no key \"{other}\"{}; there are {}",
                    did_you_mean(other, KEYS),
                    KEYS.join(", ")
                )));
            }
        }
    }
    if found.url.is_empty() {
        let hint = "url = \"http://127.0.0.1:{port}/webhook\"";
        return Err(origin.error(format!("[{name}] has no url: add for example {hint}")));
    }
    if !matched {
        return Err(origin.error(format!(
            "[{name}] has no match: add match = \"id\" if the answer carries the event's id, else \
             match = \"order\""
        )));
    }
    let commands = found.command.is_some();
    if !commands && found.url.contains("{port}") {
        return Err(found.url_origin.error(
            "url has {port}, but there is no command to give a port to: add command = […], or write \
             the port of the running server",
        ));
    }
    Ok(found)
}

fn text(value: &DeValue<'_>, key: &str, at: &Origin) -> Result<String> {
    match value {
        DeValue::String(s) => Ok(s.to_string()),
        other => Err(at.error(format!("{key}: this is {}: write text in quotes", kind(other)))),
    }
}

fn texts(value: &DeValue<'_>, key: &str, at: &Origin) -> Result<Vec<String>> {
    let DeValue::Array(items) = value else {
        return Err(at.error(format!(
            "{key}: this is {}: write a list of texts, for example [\"a\", \"b\"]",
            kind(value)
        )));
    };
    items.iter().map(|item| text(item.get_ref(), key, at)).collect()
}

/// A list of words, or one text that is split as a shell would.
fn command(value: &DeValue<'_>, at: &Origin) -> Result<Vec<String>> {
    let words = match value {
        DeValue::String(line) => {
            shell_words::split(line).map_err(|e| at.error(format!("command: {e}")))?
        }
        _ => texts(value, "command", at)?,
    };
    if words.first().is_none_or(String::is_empty) {
        return Err(at.error("command: it is empty: write the program and its arguments"));
    }
    if words.iter().any(|word| word.contains('\0')) {
        return Err(at.error("command: it holds a NUL character"));
    }
    Ok(words)
}

fn ready(text: &str, at: &Origin) -> Result<Ready> {
    match text.split_once(':') {
        None if text == "tcp" => Ok(Ready::Tcp),
        Some(("http", path)) if path.starts_with('/') => Ok(Ready::Http(path.to_owned())),
        Some(("line", wanted)) if !wanted.is_empty() => Ok(Ready::Line(wanted.to_owned())),
        _ => Err(at.error(format!(
            "ready: \"{text}\": write \"tcp\", \"http:/health\" or \"line:READY\""
        ))),
    }
}

fn env(value: &DeValue<'_>, at: &Origin) -> Result<Vec<(String, String)>> {
    let DeValue::Table(table) = value else {
        return Err(at.error(format!("env: this is {}: write {{ NAME = \"value\" }}", kind(value))));
    };
    let pair =
        |(name, value): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
            let name = name.get_ref();
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(at.error(format!("env: \"{name}\" is no name of a variable")));
            }
            Ok((name.to_string(), text(value.get_ref(), "env", at)?))
        };
    table.iter().map(pair).collect()
}
