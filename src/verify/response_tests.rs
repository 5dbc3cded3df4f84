//! Our responses beside hyper's and beside those of the first look: the same status and body, or none from
//! any of them, however the bytes are cut.

use proptest::collection::vec;
use proptest::prelude::*;
use pushbench_wire::limits::{LONGEST_BODY, LONGEST_HEAD, MOST_HEADERS};
use pushbench_wire::webhook::response::{Answer, ResponseError, ResponseParser, headers};
use reference::{Parsed, hyper_response};

#[path = "../../crates/wire/src/webhook/reference.rs"]
mod reference;

/// The response in bytes that come in pieces which end at these places; then the peer closes.
fn whole(bytes: &[u8], cuts: &[usize]) -> Result<(u16, Vec<u8>, usize, bool), ResponseError> {
    let mut reading = ResponseParser::default();
    let mut ends: Vec<usize> = cuts.iter().map(|mode| mode % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let described = |a: Answer<'_>| (a.status.as_u16(), a.body.to_vec(), a.used, a.keep);
    for end in ends {
        if let Some(answer) = reading.look(&bytes[..end])? {
            return Ok(described(answer));
        }
    }
    reading.end(bytes).map(described)
}

fn ours(bytes: &[u8]) -> Parsed {
    whole(bytes, &[]).ok().map(|(status, body, ..)| (status, body))
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    const KNOWN: &[&str] = &[
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 202\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 304 Not Modified\r\n",
        "HTTP/1.1 503 Later\n",
        "\r\nHTTP/1.1 404 Not Found\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 9\r\n\r\nHTTP/1.1 201 Created\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n",
        "HTTP/2.0 200 OK\r\n",
        "HTTP/1.1 099 Low\r\n",
    ];
    proptest::sample::select(KNOWN).prop_map(|line| line.as_bytes().to_vec())
}

fn header() -> impl Strategy<Value = Vec<u8>> {
    const KNOWN: &[&str] = &[
        "Content-Length: 5\r\n",
        "content-length: 5, 5\r\n",
        "Content-Length: 7\r\n",
        "Content-Length: +5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, Chunked\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "Connection: close\r\n",
        "Connection: Keep-Alive\r\n",
        "Content-Encoding: gzip\r\n",
        "X-Y: z\r\n",
        "X:\n",
        " folded\r\n",
        "Blank : a\r\n",
        "X: \t \r\n",
        "X: \u{e9}\n",
        "Connection: close, keep-alive\r\n",
        "Connection: disclose\r\n",
        "no colon\r\n",
    ];
    proptest::sample::select(KNOWN).prop_map(|line| line.as_bytes().to_vec())
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    const KNOWN: &[&str] = &[
        "",
        "12345",
        "1234",
        "1234567rest",
        "5\r\n12345\r\n0\r\n\r\n",
        "5;x=\"y\"\r\n12345\r\n2 \r\n67\r\n0\r\nTrailer: t\r\n\r\nrest",
        "5\r\n12345\r\n0\r\n",
        "5\r\n123456\r\n",
        "g\r\n",
        "+5\r\n12345\r\n0\r\n\r\n",
        "05\t;\r\n12345\r\n00\r\n\n\r\n\r\n",
        "ffffffffffffffff1\r\n",
        "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ];
    proptest::sample::select(KNOWN).prop_map(|text| text.as_bytes().to_vec())
}

/// Something like a response, perhaps with one byte that is wrong.
fn response() -> impl Strategy<Value = Vec<u8>> {
    let wrong = proptest::option::weighted(0.3, (any::<usize>(), any::<u8>()));
    (line(), vec(header(), 0..4), body(), wrong).prop_map(|(line, headers, body, wrong)| {
        let mut bytes = [line, headers.concat(), b"\r\n".to_vec(), body].concat();
        if let Some((at, byte)) = wrong {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn responses_are_hypers_and_the_first_looks(bytes in response()) {
        prop_assert_eq!(ours(&bytes), hyper_response(&bytes), "{:?}", String::from_utf8_lossy(&bytes));
        let driver = whole(&bytes, &[]).ok().map(|(status, body, _, keep)| (status, body, !keep));
        let first_look = super::http::whole(&bytes).ok();
        prop_assert_eq!(driver, first_look, "{:?}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn cuts_change_nothing(bytes in response(), cuts in vec(any::<usize>(), 0..8)) {
        let every: Vec<usize> = (0..bytes.len()).collect();
        let one = whole(&bytes, &[]);
        prop_assert_eq!(&whole(&bytes, &cuts), &one);
        prop_assert_eq!(&whole(&bytes, &every), &one);
    }
}

proptest! {
    // Texts that are mostly no responses; `fuzz/run` tries many more.
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn garbage_is_refused_wherever_it_is_cut(
        begin in proptest::sample::select(&["", "HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"][..]),
        rest in vec(any::<u8>(), 0..48),
        mode: usize,
    ) {
        let bytes = [begin.as_bytes(), &rest].concat();
        let driver = whole(&bytes, &[]);
        prop_assert_eq!(&whole(&bytes, &[mode]), &driver);
        let driver = driver.ok().map(|(status, body, _, keep)| (status, body, !keep));
        prop_assert_eq!(driver, super::http::whole(&bytes).ok());
    }
}

#[test]
fn another_request_follows_only_where_it_may() {
    for (text, keep) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nok", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", true),
        ("HTTP/1.1 200 OK\r\n\r\nok", false),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", false),
    ] {
        let (.., used, kept) = whole(text.as_bytes(), &[]).unwrap();
        assert_eq!((used, kept), (text.len(), keep), "{text}");
    }
}

#[test]
fn what_follows_a_response_is_not_its_own() {
    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n";
    let (status, body, used, keep) = whole(text, &[]).unwrap();
    assert_eq!((status, &body[..], used, keep), (200, &b"ok"[..], 40, true));
}

#[test]
fn lengths_and_heads_have_bounds() {
    let long = |n: u64| format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n");
    assert_eq!(whole(long(LONGEST_BODY).as_bytes(), &[]), Err(ResponseError::CutShort));
    assert_eq!(whole(long(LONGEST_BODY + 1).as_bytes(), &[]), Err(ResponseError::TooLong));
    let endless = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; LONGEST_HEAD]].concat();
    assert_eq!(whole(&endless, &[]), Err(ResponseError::LongHead));
    let hints = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(LONGEST_HEAD / 28 + 1);
    assert_eq!(whole(&hints, &[]), Err(ResponseError::LongHead));
    let many = "X: y\r\n".repeat(MOST_HEADERS + 1);
    let many = format!("HTTP/1.1 200 OK\r\n{many}\r\n");
    assert_eq!(
        whole(many.as_bytes(), &[]),
        Err(ResponseError::Head(httparse::Error::TooManyHeaders))
    );
}

#[test]
fn headers_are_there_for_those_who_ask() {
    let text = b"HTTP/1.1 405 No\r\nAllow: PUT\r\nallow: PATCH\r\nContent-Length: 0\r\n\r\n";
    let mut reading = ResponseParser::default();
    let answer = reading.look(text).unwrap().unwrap();
    let all = headers(answer.head);
    let allowed: Vec<_> = all.get_all(hyper::header::ALLOW).iter().collect();
    assert_eq!(allowed, ["PUT", "PATCH"]);
}
