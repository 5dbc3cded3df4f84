//! What a server can do to an event, a connection or a handshake, and to which ones it does it.

use pushbench_core::transport::Carrier;

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// None: every event is answered properly.
    Honest,
    /// Answers nothing.
    Silence,
    /// Answers with text that is no acknowledgement.
    Garbage,
    /// Answers with bytes that the protocol does not know.
    Nonsense,
    /// Announces an answer of absurd length.
    Absurd,
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
    Deaf,
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
    /// Sends [`UNASKED`] messages nobody asked for in the same write as the answer.
    Chatter,
    /// Closes politely after each answer, in the same write where the protocol has a word for it.
    Farewell,
}

/// Messages that [`Deed::Chatter`] adds to an answer.
pub const UNASKED: u64 = 2;

/// Every deed by the name it has on the command line, and what it is in a few words.
pub const ALL: [(&str, Deed, &str); 21] = [
    ("honest", Deed::Honest, "answers properly"),
    ("silence", Deed::Silence, "answers nothing"),
    ("garbage", Deed::Garbage, "answers with garbage"),
    ("nonsense", Deed::Nonsense, "breaks the protocol"),
    ("absurd", Deed::Absurd, "announces an absurd length"),
    ("twice", Deed::Twice, "answers twice"),
    ("swap", Deed::Swap, "answers in the wrong order"),
    ("wrong-id", Deed::WrongId, "answers with a wrong id"),
    ("half", Deed::Half, "closes amid an answer"),
    ("late", Deed::Late, "answers after the time-out"),
    ("reset", Deed::Reset, "resets amid an answer"),
    ("deaf", Deed::Deaf, "never reads from some connections"),
    ("stuck", Deed::Stuck, "never reads"),
    ("hang-up", Deed::HangUp, "closes when the first event comes"),
    ("status-302", Deed::Status(302), "answers 302"),
    ("status-404", Deed::Status(404), "answers 404"),
    ("status-503", Deed::Status(503), "answers 503"),
    ("turn-down", Deed::TurnDown, "turns handshakes down"),
    ("stall", Deed::Stall, "leaves handshakes unanswered"),
    ("chatter", Deed::Chatter, "sends what nobody asked for"),
    ("farewell", Deed::Farewell, "closes after each answer"),
];

impl Deed {
    /// The deed of that name.
    pub fn named(name: &str) -> Option<Deed> {
        ALL.iter().find(|(n, ..)| *n == name).map(|(_, deed, _)| *deed)
    }

    fn entry(self) -> Option<&'static (&'static str, Deed, &'static str)> {
        ALL.iter().find(|(_, deed, _)| *deed == self)
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
            Deed::Status(_) => carrier == Carrier::Webhook,
            Deed::TurnDown | Deed::Stall => carrier == Carrier::Websocket,
            // An HTTP/1.1 connection has one event in the air.
            Deed::Swap => carrier != Carrier::Webhook,
            // A bare socket has no word for it, and a close of its own would race the next event.
            Deed::Farewell => carrier != Carrier::Tcp,
            _ => true,
        }
    }

    /// Whether the event with this index is struck.
    pub fn strikes(self, index: u64) -> bool {
        match self {
            Deed::Honest | Deed::Deaf | Deed::Stuck | Deed::HangUp => false,
            Deed::TurnDown | Deed::Stall => false,
            Deed::Farewell => true,
            _ => index % 5 == 2,
        }
    }

    /// Whether it never reads from the connection that was accepted as this one, from 0.
    pub(super) fn is_deaf_to(self, connection: u64) -> bool {
        self == Deed::Stuck || self == Deed::Deaf && connection % 3 == 2
    }

    /// Whether it closes the connection whose first event came as this one, from 0.
    pub(super) fn hangs_up_on(self, connection: u64) -> bool {
        self == Deed::HangUp && connection % 3 == 2
    }

    /// Whether it does not shake hands when asked for the handshake with this number, from 0.
    pub(super) fn spoils(self, handshake: u64) -> bool {
        matches!(self, Deed::TurnDown | Deed::Stall) && handshake % 5 == 4
    }
}
