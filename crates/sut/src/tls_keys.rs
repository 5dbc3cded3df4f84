//! The keys of a description for TLS: `ca`, `server_name`, and the table `tls`, which says how the same target is
//! started and reached over TLS.

use crate::description::TargetDescription;
use crate::manifest::{Files, HOST, LOCAL, PORT, TlsOptions};
use crate::run_keys;
use pushbench_core::error::Result;
use pushbench_core::origin::{Origin, kind};
use pushbench_host::input;
use pushbench_wire::endpoint::{Endpoint, Scheme};
use pushbench_wire::tls::{self, ClientTls};
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// An address: its key, itself, and its place.
type Written<'a> = (&'a str, &'a str, &'a Origin);

/// Whom to trust, and under which name.
#[derive(Debug, Clone, Default)]
pub struct TlsKeys {
    /// A file of certificates in PEM.
    ca: Option<(String, Origin)>,
    server_name: Option<(String, Origin)>,
}

/// The table `tls` of a transport's table: its place, and the keys of both, its own first.
pub(super) fn variant<'a>(
    table: &DeTable<'a>,
    name: &str,
    place: &dyn Fn(usize) -> Origin,
) -> Result<Option<(Origin, DeTable<'a>)>> {
    let Some((key, value)) = table.get_key_value("tls") else { return Ok(None) };
    let at = place(key.span().start);
    let DeValue::Table(own) = value.get_ref() else {
        return Err(at.error(format!(
            "[{name}] tls: this is {}: write a table [{name}.tls], with url = \"https://…\"",
            kind(value.get_ref())
        )));
    };
    if let Some((key, _)) = own.get_key_value("tls") {
        let at = place(key.span().start);
        return Err(at.error(format!("[{name}.tls] tls: it is such a table itself: remove this")));
    }
    let around = table.iter().filter(|(key, _)| {
        key.get_ref().as_ref() != "tls" && !own.contains_key(key.get_ref().as_ref())
    });
    let both = around.chain(own).map(|(key, value)| (key.clone(), value.clone()));
    Ok(Some((at, both.collect())))
}

impl TlsKeys {
    pub(super) fn take(&mut self, key: &str, value: String, at: Origin) -> Result<()> {
        if key == "ca" {
            self.ca = Some((value, at));
            return Ok(());
        }
        if !tls::is_server_name(&value) {
            return Err(at.error(format!(
                "server_name: \"{}\" is neither a DNS name nor an address: write the name that the server's \
                 certificate has, for example \"hooks.example.com\"",
                value.escape_debug()
            )));
        }
        self.server_name = Some((value, at));
        Ok(())
    }

    /// What must hold of these keys, the addresses and what the program receives. `program` is what passes it on, in
    /// words, and its place; `ca` is how to write a file of certificates.
    pub(super) fn check(
        &self,
        urls: &[Written<'_>],
        (program, at, inputs): (&str, &Origin, &[&str]),
        ca: &str,
    ) -> Result<()> {
        let has = |file: &str| inputs.iter().any(|text| text.contains(file));
        let Some((_, url, url_at)) = urls.iter().find(|(_, url, _)| is_over_tls(url)) else {
            let plain = urls.first().map(|(key, url, _)| format!("{key} \"{url}\""));
            let why = format!("{} is not over TLS", plain.unwrap_or_default());
            if let Some(file) = run_keys::FILES.into_iter().find(|file| has(file)) {
                return Err(at.error(format!(
                    "{program} has {file}, but {why}: write https or wss there, or remove {file}"
                )));
            }
            for (key, written) in [("ca", &self.ca), ("server_name", &self.server_name)] {
                if let Some((_, at)) = written {
                    return Err(at.error(format!(
                        "{key}: {why}, so there is no certificate to check: write https or wss there, or remove {key}"
                    )));
                }
            }
            return Ok(());
        };
        match (["{cert}", "{key}"].map(has), &self.ca) {
            ([true, false] | [false, true], _) => Err(at.error(format!(
                "{program} has only one of {{cert}} and {{key}}: a server needs both files, its certificate and the \
                 key that belongs to it"
            ))),
            ([false, false], None) => Err(url_at.error(format!(
                "\"{url}\" is over TLS, and nothing says which certificate to trust: add {ca}, the server's own \
                 certificate or that of the authority that issued it; or start the server with the certificate of \
                 this run, {{cert}} and {{key}} in its command"
            ))),
            _ => Ok(()),
        }
    }

    /// How connections to the target are encrypted; the certificates are read.
    pub(super) fn options(&self, folder: &Path) -> Result<TlsOptions> {
        let ca = self.ca.as_ref().map(|(file, at)| certificates(&folder.join(file), at));
        let server_name = self.server_name.as_ref().map(|(name, _)| name.clone());
        Ok(TlsOptions { ca: ca.transpose()?, server_name, ..TlsOptions::default() })
    }
}

/// A server does not speak with and without TLS at one port, and a target without TLS says nothing about whom to
/// trust.
pub(super) fn check_hello(of: &TargetDescription) -> Result<()> {
    let server = |url: &str| {
        let endpoint = Endpoint::parse(&url.replace(PORT, "1").replace(HOST, LOCAL)).ok()?;
        Some((endpoint.host, endpoint.port, endpoint.scheme.is_tls()))
    };
    let requests = of.hello.requests.iter();
    for (url, at) in requests.map(|request| (request.checked_url(), &request.origin)) {
        let other = server(&url).map(|(host, port, tls)| (host, port, !tls));
        let why = match () {
            () if is_over_tls(&url) && !of.is_over_tls() => {
                "the target is not reached over TLS: write http, or https or wss in the addresses of the target"
            }
            () if other.is_some() && of.urls().any(|(_, url, _)| server(url) == other) => {
                "another address names the same server with the other of http and https: write the same in both"
            }
            () => continue,
        };
        return Err(at.error(format!("hello: url \"{url}\": {why}")));
    }
    Ok(())
}

/// The text of a file of certificates that can be trusted.
pub(super) fn certificates(file: &Path, at: &Origin) -> Result<String> {
    let refused = |why: String| {
        at.error(format!(
            "ca \"{}\": {why}: write the path of a PEM file with the server's own certificate or that of the \
             authority that issued it (-----BEGIN CERTIFICATE-----)",
            file.display()
        ))
    };
    let text = input::text(file, input::WRITTEN).map_err(|e| refused(e.to_string()))?;
    let read = ClientTls::new(&text, "localhost", Scheme::Https, true);
    read.map(|_| text).map_err(|e| refused(e.to_string()))
}

/// Whether connections to a URL are encrypted.
pub(super) fn is_over_tls(url: &str) -> bool {
    url.split_once("://").is_some_and(|(name, _)| Scheme::named(name).is_ok_and(Scheme::is_tls))
}

impl TargetDescription {
    /// Whether events or deliveries travel over TLS.
    pub(super) fn is_over_tls(&self) -> bool {
        self.urls().any(|(_, url, _)| is_over_tls(url))
    }

    /// How connections to it are encrypted, where they are.
    pub(super) fn tls_options(&self, files: &Files) -> Result<Option<TlsOptions>> {
        let folder = match files {
            Files::Own(folder) => folder.as_path(),
            Files::None | Files::Shipped(_) => Path::new(""),
        };
        self.is_over_tls().then(|| self.tls.options(folder)).transpose()
    }
}

/// The table `tls` describes the target over TLS, and the table around it the target without.
pub(super) fn check_variant(
    (name, at): (&str, &Origin),
    plain: &TargetDescription,
    variant: &TargetDescription,
) -> Result<()> {
    if let Some((key, url, _)) = plain.urls().find(|(_, url, _)| is_over_tls(url)) {
        return Err(at.error(format!(
            "[{name}] {key} \"{url}\" is over TLS in the table around this one already: remove this table, or write \
             the address without TLS there"
        )));
    }
    let Some((key, url, _)) = variant.urls().next().filter(|_| !variant.is_over_tls()) else {
        return Ok(());
    };
    let over_tls = url.split_once("://").and_then(|(scheme, rest)| {
        Some(format!("{}://{rest}", Scheme::named(scheme).ok()?.over_tls()))
    });
    Err(at.error(format!(
        "[{name}] {key} \"{url}\" is not over TLS: write in this table {key} = \"{}\", and a command that starts the \
         server with TLS",
        over_tls.unwrap_or_default()
    )))
}
