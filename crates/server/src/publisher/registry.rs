//! Who is subscribed to what.

use crate::publisher::outbox::Outbox;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Subscribers by number, and by type, so that an event for one
/// of thousands need not visit them all.
#[derive(Default)]
pub(super) struct SubscriberRegistry {
    all: BTreeMap<u64, Arc<Outbox>>,
    every_type: BTreeMap<u64, Arc<Outbox>>,
    by_type: HashMap<String, BTreeMap<u64, Arc<Outbox>>>,
}

impl SubscriberRegistry {
    pub fn add_subscription(&mut self, number: u64, outbox: &Arc<Outbox>) {
        self.all.insert(number, outbox.clone());
        for kind in outbox.types() {
            self.by_type.entry(kind.clone()).or_default().insert(number, outbox.clone());
        }
        if outbox.types().is_empty() {
            self.every_type.insert(number, outbox.clone());
        }
    }

    /// Gone for good. `None` when there is none of that number.
    pub fn remove(&mut self, number: u64) -> Option<Arc<Outbox>> {
        self.stop_publishing(number);
        self.all.remove(&number)
    }

    /// Wants nothing more; what is under way to it still counts. `None` when there is none of that
    /// number.
    pub(crate) fn stop_publishing(&mut self, number: u64) -> Option<Arc<Outbox>> {
        let outbox = self.all.get(&number)?.clone();
        self.every_type.remove(&number);
        for kind in outbox.types() {
            if let Some(theirs) = self.by_type.get_mut(kind) {
                theirs.remove(&number);
                if theirs.is_empty() {
                    self.by_type.remove(kind);
                }
            }
        }
        Some(outbox)
    }

    /// Those who want events of a type.
    pub fn wanting(&self, kind: &str) -> impl Iterator<Item = &Arc<Outbox>> {
        self.every_type
            .values()
            .chain(self.by_type.get(kind).into_iter().flat_map(BTreeMap::values))
    }

    /// Everybody, by number.
    pub fn all(&self) -> &BTreeMap<u64, Arc<Outbox>> {
        &self.all
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.every_type.is_empty() && self.by_type.is_empty()
    }
}

/// Whether a type matches this one or a pattern such as `order.*`.
pub(super) fn is_of(kind: &str, known: &str) -> bool {
    match known.strip_suffix('*') {
        Some(begin) => kind.starts_with(begin),
        None => kind == known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_may_stand_for_all_that_begin_so() {
        assert!(is_of("peer-17", "peer-*") && is_of("peer-", "peer-*") && is_of("a", "a"));
        assert!(!is_of("pee", "peer-*") && !is_of("peer-17", "peer-") && !is_of("ab", "a"));
    }
}
