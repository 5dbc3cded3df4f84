//! What a target answers to a batch: each entry is that of one event, an event has one entry at most, and the entries
//! are the elements of the array.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbench_core::event::Matched;
use pushbench_fuzz::{ROOM, bounded};
use pushbench_wire::webhook::batch::{Entry, Positions};
use serde_json::Value;

/// Events of the batch, which the corpus names.
const EVENTS: u64 = 4;

fuzz_target!(|body: &[u8]| {
    let array = serde_json::from_slice::<Vec<Value>>(body);
    for (matched, pointer) in
        [(Matched::ById, "/id"), (Matched::ByIdAt("/data/0/key".into()), "/data/0/key")]
    {
        let mut answered = [false; EVENTS as usize];
        let mut entries = 0;
        let each = |entry: Entry<'_>| {
            entries += 1;
            match entry {
                Entry::Acknowledged { at, overtook } => {
                    assert!(!std::mem::replace(&mut answered[at], true), "twice");
                    assert_eq!(overtook, answered[..at].contains(&false));
                }
                Entry::Refused { at, .. } => {
                    assert!(!std::mem::replace(&mut answered[at], true), "twice");
                }
                Entry::Stray(_) => {}
            }
        };
        let mut positions = Positions::default();
        let read = bounded(body, ROOM, || positions.read(body, &matched, 0..EVENTS, each));
        // Numbers and nesting that a value cannot hold are no matter to whoever does not look at them.
        let Ok(array) = &array else { continue };
        assert!(read.is_ok(), "{read:?}");
        assert_eq!(entries, array.len());
        for (at, answered) in answered.iter().enumerate() {
            let id = format!("{at:016x}");
            let names = |entry: &Value| entry.pointer(pointer).is_some_and(|found| found == &*id);
            // A name that stands twice in an object names nothing.
            assert!(!answered || array.iter().any(names), "event {at}");
        }
    }
});
