//! Where a target listens: the parts of its `url`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// The scheme a transport's url has.
pub(super) fn scheme_of(transport: &str) -> &'static str {
    match transport {
        "websocket" => "ws",
        "tcp" => "tcp",
        _ => "http",
    }
}

/// A url as it is kept: the case of a scheme means nothing (RFC 3986, 3.1).
pub(super) fn written(url: &str) -> String {
    url.split_once("://").map_or_else(
        || url.to_owned(),
        |(scheme, rest)| format!("{}://{rest}", scheme.to_ascii_lowercase()),
    )
}

/// Scheme, host and port of a url whose `{port}` has been filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub scheme: String,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
}

impl Endpoint {
    /// Takes a url apart; the error says what is wrong with it.
    pub fn parse(url: &str) -> Result<Endpoint, String> {
        if let Some(c) = url.chars().find(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!(
                "it holds the character {:?}: leave it out, or write it as {}",
                c,
                percent(c)
            ));
        }
        let (scheme, rest) = url
            .split_once("://")
            .ok_or("it has no scheme: write http://HOST:PORT/PATH, ws://… or tcp://…")?;
        let default_port = match scheme {
            "http" | "ws" => Some(80),
            "tcp" => None,
            "https" | "wss" => return Err("TLS is not supported yet: use http or ws".into()),
            other => return Err(format!("unknown scheme `{other}`: use http, ws or tcp")),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("a user name or password in it is not supported".into());
        }
        let (host, port) = split_host(authority)?;
        let port = match port {
            Some(text) => text
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| format!("`{text}` is not a port: write 1 to 65535"))?,
            None => default_port.ok_or("it has no port: write tcp://HOST:PORT")?,
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("it has no usable host: write for example 127.0.0.1".into());
        }
        url.parse::<hyper::Uri>().map_err(|e| {
            format!(
                "it is no URL ({e}): write what is not usual there as %XX, < as %3C for example"
            )
        })?;
        Ok(Endpoint { scheme: scheme.into(), host: host.into(), port })
    }

    /// Whether nothing sent there can leave this machine. A name other than `localhost` could point
    /// anywhere, so only addresses count.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The addresses to try, in order. `localhost` is not looked up: whatever a hosts file says, it
    /// means this machine here.
    pub fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        if self.host.eq_ignore_ascii_case("localhost") {
            let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            return Ok(loopback.map(|ip| SocketAddr::new(ip, self.port)).to_vec());
        }
        let found: Vec<_> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        if found.is_empty() {
            return Err(std::io::Error::other("the name has no address"));
        }
        Ok(found)
    }
}

/// A character as it is written in a url.
fn percent(c: char) -> String {
    c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}")).collect()
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

    #[test]
    fn parts_of_urls() {
        let parts = |url| Endpoint::parse(url).map(|e| (e.scheme, e.host, e.port));
        assert_eq!(
            parts("http://127.0.0.1:8080/webhook").unwrap(),
            ("http".into(), "127.0.0.1".into(), 8080)
        );
        assert_eq!(parts("ws://[::1]/").unwrap(), ("ws".into(), "::1".into(), 80));
        for bad in
            ["localhost:80", "https://x/", "tcp://x", "http://x:0/", "http://a@b/", "http://::1/"]
        {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |url| Endpoint::parse(url).unwrap().is_loopback();
        for url in ["http://127.9.8.7:1/", "ws://[::1]:1/", "http://LocalHost:1/"] {
            assert!(loopback(url), "{url}");
        }
        for url in ["http://127.0.0.1.example.com/", "http://10.0.0.1/", "http://example.com/"] {
            assert!(!loopback(url), "{url}");
        }
    }
}
