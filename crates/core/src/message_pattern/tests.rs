use super::*;
use proptest::prelude::*;
use serde_json::json;

const ID: &str = "00000000000000ff";

fn pattern(text: &str) -> MessagePattern {
    MessagePattern::parse(text).unwrap()
}

/// The event that a message names: none where it does not fit or has no id.
fn named(text: &str, message: &str) -> Option<Option<u64>> {
    pattern(text).fit(message.as_bytes()).map(|fit| fit.index)
}

#[test]
fn protocols_above_websocket_can_be_described() {
    let id = Some(Some(255));
    for (text, message, fits) in [
        (r#"431[{"id":"{id}"}]"#, r#"431[{"id":"00000000000000ff"}]"#, id),
        (r#"431[{"id":"{id}"}]"#, r#"431[ {"a": [1, {}], "id": "00000000000000ff"}, 2]"#, id),
        (r#"431[{"id":"{id}"}]"#, r#"430[{"id":"00000000000000ff"}]"#, None),
        (r#"431[{"id":"{id}"}]"#, r#"431[{"id":"ff"}]"#, None),
        (r#"431[{"id":"{id}"}]"#, r#"431[]"#, None),
        (r#"431[{"id":"{id}"}]"#, r#"431[{"id":"00000000000000ff"}]x"#, None),
        ("0{}", r#"0{"sid":"x"}"#, Some(None)),
        ("0{}", "0[]", None),
        ("2", "2", Some(None)),
        ("2", "21", None),
        (
            r#"{"type":"next","id":"{id}"}"#,
            r#"{"id":"00000000000000ff","type":"next","payload":{"a":null}}"#,
            id,
        ),
        (r#"{"type":"next","id":"{id}"}"#, r#"{"id":"00000000000000ff","type":"complete"}"#, None),
        (r#"{"type":"next","id":"{id}"}"#, r#"["next"]"#, None),
        (
            "RECEIPT\n{any}receipt-id:{id}\n{any}",
            "RECEIPT\nx:y\nreceipt-id:00000000000000ff\n\n\0",
            id,
        ),
        ("RECEIPT\n{any}receipt-id:{id}\n{any}", "RECEIPT\nreceipt-id:00000000000000ff\n\n\0", id),
        ("RECEIPT\n{any}receipt-id:{id}\n{any}", "ERROR\nreceipt-id:00000000000000ff\n\n\0", None),
        (
            r#"["{any}","{id}","events","phx_reply",{"status":"ok"}]"#,
            r#"[null,"00000000000000ff","events","phx_reply",{"status":"ok","response":{}}]"#,
            id,
        ),
        (
            r#"["{any}","{id}","events","phx_reply",{"status":"ok"}]"#,
            r#"["1","00000000000000ff","events","phx_reply",{"status":"error"}]"#,
            None,
        ),
        // A text of JSON may hold JSON itself.
        (
            r#"{"data":"{\"id\":\"{id}\"{any}"}"#,
            r#"{"data":"{\"id\":\"00000000000000ff\",\"a\":1}"}"#,
            id,
        ),
        (
            r#"{"a":1,"b":null,"c":true,"d":-1.5}"#,
            r#"{"d":-1.5,"c":true,"b":null,"a":1}"#,
            Some(None),
        ),
        (r#"{"a":1}"#, r#"{"a":2}"#, None),
        ("{id}", ID, id),
        ("{any}", "", Some(None)),
        ("ok {any}!", "ok !", Some(None)),
        ("aXb{any}Xb", "aXb", None),
    ] {
        assert_eq!(named(text, message), fits, "{text} {message}");
    }
}

#[test]
fn an_id_that_stands_twice_is_the_same_one() {
    assert_eq!(named("{id}/{id}", &format!("{ID}/{ID}")), Some(Some(255)));
    assert_eq!(named("{id}/{id}", &format!("{ID}/{:016x}", 1)), None);
}

#[test]
fn values_are_captured() {
    let capture = |text: &str, message: &str| {
        let mut captured = Captured::new();
        pattern(text).capture(message.as_bytes(), &mut captured).map(|_| captured)
    };
    let one = |name: &str, value: &str| Some(vec![(name.to_owned(), value.to_owned())]);
    assert_eq!(
        capture(r#"{"access":{"token":"{token}"}}"#, r#"{"access":{"token":"a\"b"}}"#),
        one("token", "a\"b")
    );
    assert_eq!(capture(r#"{"n":"{n}"}"#, r#"{"n":17}"#), one("n", "17"));
    assert_eq!(capture("token={token};{any}", "token=abc;path=/;x"), one("token", "abc"));
    assert_eq!(capture("token={token};{any}", "token=abc"), None);
    assert_eq!(capture(r#"{"token":"{token}"}"#, r#"{"token":{"value":"x"}}"#), None);
    let mut known = vec![("random".to_owned(), "abc".to_owned())];
    assert_eq!(pattern("{random}").capture(b"abd", &mut known), None);
    assert!(pattern("{random}").capture(b"abc", &mut known).is_some());
    assert_eq!(pattern("{a}-{id}-{any}").captures().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_message_that_does_not_fit_says_why() {
    let difference = |text: &str, message: &str| pattern(text).difference(message.as_bytes());
    let next = r#"{"type":"next","id":"{id}","payload":{"a":[{}]}}"#;
    for (message, why) in [
        (r#"{"type":"error","id":"00000000000000ff","payload":{"a":[{}]}}"#, "/type is \"error\""),
        (r#"{"type":"next","payload":{"a":[{}]}}"#, "it has no /id"),
        (r#"{"type":"next","id":"7","payload":{"a":[{}]}}"#, "/id is \"7\""),
        (r#"{"type":"next","id":"00000000000000ff","payload":{"a":[]}}"#, "it has no /payload/a/0"),
        (r#"{"type":"next","id":"00000000000000ff","payload":7}"#, "/payload is 7"),
        ("[]", "it is a list"),
        (
            r#"{"type":"next","id":"00000000000000ff","id":"0000000000000001","payload":{"a":[{}]}}"#,
            "it has a member twice, with different values",
        ),
        ("hello", "it is not JSON"),
    ] {
        assert_eq!(difference(next, message).as_deref(), Some(why), "{message}");
    }
    assert_eq!(difference("40{}", "44{}").as_deref(), Some("it does not begin with 40"));
    assert_eq!(difference("pong", "x").as_deref(), Some("it does not look like `pong`"));
    assert_eq!(difference("pong", "pong"), None);
}

#[test]
fn what_is_no_pattern_is_refused() {
    for (text, why) in [
        ("", "empty"),
        (r#"{"id":{id}}"#, "not JSON at character 8, before `id}}`"),
        (r#"42["a",]"#, "not JSON at character 8"),
        ("{any}{token}", "directly behind"),
    ] {
        let message = MessagePattern::parse(text).unwrap_err();
        assert!(message.contains(why), "{text}: {message}");
    }
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|n| json!(n)),
        "[a-z \"\\\\]{0,6}".prop_map(|s| json!(s)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|v| json!(v)),
            proptest::collection::hash_map("[a-z]{1,3}", inner, 0..4).prop_map(|m| json!(m)),
        ]
    })
}

/// The same without the streaming parser.
fn contains(wanted: &serde_json::Value, found: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Object};
    match (wanted, found) {
        (Object(w), Object(f)) => w.iter().all(|(k, w)| f.get(k).is_some_and(|f| contains(w, f))),
        (Array(w), Array(f)) => w.len() <= f.len() && w.iter().zip(f).all(|(w, f)| contains(w, f)),
        (w, f) => w == f,
    }
}

proptest! {
    #[test]
    fn structure_is_matched_as_a_naive_search_does(a in value(), b in value()) {
        for wanted in [&a, &json!([a]), &json!({ "a": a })] {
            let Ok(pattern) = MessagePattern::parse(&wanted.to_string()) else { continue };
            for found in [&a, &b, &json!([a, b]), &json!({ "b": b, "a": a }), wanted] {
                let text = found.to_string();
                if matches!(pattern.shape, Shape::Json(..)) {
                    prop_assert_eq!(pattern.fit(text.as_bytes()).is_some(), contains(wanted, found));
                    prop_assert_eq!(pattern.difference(text.as_bytes()).is_none(), contains(wanted, found));
                }
            }
        }
    }

    #[test]
    fn text_is_matched_as_a_regular_expression_does(
        parts in proptest::collection::vec("[ab]{0,2}", 1..4), text in "[ab]{0,8}"
    ) {
        let Ok(pattern) = MessagePattern::parse(&parts.join("{any}")) else { return Ok(()) };
        // Naive: try every split.
        fn fits(parts: &[String], text: &str, first: bool) -> bool {
            let Some((part, rest)) = parts.split_first() else { return first && text.is_empty() };
            (0..=if first { 0 } else { text.len() }).any(|at| {
                text[at..].strip_prefix(part.as_str()).is_some_and(|after| match rest {
                    [] => after.is_empty(),
                    rest => fits(rest, after, false),
                })
            })
        }
        prop_assert_eq!(pattern.fit(text.as_bytes()).is_some(), fits(&parts, &text, true), "{:?}", parts);
    }
}
