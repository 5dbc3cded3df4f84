//! What is said of a target that did not start.

use crate::manifest::{Manifest, PORT, Ready};
use crate::process::Running;
use crate::{listening, run_keys, setup};
use pushbench_core::error::Error;
use std::net::SocketAddr;

pub(super) fn cannot_execute(manifest: &Manifest, why: &str) -> Error {
    let program = manifest.command.as_ref().and_then(|c| c.first()).map_or("", String::as_str);
    Error::target(format!(
        "target {}: cannot execute \"{program}\": {why}; check its command: {}",
        manifest.name,
        manual_command(manifest)
    ))
}

pub(super) fn never_ready(manifest: &Manifest, running: &Running) -> Error {
    let places: Vec<String> = running.addresses.iter().map(SocketAddr::to_string).collect();
    let places = places.join(" or ");
    let waited_for = match &manifest.ready {
        Ready::Tcp => format!("no server accepts connections at {places}"),
        Ready::Http(path) => format!("GET {path} at {places} is not answered with 2xx"),
        Ready::Line(text) => format!("it did not print \"{text}\""),
    };
    Error::target(format!(
        "target {} was not ready after {}: {waited_for}{}{}\ncheck ready and {{port}} in its \
         description, or raise ready_timeout",
        manifest.name,
        pushbench_core::units::nanos_text(manifest.ready_timeout.as_nanos() as f64),
        actual_address(running),
        last_lines(&running.output_tail())
    ))
}

/// Its actual address if that differs from the expected one.
fn actual_address(running: &Running) -> String {
    match running.listens_elsewhere() {
        Some(place) => format!("; it listens on {place} instead"),
        None if listening::addresses(&running.pids()).is_empty() => {
            "; it does not listen on any port".to_owned()
        }
        None => String::new(),
    }
}

pub(super) fn last_lines(tail: &str) -> String {
    match tail.trim() {
        "" => "; it printed nothing".to_owned(),
        tail => format!("; its last lines:\n  {}", tail.replace('\n', "\n  ")),
    }
}

/// What a person types to see the failure.
pub(super) fn manual_command(manifest: &Manifest) -> String {
    let line = manifest.command_line().replace("'{port}'", "8080").replace(PORT, "8080");
    // Other variables may be secrets.
    let variables = manifest.env.iter().filter(|(_, value)| value.contains(PORT));
    let env: Vec<String> =
        variables.map(|(name, value)| format!("{name}={} ", value.replace(PORT, "8080"))).collect();
    let files = match manifest.program_inputs().any(|word| run_keys::are_named_in(word)) {
        true => ", with PEM files of your own for {cert}, {key} and {ca}",
        false => "",
    };
    let line = format!("{}{line}{files}", env.concat());
    match setup::folder(manifest) {
        Ok(Some(folder)) => format!("cd {} && {line}", folder.display()),
        _ => line,
    }
}
