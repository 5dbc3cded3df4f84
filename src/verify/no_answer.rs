//! The reasons for a missing answer.

use crate::verify::answer::Answer;
use pushbench_host::secrets;
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::tls::diagnostics::TlsFailure;
use pushbench_wire::{response_body, webhook};
use std::fmt;
use std::io;

/// How a refused connection is said.
pub(super) const NO_CONNECTION: &str = "no connection to ";
/// Longest piece of a target's text that is shown.
const SHOWN_CHARS: usize = 120;

/// No answer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// No connection came about.
    Refused(String),
    /// The hello of a target's description was not completed.
    Greeting(String),
    /// Nothing came in the time it was given.
    TimedOut,
    /// The connection was closed; with the text of a close frame.
    Closed(Option<String>),
    /// The connection was reset.
    Reset,
    /// The beginning of TLS.
    Tls,
    /// HTTP where something else was expected: its head and the beginning of its body.
    Http(Box<Answer>),
    /// An answer that cannot be read, or that the protocol does not allow: what is wrong, and what to do.
    Unreadable(String, String),
    /// Bytes of no protocol that was expected.
    OtherProtocol(String),
}

impl NoAnswer {
    /// From an error on an open connection.
    pub fn of(e: &io::Error) -> NoAnswer {
        match (e.kind(), TlsFailure::of(e)) {
            (io::ErrorKind::UnexpectedEof, Some(_)) => {
                NoAnswer::Closed(Some("TLS was not ended (no close_notify)".to_owned()))
            }
            (_, Some(TlsFailure { what, remedy })) => NoAnswer::unreadable(what, remedy),
            (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, _) => NoAnswer::TimedOut,
            (io::ErrorKind::UnexpectedEof, _) => NoAnswer::Closed(None),
            (io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe, _) => NoAnswer::Reset,
            _ => NoAnswer::OtherProtocol(e.to_string()),
        }
    }

    /// From the first bytes of a server with another protocol.
    pub(crate) fn other_protocol(first: &[u8]) -> NoAnswer {
        // A TLS record: an alert or a handshake, version 3, or the first byte of it.
        if matches!(first, [0x15 | 0x16] | [0x15 | 0x16, 0x03, ..]) {
            return NoAnswer::Tls;
        }
        if !first.starts_with(b"HTTP/") {
            return NoAnswer::OtherProtocol(format!("answered `{}`", shown(first)));
        }
        let end = first.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(first.len());
        let (head, body) = (&first[..end], first.get(end + 4..).unwrap_or_default());
        let line = String::from_utf8_lossy(head.split(|b| *b == b'\r').next().unwrap_or_default());
        let line = line.split_once(' ').map_or(&*line, |(_version, status)| status).trim();
        let code = line.get(..3).and_then(|code| code.parse().ok()).unwrap_or_default();
        NoAnswer::Http(Box::new(Answer {
            status: Some((code, line.to_owned())),
            headers: webhook::response::headers(first),
            body: body.to_vec(),
        }))
    }

    /// From what is wrong with an answer, and what to do about it.
    pub(crate) fn unreadable(what: impl Into<String>, remedy: impl Into<String>) -> NoAnswer {
        NoAnswer::Unreadable(what.into(), remedy.into())
    }

    /// Without the values of the target's headers, which a server may send back.
    pub fn without_secrets(self, request_options: &RequestOptions) -> NoAnswer {
        match self {
            NoAnswer::OtherProtocol(what) => NoAnswer::OtherProtocol(request_options.hide(&what)),
            NoAnswer::Unreadable(what, remedy) => {
                NoAnswer::Unreadable(request_options.hide(&what), remedy)
            }
            other => other,
        }
    }

    /// Whether the connection ended.
    pub fn ends(&self) -> bool {
        matches!(self, NoAnswer::Closed(_) | NoAnswer::Reset)
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAnswer::Refused(why) => write!(f, "{NO_CONNECTION}{why}"),
            NoAnswer::Greeting(why) => f.write_str(why),
            NoAnswer::TimedOut => f.write_str("no answer came"),
            NoAnswer::Closed(None) => f.write_str("the connection was closed"),
            NoAnswer::Closed(Some(close_reason)) => {
                write!(f, "the connection was closed: {close_reason}")
            }
            NoAnswer::Reset => f.write_str("the connection was reset"),
            NoAnswer::Tls => f.write_str("it uses TLS"),
            NoAnswer::Http(answer) => {
                f.write_str(&answer.shown().replacen("answered", "answered by HTTP", 1))
            }
            NoAnswer::OtherProtocol(what) | NoAnswer::Unreadable(what, _) => f.write_str(what),
        }
    }
}

/// The beginning of a target's text in one harmless line, without secrets.
pub(super) fn shown(bytes: &[u8]) -> String {
    if let Some(words) = response_body::in_words(bytes) {
        return words;
    }
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_CHARS * 4)]);
    let text = without_tags(&secrets::hide_echo(&text, &[]));
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The text of an HTML page.
fn without_tags(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    let after_tag = |part: &str| part.split_once('>').map_or("", |(_tag, rest)| rest).to_owned();
    text.split('<').map(after_tag).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_told_by_their_first_bytes() {
        assert_eq!(NoAnswer::other_protocol(&[0x15, 3, 3, 0, 2, 2, 70]), NoAnswer::Tls);
        let http =
            NoAnswer::other_protocol(b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nno\n\x1bsuch page");
        let NoAnswer::Http(answer) = &http else { panic!("{http:?}") };
        assert_eq!(
            (answer.status.as_ref().unwrap().0, &answer.headers["a"]),
            (404, &"b".parse().unwrap())
        );
        assert_eq!(http.to_string(), "answered by HTTP 404 Not Found: no such page");
        assert_eq!(
            NoAnswer::other_protocol(b"SSH-2.0-x\r\n"),
            NoAnswer::OtherProtocol("answered `SSH-2.0-x`".into())
        );
    }

    #[test]
    fn a_page_is_shown_without_its_tags() {
        let page = b"<!doctype html>\n<title>400 Bad Request</title><p>It is < not so.</p>";
        assert_eq!(shown(page), "400 Bad Request It is");
        assert_eq!(shown(b"1 < 2 > 0"), "1 < 2 > 0");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(shown("ö".repeat(500).as_bytes()).chars().count(), SHOWN_CHARS + 1);
    }
}
