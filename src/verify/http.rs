//! HTTP/1.1 responses read by hand: nothing that a target sends may be smoothed over. What is taken is
//! stated in `targets/PROTOCOL.md`, "What an answer may hold". The driver's client reads the same with code
//! of its own; `http_tests.rs` puts the same answers before both.

use super::trouble::{Trouble, shown};
use crate::transport::limits::{
    LONGEST_BODY, LONGEST_HEAD, MOST_BESIDE, MOST_HEADERS, MOST_TRAILERS,
};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use std::io::Read;

/// Digits of a chunk's size and what ends its line, beside [`MOST_BESIDE`].
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
pub(super) struct Inbox<R> {
    pub socket: R,
    pub left: Vec<u8>,
    /// Bytes of the interim responses before the one that counts.
    interim: usize,
}

/// What a head says.
pub(super) struct Head {
    pub code: u16,
    pub line: String,
    pub headers: HeaderMap,
    pub old: bool,
    last: bool,
    body: Body,
}

/// How the end of a body is known (RFC 9112, 6.3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Response {
    /// Another one follows that counts.
    pub fn is_interim(&self) -> bool {
        is_interim(self.code)
    }
}

impl<R: Read> Inbox<R> {
    pub fn new(socket: R) -> Self {
        Inbox { socket, left: Vec::new(), interim: 0 }
    }

    /// The next response, an interim one included.
    pub fn response(&mut self) -> Result<Response, Trouble> {
        let head = self.head()?;
        let body = self.body(&head)?;
        let Head { code, line, headers, old, last, .. } = head;
        Ok(Response { code, line, headers, body, last, old })
    }

    /// The next head.
    pub fn head(&mut self) -> Result<Head, Trouble> {
        loop {
            let head = Head::parse(&self.left)?;
            let came = head.as_ref().map_or(self.left.len(), |(_, used)| *used);
            if self.interim + came > LONGEST_HEAD {
                return Err(Trouble::unreadable(
                    format!("the head of its answer is longer than {} KiB", LONGEST_HEAD >> 10),
                    "send fewer or shorter headers; are there cookies that grow?",
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
    pub fn body(&mut self, head: &Head) -> Result<Vec<u8>, Trouble> {
        match head.body {
            Body::Length(length) => self.take(length),
            Body::Chunked => self.chunks(),
            Body::UntilClose => self.rest(),
        }
    }

    /// Waits for further bytes; `between`: no answer has begun.
    fn more(&mut self, between: bool) -> Result<(), Trouble> {
        let mut buffer = [0; 16 * 1024];
        match self.socket.read(&mut buffer) {
            Ok(0) if between => Err(Trouble::Closed(None)),
            Ok(0) => Err(Trouble::Closed(Some("amid an answer".to_owned()))),
            Ok(n) => {
                self.left.extend_from_slice(&buffer[..n]);
                Ok(())
            }
            Err(e) => match Trouble::of(&e) {
                Trouble::Silent if !between => Err(Trouble::unreadable(
                    "its answer begins and does not end",
                    "is there an empty line behind the headers, and is Content-Length the number of \
                     bytes, not of characters?",
                )),
                trouble => Err(trouble),
            },
        }
    }

    fn take(&mut self, bytes: usize) -> Result<Vec<u8>, Trouble> {
        while self.left.len() < bytes {
            self.more(false)?;
        }
        Ok(self.left.drain(..bytes).collect())
    }

    fn rest(&mut self) -> Result<Vec<u8>, Trouble> {
        while self.left.len() as u64 <= LONGEST_BODY {
            match self.more(false) {
                Ok(()) => {}
                Err(Trouble::Closed(_)) => return Ok(std::mem::take(&mut self.left)),
                Err(trouble) => return Err(trouble),
            }
        }
        Err(too_long())
    }

    /// A line of the framing of chunks, which ends with CRLF.
    fn line(&mut self) -> Result<Vec<u8>, Trouble> {
        loop {
            match self.left.iter().position(|b| *b == b'\r') {
                Some(end) if self.left.get(end + 1) == Some(&b'\n') => {
                    let line = self.left[..end].to_vec();
                    self.left.drain(..end + 2);
                    return Ok(line);
                }
                Some(end) if end + 1 < self.left.len() => return Err(no_chunk(&self.left[..end])),
                None if self.left.len() > MOST_BESIDE + SIZE_BYTES => {
                    return Err(no_chunk(&self.left));
                }
                _ => self.more(false)?,
            }
        }
    }

    /// A body in chunks (RFC 9112, 7.1).
    fn chunks(&mut self) -> Result<Vec<u8>, Trouble> {
        let (mut body, mut beside) = (Vec::new(), 0);
        loop {
            let line = self.line()?;
            let (size, idle) = chunk_size(&line).ok_or_else(|| no_chunk(&line))?;
            beside += idle;
            if beside > MOST_BESIDE {
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

    /// Headers behind the last chunk, which nobody asks for.
    fn trailers(&mut self, beside: usize) -> Result<(), Trouble> {
        let (mut text, mut count) = (Vec::new(), 0);
        let bad = || {
            Trouble::unreadable(
                "a trailer behind the chunks of its answer cannot be read",
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
            if beside + text.len() > MOST_BESIDE + 2 * count || count > MOST_TRAILERS {
                return Err(bad());
            }
        }
        match fields(&mut Lines(&text), count) {
            Ok(Some(_)) => Ok(()),
            _ => Err(bad()),
        }
    }
}

impl Head {
    /// The head at the beginning of these bytes, and how many of them it has; `None` when some are missing.
    fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Trouble> {
        let mut lines = Lines(bytes);
        let first = loop {
            let rest = lines.0;
            match lines.next() {
                Some(b"") => {}
                Some(line) => break line,
                None => {
                    let begun = rest.len().min(7);
                    let fits = rest[..begun] == b"HTTP/1."[..begun] || rest == b"\r";
                    return if fits { Ok(None) } else { Err(no_status_line(rest)) };
                }
            }
        };
        let (old, code) = status(first).ok_or_else(|| no_status_line(first))?;
        let Some(headers) = fields(&mut lines, MOST_HEADERS)? else { return Ok(None) };
        let line = shown(&first[9..]);
        let body = match code {
            100..=199 | 204 | 304 => Body::Length(0),
            _ => framing(&headers, old)?,
        };
        let says =
            |wanted| words(&headers, CONNECTION).iter().any(|w| w.eq_ignore_ascii_case(wanted));
        let keeps = !says("close") && (!old || says("keep-alive"));
        let last = !keeps || code == 101 || body == Body::UntilClose;
        Ok(Some((Head { code, line, headers, old, last, body }, bytes.len() - lines.0.len())))
    }

    /// Another one follows that counts.
    pub fn is_interim(&self) -> bool {
        is_interim(self.code)
    }
}

fn is_interim(code: u16) -> bool {
    matches!(code, 100 | 102..=199)
}

/// Lines that end with LF or CRLF, as far as they have come.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|b| *b == b'\n')?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// Whether it is HTTP/1.0, and the code.
fn status(line: &[u8]) -> Option<(bool, u16)> {
    let old = match line.get(..9)? {
        b"HTTP/1.1 " => false,
        b"HTTP/1.0 " => true,
        _ => return None,
    };
    let (code, reason) = line[9..].split_at_checked(3)?;
    let code: u16 = digits(std::str::from_utf8(code).ok()?)?;
    let named = reason.first().is_none_or(|b| *b == b' ') && reason.iter().all(|b| is_text(*b));
    (code >= 100 && named).then_some((old, code))
}

/// Header lines up to an empty one; `None` when that is missing.
fn fields(lines: &mut Lines<'_>, most: usize) -> Result<Option<HeaderMap>, Trouble> {
    let mut headers = HeaderMap::new();
    for count in 0.. {
        let Some(line) = lines.next() else { return Ok(None) };
        if line.is_empty() {
            break;
        }
        let (name, value) = field(line)?;
        if count == most {
            let what = format!("its answer has more than {most} headers");
            return Err(Trouble::unreadable(what, "send fewer headers"));
        }
        headers.append(name, value);
    }
    Ok(Some(headers))
}

fn field(line: &[u8]) -> Result<(HeaderName, HeaderValue), Trouble> {
    let colon = line.iter().position(|b| *b == b':');
    let (name, value) = colon.map_or((line, None), |at| (&line[..at], Some(&line[at + 1..])));
    let bad = |what: &str, remedy: &str| {
        Err(Trouble::unreadable(format!("{what}: `{}`", shown(line)), remedy))
    };
    if line.first().is_some_and(|b| is_blank(*b)) {
        return bad(
            "a line of its head begins with a blank",
            "write each header in one line: folded ones are obsolete (RFC 9112, 5.2)",
        );
    }
    let Some(value) = value else {
        return bad(
            "a line of its head has no colon",
            "write `Name: value`, and an empty line behind the last header (RFC 9112, 5)",
        );
    };
    if name.last().is_some_and(|b| is_blank(*b)) {
        return bad("a blank stands before the colon of a header", "take it out (RFC 9112, 5.1)");
    }
    let parsed = name.iter().all(|b| is_token(*b)).then(|| HeaderName::from_bytes(name).ok());
    let Some(name) = parsed.flatten() else {
        return bad(
            "a header's name has a character that none may have",
            "rename it (RFC 9110, 5.1)",
        );
    };
    match HeaderValue::from_bytes(value.trim_ascii()) {
        Ok(value_read) if value.iter().all(|b| is_text(*b)) => Ok((name, value_read)),
        _ => bad("a header's value has a control character", "take it out (RFC 9110, 5.5)"),
    }
}

fn framing(headers: &HeaderMap, old: bool) -> Result<Body, Trouble> {
    if let Some(coding) = headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        if old {
            return Err(Trouble::unreadable(
                "its answer has Transfer-Encoding in HTTP/1.0",
                "answer by HTTP/1.1, or with Content-Length (RFC 9112, 6.1)",
            ));
        }
        let last = coding.to_str().unwrap_or_default().rsplit(',').next().unwrap_or_default();
        let chunked = last.trim().eq_ignore_ascii_case("chunked");
        return Ok(if chunked { Body::Chunked } else { Body::UntilClose });
    }
    if !headers.contains_key(CONTENT_LENGTH) {
        return Ok(Body::UntilClose);
    }
    let lengths = words(headers, CONTENT_LENGTH);
    match lengths.iter().map(|word| digits(word)).collect::<Option<Vec<u64>>>() {
        Some(same) if same.windows(2).all(|w| w[0] == w[1]) && !same.is_empty() => match same[0] {
            length if length > LONGEST_BODY => Err(too_long()),
            length => Ok(Body::Length(length as usize)),
        },
        _ => Err(Trouble::unreadable(
            format!("its Content-Length is `{}`", shown(lengths.join(", ").as_bytes())),
            "write one number of bytes (RFC 9112, 6.2)",
        )),
    }
}

/// The words of a header's lists; of one that is no plain text, an empty one.
fn words(headers: &HeaderMap, name: HeaderName) -> Vec<&str> {
    let lines = headers.get_all(name).into_iter().map(|v| v.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',').map(str::trim)).collect()
}

/// A number of digits and nothing else, which `parse` would let pass with a sign.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A chunk's size, and how many bytes stand around its digits.
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

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn no_status_line(bytes: &[u8]) -> Trouble {
    if !bytes.starts_with(b"HTTP/") {
        return Trouble::alien(bytes);
    }
    Trouble::unreadable(
        format!("its answer begins with `{}`", shown(bytes)),
        "begin it with HTTP/1.1, a status of three digits and its name (RFC 9112, 4)",
    )
}

fn no_chunk(line: &[u8]) -> Trouble {
    Trouble::unreadable(
        format!("a chunk of its answer cannot be read: `{}`", shown(line)),
        "write its size in hexadecimal digits before it, and CRLF behind both (RFC 9112, 7.1)",
    )
}

fn too_long() -> Trouble {
    let what = format!("its answer has more than {} MiB", LONGEST_BODY >> 20);
    Trouble::unreadable(what, "answer with less")
}

/// What is read of a peer that sends these bytes and closes: status, body, and whether the connection
/// ends with it.
pub(super) fn whole(bytes: &[u8]) -> Result<(u16, Vec<u8>, bool), Trouble> {
    let mut inbox = Inbox::new(bytes);
    loop {
        let response = inbox.response()?;
        if !response.is_interim() {
            return Ok((response.code, response.body, response.last));
        }
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
