//! How an event travels. One folder a transport, each with its client half and its server half.
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
pub mod messages;
pub mod pipeline;
pub mod publisher;
pub mod serve;
pub mod sleep;
pub mod subscriber;
pub mod tcp;
pub mod terms;
pub mod webhook;
pub mod websocket;
pub mod window;

use crate::record::ledger::Ledger;
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
}

/// Every transport there is.
pub const ALL: [Transport; 3] = [Transport::Webhook, Transport::Websocket, Transport::Tcp];

impl Transport {
    /// The name in arms, manifests and reports.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Webhook => webhook::NAME,
            Transport::Websocket => websocket::NAME,
            Transport::Tcp => tcp::NAME,
        }
    }

    /// One line for `pushbench list transports`.
    pub fn about(self) -> &'static str {
        match self {
            Transport::Webhook => webhook::ABOUT,
            Transport::Websocket => websocket::ABOUT,
            Transport::Tcp => tcp::ABOUT,
        }
    }

    /// What surrounds an event on the wire, for the parity table.
    pub fn framing(self) -> &'static str {
        match self {
            Transport::Webhook => webhook::FRAMING,
            Transport::Websocket => websocket::FRAMING,
            Transport::Tcp => tcp::FRAMING,
        }
    }

    /// Most unanswered events one connection can hold, if the protocol sets a limit.
    pub fn depth_limit(self) -> Option<usize> {
        match self {
            Transport::Webhook => Some(1),
            Transport::Websocket | Transport::Tcp => None,
        }
    }

    /// The transport of that name.
    pub fn named(name: &str) -> Option<Transport> {
        ALL.into_iter().find(|t| t.name() == name)
    }
}
