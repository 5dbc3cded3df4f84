//! A scenario file, and a key set on the command line: what is refused is refused with its place, and what
//! is taken survives being stored.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbench_core::scenario::{Override, Scenario, Source, read};
use pushbench_fuzz::{ROOM, bounded};

const FILE: &str = "fuzz.toml";
const OPTION: &str = "--set";

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // What follows a NUL is set on the command line.
    let (text, set) = text.split_once('\0').unwrap_or((text, ""));
    let set: Vec<Override> = set
        .split_once('=')
        .into_iter()
        .map(|(key, value)| {
            let [key, value, origin] = [key, value, OPTION].map(str::to_owned);
            Override { key, value, origin }
        })
        .collect();
    let [name, file, text] = [FILE, FILE, text].map(str::to_owned);
    let source = Source { name, file, text, folder: ".".into() };
    match bounded(input, ROOM, || read(source, &set, &|_| Err("no file".to_owned()))) {
        Ok(question) => {
            assert!((1..=100).contains(&question.points.len()));
            for point in question.points {
                let stored = serde_json::to_string(&point.scenario).expect("JSON");
                let read: Scenario = serde_json::from_str(&stored).expect("our own JSON");
                assert_eq!(read, point.scenario);
            }
        }
        Err(e) => {
            let message = e.to_string();
            assert!(message.starts_with(FILE) || message.starts_with(OPTION), "{message}");
        }
    }
});
