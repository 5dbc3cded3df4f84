//! The head of an HTTP/1.1 response, read by hand: the status line, the headers, and how the body ends.

use crate::verify::no_answer::{NoAnswer, shown};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use pushbench_wire::limits::{LONGEST_BODY, MOST_HEADERS};

/// A parsed head.
pub(super) struct Head {
    pub code: u16,
    pub line: String,
    pub headers: HeaderMap,
    pub old: bool,
    /// The connection ends with it.
    pub last: bool,
    pub body: Body,
}

/// How the end of a body is known (RFC 9112, 6.3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Head {
    /// The head at the beginning of these bytes, and how many of them it has; `None` when some are missing.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, NoAnswer> {
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
    pub(crate) fn is_interim(&self) -> bool {
        is_interim(self.code)
    }
}

pub(super) fn is_interim(code: u16) -> bool {
    matches!(code, 100 | 102..=199)
}

/// Lines that end with LF or CRLF, as far as they have come.
pub(super) struct Lines<'a>(pub &'a [u8]);

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
pub(super) fn fields(lines: &mut Lines<'_>, most: usize) -> Result<Option<HeaderMap>, NoAnswer> {
    let mut headers = HeaderMap::new();
    for count in 0.. {
        let Some(line) = lines.next() else { return Ok(None) };
        if line.is_empty() {
            break;
        }
        let (name, value) = field(line)?;
        if count == most {
            let what = format!("its answer has more than {most} headers");
            return Err(NoAnswer::unreadable(what, "make the server send fewer headers"));
        }
        headers.append(name, value);
    }
    Ok(Some(headers))
}

fn field(line: &[u8]) -> Result<(HeaderName, HeaderValue), NoAnswer> {
    let colon = line.iter().position(|b| *b == b':');
    let (name, value) = colon.map_or((line, None), |at| (&line[..at], Some(&line[at + 1..])));
    let bad = |what: &str, remedy: &str| {
        Err(NoAnswer::unreadable(format!("{what}: `{}`", shown(line)), remedy))
    };
    if line.first().is_some_and(|b| is_blank(*b)) {
        return bad(
            "a line of its head begins with a space or tab",
            "write each header in one line: folded lines are obsolete (RFC 9112, 5.2)",
        );
    }
    let Some(value) = value else {
        return bad(
            "a line of its head has no colon",
            "write `Name: value`, and an empty line after the last header (RFC 9112, 5)",
        );
    };
    if name.last().is_some_and(|b| is_blank(*b)) {
        return bad("a header has a space or tab before its colon", "remove it (RFC 9112, 5.1)");
    }
    let parsed = name.iter().all(|b| is_token(*b)).then(|| HeaderName::from_bytes(name).ok());
    let Some(name) = parsed.flatten() else {
        return bad(
            "a header name contains a character that is not allowed",
            "rename it (RFC 9110, 5.1)",
        );
    };
    match HeaderValue::from_bytes(value.trim_ascii()) {
        Ok(value_read) if value.iter().all(|b| is_text(*b)) => Ok((name, value_read)),
        _ => bad("a header value contains a control character", "remove it (RFC 9110, 5.5)"),
    }
}

fn framing(headers: &HeaderMap, old: bool) -> Result<Body, NoAnswer> {
    if let Some(coding) = headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        if old {
            return Err(NoAnswer::unreadable(
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
        _ => Err(NoAnswer::unreadable(
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

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn no_status_line(bytes: &[u8]) -> NoAnswer {
    // The settings with which a server begins whose client has not begun with the preface of HTTP/2.
    if bytes.get(3..9) == Some(&[4, 0, 0, 0, 0, 0]) {
        return NoAnswer::unreadable(
            "it speaks HTTP/2 only",
            "write the arm with +h2, such as webhook+h2@NAME, and http_version = \"2\" in its description",
        );
    }
    if !bytes.starts_with(b"HTTP/") {
        return NoAnswer::other_protocol(bytes);
    }
    NoAnswer::unreadable(
        format!("its answer begins with `{}`", shown(bytes)),
        "begin it with HTTP/1.1, a status code of three digits and a reason phrase (RFC 9112, 4)",
    )
}

pub(super) fn too_long() -> NoAnswer {
    let what = format!("its answer has more than {} MiB", LONGEST_BODY >> 20);
    NoAnswer::unreadable(what, "send a smaller answer")
}
