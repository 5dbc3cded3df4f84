//! How an event travels. One folder a transport, each with its client half and its server half, or its
//! publisher's half and its subscriber's half.
//!
//! A client half in one idea: *a connection carries events from a feed until it ends, and tells the
//! ledger when each was sent and done* ([`Client`]).

pub mod came_back;
pub mod dial;
pub mod event;
pub mod fault;
pub mod feed;
pub mod handler;
pub mod io;
pub mod lent;
pub mod limits;
pub mod line;
pub mod long_poll;
pub mod messages;
pub mod pipeline;
pub mod poll;
pub mod publisher;
pub mod serve;
pub mod sleep;
pub mod sse;
pub mod subscriber;
pub mod tcp;
pub mod terms;
pub mod webhook;
pub mod websocket;
pub mod window;
pub mod wording;

use crate::record::ledger::Ledger;
use crate::scenario::Flow;
use dial::Dial;
use fault::Fault;
use feed::Feed;
use std::rc::Rc;

/// One connection of a transport, driver's side. Chosen once a trial; nothing is boxed per event.
pub trait Client: Sized + 'static {
    /// Connects and shakes hands, so that the first event can be written at once.
    fn open(dial: &Dial) -> impl Future<Output = Result<Self, Fault>>;

    /// Carries events until the feed ends, the lifetime is reached, or the connection ends.
    fn carry(
        self,
        feed: Feed,
        ledger: Rc<Ledger>,
    ) -> impl Future<Output = Result<(), Fault>> + 'static;
}

/// A transport by name. A newcomer registers here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1 POST per event.
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
            Transport::Webhook => webhook::NAME,
            Transport::Websocket => websocket::NAME,
            Transport::Tcp => tcp::NAME,
            Transport::Sse => sse::NAME,
            Transport::LongPoll => long_poll::NAME,
            Transport::Poll => poll::NAME,
        }
    }

    /// One line for `pushbench list transports`.
    pub fn about(self) -> &'static str {
        match self {
            Transport::Webhook => webhook::ABOUT,
            Transport::Websocket => websocket::ABOUT,
            Transport::Tcp => tcp::ABOUT,
            Transport::Sse => sse::ABOUT,
            Transport::LongPoll => long_poll::ABOUT,
            Transport::Poll => poll::ABOUT,
        }
    }

    /// What surrounds an event on the wire, for the parity table.
    pub fn framing(self) -> &'static str {
        match self {
            Transport::Webhook => webhook::FRAMING,
            Transport::Websocket => websocket::FRAMING,
            Transport::Tcp => tcp::FRAMING,
            Transport::Sse => sse::FRAMING,
            Transport::LongPoll => long_poll::FRAMING,
            Transport::Poll => poll::FRAMING,
        }
    }

    /// How a subscriber acknowledges a delivery, for the parity table.
    pub fn acknowledgement(self) -> &'static str {
        match self {
            Transport::Webhook => webhook::ACKNOWLEDGEMENT,
            Transport::Websocket | Transport::Tcp => "a message with the id, the same connection",
            Transport::Sse => sse::ACKNOWLEDGEMENT,
            Transport::LongPoll | Transport::Poll => "the next request says up to which id",
        }
    }

    /// Connections that a subscriber holds, where it acknowledges and where it does not.
    pub fn connections_each(self, acknowledged: bool) -> usize {
        match self {
            Transport::Sse if acknowledged => 2,
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

    /// Most unanswered events one connection can hold, if the protocol sets a limit.
    pub fn depth_limit(self) -> Option<usize> {
        match self {
            Carrier::Webhook => Some(1),
            Carrier::Websocket | Carrier::Tcp => None,
        }
    }

    /// The carrier of that name.
    pub fn named(name: &str) -> Option<Carrier> {
        Transport::named(name)?.carrier()
    }
}
