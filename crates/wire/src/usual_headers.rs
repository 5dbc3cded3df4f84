//! The headers that a browser, a gateway or a proxy adds to a request, of so many bytes in all: `payload.headers_bytes`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

/// None of them decides what an answer looks like, who sends or how long the connection is kept.
const SHORT: [(&str, &str); 15] = [
    ("x-forwarded-for", "203.0.113.24, 198.51.100.7"),
    ("x-forwarded-proto", "https"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("x-request-id", "0c5e1b0a-6f5e-4f6e-9a59-3f1c6a7d2b84"),
    ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
    ("via", "1.1 gateway.example"),
    ("x-forwarded-host", "app.example"),
    ("sec-ch-ua", r#""Chromium";v="126", "Not.A/Brand";v="24""#),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", r#""Linux""#),
    ("sec-fetch-site", "same-site"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-dest", "empty"),
    ("referer", "https://app.example/orders/list?page=2"),
    ("priority", "u=1, i"),
];
/// What gateways pass on about who has signed in, and cookies. Those come last: the driver's HTTP/2 library sends a
/// cookie in full with each request, so that a guess of its content cannot be confirmed by its compressed length
/// (RFC 7541, 7.1.3).
const LONG: [(&str, &str); 9] = [
    ("x-auth-request-access-token", "eyJ"),
    ("x-amzn-oidc-data", "eyJ"),
    ("x-amzn-oidc-accesstoken", "eyJ"),
    ("x-id-token", "eyJ"),
    ("x-ms-token-aad-id-token", "eyJ"),
    ("x-goog-iap-jwt-assertion", "eyJ"),
    ("x-forwarded-access-token", "eyJ"),
    ("x-forwarded-client-cert", "Hash="),
    ("cookie", "session="),
];
/// A line of more than 8 KiB is refused by many servers, and a cookie of more than 4 KiB by browsers.
const LONGEST_LINE: usize = 4000;

/// What a line of HTTP/1.1 takes beside name and value.
const AROUND: usize = ": \r\n".len();

/// Adds headers that take `bytes` as lines of HTTP/1.1. Names that are taken stay as they are.
pub(crate) fn add(headers: &mut HeaderMap, bytes: usize) {
    let mut left = bytes;
    for (name, value) in SHORT {
        let line = name.len() + value.len() + AROUND;
        // Half of them: a session or a token is the larger part of most requests.
        if bytes - left + line <= bytes / 2 && !headers.contains_key(name) {
            headers.insert(name, HeaderValue::from_static(value));
            left -= line;
        }
    }
    let mut lines = left.div_ceil(LONGEST_LINE);
    let longest_name = (left / lines.max(1)).saturating_sub(AROUND);
    let is_free = |name: &str| name.len() < longest_name && !headers.contains_key(name);
    let free: Vec<_> = LONG.iter().filter(|(name, _)| is_free(name)).collect();
    for (name, begin) in free.into_iter().take(lines) {
        let value = token(name, begin, (left / lines).saturating_sub(name.len() + AROUND));
        left -= name.len() + value.len() + AROUND;
        lines -= 1;
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// A value of that length, which looks random and is the same in every run.
fn token(name: &str, begin: &str, length: usize) -> String {
    let mut value = begin.to_owned();
    for number in 0_u64.. {
        if value.len() >= length {
            break;
        }
        let digest = Sha256::new().chain_update(name).chain_update(number.to_be_bytes()).finalize();
        URL_SAFE_NO_PAD.encode_string(digest, &mut value);
    }
    value.truncate(length);
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::VIA;
    use pushbench_core::scenario::payload::LEAST_HEADERS_BYTES;

    fn bytes(headers: &HeaderMap) -> usize {
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + AROUND).sum()
    }

    #[test]
    fn they_have_the_asked_length() {
        for asked in [LEAST_HEADERS_BYTES, 17, 100, 500, 2_500, 4_001, 8_191, 12_345, 32 * 1024] {
            let mut headers = HeaderMap::new();
            add(&mut headers, asked);
            assert_eq!(bytes(&headers), asked);
            assert!(headers.values().all(|value| value.len() <= LONGEST_LINE && !value.is_empty()));
        }
        let mut headers = HeaderMap::new();
        add(&mut headers, 0);
        assert!(headers.is_empty());
    }

    #[test]
    fn those_of_a_description_stay() {
        let own = HeaderMap::from_iter([(VIA, HeaderValue::from_static("own"))]);
        let mut headers = own.clone();
        add(&mut headers, 2_500);
        assert_eq!((bytes(&headers) - bytes(&own), &headers[VIA]), (2_500, &own[VIA]));
    }
}
