//! Carrying events on a connection that holds many unanswered ones: read what has come, write what
//! is ready, flush once. The same for every such transport.

use crate::connections::ConnectConfig;
use crate::feed::Feed;
use crate::io::ReadTimes;
use crate::ledger::{Instants, Ledger, Ticket};
use pushbench_core::arm::ArmOption;
use pushbench_core::event::{Answered, Matched};
use pushbench_host::clock;
use pushbench_wire::fault::Fault;
use pushbench_wire::request_options::RequestOptions;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Bytes of ready events that are written together: each has its sent instant when it is taken, so it
/// must not wait for long for those behind it.
const BATCH_BYTES: usize = 64 * 1024;

/// A connection that frames messages.
pub trait PipelinedConnection {
    /// Hands every message that has come to `answer`, which returns true for a heartbeat; ready when the
    /// connection has ended.
    fn poll_answers(
        &mut self,
        cx: &mut Context<'_>,
        answer: impl FnMut(&[u8]) -> bool,
    ) -> Poll<Result<(), Fault>>;

    /// What was carried until now, session tickets of TLS included, was set-up.
    fn end_setup(&self);

    /// Bytes that are queued.
    fn queued(&self) -> usize;

    /// Queues a message of `length` bytes, which `fill` appends.
    fn write(&mut self, length: usize, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), Fault>;

    /// Writes what is queued.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>>;
}

/// Carries events over a pipe until the feed ends, the lifetime is reached, or the pipe ends.
pub async fn carry(
    connection: &mut impl PipelinedConnection,
    connect_config: &ConnectConfig,
    read_times: Rc<ReadTimes>,
    feed: &Feed,
) -> Result<(), Fault> {
    let mut sender = PipelineSender {
        window: Window::new(connect_config),
        connection,
        connect_config,
        read_times,
        unflushed: false,
        blocked: false,
        encodes: connect_config.encodes() || connect_config.spec.has(ArmOption::Compressed),
    };
    poll_fn(|cx| sender.poll(feed, cx)).await
}

struct PipelineSender<'a, P> {
    connection: &'a mut P,
    connect_config: &'a ConnectConfig,
    read_times: Rc<ReadTimes>,
    window: Window,
    unflushed: bool,
    blocked: bool,
    encodes: bool,
}

impl<P: PipelinedConnection> PipelineSender<'_, P> {
    fn poll(&mut self, feed: &Feed, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        feed.register_waker(cx);
        let (window, read_times) = (&mut self.window, &self.read_times);
        if self.connection.poll_answers(cx, |answer| window.answer(answer, read_times))?.is_ready()
        {
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
                if self.window.carried == 1 && self.connect_config.warm {
                    self.connection.end_setup();
                }
                if self.encodes {
                    self.read_times.await_write();
                }
                let ConnectConfig { template, request_options, .. } = self.connect_config;
                self.connection.write(template.len(), |out| {
                    request_options.append_message(template, ticket.index, out);
                })?;
                self.unflushed = true;
                if self.connection.queued() >= BATCH_BYTES {
                    let flushed = self.poll_flush(cx)?;
                    if self.encodes {
                        self.window.written(&self.read_times);
                    }
                    if flushed.is_pending() {
                        break;
                    }
                }
            }
            let _written = self.poll_flush(cx)?;
            if self.encodes {
                self.window.written(&self.read_times);
            }
        }
        if (ended || self.window.is_spent()) && self.window.is_empty() {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        // A heartbeat may be left over.
        if !self.unflushed && self.connection.queued() == 0 {
            return Poll::Ready(Ok(()));
        }
        let flushed = self.connection.poll_flush(cx)?;
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

struct InFlightEvent {
    ticket: Ticket,
    free: u64,
    sent: u64,
    /// When its bytes were handed to the socket; 0 before, and where no layer takes its time.
    written: u64,
    nth: u64,
}

/// A connection's window.
pub struct Window {
    ledger: Rc<Ledger>,
    matched: Matched,
    request_options: Rc<RequestOptions>,
    in_flight: VecDeque<InFlightEvent>,
    /// Instants the free slots were released, oldest first.
    free: VecDeque<u64>,
    /// Since when the socket takes bytes.
    writable: u64,
    carried: u64,
    left: u64,
    expirations: u64,
}

impl Window {
    /// The window of a connection that is open and writable now.
    pub fn new(connect_config: &ConnectConfig) -> Window {
        let now = clock::now();
        Window {
            ledger: connect_config.ledger.clone(),
            matched: connect_config.matched.clone(),
            request_options: connect_config.request_options.clone(),
            in_flight: VecDeque::with_capacity(connect_config.in_flight),
            free: std::iter::repeat_n(now, connect_config.in_flight).collect(),
            writable: now,
            carried: 0,
            left: connect_config.left(0),
            expirations: connect_config.ledger.expirations(),
        }
    }

    /// No open events.
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The connection's lifetime is over: it takes no further event.
    pub(crate) fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Bytes that had been waiting were written: the socket takes further ones from now on.
    pub(crate) fn writable_again(&mut self) {
        self.writable = clock::now();
    }

    /// Takes the next event if a slot is free, and stamps it as sent: write it at once.
    pub fn take(&mut self, feed: &Feed, cx: &Context<'_>) -> Poll<Option<Ticket>> {
        if self.left == 0 || self.free.is_empty() {
            return Poll::Pending;
        }
        let Poll::Ready(next) = feed.poll_next(cx) else {
            return Poll::Pending;
        };
        let Some(ticket) = next else {
            return Poll::Ready(None);
        };
        let free = self.free.pop_front().unwrap_or(self.writable);
        self.left -= 1;
        self.carried += 1;
        self.ledger.sent(&ticket);
        self.in_flight.push_back(InFlightEvent {
            ticket,
            free: free.max(self.writable),
            sent: clock::now(),
            written: 0,
            nth: self.carried,
        });
        Poll::Ready(Some(ticket))
    }

    /// What was taken lately was handed to the socket.
    fn written(&mut self, read_times: &ReadTimes) {
        let Some(at) = read_times.written() else { return };
        let lately = self.in_flight.iter_mut().rev().take_while(|f| f.written == 0);
        lately.for_each(|f| f.written = at);
    }

    /// A message was read; true when it is a heartbeat of the target.
    #[inline]
    pub fn answer(&mut self, message: &[u8], read_times: &ReadTimes) -> bool {
        // By order any message would be an answer.
        let by_order = matches!(self.matched, Matched::ByOrder);
        if by_order && self.request_options.is_heartbeat(message) {
            return true;
        }
        let answered = self.matched.answered(message);
        let at = match answered {
            Answered::Oldest => 0,
            Answered::Event(index) => {
                let at = self.in_flight.iter().position(|f| f.ticket.index == index);
                at.unwrap_or(usize::MAX)
            }
            Answered::Nothing => usize::MAX,
        };
        let Some(in_flight) = self.in_flight.remove(at) else {
            return self.unanswered(message, answered);
        };
        if at > 0 {
            self.ledger.reordered();
        }
        let instants = Instants {
            free: in_flight.free,
            sent: in_flight.sent,
            done: read_times.read(),
            woken: read_times.woken(),
            nth: in_flight.nth,
        };
        if in_flight.written > 0 {
            let encode = in_flight.written - in_flight.sent;
            self.ledger.layer_times(&in_flight.ticket, encode, clock::now() - instants.done);
        }
        self.ledger.acknowledge(&in_flight.ticket, instants);
        self.free.push_back(read_times.read());
        false
    }

    /// A message answers no open event; true when it is a heartbeat of the target.
    #[cold]
    fn unanswered(&self, message: &[u8], answered: Answered) -> bool {
        match (answered, &self.matched) {
            (Answered::Event(index), _) => self.ledger.stray(Some(index)),
            (Answered::Nothing, _) if self.request_options.is_heartbeat(message) => return true,
            // The protocol has messages that are no answers.
            (Answered::Nothing, Matched::ByPattern(_)) => self.ledger.other_message(),
            (Answered::Nothing | Answered::Oldest, _) => self.ledger.stray(None),
        }
        false
    }

    /// Frees the slots of events that have timed out. Matched by order a late answer would be taken
    /// for that of the next event, so the connection is given up.
    pub(crate) fn drop_expired(&mut self) -> Result<(), Fault> {
        let expirations = self.ledger.expirations();
        if std::mem::replace(&mut self.expirations, expirations) == expirations {
            return Ok(());
        }
        let before = self.in_flight.len();
        let ledger = &self.ledger;
        self.in_flight.retain(|f| ledger.is_open(&f.ticket));
        let freed = before - self.in_flight.len();
        if freed > 0 {
            if !self.matched.tells_ids() {
                return Err(Fault::TimedOut);
            }
            self.free.extend(std::iter::repeat_n(clock::now(), freed));
        }
        Ok(())
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        for in_flight in &self.in_flight {
            self.ledger.lose(&in_flight.ticket);
        }
    }
}
