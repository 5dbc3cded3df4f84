//! The client: one kept connection, one request at a time, without a library between the
//! socket and the event: a prepared head, and a response that is taken apart where it was read.

use crate::connections::Client;
use crate::connections::ConnectConfig;
use crate::feed::Feed;
use crate::io::{InstrumentedSocket, ReadTimes};
use crate::ledger::{Instants, Ledger, SendInstants, Ticket};
use crate::webhook::prepared_request::{PreparedRequest, is_compressed};
use hyper::StatusCode;
use hyper::header::HeaderMap;
use pushbench_core::arm::ArmOption;
use pushbench_core::event::{Answered, Matched};
use pushbench_core::record::outcomes::Failure;
use pushbench_host::clock;
use pushbench_wire::fault::Fault;
use pushbench_wire::response_diagnostics;
use pushbench_wire::shared_buffers::{Unread, Unwritten};
use pushbench_wire::stream::Stream;
use pushbench_wire::tls::diagnostics::{TlsFailure, WITHOUT_CLOSE_NOTIFY};
use pushbench_wire::webhook::response;
use pushbench_wire::webhook::response::{Answer, ResponseError, ResponseParser, retry_after};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// No server closes a connection for having been idle for less, ns.
const LEAST_IDLE: u64 = 10_000_000;

/// An open connection to a webhook endpoint.
pub struct Webhook {
    connect_config: ConnectConfig,
    request: PreparedRequest,
    io: Stream<InstrumentedSocket>,
}

impl Client for Webhook {
    async fn open(connect_config: &ConnectConfig) -> Result<Self, Fault> {
        let request = PreparedRequest::new(connect_config)?;
        let io = InstrumentedSocket::connect(connect_config).await?;
        Ok(Webhook { connect_config: connect_config.clone(), request, io })
    }

    async fn carry(self, feed: Feed, ledger: Rc<Ledger>) -> Result<(), Fault> {
        let Webhook { connect_config, mut request, io } = self;
        let read_times = io.socket().read_times();
        let mut sender = RequestSender {
            response_matcher: ResponseMatcher {
                connect_config: &connect_config,
                ledger: &ledger,
                read_times: &read_times,
            },
            encodes: connect_config.encodes() || is_compressed(&connect_config),
            request: &mut request,
            feed: &feed,
            io,
            unread: Unread::default(),
            unwritten: Unwritten::default(),
            parser: ResponseParser::default(),
            in_flight: None,
            free: clock::now(),
            carried: 0,
        };
        let ended = poll_fn(|cx| sender.poll(cx)).await;
        let left = sender.unread.bytes();
        match ended {
            Ok(()) => {
                count_unsolicited(left, &connect_config.matched, &ledger);
                sender.io.socket().account();
                poll_fn(|cx| {
                    sender.io.close_notify(cx);
                    Poll::Ready(())
                })
                .await;
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
pub(super) struct InFlightRequest {
    pub ticket: Ticket,
    pub send_instants: SendInstants,
    /// Its answer comes by a callback, and when it is accepted is measured.
    pub measured: bool,
}

/// A connection that carries events.
struct RequestSender<'a> {
    response_matcher: ResponseMatcher<'a>,
    request: &'a mut PreparedRequest,
    feed: &'a Feed,
    io: Stream<InstrumentedSocket>,
    unread: Unread,
    unwritten: Unwritten,
    parser: ResponseParser,
    in_flight: Option<InFlightRequest>,
    /// Since when the next event could have gone.
    free: u64,
    carried: u64,
    encodes: bool,
}

impl RequestSender<'_> {
    /// Ready when the connection carries no further event. Nothing is lost by an `Ok`: the slot
    /// connects again for the next event.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        loop {
            if let Some(in_flight) = self.in_flight.take() {
                match self.poll_answer(&in_flight, cx) {
                    Poll::Ready(Ok(keep)) => {
                        self.finish_event();
                        if !keep {
                            return Poll::Ready(Ok(()));
                        }
                    }
                    Poll::Ready(Err(fault)) => {
                        self.response_matcher.ledger.lose(&in_flight.ticket);
                        let answered = self.carried == 0
                            || !self.unread.bytes().is_empty()
                            || self.response_matcher.ledger.breaks();
                        let instants = &in_flight.send_instants;
                        return Poll::Ready(Err(with_idle_time(
                            fault,
                            instants,
                            answered,
                            self.io.socket(),
                        )));
                    }
                    Poll::Pending if self.response_matcher.is_awaited(&in_flight.ticket) => {
                        self.in_flight = Some(in_flight);
                        self.feed.register_waker(cx);
                        return Poll::Pending;
                    }
                    Poll::Pending => return Poll::Ready(Err(Fault::TimedOut)),
                }
            }
            let Some(ticket) = ready!(self.poll_next(cx)) else { return Poll::Ready(Ok(())) };
            self.send(ticket);
        }
    }

    /// The next event once the connection can take it; `None` when there is none for this connection.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Ticket>> {
        if self.response_matcher.connect_config.left(self.carried) == 0
            || !self.unread.bytes().is_empty()
        {
            return Poll::Ready(None);
        }
        // Unsolicited bytes or the end: in both cases this connection cannot be used again.
        if let Poll::Ready(read) = self.unread.poll_read(&mut self.io, cx, |_| (0, ())) {
            note_broken_tls(read, self.response_matcher.ledger);
            return Poll::Ready(None);
        }
        // A target may answer before it has read everything; the rest of that request goes first.
        match self.unwritten.poll_written(&mut self.io, cx) {
            Poll::Ready(Ok(())) => self.feed.poll_next(cx),
            Poll::Ready(Err(_closed)) => Poll::Ready(None),
            Poll::Pending => {
                self.feed.register_waker(cx);
                Poll::Pending
            }
        }
    }

    /// The event is on its way from here on; its bytes are written next.
    fn send(&mut self, ticket: Ticket) {
        let ResponseMatcher { connect_config, ledger, .. } = self.response_matcher;
        let send_instants =
            SendInstants { free: self.free, sent: clock::now(), nth: self.carried + 1 };
        ledger.sent(&ticket);
        if self.carried == 0 && connect_config.warm {
            self.io.socket().end_setup();
        }
        let measured = connect_config.spec.has(ArmOption::Callback)
            && ledger.send_instants(&ticket, send_instants);
        if self.encodes {
            self.response_matcher.read_times.await_write();
        }
        self.request.append(&connect_config.template, ticket.index, self.unwritten.room());
        self.in_flight = Some(InFlightRequest { ticket, send_instants, measured });
    }

    /// Writes what is left of the request and reads its response; true when the connection can be used
    /// again. What has come is looked at even when nothing can be written any more.
    fn poll_answer(
        &mut self,
        in_flight: &InFlightRequest,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, Fault>> {
        let written = match self.unwritten.is_empty() {
            true => Poll::Ready(Ok(())),
            false => self.unwritten.poll_written(&mut self.io, cx),
        };
        loop {
            let (parser, response_matcher) = (&mut self.parser, self.response_matcher);
            let read = self.unread.poll_read(&mut self.io, cx, |bytes| match parser.look(bytes) {
                Ok(None) => (0, Ok(None)),
                Ok(Some(answer)) => {
                    (answer.used, Ok(Some(response_matcher.record_answer(in_flight, &answer))))
                }
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
                        Ok(answer) => {
                            (answer.used, Ok(response_matcher.record_answer(in_flight, &answer)))
                        }
                        Err(error) => (0, Err(error)),
                    });
                    ended.map_err(fault_of)
                }
            });
        }
    }

    /// The event has its outcome, and the connection may take the next one.
    fn finish_event(&mut self) {
        self.parser = ResponseParser::default();
        self.carried += 1;
        self.free = self.response_matcher.read_times.read();
    }
}

impl Drop for RequestSender<'_> {
    /// A planned cut ends a connection wherever it is.
    fn drop(&mut self) {
        if let Some(in_flight) = &self.in_flight {
            self.response_matcher.ledger.lose(&in_flight.ticket);
        }
    }
}

/// Names the time-out of a target that closed the kept connection before it read the request. `answered`: it was no
/// kept one, or something has come back.
pub(super) fn with_idle_time(
    fault: Fault,
    send_instants: &SendInstants,
    answered: bool,
    socket: &InstrumentedSocket,
) -> Fault {
    let idle = send_instants.sent.saturating_sub(send_instants.free);
    // A socket that is closed with a request unread is reset.
    let unread = socket.has_unacknowledged()
        || fault != fault_of(ResponseError::CutShort)
            && !matches!(&fault, Fault::Closed(why) if why.starts_with(WITHOUT_CLOSE_NOTIFY));
    let at_once = clock::now().saturating_sub(send_instants.sent) < idle;
    match &fault {
        Fault::Closed(_) if !answered && unread && at_once && idle >= LEAST_IDLE => {
            fault.after_idle(idle)
        }
        _ => fault,
    }
}

pub(super) fn fault_of(error: ResponseError) -> Fault {
    match error {
        ResponseError::CutShort => Fault::closed(error),
        error => Fault::protocol(error),
    }
}

/// Where answers find their events and events their outcomes.
#[derive(Clone, Copy)]
pub(super) struct ResponseMatcher<'a> {
    pub connect_config: &'a ConnectConfig,
    pub ledger: &'a Ledger,
    pub read_times: &'a ReadTimes,
}

impl ResponseMatcher<'_> {
    /// Whether to wait for an answer. The callback may arrive before the response that the question was
    /// accepted.
    fn is_awaited(&self, ticket: &Ticket) -> bool {
        self.ledger.is_open(ticket)
            || self.connect_config.spec.has(ArmOption::Callback)
                && self.ledger.is_in_time(ticket, clock::now())
    }

    /// A response of HTTP/1.1 was read; true when another request may follow it.
    fn record_answer(&self, in_flight: &InFlightRequest, answer: &Answer<'_>) -> bool {
        let headers = || response::headers(answer.head);
        let written = self.read_times.written();
        self.record(in_flight, written, (answer.status, headers, answer.body));
        answer.keep
    }

    /// An exchange has ended: the request, when it was handed to the socket where a layer takes its time, and status,
    /// headers and body of its response.
    pub fn record(
        &self,
        in_flight: &InFlightRequest,
        written: Option<u64>,
        (status, headers, body): (StatusCode, impl FnOnce() -> HeaderMap, &[u8]),
    ) {
        let InFlightRequest { ticket, send_instants, measured } = in_flight;
        let (done, woken) = (self.read_times.read(), self.read_times.woken());
        let success = status.is_success();
        if success && self.connect_config.spec.has(ArmOption::Callback) {
            if *measured {
                self.ledger.accepted(ticket, done);
            }
        } else if success && self.answers(ticket, body) {
            let SendInstants { free, sent, nth } = *send_instants;
            if let Some(written) = written {
                self.ledger.layer_times(ticket, written - sent, clock::now() - done);
            }
            self.ledger.acknowledge(ticket, Instants { free, sent, done, woken, nth });
        } else {
            self.record_refusal(ticket, status, &headers(), body);
        }
    }

    fn answers(&self, ticket: &Ticket, body: &[u8]) -> bool {
        match self.connect_config.matched.answered(body) {
            Answered::Oldest => true,
            Answered::Event(index) => index == ticket.index,
            Answered::Nothing => false,
        }
    }

    #[cold]
    fn record_refusal(
        &self,
        ticket: &Ticket,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) {
        let response = response_diagnostics::Response { status, headers, body };
        let message = response_diagnostics::to_event(
            &response,
            &self.connect_config.request_options,
            ticket.index,
        );
        let why = (Failure::WrongAnswer, retry_after(status, headers));
        self.ledger.refuse(ticket, why, &message);
    }
}

/// A connection that carries nothing has ended, which is a fault only where it breaks TLS.
pub(super) fn note_broken_tls(read: io::Result<Option<()>>, ledger: &Ledger) {
    if let Err(e) = read
        && TlsFailure::of(&e).is_some_and(|failure| failure.what != WITHOUT_CLOSE_NOTIFY)
    {
        ledger.fault(&Fault::of(e).to_string());
    }
}

const HEAD_END: &[u8] = b"\r\n\r\n";

/// Counts the responses in what was left on a connection; bytes that are no response count as one.
pub(super) fn count_unsolicited(mut left: &[u8], matched: &Matched, ledger: &Ledger) {
    while !left.is_empty() {
        let (body, rest) = response(left).unwrap_or((left, &[]));
        ledger.stray(matched.index(body));
        left = rest;
    }
}

/// The body of the first response and what follows it; `None` when the bytes are no whole response.
pub(super) fn response(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if !bytes.starts_with(b"HTTP/1.") {
        return None;
    }
    let head = bytes.windows(HEAD_END.len()).position(|w| w == HEAD_END)?;
    let (head, rest) = bytes.split_at(head + HEAD_END.len());
    let length = std::str::from_utf8(head).ok()?.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    rest.split_at_checked(length.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_taken_apart() {
        let two = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 204 No\r\n\r\nrest";
        let (body, rest) = response(two).unwrap();
        assert_eq!(body, b"ok");
        assert_eq!(response(rest).unwrap(), (&b""[..], &b"rest"[..]));
        for bad in ["rest", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
        {
            assert_eq!(response(bad.as_bytes()), None, "{bad}");
        }
    }
}
