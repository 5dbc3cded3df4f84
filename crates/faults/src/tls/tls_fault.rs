//! What a TLS server can do wrong, and to which handshakes and events it does it.

/// Before [`TlsFault::RefusesLater`] begins.
const HEALTHY_HELLOS: u64 = 12;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// None.
    Healthy,
    /// Its certificate expired three days ago.
    Expired,
    /// Its certificate is valid in three days.
    NotYetValid,
    /// No authority has signed its certificate.
    SelfSigned,
    /// Its certificate is an authority's own, as `openssl req -x509` makes them.
    Authority,
    /// Its certificate is for `example.org` alone.
    OtherName,
    /// Its certificate is for no name at all.
    NoName,
    /// It requires a certificate of the client.
    ClientCertificate,
    /// It has no key-exchange group in common with a client of X25519 and P-256.
    NoCommonGroup,
    /// It speaks HTTP/1.1 alone, and says so by ALPN.
    AlpnHttp1,
    /// It knows TLS 1.2 at most: what OpenSSL answers then.
    Tls12,
    /// The same to every fifth ClientHello.
    RefusesNowAndThen,
    /// The same to every ClientHello after the first [`HEALTHY_HELLOS`].
    RefusesLater,
    /// It serves plain HTTP.
    Plain,
    /// It closes when it has read the ClientHello.
    ClosesAfterHello,
    /// It answers the ClientHello with a handshake record of random bytes.
    Garbage,
    /// It never answers a ClientHello.
    Stalls,
    /// It never answers every fifth ClientHello.
    StallsNowAndThen,
    /// It answers a ClientHello after [`SLOW`].
    ///
    /// [`SLOW`]: super::SLOW
    SlowHandshake,
    /// It closes TCP in the middle of some answers, without `close_notify`.
    Truncates,
    /// It closes TCP behind some answers, in the same segment, without `close_notify`.
    TruncatesBetween,
    /// It sends a corrupt record instead of some answers.
    GarbageLater,
}

/// Every fault by the name it has on the command line.
pub const ALL: [(&str, TlsFault); 22] = [
    ("healthy", TlsFault::Healthy),
    ("expired", TlsFault::Expired),
    ("not-yet-valid", TlsFault::NotYetValid),
    ("self-signed", TlsFault::SelfSigned),
    ("authority", TlsFault::Authority),
    ("other-name", TlsFault::OtherName),
    ("no-name", TlsFault::NoName),
    ("client-certificate", TlsFault::ClientCertificate),
    ("no-common-group", TlsFault::NoCommonGroup),
    ("alpn-http1", TlsFault::AlpnHttp1),
    ("tls12", TlsFault::Tls12),
    ("refuses-now-and-then", TlsFault::RefusesNowAndThen),
    ("refuses-later", TlsFault::RefusesLater),
    ("plain", TlsFault::Plain),
    ("closes-after-hello", TlsFault::ClosesAfterHello),
    ("garbage", TlsFault::Garbage),
    ("stalls", TlsFault::Stalls),
    ("stalls-now-and-then", TlsFault::StallsNowAndThen),
    ("slow-handshake", TlsFault::SlowHandshake),
    ("truncates", TlsFault::Truncates),
    ("truncates-between", TlsFault::TruncatesBetween),
    ("garbage-later", TlsFault::GarbageLater),
];

impl TlsFault {
    /// Whether the event with this index is struck.
    pub fn affects(self, index: u64) -> bool {
        let strikes_events = matches!(
            self,
            TlsFault::Truncates | TlsFault::TruncatesBetween | TlsFault::GarbageLater
        );
        strikes_events && index % 5 == 2
    }

    /// What it does to the handshake with this number, from 0.
    pub(super) fn at(self, handshake: u64) -> TlsFault {
        match self {
            TlsFault::StallsNowAndThen if handshake % 5 == 4 => TlsFault::Stalls,
            TlsFault::RefusesNowAndThen if handshake % 5 == 4 => TlsFault::Tls12,
            TlsFault::RefusesLater if handshake >= HEALTHY_HELLOS => TlsFault::Tls12,
            fault => fault,
        }
    }
}
