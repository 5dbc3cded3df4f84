//! One request on a blocking socket: readiness, the status of a publisher, and what a target wants first.

use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};
use pushbench_wire::tls::ClientTls;
use pushbench_wire::webhook::response::{ResponseError, ResponseParser};
use std::io;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A status is a handful of numbers.
const LONGEST: u64 = 64 * 1024;

/// The server, and how connections to it are encrypted.
pub(super) type To<'a> = (SocketAddr, Option<&'a ClientTls>);

trait Duplex: io::Read + io::Write {}
impl<S: io::Read + io::Write> Duplex for S {}

/// A request on a connection of its own.
pub(super) struct Request<'a> {
    pub method: Method,
    /// Path and query.
    pub path: &'a str,
    /// What the `Host` header says.
    pub host: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a str,
}

/// The body of a 2xx response to a GET: the whole of it, or what has come with its head. The times limit
/// connecting, and each write and read.
pub(super) fn get(
    to: To<'_>,
    (path, headers): (&str, &HeaderMap),
    whole: bool,
    times: (Duration, Duration),
) -> Option<Vec<u8>> {
    let host = to.0.to_string();
    let request = Request { method: Method::GET, path, host: &host, headers, body: "" };
    let (status, body) = exchange(to, &request, whole, times).ok()?;
    status.is_success().then_some(body)
}

/// Status and body of the response.
pub(super) fn exchange(
    (address, tls): To<'_>,
    request: &Request<'_>,
    whole: bool,
    (connect, answer): (Duration, Duration),
) -> io::Result<(StatusCode, Vec<u8>)> {
    let socket = TcpStream::connect_timeout(&address, connect)?;
    socket.set_read_timeout(Some(answer))?;
    socket.set_write_timeout(Some(answer))?;
    let mut stream: Box<dyn Duplex> = match tls {
        Some(tls) => Box::new(tls.blocking(socket)?),
        None => Box::new(socket),
    };
    let Request { method, path, host, headers, body } = request;
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
    for (name, value) in *headers {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    if method != Method::GET || !body.is_empty() {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
    }
    bytes.extend([b"Connection: close\r\n\r\n", body.as_bytes()].concat());
    stream.write_all(&bytes)?;
    let began = Instant::now();
    let (mut stream, mut parser) = (stream.take(LONGEST), ResponseParser::default());
    let (mut received, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        if began.elapsed() > answer {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let read = stream.read(&mut bytes)?;
        received.extend_from_slice(&bytes[..read]);
        let answer = if whole { parser.look(&received) } else { parser.begun(&received) };
        let answer = match answer.map_err(unreadable)? {
            None if read > 0 => continue,
            None => parser.end(&received).map_err(unreadable)?,
            Some(answer) => answer,
        };
        return Ok((answer.status, answer.body.to_vec()));
    }
}

fn unreadable(why: ResponseError) -> io::Error {
    io::Error::other(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{ETAG, HeaderValue};
    use std::net::TcpListener;

    /// What is made of these bytes; the server then closes, unless it waits for ever.
    fn answered(bytes: &'static str, whole: bool, waits: bool) -> Option<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(bytes.as_bytes()).unwrap();
            let kept = waits.then_some(stream);
            (kept, String::from_utf8_lossy(&request[..length]).into_owned())
        });
        let patience = Duration::from_secs(60);
        let headers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("y"))]);
        let found = get((address, None), ("/a?b", &headers), whole, (patience, patience));
        let (_kept, request) = server.join().unwrap();
        let rest = format!("Host: {address}\r\netag: y\r\nConnection: close\r\n\r\n");
        assert_eq!(request, format!("GET /a?b HTTP/1.1\r\n{rest}"));
        found
    }

    #[test]
    fn a_body_is_read_to_its_end_and_a_status_without_it() {
        let body = Some(b"{}".to_vec());
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        let chunked = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 203 No\r\nTransfer-Encoding: \
                       chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
        assert_eq!(answered(sized, true, true), body);
        assert_eq!(answered(chunked, true, true), body);
        assert_eq!(answered("HTTP/1.0 200 OK\r\n\r\n{}", true, false), body);
        let endless = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}";
        assert!(answered(endless, false, true).is_some());
        assert_eq!(answered(endless, true, false), None);
        let failed = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
        for none in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0\r\n\r\n", failed] {
            assert_eq!((answered(none, false, false), answered(none, true, false)), (None, None));
        }
    }
}
