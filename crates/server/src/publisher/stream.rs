//! Delivering on a connection that a subscriber holds open: what is ready is written together and
//! flushed once, acknowledgements are read as they come. The same for every such transport.

use crate::publisher::pings::{PingAction, Pings};
use crate::publisher::subscription::Subscription;
use crate::publisher::tally::DeliveryOutcome;
use pushbench_core::event::acknowledged_id;
use pushbench_wire::messages::{Messages, Received};
use std::future::poll_fn;
use std::io;
use std::io::ErrorKind::TimedOut;
use std::task::{Context, Poll};
use tokio::time::timeout;

/// A whole log that is replayed waits in the queue, not in the buffer of the connection, where its time-out would run.
const REPLAY_BURST: usize = 64 << 10;

/// Delivers until the subscriber's connection ends.
pub async fn deliver<M: Messages>(messages: M, subscription: Subscription) {
    let options = &subscription.hub().options;
    let (acknowledged, number) = (options.acknowledged, subscription.number());
    let pings = options.ping.filter(|_| M::PINGS).map(|every| Pings::new(every, number));
    let burst = if options.resumes() { REPLAY_BURST } else { usize::MAX };
    let mut delivery =
        StreamDelivery { messages, subscription, acknowledged, pings, unflushed: false, burst };
    let ended = poll_fn(|cx| delivery.poll(cx)).await;
    let StreamDelivery { mut messages, subscription, .. } = delivery;
    let close_timeout = subscription.hub().options.timeout;
    drop(subscription);
    // One that leaves in good order waits for our goodbye; one that does not read it is not waited for.
    if ended.is_ok() {
        let _gone = timeout(close_timeout, poll_fn(|cx| messages.poll_finish(cx))).await;
    }
}

struct StreamDelivery<M> {
    messages: M,
    subscription: Subscription,
    acknowledged: bool,
    pings: Option<Pings>,
    unflushed: bool,
    /// Bytes of events after which what is queued is flushed.
    burst: usize,
}

impl<M: Messages> StreamDelivery<M> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (subscription, pings) = (&self.subscription, &mut self.pings);
        let mut heard = false;
        let received = self.messages.poll_messages(cx, |received| {
            heard = true;
            match received {
                Received::Message(message) => {
                    // What acknowledges nothing is counted there.
                    let id = acknowledged_id(message);
                    subscription.settle(id.as_deref().unwrap_or(""), DeliveryOutcome::Acknowledged);
                }
                Received::Pong => {
                    subscription.ponged();
                    pings.iter_mut().for_each(Pings::answered);
                }
                Received::Ping => {}
            }
        })?;
        pings.iter_mut().filter(|_| heard).for_each(Pings::heard);
        if received.is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.ping(cx)?;
        if let Some(first) = self.subscription.first.take() {
            self.messages.queue(first.to_string().into())?;
            self.unflushed = true;
        }
        loop {
            // Events behind an unfinished write stay in the queue, where they are bounded.
            if self.unflushed && self.messages.poll_flush(cx)?.is_pending() {
                // One that neither reads nor acknowledges resumes when it does.
                let ended = self.subscription.ended_under_guarantee(cx);
                return if ended { Poll::Ready(Err(TimedOut.into())) } else { Poll::Pending };
            }
            self.unflushed = false;
            let mut room = self.burst;
            while room > 0
                && let Poll::Ready(next) = self.subscription.poll_next(cx)
            {
                let Some(event) = next else { return Poll::Ready(Ok(())) };
                room = room.saturating_sub(event.body.len());
                self.messages.queue(event.body.clone())?;
                self.subscription.hub().attempted(1);
                self.unflushed = true;
                if !self.acknowledged {
                    self.subscription.settle(&event.id, DeliveryOutcome::Written);
                }
            }
            if !self.unflushed {
                return Poll::Pending;
            }
        }
    }

    /// Queues a ping when its time has come; an error when the subscriber is gone.
    fn ping(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while let Some(pings) = &mut self.pings
            && let Poll::Ready(action) = pings.poll(cx)
        {
            if action == PingAction::Gone {
                self.subscription.hub().gone_after(pings.silent());
                return Err(TimedOut.into());
            }
            self.messages.queue_ping()?;
            self.unflushed = true;
            self.subscription.pinged();
        }
        Ok(())
    }
}
