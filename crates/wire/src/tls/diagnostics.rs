//! What went wrong with TLS, and what to write instead.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use std::fmt;
use std::io;
use std::net::IpAddr;

/// A failure of TLS, as the error within an [`io::Error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFailure {
    /// What the peer did.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.remedy)
    }
}

impl std::error::Error for TlsFailure {}

impl TlsFailure {
    /// The one within an error.
    pub fn of(error: &io::Error) -> Option<&TlsFailure> {
        error.get_ref()?.downcast_ref()
    }
}

/// What a server without TLS is reached by.
const PLAIN: &str = "if it serves without TLS there, write http://, ws:// or tcp:// in url";

/// How the failure of a peer begins that closes an open connection and does not end TLS.
pub const WITHOUT_CLOSE_NOTIFY: &str = "it closed the connection without close_notify";

/// Explains an error of a handshake.
pub fn of_handshake(error: io::Error) -> io::Error {
    let mut kind = error.kind();
    let (what, remedy) = match cause(&error) {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => (
            "it answered the TLS handshake with something else than TLS".to_owned(),
            PLAIN.to_owned(),
        ),
        Some(cause) => of_tls(cause),
        None => match kind {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => {
                kind = io::ErrorKind::ConnectionReset;
                (
                    "it closed the connection in the TLS handshake".to_owned(),
                    format!("{PLAIN}; else its log may show the cause"),
                )
            }
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => (
                "it did not answer the TLS handshake".to_owned(),
                format!("check that it serves TLS there; {PLAIN}"),
            ),
            _ => return error,
        },
    };
    io::Error::new(kind, TlsFailure { what, remedy })
}

/// Explains an error of an open connection. One that breaks TLS keeps the kind `InvalidData`; one by which the peer
/// refuses has the kind `ConnectionAborted`.
pub fn of_stream(error: io::Error) -> io::Error {
    let kind = match cause(&error) {
        Some(Error::AlertReceived(_)) => io::ErrorKind::ConnectionAborted,
        Some(_) => io::ErrorKind::InvalidData,
        None if error.kind() == io::ErrorKind::UnexpectedEof => io::ErrorKind::UnexpectedEof,
        None => return error,
    };
    let (what, remedy) = match cause(&error) {
        Some(cause) => of_tls(cause),
        None => (
            WITHOUT_CLOSE_NOTIFY.to_owned(),
            "make it end TLS before it closes: what came before could be cut short".to_owned(),
        ),
    };
    io::Error::new(kind, TlsFailure { what, remedy })
}

fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn of_tls(error: &Error) -> (String, String) {
    let (what, remedy) = match error {
        Error::InvalidCertificate(error) => return of_certificate(error),
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => ("it speaks TLS 1.2 at most, and pushbench measures TLS 1.3", "enable TLS 1.3 in it"),
        Error::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
        )
        | Error::PeerIncompatible(_) => (
            "it has no key-exchange group, cipher suite or signature scheme in common with pushbench",
            "enable X25519 or P-256, and a cipher suite of TLS 1.3, in it",
        ),
        Error::AlertReceived(AlertDescription::CertificateRequired) => (
            "it requires a certificate of its client, and pushbench has none",
            "make it accept clients without a certificate",
        ),
        Error::AlertReceived(AlertDescription::UnrecognisedName) => (
            "it has no certificate for the name that pushbench requested",
            "write server_name = \"NAME\" in its table (or --server-name NAME), with a name that it knows",
        ),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | Error::NoApplicationProtocol => (
            "it does not offer the arm's version of HTTP over TLS (ALPN http/1.1, or h2 with +h2)",
            "enable that version in it; a webhook can also be measured with +h2, or without it",
        ),
        Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA,
        ) => (
            "it does not trust the certificate of pushbench",
            "make it trust the authority of the run: {ca} in its command or env is that file",
        ),
        Error::AlertReceived(alert) => {
            let what = format!("it ended TLS with the alert {alert:?}");
            return (what, "its log may show the cause".to_owned());
        }
        error => {
            let what = format!("it sent what TLS does not allow ({error})");
            return (what, "check its TLS library, and what lies between".to_owned());
        }
    };
    (what.to_owned(), remedy.to_owned())
}

fn of_certificate(error: &CertificateError) -> (String, String) {
    let (what, remedy) = match error {
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = duration(time.as_secs().saturating_sub(not_after.as_secs()));
            return (format!("its certificate expired {ago} ago"), "renew it".to_owned());
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            // Rounded up: some seconds have passed since it was made for a day to come.
            let seconds = not_before.as_secs().saturating_sub(time.as_secs());
            let later = duration(seconds.next_multiple_of(60 * 60));
            return (
                format!("its certificate is not valid yet, but in {later}"),
                "make it again, or correct the clock of this machine".to_owned(),
            );
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            return of_names(&expected.to_str(), presented);
        }
        CertificateError::UnknownIssuer => (
            "its certificate is signed by an authority that is not trusted",
            "write ca = \"FILE\" in its table (or --ca FILE): the PEM certificate of that authority, or the certificate \
             itself if it is self-signed",
        ),
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => (
            "its certificate is not among the trusted ones, and is marked as an authority's (CA:TRUE)",
            "write ca = \"FILE\" in its table (or --ca FILE) with this very certificate (PEM), or make another one: \
             openssl req -x509 … -addext basicConstraints=critical,CA:FALSE",
        ),
        CertificateError::BadSignature => (
            "its certificate is not signed by the authority that it names",
            "write the certificate of the right authority in ca, or make its certificate again",
        ),
        CertificateError::InvalidPurposeContext { .. } => (
            "its certificate is not for servers (extendedKeyUsage)",
            "make one with extendedKeyUsage = serverAuth",
        ),
        error => {
            return (format!("its certificate is not valid ({error})"), "make it again".to_owned());
        }
    };
    (what.to_owned(), remedy.to_owned())
}

/// A certificate for other names.
fn of_names(expected: &str, presented: &[String]) -> (String, String) {
    // As the verifier writes them: DnsName("example.org"), IpAddress(127.0.0.1).
    let bare = |name: &String| {
        let name = name.split_once('(').map_or(&**name, |(_kind, rest)| rest);
        name.trim_end_matches(')').trim_matches('"').to_owned()
    };
    let names: Vec<String> = presented.iter().map(bare).collect();
    match names.first() {
        Some(first) => (
            format!("its certificate is for {}, not for {expected}", names.join(", ")),
            format!(
                "write server_name = \"{0}\" in its table (or --server-name {0}), or give it a certificate for {expected}",
                first.replace('*', "host")
            ),
        ),
        None => {
            let kind = if expected.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
            (
                "its certificate is for no host (it has no subjectAltName)".to_owned(),
                format!("make another one: openssl req … -addext subjectAltName={kind}:{expected}"),
            )
        }
    }
}

/// Coarse, so that the record counts equal failures together.
fn duration(seconds: u64) -> String {
    let units = [("day", 24 * 60 * 60), ("hour", 60 * 60)];
    match units.into_iter().find(|(_, unit)| seconds >= *unit) {
        Some((name, unit)) if seconds < 2 * unit => format!("1 {name}"),
        Some((name, unit)) => format!("{} {name}s", seconds / unit),
        None => "less than an hour".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_coarse() {
        let day = 24 * 60 * 60;
        for (seconds, text) in [
            (0, "less than an hour"),
            (3_600, "1 hour"),
            (day - 1, "23 hours"),
            (2 * day - 1, "1 day"),
            (400 * day, "400 days"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn names_are_shown_as_they_are_written() {
        let presented = ["DnsName(\"*.example.org\")", "IpAddress(10.0.0.1)"].map(str::to_owned);
        let (what, remedy) = of_names("127.0.0.1", &presented);
        assert_eq!(what, "its certificate is for *.example.org, 10.0.0.1, not for 127.0.0.1");
        assert!(remedy.starts_with("write server_name = \"host.example.org\""), "{remedy}");
    }

    #[test]
    fn other_errors_are_left_as_they_are() {
        let error = || io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(of_stream(error()).to_string(), error().to_string());
        assert_eq!(of_handshake(io::Error::other("disk")).to_string(), "disk");
        let ended = of_handshake(error());
        assert!(ended.to_string().contains("in the TLS handshake"), "{ended}");
        assert_eq!(ended.kind(), io::ErrorKind::ConnectionReset);
    }
}
