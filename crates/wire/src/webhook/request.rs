//! What the bytes that have come on a connection hold of an HTTP/1.1 request. Pure: they may be looked
//! at again when more have come.

use crate::webhook::chunks::{ChunkError, Chunks};
use hyper::StatusCode;
use std::borrow::Cow;
use std::mem::MaybeUninit;

/// Longest head.
const LONGEST_HEAD: usize = 16 * 1024;
/// Most fields in it.
const MOST_FIELDS: usize = 64;

/// What has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A part: there is more to come.
    Incomplete {
        /// The sender waits for `100 Continue`.
        expects_continue: bool,
    },
    /// A request, and how many bytes it takes up.
    Complete(Request<'a>, usize),
    /// One that is not taken. The end of the request is unknown, so nothing after it can be read.
    Refused(StatusCode),
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// `POST`, as it was written.
    pub method: &'a str,
    /// Its target without query and, where it was given, without scheme and host.
    pub path: &'a str,
    /// What follows the path, with its question mark.
    pub query: &'a str,
    /// Its head as it was written.
    pub head: &'a [u8],
    /// What was posted.
    pub body: Cow<'a, [u8]>,
    /// The connection ends behind the answer.
    pub last: bool,
}

impl Request<'_> {
    /// What a publisher that makes sure that this subscriber exists wants to read in the answer:
    /// `?challenge=…` or, in WebSub, `?hub.challenge=…`; `None` for another request.
    pub fn challenge(&self) -> Option<String> {
        let query = self.query.strip_prefix('?').filter(|_| self.method == "GET")?;
        let query = query.split('#').next()?;
        query.split('&').filter_map(|pair| pair.split_once('=')).find_map(|(name, value)| {
            let named = name == "challenge" || name.ends_with(".challenge");
            named.then(|| unescaped(&value.replace('+', " ")))
        })
    }
}

/// A value of a query without its percent signs; what is no escape stays as it is.
pub fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, more @ ..] = rest {
        let digits = more.first_chunk::<2>().filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let escape = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok());
        let (byte, left) = match escape.filter(|_| *first == b'%') {
            Some(byte) => (byte, &more[2..]),
            None => (*first, more),
        };
        bytes.push(byte);
        rest = left;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Takes a request with a body of at most `longest` bytes out of the beginning of `bytes`.
pub fn read(bytes: &[u8], longest: usize) -> Parsed<'_> {
    match parse(bytes, longest) {
        Ok(Some((request, length))) => Parsed::Complete(request, length),
        Ok(None) => Parsed::Incomplete { expects_continue: false },
        Err(Stop::ExpectsContinue) => Parsed::Incomplete { expects_continue: true },
        Err(Stop::Refused(status)) => Parsed::Refused(status),
    }
}

/// Why reading stops before the end of a request, other than for want of bytes.
enum Stop {
    ExpectsContinue,
    Refused(StatusCode),
}

impl From<StatusCode> for Stop {
    fn from(status: StatusCode) -> Stop {
        Stop::Refused(status)
    }
}

impl From<ChunkError> for Stop {
    fn from(wrong: ChunkError) -> Stop {
        Stop::Refused(match wrong {
            ChunkError::Chunk | ChunkError::Trailer => StatusCode::BAD_REQUEST,
            ChunkError::LongTrailer => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            ChunkError::Overhead | ChunkError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        })
    }
}

fn parse(bytes: &[u8], longest: usize) -> Result<Option<(Request<'_>, usize)>, Stop> {
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut head = httparse::Request::new(&mut []);
    let end = match head.parse_with_uninit_headers(bytes, &mut fields).map_err(refusal)? {
        httparse::Status::Complete(end) if end <= LONGEST_HEAD => end,
        httparse::Status::Partial if bytes.len() <= LONGEST_HEAD => return Ok(None),
        _ => return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into()),
    };
    let framing = RequestFraming::of(head.headers, head.version == Some(1))?;
    let rest = &bytes[end..];
    let body = match framing.length {
        Length::Known(length) if length > longest as u64 => {
            return Err(StatusCode::PAYLOAD_TOO_LARGE.into());
        }
        Length::Known(length) => {
            rest.get(..length as usize).map(|body| (Cow::Borrowed(body), body.len()))
        }
        Length::Chunked => {
            let mut chunks = Chunks::default();
            let length = chunks.take(rest, longest as u64)?;
            chunks.ended().then(|| (Cow::Owned(chunks.into_body()), length))
        }
    };
    let Some((body, length)) = body else {
        let expects_continue = framing.expects_continue && rest.is_empty();
        return if expects_continue { Err(Stop::ExpectsContinue) } else { Ok(None) };
    };
    let (method, target) = (head.method.unwrap_or_default(), head.path.unwrap_or_default());
    let (path, query) = split(target);
    let head = &bytes[..end];
    Ok(Some((Request { method, path, query, head, body, last: framing.last }, end + length)))
}

fn refusal(e: httparse::Error) -> Stop {
    Stop::Refused(match e {
        httparse::Error::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        httparse::Error::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        _ => StatusCode::BAD_REQUEST,
    })
}

/// The path of a target in origin form, `/1?a=b`, or in absolute form, `http://127.1.0.1/1`, and what follows
/// it.
fn split(target: &str) -> (&str, &str) {
    // What follows the path may hold slashes of its own.
    let (path, query) = target.split_at(target.find(['?', '#']).unwrap_or(target.len()));
    let path = match path.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => path,
    };
    (path, query)
}

/// How the end of a body is determined.
#[derive(Clone, Copy)]
enum Length {
    Known(u64),
    Chunked,
}

/// The fields of a head about the body.
struct RequestFraming {
    length: Length,
    last: bool,
    expects_continue: bool,
}

impl RequestFraming {
    /// Two of them that contradict each other are how requests are smuggled past a proxy: refused.
    fn of(
        fields: &[httparse::Header<'_>],
        kept_by_default: bool,
    ) -> Result<RequestFraming, StatusCode> {
        let (mut length, mut chunked, mut expects_continue) = (None, false, false);
        let (mut close, mut keep) = (false, false);
        for field in fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            let value = field.value.trim_ascii();
            if is("content-length") {
                let length_value = digits(value).ok_or(StatusCode::BAD_REQUEST)?;
                if length.replace(length_value).is_some_and(|before| before != length_value) {
                    return Err(StatusCode::BAD_REQUEST);
                }
            } else if is("transfer-encoding") {
                if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(StatusCode::NOT_IMPLEMENTED);
                }
                chunked = true;
            } else if is("connection") {
                for option in value.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
                    close |= option.eq_ignore_ascii_case(b"close");
                    keep |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            } else if is("expect") {
                expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
            }
        }
        let length = match (chunked, length) {
            (true, Some(_)) => return Err(StatusCode::BAD_REQUEST),
            (true, None) if !kept_by_default => return Err(StatusCode::BAD_REQUEST),
            (true, None) => Length::Chunked,
            (false, length) => Length::Known(length.unwrap_or(0)),
        };
        let last = close || !(keep || kept_by_default);
        Ok(RequestFraming { length, last, expects_continue: expects_continue && kept_by_default })
    }
}

/// A number of digits and nothing else, which `parse` would let pass with a sign.
fn digits(value: &[u8]) -> Option<u64> {
    let all = value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| all)?.parse().ok()
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
