//! What a target answers to an event: the id that is found is the one that stands there, where it is
//! said to stand it is found, and what is shown of an answer steers no terminal.
#![no_main]

use hyper::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use pushbench_core::event::{
    Matched, acknowledged_id, acknowledged_index, acknowledgement, answer,
};
use pushbench_core::message_pattern::MessagePattern;
use pushbench_fuzz::{ROOM, bounded};
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::response_diagnostics::Response;
use pushbench_wire::{response_body, response_diagnostics};
use serde_json::Value;

/// What answers may look like.
const PATTERNS: [&str; 6] = [
    r#"{"id":"{id}"}"#,
    r#"431[{"id":"{id}"}]"#,
    r#"{"data":[{"a":"{any}","id":"x{id}{any}"}],"n":1,"b":null}"#,
    "RECEIPT\n{any}receipt-id:{id}\n{any}",
    "{any}{id}",
    "{id}{any}a{any}b",
];

fn id_of(index: u64) -> String {
    format!("{index:016x}")
}

/// An index is found only where its sixteen digits stand.
fn check_found(index: Option<u64>, id: &Value) {
    if let (Some(index), Some(id)) = (index, id.as_str()) {
        assert!(id.eq_ignore_ascii_case(&id_of(index)), "{id:?} is not {index:x}");
    }
}

fn check_shown(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?} steers");
    assert!(text.len() < 1024, "{text:?} is long");
}

fuzz_target!(|input: &[u8]| {
    let Some((status, bytes)) = input.split_first_chunk() else { return };
    let request_options = RequestOptions::default();
    let index = bounded(bytes, ROOM, || acknowledged_index(bytes));
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        check_found(index, &value["id"]);
        for pointer in ["", "/id", "/0", "/data/0/id"] {
            let found = Matched::ByIdAt(pointer.into()).index(bytes);
            check_found(found, value.pointer(pointer).unwrap_or(&Value::Null));
        }
        if let Some(index) = index {
            assert_eq!(value["id"].as_str(), acknowledged_id(bytes).as_deref());
            let again = [acknowledgement(&id_of(index)), answer(&id_of(index), bytes.len())];
            assert!(again.iter().all(|text| acknowledged_index(text.as_bytes()) == Some(index)));
        }
    }
    for index in [0, 255, index.unwrap_or(1)] {
        if let Some(pointer) = bounded(bytes, ROOM, || response_body::pointer_in(bytes, index)) {
            let found = Matched::ByIdAt(pointer.as_str().into()).index(bytes);
            assert_eq!(found, Some(index), "it is at {pointer:?}");
        }
    }
    for written in PATTERNS {
        let pattern = MessagePattern::parse(written).expect("a pattern");
        let fit = bounded(bytes, ROOM, || pattern.fit(bytes));
        assert_eq!(fit.is_none(), pattern.difference(bytes).is_some(), "{written}");
        if let Some(index) = fit.and_then(|fit| fit.index) {
            let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
            assert!(text.contains(&id_of(index)) || text.contains('\\'), "{index:x}");
        }
    }
    check_shown(&response_body::shown(bytes, &request_options));
    check_shown(&response_diagnostics::instead(bytes, &request_options));
    if let Ok(status) = StatusCode::from_u16(u16::from_le_bytes(*status) % 600) {
        let response = Response { status, headers: &HeaderMap::new(), body: bytes };
        check_shown(&response_diagnostics::to_event(&response, &request_options, 255));
        check_shown(&response_diagnostics::to_handshake(&response, &request_options));
    }
});
