//! The client over HTTP/2 (RFC 9113): one connection with many requests in flight, each a stream of its own, whose
//! responses come in any order.

use crate::connections::{Client, ConnectConfig};
use crate::feed::Feed;
use crate::io::{InstrumentedSocket, ReadTimes, SetupTraffic};
use crate::ledger::{Ledger, SendInstants, Ticket};
use crate::webhook::client::{InFlightRequest, ResponseMatcher};
use crate::webhook::prepared_request::headers;
use bytes::{Bytes, BytesMut};
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Ping, RecvStream, SendStream};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use hyper::http::response::Parts;
use hyper::{Request, Uri, Version};
use pushbench_core::event::id_digits;
use pushbench_core::record::outcomes::Failure;
use pushbench_core::scenario::payload::MAX_BYTES;
use pushbench_host::clock;
use pushbench_wire::fault::Fault;
use pushbench_wire::http2::{CONNECTION_WINDOW, STREAM_WINDOW};
use pushbench_wire::stream::Stream;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Longest answer, as over HTTP/1.1.
const LONGEST: usize = 2 * MAX_BYTES;

/// An open connection to a webhook endpoint.
pub struct Http2 {
    connect_config: ConnectConfig,
    /// What the requests have in common.
    request: Request<()>,
    sender: SendRequest<Bytes>,
    connection: Connection<Stream<InstrumentedSocket>, Bytes>,
    read_times: Rc<ReadTimes>,
    setup: Option<SetupTraffic>,
}

impl Client for Http2 {
    async fn open(connect_config: &ConnectConfig) -> Result<Self, Fault> {
        let request = request(connect_config)?;
        let io = InstrumentedSocket::connect(connect_config).await?;
        check_alpn(&io)?;
        let read_times = io.socket().read_times();
        let setup = connect_config.warm.then(|| io.socket().start_setup()).transpose()?;
        let mut builder = Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .enable_push(false);
        let (sender, mut connection) = builder.handshake(io).await.map_err(fault_of)?;
        if connect_config.warm {
            settle(&mut connection).await?;
        }
        let connect_config = connect_config.clone();
        Ok(Http2 { connect_config, request, sender, connection, read_times, setup })
    }

    async fn carry(self, feed: Feed, ledger: Rc<Ledger>) -> Result<(), Fault> {
        let Http2 { connect_config, request, sender, connection, read_times, setup } = self;
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
            setup,
            in_flight: VecDeque::with_capacity(connect_config.in_flight),
            free: VecDeque::with_capacity(connect_config.in_flight),
            carried: 0,
            closing: false,
            agreed: false,
            expirations: ledger.expirations(),
            encodes: connect_config.encodes(),
        };
        poll_fn(|cx| streams.poll(cx)).await
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
    // The pseudo-header :authority has it.
    request.headers_mut().remove(HOST);
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

/// Drives the connection until the settings of the peer have come, which it sends before it answers a ping.
async fn settle(
    connection: &mut Connection<Stream<InstrumentedSocket>, Bytes>,
) -> Result<(), Fault> {
    let Some(mut ping) = connection.ping_pong() else { return Ok(()) };
    ping.send_ping(Ping::opaque()).map_err(fault_of)?;
    poll_fn(|cx| match Pin::new(&mut *connection).poll(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(Err(Fault::Closed("closed by the target".to_owned()))),
        Poll::Ready(Err(e)) => Poll::Ready(Err(fault_of(e))),
        Poll::Pending => ping.poll_pong(cx).map_ok(drop).map_err(fault_of),
    })
    .await
}

/// An event in the air.
struct InFlightStream {
    request: InFlightRequest,
    /// When its bytes were handed to the socket, where a layer takes its time.
    written: Option<u64>,
    /// Dropped before its response has come, it resets the stream.
    _stream: SendStream<Bytes>,
    response: Response,
}

/// How much of a response has come.
enum Response {
    Nothing(ResponseFuture),
    Head(Box<Parts>, RecvStream, BytesMut),
}

/// What has become of a stream.
enum Ended {
    Answered(Box<Parts>, BytesMut),
    Broken(h2::Error),
    TooLong,
}

impl Response {
    /// Takes what has come. Nothing is woken: streams advance only while their connection is driven.
    fn poll(&mut self) -> Poll<Ended> {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match self {
                Response::Nothing(response) => match Pin::new(response).poll(&mut cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(e)) => return Poll::Ready(Ended::Broken(e)),
                    Poll::Ready(Ok(response)) => {
                        let (head, body) = response.into_parts();
                        *self = Response::Head(Box::new(head), body, BytesMut::new());
                    }
                },
                Response::Head(head, body, bytes) => match body.poll_data(&mut cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Err(e))) => return Poll::Ready(Ended::Broken(e)),
                    Poll::Ready(Some(Ok(data))) => {
                        let _stream_may_have_ended =
                            body.flow_control().release_capacity(data.len());
                        if bytes.len() + data.len() > LONGEST {
                            return Poll::Ready(Ended::TooLong);
                        }
                        bytes.extend_from_slice(&data);
                    }
                    Poll::Ready(None) => {
                        let empty = Box::new(hyper::Response::new(()).into_parts().0);
                        let head = std::mem::replace(head, empty);
                        return Poll::Ready(Ended::Answered(head, std::mem::take(bytes)));
                    }
                },
            }
        }
    }
}

/// A connection that carries events.
struct Streams<'a> {
    response_matcher: ResponseMatcher<'a>,
    request: &'a Request<()>,
    feed: &'a Feed,
    sender: SendRequest<Bytes>,
    connection: Connection<Stream<InstrumentedSocket>, Bytes>,
    setup: Option<SetupTraffic>,
    in_flight: VecDeque<InFlightStream>,
    /// Instants at which the free slots were released, oldest first.
    free: VecDeque<u64>,
    carried: u64,
    /// The peer takes no further request on this connection.
    closing: bool,
    /// What the ends have agreed on is noted.
    agreed: bool,
    expirations: u64,
    encodes: bool,
}

impl Streams<'_> {
    /// Ready when the connection carries no further event.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.feed.register_waker(cx);
        loop {
            let ended = Pin::new(&mut self.connection).poll(cx);
            self.note_written();
            let answered = self.take_answers();
            if let Poll::Ready(ended) = ended {
                return Poll::Ready(match (ended, self.in_flight.is_empty()) {
                    (Err(e), _) => Err(fault_of(e)),
                    (Ok(()), true) => Ok(()),
                    (Ok(()), false) => Err(Fault::Closed("closed by the target".to_owned())),
                });
            }
            self.drop_expired();
            let (sent, no_more) = self.send(cx)?;
            if self.in_flight.is_empty() && no_more {
                return Poll::Ready(Ok(()));
            }
            if !answered && !sent {
                return Poll::Pending;
            }
        }
    }

    /// Gives every answer that has come to its event; whether there was one.
    fn take_answers(&mut self) -> bool {
        let mut any = false;
        let mut at = 0;
        while let Some(stream) = self.in_flight.get_mut(at) {
            let Poll::Ready(ended) = stream.response.poll() else {
                at += 1;
                continue;
            };
            any = true;
            let Some(stream) = self.in_flight.remove(at) else { break };
            self.end(&stream, ended, at > 0);
        }
        any
    }

    /// A stream has ended; `overtook`: before an older one.
    fn end(&mut self, stream: &InFlightStream, ended: Ended, overtook: bool) {
        let ResponseMatcher { ledger, read_times, .. } = self.response_matcher;
        let ticket = &stream.request.ticket;
        match ended {
            Ended::Answered(head, body) => {
                if !std::mem::replace(&mut self.agreed, true) {
                    let streams = match self.connection.max_concurrent_send_streams() {
                        usize::MAX => "any number of streams".to_owned(),
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
                let why = format!("the answer has more than {LONGEST} bytes");
                ledger.fail(ticket, Failure::WrongAnswer, &why);
            }
            Ended::Broken(e) if e.is_reset() && e.is_remote() => {
                let why = format!("the target has reset the stream: {}", reason(&e));
                ledger.fail(ticket, Failure::WrongAnswer, &why);
            }
            Ended::Broken(e) => {
                ledger.lose(ticket);
                ledger.fault(&fault_of(e).to_string());
            }
        }
        self.free.push_back(read_times.read());
    }

    /// Sends what waits, as far as the connection holds it: whether something was sent, and whether no further event
    /// is sent on it.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(bool, bool), Fault> {
        let mut sent = false;
        self.fit();
        while !self.closing && !self.free.is_empty() {
            if self.response_matcher.connect_config.left(self.carried) == 0 {
                return Ok((sent, true));
            }
            match self.sender.poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_going_away)) => {
                    self.closing = true;
                    break;
                }
                Poll::Pending => break,
            }
            let Poll::Ready(next) = self.feed.poll_next(cx) else { break };
            let Some(ticket) = next else { return Ok((sent, true)) };
            self.begin(ticket)?;
            sent = true;
        }
        Ok((sent, self.closing))
    }

    /// As many slots as the connection has and the peer allows streams.
    fn fit(&mut self) {
        let most = self.connection.max_concurrent_send_streams();
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
        let free = self.free.pop_front().unwrap_or(sent);
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
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(event.len()));
        let request_in_flight = InFlightRequest {
            ticket,
            send_instants: SendInstants { free, sent, nth: self.carried },
            measured: false,
        };
        let begun = self.sender.send_request(request, false).and_then(|(response, mut stream)| {
            stream.send_data(event.into(), true)?;
            Ok((response, stream))
        });
        match begun {
            Ok((response, stream)) => self.in_flight.push_back(InFlightStream {
                request: request_in_flight,
                written: None,
                _stream: stream,
                response: Response::Nothing(response),
            }),
            Err(e) => {
                ledger.fail(&ticket, Failure::WrongAnswer, &fault_of(e).to_string());
                self.free.push_back(sent);
            }
        }
        Ok(())
    }

    /// What was sent lately was handed to the socket.
    fn note_written(&mut self) {
        if !self.encodes {
            return;
        }
        let Some(at) = self.response_matcher.read_times.written() else { return };
        let lately = self.in_flight.iter_mut().rev().take_while(|stream| stream.written.is_none());
        lately.for_each(|stream| stream.written = Some(at));
    }

    /// Frees the slots of events that have timed out; their streams are reset.
    fn drop_expired(&mut self) {
        let ledger = self.response_matcher.ledger;
        let expirations = ledger.expirations();
        if std::mem::replace(&mut self.expirations, expirations) == expirations {
            return;
        }
        let before = self.in_flight.len();
        self.in_flight.retain(|stream| ledger.is_open(&stream.request.ticket));
        let freed = before - self.in_flight.len();
        self.free.extend(std::iter::repeat_n(clock::now(), freed));
    }
}

impl Drop for Streams<'_> {
    fn drop(&mut self) {
        for stream in &self.in_flight {
            self.response_matcher.ledger.lose(&stream.request.ticket);
        }
    }
}

/// The name of an error code (RFC 9113, section 7).
fn reason(e: &h2::Error) -> String {
    e.reason().map_or_else(|| e.to_string(), |reason| format!("{reason:?}"))
}

fn fault_of(e: h2::Error) -> Fault {
    if e.is_go_away() && e.is_remote() {
        return Fault::Closed(format!("the target has sent GOAWAY: {}", reason(&e)));
    }
    let text = e.to_string();
    match e.into_io() {
        Some(below) => Fault::of(below),
        None => Fault::Protocol(text),
    }
}
