//! What a publisher tells of itself.

use serde::{Deserialize, Serialize};

/// What a publisher has counted; it tells by its own account what became of each delivery.
/// `queued = acknowledged + written + failed + timed_out + lost + detached + open`. The outcome of a delivery that is tried
/// several times is that of its last attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublisherStatus {
    /// Subscribers now.
    pub subscribers: u64,
    /// Events taken.
    pub published: u64,
    /// Of these, the ones that every subscriber they were queued for has acknowledged.
    pub complete: u64,
    /// Deliveries queued.
    pub queued: u64,
    /// Deliveries turned away because the subscriber's queue was full; they are not among `queued`.
    pub overflowed: u64,
    /// Acknowledged by the subscriber.
    pub acknowledged: u64,
    /// Written where no acknowledgement is requested.
    pub written: u64,
    /// Answered otherwise (webhook: another status than 2xx), or no connection could be made.
    pub failed: u64,
    /// Of `failed`: redirects, which are not followed.
    pub redirected: u64,
    /// Of `failed`: no connection.
    pub refused: u64,
    /// Not acknowledged in time.
    pub timed_out: u64,
    /// The subscriber's connection ended first.
    pub lost: u64,
    /// Open when a connection under a guarantee ended. They are not lost: what the log has is queued again for the subscriber
    /// that resumes, and is among `replayed` then.
    pub detached: u64,
    /// Queued or written and not yet settled.
    pub open: u64,
    /// Acknowledgements of nothing that was open.
    pub stray: u64,
    /// Most deliveries of one subscriber that were open at a time.
    pub longest_queue: u64,
    /// Kept connections that the publisher closed because nothing had gone over them for a while.
    pub idle_closed: u64,
    /// Requests of subscribers, for events or to acknowledge them.
    pub requests: u64,
    /// Of these, the ones that requested events and received none.
    pub empty: u64,
    /// Fewest acknowledgements of a subscriber.
    pub least_acknowledged: u64,
    /// Most acknowledgements of a subscriber.
    pub most_acknowledged: u64,
    /// Pings sent.
    pub pings: u64,
    /// Pings answered.
    pub pongs: u64,
    /// Subscribers taken for dead because nothing came from them in time: no answer to a ping, to a delivery by
    /// webhook, or no request for events.
    pub gone: u64,
    /// How long nothing had come from them by then, the sum, ns.
    pub gone_after_ns: u64,
    /// Attempts to deliver: POSTs of webhooks, and deliveries that were written to connections.
    pub attempts: u64,
    /// Attempts that failed and are made again by the publisher.
    pub retried: u64,
    /// Deliveries whose last attempt failed; the outcome of the attempt is that of the delivery.
    pub exhausted: u64,
    /// Of `lost`: the subscriber answered 410 to one of its deliveries.
    pub ended_410: u64,
    /// Of `queued`: deliveries out of the log to subscribers that resumed.
    pub replayed: u64,
    /// Subscribers that resumed and got everything after their cursor.
    pub resumed: u64,
    /// Subscribers that resumed when something after their cursor was no longer in the log.
    pub not_resumed: u64,
    /// Events that waited at an ordered destination behind one that was tried again …
    pub held_events: u64,
    /// … and for how long together, ns.
    pub held_ns: u64,
    /// Transactions that the store has committed to disk, …
    pub syncs: u64,
    /// … what they took together, ns, …
    pub sync_ns: u64,
    /// … and the longest, ns.
    pub sync_longest_ns: u64,
}

impl PublisherStatus {
    /// Adds up what two trials' publishers have counted, or two lives of one.
    pub fn and(self, other: PublisherStatus) -> PublisherStatus {
        PublisherStatus {
            subscribers: self.subscribers.max(other.subscribers),
            published: self.published + other.published,
            complete: self.complete + other.complete,
            queued: self.queued + other.queued,
            overflowed: self.overflowed + other.overflowed,
            acknowledged: self.acknowledged + other.acknowledged,
            written: self.written + other.written,
            failed: self.failed + other.failed,
            redirected: self.redirected + other.redirected,
            refused: self.refused + other.refused,
            timed_out: self.timed_out + other.timed_out,
            lost: self.lost + other.lost,
            detached: self.detached + other.detached,
            open: self.open + other.open,
            stray: self.stray + other.stray,
            requests: self.requests + other.requests,
            empty: self.empty + other.empty,
            longest_queue: self.longest_queue.max(other.longest_queue),
            pings: self.pings + other.pings,
            pongs: self.pongs + other.pongs,
            idle_closed: self.idle_closed + other.idle_closed,
            gone: self.gone + other.gone,
            gone_after_ns: self.gone_after_ns + other.gone_after_ns,
            least_acknowledged: self.least_acknowledged.min(other.least_acknowledged),
            most_acknowledged: self.most_acknowledged.max(other.most_acknowledged),
            attempts: self.attempts + other.attempts,
            retried: self.retried + other.retried,
            exhausted: self.exhausted + other.exhausted,
            ended_410: self.ended_410 + other.ended_410,
            replayed: self.replayed + other.replayed,
            resumed: self.resumed + other.resumed,
            not_resumed: self.not_resumed + other.not_resumed,
            held_events: self.held_events + other.held_events,
            held_ns: self.held_ns + other.held_ns,
            syncs: self.syncs + other.syncs,
            sync_ns: self.sync_ns + other.sync_ns,
            sync_longest_ns: self.sync_longest_ns.max(other.sync_longest_ns),
        }
    }

    /// How long nothing had come from a subscriber that was taken for dead, mean, ns.
    pub fn silence_before_gone(&self) -> Option<f64> {
        (self.gone > 0).then(|| self.gone_after_ns as f64 / self.gone as f64)
    }

    /// Every delivery that was queued has one outcome or none yet.
    pub fn sums_are_exact(&self) -> bool {
        self.queued
            == self.acknowledged
                + self.written
                + self.failed
                + self.timed_out
                + self.lost
                + self.detached
                + self.open
    }
}
