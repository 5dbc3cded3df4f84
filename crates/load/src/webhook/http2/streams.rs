//! A connection that carries events, each on a stream of its own.

use super::UNKNOWN_LIMIT;
use super::diagnostics;
use super::in_flight::{Ended, InFlight, InFlightStream, Response};
use super::tap::{Body, Seen, Tap};
use crate::feed::Feed;
use crate::io::SetupTraffic;
use crate::ledger::{SendInstants, Ticket};
use crate::webhook::client::{InFlightRequest, ResponseMatcher};
use crate::webhook::prepared_request::is_compressed;
use h2::client::{Connection, SendRequest};
use hyper::Request;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::http::response::Parts;
use pushbench_core::event::id_digits;
use pushbench_core::record::outcomes::Failure;
use pushbench_host::clock;
use pushbench_wire::fault::Fault;
use pushbench_wire::limits::LONGEST_BODY;
use pushbench_wire::webhook::gzip::Gzip;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes of events that are written together: an event has its sent instant when it is taken, so it must not wait for
/// long for those behind it.
const BATCH_BYTES: usize = 64 * 1024;

/// A connection that carries events.
pub(super) struct Streams<'a, S> {
    response_matcher: ResponseMatcher<'a>,
    request: &'a Request<()>,
    feed: &'a Feed,
    /// Nothing once the connection is being closed.
    sender: Option<SendRequest<Body>>,
    connection: Connection<Tap<S>, Body>,
    seen: &'a Rc<Seen>,
    setup: Option<SetupTraffic>,
    in_flight: InFlight,
    /// Instants at which the free slots were released, oldest first.
    free: VecDeque<u64>,
    /// Since when a further request can be written.
    writable: u64,
    carried: u64,
    /// The peer takes no further request on this connection.
    closing: bool,
    /// Why events were lost.
    broken: Option<Fault>,
    /// What the ends have agreed on is noted.
    agreed: bool,
    expirations: u64,
    encodes: bool,
    /// Compresses the bodies.
    gzip: Option<Gzip>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Streams<'a, S> {
    pub fn new(
        (response_matcher, request, feed): (ResponseMatcher<'a>, &'a Request<()>, &'a Feed),
        (sender, connection, seen): (SendRequest<Body>, Connection<Tap<S>, Body>, &'a Rc<Seen>),
        setup: Option<SetupTraffic>,
    ) -> Streams<'a, S> {
        let connect_config = response_matcher.connect_config;
        let gzip = is_compressed(connect_config).then(Gzip::default);
        Streams {
            response_matcher,
            request,
            feed,
            sender: Some(sender),
            connection,
            seen,
            setup,
            in_flight: InFlight::default(),
            free: VecDeque::with_capacity(connect_config.in_flight),
            writable: 0,
            carried: 0,
            closing: false,
            broken: None,
            agreed: false,
            expirations: response_matcher.ledger.expirations(),
            encodes: connect_config.encodes() || gzip.is_some(),
            gzip,
        }
    }

    /// Says that nothing more will come (GOAWAY, and close_notify of TLS), as far as the socket takes it now.
    pub async fn close(&mut self) {
        self.sender = None;
        poll_fn(|cx| {
            let _not_waited_for = Pin::new(&mut self.connection).poll(cx);
            Poll::Ready(())
        })
        .await;
    }

    /// Ready when the connection carries no further event.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.feed.register_waker(cx);
        loop {
            let was_blocked = self.seen.blocked();
            let ended = Pin::new(&mut self.connection).poll(cx);
            if was_blocked && !self.seen.blocked() {
                self.writable = clock::now();
            }
            if self.encodes
                && let Some(at) = self.response_matcher.read_times.written()
            {
                self.in_flight.written(at);
            }
            let mut active = self.seen.take_read();
            while let Some((stream, ended, overtook)) = self.in_flight.next_ended() {
                active = true;
                self.end(&stream, ended, overtook);
            }
            if let Poll::Ready(ended) = ended {
                return Poll::Ready(self.ended(ended));
            }
            self.drop_expired();
            let (sent, no_more) = self.send(cx)?;
            if self.in_flight.is_empty() && no_more {
                return Poll::Ready(self.broken.take().map_or(Ok(()), Err));
            }
            if !active && !sent {
                return Poll::Pending;
            }
        }
    }

    /// The connection has ended, which is no fault of one that carries nothing.
    fn ended(&mut self, ended: Result<(), h2::Error>) -> Result<(), Fault> {
        match (ended, self.broken.take()) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(fault)) => Err(fault),
            (Err(e), None) if e.get_io().is_some_and(|e| e.kind() != ErrorKind::InvalidData) => {
                Ok(())
            }
            // The streams were told more of what the library has found.
            (Err(e), Some(fault)) if e.is_library() => Err(fault),
            (Err(e), broken) => Err(diagnostics::ended(e, broken.is_some())),
        }
    }

    /// A stream has ended; `overtook`: before an older one.
    fn end(&mut self, stream: &InFlightStream, ended: Ended, overtook: bool) {
        let ResponseMatcher { ledger, read_times, .. } = self.response_matcher;
        let ticket = &stream.request.ticket;
        match ended {
            Ended::Answered(head, body) => {
                if !self.agreed {
                    self.note_agreed();
                }
                if overtook {
                    ledger.reordered();
                }
                let Parts { status, headers, .. } = *head;
                self.response_matcher.record(
                    &stream.request,
                    stream.written,
                    (status, || headers, &body),
                );
            }
            Ended::TooLong => {
                let why = format!("the answer has more than {} MiB", LONGEST_BODY >> 20);
                ledger.fail(ticket, Failure::WrongAnswer, &why);
            }
            Ended::Broken(e) if e.is_reset() => {
                ledger.fail(ticket, Failure::WrongAnswer, &diagnostics::reset(&e));
            }
            Ended::Broken(e) => {
                ledger.lose(ticket);
                self.broken.get_or_insert_with(|| diagnostics::ended(e, true));
            }
        }
        self.free.push_back(read_times.read());
    }

    /// Notes what the ends have agreed on, once the peer allows streams.
    fn note_agreed(&mut self) {
        let streams = match self.connection.max_concurrent_send_streams() {
            0 | UNKNOWN_LIMIT => return,
            usize::MAX => "any number of streams".to_owned(),
            1 => "at most 1 stream".to_owned(),
            most => format!("at most {most} streams"),
        };
        self.agreed = true;
        self.response_matcher.ledger.agreed(&format!("HTTP/2, {streams}"));
    }

    /// Sends what waits, as far as the connection holds it: whether something was sent, and whether no further event
    /// is sent on it.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(bool, bool), Fault> {
        let mut sent = false;
        self.fit();
        while !self.closing && !self.free.is_empty() && !self.seen.blocked() {
            if self.response_matcher.connect_config.left(self.carried) == 0 {
                return Ok((sent, true));
            }
            let Some(sender) = &mut self.sender else { break };
            match sender.poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_going_away)) => {
                    self.closing = true;
                    break;
                }
                Poll::Pending => {
                    self.writable = clock::now();
                    break;
                }
            }
            let Poll::Ready(next) = self.feed.poll_next(cx) else { return Ok((sent, false)) };
            let Some(ticket) = next else { return Ok((sent, true)) };
            self.begin(ticket)?;
            sent = true;
            if self.seen.held() >= BATCH_BYTES {
                break;
            }
        }
        self.feed.pass_on();
        Ok((sent, self.closing))
    }

    /// As many slots as the connection has and the peer allows streams.
    fn fit(&mut self) {
        let most = match self.connection.max_concurrent_send_streams() {
            // A peer may refuse what exceeds its limit.
            UNKNOWN_LIMIT => 1,
            most => most,
        };
        let slots = self.response_matcher.connect_config.in_flight.min(most);
        while self.in_flight.len() + self.free.len() > slots && self.free.pop_front().is_some() {}
        while self.in_flight.len() + self.free.len() < slots {
            self.free.push_back(clock::now());
        }
    }

    /// The event is on its way from here on.
    fn begin(&mut self, ticket: Ticket) -> Result<(), Fault> {
        let ResponseMatcher { connect_config, ledger, read_times } = self.response_matcher;
        let sent = clock::now();
        self.carried += 1;
        let free = self.free.pop_front().unwrap_or(sent).max(self.writable);
        ledger.sent(&ticket);
        if let Some(setup) = self.setup.take() {
            setup.end();
        }
        if self.encodes {
            read_times.await_write();
        }
        let event = connect_config.template.render(ticket.index);
        let mut request = self.request.clone();
        if let Some(key) = &connect_config.request_options.signing {
            let id = id_digits(ticket.index);
            let id = std::str::from_utf8(&id).map_err(Fault::protocol)?;
            for (name, value) in key.fields(id, &event) {
                let value = HeaderValue::from_str(&value).map_err(Fault::protocol)?;
                request.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        let event = match &mut self.gzip {
            Some(gzip) => gzip.encode(&event).to_vec(),
            None => event,
        };
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(event.len()));
        let request_in_flight = InFlightRequest {
            ticket,
            send_instants: SendInstants { free, sent, nth: self.carried },
            measured: false,
        };
        let body = Body::new(event, self.seen);
        let Some(sender) = &mut self.sender else { return Ok(()) };
        let begun = sender.send_request(request, false).and_then(|(response, mut stream)| {
            stream.send_data(body, true)?;
            Ok((response, stream))
        });
        match begun {
            Ok((response, stream)) => {
                let response = Response::Nothing(response);
                let request = request_in_flight;
                self.in_flight.push(
                    InFlightStream { request, written: None, _stream: stream, response },
                    self.encodes,
                );
            }
            Err(e) => {
                // The next one would fail in the same way.
                self.closing = true;
                ledger.fail(
                    &ticket,
                    Failure::WrongAnswer,
                    &diagnostics::ended(e, false).to_string(),
                );
                self.free.push_back(sent);
            }
        }
        Ok(())
    }

    /// Frees the slots of events that have timed out; their streams are reset.
    fn drop_expired(&mut self) {
        let ledger = self.response_matcher.ledger;
        let expirations = ledger.expirations();
        if std::mem::replace(&mut self.expirations, expirations) == expirations {
            return;
        }
        let window_is_closed = self.seen.held() > 0 && !self.seen.blocked();
        let freed = self.in_flight.retain(|stream| ledger.is_open(&stream.request.ticket));
        self.free.extend(std::iter::repeat_n(clock::now(), freed));
        if freed > 0 && window_is_closed {
            ledger.fault(
                "events timed out while the target's flow-control window was closed: it must send WINDOW_UPDATE \
                 when it has read, and its initial window must not be 0",
            );
        }
    }
}

impl<S> Drop for Streams<'_, S> {
    fn drop(&mut self) {
        for stream in self.in_flight.iter() {
            self.response_matcher.ledger.lose(&stream.request.ticket);
        }
    }
}
