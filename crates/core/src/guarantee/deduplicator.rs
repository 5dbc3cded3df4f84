//! What a receiver has already: the ids of the last events.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

/// Remembers the last `window` ids that were new.
#[derive(Debug, Clone)]
pub struct Deduplicator<K> {
    window: usize,
    known: HashSet<K>,
    oldest_first: VecDeque<K>,
}

impl<K: Hash + Eq + Clone> Deduplicator<K> {
    /// Without an id.
    pub fn new(window: usize) -> Deduplicator<K> {
        Deduplicator { window, known: HashSet::new(), oldest_first: VecDeque::new() }
    }

    /// Whether the id is not among those that are remembered. It is from now on.
    pub fn is_first(&mut self, id: &K) -> bool {
        if self.known.contains(id) {
            return false;
        }
        if self.window == 0 {
            return true;
        }
        if self.oldest_first.len() == self.window
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(id.clone());
        self.oldest_first.push_back(id.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_is_forgotten_after_a_window_of_new_ones() {
        let mut seen = Deduplicator::new(2);
        for (id, first) in [(1, true), (2, true), (1, false), (2, false), (3, true), (1, true)] {
            assert_eq!(seen.is_first(&id), first, "{id}");
        }
        assert!(!seen.is_first(&3) && seen.is_first(&2), "1 has replaced 2");
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_search_of_the_last_new_ids(
            window in 0_usize..20,
            ids in proptest::collection::vec(0_u8..40, 0..300),
        ) {
            let (mut seen, mut new) = (Deduplicator::new(window), Vec::new());
            for id in ids {
                let first = !new[new.len().saturating_sub(window)..].contains(&id);
                prop_assert_eq!(seen.is_first(&id), first);
                if first {
                    new.push(id);
                }
                prop_assert!(seen.known.len() <= window, "memory is bounded");
            }
        }
    }
}
