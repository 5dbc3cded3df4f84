//! Who sent an event: a bearer token, a signature, or both, and how often they were refused.

use crate::handler::{Refusal, bad};
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap};
use pushbench_core::transport::Carrier;
use pushbench_host::console;
use pushbench_wire::signing::{Fields, SigningKey, Unverified, constant_time_eq, opened};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a sender must present.
#[derive(Debug)]
pub struct Authentication {
    carrier: Carrier,
    /// What `Authorization` must say.
    bearer: Option<String>,
    key: Option<SigningKey>,
    counts: [AtomicU64; 4],
}

/// What became of an event, and of a request or handshake with a wrong token or none.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Verified,
    Missing,
    Wrong,
    Stale,
}

impl Authentication {
    /// For events that come this way; `token` and `key`: what is demanded.
    pub fn new(carrier: Carrier, token: Option<&str>, key: Option<SigningKey>) -> Authentication {
        let bearer = token.map(|token| format!("Bearer {token}"));
        Authentication { carrier, bearer, key, counts: Default::default() }
    }

    /// What it demands, for the description of the server.
    pub(crate) fn description(&self) -> &'static str {
        match (&self.bearer, &self.key) {
            (Some(_), Some(_)) => "token and signature check",
            (Some(_), None) => "token check",
            (None, _) => "signature check",
        }
    }

    fn count(&self, outcome: Outcome) {
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refusal; the first of each kind is shown.
    #[cold]
    fn refused(&self, outcome: Outcome, why: String) -> Refusal {
        if self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed) == 0 {
            console::error_line(&format!("refused: {why} (shown once; counted)"));
        }
        (StatusCode::UNAUTHORIZED, why)
    }

    /// Checks the token of a webhook request or of a WebSocket handshake.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(bearer) = &self.bearer else { return Ok(()) };
        match headers.get(AUTHORIZATION) {
            Some(value) if constant_time_eq(value.as_bytes(), bearer.as_bytes()) => {
                if self.key.is_none() {
                    self.count(Outcome::Verified);
                }
                Ok(())
            }
            Some(_) => Err(self.refused(Outcome::Wrong, "the token is wrong".to_owned())),
            None => {
                let why = "the token is missing: send Authorization: Bearer TOKEN".to_owned();
                Err(self.refused(Outcome::Missing, why))
            }
        }
    }

    /// The event in a message, once its signature is verified.
    pub(crate) fn signed<'a>(
        &self,
        headers: &HeaderMap,
        message: &'a [u8],
    ) -> Result<&'a [u8], Refusal> {
        let Some(key) = &self.key else { return Ok(message) };
        let verified = match self.carrier {
            Carrier::Webhook => key.verify(&Fields::of_headers(headers), message).map(|()| message),
            Carrier::Websocket | Carrier::Tcp => {
                let (fields, event) =
                    opened(message).map_err(|e| bad(format!("not an event: {e}")))?;
                key.verify(&fields, event).map(|()| event)
            }
        };
        let event = verified.map_err(|why| {
            let outcome = match why {
                Unverified::Missing(_) => Outcome::Missing,
                Unverified::Wrong => Outcome::Wrong,
                Unverified::TooOld(_) | Unverified::InFuture(_) => Outcome::Stale,
            };
            self.refused(outcome, why.to_string())
        })?;
        self.count(Outcome::Verified);
        Ok(event)
    }
}

/// The counts, in one line.
impl fmt::Display for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [verified, missing, wrong, stale] =
            [0, 1, 2, 3].map(|i| self.counts[i].load(Ordering::Relaxed));
        write!(f, "{verified} verified, refused: {missing} missing, {wrong} wrong, {stale} stale")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    const EVENT: &[u8] = br#"{"id":"7","type":"t","data":{}}"#;

    fn key() -> SigningKey {
        SigningKey::parse("a secret").unwrap()
    }

    fn authorization(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))])
    }

    #[test]
    fn tokens_are_checked_and_counted() {
        let checked = Authentication::new(Carrier::Webhook, Some("t0ken"), None);
        assert!(checked.admit(&authorization("Bearer t0ken")).is_ok());
        assert_eq!(checked.signed(&HeaderMap::new(), EVENT), Ok(EVENT), "no signature is demanded");
        for (headers, why) in [
            (HeaderMap::new(), "missing"),
            (authorization("Bearer t0keN"), "wrong"),
            (authorization("t0ken"), "wrong"),
            (authorization("Bearer t0ken "), "wrong"),
        ] {
            let (status, text) = checked.admit(&headers).unwrap_err();
            assert!(status == StatusCode::UNAUTHORIZED && text.contains(why), "{text}");
        }
        assert_eq!(checked.to_string(), "1 verified, refused: 1 missing, 3 wrong, 0 stale");
    }

    #[test]
    fn signatures_are_checked_and_counted_in_headers_and_in_envelopes() {
        let headers_of = |key: &SigningKey| {
            let header = |(name, value): (&'static str, String)| {
                (HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap())
            };
            HeaderMap::from_iter(key.fields("7", EVENT).map(header))
        };
        let other = SigningKey::parse("another secret").unwrap();
        let in_headers = Authentication::new(Carrier::Webhook, None, Some(key()));
        let in_envelope = Authentication::new(Carrier::Websocket, None, Some(key()));
        let none = HeaderMap::new();
        assert_eq!(in_headers.signed(&headers_of(&key()), EVENT), Ok(EVENT));
        assert_eq!(in_envelope.signed(&none, &key().envelope("7", EVENT)), Ok(EVENT));
        for (headers, message, why) in [
            (none.clone(), EVENT.to_vec(), "missing"),
            (headers_of(&other), other.envelope("7", EVENT), "wrong"),
            (headers_of(&key().stale()), key().stale().envelope("7", EVENT), "stale"),
        ] {
            for refused in [in_headers.signed(&headers, EVENT), in_envelope.signed(&none, &message)]
            {
                let (status, text) = refused.unwrap_err();
                assert!(status == StatusCode::UNAUTHORIZED && text.contains(why), "{text}");
            }
        }
        for checked in [in_headers, in_envelope] {
            assert_eq!(checked.to_string(), "1 verified, refused: 1 missing, 1 wrong, 1 stale");
        }
    }
}
