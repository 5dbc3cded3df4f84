//! What a server can do wrong over HTTP/2, and to which events it does it.

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http2Fault {
    /// None.
    Healthy,
    /// It answers the client's first bytes with HTTP/1.1.
    Http1,
    /// It closes when it has read the client's first bytes.
    ClosesAtFirst,
    /// It never sends SETTINGS.
    WithoutSettings,
    /// It allows one stream at a time, and takes [`SLOW`] for each.
    ///
    /// [`SLOW`]: super::SLOW
    OneStream,
    /// It allows no stream for the first [`CLOSED`] of a connection.
    ///
    /// [`CLOSED`]: super::CLOSED
    NoStreamAtFirst,
    /// Its initial window is 0, and it never opens one.
    WindowClosed,
    /// Its initial window is 0, and it opens that of each stream.
    WindowOpened,
    /// It never opens the connection's window again.
    WindowSpent,
    /// It sends GOAWAY with NO_ERROR in front of some answers, which are the last ones.
    GoAwayAnswered,
    /// It sends GOAWAY with NO_ERROR instead of some answers, and does not process those events.
    GoAwayUnprocessed,
    /// It sends GOAWAY with ENHANCE_YOUR_CALM instead of some answers, and closes.
    GoAwayCalm,
    /// It resets some streams with this error code.
    Resets(u32),
    /// Behind some answers it resets the stream with NO_ERROR.
    AnswersAndResets,
    /// Some answers have 500 KiB of headers.
    HeadersTooLarge,
    /// Some header blocks never end.
    EndlessHeaders,
    /// Some answers have the status 431.
    RefusesHeaders,
    /// Some answers are shorter than their content-length.
    WrongLength,
    /// Some answers come behind the next one, in one write.
    Swaps,
    /// Some answers come on a stream that was never opened.
    WrongStream,
    /// It sends a frame longer than any instead of some answers.
    HugeFrame,
    /// It closes within some answers.
    Half,
    /// It closes instead of some answers, without GOAWAY.
    HangsUp,
    /// It does not answer some events.
    Silent,
    /// It sends [`PINGS`] pings in front of some answers.
    ///
    /// [`PINGS`]: super::PINGS
    PingFlood,
    /// It stops to read when the connection is set up.
    Unread,
}

/// Every fault without a number by the name it has on the command line.
pub const ALL: [(&str, Http2Fault); 25] = [
    ("healthy", Http2Fault::Healthy),
    ("http1", Http2Fault::Http1),
    ("closes-at-first", Http2Fault::ClosesAtFirst),
    ("without-settings", Http2Fault::WithoutSettings),
    ("one-stream", Http2Fault::OneStream),
    ("no-stream-at-first", Http2Fault::NoStreamAtFirst),
    ("window-closed", Http2Fault::WindowClosed),
    ("window-opened", Http2Fault::WindowOpened),
    ("window-spent", Http2Fault::WindowSpent),
    ("goaway-answered", Http2Fault::GoAwayAnswered),
    ("goaway-unprocessed", Http2Fault::GoAwayUnprocessed),
    ("goaway-calm", Http2Fault::GoAwayCalm),
    ("answers-and-resets", Http2Fault::AnswersAndResets),
    ("headers-too-large", Http2Fault::HeadersTooLarge),
    ("endless-headers", Http2Fault::EndlessHeaders),
    ("refuses-headers", Http2Fault::RefusesHeaders),
    ("wrong-length", Http2Fault::WrongLength),
    ("swaps", Http2Fault::Swaps),
    ("wrong-stream", Http2Fault::WrongStream),
    ("huge-frame", Http2Fault::HugeFrame),
    ("half", Http2Fault::Half),
    ("hangs-up", Http2Fault::HangsUp),
    ("silent", Http2Fault::Silent),
    ("ping-flood", Http2Fault::PingFlood),
    ("unread", Http2Fault::Unread),
];

impl Http2Fault {
    /// The fault of that name; `resets-7` resets streams with the error code 7.
    pub fn named(name: &str) -> Option<Http2Fault> {
        match name.strip_prefix("resets-") {
            Some(code) => code.parse().ok().map(Http2Fault::Resets),
            None => ALL.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault),
        }
    }

    /// Whether the event with this index is struck.
    pub fn affects(self, index: u64) -> bool {
        let of_connections = [
            Http2Fault::Healthy,
            Http2Fault::Http1,
            Http2Fault::ClosesAtFirst,
            Http2Fault::WithoutSettings,
            Http2Fault::OneStream,
            Http2Fault::NoStreamAtFirst,
            Http2Fault::WindowClosed,
            Http2Fault::WindowOpened,
            Http2Fault::WindowSpent,
            Http2Fault::Unread,
        ];
        !of_connections.contains(&self) && index % 5 == 2
    }
}
