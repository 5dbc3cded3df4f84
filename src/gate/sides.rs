//! Base and candidate: a command with `{port}`, or the name of a target.

use crate::run::arms::Arm;
use pushbench_analysis::compare::gate::{BASE, CANDIDATE, NULL};
use pushbench_core::arm::ArmSpec;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Matching;
use pushbench_core::transport::Transport;
use pushbench_sut::manifest;
use pushbench_sut::manifest::{BUILTIN, BuiltinOptions, Manifest, PORT};

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
    transports: &[Transport],
    options: &SideOptions<'_>,
) -> Result<Vec<Arm>> {
    let mut arms = Vec::new();
    for transport in transports {
        let base_manifest = one("--base", base, *transport, options)?;
        let candidate_manifest = one("--candidate", candidate, *transport, options)?;
        let again = base_manifest.clone();
        arms.extend([
            arm(BASE, *transport, base_manifest),
            arm(CANDIDATE, *transport, candidate_manifest),
            arm(NULL, *transport, again),
        ]);
    }
    Ok(arms)
}

/// An arm that plays a part.
pub fn arm(part: &str, transport: Transport, mut manifest: Manifest) -> Arm {
    part.clone_into(&mut manifest.name);
    Arm {
        label: format!("{}@{part}", transport.name()),
        spec: ArmSpec::plain(transport, part),
        manifest,
    }
}

/// Whether a side is the name of a target and not a command.
pub(crate) fn is_name(text: &str) -> bool {
    !text.contains(char::is_whitespace) && !text.contains(['{', '/'])
}

/// The program of one side. `option` names it in messages.
pub fn one(
    option: &str,
    text: &str,
    transport: Transport,
    options: &SideOptions<'_>,
) -> Result<Manifest> {
    if is_name(text) {
        return match text {
            BUILTIN => Ok(Manifest::builtin(&ArmSpec::plain(transport, BUILTIN), &options.builtin)),
            name => manifest::find(&ArmSpec::plain(transport, name), options.allow_hosts)
                .map_err(|e| no_target(option, text, e)),
        };
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
    Ok(Manifest::started_by(option, transport, words, path, options.matching))
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
        let found = one("--base", text, Transport::Websocket, &options()).unwrap();
        let words = ["./my server", "--name=a b", "--port", "{port}", "--over", "websocket"];
        assert_eq!(found.command.unwrap(), words);
        assert_eq!(found.url, "ws://127.0.0.1:{port}/");
    }

    #[test]
    fn what_cannot_be_started_is_refused() {
        let refused = |text: &str| {
            let e = one("--candidate", text, Transport::Webhook, &options()).unwrap_err();
            assert!(matches!(e, Error::Usage(_)), "{e}");
            e.to_string()
        };
        assert!(refused("./server --port 80").contains("no {port}"));
        assert!(refused("./server 'x {port}").contains("quote"));
        assert!(refused("  ").contains("no command"));
        assert!(refused("flsk").contains("did you mean"));
    }
}
