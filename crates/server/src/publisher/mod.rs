//! The publisher: an application's event comes in by `POST /publish` and goes to every subscriber.
//!
//! The mirror of the client half: there a connection carries events out of a feed, here *a subscriber's
//! connection delivers events out of its [`Outbox`](outbox::Outbox)*, whatever the transport. What
//! subscribers and events have in common is the [`Hub`]'s; the [`requests`] answers requests.
//! `targets/PROTOCOL.md` writes the protocol down.

mod durable;
pub(crate) mod hub;
pub(crate) mod outbox;
pub(crate) mod pings;
mod polling;
mod registry;
mod replay;
pub mod requests;
pub mod store;
pub mod stream;
pub mod subscription;
pub mod tally;

use crate::{sse, tcp, webhook, websocket};
use hub::Hub;
use hyper::Request;
use hyper::body::Incoming;
use pushbench_core::guarantee::Guarantee;
use pushbench_core::publishing::{CONCURRENCY, CONNECT_TIMEOUT, HOLD, Keep, QUEUE, TIMEOUT};
use pushbench_core::transport::Transport;
use pushbench_core::units;
use pushbench_wire::signing::SigningKey;
use pushbench_wire::stream::Stream;
use pushbench_wire::tls::ClientTls;
use requests::Answer;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// How a publisher delivers.
#[derive(Debug, Clone)]
pub struct Options {
    /// How events reach subscribers.
    pub transport: Transport,
    /// Types of events it knows.
    pub types: Vec<String>,
    /// Subscribers acknowledge each event; a webhook always does.
    pub acknowledged: bool,
    /// Unsettled events a subscriber may have. Further ones are turned away for this subscriber and
    /// counted: a slow subscriber costs its own events, never another's, and never the memory.
    pub queue: usize,
    /// Webhook deliveries under way at the same time.
    pub concurrency: usize,
    /// For a webhook's connection.
    pub connect_timeout: Duration,
    /// From the write of a delivery to its acknowledgement.
    pub timeout: Duration,
    /// A long-poll's request is held for so long while there is no event.
    pub hold: Duration,
    /// What becomes of a webhook's connection after a delivery.
    pub keep: Keep,
    /// How often each subscriber that holds a connection is pinged, where the protocol has pings: a WebSocket,
    /// which is gone if it has not answered by the next ping, or a stream, where it is a comment.
    pub ping: Option<Duration>,
    /// The certificates that a webhook publisher trusts at https addresses.
    pub tls: Option<ClientTls>,
    /// Signs each event, once for all subscribers.
    pub signing: Option<SigningKey>,
    /// The token of a webhook's deliveries.
    pub bearer: Option<String>,
    /// Its clients speak HTTP/2.
    pub http2: bool,
    /// Messages are compressed for subscribers that offer it.
    pub compressed: bool,
    /// What it promises.
    pub guarantee: Guarantee,
    /// The file in which it keeps events and subscriptions.
    pub store: Option<PathBuf>,
}

impl Options {
    /// The usual ones.
    pub fn new(transport: Transport) -> Options {
        Options {
            transport,
            types: vec!["event".to_owned()],
            acknowledged: true,
            queue: QUEUE,
            concurrency: CONCURRENCY,
            connect_timeout: CONNECT_TIMEOUT,
            timeout: TIMEOUT,
            hold: HOLD,
            keep: Keep::Always,
            ping: None,
            tls: None,
            signing: None,
            bearer: None,
            http2: false,
            compressed: false,
            guarantee: Guarantee::default(),
            store: None,
        }
    }

    /// What it does, the same words for every transport where they do the same.
    pub fn description(&self) -> String {
        let acknowledged =
            if self.acknowledged { "acknowledged by id" } else { "not acknowledged" };
        let after = |what: &str, time: Option<Duration>| match time {
            Some(time) => format!(", {what} {}", units::nanos_text(time.as_nanos() as f64)),
            None => String::new(),
        };
        let kept = match self.transport {
            Transport::Webhook => match self.keep {
                Keep::Always => String::new(),
                Keep::For(time) => after("idle connections are closed after", Some(time)),
                Keep::Never => ", a connection for each".to_owned(),
            },
            Transport::Websocket => {
                let compressed = if self.compressed { ", permessage-deflate" } else { "" };
                after("pings every", self.ping) + compressed
            }
            Transport::Sse => after("a comment every", self.ping),
            Transport::Tcp | Transport::LongPoll | Transport::Poll => String::new(),
        };
        let (full, late) = match self.resumes() {
            true => ("ends its connection when it is full", "its connection ended"),
            false => ("turns away what is too much", "given up"),
        };
        format!(
            "built-in publisher: JSON check, {}a queue of {} events a subscriber that {full}, deliveries \
             {acknowledged}, {late} after {}{kept}{}{}",
            if self.signing.is_some() { "each event signed once, " } else { "" },
            self.queue,
            units::nanos_text(self.timeout.as_nanos() as f64),
            if self.http2 { crate::http2::description() } else { String::new() },
            self.promise()
        )
    }

    /// What it promises, where that is more than by default.
    fn promise(&self) -> String {
        let words = self.guarantee.words();
        match (self.guarantee.is_default(), self.resumes()) {
            (true, _) => String::new(),
            (false, true) => {
                format!(", {words}, a log of {} events to resume from", self.guarantee.log)
            }
            (false, false) => format!(", {words}"),
        }
    }

    /// A subscriber that was disconnected gets what it missed when it is back.
    pub(crate) fn resumes(&self) -> bool {
        self.guarantee.retries() && self.transport != Transport::Webhook
    }

    /// Deliveries of this transport time out by themselves.
    pub(crate) fn times_out_itself(&self) -> bool {
        self.transport == Transport::Webhook
    }
}

/// A request to subscribe. A transport registers its publisher's half here …
async fn subscribe(hub: &Arc<Hub>, request: Request<Incoming>) -> Answer {
    match hub.options.transport {
        Transport::Webhook => webhook::publisher::subscribe(hub, request).await,
        Transport::Websocket => websocket::publisher::subscribe(hub, request).await,
        Transport::Tcp => tcp::publisher::subscribe(),
        Transport::Sse => sse::subscribe(hub, &request),
        Transport::LongPoll | Transport::Poll => polling::subscribe(hub, request).await,
    }
}

/// … and, where subscribers do not speak HTTP, here. Gives back a connection that does.
async fn accept_without_http(
    hub: &Arc<Hub>,
    stream: Stream<TcpStream>,
) -> Option<Stream<TcpStream>> {
    match hub.options.transport {
        Transport::Tcp => tcp::publisher::accept_without_http(hub, stream).await,
        _ => Some(stream),
    }
}
