//! Base and candidate: a command with `{port}`, or the name of a target.

use crate::run::arms;
use crate::run::arms::Arm;
use pushbench_analysis::compare::gate::{BASE, CANDIDATE, NULL};
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Matching;
use pushbench_core::transport::Transport;
use pushbench_sut::manifest::{BuiltinOptions, Manifest, OWN_FILE, PORT};

/// Stands for the transport in a command that serves several.
const TRANSPORT: &str = "{transport}";

/// What concerns every side.
pub struct SideOptions<'a> {
    /// Path at which a command takes events; the transport's usual one without it.
    pub path: Option<&'a str>,
    /// How a command's answers find their events.
    pub matching: Matching,
    /// How the built-in target is started.
    pub builtin: BuiltinOptions,
    /// Hosts other than this machine that may be loaded.
    pub allow_hosts: &'a [String],
}

/// Base, candidate and null of each transport, in this order.
pub fn arms(
    base: &str,
    candidate: &str,
    transports: &[ArmSpec],
    options: &SideOptions<'_>,
) -> Result<Vec<Arm>> {
    let mut arms = Vec::new();
    for spec in transports {
        let base_manifest = one("--base", base, spec, options)?;
        let candidate_manifest = one("--candidate", candidate, spec, options)?;
        let again = base_manifest.clone();
        arms.extend([
            arm(BASE, spec, base_manifest),
            arm(CANDIDATE, spec, candidate_manifest),
            arm(NULL, spec, again),
        ]);
    }
    Ok(arms)
}

/// An arm that plays a part.
pub fn arm(part: &str, spec: &ArmSpec, mut manifest: Manifest) -> Arm {
    part.clone_into(&mut manifest.name);
    let spec = ArmSpec { target: part.to_owned(), ..spec.clone() };
    Arm { label: spec.to_string(), spec, manifest }
}

/// Whether a side is the name of a target and not a command.
pub(crate) fn is_name(text: &str) -> bool {
    !text.contains(char::is_whitespace) && !text.contains(['{', '/'])
}

/// The program of one side. `option` names it in messages.
pub fn one(
    option: &str,
    text: &str,
    spec: &ArmSpec,
    options: &SideOptions<'_>,
) -> Result<Manifest> {
    let transport = spec.transport;
    if is_name(text) {
        let spec = ArmSpec { target: text.to_owned(), ..spec.clone() };
        let found = arms::find_one(&spec.to_string(), &spec, &options.builtin, options.allow_hosts);
        return found.map_err(|e| no_target(option, text, e));
    }
    if let Some(other) = spec.options.iter().find(|option| *option != ArmOption::Tls) {
        return Err(Error::usage(format!(
            "{option} \"{text}\": a command cannot be told of +{}: describe it in {OWN_FILE} and name the target",
            other.name()
        )));
    }
    let words = words(option, text, transport)?;
    let path = match options.path {
        Some(path) if !path.starts_with('/') => {
            return Err(Error::usage(format!(
                "--path {path}: a path begins with /: write --path /{path}"
            )));
        }
        Some(path) => path,
        None if transport == Transport::Webhook => "/webhook",
        None => "/",
    };
    let path = if transport == Transport::Tcp { "" } else { path };
    if spec.has(ArmOption::Tls) && !text.contains("{cert}") {
        return Err(Error::usage(format!(
            "{option} \"{text}\": it is reached over TLS: hand it the files of the run, such as --cert {{cert}} --key \
             {{key}}"
        )));
    }
    Ok(Manifest::started_by(option, spec, words, path, options.matching))
}

fn words(option: &str, text: &str, transport: Transport) -> Result<Vec<String>> {
    let bad = |what: &str| {
        Error::usage(format!(
            "{option} \"{text}\": {what}; write a command such as {option} './server --port {PORT}', or the \
             name of a target (pushbench list targets)"
        ))
    };
    let words = shell_words::split(text).map_err(|_| bad("a quote is not closed"))?;
    if words.is_empty() {
        return Err(bad("it contains no command"));
    }
    if !words.iter().any(|w| w.contains(PORT)) {
        return Err(bad("it has no {port}, so the program does not receive its port"));
    }
    Ok(words.into_iter().map(|w| w.replace(TRANSPORT, transport.name())).collect())
}

fn no_target(option: &str, text: &str, e: Error) -> Error {
    match e {
        Error::Usage(why) => Error::usage(format!(
            "{option} {text}: {why}; a command, unlike the name of a target, contains {PORT}"
        )),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> SideOptions<'static> {
        let builtin = BuiltinOptions::default();
        SideOptions { path: None, matching: Matching::Id, builtin, allow_hosts: &[] }
    }

    #[test]
    fn a_command_is_split_as_by_a_shell() {
        let text = "./my\\ server '--name=a b' --port {port} --over {transport}";
        let found =
            one("--base", text, &ArmSpec::plain(Transport::Websocket, ""), &options()).unwrap();
        let words = ["./my server", "--name=a b", "--port", "{port}", "--over", "websocket"];
        assert_eq!(found.command.unwrap(), words);
        assert_eq!(found.url, "ws://127.0.0.1:{port}/");
        let over_tls = ArmSpec::parse_left("webhook+tls", "").unwrap();
        let found = one("--base", "./server {port} {cert}", &over_tls, &options()).unwrap();
        assert_eq!(found.url, "https://127.0.0.1:{port}/webhook");
        assert!(found.tls.is_some());
    }

    #[test]
    fn what_cannot_be_started_is_refused() {
        let refused = |text: &str| {
            let e = one("--candidate", text, &ArmSpec::plain(Transport::Webhook, ""), &options())
                .unwrap_err();
            assert!(matches!(e, Error::Usage(_)), "{e}");
            e.to_string()
        };
        assert!(refused("./server --port 80").contains("no {port}"));
        assert!(refused("./server 'x {port}").contains("quote"));
        assert!(refused("  ").contains("no command"));
        assert!(refused("flsk").contains("did you mean"));
        for (arm, why) in [("webhook+tls", "--cert {cert}"), ("webhook+signed", "pushbench.toml")] {
            let spec = ArmSpec::parse_left(arm, "").unwrap();
            let e = one("--candidate", "./server {port}", &spec, &options()).unwrap_err();
            assert!(e.to_string().contains(why), "{e}");
        }
    }
}
