//! What a server can do to an event, a connection or a handshake, and to which ones it does it.

use pushbench_core::transport::Carrier;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerFault {
    /// None: every event is answered properly.
    Correct,
    /// Answers nothing.
    Silence,
    /// Answers with text that is no acknowledgement.
    Garbage,
    /// Answers with bytes that the protocol does not know.
    InvalidBytes,
    /// Announces an answer of absurd length.
    HugeLength,
    /// Answers twice in one write.
    Twice,
    /// Holds the answer until the next event of the connection was answered.
    Swap,
    /// Answers with an id that no event has.
    WrongId,
    /// Writes half an answer, then closes.
    Half,
    /// Holds the answer until the next event of the connection came: with one in flight, until the
    /// first has timed out.
    Late,
    /// Writes half an answer, then resets the connection.
    Reset,
    /// Accepts connections and never reads from some of them.
    SometimesUnread,
    /// Accepts connections and never reads from any.
    Stuck,
    /// Closes some connections when their first event comes.
    HangUp,
    /// Webhook: answers with this status.
    Status(u16),
    /// WebSocket: turns some handshakes down.
    TurnDown,
    /// WebSocket: accepts some connections and never shakes hands.
    Stall,
    /// Sends [`UNSOLICITED`] unsolicited messages in the same write as the answer.
    Unsolicited,
    /// Closes politely after each answer, in the same write where the protocol has a word for it.
    CloseAfterAnswer,
}

/// Messages that [`ServerFault::Unsolicited`] adds to an answer.
pub(crate) const UNSOLICITED: u64 = 2;

/// Every fault by the name it has on the command line, and what it is in a few words.
pub const ALL: [(&str, ServerFault, &str); 21] = [
    ("honest", ServerFault::Correct, "answers correctly"),
    ("silence", ServerFault::Silence, "does not answer"),
    ("garbage", ServerFault::Garbage, "answers with garbage"),
    ("nonsense", ServerFault::InvalidBytes, "breaks the protocol"),
    ("absurd", ServerFault::HugeLength, "announces an extremely large length"),
    ("twice", ServerFault::Twice, "answers twice"),
    ("swap", ServerFault::Swap, "answers in the wrong order"),
    ("wrong-id", ServerFault::WrongId, "answers with a wrong id"),
    ("half", ServerFault::Half, "closes in the middle of an answer"),
    ("late", ServerFault::Late, "answers after the time-out"),
    ("reset", ServerFault::Reset, "resets in the middle of an answer"),
    ("sometimes-unread", ServerFault::SometimesUnread, "never reads from some connections"),
    ("stuck", ServerFault::Stuck, "never reads"),
    ("hang-up", ServerFault::HangUp, "closes the connection at its first event"),
    ("status-302", ServerFault::Status(302), "answers 302"),
    ("status-404", ServerFault::Status(404), "answers 404"),
    ("status-503", ServerFault::Status(503), "answers 503"),
    ("turn-down", ServerFault::TurnDown, "rejects handshakes"),
    ("stall", ServerFault::Stall, "leaves handshakes unanswered"),
    ("chatter", ServerFault::Unsolicited, "sends unsolicited messages"),
    ("farewell", ServerFault::CloseAfterAnswer, "closes the connection after each answer"),
];

impl ServerFault {
    /// The fault of that name.
    pub fn named(name: &str) -> Option<ServerFault> {
        ALL.iter().find(|(n, ..)| *n == name).map(|(_, fault, _)| *fault)
    }

    fn entry(self) -> Option<&'static (&'static str, ServerFault, &'static str)> {
        ALL.iter().find(|(_, fault, _)| *fault == self)
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        self.entry().map_or("status", |e| e.0)
    }

    /// What it is in a few words.
    pub fn about(self) -> &'static str {
        self.entry().map_or("answers another status", |e| e.2)
    }

    /// Whether it can be done to this transport.
    pub fn applies(self, carrier: Carrier) -> bool {
        match self {
            ServerFault::Status(_) => carrier == Carrier::Webhook,
            ServerFault::TurnDown | ServerFault::Stall => carrier == Carrier::Websocket,
            // An HTTP/1.1 connection has one event in the air.
            ServerFault::Swap => carrier != Carrier::Webhook,
            // A bare socket has no word for it, and a close of its own would race the next event.
            ServerFault::CloseAfterAnswer => carrier != Carrier::Tcp,
            _ => true,
        }
    }

    /// Whether the event with this index is struck.
    pub fn affects(self, index: u64) -> bool {
        match self {
            ServerFault::Correct
            | ServerFault::SometimesUnread
            | ServerFault::Stuck
            | ServerFault::HangUp => false,
            ServerFault::TurnDown | ServerFault::Stall => false,
            ServerFault::CloseAfterAnswer => true,
            _ => index % 5 == 2,
        }
    }

    /// Whether it never reads from the connection that was accepted as this one, from 0.
    pub(super) fn never_reads(self, connection: u64) -> bool {
        self == ServerFault::Stuck || self == ServerFault::SometimesUnread && connection % 3 == 2
    }

    /// Whether it closes the connection whose first event came as this one, from 0.
    pub(super) fn closes(self, connection: u64) -> bool {
        self == ServerFault::HangUp && connection % 3 == 2
    }

    /// Whether it does not shake hands when asked for the handshake with this number, from 0.
    pub(super) fn fails_handshake(self, handshake: u64) -> bool {
        matches!(self, ServerFault::TurnDown | ServerFault::Stall) && handshake % 5 == 4
    }
}
