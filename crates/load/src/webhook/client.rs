//! The sender's half: one kept connection, one request at a time, spoken without a library between the
//! socket and the event: a prepared head, and a response that is taken apart where it was read.

use crate::client::Client;
use crate::connect_config::ConnectConfig;
use crate::feed::Feed;
use crate::io::{Stamped, Stamps};
use crate::ledger::{Instants, Ledger, SendInstants, Ticket};
use crate::webhook::prebuilt::Prebuilt;
use crate::webhook::unasked;
use pushbench_core::arm::ArmOption;
use pushbench_core::event::Matched;
use pushbench_core::record::outcomes::Failure;
use pushbench_host::clock;
use pushbench_wire::fault::Fault;
use pushbench_wire::response_diagnostics;
use pushbench_wire::shared_buffers::{Unread, Unwritten};
use pushbench_wire::stream::Stream;
use pushbench_wire::webhook::response;
use pushbench_wire::webhook::response::{Answer, Broken, Reading};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// No server closes a connection for having been idle for less, ns.
const LEAST_IDLE: u64 = 10_000_000;

/// An open connection to a webhook endpoint.
pub struct Webhook {
    connect_config: ConnectConfig,
    request: Prebuilt,
    io: Stream<Stamped>,
}

impl Client for Webhook {
    async fn open(connect_config: &ConnectConfig) -> Result<Self, Fault> {
        let request = Prebuilt::new(connect_config)?;
        let io = Stamped::connect(connect_config).await?;
        if connect_config.warm {
            io.socket().set_up();
        }
        Ok(Webhook { connect_config: connect_config.clone(), request, io })
    }

    async fn carry(self, feed: Feed, ledger: Rc<Ledger>) -> Result<(), Fault> {
        let Webhook { connect_config, request, io } = self;
        let stamps = io.socket().stamps();
        let mut carrier = Carrier {
            desk: Matcher { connect_config: &connect_config, ledger: &ledger, stamps: &stamps },
            request: &request,
            feed: &feed,
            io,
            unread: Unread::default(),
            unwritten: Unwritten::default(),
            reading: Reading::default(),
            flight: None,
            free: clock::now(),
            carried: 0,
        };
        let ended = poll_fn(|cx| carrier.poll(cx)).await;
        let left = carrier.unread.bytes();
        match ended {
            Ok(()) => {
                unasked::count(left, &connect_config.matched, &ledger);
                Ok(())
            }
            // What is left after a response that is none belongs to it.
            Err(fault @ Fault::Protocol(_)) => {
                Err(fault
                    .with(&response_diagnostics::instead(left, &connect_config.request_options)))
            }
            Err(fault) => Err(fault),
        }
    }
}

/// An event in the air.
struct Flight {
    ticket: Ticket,
    asked: SendInstants,
    /// Its answer comes by a callback, and when it is accepted is measured.
    measured: bool,
}

/// A connection that carries events.
struct Carrier<'a> {
    desk: Matcher<'a>,
    request: &'a Prebuilt,
    feed: &'a Feed,
    io: Stream<Stamped>,
    unread: Unread,
    unwritten: Unwritten,
    reading: Reading,
    flight: Option<Flight>,
    /// Since when the next event could have gone.
    free: u64,
    carried: u64,
}

impl Carrier<'_> {
    /// Ready when the connection carries no further event. Nothing is lost by an `Ok`: the slot
    /// connects again for the next event.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        loop {
            if let Some(flight) = self.flight.take() {
                match self.poll_answer(&flight, cx) {
                    Poll::Ready(Ok(keep)) => {
                        self.settled();
                        if !keep {
                            return Poll::Ready(Ok(()));
                        }
                    }
                    Poll::Ready(Err(fault)) => {
                        self.desk.ledger.lose(&flight.ticket);
                        return Poll::Ready(Err(self.explained(fault, &flight.asked)));
                    }
                    Poll::Pending if self.desk.waits(&flight.ticket) => {
                        self.flight = Some(flight);
                        self.feed.watch(cx);
                        return Poll::Pending;
                    }
                    Poll::Pending => return Poll::Ready(Err(Fault::TimedOut)),
                }
            }
            let Some(ticket) = ready!(self.poll_next(cx)) else { return Poll::Ready(Ok(())) };
            self.depart(ticket);
        }
    }

    /// The next event once the connection can take it; `None` when there is none for this connection.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Ticket>> {
        if self.desk.connect_config.left(self.carried) == 0 || !self.unread.bytes().is_empty() {
            return Poll::Ready(None);
        }
        // Bytes that no request asked for, or the end: either way nothing can be sent here any more.
        if self.unread.poll_read(&mut self.io, cx, |_| (0, ())).is_ready() {
            return Poll::Ready(None);
        }
        // A target may answer before it has read everything; the rest of that request goes first.
        match self.unwritten.poll_written(&mut self.io, cx) {
            Poll::Ready(Ok(())) => self.feed.poll_next(cx),
            Poll::Ready(Err(_closed)) => Poll::Ready(None),
            Poll::Pending => {
                self.feed.watch(cx);
                Poll::Pending
            }
        }
    }

    /// The event is on its way from here on; its bytes are written next.
    fn depart(&mut self, ticket: Ticket) {
        let Matcher { connect_config, ledger, .. } = self.desk;
        let asked = SendInstants { free: self.free, sent: clock::now(), nth: self.carried + 1 };
        ledger.sent(&ticket);
        let measured = connect_config.spec.has(ArmOption::Callback) && ledger.asked(&ticket, asked);
        self.request.append(&connect_config.template, ticket.index, self.unwritten.room());
        self.flight = Some(Flight { ticket, asked, measured });
    }

    /// Writes what is left of the request and reads its response; true when the connection can be used
    /// again. What has come is looked at even when nothing can be written any more.
    fn poll_answer(&mut self, flight: &Flight, cx: &mut Context<'_>) -> Poll<Result<bool, Fault>> {
        let written = match self.unwritten.is_empty() {
            true => Poll::Ready(Ok(())),
            false => self.unwritten.poll_written(&mut self.io, cx),
        };
        loop {
            let (reading, desk) = (&mut self.reading, self.desk);
            let read = self.unread.poll_read(&mut self.io, cx, |bytes| match reading.look(bytes) {
                Ok(None) => (0, Ok(None)),
                Ok(Some(answer)) => (answer.used, Ok(Some(desk.settle(flight, &answer)))),
                Err(broken) => (0, Err(broken)),
            });
            return Poll::Ready(match read {
                Poll::Pending => match written {
                    Poll::Ready(Err(e)) => Err(Fault::closed(e)),
                    _ => return Poll::Pending,
                },
                Poll::Ready(Err(e)) => Err(Fault::closed(e)),
                Poll::Ready(Ok(Some(Ok(None)))) => continue,
                Poll::Ready(Ok(Some(Ok(Some(keep))))) => Ok(keep),
                Poll::Ready(Ok(Some(Err(broken)))) => Err(fault_of(broken)),
                Poll::Ready(Ok(None)) => {
                    let ended = self.unread.look(|bytes| match reading.end(bytes) {
                        Ok(answer) => (answer.used, Ok(desk.settle(flight, &answer))),
                        Err(broken) => (0, Err(broken)),
                    });
                    ended.map_err(fault_of)
                }
            });
        }
    }

    /// Names the time-out of a target that closed the kept connection before it read the request.
    fn explained(&self, fault: Fault, asked: &SendInstants) -> Fault {
        let idle = asked.sent.saturating_sub(asked.free);
        let answered = self.carried == 0 || !self.unread.bytes().is_empty();
        // A socket that is closed with a request unread is reset.
        let unread = self.io.socket().has_unacknowledged() || fault != fault_of(Broken::CutShort);
        let at_once = clock::now().saturating_sub(asked.sent) < idle;
        match &fault {
            Fault::Closed(_) if !answered && unread && at_once && idle >= LEAST_IDLE => {
                fault.after_idle(idle)
            }
            _ => fault,
        }
    }

    /// The event has its outcome, and the connection may take the next one.
    fn settled(&mut self) {
        self.reading = Reading::default();
        self.carried += 1;
        self.free = self.desk.stamps.read();
    }
}

fn fault_of(broken: Broken) -> Fault {
    match broken {
        Broken::CutShort => Fault::closed(broken),
        broken => Fault::protocol(broken),
    }
}

/// Where answers find their events and events their outcomes.
#[derive(Clone, Copy)]
struct Matcher<'a> {
    connect_config: &'a ConnectConfig,
    ledger: &'a Ledger,
    stamps: &'a Stamps,
}

impl Matcher<'_> {
    /// Whether an answer is still worth waiting for. It may overtake the word that the question was
    /// accepted, which is still to come then.
    fn waits(&self, ticket: &Ticket) -> bool {
        self.ledger.is_open(ticket)
            || self.connect_config.spec.has(ArmOption::Callback)
                && self.ledger.is_in_time(ticket, clock::now())
    }

    /// A response was read; true when another request may follow it.
    fn settle(&self, flight: &Flight, answer: &Answer<'_>) -> bool {
        let Flight { ticket, asked, measured } = flight;
        let (done, woken) = (self.stamps.read(), self.stamps.woken());
        let success = answer.status.is_success();
        if self.connect_config.spec.has(ArmOption::Callback) {
            match success {
                true if *measured => self.ledger.accepted(ticket, done),
                true => {}
                false => self.refused(ticket, answer),
            }
        } else if success && self.names(ticket, answer.body) {
            let SendInstants { free, sent, nth } = *asked;
            self.ledger.acknowledge(ticket, Instants { free, sent, done, woken, nth });
        } else {
            self.refused(ticket, answer);
        }
        answer.keep
    }

    fn names(&self, ticket: &Ticket, body: &[u8]) -> bool {
        match &self.connect_config.matched {
            Matched::ByOrder => true,
            by_id => by_id.index(body) == Some(ticket.index),
        }
    }

    fn refused(&self, ticket: &Ticket, answer: &Answer<'_>) {
        let headers = response::headers(answer.head);
        let Answer { status, body, .. } = *answer;
        let response = response_diagnostics::Response { status, headers: &headers, body };
        let message = response_diagnostics::to_event(
            &response,
            &self.connect_config.request_options,
            ticket.index,
        );
        self.ledger.fail(ticket, Failure::WrongAnswer, &message);
    }
}
