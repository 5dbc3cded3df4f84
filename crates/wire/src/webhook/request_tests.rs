use super::*;
use crate::limits::MAX_CHUNK_OVERHEAD;
use proptest::prelude::*;

const LONGEST: usize = 64;

fn posted<'a>(path: &'a str, body: &'a [u8], last: bool) -> Request<'a> {
    let (path, query) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
    Request { method: "POST", path, query, head: b"", body: body.into(), last }
}

/// What is read, apart from the head.
fn read(bytes: &[u8], longest: usize) -> Parsed<'_> {
    match super::read(bytes, longest) {
        Parsed::Complete(request, length) => {
            assert!(bytes.starts_with(request.head) && request.head.ends_with(b"\r\n\r\n"));
            Parsed::Complete(Request { head: b"", ..request }, length)
        }
        other => other,
    }
}

/// Requests that are taken, with what is read of them.
fn taken() -> Vec<(&'static str, Request<'static>)> {
    vec![
        (
            "POST /17 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
            posted("/17", b"hello", false),
        ),
        ("POST / HTTP/1.1\r\n\r\n", posted("/", b"", false)),
        ("POST /1?a=/b?c HTTP/1.1\r\nContent-Length:0\r\n\r\n", posted("/1?a=/b?c", b"", false)),
        ("POST http://127.1.0.1:80/1?a HTTP/1.1\r\n\r\n", posted("/1?a", b"", false)),
        ("POST http://127.1.0.1 HTTP/1.1\r\n\r\n", posted("/", b"", false)),
        ("POST http://127.1.0.1?to=/1 HTTP/1.1\r\n\r\n", posted("/?to=/1", b"", false)),
        ("POST /1?to=http://a/b HTTP/1.1\r\n\r\n", posted("/1?to=http://a/b", b"", false)),
        ("POST /1#a?b HTTP/1.1\r\n\r\n", posted("/1#a?b", b"", false)),
        ("\r\nPOST /1 HTTP/1.1\r\n\r\n", posted("/1", b"", false)),
        ("POST /1 HTTP/1.0\r\ncontent-length: 2\r\n\r\nab", posted("/1", b"ab", true)),
        ("POST /1 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", posted("/1", b"", false)),
        ("POST /1 HTTP/1.1\r\nConnection: x, Close\r\n\r\n", posted("/1", b"", true)),
        (
            "POST /1 HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
            posted("/1", b"a", false),
        ),
        (
            "POST /1 HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nab",
            posted("/1", b"ab", false),
        ),
        (
            "POST /1 HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\nB;x=y\r\ncdefghijklm\r\n0\r\n\r\n",
            posted("/1", b"abcdefghijklm", false),
        ),
        (
            "POST /1 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n01\r\na\r\n000\r\nx-sum: 1\r\ny: 2\r\n\r\n",
            posted("/1", b"a", false),
        ),
        (
            "POST /1 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            posted("/1", b"", false),
        ),
    ]
}

#[test]
fn a_request_is_taken_once_it_is_whole_and_not_a_byte_sooner() {
    for (text, wanted) in taken() {
        for cut in 0..text.len() {
            let part = read(&text.as_bytes()[..cut], LONGEST);
            assert!(matches!(part, Parsed::Incomplete { .. }), "{text:?} up to {cut}: {part:?}");
        }
        assert_eq!(
            read(text.as_bytes(), LONGEST),
            Parsed::Complete(wanted, text.len()),
            "{text:?}"
        );
    }
}

#[test]
fn what_comes_behind_a_request_is_left_for_the_next() {
    for (text, wanted) in taken() {
        for next in ["P", "\0\0", "POST /2 HTTP/1.1\r\n\r\n"] {
            let both = format!("{text}{next}");
            let received = read(both.as_bytes(), LONGEST);
            assert_eq!(received, Parsed::Complete(wanted.clone(), text.len()), "{both:?}");
        }
    }
}

#[test]
fn one_who_waits_to_be_told_to_go_on_is_known_by_its_head_alone() {
    let expects_continue = |text: &str| {
        read(text.as_bytes(), LONGEST) == Parsed::Incomplete { expects_continue: true }
    };
    let head = "POST /1 HTTP/1.1\r\nexpect: 100-Continue\r\ncontent-length: 2\r\n";
    assert!(!expects_continue(head));
    assert!(expects_continue(&format!("{head}\r\n")));
    assert!(!expects_continue(&format!("{head}\r\na")), "it has not waited");
    assert!(expects_continue(
        "POST /1 HTTP/1.1\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n"
    ));
    assert!(!expects_continue("POST /1 HTTP/1.1\r\ncontent-length: 2\r\n\r\n"));
    // HTTP/1.0 knows no such answer.
    assert!(!expects_continue(
        "POST /1 HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    ));
}

#[test]
fn what_cannot_be_read_is_refused() {
    let field = |field: &str| format!("POST /1 HTTP/1.1\r\n{field}\r\n\r\n");
    let chunks = |chunks: &str| field("transfer-encoding: chunked") + chunks;
    let long = "x".repeat(LONGEST_HEAD);
    for (text, status) in [
        ("\0".to_owned(), 400),
        ("GARBAGE\r\n\r\n".to_owned(), 400),
        ("POST /1 HTTP/2.0\r\n\r\n".to_owned(), 505),
        ("POST /a b HTTP/1.1\r\n\r\n".to_owned(), 505),
        (field("no colon"), 400),
        (field("content-length: -1"), 400),
        (field("content-length: +1"), 400),
        (field("content-length: "), 400),
        (field("content-length: 1, 1"), 400),
        (field("content-length: 1\r\ncontent-length: 2"), 400),
        (field("content-length: 99999999999999999999"), 400),
        (field("content-length: 1\r\ntransfer-encoding: chunked"), 400),
        (field("transfer-encoding: gzip, chunked"), 501),
        (field("transfer-encoding: chunked\r\ntransfer-encoding: chunked"), 501),
        ("POST /1 HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(), 400),
        (field(&format!("content-length: {}", LONGEST + 1)), 413),
        (field(&format!("expect: 100-continue\r\ncontent-length: {}", LONGEST + 1)), 413),
        (field("a: b\r\n".repeat(MOST_FIELDS + 1).trim_end()), 431),
        (field(&format!("a: {long}")), 431),
        (format!("POST /{long}"), 431),
        (chunks("x\r\n"), 400),
        (chunks("1\r\nab\r\n"), 400),
        (chunks("fffffffffffffffff\r\n"), 413),
        (chunks(&format!("1;{}", "x".repeat(MAX_CHUNK_OVERHEAD + 1))), 413),
        (chunks("41\r\n"), 413),
        (
            chunks(
                "40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n1\r\n",
            ),
            413,
        ),
        (chunks(&format!("0\r\na: {long}")), 431),
        (chunks("0\r\nno colon\r\n\r\n"), 400),
    ] {
        let wanted = Parsed::Refused(StatusCode::from_u16(status).unwrap());
        assert_eq!(read(text.as_bytes(), LONGEST), wanted, "{:?}", &text[..text.len().min(200)]);
    }
}

#[test]
fn a_long_extension_is_taken_wherever_it_is_cut() {
    let head = "POST /1 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let text = format!("{head}1;{}\r\na\r\n0\r\n\r\n", "x".repeat(2_000));
    for cut in [head.len() + 1_500, text.len() - 1] {
        assert_eq!(
            read(&text.as_bytes()[..cut], LONGEST),
            Parsed::Incomplete { expects_continue: false }
        );
    }
    let wanted = posted("/1", b"a", false);
    assert_eq!(read(text.as_bytes(), LONGEST), Parsed::Complete(wanted, text.len()));
}

#[test]
fn tiny_chunks_with_long_extensions_do_not_take_the_memory() {
    let mut text = "POST /1 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    for _ in 0..LONGEST {
        text.push_str(&format!("1;{}\r\na\r\n", "x".repeat(900)));
    }
    assert_eq!(read(text.as_bytes(), LONGEST), Parsed::Refused(StatusCode::PAYLOAD_TOO_LARGE));
}

proptest! {
    /// Whatever comes, it never panics, and never takes more than has come.
    #[test]
    fn anything_may_come(bytes in proptest::collection::vec(any::<u8>(), 0..200), nth in 0usize..15) {
        for bytes in [bytes.clone(), [taken()[nth].0.as_bytes(), &bytes].concat()] {
            if let Parsed::Complete(_, length) = read(&bytes, LONGEST) {
                prop_assert!(length <= bytes.len());
            }
        }
    }

    /// A body comes out as it went in, however it was cut into chunks.
    #[test]
    fn chunks_are_put_together(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..9), 0..7),
    ) {
        let mut text = b"POST /1 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for chunk in &chunks {
            text.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        }
        text.extend(b"0\r\n\r\n");
        let body = chunks.concat();
        prop_assert_eq!(read(&text, LONGEST), Parsed::Complete(posted("/1", &body, false), text.len()));
    }
}

#[test]
fn percent_signs_are_undone_where_they_are_escapes() {
    for (value, requested) in [
        ("00ff", "00ff"),
        ("a%20b%2Fc", "a b/c"),
        ("%C3%bc", "ü"),
        ("100%", "100%"),
        ("%4", "%4"),
        ("%+1%zz", "%+1%zz"),
        ("", ""),
    ] {
        assert_eq!(unescaped(value), requested);
    }
}

#[test]
fn a_challenge_is_a_parameter_of_a_get() {
    for (target, challenge) in [
        ("/1?challenge=a", Some("a")),
        ("/1?hub.mode=subscribe&hub.challenge=a%2Bb+c%3D&hub.topic=t", Some("a+b c=")),
        ("http://127.1.0.1/1?challenge=", Some("")),
        ("/1?challenge=a&challenge=b#challenge=c", Some("a")),
        ("/1?unchallenge=a&challenge", None),
        ("/1#?challenge=a", None),
        ("/challenge=a", None),
        ("/1", None),
    ] {
        for method in ["GET", "POST"] {
            let text = format!("{method} {target} HTTP/1.1\r\n\r\n");
            let Parsed::Complete(request, _) = read(text.as_bytes(), LONGEST) else {
                panic!("{text}");
            };
            let wanted = challenge.filter(|_| method == "GET");
            assert_eq!(request.challenge().as_deref(), wanted, "{text}");
        }
    }
}
