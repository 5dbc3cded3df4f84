//! Carrying events on a connection that holds many unanswered ones: read what has come, write what
//! is ready, flush once. The same for every such transport.

use crate::connect_config::ConnectConfig;
use crate::feed::Feed;
use crate::io::Stamps;
use crate::window::Window;
use pushbench_core::event::Template;
use pushbench_wire::fault::Fault;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Bytes of ready events that are written together: each says that it is sent when it is taken, so it
/// must not wait for long for those behind it.
const TOGETHER: usize = 64 * 1024;

/// A connection that frames messages.
pub trait Pipe {
    /// Hands every message that has come to `answer`; ready when the connection has ended.
    fn poll_answers(
        &mut self,
        cx: &mut Context<'_>,
        answer: impl FnMut(&[u8]),
    ) -> Poll<Result<(), Fault>>;

    /// Bytes that are queued.
    fn queued(&self) -> usize;

    /// Queues an event.
    fn write(&mut self, template: &Template, index: u64) -> Result<(), Fault>;

    /// Writes what is queued.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>>;
}

/// Carries events over a pipe until the feed ends, the lifetime is reached, or the pipe ends.
pub async fn carry(
    pipe: &mut impl Pipe,
    connect_config: &ConnectConfig,
    stamps: Rc<Stamps>,
    feed: &Feed,
) -> Result<(), Fault> {
    let mut carrier = Carrier {
        window: Window::new(connect_config),
        pipe,
        connect_config,
        stamps,
        unflushed: false,
        blocked: false,
    };
    poll_fn(|cx| carrier.poll(feed, cx)).await
}

struct Carrier<'a, P> {
    pipe: &'a mut P,
    connect_config: &'a ConnectConfig,
    stamps: Rc<Stamps>,
    window: Window,
    unflushed: bool,
    blocked: bool,
}

impl<P: Pipe> Carrier<'_, P> {
    fn poll(&mut self, feed: &Feed, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        feed.watch(cx);
        let (window, stamps) = (&mut self.window, &self.stamps);
        if self.pipe.poll_answers(cx, |answer| window.answer(answer, stamps))?.is_ready() {
            return Poll::Ready(match self.window.is_empty() {
                true => Ok(()),
                false => Err(Fault::Closed("closed by the target".to_owned())),
            });
        }
        self.window.drop_expired()?;
        let mut ended = false;
        // Events behind an unfinished write would not be sent now: leave them to others.
        if self.poll_flush(cx)?.is_ready() {
            while let Poll::Ready(next) = self.window.take(feed, cx) {
                let Some(ticket) = next else {
                    ended = true;
                    break;
                };
                self.pipe.write(&self.connect_config.template, ticket.index)?;
                self.unflushed = true;
                if self.pipe.queued() >= TOGETHER && self.poll_flush(cx)?.is_pending() {
                    break;
                }
            }
            let _written = self.poll_flush(cx)?;
        }
        if (ended || self.window.is_spent()) && self.window.is_empty() {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        let flushed = self.pipe.poll_flush(cx)?;
        if flushed.is_pending() {
            self.blocked = true;
            return Poll::Pending;
        }
        self.unflushed = false;
        if std::mem::take(&mut self.blocked) {
            self.window.writable_again();
        }
        Poll::Ready(Ok(()))
    }
}
