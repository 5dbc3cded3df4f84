use super::*;
use hyper::header::HeaderValue;
use proptest::prelude::*;
use standardwebhooks::Webhook;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn fields<'a>(id: &'a str, timestamp: &'a str, signature: &'a str) -> Fields<'a> {
    Fields { id: Some(id), timestamp: Some(timestamp), signature: Some(signature) }
}

#[test]
fn the_vectors_of_the_specification_and_of_its_libraries() {
    for (secret, id, timestamp, event, signature) in [
        (
            SECRET,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ] {
        let key = SigningKey::parse(secret).unwrap();
        let text = timestamp.to_string();
        let verify = |now, signature, event: &str| {
            key.verify_at(now, &fields(id, &text, signature), event.as_bytes())
        };
        assert_eq!(verify(timestamp, signature, event), Ok(()));
        let several = format!("v1a,x v2,{signature} v1, {signature}");
        assert_eq!(verify(timestamp, &several, event), Ok(()), "while a key is replaced");
        for (now, expected) in [
            (timestamp + TOLERANCE, Ok(())),
            (timestamp - TOLERANCE, Ok(())),
            (timestamp + TOLERANCE + 1, Err(Unverified::TooOld(TOLERANCE + 1))),
            (timestamp - TOLERANCE - 1, Err(Unverified::InFuture(TOLERANCE + 1))),
        ] {
            assert_eq!(verify(now, signature, event), expected);
        }
        let other_version = signature.replacen("v1", "v2", 1);
        for wrong in ["", "v1,", &signature[..40], &signature[3..], &other_version] {
            assert_eq!(verify(timestamp, wrong, event), Err(Unverified::Wrong), "{wrong}");
        }
        assert_eq!(verify(timestamp, signature, &format!("{event} ")), Err(Unverified::Wrong));
        let other = SigningKey::parse("another secret").unwrap();
        let by_other = other.verify_at(timestamp, &fields(id, &text, signature), event.as_bytes());
        assert_eq!(by_other, Err(Unverified::Wrong));
    }
}

#[test]
fn a_secret_is_base64_behind_its_prefix_and_text_otherwise() {
    let base64 = |bytes: usize| format!("{PREFIX}{}", STANDARD.encode(vec![7; bytes]));
    for good in [&*base64(24), &base64(64), "x", "whsec-AAAA", base64(25).trim_end_matches('=')] {
        assert!(SigningKey::parse(good).is_ok(), "{good}");
    }
    for bad in ["", PREFIX, &*base64(23), &base64(65), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!"] {
        assert!(SigningKey::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_missing_or_stale_is_named() {
    let key = SigningKey::parse(SECRET).unwrap();
    let signed = key.fields("7", b"{}");
    let all: Fields<'_> = fields(&signed[0].1, &signed[1].1, &signed[2].1);
    assert_eq!(key.verify(&all, b"{}"), Ok(()));
    for (without, name) in [
        (Fields { id: None, ..all }, ID),
        (Fields { timestamp: None, ..all }, TIMESTAMP),
        (Fields { signature: None, ..all }, SIGNATURE),
    ] {
        assert_eq!(key.verify(&without, b"{}"), Err(Unverified::Missing(name)));
    }
    let stale = key.stale().fields("7", b"{}");
    let stale = key.verify(&fields(&stale[0].1, &stale[1].1, &stale[2].1), b"{}");
    assert!(matches!(stale, Err(Unverified::TooOld(_))), "{stale:?}");
    for timestamp in ["", "+7", "seven", "7.0", "99999999999999999999999"] {
        let wrong = Fields { timestamp: Some(timestamp), ..all };
        assert_eq!(key.verify(&wrong, b"{}"), Err(Unverified::Wrong), "{timestamp}");
    }
}

#[test]
fn a_message_without_an_envelope_is_an_event_without_fields() {
    let event = br#"{"id":"7","type":"t","data":{}}"#;
    assert_eq!(opened(event).unwrap(), (Fields::default(), &event[..]));
    for bad in [&b""[..], b"7", br#"["7",7,"v1,",{}]"#, br#"{"webhook-id":7}"#, br#"{"event":{}"#] {
        assert!(opened(bad).is_err(), "{}", String::from_utf8_lossy(bad));
    }
    let key = SigningKey::parse(SECRET).unwrap();
    assert_eq!(key.open(&key.envelope("7", b" {\"a\": 1}\r\n")), Ok(&b"{\"a\": 1}"[..]));
    let (fields, event) =
        opened(br#" {"event": {"a" :1} , "webhook-timestamp":12,"x":0} "#).unwrap();
    assert_eq!((fields.timestamp, event), (Some("12"), &br#"{"a" :1}"#[..]));
}

proptest! {
    /// `standardwebhooks` takes what we sign, and we take what it signs, for the same event and no other one.
    #[test]
    fn the_referee_agrees_both_ways(
        key in proptest::collection::vec(any::<u8>(), 24..=64),
        index in any::<u64>(),
        event in "\\{[ -~é]{0,80}\\}",
        changed in any::<prop::sample::Index>(),
    ) {
        let ours = SigningKey::parse(&format!("{PREFIX}{}", STANDARD.encode(&key))).unwrap();
        let referee = Webhook::from_bytes(key).unwrap();
        let mut request = HEADERS.around(&event).into_bytes();
        ours.sign(&HEADERS, index, &mut request);
        let (head, body) = request.split_at(HEADERS.length());
        let ours_signed = Fields::of_head(head);
        let headers = |fields: &Fields<'_>| {
            let pairs = [(ID, fields.id), (TIMESTAMP, fields.timestamp), (SIGNATURE, fields.signature)];
            let pairs = pairs.map(|(name, value)| {
                (hyper::header::HeaderName::from_static(name), HeaderValue::from_str(value.unwrap()).unwrap())
            });
            HeaderMap::from_iter(pairs)
        };
        prop_assert_eq!(body, event.as_bytes());
        let map = headers(&ours_signed);
        prop_assert_eq!(Fields::of_headers(&map), ours_signed);
        prop_assert!(referee.verify(body, &map).is_ok());
        let mut other = body.to_vec();
        let at = changed.index(other.len());
        other[at] ^= 1;
        prop_assert!(referee.verify(&other, &map).is_err());
        prop_assert_eq!(ours.verify(&ours_signed, &other), Err(Unverified::Wrong));

        let timestamp = seconds().to_string();
        let theirs = referee.sign("any id", timestamp.parse().unwrap(), event.as_bytes()).unwrap();
        prop_assert_eq!(ours.verify(&fields("any id", &timestamp, &theirs), event.as_bytes()), Ok(()));

        // The same event in an envelope is the same bytes, if it is JSON.
        let event = serde_json::json!({ "text": event }).to_string();
        let mut message = ENVELOPE.around(&event).into_bytes();
        ours.sign(&ENVELOPE, index, &mut message);
        let (enveloped, inner) = opened(&message).unwrap();
        prop_assert_eq!(inner, event.as_bytes());
        prop_assert!(referee.verify(inner, &headers(&enveloped)).is_ok());
        prop_assert_eq!(ours.verify(&enveloped, inner), Ok(()));
        let id = format!("{index:016x}");
        let same = ours.envelope(&id, event.as_bytes());
        prop_assert_eq!(ours.open(&same), Ok(event.as_bytes()));
        prop_assert_eq!(same.len(), message.len());
    }
}
