//! Receiving on a connection held open: what has come is read together, its acknowledgements are
//! flushed once. The same for every such transport.

use crate::io::ReadTimes;
use crate::ledger::DeliveryTimes;
use crate::subscriber::SubscribeConfig;
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
}

impl<M: Messages> StreamSubscriber<M> {
    /// Of subscriber `number`, whose connection is read at these stamps.
    pub fn new(
        messages: M,
        subscribe_config: Rc<SubscribeConfig>,
        number: usize,
        read_times: Rc<ReadTimes>,
    ) -> StreamSubscriber<M> {
        let unhandled = VecDeque::new();
        StreamSubscriber {
            messages,
            subscribe_config,
            number,
            read_times,
            unhandled,
            handling: None,
            unflushed: false,
        }
    }

    /// Receives until the connection ends.
    pub async fn receive(&mut self) -> Result<(), Fault> {
        let ended = match self.subscribe_config.conduct(self.number) {
            Conduct::Healthy => poll_fn(|cx| self.poll_healthy(cx)).await,
            Conduct::Slow => self.receive_slowly().await,
            Conduct::Stuck => pending().await,
        };
        ended.map_err(fault)
    }

    fn poll_healthy(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut answers = Vec::new();
        let (subscribe_config, read_times, number) =
            (&self.subscribe_config, &self.read_times, self.number);
        let received = self.messages.poll_messages(cx, |received| match received {
            Received::Message(message) => {
                let index = subscribe_config.matched.index(message);
                subscribe_config.ledger.receive(number, index, read_times.delivery());
                answers.extend(index.filter(|_| subscribe_config.settings.acknowledged));
            }
            Received::Ping => subscribe_config.ledger.pinged(),
            Received::Pong => {}
        })?;
        answers.into_iter().try_for_each(|index| self.answer(index))?;
        if self.unflushed {
            self.unflushed = self.messages.poll_flush(cx)?.is_pending();
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
        let (subscribe_config, unhandled) = (&self.subscribe_config, &mut self.unhandled);
        let received = self.messages.poll_messages(cx, |received| match received {
            Received::Message(message) => {
                unhandled.push_back(subscribe_config.matched.index(message))
            }
            Received::Ping => subscribe_config.ledger.pinged(),
            Received::Pong => {}
        })?;
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
        self.finish().await.map_err(fault)?;
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
                if let Received::Message(message) = received {
                    let index = subscribe_config.matched.index(message);
                    subscribe_config.ledger.receive(number, index, read_times.delivery());
                }
            })
        });
        left.await.map_err(fault)
    }
}

fn fault(e: io::Error) -> Fault {
    match e.kind() {
        io::ErrorKind::InvalidData => Fault::protocol(e),
        _ => Fault::closed(e),
    }
}
