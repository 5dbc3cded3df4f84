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
