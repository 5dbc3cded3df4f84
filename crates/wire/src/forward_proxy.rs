//! A forward proxy beside a client: plain HTTP asks it by requests in absolute form, everything else goes through a
//! tunnel that CONNECT opens (RFC 9110, 9.3.6).

use crate::endpoint::{Resolved, Scheme};
use crate::fault::Fault;
use pushbench_core::visible;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The longest head of an answer to CONNECT.
const LONGEST_HEAD: usize = 16 * 1024;

/// How a forward proxy is asked for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardProxy {
    /// The server as the proxy reaches it.
    server: SocketAddr,
    /// Bytes go through a tunnel.
    tunnel: bool,
}

impl Resolved {
    /// The same through a forward proxy: connections go to it, and it reaches the server at the address that was to be
    /// connected to. Without TLS, HTTP/1.1 needs no tunnel.
    #[must_use]
    pub fn through(self, proxy: SocketAddr, http2: bool) -> Resolved {
        let tunnel = self.endpoint.scheme != Scheme::Http || http2;
        let forward_proxy = Some(ForwardProxy { server: self.socket, tunnel });
        Resolved { socket: proxy, forward_proxy, ..self }
    }

    /// A path as requests name it: to a forward proxy with scheme and host.
    pub fn request_target(&self, path: &str) -> String {
        match &self.forward_proxy {
            Some(ForwardProxy { server, tunnel: false }) => format!("http://{server}{path}"),
            _ => path.to_owned(),
        }
    }

    /// Opens the tunnel to the server on a connection to [`Resolved::socket`]; nothing where there is none.
    ///
    /// # Errors
    /// The proxy refuses it, or answers in another way.
    pub async fn open_tunnel<S>(&self, socket: &mut S) -> Result<(), Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match &self.forward_proxy {
            Some(ForwardProxy { server, tunnel: true }) => {
                connect(socket, *server).await.map_err(|why| {
                    Fault::Refused(format!("forward proxy {}: CONNECT {server} {why}", self.socket))
                })
            }
            _ => Ok(()),
        }
    }
}

async fn connect<S>(socket: &mut S, server: SocketAddr) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |e: std::io::Error| format!("failed: {e}");
    let request = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut head = Vec::new();
    let end = loop {
        if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if head.len() > LONGEST_HEAD || socket.read_buf(&mut head).await.map_err(failed)? == 0 {
            let line = String::from_utf8_lossy(&head[..head.len().min(80)]);
            let line = visible::line(line.trim_end());
            return Err(format!(
                "was not answered by HTTP but by \"{line}\": check that it is a proxy"
            ));
        }
    };
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = visible::line(&String::from_utf8_lossy(line));
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    match status {
        Some(status) if status.len() == 3 && status.starts_with('2') => {}
        Some("403" | "405") => {
            return Err(format!(
                "was refused with \"{line}\": allow CONNECT to this port in the proxy, or use plain HTTP, which needs \
                 no tunnel"
            ));
        }
        Some("502" | "503" | "504") => {
            return Err(format!("was answered \"{line}\": the proxy does not reach the server"));
        }
        _ => return Err(format!("was answered \"{line}\": a tunnel needs a status 2xx")),
    }
    match head.len() - end {
        0 => Ok(()),
        more => Err(format!("was answered with {more} bytes that nothing was sent for")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use std::io;

    fn through(url: &str, http2: bool) -> Resolved {
        let (endpoint, socket) = (Endpoint::parse(url).unwrap(), ([10, 128, 0, 1], 81).into());
        Resolved::new(endpoint, socket).through(([10, 0, 0, 2], 3128).into(), http2)
    }

    async fn tunnelled(url: &str, answer: &str) -> Result<String, Fault> {
        let (mut client, mut proxy) = tokio::io::duplex(1 << 16);
        let opened = async { through(url, false).open_tunnel(&mut client).await };
        let answered = async {
            let mut request = vec![0; 1024];
            let n = proxy.read(&mut request).await?;
            proxy.write_all(answer.as_bytes()).await?;
            proxy.shutdown().await?;
            Ok::<_, io::Error>(String::from_utf8(request[..n].to_vec()).unwrap())
        };
        let (opened, request) = tokio::join!(opened, answered);
        opened.map(|()| request.unwrap())
    }

    #[tokio::test]
    async fn a_tunnel_is_open_after_2xx_alone() {
        let asked = tunnelled("ws://127.0.0.1:81/x", "HTTP/1.0 200 OK\r\nVia: 1\r\n\r\n").await;
        assert_eq!(asked.unwrap(), "CONNECT 10.128.0.1:81 HTTP/1.1\r\nHost: 10.128.0.1:81\r\n\r\n");
        for (answer, wanted) in [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "\"HTTP/1.1 403 Forbidden\": allow CONNECT"),
            ("HTTP/1.1 503 No\r\n\r\n", "does not reach the server"),
            ("HTTP/1.1 407 Who\r\n\r\n", "needs a status 2xx"),
            ("SSH-2.0\r\n", "\"SSH-2.0\": check that it is a proxy"),
            ("HTTP/1.1 200 OK\r\n\r\nmore", "4 bytes"),
            ("", "check that it is a proxy"),
        ] {
            let why = tunnelled("tcp://127.0.0.1:81", answer).await.unwrap_err().to_string();
            assert!(why.contains("10.0.0.2:3128: CONNECT 10.128.0.1:81"), "{why}");
            assert!(why.contains(wanted), "{answer}: {why}");
        }
    }

    #[tokio::test]
    async fn plain_http_needs_no_tunnel_and_names_the_server_in_its_requests() {
        let (mut nobody, _) = tokio::io::duplex(1);
        let plain = through("http://127.0.0.1:81/x", false);
        assert_eq!(plain.open_tunnel(&mut nobody).await, Ok(()));
        assert_eq!(plain.request_target("/x?a"), "http://10.128.0.1:81/x?a");
        for (url, http2) in [
            ("https://a/x", false),
            ("wss://a/x", false),
            ("tls://a:1", false),
            ("http://a/x", true),
        ] {
            let tunnelled = through(url, http2);
            assert_eq!(tunnelled.request_target("/x"), "/x", "{url}");
            assert!(tunnelled.open_tunnel(&mut nobody).await.is_err(), "{url}");
        }
    }
}
