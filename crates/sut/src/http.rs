//! One GET on a blocking socket: readiness, and the status of a publisher.

use pushbench_wire::webhook::response::ResponseParser;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A status is a handful of numbers.
const LONGEST: u64 = 64 * 1024;

/// The body of a 2xx response: the whole of it, or what has come with its head. `headers` are whole
/// lines; the times limit connecting, and each write and read.
pub(super) fn get(
    address: SocketAddr,
    (path, headers): (&str, &str),
    whole: bool,
    (connect, answer): (Duration, Duration),
) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, connect).ok()?;
    stream.set_read_timeout(Some(answer)).ok()?;
    stream.set_write_timeout(Some(answer)).ok()?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}");
    write!(stream, "{head}Connection: close\r\n\r\n").ok()?;
    let (mut stream, mut parser) = (stream.take(LONGEST), ResponseParser::default());
    let (mut received, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut bytes).ok()?;
        received.extend_from_slice(&bytes[..read]);
        let answer = if whole { parser.look(&received) } else { parser.begun(&received) }.ok()?;
        let answer = match answer {
            None if read > 0 => continue,
            None => parser.end(&received).ok()?,
            Some(answer) => answer,
        };
        return answer.status.is_success().then(|| answer.body.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let found = get(address, ("/a?b", "X: y\r\n"), whole, (patience, patience));
        let (_kept, request) = server.join().unwrap();
        let rest = format!("Host: {address}\r\nX: y\r\nConnection: close\r\n\r\n");
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
