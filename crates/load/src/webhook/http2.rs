//! The client over HTTP/2 (RFC 9113): one connection with many requests in flight, each a stream of its own, whose
//! responses come in any order.

pub(crate) mod diagnostics;
mod in_flight;
mod tap;

use crate::connections::{Client, ConnectConfig};
use crate::feed::Feed;
use crate::io::{InstrumentedSocket, ReadTimes, SetupTraffic};
use crate::ledger::{Ledger, SendInstants, Ticket};
use crate::webhook::client::{InFlightRequest, ResponseMatcher};
use crate::webhook::prepared_request::{headers, is_compressed};
use h2::Ping;
use h2::client::{Builder, Connection, SendRequest};
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING,
    UPGRADE,
};
use hyper::http::response::Parts;
use hyper::{Request, Uri, Version};
use in_flight::{Ended, InFlight, InFlightStream, Response};
use pushbench_core::event::id_digits;
use pushbench_core::record::outcomes::Failure;
use pushbench_host::clock;
use pushbench_wire::fault::Fault;
use pushbench_wire::http2::{CONNECTION_WINDOW, STREAM_WINDOW};
use pushbench_wire::limits::{LONGEST_BODY, LONGEST_HEAD};
use pushbench_wire::stream::Stream;
use pushbench_wire::webhook::gzip::{GZIP, Gzip};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tap::{Body, Seen, Tap};
use tokio::io::{AsyncRead, AsyncWrite};

/// The limit of streams until the peer's settings have come: none that a peer could send.
const UNKNOWN_LIMIT: usize = usize::MAX - 1;
/// Bytes of events that are written together: an event has its sent instant when it is taken, so it must not wait for
/// long for those behind it.
const BATCH_BYTES: usize = 64 * 1024;

/// An open connection to a webhook endpoint.
pub struct Http2<S = Stream<InstrumentedSocket>> {
    connect_config: ConnectConfig,
    /// What the requests have in common.
    request: Request<()>,
    sender: SendRequest<Body>,
    connection: Connection<Tap<S>, Body>,
    seen: Rc<Seen>,
    read_times: Rc<ReadTimes>,
    setup: Option<SetupTraffic>,
}

impl Client for Http2 {
    async fn open(connect_config: &ConnectConfig) -> Result<Self, Fault> {
        let io = InstrumentedSocket::connect(connect_config).await?;
        check_alpn(&io)?;
        let read_times = io.socket().read_times();
        let setup = connect_config.warm.then(|| io.socket().start_setup()).transpose()?;
        Http2 { setup, ..Http2::over(io, read_times, connect_config).await? }.settled().await
    }

    async fn carry(self, feed: Feed, ledger: Rc<Ledger>) -> Result<(), Fault> {
        self.carry_events(feed, ledger).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http2<S> {
    /// HTTP/2 over a connected stream.
    ///
    /// # Errors
    /// The peer does not speak HTTP/2, or HTTP/2 cannot carry the request.
    pub async fn over(
        io: S,
        read_times: Rc<ReadTimes>,
        connect_config: &ConnectConfig,
    ) -> Result<Self, Fault> {
        let request = request(connect_config)?;
        let seen = Rc::<Seen>::default();
        let mut builder = Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(UNKNOWN_LIMIT)
            .max_header_list_size(LONGEST_HEAD as u32)
            .enable_push(false);
        let handshake = builder.handshake(Tap::new(io, seen.clone())).await;
        let (sender, connection) = handshake.map_err(|e| diagnostics::ended(e, false))?;
        let connect_config = connect_config.clone();
        Ok(Http2 { connect_config, request, sender, connection, seen, read_times, setup: None })
    }

    /// Drives a connection that is open before the first event until the settings of the peer have come, which it
    /// sends before it answers a ping.
    ///
    /// # Errors
    /// The peer does not speak HTTP/2.
    pub async fn settled(mut self) -> Result<Self, Fault> {
        if !self.connect_config.warm {
            return Ok(self);
        }
        let Some(mut ping) = self.connection.ping_pong() else { return Ok(self) };
        let of = |e| diagnostics::ended(e, false);
        let ended = ping.send_ping(Ping::opaque()).map_err(of);
        let settled = poll_fn(|cx| {
            loop {
                match Pin::new(&mut self.connection).poll(cx) {
                    Poll::Ready(Ok(())) => return Poll::Ready(Err(diagnostics::closed())),
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(of(e))),
                    Poll::Pending if self.seen.take_read() => {}
                    Poll::Pending => return ping.poll_pong(cx).map_ok(drop).map_err(of),
                }
            }
        });
        if let Err(fault) = ended.and(settled.await) {
            let fault = self.seen.named(fault, &self.connect_config);
            let hint = match &fault {
                Fault::Closed(_) => {
                    "; it may not speak HTTP/2: switch it on there, or write the arm without +h2"
                }
                _ => "",
            };
            return Err(fault.with(hint));
        }
        match self.connection.max_concurrent_send_streams() {
            UNKNOWN_LIMIT => Err(Fault::protocol(
                "the target has sent no SETTINGS frame, with which HTTP/2 begins (RFC 9113, 3.4)",
            )),
            _ => Ok(self),
        }
    }

    /// Carries events until the feed ends, the lifetime is reached, or the connection ends.
    ///
    /// # Errors
    /// The connection ended, and events were on their way or the peer has broken HTTP/2.
    pub async fn carry_events(self, feed: Feed, ledger: Rc<Ledger>) -> Result<(), Fault> {
        let Http2 { connect_config, request, sender, connection, seen, read_times, setup } = self;
        let mut streams = Streams {
            response_matcher: ResponseMatcher {
                connect_config: &connect_config,
                ledger: &ledger,
                read_times: &read_times,
            },
            request: &request,
            feed: &feed,
            sender,
            connection,
            seen: &seen,
            setup,
            in_flight: InFlight::default(),
            free: VecDeque::with_capacity(connect_config.in_flight),
            writable: 0,
            carried: 0,
            closing: false,
            broken: None,
            agreed: false,
            expirations: ledger.expirations(),
            encodes: connect_config.encodes() || is_compressed(&connect_config),
            gzip: is_compressed(&connect_config).then(Gzip::default),
        };
        let ended = poll_fn(|cx| streams.poll(cx)).await;
        ended.map_err(|fault| seen.named(fault, &connect_config))
    }
}

/// The request without its event.
fn request(connect_config: &ConnectConfig) -> Result<Request<()>, Fault> {
    let endpoint = &connect_config.address.endpoint;
    let mut request = Request::new(());
    *request.method_mut() = connect_config.request_options.method.clone();
    *request.version_mut() = Version::HTTP_2;
    let scheme = if endpoint.scheme.is_tls() { "https" } else { "http" };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(endpoint.authority.as_str())
        .path_and_query(endpoint.path.as_str());
    *request.uri_mut() = uri.build().map_err(Fault::refused)?;
    *request.headers_mut() = headers(connect_config)?;
    if is_compressed(connect_config) {
        request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(GZIP));
    }
    // The pseudo-header :authority has it.
    request.headers_mut().remove(HOST);
    let connections = [CONNECTION.as_str(), TRANSFER_ENCODING.as_str(), UPGRADE.as_str()];
    for name in connections.into_iter().chain(["keep-alive", "proxy-connection", "te"]) {
        if request.headers().contains_key(name) {
            return Err(Fault::Refused(format!(
                "HTTP/2 has no header {name}: remove it from headers, or write the arm without +h2"
            )));
        }
    }
    Ok(request)
}

/// TLS says at once whether the peer speaks HTTP/2 (RFC 9113, 3.2).
fn check_alpn(io: &Stream<InstrumentedSocket>) -> Result<(), Fault> {
    match io.negotiated() {
        Some(agreed) if !agreed.words.ends_with("ALPN h2") => Err(Fault::Refused(format!(
            "the target does not speak HTTP/2: the TLS handshake has agreed on {}, not on ALPN h2: switch HTTP/2 on \
             there, or write the arm without +h2",
            agreed.words
        ))),
        _ => Ok(()),
    }
}

/// A connection that carries events.
struct Streams<'a, S> {
    response_matcher: ResponseMatcher<'a>,
    request: &'a Request<()>,
    feed: &'a Feed,
    sender: SendRequest<Body>,
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

impl<S: AsyncRead + AsyncWrite + Unpin> Streams<'_, S> {
    /// Ready when the connection carries no further event.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
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

    /// The connection has ended. One that carries nothing has a right to.
    fn ended(&mut self, ended: Result<(), h2::Error>) -> Result<(), Fault> {
        match (ended, self.broken.take()) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(fault)) => Err(fault),
            (Err(e), None) if e.get_io().is_some_and(|e| e.kind() != ErrorKind::InvalidData) => {
                Ok(())
            }
            (Err(e), broken) => Err(diagnostics::ended(e, broken.is_some())),
        }
    }

    /// A stream has ended; `overtook`: before an older one.
    fn end(&mut self, stream: &InFlightStream, ended: Ended, overtook: bool) {
        let ResponseMatcher { ledger, read_times, .. } = self.response_matcher;
        let ticket = &stream.request.ticket;
        match ended {
            Ended::Answered(head, body) => {
                if !std::mem::replace(&mut self.agreed, true) {
                    let streams = match self.connection.max_concurrent_send_streams() {
                        usize::MAX | UNKNOWN_LIMIT => "any number of streams".to_owned(),
                        1 => "at most 1 stream".to_owned(),
                        most => format!("at most {most} streams"),
                    };
                    ledger.agreed(&format!("HTTP/2, {streams}"));
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

    /// Sends what waits, as far as the connection holds it: whether something was sent, and whether no further event
    /// is sent on it.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(bool, bool), Fault> {
        let mut sent = false;
        self.fit();
        while !self.closing && !self.free.is_empty() && !self.seen.blocked() {
            if self.response_matcher.connect_config.left(self.carried) == 0 {
                return Ok((sent, true));
            }
            match self.sender.poll_ready(cx) {
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
        let body = Body::new(event.into(), self.seen);
        let begun = self.sender.send_request(request, false).and_then(|(response, mut stream)| {
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
