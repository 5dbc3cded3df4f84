//! Delivering on a connection that a subscriber holds open: what is ready is written together and
//! flushed once, acknowledgements are read as they come. The same for every such transport.

use super::hub::{Fate, Subscription};
use crate::transport::event::acknowledged_id;
use crate::transport::messages::Messages;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

/// Delivers until the subscriber's connection ends.
pub async fn deliver(messages: impl Messages, subscription: Subscription) {
    let options = &subscription.hub().options;
    let acknowledged = options.acknowledged;
    let pings = options.ping.map(|every| pings(every, subscription.number()));
    let mut line = Line { messages, subscription, acknowledged, unflushed: false, pings };
    let ended = poll_fn(|cx| line.poll(cx)).await;
    let Line { mut messages, subscription, .. } = line;
    let patience = subscription.hub().options.timeout;
    drop(subscription);
    // One that leaves in good order waits for our goodbye; one that does not read it is not waited for.
    if ended.is_ok() {
        let _gone = timeout(patience, poll_fn(|cx| messages.poll_finish(cx))).await;
    }
}

/// A share of a period that differs as much as can be between one number and the next ones: a large
/// part of the golden ratio's, by which they never fall together.
const SPREAD: f64 = 0.618_033_988_749_895;

/// When a subscriber is pinged: they subscribe together, and are not pinged together, as it would be
/// after a while.
fn pings(every: Duration, number: u64) -> Interval {
    let first = every.mul_f64((number as f64 * SPREAD).fract());
    let mut pings = interval_at(Instant::now() + first, every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings
}

struct Line<M> {
    messages: M,
    subscription: Subscription,
    acknowledged: bool,
    unflushed: bool,
    pings: Option<Interval>,
}

impl<M: Messages> Line<M> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let subscription = &self.subscription;
        let heard = self.messages.poll_messages(cx, |message| {
            // What acknowledges nothing is counted there.
            subscription
                .settle(acknowledged_id(message).as_deref().unwrap_or(""), Fate::Acknowledged);
        })?;
        if heard.is_ready() {
            return Poll::Ready(Ok(()));
        }
        while self.pings.as_mut().is_some_and(|pings| pings.poll_tick(cx).is_ready()) {
            if self.messages.ping()? {
                self.subscription.hub().pinged();
                self.unflushed = true;
            }
        }
        loop {
            // Events behind an unfinished write stay in the queue, where they are bounded.
            if self.unflushed && self.messages.poll_flush(cx)?.is_pending() {
                return Poll::Pending;
            }
            self.unflushed = false;
            while let Poll::Ready(next) = self.subscription.poll_next(cx) {
                let Some(event) = next else { return Poll::Ready(Ok(())) };
                self.messages.queue(event.body.clone())?;
                self.unflushed = true;
                if !self.acknowledged {
                    self.subscription.settle(&event.id, Fate::Written);
                }
            }
            if !self.unflushed {
                return Poll::Pending;
            }
        }
    }
}
