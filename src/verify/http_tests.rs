use super::*;
use pushbench_wire::limits::MOST_HEADERS;
use pushbench_wire::webhook::response::ResponseParser;

/// What the driver's client reads of a peer that sends these bytes and closes, or why it cannot.
fn driver(bytes: &[u8]) -> Result<(u16, Vec<u8>, bool), String> {
    let mut reading = ResponseParser::default();
    if let Some(answer) = reading.look(bytes).map_err(|e| e.to_string())? {
        return Ok((answer.status.as_u16(), answer.body.to_vec(), !answer.keep));
    }
    let answer = reading.end(bytes).map_err(|e| e.to_string())?;
    Ok((answer.status.as_u16(), answer.body.to_vec(), !answer.keep))
}

fn ok(line: &str, head: &str) -> String {
    format!("HTTP/1.1 {line}\r\n{head}\r\n")
}

#[test]
fn the_driver_takes_what_the_first_look_takes() {
    let many = |n| ok("200 OK", &("X: y\r\n".repeat(n - 1) + "Content-Length: 2\r\n")) + "ok";
    let chunked = |chunks: &str| ok("200 OK", "Transfer-Encoding: chunked\r\n") + chunks;
    let hints =
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n".to_owned();
    for (what, bytes, body, last) in [
        ("a length", ok("200 OK", "Content-Length: 2\r\n") + "ok", "ok", false),
        ("256 headers", many(MOST_HEADERS), "ok", false),
        (
            "a cookie of 64 KiB",
            ok("200 OK", &format!("Set-Cookie: {}\r\nContent-Length: 2\r\n", "c".repeat(65536)))
                + "ok",
            "ok",
            false,
        ),
        ("bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok".to_owned(), "ok", false),
        ("empty lines before it", "\r\n\n".to_owned() + &many(1), "ok", false),
        ("interim responses", hints.clone() + &many(1), "ok", false),
        ("no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n".to_owned(), "", false),
        (
            "the same length twice",
            ok("200 OK", "Content-Length: 2\r\ncontent-length: 2 , 2\r\n") + "ok",
            "ok",
            false,
        ),
        (
            "a value that is no ASCII",
            ok("200 OK", "X: \u{e9}\r\nContent-Length: 2\r\n") + "ok",
            "ok",
            false,
        ),
        (
            "close in a list",
            ok("200 OK", "Connection: x, Close\r\nContent-Length: 2\r\n") + "ok",
            "ok",
            true,
        ),
        (
            "close and keep-alive",
            ok("200 OK", "Connection: close\r\nConnection: keep-alive\r\nContent-Length: 2\r\n")
                + "ok",
            "ok",
            true,
        ),
        (
            "a word with close in it",
            ok("200 OK", "Connection: disclose\r\nContent-Length: 2\r\n") + "ok",
            "ok",
            false,
        ),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(), "ok", true),
        (
            "HTTP/1.0 kept",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok".to_owned(),
            "ok",
            false,
        ),
        ("chunks", chunked("2;a=b\r\nok\r\n00\r\nX: y\r\n\r\n"), "ok", false),
        (
            "chunks before a length",
            ok("200 OK", "Content-Length: 9\r\nTransfer-Encoding: gzip, Chunked\r\n")
                + "2 \r\nok\r\n0\r\n\r\n",
            "ok",
            false,
        ),
        (
            "a coding that is not chunked",
            ok("200 OK", "Transfer-Encoding: chunked, xchunked\r\n") + "ok",
            "ok",
            true,
        ),
        ("until it closes", ok("200 OK", "") + "ok", "ok", true),
        ("204 with a length", ok("204 No Content", "Content-Length: 2\r\n"), "", false),
        ("another protocol", ok("101 Switching Protocols", "Content-Length: 2\r\n"), "", true),
        (
            "10 KiB around a chunk",
            chunked(&format!("2;{}\r\nok\r\n0\r\n\r\n", "x".repeat(10 << 10))),
            "ok",
            false,
        ),
    ] {
        let code = if what.starts_with("204") {
            204
        } else if what.starts_with("another") {
            101
        } else {
            200
        };
        let wanted = (code, body.as_bytes().to_vec(), last);
        assert_eq!(driver(bytes.as_bytes()), Ok(wanted.clone()), "{what}: the driver");
        assert_eq!(whole(bytes.as_bytes()), Ok(wanted), "{what}: the first look");
    }
}

#[test]
fn the_driver_refuses_what_the_first_look_refuses_and_both_say_why() {
    let header = |header: &str| ok("200 OK", &format!("{header}\r\nContent-Length: 0\r\n"));
    let chunked = |chunks: &str| ok("200 OK", "Transfer-Encoding: chunked\r\n") + chunks;
    let length = |length: &str| ok("200 OK", &format!("Content-Length: {length}\r\n"));
    let name = "no `Name: value` in a line of the head";
    let head = "the head of a response is longer";
    for (bytes, driver_says, says, remedy) in [
        (
            header("X: y\r\n".repeat(MOST_HEADERS).trim_end()),
            "more than 256 headers",
            "more than 256 headers",
            "fewer headers",
        ),
        (header("X: a\r\n b"), name, "begins with a space or tab: `b`", "one line"),
        (header("X : a"), name, "before its colon: `X : a`", "remove it"),
        (header("X a"), name, "no colon: `X a`", "`Name: value`"),
        (header("X(: a"), name, "a header name contains a character", "rename"),
        (
            header("X: a\u{7}b"),
            "a control character",
            "a header value contains a control character: `X: a b`",
            "remove it",
        ),
        (
            header("X: a\rb"),
            "a control character",
            "a header value contains a control character",
            "remove it",
        ),
        (
            header(&format!("X: {}", "x".repeat(LONGEST_HEAD))),
            head,
            "longer than 400 KiB",
            "cookies",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\n".repeat(LONGEST_HEAD / 25 + 1),
            head,
            "longer than 400 KiB",
            "fewer",
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "Transfer-Encoding in HTTP/1.0",
            "Transfer-Encoding in HTTP/1.0",
            "Content-Length",
        ),
        (
            "HTTP/2.0 200 OK\r\n\r\n".to_owned(),
            "no HTTP response",
            "begins with `HTTP/2.0 200 OK`",
            "HTTP/1.1",
        ),
        (
            "HTTP/1.1 2x0 OK\r\n\r\n".to_owned(),
            "no HTTP response",
            "begins with `HTTP/1.1 2x0 OK`",
            "three digits",
        ),
        (
            "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "no HTTP response",
            "begins with `HTTP/1.1 099 Low`",
            "three digits",
        ),
        (
            "HTTP/1.1\r\n\r\n".to_owned(),
            "no HTTP response",
            "begins with `HTTP/1.1`",
            "three digits",
        ),
        (length("+5"), "invalid Content-Length", "Content-Length is `+5`", "one number"),
        (
            length("5\r\nContent-Length: 6"),
            "invalid Content-Length",
            "Content-Length is `5, 6`",
            "one number",
        ),
        (length(""), "invalid Content-Length", "Content-Length is ``", "one number"),
        (
            length("18446744073709551616"),
            "invalid Content-Length",
            "Content-Length is `1844",
            "one number",
        ),
        (length("67108865"), "more than 67108864 bytes", "more than 64 MiB", "smaller"),
        (
            chunked("+2\r\nok\r\n0\r\n\r\n"),
            "invalid chunk",
            "chunk of its answer cannot be read: `+2`",
            "hexadecimal",
        ),
        (chunked("2\nok\n0\n\n\r\n"), "invalid chunk", "chunk of its answer", "CRLF"),
        (
            chunked("2\r\nokay\r\n0\r\n\r\n"),
            "invalid chunk",
            "chunk of its answer cannot be read: `ay`",
            "CRLF",
        ),
        (
            chunked(&format!("2;{}\r\nok\r\n0\r\n\r\n", "x".repeat(17 << 10))),
            "invalid chunk",
            "chunk of its answer",
            "",
        ),
        (chunked("4000001\r\n"), "more than 67108864 bytes", "more than 64 MiB", "smaller"),
        (chunked("0\r\nno colon\r\n\r\n"), "invalid trailer", "a trailer", "leave trailers out"),
        (
            chunked(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(101))),
            "invalid trailer",
            "a trailer",
            "leave trailers out",
        ),
    ] {
        let shown = &bytes[..bytes.len().min(100)];
        let why = driver(bytes.as_bytes()).unwrap_err();
        assert!(why.contains(driver_says), "{shown:?}: the driver says {why}");
        let Err(NoAnswer::Unreadable(what, to_do)) = whole(bytes.as_bytes()) else {
            panic!("{shown:?}: the first look takes it, or says something else");
        };
        assert!(what.contains(says), "{shown:?}: the first look says {what}");
        assert!(to_do.contains(remedy), "{shown:?}: the remedy is {to_do}");
    }
}

/// A peer that sends its bytes one by one, then closes or sends nothing more.
struct ProbeTarget<'a> {
    bytes: &'a [u8],
    closes: bool,
}

impl Read for ProbeTarget<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match (self.bytes.split_first(), self.closes) {
            (Some((byte, rest)), _) => {
                buffer[0] = *byte;
                self.bytes = rest;
                Ok(1)
            }
            (None, true) => Ok(0),
            (None, false) => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Status, body, and whether the connection ends behind it.
type Found = Result<(u16, Vec<u8>, bool), NoAnswer>;

fn read(bytes: &[u8], closes: bool) -> [Found; 2] {
    let mut reader = ResponseReader::new(ProbeTarget { bytes, closes });
    let mut next = || reader.response().map(|r| (r.code, r.body, r.last));
    [next(), next()]
}

#[test]
fn one_response_follows_another() {
    let two = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204 No\r\n\r\n";
    let (ok, no) = ((200, b"ok".to_vec(), false), (204, vec![], false));
    assert_eq!(read(two, true), [Ok(ok.clone()), Ok(no)]);
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    assert_eq!(read(chunks, true), [Ok(ok.clone()), Err(NoAnswer::Closed(None))]);
    assert_eq!(read(chunks, false), [Ok(ok), Err(NoAnswer::TimedOut)]);
}

#[test]
fn what_is_no_response_is_told() {
    assert_eq!(read(b"\x15\x03\x03\x00\x02\x02\x46", true)[0], Err(NoAnswer::Tls));
    assert!(matches!(read(b"what?", true)[0], Err(NoAnswer::OtherProtocol(_))));
    assert_eq!(read(b"", true)[0], Err(NoAnswer::Closed(None)));
    assert_eq!(read(b"", false)[0], Err(NoAnswer::TimedOut));
    for half in ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 200 OK\r\nX"] {
        assert!(matches!(read(half.as_bytes(), true)[0], Err(NoAnswer::Closed(Some(_)))));
        let Err(NoAnswer::Unreadable(_, remedy)) = &read(half.as_bytes(), false)[0] else {
            panic!()
        };
        assert!(remedy.contains("Content-Length"), "{remedy}");
    }
}
