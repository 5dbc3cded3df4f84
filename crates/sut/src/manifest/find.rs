//! The target of an arm, as the shipped files or the user's describe it.

use crate::description;
use crate::description::{TargetDescription, Targets};
use crate::ease_of_implementation;
use crate::manifest::{BUILTIN, Files, HOST, LOCAL, Manifest, OWN_FILE, PORT};
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::error::{Error, Result};
use pushbench_core::origin::Origin;
use pushbench_core::suggest::did_you_mean;
use pushbench_wire::endpoint::{Endpoint, Scheme};

/// Finds the target of an arm and what it serves over the arm's transport. A user's own target of that name goes
/// before a shipped one. A host other than loopback must be among `allow_hosts`.
pub fn find(spec: &ArmSpec, allow_hosts: &[String]) -> Result<Manifest> {
    let found = description(spec)?;
    if found.0.url.is_empty() {
        return Err(Error::usage(format!(
            "--arm {spec}: {} publishes events and does not accept them over {}: measure it with pushbench run \
             fanout --arm {spec}",
            spec.target,
            spec.transport.name()
        )));
    }
    let scheme = Scheme::of(spec.transport);
    check_url(("url", &found.0.url, &found.0.url_origin), scheme, allow_hosts)?;
    check_hello(&found.0, allow_hosts)?;
    manifest(&spec.target, found)
}

/// Reads what the target of an arm serves over the arm's transport, and where its files are.
pub(crate) fn description(spec: &ArmSpec) -> Result<(TargetDescription, Files)> {
    let (transport, name) = (spec.transport.name(), spec.target.as_str());
    let mut own = description::own()?;
    let (mut serves, files) = match own.remove(name) {
        Some(read) => (read?, own_files()),
        None => match description::shipped(name)? {
            Some((serves, dir)) => (
                serves.into_iter().map(|(transport, d)| (transport, Ok(d))).collect(),
                Files::Shipped(dir),
            ),
            None => return Err(unknown(spec, own)),
        },
    };
    let all = served(&serves);
    let refused = |remedy: String| {
        let over_tls = if spec.has(ArmOption::Tls) { " over TLS" } else { "" };
        Error::usage(format!(
            "--arm {spec}: {name} does not serve {transport}{over_tls}; it serves {all}{remedy}"
        ))
    };
    match serves.remove(transport) {
        Some(read) => match read? {
            plain if !spec.has(ArmOption::Tls) || plain.is_over_tls() => Ok((plain, files)),
            TargetDescription { over_tls: Some(over_tls), .. } => Ok((*over_tls, files)),
            _ => Err(refused(format!(
                "; describe it in {OWN_FILE} in [target.{name}.{transport}.tls], with url = \"{}://…\" and {{cert}} and \
                 {{key}} in its command, or choose a target that `pushbench list targets` shows with {}",
                Scheme::of(spec.transport).over_tls(),
                over_tls_name(transport)
            ))),
        },
        // The intended table may have a misspelled name.
        None => Err(serves.into_values().find_map(Result::err).unwrap_or(refused(String::new()))),
    }
}

/// The transports of a target as arms have them, those over TLS included.
fn served(serves: &description::Read) -> String {
    let names = serves.iter().flat_map(|(transport, read)| {
        let over_tls = read.as_ref().is_ok_and(|d| d.over_tls.is_some());
        [Some(transport.clone()), over_tls.then(|| over_tls_name(transport))]
    });
    names.flatten().collect::<Vec<_>>().join(", ")
}

/// The left side of an arm over TLS.
pub(super) fn over_tls_name(transport: &str) -> String {
    format!("{transport}+{}", ArmOption::Tls.name())
}

/// The files of a user's own target.
pub(crate) fn own_files() -> Files {
    Files::Own(std::env::current_dir().unwrap_or_default())
}

/// The target as it is described.
pub(crate) fn manifest(name: &str, (d, files): (TargetDescription, Files)) -> Result<Manifest> {
    let ease = ease_of_implementation::measure(&d.ease, &files, d.cwd.as_deref())?;
    let tls = d.tls_options(&files)?;
    Ok(Manifest {
        wrapper: Vec::new(),
        name: name.to_owned(),
        command: d.command,
        url: d.url,
        matching: d.matching,
        match_left_out: d.match_left_out,
        request_options: d.request_options,
        hello_requests: d.hello.requests,
        ready: d.ready,
        ready_timeout: d.ready_timeout,
        setup: d.setup,
        env: d.env,
        cwd: d.cwd,
        ease,
        tls,
        secret: d.secret,
        http2: d.http2,
        http2_only: d.http2_only,
        batches: d.batches,
        publisher: None,
        copies: None,
        files,
    })
}

fn unknown(spec: &ArmSpec, own: Targets) -> Error {
    let name = spec.target.as_str();
    let mut known: Vec<&str> = description::shipped_names().chain([BUILTIN]).collect();
    known.extend(own.iter().filter(|(_, read)| read.is_ok()).map(|(name, _)| name.as_str()));
    let message = format!(
        "--arm {spec}: there is no target \"{name}\"{}; the targets are {}; describe your own server \
         in {OWN_FILE} in the working directory",
        did_you_mean(name, known.iter().copied()),
        known.join(", ")
    );
    // The intended target may have a misspelled name.
    let mistake = own.into_values().find_map(Result::err);
    Error::usage(mistake.map_or(message.clone(), |mistake| format!("{message}; {mistake}")))
}

/// The requests of `hello` must lead to this machine or a host that was named, too.
pub(crate) fn check_hello(description: &TargetDescription, allow_hosts: &[String]) -> Result<()> {
    description.hello.requests.iter().try_for_each(|request| {
        let url = ("hello: url", &*request.checked_url(), &request.origin);
        check_url(url, Scheme::Http, allow_hosts).map(drop)
    })
}

/// A valid address of this scheme.
pub(crate) fn usable_url(
    (key, url, at): (&str, &str, &Origin),
    scheme: Scheme,
) -> Result<Endpoint> {
    // Any port will do: it is the rest that is looked at.
    Endpoint::parse_as(scheme, &url.replace(PORT, "1").replace(HOST, LOCAL))
        .map_err(|why| at.error(format!("{key} \"{}\": {why}", url.escape_debug())))
}

/// An address must have this scheme, and lead to this machine or a host that was named.
pub(crate) fn check_url(
    (key, url, at): (&str, &str, &Origin),
    scheme: Scheme,
    allow_hosts: &[String],
) -> Result<Endpoint> {
    let endpoint = usable_url((key, url, at), scheme)?;
    if !endpoint.is_loopback()
        && !allow_hosts.iter().any(|h| h.eq_ignore_ascii_case(&endpoint.host))
    {
        return Err(at.error(format!(
            "{key} \"{url}\": {host} is not this machine; events are sent to another host only if it \
             is named: add --allow-host {host} if it is yours to load",
            host = endpoint.host
        )));
    }
    Ok(endpoint)
}
