//! The client over HTTP/2 (RFC 9113): one connection with many requests in flight, each a stream of its own, whose
//! responses come in any order.

pub(crate) mod diagnostics;
mod in_flight;
mod streams;
mod tap;

use crate::connections::{Client, ConnectConfig};
use crate::feed::Feed;
use crate::io::{InstrumentedSocket, ReadTimes, SetupTraffic};
use crate::ledger::Ledger;
use crate::webhook::client::ResponseMatcher;
use crate::webhook::prepared_request::{headers, is_compressed};
use h2::Ping;
use h2::client::{Builder, Connection, SendRequest};
use hyper::header::{CONNECTION, CONTENT_ENCODING, HOST, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use hyper::{Request, Uri, Version};
use pushbench_wire::fault::Fault;
use pushbench_wire::http2::{CONNECTION_WINDOW, STREAM_WINDOW};
use pushbench_wire::limits::LONGEST_HEAD;
use pushbench_wire::stream::Stream;
use pushbench_wire::webhook::gzip::GZIP;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use streams::Streams;
use tap::{Body, Seen, Tap};
use tokio::io::{AsyncRead, AsyncWrite};

/// The limit of streams until the peer's settings have come: none that a peer could send.
const UNKNOWN_LIMIT: usize = usize::MAX - 1;

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
                Fault::Closed(why) if !why.contains("GOAWAY") => {
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
        let response_matcher = ResponseMatcher {
            connect_config: &connect_config,
            ledger: &ledger,
            read_times: &read_times,
        };
        let mut streams =
            Streams::new((response_matcher, &request, &feed), (sender, connection, &seen), setup);
        let ended = poll_fn(|cx| streams.poll(cx)).await;
        if ended.is_ok() {
            streams.close().await;
        }
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

#[cfg(test)]
mod tests;
