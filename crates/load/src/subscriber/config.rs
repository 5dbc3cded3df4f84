//! What the subscribers of one arm have in common, and what their messages bring.

use crate::io::ReadTimes;
use crate::ledger::Ledger;
use crate::subscriber::receivers::Receivers;
use crate::subscriber::{Spawn, Spread};
use hyper::Method;
use pushbench_core::event::{Answered, Matched, acknowledgement};
use pushbench_core::record::fanout::Conduct;
use pushbench_core::scenario::Subscribers;
use pushbench_core::scenario::payload::ID_DIGITS;
use pushbench_core::wording::Wording;
use pushbench_host::clock;
use pushbench_path::Ends;
use pushbench_wire::delivery_verifier::DeliveryVerifier;
use pushbench_wire::endpoint::{Endpoint, Resolved};
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::tls::{ClientTls, ServerTls};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::rc::{Rc, Weak};

/// Everything the subscribers of one arm need to know.
pub struct SubscribeConfig {
    /// Where to subscribe.
    pub subscribe: Resolved,
    /// How connections there are encrypted: a client for each subscriber, with sessions of its own, but one for
    /// all where the publisher connects to them; none without TLS.
    pub tls: Vec<ClientTls>,
    /// Whether connections there speak HTTP/2.
    pub http2: bool,
    /// The end of subscribers that the publisher connects to; nothing without TLS.
    pub listener_tls: Option<ServerTls>,
    /// What the publisher wants of that request, the token among it.
    pub request_options: RequestOptions,
    /// The run's token by itself, for what has no headers.
    pub token: String,
    /// Who deliveries come from.
    pub verifier: DeliveryVerifier,
    /// Where an event carries its id.
    pub matched: Matched,
    /// How many there are, what they want, how they behave.
    pub settings: Subscribers,
    /// Which of them are here, and where the publisher reaches them.
    pub spread: Spread,
    /// An acknowledgement in the publisher's own words; `{"id": …}` where there are none.
    pub acknowledgement: Option<Wording>,
    /// How their addresses reach the publisher, where they do not connect themselves.
    pub registration: Registration,
    /// The publisher is ended and restarted.
    pub restarts: bool,
    /// The ends of the path, where there is one: subscribers are at the driver's, which has one address.
    pub ends: Option<Ends>,
    /// A subscriber that connects itself and receives nothing for so long takes its connections for dead, ns.
    pub dead_after: Option<u64>,
    /// Its requests bring the events: one without an answer is sent again on a new connection, and nothing is lost.
    pub polls: bool,
    /// Where there is such a limit, a guarantee or faults: the reads of each subscriber's connections.
    pub reads: RefCell<BTreeMap<usize, Vec<Weak<ReadTimes>>>>,
    /// Cap of the TCP segment size.
    pub max_segment: Option<u32>,
    /// Has the kernel date packets also while nobody is connected: starting it takes some milliseconds. `None` where
    /// the kernel does not date them.
    pub stamping: Option<UdpSocket>,
    /// Where deliveries and traffic go.
    pub ledger: Rc<Ledger>,
    /// For further tasks.
    pub spawn: Spawn,
    /// Under a guarantee, or under faults.
    pub(crate) receivers: Option<Receivers>,
}

impl SubscribeConfig {
    /// The URL of a subscription with its types in the query.
    pub fn endpoint_for(&self, number: usize) -> Endpoint {
        let mut endpoint = self.subscribe.endpoint.clone();
        let types = self.settings.wanted(number);
        if !types.is_empty() {
            let separator = if endpoint.path.contains('?') { '&' } else { '?' };
            endpoint.path.push_str(&format!("{separator}types={}", types.join(",")));
        }
        if let Some(cursor) = self.receivers.as_ref().and_then(|all| all.cursor(number)) {
            let separator = if endpoint.path.contains('?') { '&' } else { '?' };
            endpoint.path.push_str(&format!("{separator}after={cursor}"));
        }
        endpoint
    }

    /// The event in a message; `None` where its signature is refused.
    fn opened<'a>(&self, message: &'a [u8]) -> Option<&'a [u8]> {
        let Some(key) = &self.verifier.signing else { return Some(message) };
        key.open(message).map_err(|why| self.refused(&why.to_string())).ok()
    }

    /// Notes why a delivery is refused: its event stays open.
    #[cold]
    pub(crate) fn refused(&self, why: &str) {
        self.ledger.fault(&format!("a delivery was refused: {why}"));
    }

    /// The index of the event that a message delivers; none where it names none of ours.
    pub(crate) fn index(&self, message: &[u8]) -> Option<u64> {
        self.matched.index(self.opened(message)?)
    }

    /// What a message delivers.
    pub(crate) fn delivered(&self, message: &[u8]) -> Delivered {
        let Some(message) = self.opened(message) else { return Delivered::Event(None) };
        match self.matched.answered(message) {
            Answered::Event(index) => Delivered::Event(Some(index)),
            _ if self.request_options.is_heartbeat(message) => Delivered::Heartbeat,
            // The protocol has messages that deliver nothing.
            Answered::Nothing if matches!(self.matched, Matched::ByPattern(_)) => {
                Delivered::Nothing
            }
            _ => Delivered::Event(None),
        }
    }

    /// A connection of a subscriber was opened, with the instants of its reads.
    pub(crate) fn listen_to(&self, number: usize, reads: &Rc<ReadTimes>) {
        let mut all = self.reads.borrow_mut();
        let connections = all.entry(number).or_default();
        connections.retain(|open| open.strong_count() > 0);
        connections.push(Rc::downgrade(reads));
    }

    /// When something came last to a subscriber's open connections; `None` where nobody looks after it.
    pub(crate) fn heard(&self, number: usize) -> Option<u64> {
        self.dead_after?;
        let all = self.reads.borrow();
        all.get(&number)?.iter().filter_map(|open| Some(open.upgrade()?.read())).max()
    }

    /// A subscriber's open connections are reset when they are dropped.
    pub(crate) fn reset(&self, number: usize) {
        let all = self.reads.borrow();
        let open = all.get(&number).into_iter().flatten().filter_map(Weak::upgrade);
        open.for_each(|read_times| read_times.reset_when_dropped());
    }

    /// A subscriber knows now that its connection has ended.
    pub(crate) fn note_end(&self, number: usize) {
        if let Some(heard) = self.heard(number) {
            self.ledger.noticed(clock::now().saturating_sub(heard));
        }
    }

    /// How a subscriber behaves.
    pub fn conduct(&self, number: usize) -> Conduct {
        self.settings.audience().conduct(number)
    }

    /// What a slow subscriber takes for an event, ns.
    pub fn slow_by(&self) -> u64 {
        self.settings.slow_by.as_nanos() as u64
    }

    /// What acknowledges event `index`.
    pub fn acknowledge(&self, index: u64) -> String {
        let id = format!("{index:0ID_DIGITS$x}");
        match &self.acknowledgement {
            Some(own) => own.filled(|_| id.clone()),
            None => acknowledgement(&id),
        }
    }
}

/// What a message brings to a subscriber.
pub(crate) enum Delivered {
    /// An event; `None` for one that is none of ours.
    Event(Option<u64>),
    /// A heartbeat of the publisher.
    Heartbeat,
    /// Nothing.
    Nothing,
}

/// How the addresses of subscribers reach the publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// By a request.
    Request {
        /// Its method.
        method: Method,
        /// Its body; `{"url": …}` by default.
        body: Option<Wording>,
    },
    /// It received them when it was started: subscribers listen at this port.
    AtStart(u16),
}

impl Registration {
    /// The request that subscribes is already one for events.
    pub(super) fn is_by_get(&self) -> bool {
        matches!(self, Registration::Request { method, .. } if method == Method::GET)
    }
}
