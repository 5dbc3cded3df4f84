//! Bytes behind an answer that no request asked for: further responses.

use crate::ledger::Ledger;
use pushbench_core::event::Matched;

const HEAD_END: &[u8] = b"\r\n\r\n";

/// Counts the responses in what was left on a connection; bytes that are no response count as one.
pub(super) fn count(mut left: &[u8], matched: &Matched, ledger: &Ledger) {
    while !left.is_empty() {
        let (body, rest) = response(left).unwrap_or((left, &[]));
        ledger.stray(matched.index(body));
        left = rest;
    }
}

/// The body of the first response and what follows it; `None` when the bytes are no whole response.
fn response(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if !bytes.starts_with(b"HTTP/1.") {
        return None;
    }
    let head = bytes.windows(HEAD_END.len()).position(|w| w == HEAD_END)?;
    let (head, rest) = bytes.split_at(head + HEAD_END.len());
    let length = std::str::from_utf8(head).ok()?.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    rest.split_at_checked(length.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_taken_apart() {
        let two = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 204 No\r\n\r\nrest";
        let (body, rest) = response(two).unwrap();
        assert_eq!(body, b"ok");
        assert_eq!(response(rest).unwrap(), (&b""[..], &b"rest"[..]));
        for bad in ["rest", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
        {
            assert_eq!(response(bad.as_bytes()), None, "{bad}");
        }
    }
}
