//! One GET on a blocking socket: readiness, and the status of a publisher.

use hyper::StatusCode;
use pushbench_wire::webhook::response::Reading;
use std::io::{Read as _, Take, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A status is a handful of numbers.
const LONGEST: u64 = 64 * 1024;

/// A response whose head has come.
pub(super) struct Response {
    pub status: StatusCode,
    stream: Take<TcpStream>,
    came: Vec<u8>,
    reading: Reading,
}

/// Sends the request; `headers` are whole lines. The times limit connecting, and each write and read.
pub(super) fn get(
    address: SocketAddr,
    path: &str,
    headers: &str,
    (connect, answer): (Duration, Duration),
) -> Option<Response> {
    let mut stream = TcpStream::connect_timeout(&address, connect).ok()?;
    stream.set_read_timeout(Some(answer)).ok()?;
    stream.set_write_timeout(Some(answer)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n")
        .ok()?;
    let (status, stream) = (StatusCode::default(), stream.take(LONGEST));
    let mut response = Response { status, stream, came: Vec::new(), reading: Reading::default() };
    loop {
        if let Some(answer) = response.reading.begun(&response.came).ok()? {
            response.status = answer.status;
            return Some(response);
        }
        response.more().filter(|more| *more)?;
    }
}

impl Response {
    /// The whole body, if it comes.
    pub fn body(mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(answer) = self.reading.look(&self.came).ok()? {
                return Some(answer.body.to_vec());
            }
            if !self.more()? {
                return Some(self.reading.end(&self.came).ok()?.body.to_vec());
            }
        }
    }

    /// Reads once; false at the end.
    fn more(&mut self) -> Option<bool> {
        let mut bytes = [0; 4096];
        let read = self.stream.read(&mut bytes).ok()?;
        self.came.extend_from_slice(&bytes[..read]);
        Some(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// What is made of these bytes; the server then closes, unless it waits for ever.
    fn answered(bytes: &'static str, waits: bool) -> Option<(u16, Option<Vec<u8>>)> {
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
        let response = get(address, "/a?b", "X: y\r\n", (patience, patience));
        let found = response.map(|response| (response.status.as_u16(), response.body()));
        let (_kept, request) = server.join().unwrap();
        let rest = format!("Host: {address}\r\nX: y\r\nConnection: close\r\n\r\n");
        assert_eq!(request, format!("GET /a?b HTTP/1.1\r\n{rest}"));
        found
    }

    #[test]
    fn a_body_is_read_to_its_end_and_a_status_without_it() {
        let body = |text: &str| Some(text.as_bytes().to_vec());
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        let chunked = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 503 No\r\nTransfer-Encoding: \
                       chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
        assert_eq!(answered(sized, true), Some((200, body("{}"))));
        assert_eq!(answered(chunked, true), Some((503, body("{}"))));
        assert_eq!(answered("HTTP/1.0 200 OK\r\n\r\n{}", false), Some((200, body("{}"))));
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}";
        assert_eq!(answered(cut, false), Some((200, None)));
        for none in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0\r\n\r\n"] {
            assert_eq!(answered(none, false), None, "{none}");
        }
    }
}
