//! The outcomes of deliveries and the other counts of a publisher.

use crate::publisher::outbox::Outbox;
use pushbench_core::record::fanout::PublisherStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The outcome of a queued delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The subscriber acknowledged it.
    Acknowledged,
    /// Written; no acknowledgement is required.
    Written,
    /// Answered otherwise.
    Failed,
    /// Answered with a redirect, which is not followed.
    Redirected,
    /// No connection could be made for it.
    Refused,
    /// Not acknowledged in time.
    TimedOut,
    /// The subscriber's connection ended first.
    Lost,
    /// The same under a guarantee: the log has it for the subscriber that resumes.
    Detached,
}

/// Counts, each in one place.
#[derive(Default)]
pub(super) struct Tally {
    pub published: AtomicU64,
    pub complete: AtomicU64,
    pub queued: AtomicU64,
    pub overflowed: AtomicU64,
    pub stray: AtomicU64,
    pub requests: AtomicU64,
    pub empty: AtomicU64,
    pub outcomes: [AtomicU64; 8],
    pub longest_queue: AtomicU64,
    pub pings: AtomicU64,
    pub pongs: AtomicU64,
    pub idle_closed: AtomicU64,
    pub gone: AtomicU64,
    pub gone_after_ns: AtomicU64,
    pub attempts: AtomicU64,
    pub retried: AtomicU64,
    pub exhausted: AtomicU64,
    pub ended_410: AtomicU64,
    pub replayed: AtomicU64,
    pub resumed: AtomicU64,
    pub not_resumed: AtomicU64,
    pub held_events: AtomicU64,
    pub held_ns: AtomicU64,
}

/// Counts.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

impl Tally {
    /// What was counted until now, with what those subscribers have yet to get.
    pub fn status<'a>(
        &self,
        subscribers: impl ExactSizeIterator<Item = &'a Arc<Outbox>> + Clone,
    ) -> PublisherStatus {
        let each = || subscribers.clone().map(|o| o.acknowledged());
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let outcome = |outcome: DeliveryOutcome| read(&self.outcomes[outcome as usize]);
        PublisherStatus {
            subscribers: subscribers.len() as u64,
            published: read(&self.published),
            complete: read(&self.complete),
            queued: read(&self.queued),
            overflowed: read(&self.overflowed),
            acknowledged: outcome(DeliveryOutcome::Acknowledged),
            written: outcome(DeliveryOutcome::Written),
            failed: outcome(DeliveryOutcome::Failed)
                + outcome(DeliveryOutcome::Redirected)
                + outcome(DeliveryOutcome::Refused),
            redirected: outcome(DeliveryOutcome::Redirected),
            refused: outcome(DeliveryOutcome::Refused),
            timed_out: outcome(DeliveryOutcome::TimedOut),
            lost: outcome(DeliveryOutcome::Lost),
            detached: outcome(DeliveryOutcome::Detached),
            open: subscribers.clone().map(|o| o.open() as u64).sum(),
            stray: read(&self.stray),
            requests: read(&self.requests),
            empty: read(&self.empty),
            longest_queue: read(&self.longest_queue),
            pings: read(&self.pings),
            pongs: read(&self.pongs),
            idle_closed: read(&self.idle_closed),
            gone: read(&self.gone),
            gone_after_ns: read(&self.gone_after_ns),
            least_acknowledged: each().min().unwrap_or(0),
            most_acknowledged: each().max().unwrap_or(0),
            attempts: read(&self.attempts),
            retried: read(&self.retried),
            exhausted: read(&self.exhausted),
            ended_410: read(&self.ended_410),
            replayed: read(&self.replayed),
            resumed: read(&self.resumed),
            not_resumed: read(&self.not_resumed),
            held_events: read(&self.held_events),
            held_ns: read(&self.held_ns),
            ..PublisherStatus::default()
        }
    }
}
