//! How the probes send a message over a transport and read the answer.

use crate::verify::answer::Answer;
use crate::verify::no_answer::{NoAnswer, shown};
use pushbench_core::event::{Matched, Matching, Template, elements};
use pushbench_core::message_pattern::Captured;
use pushbench_core::transport::Carrier;
use pushbench_sut::manifest::Manifest;
use pushbench_wire::endpoint::Resolved;
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::response_body;
use pushbench_wire::tls::ClientTls;
use serde_json::value::RawValue;
use std::cell::{Cell, RefCell};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Ids of probes begin here ("verify" in ASCII), so that a target that remembers ids does not take an
/// event of the run for a repeated one.
const FIRST_INDEX: u64 = 0x7665_7269_6679_0000;

/// An answer that takes longer does not come: a stalling machine is faster.
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// A target that takes its time may take so many times as long for what is unusual.
const SLOWER: u32 = 3;

/// Most messages that are remembered because they answer no event.
const MOST_UNMATCHED: usize = 16;

/// A target as the probes see it.
pub(super) struct ProbeTarget<'a> {
    pub carrier: Carrier,
    /// Requests go over HTTP/2.
    pub http2: bool,
    pub address: Resolved,
    /// How connections there are encrypted; nothing without TLS.
    pub tls: Option<&'a ClientTls>,
    pub matching: Matching,
    pub request_options: &'a RequestOptions,
    /// The events as they are sent on the latest connection.
    template: RefCell<Template>,
    /// The events before they are wrapped.
    events: &'a Template,
    pub interrupt: &'a AtomicBool,
    /// Where an answer names its event, also where that is not relied upon.
    named_at: Matched,
    time_limit: Cell<Duration>,
    next: Cell<u64>,
    /// Messages that answered no event, the first of them.
    unmatched: RefCell<Vec<Vec<u8>>>,
}

impl<'a> ProbeTarget<'a> {
    pub fn new(
        (carrier, http2): (Carrier, bool),
        (address, tls): (Resolved, Option<&'a ClientTls>),
        (manifest, request_options): (&Manifest, &'a RequestOptions),
        template: &'a Template,
        interrupt: &'a AtomicBool,
    ) -> ProbeTarget<'a> {
        let next = Cell::new(FIRST_INDEX);
        ProbeTarget {
            carrier,
            http2,
            address,
            tls,
            matching: manifest.matching,
            request_options,
            named_at: match (&request_options.answer, &request_options.id_at) {
                (Some(answer), _) => Matched::ByPattern(answer.clone()),
                (None, None) => Matched::ById,
                (None, Some(pointer)) => Matched::ByIdAt(pointer.as_str().into()),
            },
            template: RefCell::new(request_options.wrapped(template, &Captured::new())),
            events: template,
            interrupt,
            time_limit: Cell::new(TIME_LIMIT),
            next,
            unmatched: RefCell::default(),
        }
    }

    /// How long a handshake, a write, or the answer to a single message may take.
    pub fn time_limit(&self) -> Duration {
        self.time_limit.get()
    }

    /// An answer took this long: others may take some times as long.
    pub fn extend_time_limit(&self, took: Duration) {
        self.time_limit.set(self.time_limit.get().max(took * SLOWER));
    }

    /// A new event: its index and its bytes.
    pub fn event(&self) -> (u64, Vec<u8>) {
        let index = self.next_index();
        (index, self.rendered(index))
    }

    /// The index of a new event.
    pub fn next_index(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    /// An event as the latest connection carries it.
    pub fn rendered(&self, index: u64) -> Vec<u8> {
        let template = self.template.borrow();
        match self.carrier {
            // Signed in headers, if at all.
            Carrier::Webhook => template.render(index),
            Carrier::Websocket | Carrier::Tcp => {
                let mut message = Vec::new();
                self.request_options.append_message(&template, index, &mut message);
                message
            }
        }
    }

    /// The same target with other requests.
    pub fn with<'b>(&self, request_options: &'b RequestOptions) -> ProbeTarget<'b>
    where
        'a: 'b,
    {
        ProbeTarget {
            carrier: self.carrier,
            http2: self.http2,
            address: self.address.clone(),
            tls: self.tls,
            matching: self.matching,
            request_options,
            template: request_options.wrapped(self.events, &Captured::new()).into(),
            events: self.events,
            interrupt: self.interrupt,
            named_at: self.named_at.clone(),
            time_limit: self.time_limit.clone(),
            next: self.next.clone(),
            unmatched: self.unmatched.clone(),
        }
    }

    /// A connection has captured values that the events on it carry.
    pub fn captured(&self, captured: &Captured) {
        self.template.replace(self.request_options.wrapped(self.events, captured));
    }

    /// Whether a message may be an answer, where the description says which messages are.
    pub fn may_answer(&self, message: &[u8]) -> bool {
        match &self.request_options.answer {
            Some(answer) => answer.fit(message).is_some(),
            None => true,
        }
    }

    /// What was sent that is no answer, and why it is none.
    pub fn not_an_answer(&self) -> Option<String> {
        let answer = self.request_options.answer.as_ref()?;
        let unmatched = self.unmatched.borrow();
        let names_one = |message: &&Vec<u8>| self.index_within(message).is_some();
        let message = unmatched.iter().find(names_one).or(unmatched.last())?;
        let difference = answer.difference(message)?;
        Some(format!("it sent `{}`, which does not fit answer: {difference}", shown(message)))
    }

    /// The event that an answer names.
    pub fn named(&self, answer: &[u8]) -> Option<u64> {
        self.named_at.index(answer)
    }

    /// The events that the entries of an answer to a batch name. An answer to a batch of one is the same with one.
    pub fn named_in_array(&self, answer: &[u8]) -> Vec<u64> {
        let entries = elements(answer).unwrap_or_default();
        let alone = |entry: &&RawValue| self.named(format!("[{}]", entry.get()).as_bytes());
        entries.iter().filter_map(alone).collect()
    }

    /// The event whose id occurs anywhere in an answer.
    pub(crate) fn index_within(&self, answer: &[u8]) -> Option<u64> {
        (FIRST_INDEX..self.next.get())
            .find(|index| response_body::pointer_in(answer, *index).is_some())
    }

    /// Remembers a message that answered no event.
    pub fn ignore(&self, message: &[u8]) {
        let mut unmatched = self.unmatched.borrow_mut();
        if unmatched.len() < MOST_UNMATCHED {
            unmatched.push(message.to_vec());
        }
    }

    /// Whether the target sends messages that answer no event.
    pub(crate) fn sends_unmatched(&self) -> bool {
        !self.unmatched.borrow().is_empty()
    }

    /// Whether this message came before, and answered no event then.
    pub fn ignores(&self, message: &[u8]) -> bool {
        self.unmatched.borrow().iter().any(|known_events| known_events == message)
    }

    /// Whether the answer to an event acknowledges it.
    pub fn acknowledges(&self, answer: &Answer, index: u64) -> bool {
        !answer.refuses()
            && match self.matching {
                Matching::Order => self.may_answer(&answer.body),
                Matching::Id => self.named(&answer.body) == Some(index),
            }
    }
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteMode {
    /// At once.
    Whole,
    /// In several frames or segments, with pauses.
    Pieces,
}

/// Between two pieces, so that each travels alone.
pub(super) const BETWEEN_PIECES: Duration = Duration::from_millis(5);
/// Pieces of a message.
pub(super) const PIECES: usize = 4;

/// Cuts a message into its pieces.
pub(super) fn pieces(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    message.chunks(message.len().div_ceil(PIECES).max(1))
}

/// The sender's end of one connection, on a blocking socket.
pub(super) trait ProbeConnection<'a>: Sized {
    /// Whether it can carry several unanswered messages.
    const PIPELINED: bool;
    /// Whether it can carry several requests, each of which has its own answer.
    const MULTIPLEXED: bool = false;

    /// Connects and shakes hands.
    fn open(target: &ProbeTarget<'a>) -> Result<Self, NoAnswer>;

    /// Writes a message. That the peer has gone is heard when its answer is awaited.
    fn send(&mut self, message: &[u8], mode: WriteMode) -> Result<(), NoAnswer>;

    /// The next answer.
    fn answer(&mut self, time_limit: Duration) -> Result<Answer, NoAnswer>;

    /// False once the peer has announced that it accepts no more.
    fn is_open(&self) -> bool;

    /// Writes the beginning of a message and vanishes.
    fn abort(self, message: &[u8]);

    /// Which of the unanswered requests, oldest first, the last answer belongs to.
    fn position(&self) -> usize {
        0
    }

    /// Whether the last answer came by HTTP/1.0.
    fn old(&self) -> bool {
        false
    }
}
