//! The address of a target.

use std::net::SocketAddr;

/// The address of a target, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Where to connect.
    pub socket: SocketAddr,
    /// `host:port` as the URL has it, for the `Host` header.
    pub authority: String,
    /// Path and query, `/` at least.
    pub path: String,
}

impl Address {
    /// Takes a target's URL apart; `socket` is what its host and port resolved to.
    pub fn parse(url: &str, socket: SocketAddr) -> Result<Address, String> {
        let uri: hyper::Uri = url.parse().map_err(|e| format!("not a URL: {e}"))?;
        let authority = uri.authority().ok_or("it has no host")?.to_string();
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        Ok(Address { socket, authority, path })
    }
}
