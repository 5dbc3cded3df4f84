//! Signatures: the fields and the event of a message are those of serde's own reading, those of a head are
//! httparse's, nothing that was not signed is verified, and what was read is verified once it is signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbench_fuzz::{ROOM, bounded};
use pushbench_wire::signing::{Fields, ID, SIGNATURE, SigningKey, TIMESTAMP, opened};
use serde_json::Value;
use std::collections::BTreeMap;

/// When the corpus was signed.
const NOW: u64 = 1_700_000_000;

/// What a message holds, by the names of its members; `None` where a value of no meaning to us cannot be held,
/// such as a number without end.
fn members(message: &[u8]) -> Option<BTreeMap<String, Value>> {
    serde_json::from_slice(message).ok()
}

fn check(input: &[u8]) {
    let key = SigningKey::parse("a key that nobody knows").expect("a key");
    let (head, body) = match input.windows(4).position(|w| w == b"\r\n\r\n") {
        Some(at) => input.split_at(at + 4),
        None => (&input[..0], input),
    };
    let in_head = Fields::of_head(head);
    assert!(key.verify_at(NOW, &in_head, body).is_err(), "nobody has signed it");
    let Ok((fields, event)) = opened(body) else { return };
    assert!(key.verify_at(NOW, &fields, event).is_err(), "nobody has signed it");
    let Some(all) = members(body) else { return };
    let text = |name: &str| all.get(name).and_then(Value::as_str);
    assert_eq!((fields.id, fields.signature), (text(ID), text(SIGNATURE)));
    let timestamp = all.get(TIMESTAMP).filter(|v| !v.is_null());
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    assert_eq!(fields.timestamp.and_then(read).as_ref(), timestamp);
    if let Some(inner) = all.get("event").filter(|v| !v.is_null()) {
        assert_eq!(serde_json::from_slice::<Value>(event).ok().as_ref(), Some(inner));
    }
    let id = fields.id.unwrap_or("7");
    if !id.contains(|c: char| c.is_control() || c == '"' || c == '\\') {
        let signed = key.envelope(id, event);
        assert_eq!(key.open(&signed), Ok(event.trim_ascii()), "what we sign is verified");
    }
}

fuzz_target!(|input: &[u8]| bounded(input, ROOM, || check(input)));
