//! Reads the files that describe targets: `[webhook]` in a shipped `target.toml`,
//! `[target.NAME.webhook]` in a user's `pushbench.toml`.

use super::ease::{self, Declared};
use super::manifest::{BUILTIN, BUILTIN_CLOSE, Matching, OWN_FILE, PORT, Ready};
use super::values::{self, text};
use super::wants;
use crate::error::{Error, Result};
use crate::origin::{Origin, kind, read_toml};
use crate::suggest::did_you_mean;
use crate::transport::terms::Terms;
use crate::transport::{CARRIERS, Carrier};
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

const KEYS: [&str; 14] = [
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
    pub terms: Terms,
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
            if name.is_empty() || name == BUILTIN || name == BUILTIN_CLOSE || odd {
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
        let (DeValue::Table(inner), Some(_)) = (value.get_ref(), Carrier::named(name)) else {
            let names = CARRIERS.map(Carrier::name);
            return Err(at.error(format!(
                "{prefix}{name} is no table of a transport{}; there are {}",
                did_you_mean(name, names),
                names.map(|n| format!("[{prefix}{n}]")).join(", ")
            )));
        };
        let reading =
            Reading { transport: name, name: format!("{prefix}{name}"), origin: at, place };
        found.insert(name.to_owned(), reading.read(inner)?);
    }
    Ok(found)
}

/// A table that is being read: its transport, its name in messages, and where it stands.
struct Reading<'a> {
    transport: &'a str,
    name: String,
    origin: Origin,
    place: &'a dyn Fn(usize) -> Origin,
}

impl Reading<'_> {
    fn read(&self, table: &DeTable<'_>) -> Result<Described> {
        let mut found = Described::new(&self.origin);
        let mut matched = false;
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if let Some(why) = wants::out_of_place(name, self.transport) {
                let at = (self.place)(key.span().start);
                return Err(at.error(format!("[{}] {name}: {why}", self.name)));
            }
            matched |= name == "match";
            let at = (self.place)(value.span().start);
            if !self.take(&mut found, name, value.get_ref(), at)? {
                return Err((self.place)(key.span().start).error(format!(
                    "[{}] knows no key \"{name}\"{}; there are {}",
                    self.name,
                    did_you_mean(name, KEYS),
                    KEYS.join(", ")
                )));
            }
        }
        self.check(&found, matched)?;
        Ok(found)
    }

    /// Reads one value; false when the key is not known.
    fn take(&self, d: &mut Described, key: &str, value: &DeValue<'_>, at: Origin) -> Result<bool> {
        match key {
            "command" => d.command = Some(values::command(value, &at)?),
            "url" => (d.url, d.url_origin) = (text(value, "url", &at)?, at),
            "ready" => d.ready = values::ready(&text(value, "ready", &at)?, &at)?,
            "ready_timeout" => {
                let text = text(value, "ready_timeout", &at)?;
                d.ready_timeout = units::parse_duration(&text)
                    .map_err(|e| at.error(format!("ready_timeout: {e}")))?;
            }
            "match" => (d.matching, d.terms.id_at) = wants::matching(value, &at)?,
            "method" => d.terms.method = wants::method(value, &at)?,
            "headers" => d.terms.headers = wants::headers(value, &at, self.place)?,
            "subprotocol" => d.terms.subprotocol = Some(wants::subprotocol(value, &at)?),
            "setup" => d.setup = values::texts(value, "setup", &at)?,
            "env" => d.env = values::env(value, &at)?,
            "cwd" => d.cwd = Some(text(value, "cwd", &at)?),
            "code" => d.ease.code = Some((values::texts(value, "code", &at)?, at)),
            "packages" => d.ease.packages = Some((values::texts(value, "packages", &at)?, at)),
            "duties" => d.ease.duties = Some(ease::duties(value, &at)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn check(&self, found: &Described, matched: bool) -> Result<()> {
        if found.url.is_empty() {
            let hint = "url = \"http://127.0.0.1:{port}/webhook\"";
            return Err(self
                .origin
                .error(format!("[{}] has no url: add for example {hint}", self.name)));
        }
        if !matched {
            return Err(self.origin.error(format!(
                "[{}] has no match: add match = \"id\" if the answer carries the event's id, else \
                 match = \"order\"",
                self.name
            )));
        }
        let Some(command) = &found.command else {
            return match found.url.contains(PORT) {
                true => Err(found.url_origin.error(
                    "url has {port}, but there is no command to give a port to: add command = […], \
                     or write the port of the running server",
                )),
                false => Ok(()),
            };
        };
        let told = found.env.iter().map(|(_, value)| value).chain(command);
        match (found.url.contains(PORT), told.into_iter().any(|text| text.contains(PORT))) {
            (true, false) => Err(found.url_origin.error(
                "url has {port}, but nothing tells the program which port that is: write {port} in \
                 command or in env = { PORT = \"{port}\" }, or in url the port it always takes",
            )),
            (false, true) => Err(found.url_origin.error(format!(
                "command or env has {{port}}, url \"{}\" has not: write {{port}} there, too",
                found.url
            ))),
            _ => Ok(()),
        }
    }
}

impl Described {
    fn new(origin: &Origin) -> Described {
        Described {
            command: None,
            url: String::new(),
            url_origin: origin.clone(),
            ready: Ready::Tcp,
            ready_timeout: READY_TIMEOUT,
            matching: Matching::Order,
            terms: Terms::default(),
            setup: Vec::new(),
            env: Vec::new(),
            cwd: None,
            ease: Declared::default(),
        }
    }
}
