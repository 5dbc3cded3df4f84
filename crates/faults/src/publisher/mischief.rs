//! What a publisher can do to a delivery, and to which ones it does it.

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mischief {
    /// None: every subscriber gets every event.
    Honest,
    /// Takes the event and does not deliver it.
    Drop,
    /// Delivers it twice.
    Twice,
    /// Delivers it behind the next event.
    Swap,
    /// Delivers it after its time-out: behind the event [`RELEASE`].
    Late,
    /// Delivers [`UNASKED`] messages beside it that no subscriber can want.
    Unasked,
    /// Turns the event away when it is to be published.
    TurnAway,
    /// Ends the connection of a subscriber that holds one instead.
    HangUp,
}

/// Messages that [`Mischief::Unasked`] adds to a delivery.
pub const UNASKED: u64 = 2;
/// [`Mischief::Late`] strikes events before [`LATE_BEFORE`] and delivers them behind this one.
pub const RELEASE: u64 = 25;
/// See [`RELEASE`].
pub const LATE_BEFORE: u64 = 5;
/// [`Mischief::HangUp`] does so when this event is to be delivered …
const HANGS_UP_AT: u64 = 5;
/// … to every third subscriber.
const HANGS_UP_ON: u64 = 3;

/// Each by the name it has on the command line, and what it is in a few words.
pub const ALL: [(&str, Mischief, &str); 8] = [
    ("honest", Mischief::Honest, "delivers properly"),
    ("drop", Mischief::Drop, "drops every fifth delivery"),
    ("twice", Mischief::Twice, "delivers every fifth twice"),
    ("swap", Mischief::Swap, "delivers every fifth behind the next"),
    ("late", Mischief::Late, "delivers some after the time-out"),
    ("unasked", Mischief::Unasked, "delivers what nobody wants"),
    ("turn-away", Mischief::TurnAway, "turns every fifth event away"),
    ("hang-up", Mischief::HangUp, "closes some subscribers' connections"),
];

impl Mischief {
    /// The one of that name.
    pub fn named(name: &str) -> Option<Mischief> {
        ALL.iter().find(|(n, ..)| *n == name).map(|(_, mischief, _)| *mischief)
    }

    fn entry(self) -> &'static (&'static str, Mischief, &'static str) {
        ALL.iter().find(|(_, mischief, _)| *mischief == self).unwrap_or(&ALL[0])
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
    pub fn strikes(self, index: u64, subscriber: u64) -> bool {
        let fifth = (index + subscriber) % 5 == 2;
        match self {
            Mischief::Honest | Mischief::TurnAway => false,
            Mischief::Drop | Mischief::Twice | Mischief::Swap | Mischief::Unasked => fifth,
            Mischief::Late => fifth && index < LATE_BEFORE,
            Mischief::HangUp => index == HANGS_UP_AT && subscriber % HANGS_UP_ON == 2,
        }
    }

    /// Whether the event is turned away.
    pub fn turns_away(self, index: u64) -> bool {
        self == Mischief::TurnAway && index % 5 == 2
    }

    /// Whether what was held back is delivered behind the event with this index.
    pub(super) fn releases(self, index: u64) -> bool {
        match self {
            Mischief::Late => index == RELEASE,
            _ => true,
        }
    }
}
