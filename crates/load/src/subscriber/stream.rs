//! Receiving on a connection held open: what has come is read together, its acknowledgements are
//! flushed once. The same for every such transport.

use crate::hello::HeartbeatState;
use crate::io::ReadTimes;
use crate::ledger::DeliveryTimes;
use crate::subscriber::receivers::{PLANNED, Verdict};
use crate::subscriber::{Delivered, SubscribeConfig};
use pushbench_core::record::fanout::Conduct;
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use pushbench_wire::fault::Fault;
use pushbench_wire::messages::{Messages, Received};
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Status codes of a WebSocket's end (RFC 6455, 7.4.1, and IANA's registry).
const INTERNAL_ERROR: u16 = 1011;
const TRY_AGAIN_LATER: u16 = 1013;

/// The index of an event, where it is ours, and when it was read.
type Arrived = (Option<u64>, DeliveryTimes);

/// A subscriber's open connection.
pub struct StreamSubscriber<M> {
    messages: M,
    subscribe_config: Rc<SubscribeConfig>,
    number: usize,
    read_times: Rc<ReadTimes>,
    /// What a slow subscriber has read and not yet taken up.
    unhandled: VecDeque<Option<u64>>,
    /// The event it is handling, and when it has handled it.
    handling: Option<(Option<u64>, u64)>,
    unflushed: bool,
    /// Messages that came with the hello.
    early: Vec<Vec<u8>>,
    heartbeat: Option<Box<HeartbeatState>>,
}

impl<M: Messages> StreamSubscriber<M> {
    /// Of a subscriber by its number, whose connection is read at these stamps; `early`: messages that have come.
    pub fn new(
        messages: M,
        (subscribe_config, number): (Rc<SubscribeConfig>, usize),
        read_times: Rc<ReadTimes>,
        early: Vec<Vec<u8>>,
    ) -> Result<StreamSubscriber<M>, Fault> {
        let heartbeat = HeartbeatState::new(&subscribe_config.request_options)?;
        Ok(StreamSubscriber {
            messages,
            subscribe_config,
            number,
            read_times,
            unhandled: VecDeque::new(),
            handling: None,
            unflushed: false,
            early,
            heartbeat,
        })
    }

    /// Receives until the connection ends.
    pub async fn receive(&mut self) -> Result<(), Fault> {
        if self.subscribe_config.receivers.is_some() {
            return Box::pin(self.receive_under_guarantee()).await;
        }
        let ended = match self.subscribe_config.conduct(self.number) {
            Conduct::Healthy => poll_fn(|cx| self.poll_healthy(cx)).await,
            Conduct::Slow => self.receive_slowly().await,
            Conduct::Stuck => pending().await,
        };
        ended.map_err(Fault::of)
    }

    /// Receives, under a guarantee or under faults, until the connection ends. What was read behind an event that a planned
    /// fault has met is not looked at.
    async fn receive_under_guarantee(&mut self) -> Result<(), Fault> {
        let (subscribe_config, number) = (self.subscribe_config.clone(), self.number);
        let Some(receivers) = &subscribe_config.receivers else { return Ok(()) };
        let conduct = subscribe_config.conduct(number);
        if conduct == Conduct::Stuck {
            pending::<()>().await;
        }
        loop {
            let (events, ended) = poll_fn(|cx| self.poll_arrived(cx)).await;
            for (index, times) in events {
                let slow = conduct == Conduct::Slow;
                let times = if slow { DeliveryTimes::handled(clock::now()) } else { times };
                match receivers.arrive((number, index), times, None) {
                    Verdict::Acknowledge => {
                        if slow {
                            receivers.timer.until(times.read + subscribe_config.slow_by()).await;
                        }
                        if subscribe_config.settings.acknowledged {
                            index.map_or(Ok(()), |i| self.answer(i)).map_err(Fault::of)?;
                        }
                    }
                    Verdict::Refuse(status) => {
                        let code = if status == 500 { INTERNAL_ERROR } else { TRY_AGAIN_LATER };
                        self.messages.queue_close(code).map_err(Fault::of)?;
                        poll_fn(|cx| self.messages.poll_flush(cx)).await.map_err(Fault::of)?;
                        return Err(Fault::closed(PLANNED));
                    }
                    Verdict::Reset => {
                        self.read_times.reset_when_dropped();
                        return Err(Fault::closed(PLANNED));
                    }
                }
            }
            if let Some(ended) = ended {
                return ended.map_err(Fault::of);
            }
            self.unflushed = false;
            poll_fn(|cx| self.messages.poll_flush(cx)).await.map_err(Fault::of)?;
        }
    }

    /// Ready when events have come or the connection has ended: then, how.
    fn poll_arrived(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<(Vec<Arrived>, Option<io::Result<()>>)> {
        let (mut events, read_times) = (Vec::new(), self.read_times.clone());
        let received = self.poll_received(cx, |index| events.push((index, read_times.delivery())));
        if self.unflushed {
            match self.messages.poll_flush(cx) {
                Poll::Ready(Err(e)) => return Poll::Ready((events, Some(Err(e)))),
                flushed => self.unflushed = flushed.is_pending(),
            }
        }
        match received {
            Poll::Ready(ended) => Poll::Ready((events, Some(ended))),
            Poll::Pending if events.is_empty() => Poll::Pending,
            Poll::Pending => Poll::Ready((events, None)),
        }
    }

    fn poll_healthy(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut answers = Vec::new();
        let (subscribe_config, read_times, number) =
            (self.subscribe_config.clone(), self.read_times.clone(), self.number);
        let received = self.poll_received(cx, |index| {
            subscribe_config.ledger.receive(number, index, read_times.delivery());
            answers.extend(index.filter(|_| subscribe_config.settings.acknowledged));
        })?;
        answers.into_iter().try_for_each(|index| self.answer(index))?;
        if self.unflushed {
            self.unflushed = self.messages.poll_flush(cx)?.is_pending();
        }
        received.map(Ok)
    }

    /// Hands the event of each message that has come to `each`: none where it names none of ours. Answers
    /// heartbeats. Ready when the connection has ended.
    fn poll_received(
        &mut self,
        cx: &mut Context<'_>,
        mut each: impl FnMut(Option<u64>),
    ) -> Poll<io::Result<()>> {
        let (subscribe_config, heartbeat) = (&self.subscribe_config, &mut self.heartbeat);
        let mut take = |message: &[u8]| match subscribe_config.delivered(message) {
            Delivered::Event(index) => each(index),
            Delivered::Heartbeat => heartbeat.iter_mut().for_each(|h| h.received()),
            Delivered::Nothing => subscribe_config.ledger.other_message(),
        };
        self.early.drain(..).for_each(|message| take(&message));
        let received = self.messages.poll_messages(cx, |received| match received {
            Received::Message(message) => take(message),
            Received::Ping => subscribe_config.ledger.pinged(),
            Received::Pong => {}
        })?;
        if let Some(heartbeat) = self.heartbeat.as_mut().filter(|_| !self.unflushed) {
            for _ in 0..heartbeat.poll_due(cx).map_err(io::Error::other)? {
                self.messages.queue(heartbeat.text().as_bytes().to_vec().into())?;
                self.unflushed = true;
            }
        }
        received.map(Ok)
    }

    /// Handles one event after the other, and reads again when it has handled all of them.
    async fn receive_slowly(&mut self) -> io::Result<()> {
        loop {
            self.finish().await?;
            if let Some(index) = self.unhandled.pop_front() {
                let now = clock::now();
                self.subscribe_config.ledger.receive(
                    self.number,
                    index,
                    DeliveryTimes::handled(now),
                );
                self.handling = Some((index, now + self.subscribe_config.slow_by()));
            } else if poll_fn(|cx| self.poll_some(cx)).await? {
                return Ok(());
            }
        }
    }

    /// Waits until a slow subscriber has handled its event, and acknowledges it.
    async fn finish(&mut self) -> io::Result<()> {
        let Some((index, done)) = self.handling else { return Ok(()) };
        Timer::new()?.until(done).await?;
        self.handling = None;
        if let Some(index) = index.filter(|_| self.subscribe_config.settings.acknowledged) {
            self.answer(index)?;
        }
        poll_fn(|cx| self.messages.poll_flush(cx)).await
    }

    /// Ready when there is something to take up, or, with true, when there is nothing more and the
    /// connection has ended.
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut unhandled = std::mem::take(&mut self.unhandled);
        let received = self.poll_received(cx, |index| unhandled.push_back(index));
        self.unhandled = unhandled;
        let received = received?;
        if self.unflushed {
            self.unflushed = self.messages.poll_flush(cx)?.is_pending();
        }
        match self.unhandled.is_empty() {
            true => received.map(|()| Ok(true)),
            false => Poll::Ready(Ok(false)),
        }
    }

    fn answer(&mut self, index: u64) -> io::Result<()> {
        self.unflushed = true;
        self.messages.queue(self.subscribe_config.acknowledge(index).into())
    }

    /// Says that it leaves, after what it has acknowledged, and waits until the publisher knows.
    pub async fn leave(mut self) -> Result<(), Fault> {
        self.finish().await.map_err(Fault::of)?;
        let mut finished = false;
        let left = poll_fn(|cx| {
            if !finished {
                ready!(self.messages.poll_finish(cx))?;
                finished = true;
            }
            // Events that still arrive were published before the publisher knew; they are not waited for.
            let (subscribe_config, read_times, number) =
                (&self.subscribe_config, &self.read_times, self.number);
            self.messages.poll_messages(cx, |received| {
                if let Received::Message(message) = received
                    && let Delivered::Event(index) = subscribe_config.delivered(message)
                {
                    subscribe_config.ledger.receive(number, index, read_times.delivery());
                }
            })
        });
        left.await.map_err(Fault::of)
    }
}
