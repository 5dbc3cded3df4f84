//! Who is subscribed to what.

use crate::publisher::outbox::{Outbox, Publication};
use pushbench_core::guarantee::replay_log::ReplayLog;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Subscribers by number, by type, so that an event for one of thousands need not visit them all, and by address. With the
/// last events, where a guarantee needs them: one lock covers who gets an event and what is kept for others.
#[derive(Default)]
pub(super) struct SubscriberRegistry {
    /// Published events; `None` without a guarantee.
    pub log: Option<ReplayLog<Arc<Publication>>>,
    all: BTreeMap<u64, Arc<Outbox>>,
    every_type: BTreeMap<u64, Arc<Outbox>>,
    by_type: HashMap<String, BTreeMap<u64, Arc<Outbox>>>,
    by_url: HashMap<String, u64>,
}

impl SubscriberRegistry {
    /// Nobody is subscribed yet.
    pub fn new(log: Option<ReplayLog<Arc<Publication>>>) -> SubscriberRegistry {
        SubscriberRegistry { log, ..SubscriberRegistry::default() }
    }

    pub fn add_subscription(&mut self, number: u64, outbox: &Arc<Outbox>) {
        self.all.insert(number, outbox.clone());
        for kind in outbox.types() {
            self.by_type.entry(kind.clone()).or_default().insert(number, outbox.clone());
        }
        if let Some(url) = outbox.url() {
            self.by_url.insert(url.to_owned(), number);
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
        if let Some(url) = outbox.url().filter(|url| self.by_url.get(*url) == Some(&number)) {
            self.by_url.remove(url);
        }
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

    /// The subscription of this address to these types.
    pub fn registered(&self, url: &str, types: &[String]) -> Option<u64> {
        let number = self.by_url.get(url)?;
        self.all.get(number).filter(|outbox| outbox.types() == types).map(|_| *number)
    }

    /// Those who want events of a type.
    pub fn wanting(&self, kind: &str) -> impl Iterator<Item = (&u64, &Arc<Outbox>)> {
        self.every_type.iter().chain(self.by_type.get(kind).into_iter().flatten())
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
