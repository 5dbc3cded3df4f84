use super::*;
use crate::scenario::payload::MIN_BYTES;

#[test]
fn events_have_the_asked_length_and_their_own_id() {
    for bytes in [MIN_BYTES, 64, 512, 65_536] {
        let t = Template::new(&Payload::Bytes(bytes));
        for index in [0, 1, 41, u64::MAX] {
            let event = t.render(index);
            assert_eq!(event.len(), bytes);
            let read: Event<'_> = serde_json::from_slice(&event).unwrap();
            assert_eq!(read.id, format!("{index:016x}"));
            let mut appended = b"head".to_vec();
            t.append(index, &mut appended);
            assert_eq!(appended[4..], event[..]);
        }
    }
}

#[test]
fn events_are_wrapped_in_somebodys_own_words() {
    let bare = Template::new(&Payload::Bytes(64));
    let wording = Wording::parse(r#"{"key":"{id}","payload":{event}}"#, &[EVENT, "id"]).unwrap();
    let t = bare.within(&wording);
    for index in [0, 255, u64::MAX] {
        let event = t.render(index);
        let value: serde_json::Value = serde_json::from_slice(&event).unwrap();
        assert_eq!(value["key"], format!("{index:016x}"));
        assert_eq!(value["payload"].to_string().len(), 64);
        assert_eq!(value["payload"]["id"], value["key"]);
        let mut appended = b"head".to_vec();
        t.append(index, &mut appended);
        assert_eq!((&appended[4..], event.len()), (&event[..], t.len()));
    }
}

#[test]
fn events_are_wrapped_as_text() {
    let bare = Template::new(&Payload::Bytes(64));
    let wording =
        Wording::parse(r#"{"data":"{event_text}","id":"{id}"}"#, &[EVENT_TEXT, ID]).unwrap();
    let t = bare.within(&wording);
    for index in [0, 255, u64::MAX] {
        let value: serde_json::Value = serde_json::from_slice(&t.render(index)).unwrap();
        assert_eq!(value["data"].as_str().unwrap().as_bytes(), bare.render(index));
        assert_eq!(value["id"], format!("{index:016x}"));
    }
}

#[test]
fn the_type_is_numbered_in_somebodys_own_words_too() {
    let scenario = crate::scenario::load("filter", &[]).unwrap().points.remove(0).scenario;
    let wording = Wording::parse(r#"{"first":{event},"again":{event}}"#, &[EVENT]).unwrap();
    let template = Template::of(&scenario).within(&wording);
    for (index, kind) in [(0, "event-00"), (3, "event-03"), (41, "event-01")] {
        let value: serde_json::Value = serde_json::from_slice(&template.render(index)).unwrap();
        assert_eq!((&value["first"], &value["first"]["type"]), (&value["again"], &kind.into()));
        assert_eq!(value["first"]["id"], format!("{index:016x}"));
    }
}

#[test]
fn types_take_turns_and_leave_the_length_alone() {
    let scenario = crate::scenario::load("filter", &[]).unwrap().points.remove(0).scenario;
    let template = Template::of(&scenario);
    for (index, kind) in [(0, "event-00"), (3, "event-03"), (4, "event-00"), (41, "event-01")] {
        let event = template.render(index);
        assert_eq!(event.len(), 512);
        let event: Event<'_> = serde_json::from_slice(&event).unwrap();
        assert_eq!((&*event.kind, &*event.id), (kind, &*format!("{index:016x}")));
    }
}

#[test]
fn texts_take_turns_and_stay_in_place_when_they_are_wrapped() {
    let wording = Wording::parse(r#"{"as":"{event_text}","n":"{id}"}"#, &[EVENT_TEXT, ID]).unwrap();
    for (scenario, kind) in [("ingest", "event"), ("filter", "event-02")] {
        for content in [Content::Random, Content::Events, Content::Repeats] {
            let loaded = crate::scenario::load(scenario, &[]).unwrap().points.remove(0).scenario;
            let bare = Template::of(&Scenario { content, ..loaded });
            let wrapped = bare.within(&wording);
            let (one, other) = (bare.render(2), bare.render(6));
            assert_ne!(one[40..], other[40..], "{content:?}");
            for index in [2, 6, bare.count, u64::MAX - 1] {
                let event = wrapped.render(index);
                assert_eq!(event.len(), wrapped.len());
                let value: serde_json::Value = serde_json::from_slice(&event).unwrap();
                assert_eq!(value["as"].as_str().unwrap().as_bytes(), bare.render(index));
                assert_eq!(value["n"], format!("{index:016x}"));
                let mut appended = b"head".to_vec();
                wrapped.append(index, &mut appended);
                assert_eq!(appended[4..], event[..]);
            }
            for event in [one, other] {
                assert_eq!((&*Event::read(&event).unwrap().kind, event.len()), (kind, 512));
            }
        }
    }
}

#[test]
fn an_answer_has_the_asked_length_and_its_questions_id() {
    for bytes in [payload::LEAST_ANSWER, 64, 512, 65_536] {
        let text = answer("00000000000000ff", bytes);
        assert_eq!((text.len(), acknowledged_index(text.as_bytes())), (bytes, Some(255)));
    }
    // The id is whole, however long it is.
    let id = "q".repeat(100);
    let text = answer(&id, 64);
    assert_eq!(acknowledged_id(text.as_bytes()).as_deref(), Some(&*id));
    let _json: serde_json::Value = serde_json::from_str(&text).unwrap();
}

#[test]
fn a_users_event_keeps_its_fields() {
    let json = r#"{"type":"order","data":{"n":1}}"#.to_owned();
    let t = Template::new(&Payload::File { path: "e.json".into(), json });
    let event = t.render(7);
    let value: serde_json::Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(value["id"], "0000000000000007");
    assert_eq!(value["data"]["n"], 1);
}

#[test]
fn only_our_own_acknowledgements_are_read() {
    let ack = acknowledgement("00000000000000ff");
    assert_eq!(acknowledged_index(ack.as_bytes()), Some(255));
    assert_eq!(acknowledged_index(b"{\"id\": \"00000000000000ff\", \"ok\": true}"), Some(255));
    assert_eq!(acknowledged_index(b"{\"id\":\"00000000000000FF\"}"), Some(255));
    assert_eq!(plain_index(&[ack.as_bytes(), b" "].concat()), None);
    for index in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
        let ack = acknowledgement(&format!("{index:016x}"));
        assert_eq!(plain_index(ack.as_bytes()), Some(index));
    }
    for garbage in ["", "ok", "{\"id\":255}", "{\"id\":\"ff\"}", "{\"id\":\"zzzzzzzzzzzzzzzz\"}"] {
        assert_eq!(acknowledged_index(garbage.as_bytes()), None, "{garbage}");
    }
}

#[test]
fn a_list_is_neither_an_acknowledgement_nor_an_event() {
    let list = br#" ["00000000000000ff", "event", {}]"#;
    assert_eq!(acknowledged_index(&list[..]), None);
    assert_eq!(acknowledged_id(&list[..]), None);
    assert!(Event::read(list).is_err());
}

#[test]
fn a_sign_is_no_digit_of_an_id() {
    let signed = b"{\"id\":\"+00000000000000f\"}";
    assert_eq!(acknowledged_index(signed), None);
    assert_eq!(Matched::ByIdAt("/id".into()).index(signed), None);
}

#[test]
fn an_id_is_found_where_the_pointer_leads() {
    let at = |pointer: &str| Matched::ByIdAt(pointer.into());
    let answer = br#"{"id":"no","data":[{"event/id":"00000000000000ff"}],"ok":255}"#;
    assert_eq!(at("/data/0/event~1id").index(answer), Some(255));
    for pointer in ["/id", "/data/1/event~1id", "/data", "/ok", "/nowhere"] {
        assert_eq!(at(pointer).index(answer), None, "{pointer}");
    }
    assert_eq!(at("/data").index(b"ok"), None);
    assert_eq!(Matched::ByOrder.index(acknowledgement("00000000000000ff").as_bytes()), None);
}

#[test]
fn digits_are_read_as_the_standard_library_reads_them() {
    for byte in 0..=u8::MAX {
        for at in 0..ID_DIGITS {
            let mut id = *b"0123456789abcDEF";
            id[at] = byte;
            let digits = id.iter().all(u8::is_ascii_hexdigit);
            let naive =
                digits.then(|| u64::from_str_radix(std::str::from_utf8(&id).unwrap(), 16).unwrap());
            assert_eq!(index_of(&id), naive, "{byte} at {at}");
        }
    }
    for id in ["", "0", "00000000", "000000000000000", "00000000000000000"] {
        assert_eq!(index_of(id.as_bytes()), None, "{id}");
    }
}
