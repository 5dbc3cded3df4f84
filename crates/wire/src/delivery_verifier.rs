//! Who the deliveries of a publisher come from, as its subscribers know it.

use crate::signing;
use crate::signing::{Fields, SigningKey};
use hyper::header::AUTHORIZATION;

/// How subscribers know who sent a delivery.
#[derive(Debug, Clone, Default)]
pub struct DeliveryVerifier {
    /// What `Authorization` says in a webhook's delivery.
    pub bearer: Option<String>,
    /// The key of its signatures.
    pub signing: Option<SigningKey>,
}

impl DeliveryVerifier {
    /// Whether a webhook's delivery with this head comes from it; else why not.
    #[inline]
    pub fn check(&self, head: &[u8], event: &[u8]) -> Result<(), String> {
        match (&self.bearer, &self.signing) {
            (None, None) => Ok(()),
            _ => self.check_head(head, event),
        }
    }

    fn check_head(&self, head: &[u8], event: &[u8]) -> Result<(), String> {
        if let Some(bearer) = &self.bearer {
            match signing::field(head, AUTHORIZATION.as_str()) {
                Some(given) if signing::constant_time_eq(given.as_bytes(), bearer.as_bytes()) => {}
                Some(_) => return Err("the token is wrong".to_owned()),
                None => return Err("the token is missing".to_owned()),
            }
        }
        let Some(key) = &self.signing else { return Ok(()) };
        key.verify(&Fields::of_head(head), event).map_err(|why| why.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_of_another_sender_is_refused() {
        let key = |secret| SigningKey::parse(secret).unwrap();
        let head = |fields: &[(&str, String)]| {
            let line = |(name, value): &(&str, String)| format!("{name}: {value}\r\n");
            let lines: String = fields.iter().map(line).collect();
            format!("POST /1 HTTP/1.1\r\n{lines}\r\n").into_bytes()
        };
        let token = |token: &str| ("Authorization", format!("Bearer {token}"));
        let signed = |secret| key(secret).fields("7", b"{}").to_vec();
        let sender = DeliveryVerifier {
            bearer: Some("Bearer a-token".to_owned()),
            signing: Some(key("a secret")),
        };
        let both = |secret, given| [signed(secret), vec![token(given)]].concat();
        assert_eq!(sender.check(&head(&both("a secret", "a-token")), b"{}"), Ok(()));
        for (fields, event, why) in [
            (both("another", "a-token"), b"{}", "signature is wrong"),
            (both("a secret", "a-token"), b"[]", "signature is wrong"),
            (vec![token("a-token")], b"{}", "signature is missing"),
            (both("a secret", "another"), b"{}", "token is wrong"),
            (signed("a secret"), b"{}", "token is missing"),
        ] {
            let refused = sender.check(&head(&fields), event).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(DeliveryVerifier::default().check(&head(&[]), b"{}"), Ok(()));
    }
}
