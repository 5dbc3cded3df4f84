//! The last events of a publisher, for subscribers that resume.

use std::collections::vec_deque::Iter;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A bounded log of published events. A subscriber resumes after the last id that it has acknowledged.
#[derive(Debug, Clone)]
pub struct ReplayLog<E> {
    capacity: usize,
    ids: VecDeque<Arc<str>>,
    events: VecDeque<E>,
    /// The number of each id that is there, counted from the first event that was ever appended.
    numbers: HashMap<Arc<str>, u64>,
    /// Events that have fallen out.
    trimmed: u64,
}

/// What a subscriber gets that resumes.
#[derive(Debug, Clone)]
pub struct Resume<'a, E> {
    /// Nothing that followed its id has fallen out of the log.
    pub complete: bool,
    /// The events after its id that are there, oldest first.
    pub events: Iter<'a, E>,
}

impl<E> ReplayLog<E> {
    /// An empty log that keeps `capacity` events, at least one.
    pub fn new(capacity: usize) -> ReplayLog<E> {
        ReplayLog::restored(capacity, 0)
    }

    /// An empty log out of which so many events have fallen: those that were kept are appended next.
    pub fn restored(capacity: usize, trimmed: u64) -> ReplayLog<E> {
        let (ids, events) = (VecDeque::new(), VecDeque::new());
        ReplayLog { capacity: capacity.max(1), ids, events, numbers: HashMap::new(), trimmed }
    }

    /// Appends an event. The oldest falls out if there is no room. An event whose id is there is not appended again:
    /// false. A cursor has one position.
    pub fn append(&mut self, id: &str, event: E) -> bool {
        if self.numbers.contains_key(id) {
            return false;
        }
        if self.ids.len() == self.capacity
            && let Some(oldest) = self.ids.pop_front()
        {
            self.numbers.remove(&oldest);
            self.events.pop_front();
            self.trimmed += 1;
        }
        let id: Arc<str> = id.into();
        self.numbers.insert(id.clone(), self.trimmed + self.ids.len() as u64);
        self.ids.push_back(id);
        self.events.push_back(event);
        true
    }

    /// The id of the newest event, which is the cursor of a new subscriber; empty if nothing was appended.
    pub fn last(&self) -> &str {
        self.ids.back().map_or("", |id| id)
    }

    /// Events that have fallen out of the log.
    pub fn trimmed(&self) -> u64 {
        self.trimmed
    }

    /// What follows the event of this id. An empty id is the cursor before the first event. After an id that is not
    /// there comes all that is.
    pub fn resume(&self, after: &str) -> Resume<'_, E> {
        let (complete, from) = match self.numbers.get(after) {
            Some(number) => (true, (number - self.trimmed) as usize + 1),
            None => (after.is_empty() && self.trimmed == 0, 0),
        };
        Resume { complete, events: self.events.range(from..) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resumed(log: &ReplayLog<u32>, after: &str) -> (bool, Vec<u32>) {
        let Resume { complete, events } = log.resume(after);
        (complete, events.copied().collect())
    }

    #[test]
    fn a_subscriber_gets_what_follows_its_id() {
        let mut log = ReplayLog::new(3);
        assert_eq!((log.last(), resumed(&log, "")), ("", (true, vec![])));
        assert_eq!(resumed(&log, "a"), (false, vec![]), "an id of an earlier process");
        for (id, event) in [("a", 1), ("b", 2), ("c", 3)] {
            assert!(log.append(id, event));
        }
        assert_eq!((log.last(), resumed(&log, "c")), ("c", (true, vec![])));
        assert_eq!(
            (resumed(&log, "a"), resumed(&log, "")),
            ((true, vec![2, 3]), (true, vec![1, 2, 3]))
        );
        assert!(!log.append("b", 9), "an id has one position");
        assert!(log.append("d", 4));
        assert_eq!(
            (resumed(&log, "a"), resumed(&log, "b")),
            ((false, vec![2, 3, 4]), (true, vec![3, 4]))
        );
        assert_eq!((resumed(&log, ""), log.trimmed()), ((false, vec![2, 3, 4]), 1));
    }

    #[test]
    fn a_restored_log_knows_that_it_was_trimmed() {
        let mut log = ReplayLog::restored(2, 7);
        log.append("h", 8);
        assert_eq!((resumed(&log, ""), resumed(&log, "h")), ((false, vec![8]), (true, vec![])));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_list_of_all_events(
            capacity in 1_usize..12,
            events in 0_u32..40,
            after in 0_u32..45,
        ) {
            let mut log = ReplayLog::new(capacity);
            for event in 1..=events {
                log.append(&event.to_string(), event);
            }
            // Cursor 0 is the one before event 1; ids beyond the last are unknown.
            let cursor = if after == 0 { String::new() } else { after.to_string() };
            let oldest = events.saturating_sub(capacity as u32) + 1;
            let known = after <= events && after + 1 >= oldest;
            // An id that has just fallen out is not known any more, though nothing after it is missing.
            let complete = known && (after >= oldest || after == 0);
            let from = if complete { after + 1 } else { oldest };
            prop_assert_eq!(resumed(&log, &cursor), (complete, (from..=events).collect()));
            prop_assert_eq!(log.events.len(), log.numbers.len());
        }
    }
}
