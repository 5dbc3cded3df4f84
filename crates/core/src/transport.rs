//! The transports: how an event travels. Names and the words that describe each.

use crate::scenario::Flow;

/// A transport by name. A newcomer registers here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP POST per event, over HTTP/1.1 unless an option says otherwise.
    Webhook,
    /// One connection kept open, a text message per event.
    Websocket,
    /// Length-prefixed messages on a bare socket: what the machine itself costs.
    Tcp,
    /// An HTTP response that never ends, a server-sent event per event.
    Sse,
    /// An HTTP request that is held until there is an event.
    LongPoll,
    /// An HTTP request every so often.
    Poll,
}

/// Every transport there is.
pub const ALL: [Transport; 6] = [
    Transport::Webhook,
    Transport::Websocket,
    Transport::Tcp,
    Transport::Sse,
    Transport::LongPoll,
    Transport::Poll,
];

/// Those for which a description of a target has a table. A target that is described as `sse` or
/// `long-poll` is a publisher.
pub const DESCRIBED: [Transport; 5] =
    [Transport::Webhook, Transport::Websocket, Transport::Tcp, Transport::Sse, Transport::LongPoll];

/// A transport by which a target can be sent events; the others only bring them to subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// [`Transport::Webhook`]
    Webhook,
    /// [`Transport::Websocket`]
    Websocket,
    /// [`Transport::Tcp`]
    Tcp,
}

/// Every carrier there is.
pub const CARRIERS: [Carrier; 3] = [Carrier::Webhook, Carrier::Websocket, Carrier::Tcp];

impl Transport {
    /// The name in arms, manifests and reports.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Webhook => "webhook",
            Transport::Websocket => "websocket",
            Transport::Tcp => "tcp",
            Transport::Sse => "sse",
            Transport::LongPoll => "long-poll",
            Transport::Poll => "poll",
        }
    }

    /// One line for `pushbench list transports`.
    pub fn about(self) -> &'static str {
        match self {
            Transport::Webhook => {
                "one HTTP POST per event over kept-alive connections, with one unanswered event each; many with +h2"
            }
            Transport::Websocket => {
                "one text message per event over an open WebSocket, with many unanswered events"
            }
            Transport::Tcp => {
                "length-prefixed messages over plain TCP: the lower bound of this machine"
            }
            Transport::Sse => {
                "server-sent events in an HTTP response that stays open; acknowledged by POST on a second connection, with +h2 on the same"
            }
            Transport::LongPoll => {
                "HTTP requests that are held until there is an event; the next request acknowledges it"
            }
            Transport::Poll => {
                "an HTTP request every delivery.poll_interval; the next request acknowledges the events received"
            }
        }
    }

    /// What surrounds an event on the wire, for the parity table.
    pub fn framing(self) -> &'static str {
        match self {
            Transport::Webhook => "HTTP/1.1 request and response heads",
            Transport::Websocket => "WebSocket frames, masked by the client",
            Transport::Tcp => "a 4-byte length",
            Transport::Sse => "lines id: and data: in a chunk of an HTTP/1.1 response",
            Transport::LongPoll => {
                "HTTP/1.1 request and response heads, a JSON array of the events that are ready"
            }
            Transport::Poll => {
                "HTTP/1.1 request and response heads, a JSON array of the events since the last request"
            }
        }
    }

    /// How a subscriber acknowledges a delivery, for the parity table.
    pub fn acknowledgement(self, http2: bool) -> &'static str {
        match self {
            Transport::Sse if http2 => "a POST of the ids that are ready, the same connection",
            Transport::Webhook => "the response's status, the same connection",
            Transport::Websocket | Transport::Tcp => "a message with the id, the same connection",
            Transport::Sse => {
                "a POST of the ids that are ready, a second connection each subscriber"
            }
            Transport::LongPoll | Transport::Poll => "the next request says up to which id",
        }
    }

    /// Connections that a subscriber holds, where it acknowledges and where it does not, and over either version of HTTP.
    pub fn connections_each(self, acknowledged: bool, http2: bool) -> usize {
        match self {
            Transport::Sse if acknowledged && !http2 => 2,
            _ => 1,
        }
    }

    /// By which a target is sent events over this transport; `None` where it only brings them to
    /// subscribers.
    pub fn carrier(self) -> Option<Carrier> {
        CARRIERS.into_iter().find(|carrier| carrier.transport() == self)
    }

    /// By which events go out to a target: a publisher takes them by POST, whatever it delivers by.
    pub fn carrier_to(self, publisher: bool) -> Carrier {
        self.carrier().filter(|_| !publisher).unwrap_or(Carrier::Webhook)
    }

    /// Whether it serves a flow.
    pub fn serves(self, flow: Flow) -> bool {
        match flow {
            Flow::Ingest | Flow::Duplex => self.carrier().is_some(),
            Flow::Fanout | Flow::Idle => true,
        }
    }

    /// The transport of that name.
    pub fn named(name: &str) -> Option<Transport> {
        ALL.into_iter().find(|t| t.name() == name)
    }
}

impl Carrier {
    /// As a transport.
    pub fn transport(self) -> Transport {
        match self {
            Carrier::Webhook => Transport::Webhook,
            Carrier::Websocket => Transport::Websocket,
            Carrier::Tcp => Transport::Tcp,
        }
    }

    /// The transport's name.
    pub fn name(self) -> &'static str {
        self.transport().name()
    }

    /// The carrier of that name.
    pub fn named(name: &str) -> Option<Carrier> {
        Transport::named(name)?.carrier()
    }
}
