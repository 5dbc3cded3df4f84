//! What a publisher can do to a delivery, and to which ones it does it.

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublisherFault {
    /// None: every subscriber gets every event.
    Correct,
    /// Takes the event and does not deliver it.
    Drop,
    /// Delivers it twice.
    Twice,
    /// Delivers it behind the next event.
    Swap,
    /// Delivers it after its time-out: behind the event [`RELEASE`].
    Late,
    /// Delivers [`UNSOLICITED`] additional messages that no subscriber expects.
    Unasked,
    /// Turns the event away when it is to be published.
    TurnAway,
    /// Ends the connection of a subscriber that holds one instead.
    HangUp,
}

/// Messages that [`PublisherFault::Unasked`] adds to a delivery.
pub(crate) const UNSOLICITED: u64 = 2;
/// [`PublisherFault::Late`] strikes events before [`LATE_BEFORE`] and delivers them behind this one.
pub(crate) const RELEASE: u64 = 25;
/// See [`RELEASE`].
pub(crate) const LATE_BEFORE: u64 = 5;
/// [`PublisherFault::HangUp`] does so when this event is to be delivered …
const HANGS_UP_AT: u64 = 5;
/// … to every third subscriber.
const HANGS_UP_ON: u64 = 3;

/// Each by the name it has on the command line, and what it is in a few words.
pub const ALL: [(&str, PublisherFault, &str); 8] = [
    ("honest", PublisherFault::Correct, "delivers correctly"),
    ("drop", PublisherFault::Drop, "drops every fifth delivery"),
    ("twice", PublisherFault::Twice, "makes every fifth delivery twice"),
    ("swap", PublisherFault::Swap, "makes every fifth delivery after the next one"),
    ("late", PublisherFault::Late, "makes some deliveries after the time-out"),
    ("unasked", PublisherFault::Unasked, "delivers unsolicited messages"),
    ("turn-away", PublisherFault::TurnAway, "rejects every fifth event"),
    ("hang-up", PublisherFault::HangUp, "closes the connections of some subscribers"),
];

impl PublisherFault {
    /// The one of that name.
    pub fn named(name: &str) -> Option<PublisherFault> {
        ALL.iter().find(|(n, ..)| *n == name).map(|(_, fault, _)| *fault)
    }

    fn entry(self) -> &'static (&'static str, PublisherFault, &'static str) {
        ALL.iter().find(|(_, fault, _)| *fault == self).unwrap_or(&ALL[0])
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        self.entry().0
    }

    /// What it is in a few words.
    pub fn about(self) -> &'static str {
        self.entry().2
    }

    /// Whether the delivery of the event with this index to this subscriber, numbered from 0 as they
    /// came, is struck. Each subscriber misses other events, and no event misses all subscribers.
    pub fn affects(self, index: u64, subscriber: u64) -> bool {
        let fifth = (index + subscriber) % 5 == 2;
        match self {
            PublisherFault::Correct | PublisherFault::TurnAway => false,
            PublisherFault::Drop
            | PublisherFault::Twice
            | PublisherFault::Swap
            | PublisherFault::Unasked => fifth,
            PublisherFault::Late => fifth && index < LATE_BEFORE,
            PublisherFault::HangUp => index == HANGS_UP_AT && subscriber % HANGS_UP_ON == 2,
        }
    }

    /// Whether the event is turned away.
    pub fn rejects(self, index: u64) -> bool {
        self == PublisherFault::TurnAway && index % 5 == 2
    }

    /// Whether what was held back is delivered behind the event with this index.
    pub(super) fn sends_delayed(self, index: u64) -> bool {
        match self {
            PublisherFault::Late => index == RELEASE,
            _ => true,
        }
    }
}
