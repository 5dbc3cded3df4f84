//! What the response to a batch of events says about each of them: a JSON array with an entry for each event, in any
//! order, `{"id":"…"}` or `{"id":"…","error":"…"}`.

use pushbench_core::event::{Answered, Matched, elements};
use serde_json::Value;

/// What an entry says.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The event at this position of the batch is acknowledged, perhaps before one that was sent before it.
    Acknowledged {
        /// Its position.
        at: usize,
        /// An event before it had no entry yet.
        overtook: bool,
    },
    /// The event at this position is refused.
    Refused {
        /// Its position.
        at: usize,
        /// As the target says it.
        why: &'a str,
    },
    /// It names an event that has had its entry, one of another request, or none.
    Stray(Option<u64>),
}

/// The positions of a batch that have had their entry. Its memory is used again for the next one.
#[derive(Debug, Default)]
pub struct Positions {
    events: Vec<(u64, bool)>,
}

impl Positions {
    /// Reads the body of a response to a batch of these events. The error is that of a body that is no JSON array, of
    /// which no entry was read.
    pub fn read(
        &mut self,
        body: &[u8],
        matched: &Matched,
        indices: impl Iterator<Item = u64>,
        mut each: impl FnMut(Entry<'_>),
    ) -> serde_json::Result<()> {
        self.events.clear();
        self.events.extend(indices.map(|index| (index, false)));
        // The first event without an entry.
        let mut next = 0;
        for entry in elements(body)? {
            let index = match matched.answered(entry.get().as_bytes()) {
                Answered::Event(index) => Some(index),
                Answered::Oldest | Answered::Nothing => None,
            };
            let named = |event: &(u64, bool)| Some(event.0) == index && !event.1;
            // Most responses have the entries in the order of the events.
            let at = match self.events.get(next) {
                Some(event) if named(event) => Some(next),
                _ => self.events.iter().position(named),
            };
            let Some(at) = at else {
                each(Entry::Stray(index));
                continue;
            };
            self.events[at].1 = true;
            match error(entry.get()) {
                None => each(Entry::Acknowledged { at, overtook: at > next }),
                Some(why) => each(Entry::Refused { at, why: &why }),
            }
            while self.events.get(next).is_some_and(|event| event.1) {
                next += 1;
            }
        }
        Ok(())
    }
}

/// Why an event is refused. Most entries have no such word.
fn error(entry: &str) -> Option<String> {
    if !entry.contains("\"error\"") {
        return None;
    }
    match serde_json::from_str::<Value>(entry).ok()?.get_mut("error")?.take() {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a batch of the events 10, 11 and 12.
    fn read(body: &str, matched: &Matched) -> Option<Vec<String>> {
        let mut seen = Vec::new();
        let each = |entry: Entry<'_>| {
            seen.push(match entry {
                Entry::Acknowledged { at, overtook } => {
                    format!("{at}{}", if overtook { " early" } else { "" })
                }
                Entry::Refused { at, why } => format!("{at} refused: {why}"),
                Entry::Stray(index) => format!("stray {index:?}"),
            });
        };
        Positions::default().read(body.as_bytes(), matched, 10..13, each).ok()?;
        Some(seen)
    }

    fn body(ids: &[u64]) -> String {
        let entries: Vec<String> =
            ids.iter().map(|id| format!(r#"{{"id":"{id:016x}"}}"#)).collect();
        format!("[{}]", entries.join(", "))
    }

    #[test]
    fn each_entry_finds_its_event() {
        let by_id = |body: &str| read(body, &Matched::ById).unwrap();
        assert_eq!(by_id(&body(&[10, 11, 12])), ["0", "1", "2"]);
        assert_eq!(by_id(&body(&[11, 10, 12])), ["1 early", "0", "2"]);
        assert_eq!(by_id(&body(&[12])), ["2 early"]);
        assert_eq!(by_id(&body(&[10, 10, 7])), ["0", "stray Some(10)", "stray Some(7)"]);
        assert_eq!(by_id("[]"), [""; 0]);
        assert_eq!(by_id(" [1, null, [], {\"id\": 10}] "), ["stray None"; 4]);
        let refused = body(&[10, 11]).replace("\"}]", "\", \"error\": \"full \\\"error\\\"\"}]");
        assert_eq!(by_id(&refused), ["0", "1 refused: full \"error\""]);
        let no_error = body(&[10]).replace('}', ", \"error\": null}");
        assert_eq!(by_id(&no_error), ["0"]);
        let deep = body(&[10])
            .replace("{\"id\"", "{\"event\": {\"key\"")
            .replace('}', "}, \"error\": {\"code\": 5}}");
        assert_eq!(
            read(&deep, &Matched::ByIdAt("/event/key".into())).unwrap(),
            ["0 refused: {\"code\":5}"]
        );
    }

    #[test]
    fn what_is_no_array_has_no_entry() {
        for bad in
            ["", "ok", "{}", r#"{"id":"000000000000000a"}"#, "[", &body(&[10, 11])[..40], "[] x"]
        {
            assert_eq!(read(bad, &Matched::ById), None, "{bad}");
        }
    }
}
