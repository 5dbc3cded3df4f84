//! Where a target listens. Every URL is read here.

use crate::forward_proxy::ForwardProxy;
use hyper::Uri;
use pushbench_core::transport::Transport;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// The scheme of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `ws`
    Ws,
    /// `tcp`
    Tcp,
    /// `https`
    Https,
    /// `wss`
    Wss,
    /// `tls`: `tcp` over TLS
    Tls,
}

impl Scheme {
    /// The one that a transport's URLs have.
    pub fn of(transport: Transport) -> Scheme {
        match transport {
            Transport::Websocket => Scheme::Ws,
            Transport::Tcp => Scheme::Tcp,
            Transport::Webhook | Transport::Sse | Transport::LongPoll | Transport::Poll => {
                Scheme::Http
            }
        }
    }

    /// The same protocol over TLS.
    #[must_use]
    pub fn over_tls(self) -> Scheme {
        match self {
            Scheme::Http | Scheme::Https => Scheme::Https,
            Scheme::Ws | Scheme::Wss => Scheme::Wss,
            Scheme::Tcp | Scheme::Tls => Scheme::Tls,
        }
    }

    /// Whether it is over TLS.
    pub fn is_tls(self) -> bool {
        self == self.over_tls()
    }

    /// Whether it begins as HTTP does.
    pub fn is_http(self) -> bool {
        self.over_tls() != Scheme::Tls
    }

    /// The scheme of that name, or why there is none. Its case means nothing (RFC 3986, 3.1).
    pub fn named(name: &str) -> Result<Scheme, String> {
        match name.to_ascii_lowercase().as_str() {
            "http" => Ok(Scheme::Http),
            "ws" => Ok(Scheme::Ws),
            "tcp" => Ok(Scheme::Tcp),
            "https" => Ok(Scheme::Https),
            "wss" => Ok(Scheme::Wss),
            "tls" => Ok(Scheme::Tls),
            other => Err(format!("unknown scheme `{other}`: use http, https, ws, wss, tcp or tls")),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::Http => "http",
            Scheme::Ws => "ws",
            Scheme::Tcp => "tcp",
            Scheme::Https => "https",
            Scheme::Wss => "wss",
            Scheme::Tls => "tls",
        })
    }
}

/// The parts of a URL whose `{port}` has been filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// How it is reached.
    pub scheme: Scheme,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    /// The scheme's own where the URL has none.
    pub port: u16,
    /// Host and port as the URL has them, for the `Host` header.
    pub authority: String,
    /// Path and query; begins with `/`.
    pub path: String,
}

impl Endpoint {
    /// Parses a URL; the error describes what is wrong.
    pub fn parse(url: &str) -> Result<Endpoint, String> {
        if let Some(c) = url.chars().find(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!(
                "it contains the character {:?}: remove it, or write it as {}",
                c,
                percent(c)
            ));
        }
        let (scheme, rest) = url
            .split_once("://")
            .ok_or("it has no scheme: write http://HOST:PORT/PATH, ws://… or tcp://…")?;
        let scheme = Scheme::named(scheme)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("user names and passwords in URLs are not supported".into());
        }
        let (host, port) = split_host(authority)?;
        let port = match (port, scheme) {
            (Some(text), _) => text
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| format!("`{text}` is not a port: write 1 to 65535"))?,
            (None, Scheme::Http | Scheme::Ws) => 80,
            (None, Scheme::Https | Scheme::Wss) => 443,
            (None, Scheme::Tcp | Scheme::Tls) => {
                return Err(format!("it has no port: write {scheme}://HOST:PORT"));
            }
        };
        if host.is_empty() {
            return Err("it has no valid host: write for example 127.0.0.1".into());
        }
        let uri: Uri = url.parse().map_err(|e| {
            format!(
                "it is not a valid URL ({e}): write special characters as %XX, for example < as %3C"
            )
        })?;
        let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        Ok(Endpoint { scheme, host: host.into(), port, authority: authority.into(), path })
    }

    /// The same where the URL must have this scheme, with or without TLS.
    pub fn parse_as(scheme: Scheme, url: &str) -> Result<Endpoint, String> {
        if !url.contains("://") {
            return Err(format!("it has no scheme: write {scheme}://HOST:PORT/PATH"));
        }
        let endpoint = Endpoint::parse(url)?;
        match endpoint.scheme {
            found if found.over_tls() == scheme.over_tls() => Ok(endpoint),
            found => Err(format!(
                "it is reached by {scheme}:// or {}://, not {found}://",
                scheme.over_tls()
            )),
        }
    }

    /// Whether nothing sent there can leave this machine. A name other than `localhost` could point
    /// anywhere, so only addresses count.
    pub fn is_loopback(&self) -> bool {
        self.is_localhost() || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    fn is_localhost(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
    }

    /// The addresses to try, in order. `localhost` is not looked up: whatever a hosts file says, it
    /// means this machine here.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        if self.is_localhost() {
            let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            return Ok(loopback.map(|ip| SocketAddr::new(ip, self.port)).to_vec());
        }
        let found: Vec<_> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        if found.is_empty() {
            return Err(io::Error::other("the host name has no address"));
        }
        Ok(found)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// An endpoint and the socket address to which its connections go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What requests name.
    pub endpoint: Endpoint,
    /// Where to connect.
    pub socket: SocketAddr,
    /// What is there is a forward proxy.
    pub forward_proxy: Option<ForwardProxy>,
}

impl Resolved {
    /// An endpoint that is connected to without a proxy.
    pub fn new(endpoint: Endpoint, socket: SocketAddr) -> Resolved {
        Resolved { endpoint, socket, forward_proxy: None }
    }
}

/// A character as it is written in a URL.
fn percent(c: char) -> String {
    c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A text as a part of a path or query: what is not unreserved (RFC 3986, 2.3) is percent-encoded.
pub fn percent_encoded(text: &str) -> String {
    let encoded = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "-._~".contains(c) => c.to_string(),
        c => percent(c),
    };
    text.chars().map(encoded).collect()
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_host(authority: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("the `[` of its address is not closed")?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(format!("`{rest}` after the address is not a port")),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err("an IPv6 address needs brackets: http://[::1]:8080/".into())
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_of_urls() {
        let parts = |url| Endpoint::parse(url).map(|e| (e.scheme, e.host, e.port, e.path));
        assert_eq!(
            parts("HTTP://127.0.0.1:8080/webhook?a=b#c").unwrap(),
            (Scheme::Http, "127.0.0.1".into(), 8080, "/webhook?a=b".into())
        );
        assert_eq!(parts("ws://[::1]?a").unwrap(), (Scheme::Ws, "::1".into(), 80, "/?a".into()));
        for bad in [
            "localhost:80",
            "httpz://x/",
            "tls://x/",
            "tcp://x",
            "http://x:0/",
            "http://a@b/",
            "http://::1/",
            "http://:80/",
            "http://[::1/",
            "http://x/a b",
        ] {
            assert!(parts(bad).is_err(), "{bad}");
        }
        assert_eq!(parts("WSS://x").unwrap(), (Scheme::Wss, "x".into(), 443, "/".into()));
        assert!(Endpoint::parse_as(Scheme::Http, "http://x/").is_ok());
        assert!(Endpoint::parse_as(Scheme::Http, "https://x/").is_ok());
        assert!(Endpoint::parse_as(Scheme::Ws, "http://x/").unwrap_err().contains("by ws://"));
        assert!(Endpoint::parse_as(Scheme::Ws, "x").unwrap_err().contains("write ws://"));
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let endpoint = |url| Endpoint::parse(url).unwrap();
        for url in ["http://127.9.8.7:1/", "ws://[::1]:1/", "http://LocalHost:1/"] {
            let endpoint = endpoint(url);
            let addresses = endpoint.addresses().unwrap();
            assert!(endpoint.is_loopback(), "{url}");
            assert!(addresses.iter().all(|a| a.ip().is_loopback() && a.port() == 1), "{url}");
        }
        for url in ["http://127.0.0.1.example.com/", "http://10.0.0.1/", "http://example.com/"] {
            assert!(!endpoint(url).is_loopback(), "{url}");
        }
    }

    proptest! {
        /// Most of them are URLs, and some are nearly.
        #[test]
        fn a_written_endpoint_is_read_as_itself_and_as_hyper_reads_it(
            url in "(http|WS|tcp|https|wss)://(127\\.0\\.0\\.1|localhost|\\[::1\\]|[a-z0-9.:@\\[\\]%-]{0,6})\
                    (:[0-9]{0,5})?([/?#][!-~]{0,12}){0,3}"
        ) {
            let Ok(endpoint) = Endpoint::parse(&url) else { return Ok(()) };
            prop_assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint.clone()));
            let uri: Uri = url.parse().unwrap();
            let authority = uri.authority().unwrap();
            prop_assert_eq!(authority.as_str(), &endpoint.authority);
            let host = authority.host();
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            prop_assert_eq!(bare.unwrap_or(host), &endpoint.host);
            prop_assert_eq!(authority.port_u16().unwrap_or(if endpoint.scheme.is_tls() { 443 } else { 80 }), endpoint.port);
            prop_assert_eq!(uri.path_and_query().unwrap().to_string(), endpoint.path);
        }
    }
}
