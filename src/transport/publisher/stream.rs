//! Delivering on a connection that a subscriber holds open: what is ready is written together and
//! flushed once, acknowledgements are read as they come. The same for every such transport.

use super::hub::{Fate, Subscription};
use crate::transport::event::acknowledged_id;
use crate::transport::messages::Messages;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

/// Delivers until the subscriber's connection ends.
pub async fn deliver(messages: impl Messages, subscription: Subscription) {
    let acknowledged = subscription.hub().options.acknowledged;
    let mut line = Line { messages, subscription, acknowledged, unflushed: false };
    let _ended = poll_fn(|cx| line.poll(cx)).await;
}

struct Line<M> {
    messages: M,
    subscription: Subscription,
    acknowledged: bool,
    unflushed: bool,
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
