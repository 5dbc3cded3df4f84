//! A target that options of the command line describe, without a file: `--webhook URL`, `--websocket URL`,
//! `--command CMD`.

use crate::description;
use crate::manifest::{self, Manifest, OWN_FILE, PORT};
use crate::secret_text;
use crate::tls_keys::{TlsKeys, is_over_tls};
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Matching;
use pushbench_core::origin::Origin;
use pushbench_core::transport::Transport;
use pushbench_wire::endpoint::Scheme;
use std::path::Path;

/// The name of such a target.
pub const GIVEN: &str = "mine";

/// What the options describe: a manifest for each URL.
#[derive(Debug, Clone)]
pub struct Given {
    manifests: Vec<(Transport, Manifest)>,
}

/// A program as it is written on the command line.
struct Program {
    env: Vec<(String, String)>,
    words: Vec<String>,
}

impl Given {
    /// Reads the options: URLs, the command, and the certificates and the name of `--ca` and `--server-name`; `None` where none is given. They are checked as a description is.
    ///
    /// # Errors
    ///
    /// A usage error that names the option.
    pub fn read(
        urls: &[(Transport, &str)],
        command: Option<&str>,
        (ca, server_name): (Option<&str>, Option<&str>),
        allow_hosts: &[String],
    ) -> Result<Option<Given>> {
        let program = command.map(program).transpose()?;
        let given = urls.iter().map(|(transport, url)| {
            Ok((*transport, manifest(*transport, url, program.as_ref(), allow_hosts)?))
        });
        let mut manifests = given.collect::<Result<Vec<_>>>()?;
        add_tls(&mut manifests, (ca, server_name))?;
        match (manifests.is_empty(), command) {
            (true, Some(command)) => Err(Error::usage(format!(
                "--command '{command}': no URL says where the program takes events: add --webhook \
                 http://127.0.0.1:{PORT}/PATH, --websocket ws://127.0.0.1:{PORT}/PATH, or both"
            ))),
            (true, None) => {
                match ca.map(|ca| ("ca", ca)).or(server_name.map(|n| ("server-name", n))) {
                    Some((option, value)) => Err(Error::usage(format!(
                        "--{option} {value}: no URL says where the server is: add --webhook https://HOST:PORT/PATH, \
                     --websocket wss://HOST:PORT/PATH, or both"
                    ))),
                    None => Ok(None),
                }
            }
            (false, _) => Ok(Some(Given { manifests })),
        }
    }

    /// Its arms, in the order of the URLs.
    pub fn arms(&self) -> Vec<String> {
        self.manifests.iter().map(|(t, _)| format!("{}@{GIVEN}", t.name())).collect()
    }

    /// What it serves for an arm.
    ///
    /// # Errors
    ///
    /// A usage error where no option gives a URL of the arm's transport, or the arm is over TLS and the URL is not.
    pub fn manifest(&self, spec: &ArmSpec) -> Result<Manifest> {
        let found = self.manifests.iter().find(|(t, _)| *t == spec.transport);
        let t = spec.transport.name();
        match found {
            Some((_, manifest)) if spec.has(ArmOption::Tls) && manifest.tls.is_none() => {
                Err(Error::usage(format!(
                    "--arm {spec}: --{t} {} is not over TLS: write --{t} {}://…, where the server uses TLS",
                    manifest.url,
                    Scheme::of(spec.transport).over_tls()
                )))
            }
            Some((_, manifest)) => Ok(manifest.clone()),
            None => Err(Error::usage(format!(
                "--arm {spec}: the options of this command describe {} only: add --{t} URL if there is such an \
                 option, or describe the server in {OWN_FILE} as [target.NAME.{t}]",
                self.arms().join(" and ")
            ))),
        }
    }

    /// Whether `pushbench.toml` describes another target of that name, which is not used.
    pub fn hides_another(&self) -> bool {
        description::own().is_ok_and(|own| own.contains_key(GIVEN))
    }
}

/// One text, split as a shell does; `NAME=VALUE` in front of the program is its environment.
fn program(text: &str) -> Result<Program> {
    let refused = |why: &str| {
        Error::usage(format!(
            "--command '{text}': {why}: write the program and its arguments, for example --command './server --port {PORT}' or --command 'PORT={PORT} npm start'"
        ))
    };
    let words = shell_words::split(text).map_err(|_| refused("a quote is not closed"))?;
    const SHELL: [&str; 8] = ["|", "||", "&", "&&", ";", ">", ">>", "<"];
    if let Some(word) = words.iter().find(|word| SHELL.contains(&word.as_str())) {
        return Err(Error::usage(format!(
            "--command '{text}': \"{word}\" means something to a shell, and no shell reads this: write --command \
             \"sh -c '…'\""
        )));
    }
    let variables = words.iter().map_while(|word| variable(word)).collect::<Vec<_>>();
    let words = words[variables.len()..].to_vec();
    match words.first().is_none_or(String::is_empty) {
        true => Err(refused("it names no program")),
        false => Ok(Program { env: variables, words }),
    }
}

/// `NAME=VALUE` as a shell reads it.
fn variable(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let valid = begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    valid.then(|| (name.to_owned(), value.to_owned()))
}

/// What connections over TLS trust.
fn add_tls(
    manifests: &mut [(Transport, Manifest)],
    (ca, server_name): (Option<&str>, Option<&str>),
) -> Result<()> {
    let mut keys = TlsKeys::default();
    for (key, option, value) in [("ca", "--ca", ca), ("server_name", "--server-name", server_name)]
    {
        if let Some(value) = value {
            keys.take(key, value.to_owned(), Origin::named(option))?;
        }
    }
    let Some((_, first)) = manifests.first() else { return Ok(()) };
    let options: Vec<Origin> =
        manifests.iter().map(|(t, _)| Origin::named(&format!("--{}", t.name()))).collect();
    let urls: Vec<_> =
        manifests.iter().zip(&options).map(|((_, m), at)| ("URL", &*m.url, at)).collect();
    let env = first.env.iter().map(|(_, value)| value.as_str());
    let inputs: Vec<&str> = env.chain(first.command.iter().flatten().map(String::as_str)).collect();
    let program = ("the command", &Origin::named("--command"), &inputs[..]);
    keys.check(&urls, program, "--ca FILE.pem")?;
    let options = keys.options(Path::new(""))?;
    for (_, manifest) in manifests.iter_mut().filter(|(_, m)| is_over_tls(&m.url)) {
        manifest.tls = Some(options.clone());
    }
    Ok(())
}

fn manifest(
    transport: Transport,
    url: &str,
    program: Option<&Program>,
    allow_hosts: &[String],
) -> Result<Manifest> {
    let at = Origin::named(&format!("--{}", transport.name()));
    let url = &secret_text::filled_url(url, "URL", &at)?;
    manifest::check_url(("URL", url, &at), Scheme::of(transport), allow_hosts)?;
    let env = program.iter().flat_map(|p| p.env.iter().map(|(_, value)| value));
    let passed_on = env.chain(program.iter().flat_map(|p| &p.words)).any(|t| t.contains(PORT));
    let why = match (url.contains(PORT), program) {
        (true, None) => format!(
            "it has {PORT}, but there is no program that could receive a port: add --command './server --port {PORT}', or write the port of the running server"
        ),
        (true, Some(_)) if !passed_on => format!(
            "it has {PORT}, but --command does not, so the program does not receive the port: write {PORT} there, \
             too, for example --command 'PORT={PORT} npm start', or write the fixed port of the program here"
        ),
        (false, Some(_)) if passed_on => {
            format!("--command has {PORT}, but this URL does not: write {PORT} here, too")
        }
        _ => {
            return Ok(Manifest {
                command: program.map(|p| p.words.clone()),
                env: program.map(|p| p.env.clone()).unwrap_or_default(),
                ready_timeout: description::READY_TIMEOUT,
                files: manifest::own_files(),
                match_left_out: true,
                ..Manifest::running(GIVEN, url, Matching::Order)
            });
        }
    };
    Err(at.error(format!("URL \"{url}\": {why}")))
}
