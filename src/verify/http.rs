//! HTTP/1.1 responses read by hand: nothing that a target sends may be smoothed over. What is taken is
//! stated in `targets/PROTOCOL.md`, "What an answer may hold". The driver's client reads the same with code
//! of its own; `http_tests.rs` puts the same answers before both.

use crate::verify::head::{Body, Head, Lines, fields, is_blank, is_interim, too_long};
use crate::verify::no_answer::{NoAnswer, shown};
use hyper::header::HeaderMap;
use pushbench_wire::limits::{LONGEST_BODY, LONGEST_HEAD, MAX_CHUNK_OVERHEAD, MOST_TRAILERS};
use std::io::Read;

/// Bytes of a chunk's size and its line end, in addition to [`MAX_CHUNK_OVERHEAD`].
const SIZE_BYTES: usize = 32;

/// A response, read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub code: u16,
    /// `404 Not Found`
    pub line: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The connection ends with it.
    pub last: bool,
    /// HTTP/1.0.
    pub old: bool,
}

/// A socket and what was read of it too early.
pub(super) struct ResponseReader<R> {
    pub socket: R,
    pub left: Vec<u8>,
    /// Bytes of the interim responses before the one that counts.
    interim: usize,
}

impl Response {
    /// Another one follows that counts.
    pub(crate) fn is_interim(&self) -> bool {
        is_interim(self.code)
    }
}

impl<R: Read> ResponseReader<R> {
    pub fn new(socket: R) -> Self {
        ResponseReader { socket, left: Vec::new(), interim: 0 }
    }

    /// The next response, an interim one included.
    pub fn response(&mut self) -> Result<Response, NoAnswer> {
        let head = self.head()?;
        let body = self.body(&head)?;
        let Head { code, line, headers, old, last, .. } = head;
        Ok(Response { code, line, headers, body, last, old })
    }

    /// The next head.
    pub fn head(&mut self) -> Result<Head, NoAnswer> {
        loop {
            let head = Head::parse(&self.left)?;
            let head_bytes = head.as_ref().map_or(self.left.len(), |(_, used)| *used);
            if self.interim + head_bytes > LONGEST_HEAD {
                return Err(NoAnswer::unreadable(
                    format!("the head of its answer is longer than {} KiB", LONGEST_HEAD >> 10),
                    "make the server send fewer or shorter headers; check for growing cookies",
                ));
            }
            if let Some((head, used)) = head {
                self.left.drain(..used);
                self.interim = if head.is_interim() { self.interim + used } else { 0 };
                return Ok(head);
            }
            self.more(self.left.is_empty())?;
        }
    }

    /// The body behind it.
    pub fn body(&mut self, head: &Head) -> Result<Vec<u8>, NoAnswer> {
        match head.body {
            Body::Length(length) => self.take(length),
            Body::Chunked => self.chunks(),
            Body::UntilClose => self.rest(),
        }
    }

    /// Waits for further bytes; `between`: no answer has begun.
    fn more(&mut self, between: bool) -> Result<(), NoAnswer> {
        let mut buffer = [0; 16 * 1024];
        match self.socket.read(&mut buffer) {
            Ok(0) if between => Err(NoAnswer::Closed(None)),
            Ok(0) => Err(NoAnswer::Closed(Some("in the middle of an answer".to_owned()))),
            Ok(n) => {
                self.left.extend_from_slice(&buffer[..n]);
                Ok(())
            }
            Err(e) => match NoAnswer::of(&e) {
                NoAnswer::TimedOut if !between => Err(NoAnswer::unreadable(
                    "its answer is incomplete",
                    "check that an empty line follows the headers and that Content-Length is the number of \
                     bytes, not of characters",
                )),
                failure => Err(failure),
            },
        }
    }

    fn take(&mut self, bytes: usize) -> Result<Vec<u8>, NoAnswer> {
        while self.left.len() < bytes {
            self.more(false)?;
        }
        Ok(self.left.drain(..bytes).collect())
    }

    fn rest(&mut self) -> Result<Vec<u8>, NoAnswer> {
        while self.left.len() as u64 <= LONGEST_BODY {
            match self.more(false) {
                Ok(()) => {}
                Err(NoAnswer::Closed(_)) => return Ok(std::mem::take(&mut self.left)),
                Err(failure) => return Err(failure),
            }
        }
        Err(too_long())
    }

    /// A line of the framing of chunks, which ends with CRLF.
    fn line(&mut self) -> Result<Vec<u8>, NoAnswer> {
        loop {
            match self.left.iter().position(|b| *b == b'\r') {
                Some(end) if self.left.get(end + 1) == Some(&b'\n') => {
                    let line = self.left[..end].to_vec();
                    self.left.drain(..end + 2);
                    return Ok(line);
                }
                Some(end) if end + 1 < self.left.len() => return Err(no_chunk(&self.left[..end])),
                None if self.left.len() > MAX_CHUNK_OVERHEAD + SIZE_BYTES => {
                    return Err(no_chunk(&self.left));
                }
                _ => self.more(false)?,
            }
        }
    }

    /// A body in chunks (RFC 9112, 7.1).
    fn chunks(&mut self) -> Result<Vec<u8>, NoAnswer> {
        let (mut body, mut beside) = (Vec::new(), 0);
        loop {
            let line = self.line()?;
            let (size, idle) = chunk_size(&line).ok_or_else(|| no_chunk(&line))?;
            beside += idle;
            if beside > MAX_CHUNK_OVERHEAD {
                return Err(no_chunk(&line));
            }
            match size {
                0 => break,
                size if size.saturating_add(body.len() as u64) > LONGEST_BODY => {
                    return Err(too_long());
                }
                size => body.extend(self.take(size as usize)?),
            }
            let end = self.take(2)?;
            if end != b"\r\n" {
                return Err(no_chunk(&end));
            }
        }
        self.trailers(beside)?;
        Ok(body)
    }

    /// Headers after the last chunk, which are checked and ignored.
    fn trailers(&mut self, beside: usize) -> Result<(), NoAnswer> {
        let (mut text, mut count) = (Vec::new(), 0);
        let bad = || {
            NoAnswer::unreadable(
                "a trailer after the chunks of its answer cannot be read",
                "write `Name: value`, at most 100 of them, or leave trailers out (RFC 9112, 7.1.2)",
            )
        };
        loop {
            let line = self.line()?;
            let last = line.is_empty();
            text.extend([line.as_slice(), b"\r\n"].concat());
            if last {
                break;
            }
            count += 1;
            if beside + text.len() > MAX_CHUNK_OVERHEAD + 2 * count || count > MOST_TRAILERS {
                return Err(bad());
            }
        }
        match fields(&mut Lines(&text), count) {
            Ok(Some(_)) => Ok(()),
            _ => Err(bad()),
        }
    }
}

/// A chunk's size, and how many bytes surround its digits.
fn chunk_size(line: &[u8]) -> Option<(u64, usize)> {
    let count = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (text, rest) = line.split_at(count);
    let size = u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()?;
    let zeros = text.iter().take_while(|b| **b == b'0').count().min(count - 1);
    let blanks = rest.iter().take_while(|b| is_blank(**b)).count();
    let idle = match &rest[blanks..] {
        [] => zeros + blanks,
        [b';', extension @ ..] if !extension.contains(&b'\n') => zeros + blanks + extension.len(),
        _ => return None,
    };
    Some((size, idle))
}

fn no_chunk(line: &[u8]) -> NoAnswer {
    NoAnswer::unreadable(
        format!("a chunk of its answer cannot be read: `{}`", shown(line)),
        "write its size in hexadecimal digits before it, and CRLF after both (RFC 9112, 7.1)",
    )
}

/// What is read of a peer that sends these bytes and closes: status, body, and whether the connection
/// ends with it.
#[cfg(test)]
pub(super) fn whole(bytes: &[u8]) -> Result<(u16, Vec<u8>, bool), NoAnswer> {
    let mut reader = ResponseReader::new(bytes);
    loop {
        let response = reader.response()?;
        if !response.is_interim() {
            return Ok((response.code, response.body, response.last));
        }
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
