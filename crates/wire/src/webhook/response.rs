//! A response taken apart while it comes in: its status, where its body ends (RFC 9112, section 6.3), and
//! whether another request may follow it. Headers are looked at only where they decide that.

use crate::limits::{LONGEST_BODY, LONGEST_HEAD, MOST_HEADERS};
use crate::webhook::chunks::{ChunkError, Chunks};
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use std::fmt;
use std::mem::MaybeUninit;

/// Room for the headers that a response usually has: more is made where it is needed.
const USUAL_HEADERS: usize = 100;

/// For how long a server that is overloaded wants to be left alone, ns: a number of seconds. A date is not read.
pub fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    let overloaded =
        matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    let seconds = headers.get(RETRY_AFTER).filter(|_| overloaded)?.to_str().ok()?;
    Some(seconds.trim().parse::<u64>().ok()?.saturating_mul(1_000_000_000))
}

/// Why bytes are no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseError {
    /// The head.
    Head(httparse::Error),
    /// The head has no end.
    LongHead,
    /// `Content-Length` is no number, or several.
    Length,
    /// `Transfer-Encoding` in HTTP/1.0.
    Encoding,
    /// A chunk of the body.
    Chunk,
    /// A trailer behind the last chunk.
    Trailer,
    /// The body is longer than [`LONGEST_BODY`].
    TooLong,
    /// The connection ended first.
    CutShort,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResponseError::Head(httparse::Error::HeaderName) => f.write_str(
                "no `Name: value` in a line of the head (a folded line, a blank before the colon?)",
            ),
            ResponseError::Head(httparse::Error::HeaderValue) => {
                f.write_str("a control character in a header's value")
            }
            ResponseError::Head(httparse::Error::TooManyHeaders) => {
                write!(f, "a response has more than {MOST_HEADERS} headers")
            }
            ResponseError::Head(e) => write!(f, "no HTTP response: {e}"),
            ResponseError::LongHead => {
                write!(f, "the head of a response is longer than {LONGEST_HEAD} bytes")
            }
            ResponseError::Length => f.write_str("invalid Content-Length"),
            ResponseError::Encoding => f.write_str("Transfer-Encoding in HTTP/1.0"),
            ResponseError::Chunk => f.write_str("invalid chunk"),
            ResponseError::Trailer => f.write_str("invalid trailer"),
            ResponseError::TooLong => write!(f, "a response has more than {LONGEST_BODY} bytes"),
            ResponseError::CutShort => f.write_str("connection closed before message completed"),
        }
    }
}

impl From<ChunkError> for ResponseError {
    fn from(wrong: ChunkError) -> ResponseError {
        match wrong {
            ChunkError::Chunk | ChunkError::Overhead => ResponseError::Chunk,
            ChunkError::Trailer | ChunkError::LongTrailer => ResponseError::Trailer,
            ChunkError::TooLong => ResponseError::TooLong,
        }
    }
}

/// A whole response.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its head, unparsed.
    pub head: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
    /// How many bytes it took, interim responses before it included.
    pub used: usize,
    /// Another request may follow.
    pub keep: bool,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(usize),
    Chunked,
    UntilClose,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    status: StatusCode,
    begin: usize,
    end: usize,
    body: Body,
    keep: bool,
}

/// One response as far as it has come.
#[derive(Debug, Default)]
pub struct ResponseParser {
    head: Option<Head>,
    /// End of the interim responses.
    begin: usize,
    /// End of the chunks that were taken.
    taken: usize,
    chunks: Chunks,
}

impl ResponseParser {
    /// Looks at all bytes that have come since the response began; `None` when some are missing.
    #[inline]
    pub fn look<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Option<Answer<'a>>, ResponseError> {
        let Some(head) = self.head(bytes)? else { return Ok(None) };
        let came = bytes.len() - head.end;
        match head.body {
            Body::Length(length) if length <= came => {
                Ok(Some(head.answer(bytes, &bytes[head.end..head.end + length], head.end + length)))
            }
            Body::Length(_) => Ok(None),
            Body::UntilClose if came as u64 > LONGEST_BODY => Err(ResponseError::TooLong),
            Body::UntilClose => Ok(None),
            Body::Chunked => {
                let from = self.taken.max(head.end);
                self.taken = from + self.chunks.take(&bytes[from..], LONGEST_BODY)?;
                let ended = self.chunks.ended();
                Ok(ended.then(|| head.answer(bytes, self.chunks.body(), self.taken)))
            }
        }
    }

    /// The same once the peer has closed: nothing more will come.
    pub fn end<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Answer<'a>, ResponseError> {
        match self.head {
            Some(head) if head.body == Body::UntilClose => {
                Ok(head.answer(bytes, &bytes[head.end..], bytes.len()))
            }
            _ => Err(ResponseError::CutShort),
        }
    }

    /// The response as soon as its head is there, with whatever has come behind it.
    pub fn begun<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Answer<'a>>, ResponseError> {
        let head = self.head(bytes)?;
        Ok(head.map(|head| head.answer(bytes, &bytes[head.end..], head.end)))
    }

    fn head(&mut self, bytes: &[u8]) -> Result<Option<Head>, ResponseError> {
        while self.head.is_none() {
            match head::<USUAL_HEADERS>(bytes, self.begin)? {
                None if bytes.len() > LONGEST_HEAD => return Err(ResponseError::LongHead),
                None => return Ok(None),
                Some((end, _)) if end > LONGEST_HEAD => return Err(ResponseError::LongHead),
                // An interim response: the one that counts is still to come.
                Some((end, None)) => self.begin = end,
                Some((_, head)) => self.head = head,
            }
        }
        Ok(self.head)
    }
}

impl Head {
    fn answer<'a>(self, bytes: &'a [u8], body: &'a [u8], used: usize) -> Answer<'a> {
        let Head { status, begin, end, keep, .. } = self;
        Answer { status, head: &bytes[begin..end], body, used, keep }
    }
}

/// The head that begins there: its end, and its content unless it is interim.
fn head<const ROOM: usize>(
    bytes: &[u8],
    begin: usize,
) -> Result<Option<(usize, Option<Head>)>, ResponseError> {
    let mut headers = [MaybeUninit::uninit(); ROOM];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        &bytes[begin..],
        &mut headers,
    );
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) if ROOM < MOST_HEADERS => {
            return head::<MOST_HEADERS>(bytes, begin);
        }
        Err(e) => return Err(ResponseError::Head(e)),
    };
    let code = response.code.unwrap_or_default();
    let status =
        StatusCode::from_u16(code).map_err(|_| ResponseError::Head(httparse::Error::Status))?;
    let end = begin + length;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Some((end, None)));
    }
    let old = response.version == Some(0);
    let framing = Framing::of(response.headers);
    let body = match status {
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => {
            Body::Length(0)
        }
        _ => framing.body(old)?,
    };
    let ends = status == StatusCode::SWITCHING_PROTOCOLS || body == Body::UntilClose;
    let keep = !framing.close && (!old || framing.keep_alive) && !ends;
    Ok(Some((end, Some(Head { status, begin, end, body, keep }))))
}

/// The headers about the body and the connection.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    bad_length: bool,
    /// The last transfer encoding is `chunked`.
    chunked: Option<bool>,
    close: bool,
    keep_alive: bool,
}

impl Framing {
    fn of(headers: &[httparse::Header<'_>]) -> Framing {
        let mut framing = Framing::default();
        for header in headers {
            let name = header.name;
            // Most names have another length, which is a cheap test.
            match name.len() {
                14 if name.eq_ignore_ascii_case("content-length") => framing.length(header.value),
                10 if name.eq_ignore_ascii_case("connection") => framing.connection(header.value),
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    let last = words(header.value).last();
                    framing.chunked =
                        Some(last.is_some_and(|w| w.eq_ignore_ascii_case(b"chunked")));
                }
                _ => {}
            }
        }
        framing
    }

    /// Several are fine when they say the same.
    fn length(&mut self, value: &[u8]) {
        for word in words(value) {
            let length = digits(word);
            let same = length.is_some() && (self.length.is_none() || self.length == length);
            self.bad_length |= !same;
            self.length = length;
        }
    }

    fn connection(&mut self, value: &[u8]) {
        for word in words(value) {
            self.close |= word.eq_ignore_ascii_case(b"close");
            self.keep_alive |= word.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn body(&self, old: bool) -> Result<Body, ResponseError> {
        match (self.chunked, self.length) {
            (Some(_), _) if old => Err(ResponseError::Encoding),
            (Some(true), _) => Ok(Body::Chunked),
            (Some(false), _) => Ok(Body::UntilClose),
            _ if self.bad_length => Err(ResponseError::Length),
            (None, Some(length)) if length > LONGEST_BODY => Err(ResponseError::TooLong),
            (None, Some(length)) => Ok(Body::Length(length as usize)),
            (None, None) => Ok(Body::UntilClose),
        }
    }
}

/// The words of a list. What is not plain text is no word, hence an empty one.
fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let plain = value.iter().all(|b| matches!(b, b'\t' | b' '..=b'~'));
    let value = if plain { value } else { &[] };
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii)
}

/// A number without a sign.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |n, digit| match digit {
        b'0'..=b'9' => n.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// All headers of a response, for those who want to know why it is none that was hoped for.
pub fn headers(head: &[u8]) -> HeaderMap {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let _parsed_before = response.parse(head);
    let named = response.headers.iter().filter_map(|header| {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(header.value).ok()?))
    });
    let mut all = HeaderMap::new();
    for (name, value) in named {
        all.append(name, value);
    }
    all
}
