//! How connections to a target are encrypted.

use crate::manifest::Manifest;
use crate::run_keys::RunKeys;
use pushbench_core::error::{Error, Result};
use pushbench_wire::endpoint::Endpoint;
use pushbench_wire::tls::ClientTls;
use std::io;

impl Manifest {
    /// How connections to one of its addresses are encrypted; nothing where its scheme has no TLS.
    ///
    /// # Errors
    /// The certificates to trust are not usable.
    pub fn client_tls(&self, endpoint: &Endpoint) -> Result<Option<ClientTls>> {
        client_tls(self, endpoint, self.run_keys()?.as_deref())
            .map_err(|e| Error::target(format!("target {}: {endpoint}: {e}", self.name)))
    }
}

/// How connections to the endpoint are encrypted; nothing where its scheme has no TLS.
pub(super) fn client_tls(
    manifest: &Manifest,
    endpoint: &Endpoint,
    keys: Option<&RunKeys>,
) -> io::Result<Option<ClientTls>> {
    let Some(tls) = manifest.tls.as_ref().filter(|_| endpoint.scheme.is_tls()) else {
        return Ok(None);
    };
    let ca = tls.ca.as_ref().or(keys.map(|keys| &keys.certificates.ca));
    let ca = ca.ok_or_else(|| io::Error::other("no trusted certificate is configured: add ca"))?;
    let name = tls.server_name.as_ref().unwrap_or(&endpoint.host);
    ClientTls::new(ca, name, endpoint.scheme, tls.settings.resumption).map(Some)
}
