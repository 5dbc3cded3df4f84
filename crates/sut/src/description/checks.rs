//! What must hold of a target's name, and of all keys of a description together.

use crate::description::{TableReader, TargetDescription};
use crate::manifest::{BUILTIN, BUILTIN_CLOSE, PORT, usable_url};
use crate::publisher::reaches_subscribers;
use crate::tls_keys;
use pushbench_core::error::Result;
use pushbench_core::origin::Origin;
use pushbench_core::suggest::did_you_mean;
use pushbench_core::transport::Transport;
use pushbench_core::wording;
use pushbench_wire::endpoint::Scheme;

impl TableReader<'_> {
    /// Refuses a description whose keys do not go together.
    pub(super) fn check(&self, found: &TargetDescription) -> Result<()> {
        if self.transport.carrier().is_none() && found.publishing.publish.is_none() {
            return Err(self.origin.error(format!(
                "[{}] has no publish: {} only delivers events to subscribers: add publish and subscribe",
                self.name,
                self.transport.name()
            )));
        }
        if found.url.is_empty() && found.publishing.publish.is_none() {
            let hint = "url = \"http://127.0.0.1:{port}/webhook\"";
            return Err(self.origin.error(format!(
                "[{}] has no url: add for example {hint}, or publish and subscribe for a target that \
                 publishes",
                self.name
            )));
        }
        if let (Some(publish), Some(_)) = (&found.publishing.publish, &found.request_options.wrap) {
            return Err(publish.origin.error(format!(
                "[{}] has publish and wrap: write the wrapped event as body of publish, {{ url = \"…\", body = \"…\" }}",
                self.name
            )));
        }
        let program_inputs: Vec<&str> = found.program_inputs().collect();
        found.publishing.check(&self.name, self.transport, &program_inputs, &self.origin)?;
        for (key, url, at) in found.urls() {
            let by = if key == "publish" { Transport::Webhook } else { self.transport };
            usable_url((key, url, at), Scheme::of(by))?;
            port_is_passed_on((key, url, at), found.command.is_some(), &program_inputs)?;
        }
        for request in &found.hello.requests {
            let (url, at) = (request.checked_url(), &request.origin);
            usable_url(("hello: url", &url, at), Scheme::Http)?;
            // Another server may answer it, at a port that is always the same.
            if url.contains(PORT) {
                let started = found.command.is_some();
                port_is_passed_on(("hello: url", &url, at), started, &program_inputs)?;
            }
        }
        let urls: Vec<_> = found.urls().collect();
        let program = format!("[{}] command or env", self.name);
        let program = (program.as_str(), &self.origin, &program_inputs[..]);
        found.tls.check(&urls, program, "ca = \"FILE.pem\"")?;
        tls_keys::check_hello(found)?;
        self.check_names(found)?;
        match &found.publishing.publish {
            Some(publish) if found.url.is_empty() && self.transport == Transport::Webhook => {
                reaches_subscribers(publish, found.command.is_some())
            }
            _ => Ok(()),
        }
    }

    /// A name in braces that nothing captures would be sent as it is.
    fn check_names(&self, found: &TargetDescription) -> Result<()> {
        if found.hello.requests.is_empty() {
            return Ok(());
        }
        let headers = found.request_options.headers.iter();
        let headers =
            headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let urls = found.urls().map(|(key, url, _)| (key, url));
        for (key, text) in headers.chain(urls) {
            let known =
                |name: &&str| *name == "port" || found.hello.names.iter().any(|n| n == name);
            if let Some(name) = wording::names(text).find(|name| !known(name)) {
                let near = did_you_mean(name, found.hello.names.iter().map(String::as_str));
                return Err(self.origin.error(format!(
                    "[{}] {key}: {{{name}}} is captured by no await of hello{near}: correct the name",
                    self.name
                )));
            }
        }
        Ok(())
    }
}

/// `{port}` occurs in an address and in the command or environment, or in none of them.
fn port_is_passed_on(
    (key, url, at): (&str, &str, &Origin),
    started: bool,
    program_inputs: &[&str],
) -> Result<()> {
    match (url.contains(PORT), program_inputs.iter().any(|text| text.contains(PORT))) {
        (true, _) if !started => Err(at.error(format!(
            "{key} has {{port}}, but there is no command that could receive a port: add command = […], or \
             write the port of the running server"
        ))),
        (true, false) => Err(at.error(format!(
            "{key} has {{port}}, but the program does not receive the port: write {{port}} in \
             command or in env = {{ PORT = \"{{port}}\" }}, or write the fixed port of the program in {key}"
        ))),
        // Subscribers may be served on another port, one that is always the same.
        (false, true) if key != "subscribe" => Err(at.error(format!(
            "command or env has {{port}}, but {key} \"{url}\" does not: write {{port}} there, too"
        ))),
        _ => Ok(()),
    }
}

/// The name as it is written in a file, unless no target may be called so.
pub(super) fn own_name(name: &str, at: &Origin) -> Result<String> {
    let why = match name {
        "" => "a name must not be empty",
        BUILTIN | BUILTIN_CLOSE => "that name is reserved",
        _ if name.contains(|c: char| c.is_control() || c.is_whitespace() || "@#".contains(c)) => {
            "a name must not contain white space, control characters, @ or #"
        }
        _ if name.chars().all(is_bare) => return Ok(name.to_owned()),
        _ => return Ok(format!("\"{}\"", name.escape_default())),
    };
    let plain: String = name.chars().map(|c| if is_bare(c) { c } else { '-' }).collect();
    let better = match plain.trim_matches('-') {
        "" => "mine".to_owned(),
        plain if plain == name => format!("my-{plain}"),
        plain => plain.to_owned(),
    };
    Err(at.error(format!(
        "a target cannot be called \"{}\": {why}: write for example [target.{better}.webhook]",
        name.escape_debug()
    )))
}

/// It is allowed in a TOML key without quotes.
fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}
