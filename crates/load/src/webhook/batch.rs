//! The client of arms with `+batch`: a POST carries the events that wait when the connection is free, up to so many,
//! as a JSON array, and the response acknowledges each of them by its id.

use crate::connections::{Client, ConnectConfig};
use crate::feed::Feed;
use crate::io::{InstrumentedSocket, ReadTimes};
use crate::ledger::{Instants, Ledger, SendInstants, Ticket};
use crate::webhook::client::{
    fault_of, note_broken_tls, response as next_response, with_idle_time,
};
use crate::webhook::prepared_request::{PreparedRequest, is_compressed};
use pushbench_core::arm::ArmOption;
use pushbench_core::record::outcomes::Failure;
use pushbench_host::clock;
use pushbench_wire::fault::Fault;
use pushbench_wire::response_body::without_ids;
use pushbench_wire::response_diagnostics;
use pushbench_wire::shared_buffers::{Unread, Unwritten};
use pushbench_wire::stream::Stream;
use pushbench_wire::webhook::batch::{Entry, Positions};
use pushbench_wire::webhook::response;
use pushbench_wire::webhook::response::{Answer, ResponseParser, retry_after};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// An open connection to a webhook endpoint that takes batches.
pub struct BatchedWebhook {
    connect_config: ConnectConfig,
    request: PreparedRequest,
    io: Stream<InstrumentedSocket>,
}

impl Client for BatchedWebhook {
    async fn open(connect_config: &ConnectConfig) -> Result<Self, Fault> {
        let request = PreparedRequest::new(connect_config)?;
        let io = InstrumentedSocket::connect(connect_config).await?;
        Ok(BatchedWebhook { connect_config: connect_config.clone(), request, io })
    }

    async fn carry(self, feed: Feed, ledger: Rc<Ledger>) -> Result<(), Fault> {
        let BatchedWebhook { connect_config, request, io } = self;
        let numbers = connect_config.spec.options.number(ArmOption::Batch);
        let mut sender = BatchSender {
            most: numbers.unwrap_or(1).min(connect_config.in_flight) as u64,
            batch: Batch {
                connect_config: &connect_config,
                ledger: &ledger,
                read_times: io.socket().read_times(),
                tickets: Vec::new(),
                positions: Positions::default(),
                instants: SendInstants { free: clock::now(), sent: 0, nth: 1 },
            },
            request,
            encodes: connect_config.encodes() || is_compressed(&connect_config),
            feed: &feed,
            io,
            unread: Unread::default(),
            unwritten: Unwritten::default(),
            parser: ResponseParser::default(),
        };
        let ended = poll_fn(|cx| sender.poll(cx)).await;
        let left = sender.unread.bytes();
        match ended {
            Ok(()) => {
                sender.batch.count_unsolicited(left);
                sender.io.socket().account();
                poll_fn(|cx| {
                    sender.io.close_notify(cx);
                    Poll::Ready(())
                })
                .await;
                Ok(())
            }
            Err(fault @ Fault::Protocol(_)) => {
                Err(fault
                    .with(&response_diagnostics::instead(left, &connect_config.request_options)))
            }
            Err(fault) => Err(fault),
        }
    }
}

/// A connection that carries batches.
struct BatchSender<'a> {
    batch: Batch<'a>,
    /// Events a request carries at most.
    most: u64,
    request: PreparedRequest,
    encodes: bool,
    feed: &'a Feed,
    io: Stream<InstrumentedSocket>,
    unread: Unread,
    unwritten: Unwritten,
    parser: ResponseParser,
}

impl BatchSender<'_> {
    /// Ready when the connection carries no further event.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        loop {
            // Events are sent in the order in which they are due: the first one times out first.
            if let Some(oldest) = self.batch.tickets.first() {
                let awaited = self.batch.ledger.is_open(oldest);
                match self.poll_answer(cx) {
                    Poll::Ready(Ok(keep)) => {
                        self.parser = ResponseParser::default();
                        if !keep {
                            return Poll::Ready(Ok(()));
                        }
                    }
                    Poll::Ready(Err(fault)) => {
                        let answered = self.batch.instants.nth == 1
                            || !self.unread.bytes().is_empty()
                            || self.batch.ledger.breaks();
                        return Poll::Ready(Err(with_idle_time(
                            fault,
                            &self.batch.instants,
                            answered,
                            self.io.socket(),
                        )));
                    }
                    Poll::Pending if awaited => {
                        self.feed.register_waker(cx);
                        return Poll::Pending;
                    }
                    // What comes for the others comes too late: nobody reads this connection any more.
                    Poll::Pending => return Poll::Ready(Err(Fault::TimedOut)),
                }
            }
            let Some(first) = ready!(self.poll_next(cx)) else { return Poll::Ready(Ok(())) };
            self.send(first);
        }
    }

    /// The first event of the next batch once the connection can take it; `None` when there is none for this
    /// connection.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Ticket>> {
        let carried = self.batch.instants.nth - 1;
        if self.batch.connect_config.left(carried) == 0 || !self.unread.bytes().is_empty() {
            return Poll::Ready(None);
        }
        // Unsolicited bytes or the end: in both cases this connection cannot be used again.
        if let Poll::Ready(read) = self.unread.poll_read(&mut self.io, cx, |_| (0, ())) {
            note_broken_tls(read, self.batch.ledger);
            return Poll::Ready(None);
        }
        match self.unwritten.poll_written(&mut self.io, cx) {
            Poll::Ready(Ok(())) => self.feed.poll_next(cx),
            Poll::Ready(Err(_closed)) => Poll::Ready(None),
            Poll::Pending => {
                self.feed.register_waker(cx);
                Poll::Pending
            }
        }
    }

    /// The event and those that wait behind it are on their way from here on; their bytes are written next.
    fn send(&mut self, first: Ticket) {
        let Batch { connect_config, ledger, read_times, tickets, instants, .. } = &mut self.batch;
        tickets.push(first);
        let most = self.most.min(connect_config.left(instants.nth - 1)) as usize;
        while tickets.len() < most
            && let Some(ticket) = self.feed.next_waiting()
        {
            tickets.push(ticket);
        }
        instants.sent = clock::now();
        tickets.iter().for_each(|ticket| ledger.sent(ticket));
        ledger.posted();
        if instants.nth == 1 && connect_config.warm {
            self.io.socket().end_setup();
        }
        if self.encodes {
            read_times.await_write();
        }
        let others = tickets[1..].iter().map(|ticket| ticket.index);
        let events = (first.index, others);
        self.request.append_batch(&connect_config.template, events, self.unwritten.room());
    }

    /// Writes what is left of the request and reads its response; true when the connection can be used
    /// again. What has come is looked at even when nothing can be written any more.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Fault>> {
        let written = match self.unwritten.is_empty() {
            true => Poll::Ready(Ok(())),
            false => self.unwritten.poll_written(&mut self.io, cx),
        };
        loop {
            let (parser, batch) = (&mut self.parser, &mut self.batch);
            let read = self.unread.poll_read(&mut self.io, cx, |bytes| match parser.look(bytes) {
                Ok(None) => (0, Ok(None)),
                Ok(Some(answer)) => (answer.used, Ok(Some(batch.record_response(&answer)))),
                Err(error) => (0, Err(error)),
            });
            return Poll::Ready(match read {
                Poll::Pending => match written {
                    Poll::Ready(Err(e)) => Err(Fault::of(e)),
                    _ => return Poll::Pending,
                },
                Poll::Ready(Err(e)) => Err(Fault::of(e)),
                Poll::Ready(Ok(Some(Ok(None)))) => continue,
                Poll::Ready(Ok(Some(Ok(Some(keep))))) => Ok(keep),
                Poll::Ready(Ok(Some(Err(error)))) => Err(fault_of(error)),
                Poll::Ready(Ok(None)) => {
                    let ended = self.unread.look(|bytes| match parser.end(bytes) {
                        Ok(answer) => (answer.used, Ok(batch.record_response(&answer))),
                        Err(error) => (0, Err(error)),
                    });
                    ended.map_err(fault_of)
                }
            });
        }
    }
}

/// The events of the request on its way.
struct Batch<'a> {
    connect_config: &'a ConnectConfig,
    ledger: &'a Ledger,
    read_times: Rc<ReadTimes>,
    tickets: Vec<Ticket>,
    positions: Positions,
    /// Of the first event: those behind it differ in their number on the connection.
    instants: SendInstants,
}

impl Drop for Batch<'_> {
    /// The connection ended first.
    fn drop(&mut self) {
        self.tickets.iter().for_each(|ticket| self.ledger.lose(ticket));
    }
}

impl Batch<'_> {
    /// A response was read, and each event has its outcome; true when another request may follow it.
    fn record_response(&mut self, answer: &Answer<'_>) -> bool {
        let (done, woken) = (self.read_times.read(), self.read_times.woken());
        let Batch { connect_config, ledger, read_times, tickets, positions, instants } = self;
        let mut refused = Vec::new();
        if !answer.status.is_success() {
            let message = self.refusal(answer);
            let retry_after = retry_after(answer.status, &response::headers(answer.head));
            self.fail_rest(&[], retry_after, &message);
        } else {
            let written = read_times.written();
            let SendInstants { free, sent, nth } = *instants;
            let ids = tickets.iter().map(|ticket| ticket.index);
            let read =
                positions.read(answer.body, &connect_config.matched, ids, |entry| match entry {
                    Entry::Acknowledged { at, overtook } => {
                        let ticket = &tickets[at];
                        if overtook {
                            ledger.reordered();
                        }
                        if let Some(written) = written {
                            ledger.layer_times(ticket, written - sent, clock::now() - done);
                        }
                        let nth = nth + at as u64;
                        ledger.acknowledge(ticket, Instants { free, sent, done, woken, nth });
                    }
                    Entry::Refused { at, why } => {
                        refused.push(at);
                        let why = without_ids(why.as_bytes(), [tickets[at].index]);
                        let why = connect_config.request_options.hide(&why);
                        let message = format!("refused in the response of its batch: {why}");
                        ledger.fail(&tickets[at], Failure::WrongAnswer, &message);
                    }
                    Entry::Stray(index) => ledger.stray(index),
                });
            match read {
                Ok(()) => {
                    self.fail_rest(&refused, None, "not acknowledged in the response of its batch");
                }
                Err(_) => {
                    let message = format!(
                        "{}; a batch is answered with a JSON array, one entry for each event: [{{\"id\": \"…\"}}, …]",
                        self.refusal(answer)
                    );
                    self.fail_rest(&refused, None, &message);
                }
            }
        }
        self.instants.nth += self.tickets.len() as u64;
        self.instants.free = done;
        self.tickets.clear();
        answer.keep
    }

    /// What a response says that acknowledges none of the events.
    fn refusal(&self, answer: &Answer<'_>) -> String {
        let headers = response::headers(answer.head);
        let Answer { status, body, .. } = *answer;
        let body = without_ids(body, self.tickets.iter().map(|ticket| ticket.index));
        let response =
            response_diagnostics::Response { status, headers: &headers, body: body.as_bytes() };
        let first = self.tickets.first().map_or(0, |ticket| ticket.index);
        response_diagnostics::to_event(&response, &self.connect_config.request_options, first)
    }

    /// Fails those that are open, but for the ones that were refused: they may be tried again.
    fn fail_rest(&self, refused: &[usize], retry_after: Option<u64>, message: &str) {
        for (at, ticket) in self.tickets.iter().enumerate() {
            if self.ledger.is_open(ticket) && !refused.contains(&at) {
                self.ledger.refuse(ticket, (Failure::WrongAnswer, retry_after), message);
            }
        }
    }

    /// Counts the entries of responses that were left on the connection; bytes that are none count as one.
    fn count_unsolicited(&mut self, mut left: &[u8]) {
        let (ledger, matched) = (self.ledger, &self.connect_config.matched);
        while !left.is_empty() {
            let (body, rest) = next_response(left).unwrap_or((left, &[]));
            let read = self.positions.read(body, matched, std::iter::empty(), |entry| {
                if let Entry::Stray(index) = entry {
                    ledger.stray(index);
                }
            });
            if read.is_err() {
                ledger.stray(None);
            }
            left = rest;
        }
    }
}
